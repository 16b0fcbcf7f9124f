// Opens the library (argument 1) while threads of the program, on glibc's malloc, are already running; uses it from all.
// Then closes it while a thread that has used it still lives: that thread's end, and a fork, must find it in place.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *(*their_malloc)(size_t);
static void (*their_free)(void *);
static pthread_barrier_t barrier;

static void *worker(void *unused) {
  char *blocks[100] = {0};
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 100000; i++) {
    their_free(blocks[i % 100]);
    blocks[i % 100] = memset(their_malloc(i % 2000 + 1), 1, i % 2000 + 1);
    free(malloc(i % 300));
  }
  for (int i = 0; i < 100; i++) their_free(blocks[i]);
  return unused;
}

static void *outliving(void *unused) {
  their_free(their_malloc(10));
  pthread_barrier_wait(&barrier);
  pthread_barrier_wait(&barrier);
  return unused;
}

static int close_and_go_on(void *library) {
  pthread_t thread;
  pthread_barrier_init(&barrier, NULL, 2);
  pthread_create(&thread, NULL, outliving, NULL);
  char *block = strcpy(their_malloc(100), "kept");
  pthread_barrier_wait(&barrier);
  dlclose(library);
  pthread_barrier_wait(&barrier);
  pthread_join(thread, NULL);
  int status = 1;
  pid_t child = fork();
  if (child == 0) _exit(strcmp(block, "kept"));
  return waitpid(child, &status, 0) != child || status != 0;
}

int main(int count, char **arguments) {
  pthread_t threads[4];
  pthread_barrier_init(&barrier, NULL, 5);
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, worker, NULL);
  void *library = count < 2 ? NULL : dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL);
  if (library == NULL) {
    fprintf(stderr, "%s\n", dlerror());
    return 1;
  }
  their_malloc = (void *(*)(size_t))dlsym(library, "malloc");
  their_free = (void (*)(void *))dlsym(library, "free");
  if (their_malloc == malloc || their_free == free) {
    fprintf(stderr, "the library's malloc is the program's\n");
    return 1;
  }
  pthread_barrier_wait(&barrier);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  return close_and_go_on(library);
}
