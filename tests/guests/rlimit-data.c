// Source: GrapheneOS/hardened_malloc#235 and ulimit -d / systemd LimitDATA=; CPython, which has 1 MiB arenas of its own
// beside malloc. Right: a program whose blocks (3 threads, 390 MiB) and own mappings (120 MiB) together are well below
// RLIMIT_DATA=700 MiB gets all of them, as with the C library.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
static pthread_barrier_t full;
static void *work(void *a) {
  static __thread char *p[300], *m[40];
  const char *bad = 0;
  for (int i = 0; i < 300; i++) {
    p[i] = calloc(1, i * 3000 + 1);
    if (!p[i])
      bad = "malloc";
    else
      memset(p[i], 1, i * 3000);
    if (i % 8 == 0) {
      m[i / 8] = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      if (m[i / 8] == MAP_FAILED)
        bad = "mmap";
      else
        memset(m[i / 8], 1, 1 << 20);
    }
  }
  pthread_barrier_wait(&full);
  for (int i = 0; i < 300; i++) free(p[i]);
  return (void *)bad;
}
static long data(void) {
  FILE *f = fopen("/proc/self/status", "r");
  char b[200];
  long k = 0;
  while (fgets(b, 200, f)) sscanf(b, "VmData: %ld", &k);
  fclose(f);
  return k / 1024;
}
int main(void) {
  free(malloc(100));
  int bad = 0;
  struct rlimit l = {700l << 20, 700l << 20};
  setrlimit(RLIMIT_DATA, &l);
  printf("VmData at start: %ld MiB (limit set after the first malloc)\n", data());
  pthread_t t[3];
  void *r;
  pthread_barrier_init(&full, 0, 3);
  for (int i = 0; i < 3; i++)
    if (pthread_create(&t[i], 0, work, 0)) {
      puts("FAIL thread");
      return 1;
    }
  for (int i = 0; i < 3; i++) {
    pthread_join(t[i], &r);
    if (r) {
      printf("FAIL %s refused in thread %d\n", (char *)r, i);
      bad = 1;
    }
  }
  if (!bad) puts("PASS");
  return bad;
}
