// Loads a plugin into two namespaces beside its own, and uses all three.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
static int (*work[3])(int);
static void *thread(void *name) {
  long n = (long)name, bad = 0;
  for (int i = 0; i < 3; i++) bad |= work[i](n + i);
  free(malloc(100));
  return (void *)bad;
}
int main(int count, char **arguments) {
  void *plugin[3];
  for (int i = 0; i < 3; i++) {
    plugin[i] = dlmopen(i == 0 ? LM_ID_BASE : LM_ID_NEWLM, arguments[1], RTLD_NOW | RTLD_LOCAL);
    if (!plugin[i]) return printf("FAIL dlmopen %d: %s\n", i, dlerror()), 1;
    work[i] = (int (*)(int))dlsym(plugin[i], "work");
  }
  for (int round = 0; round < 5; round++) {
    pthread_t threads[4];
    for (long i = 0; i < 4; i++) pthread_create(&threads[i], NULL, thread, (void *)(i + 3));
    if (thread((void *)5)) return puts("FAIL work"), 1;
    for (int i = 0; i < 4; i++) {
      void *bad;
      pthread_join(threads[i], &bad);
      if (bad) return puts("FAIL work of a thread"), 1;
    }
  }
  for (int i = 0; i < 3; i++) dlclose(plugin[i]);
  free(malloc(1000));
  return 0;
}
