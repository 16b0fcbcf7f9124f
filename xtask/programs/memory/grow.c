// One block grown from 1 MiB to 1 GiB in steps of 1.25, all of it written and kept, against touching 1 GiB once.
#define _GNU_SOURCE
#include "figures.h"
#include <stdint.h>
#include <sys/mman.h>

#define START ((size_t)1 << 20)
#define END ((size_t)1 << 30)
#define WORDS_PER_OS_PAGE 512

static double time_of_touching(void) {
  double start = now_seconds();
  char *memory = mmap(NULL, END, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(memory, 1, END);
  double end = now_seconds();
  munmap(memory, END);
  return end - start;
}

static size_t next_size(size_t size) { return size + size / 4 < END ? size + size / 4 : END; }

static uint64_t *grow(void) {
  char *block = malloc(START);
  memset(block, 1, START);
  for (size_t size = START; size < END;) {
    size_t more = next_size(size);
    block = realloc(block, more);
    memset(block + size, 1, more - size);
    size = more;
  }
  return (uint64_t *)block;
}

static int intact(const uint64_t *block) {
  for (size_t word = 0; word < END / sizeof *block; word += WORDS_PER_OS_PAGE)
    if (block[word] != 0x0101010101010101) return 0;
  return 1;
}

int main(void) {
  double start = now_seconds();
  uint64_t *block = grow();
  double grown = now_seconds() - start;
  long peak = peak_rss_kib();
  if (!intact(block)) return 1;
  free(block);
  double touched = time_of_touching();
  printf("grow_peak_rss_mib %.1f\ngrow_ms %.2f\ntouch_ms %.2f\n", peak / 1024.0, grown * 1e3, touched * 1e3);
  return 0;
}
