// What 500 threads cost that each hold a block of 8 small sizes (their stacks included).
#include "figures.h"
#include <pthread.h>

enum { THREADS = 500, CLASSES = 8 };

static pthread_barrier_t all_hold, may_end;

static void *worker(void *unused) {
  static const size_t sizes[CLASSES] = {16, 32, 48, 64, 96, 128, 256, 512};
  char *volatile blocks[CLASSES];
  for (int i = 0; i < CLASSES; i++) blocks[i] = memset(malloc(sizes[i]), 1, sizes[i]);
  pthread_barrier_wait(&all_hold);
  pthread_barrier_wait(&may_end);
  for (int i = 0; i < CLASSES; i++) free(blocks[i]);
  return unused;
}

int main(void) {
  static pthread_t threads[THREADS];
  pthread_barrier_init(&all_hold, NULL, THREADS + 1);
  pthread_barrier_init(&may_end, NULL, THREADS + 1);
  free(malloc(100));
  long before = rss_kib();
  for (int i = 0; i < THREADS; i++)
    if (pthread_create(&threads[i], NULL, worker, NULL) != 0) return 2;
  pthread_barrier_wait(&all_hold);
  long after = rss_kib();
  pthread_barrier_wait(&may_end);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  printf("rss_per_thread_kib %.1f\n", (double)(after - before) / THREADS);
  return 0;
}
