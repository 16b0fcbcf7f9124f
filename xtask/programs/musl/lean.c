// A tool that has 10 MiB live at any time, of blocks that come and go, takes less than three times that, program and all.
#include "../c/check.h"
#include <sys/resource.h>

enum { LIVE_BYTES = 10 << 20, STEPS = 2000000, PLACES = 1 << 16, LIMIT_KIB = 28 << 10 };

static struct {
  unsigned char *bytes;
  size_t size;
} places[PLACES];

static unsigned next_random(unsigned *state) { return *state = *state * 1664525 + 1013904223; }

// Most blocks are small, some are of a few KiB, few of up to 256 KiB.
static size_t random_size(unsigned *state) {
  unsigned kind = next_random(state) >> 24, size = next_random(state) >> 8;
  return 16 + size % (kind < 230 ? 200 : kind < 255 ? 4000 : 256 << 10);
}

int main(void) {
  unsigned state = 1;
  size_t live = 0;
  for (int step = 0; step < STEPS; step++) {
    size_t at = next_random(&state) >> 16;
    live -= places[at].size;
    free(places[at].bytes);
    places[at].bytes = NULL;
    places[at].size = 0;
    size_t size = random_size(&state);
    if (live + size > LIVE_BYTES) continue;
    places[at].bytes = malloc(size);
    CHECK(places[at].bytes != NULL);
    memset(places[at].bytes, step, size);
    places[at].size = size;
    live += size;
  }
  struct rusage usage;
  CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
  printf("%zu KiB live, %ld KiB at most\n", live >> 10, usage.ru_maxrss);
  CHECK(usage.ru_maxrss < LIMIT_KIB);
  return verdict();
}
