// Eight threads keep 40,000 blocks of 592 B each, and replace the oldest; what they replace goes through a ring to one
// thread, which frees it. 181 MiB are live, and up to 296 wait in the rings.
#include "figures.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

enum { PRODUCERS = 8, LIVE = 40000, RING = 1 << 16, BYTES = 592, SECONDS = 3 };

static struct ring {
  _Atomic size_t head __attribute__((aligned(64))), tail __attribute__((aligned(64)));
  char *blocks[RING];
} rings[PRODUCERS];

static atomic_int stop;

static void *produce(void *argument) {
  struct ring *ring = argument;
  char **live = calloc(LIVE, sizeof *live);
  for (size_t n = 0; live != NULL && !stop; n++) {
    char **oldest = &live[n % LIVE];
    if (*oldest != NULL) {
      while (ring->head - ring->tail == RING && !stop) sched_yield();
      if (stop) break;
      ring->blocks[ring->head % RING] = *oldest;
      ring->head++;
    }
    *oldest = memset(malloc(BYTES), 1, BYTES);
  }
  return NULL;
}

int main(void) {
  pthread_t threads[PRODUCERS];
  for (int i = 0; i < PRODUCERS; i++)
    if (pthread_create(&threads[i], NULL, produce, &rings[i]) != 0) return 2;
  for (double end = now_seconds() + SECONDS; now_seconds() < end;)
    for (int i = 0; i < PRODUCERS; i++)
      for (size_t left = rings[i].head - rings[i].tail; left > 0; left--) {
        free(rings[i].blocks[rings[i].tail % RING]);
        rings[i].tail++;
      }
  stop = 1;
  for (int i = 0; i < PRODUCERS; i++) pthread_join(threads[i], NULL);
  printf("producers_peak_mib %.0f\n", peak_rss_kib() / 1024.0);
  return 0;
}
