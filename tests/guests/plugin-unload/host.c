// Loads a plugin 150 times, each time with three threads that use it and live on after it has been unloaded.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int (*work)(int);
static pthread_barrier_t used, unloaded;
static void *thread(void *a) {
  int r = work((long)a);
  pthread_barrier_wait(&used);
  pthread_barrier_wait(&unloaded);
  free(malloc(100));
  return (void *)(long)r;
}
static int count(int what) {
  FILE *f = fopen(what ? "/proc/self/maps" : "/proc/self/statm", "r");
  int n = 0;
  char b[4096];
  if (what) {
    while (fgets(b, sizeof b, f)) n++;
  } else {
    long v, r;
    if (fscanf(f, "%ld %ld", &v, &r)) {
    }
    n = r / 256;
  }
  fclose(f);
  return n;
}
int main(int c, char **v) {
  int maps = 0, mib = 0;
  for (int i = 0; i < 150; i++) {
    void *h = dlopen(v[1], RTLD_NOW | RTLD_LOCAL);
    if (!h) {
      printf("FAIL dlopen %d: %s\n", i, dlerror());
      return 1;
    }
    work = (int (*)(int))dlsym(h, "work");
    pthread_t t[3];
    void *r;
    pthread_barrier_init(&used, 0, 4);
    pthread_barrier_init(&unloaded, 0, 4);
    for (long k = 0; k < 3; k++) pthread_create(&t[k], 0, thread, (void *)(k + 7));
    if (work(5)) return 1;
    pthread_barrier_wait(&used);
    dlclose(h);
    pthread_barrier_wait(&unloaded);
    for (int k = 0; k < 3; k++) {
      pthread_join(t[k], &r);
      if (r) {
        puts("FAIL work");
        return 1;
      }
    }
    if (i == 20) {
      maps = count(1);
      mib = count(0);
    }
  }
  int m2 = count(1), r2 = count(0);
  if (m2 > maps + 40 || r2 > mib + 60) {
    printf("FAIL grows: mappings %d -> %d, resident %d -> %d MiB (loads 20 -> 150)\n", maps, m2, mib, r2);
    return 1;
  }
  printf("mappings %d -> %d, resident %d -> %d MiB\n", maps, m2, mib, r2);
  puts("PASS");
  return 0;
}
