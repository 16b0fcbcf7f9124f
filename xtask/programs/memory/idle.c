// Workers of a pool that wait after a burst, each having said so; all that they have freed is to be gone, though nobody calls the
// allocator any more. One in four keeps a block of each of eight sizes. And before that 600 threads in a row, which leave nothing live.
#include "figures.h"
#include <dlfcn.h>
#include <pthread.h>

enum { WORKERS = 200, BLOCKS = 2000, ROUNDS = 3, KEPT = 8, ROW = 600 };

static pthread_barrier_t all_wait, may_end;
static void (*on_thread_idle)(void);
static void (*collect)(_Bool);

static void burst(unsigned long long state, char **kept) {
  char **blocks = malloc(BLOCKS * sizeof *blocks);
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BLOCKS; i++) {
      state ^= state << 13, state ^= state >> 7, state ^= state << 17;
      size_t size = 16 << state % 9;
      size += state / 16 % size;
      blocks[i] = memset(malloc(size), 1, size);
    }
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  }
  free(blocks);
  for (int i = 0; kept != NULL && i < KEPT; i++) kept[i] = memset(malloc(16 << i), 1, 16 << i);
}

static void *worker(void *number) {
  char *kept[KEPT];
  int keeps = (size_t)number % 4 == 0;
  burst(88172645463325252ull + (size_t)number * 7919, keeps ? kept : NULL);
  if ((size_t)number % 2 == 0) on_thread_idle();
  else collect(0);
  pthread_barrier_wait(&all_wait);
  pthread_barrier_wait(&may_end);
  for (int i = 0; keeps && i < KEPT; i++) free(kept[i]);
  return number;
}

static void *short_thread(void *number) {
  burst(88172645463325252ull + (size_t)number * 7919, NULL);
  return number;
}

int main(void) {
  static pthread_t threads[WORKERS];
  *(void **)&on_thread_idle = dlsym(RTLD_DEFAULT, "mi_on_thread_idle");
  *(void **)&collect = dlsym(RTLD_DEFAULT, "mi_collect");
  if (on_thread_idle == NULL || collect == NULL) return 1;
  pthread_barrier_init(&all_wait, NULL, WORKERS + 1);
  pthread_barrier_init(&may_end, NULL, WORKERS + 1);
  free(malloc(100));
  long before = rss_kib();
  for (size_t i = 0; i < ROW; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, short_thread, (void *)i) != 0) return 2;
    pthread_join(thread, NULL);
  }
  printf("left_of_600_threads_kib %ld\n", rss_kib() - before);
  on_thread_idle();
  before = rss_kib();
  for (size_t i = 0; i < WORKERS; i++)
    if (pthread_create(&threads[i], NULL, worker, (void *)i) != 0) return 2;
  pthread_barrier_wait(&all_wait);
  printf("parked_worker_kib %.1f\n", (double)(rss_kib() - before) / WORKERS);
  pthread_barrier_wait(&may_end);
  for (int i = 0; i < WORKERS; i++) pthread_join(threads[i], NULL);
  return 0;
}
