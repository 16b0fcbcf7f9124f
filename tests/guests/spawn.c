// Source: jemalloc/jemalloc#1805, gperftools#904, and CPython's subprocess, which calls vfork: children that share the
// parent's memory until they execute another program, and allocate before that, beside threads that allocate. Right: no
// hang, and the parent's blocks are as they were.
#define _GNU_SOURCE
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
static volatile int stop;
static void *busy(void *seed) {
  unsigned s = (long)seed;
  while (!stop) {
    size_t n = rand_r(&s) % 30000;
    char *p = malloc(n);
    if (p) memset(p, 1, n);
    free(p);
  }
  return NULL;
}
static int ended_well(pid_t child) {
  int status;
  return waitpid(child, &status, 0) == child && status == 0;
}
static int by_vfork(char **kept) {
  pid_t child = vfork();
  if (child == 0) {
    char *p = malloc(5000), *q = malloc(3 << 20);
    if (!p || !q) _exit(1);
    memset(p, 2, 5000);
    free(*kept); /* the parent's memory, too */
    *kept = strdup("of the child");
    free(p);
    free(q);
    execl("/bin/true", "true", (char *)NULL);
    _exit(2);
  }
  return child > 0 && ended_well(child) && strcmp(*kept, "of the child") == 0;
}
static int by_spawn(void) {
  pid_t child;
  posix_spawn_file_actions_t actions;
  char *arguments[] = {"true", NULL};
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", 0, 0);
  int error = posix_spawn(&child, "/bin/true", &actions, NULL, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  return error == 0 && ended_well(child);
}
int main(void) {
  pthread_t threads[2];
  char *kept = strdup("of the parent"), *blocks[200];
  for (int i = 0; i < 200; i++) memset(blocks[i] = malloc(100 + i * 37), i, 100 + i * 37);
  for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, busy, (void *)(i + 1));
  for (int i = 0; i < 60; i++) {
    if (!by_vfork(&kept)) return puts("FAIL vfork"), 1;
    if (!by_spawn()) return puts("FAIL posix_spawn"), 1;
    if (i % 10 == 0 && system("exit 0") != 0) return puts("FAIL system"), 1;
  }
  FILE *pipe = popen("echo hello", "r");
  char *line = NULL;
  size_t room = 0;
  if (!pipe || getline(&line, &room, pipe) != 6 || pclose(pipe) != 0) return puts("FAIL popen"), 1;
  free(line);
  stop = 1;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 200; i++) {
    for (int k = 0; k < 100 + i * 37; k++) {
      if (blocks[i][k] != (char)i) return puts("FAIL contents"), 1;
    }
    free(blocks[i]);
  }
  free(kept);
  return 0;
}
