// What every caller of malloc relies on: alignment, usable size, zeroes, kept contents; sizes 0 … 100 MiB.
#define _GNU_SOURCE
#include "check.h"
#include <malloc.h>

#define MAX_SIZE ((size_t)100 << 20)

static size_t next_size(size_t size) { return size + 1 + size / 7; }
static int aligned(const void *pointer, size_t alignment) { return ((uintptr_t)pointer & (alignment - 1)) == 0; }

static int all_zero(const unsigned char *block, size_t size) {
  return size == 0 || (block[0] == 0 && memcmp(block, block + 1, size - 1) == 0);
}

// Writes the ends of a block, where neighbours would notice.
static void write_ends(unsigned char *block, size_t size) {
  size_t end = size < 64 ? size : 64;
  memset(block, 0xa5, end);
  memset(block + size - end, 0xa5, end);
}

static void plain(void) {
  for (size_t size = 0; size <= MAX_SIZE; size = next_size(size)) {
    unsigned char *block = malloc(size);
    CHECK(block != NULL);
    CHECK(aligned(block, size <= 8 ? 8 : 16));
    CHECK(malloc_usable_size(block) >= size);
    write_ends(block, malloc_usable_size(block));
    free(block);
  }
}

// A block that was dirty a moment ago comes back as zeroes.
static void zeroed(void) {
  for (size_t size = 1; size <= MAX_SIZE / 4; size = next_size(size)) {
    unsigned char *dirty = malloc(size);
    memset(dirty, 0xff, size);
    free(dirty);
    unsigned char *block = calloc(1, size);
    CHECK(block != NULL && all_zero(block, size));
    free(block);
  }
}

static void grown_and_shrunk(void) {
  unsigned char *block = NULL;
  size_t written = 0;
  for (size_t size = 1; size <= MAX_SIZE; size = next_size(size)) {
    block = realloc(block, size);
    CHECK(block != NULL);
    for (; written < size; written++) block[written] = (unsigned char)(written * 31 >> 3);
  }
  for (size_t size = written; size > 0; size /= 3) {
    block = realloc(block, size);
    for (size_t k = 0; k < size; k += 1 + size / 1000) CHECK(block[k] == (unsigned char)(k * 31 >> 3));
  }
  free(block);
}

static void aligned_block(size_t alignment, size_t size) {
  void *block = NULL;
  CHECK(posix_memalign(&block, alignment, size) == 0);
  CHECK(block != NULL && aligned(block, alignment));
  CHECK(malloc_usable_size(block) >= size);
  if (size > 0) write_ends(block, size);
  void *moved = realloc(block, size * 2 + 1);
  CHECK(moved != NULL);
  free(moved);
}

static void aligned_blocks(void) {
  size_t sizes[] = {0, 1, 100, 5000, 70000, 600000, 5 << 20};
  for (size_t alignment = sizeof(void *); alignment <= (size_t)64 << 20; alignment *= 2)
    for (int i = 0; i < 7; i++) aligned_block(alignment, sizes[i]);
  for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
    void *block = aligned_alloc(alignment, 24);
    CHECK(block != NULL && aligned(block, alignment));
    free(block);
  }
}

static void nothing(void) {
  void *first = malloc(0), *second = malloc(0);
  CHECK(first != NULL && second != NULL && first != second);
  free(first);
  second = realloc(second, 0);
  CHECK(second != NULL);
  free(second);
  void *zero = calloc(0, 0);
  CHECK(zero != NULL);
  free(zero);
  CHECK(malloc_usable_size(NULL) == 0);
}

int main(void) {
  plain();
  zeroed();
  grown_and_shrunk();
  aligned_blocks();
  nothing();
  return verdict();
}
