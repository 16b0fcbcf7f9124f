// Out of memory under a limit that holds from the start: null and ENOMEM, everything intact, recovery.
// Arguments: threads, and how many MiB they must get together before memory runs out.
#include "oom.h"
#include <pthread.h>
#include <stdatomic.h>

static atomic_size_t total;
static pthread_barrier_t barrier;

static void refused_growth(struct block *list) {
  for (int tries = 0; list != NULL && tries < 5; tries++, list = list->next) {
    errno = 0;
    CHECK(realloc(list, (size_t)8 << 30) == NULL);
    CHECK(errno == ENOMEM);
  }
}

static void *worker(void *unused) {
  size_t got = 0, again = 0, third = 0;
  struct block *list = fill(NULL, &got);
  total += got;
  check_all(list);
  refused_growth(list);
  pthread_barrier_wait(&barrier);
  list = release(list, EVERY_SECOND);
  check_all(list);
  list = fill(list, &again);
  CHECK(again > 0);
  check_all(list);
  pthread_barrier_wait(&barrier);
  release(list, ALL);
  pthread_barrier_wait(&barrier);
  list = fill(NULL, &third);
  pthread_barrier_wait(&barrier);
  check_all(list);
  release(list, ALL);
  if (got > 0) CHECK(third > 0);
  return unused;
}

int main(int count, char **arguments) {
  int threads = count > 1 ? atoi(arguments[1]) : 1;
  size_t wanted = (size_t)(count > 2 ? atoi(arguments[2]) : 1) << 20;
  static pthread_t ids[64];
  pthread_barrier_init(&barrier, NULL, threads);
  pthread_attr_t small_stack;
  pthread_attr_init(&small_stack);
  pthread_attr_setstacksize(&small_stack, 256 << 10);
  for (int i = 0; i < threads; i++) CHECK(pthread_create(&ids[i], &small_stack, worker, NULL) == 0);
  for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  fprintf(stderr, "%d threads got %zu MiB\n", threads, total >> 20);
  CHECK(total >= wanted);
  return verdict();
}
