// Pages in which a few blocks are left. What `malloc_trim` leaves resident of them, in the pages of a thread that goes on and
// in those of threads that have ended.
#include "figures.h"
#include <malloc.h>
#include <pthread.h>

#define BLOCKS 400000
#define BLOCK_BYTES 512
#define EVERY 20
#define MIXED 60000
#define THREADS 4

static char *blocks[BLOCKS];
static char *mixed[MIXED];
static size_t sizes[MIXED];

static unsigned long long state = 88172645463325252ull;
static unsigned random_below(unsigned bound) {
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return (unsigned)((state >> 32) % bound);
}

static void keep_one_in_twenty(int from, int end) {
  for (int i = from; i < end; i++) blocks[i] = memset(malloc(BLOCK_BYTES), 1 + i % 100, BLOCK_BYTES);
  for (int i = from; i < end; i++)
    if (i % EVERY != 0) free(blocks[i]);
}

static void *part(void *number) {
  int part = (int)(long)number;
  keep_one_in_twenty(BLOCKS / THREADS * part, BLOCKS / THREADS * (part + 1));
  return NULL;
}

static void check_and_free(int count) {
  for (int i = 0; i < count; i += EVERY) {
    for (int at = 0; at < BLOCK_BYTES; at++)
      if (blocks[i][at] != 1 + i % 100) abort();
    free(blocks[i]);
  }
  malloc_trim(0);
}

int main(void) {
  long start = rss_kib();
  keep_one_in_twenty(0, BLOCKS);
  malloc_trim(0);
  printf("one_in_20_kib %ld\n", rss_kib() - start);
  check_and_free(BLOCKS);

  // A quarter of that, without a call: the thread goes on with other work, for at most so many seconds.
  keep_one_in_twenty(0, BLOCKS / 4);
  double end = now_seconds() + 9;
  while (now_seconds() < end && rss_kib() - start > 28 << 10) {
    char *others[300];
    for (int i = 0; i < 300; i++) others[i] = malloc(1000 + i);
    for (int i = 0; i < 300; i++) free(others[i]);
  }
  printf("one_in_20_by_ticks_kib %ld\n", rss_kib() - start);
  check_and_free(BLOCKS / 4);

  pthread_t threads[THREADS];
  for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, part, (void *)i);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  malloc_trim(0);
  printf("one_in_20_of_ended_threads_kib %ld\n", rss_kib() - start);
  check_and_free(BLOCKS);

  // Up to 8 KiB each; one in twenty stays.
  long live = 0;
  for (int i = 0; i < MIXED; i++) sizes[i] = 16 + random_below(8 << 10), mixed[i] = memset(malloc(sizes[i]), 1, sizes[i]);
  for (int i = 0; i < MIXED; i++) {
    if (random_below(EVERY) == 0) live += (long)sizes[i];
    else free(mixed[i]);
  }
  malloc_trim(0);
  printf("mixed_survivors_kib %ld\n", rss_kib() - start);
  printf("mixed_live_kib %ld\n", live >> 10);
  return 0;
}
