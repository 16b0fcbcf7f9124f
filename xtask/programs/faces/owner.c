// Allocates in several threads, and checks that `malloc` is the one of the library (or program) that argument 1 names.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int same_file(const char *one, const char *other) {
  struct stat first, second;
  return stat(one, &first) == 0 && stat(other, &second) == 0 && first.st_ino == second.st_ino && first.st_dev == second.st_dev;
}

static void *worker(void *unused) {
  char *blocks[100] = {0};
  for (int i = 0; i < 100000; i++) {
    free(blocks[i % 100]);
    blocks[i % 100] = memset(malloc(i % 2000 + 1), 1, i % 2000 + 1);
  }
  for (int i = 0; i < 100; i++) free(blocks[i]);
  return unused;
}

int main(int count, char **arguments) {
  Dl_info info;
  if (count < 2 || dladdr((void *)malloc, &info) == 0) return 2;
  if (!same_file(info.dli_fname, arguments[1])) {
    fprintf(stderr, "malloc is in %s, not in %s\n", info.dli_fname, arguments[1]);
    return 1;
  }
  pthread_t threads[4];
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, worker, NULL);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  return 0;
}
