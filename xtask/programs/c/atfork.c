// Fork handlers of the program that allocate, free, and wait for threads that do: registered before `main`, more of
// them than
// the C library has room for without `malloc`, and later. They run outside of the allocator's own, so nothing waits
// for ever.
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

static void *work(void *unused) {
  (void)unused;
  for (int i = 0; i < 100; i++) {
    void *small = malloc(i * 300), *large = calloc(1, 70000);
    free(small);
    free(large);
  }
  return malloc(500);
}

static void team(void) {
  pthread_t thread;
  void *left = NULL;
  if (pthread_create(&thread, NULL, work, NULL) != 0) abort();
  pthread_join(thread, &left);
  free(left);
  free(work(NULL));
}

static void alone(void) { free(work(NULL)); }

static void register_handlers(int count) {
  for (int i = 0; i < count; i++)
    if (pthread_atfork(i % 8 ? alone : team, alone, i % 8 ? alone : team) != 0) abort();
}

__attribute__((constructor(101))) static void before_main(void) { register_handlers(60); }

static volatile int ends;

static void *busy(void *unused) {
  while (!ends) free(work(unused));
  return NULL;
}

static int child(void) {
  char *block = malloc(100000);
  if (block == NULL) return 1;
  memset(block, 2, 100000);
  team();
  free(block);
  pid_t grandchild = fork();
  if (grandchild == 0) _exit(0);
  int status = -1;
  waitpid(grandchild, &status, 0);
  return status != 0;
}

int main(void) {
  alarm(60);
  register_handlers(5);
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) CHECK(pthread_create(&threads[i], NULL, busy, NULL) == 0);
  for (int i = 0; i < 8; i++) {
    int status = -1;
    pid_t one = fork();
    if (one == 0) _exit(child());
    waitpid(one, &status, 0);
    CHECK(status == 0);
  }
  ends = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  return verdict();
}
