// What the stress programs share: random sizes, filled blocks, and how large the process is.
#pragma once
#define _GNU_SOURCE
#include "../c/check.h"
#include <pthread.h>
#include <unistd.h>

static inline unsigned next_random(unsigned *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

// Every order of magnitude up to 64 KiB is as likely.
static inline size_t random_size(unsigned *state) {
  unsigned bits = next_random(state) % 17;
  return 1 + next_random(state) % (1u << bits);
}

struct filled {
  unsigned char *bytes;
  size_t size;
};

static inline struct filled filled(unsigned *state) {
  struct filled block = {NULL, random_size(state)};
  block.bytes = malloc(block.size);
  if (block.bytes != NULL) memset(block.bytes, (int)(block.size & 255), block.size);
  return block;
}

static inline int is_intact(struct filled block) {
  for (size_t k = 0; k < block.size; k += 1 + block.size / 16)
    if (block.bytes[k] != (block.size & 255)) return 0;
  return 1;
}

// How much the resident set may grow. AddressSanitizer's shadow of freed memory and its records of threads are in it, too.
#ifdef __SANITIZE_ADDRESS__
enum { KIB_MORE = 96 << 10 };
#else
enum { KIB_MORE = 24 << 10 };
#endif

struct footprint {
  long mappings, resident_kib;
};

// The streams and their buffers are gone again when it returns.
static inline struct footprint footprint(void) {
  struct footprint now = {0, 0};
  static char text[1 << 16];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (fgets(text, sizeof text, maps) != NULL) now.mappings++;
  fclose(maps);
  FILE *statm = fopen("/proc/self/statm", "r");
  long total, resident;
  if (fscanf(statm, "%ld %ld", &total, &resident) == 2) now.resident_kib = resident * (sysconf(_SC_PAGESIZE) / 1024);
  fclose(statm);
  return now;
}
