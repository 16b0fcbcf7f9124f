// Fork handlers that allocate, and teams of threads in them.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static char *held;
static void *thread(void *a) {
  for (int i = 0; i < 200; i++) {
    void *p = malloc(i * 300), *q = calloc(1, 70000);
    free(p);
    free(q);
  }
  return malloc(500);
}
static void some(void) {
  char *p = malloc(5 << 20);
  if (!p) abort();
  memset(p, 1, 1 << 16);
  free(p);
  void *v[300];
  for (int i = 0; i < 300; i++) v[i] = malloc(i * 9);
  for (int i = 0; i < 300; i++) free(v[i]);
  free(held);
  held = strdup("between handlers");
  if (!held) abort();
}
static void team(void) {
  pthread_t t[2];
  void *r;
  some();
  for (int i = 0; i < 2; i++)
    if (pthread_create(&t[i], 0, thread, 0)) abort();
  for (int i = 0; i < 2; i++) {
    pthread_join(t[i], &r);
    free(r);
  }
}
void early_register(int n) {
  for (int i = 0; i < n; i++)
    if (pthread_atfork(i % 8 ? some : team, some, i % 8 ? some : team)) abort();
}
#ifdef CTOR
__attribute__((constructor(101))) static void ctor(void) { early_register(CTOR); }
#endif
