// Threads in a row leave little resident memory, also when destructors of theirs allocate in the last round that the C
// library
// has for them.
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>

static pthread_key_t keys[3];

static long resident_kib(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &resident) == 2);
  if (file != NULL) fclose(file);
  return resident * 4;
}

static void *many_sizes(void *unused) {
  void *blocks[400];
  for (int i = 0; i < 400; i++) {
    blocks[i] = malloc(16 + i * 37);
    memset(blocks[i], 1, 16 + i * 37);
  }
  for (int i = 0; i < 400; i++) free(blocks[i]);
  void *large = malloc(1000000);
  memset(large, 1, 1000000);
  free(large);
  return unused;
}

static void destructor(void *value) {
  for (int i = 1; i < 60; i++) {
    void *block = malloc(i * 97);
    memset(block, 1, i * 97);
    free(block);
  }
  // Again in the next round, if there is one: the value is the key's number, plus one.
  pthread_setspecific(keys[(size_t)value - 1], value);
}

static void *with_destructors(void *unused) {
  free(malloc(100));
  for (size_t i = 0; i < 3; i++) pthread_setspecific(keys[i], (void *)(i + 1));
  return unused;
}

static void run(void *(*start)(void *), int threads) {
  for (int i = 0; i < threads; i++) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, start, NULL) == 0);
    pthread_join(thread, NULL);
  }
}

int main(void) {
  // The allocator's key comes before ours, and so its destructor.
  free(malloc(100));
  for (int i = 0; i < 3; i++) CHECK(pthread_key_create(&keys[i], destructor) == 0);
  run(with_destructors, 100);
  long before = resident_kib();
  run(with_destructors, 1500);
  long after = resident_kib();
  printf("destructors: %ld -> %ld KiB\n", before, after);
  CHECK(after < before + 2048);
  run(many_sizes, 600);
  printf("600 threads leave %ld KiB\n", resident_kib());
  CHECK(resident_kib() < 12 << 10);
  return verdict();
}
