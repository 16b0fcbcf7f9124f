// One error with memory each, by name, for memcheck or AddressSanitizer to report; `clean` has none. Every block comes from
// `allocate_it` and is freed by `free_it`, so that reports can be told by these names.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP __attribute__((noinline))

KEEP static volatile char *allocate_it(size_t bytes) { return malloc(bytes); }
KEEP static void free_it(volatile char *block) { free((void *)block); }
KEEP static volatile char *resize_it(volatile char *block, size_t bytes) { return realloc((void *)block, bytes); }

static size_t bytes;

static void use_after_free(void) {
  volatile char *block = allocate_it(bytes);
  block[0] = 1;
  free_it(block);
  (void)block[bytes / 2];
}

static void write_after_free(void) {
  volatile char *block = allocate_it(bytes);
  free_it(block);
  block[0] = 1;
}

static void use_after_realloc(void) {
  volatile char *block = allocate_it(bytes);
  block[0] = 1;
  volatile char *moved = resize_it(block, bytes + 1);
  (void)block[0];
  free_it(moved);
}

static void overrun(void) {
  volatile char *block = allocate_it(bytes);
  block[bytes] = 1;
  free_it(block);
}

static void overrun_after_realloc(void) {
  volatile char *block = resize_it(allocate_it(bytes), bytes + 1);
  block[bytes + 1] = 1;
  free_it(block);
}

static void underrun(void) {
  volatile char *first = allocate_it(bytes), *block = allocate_it(bytes);
  (void)block[-1];
  free_it(first);
  free_it(block);
}

static void uninitialised(void) {
  volatile char *block = allocate_it(bytes);
  if (block[bytes - 1] == 7) puts("seven");
  free_it(block);
}

static void double_free(void) {
  volatile char *block = allocate_it(bytes);
  free_it(block);
  free_it(block);
}

static void wild_free(void) {
  volatile char *block = allocate_it(bytes);
  free_it(block + 16);
  free_it(block);
}

enum { LEAKED = 5 };

KEEP static void leak_some(void) {
  for (int i = 0; i < LEAKED; i++) allocate_it(bytes)[0] = 1;
}

// What lay on the stack or in registers must not look like a pointer to a leaked block.
KEEP static void forget(void) {
  volatile char stack[8192];
  for (size_t i = 0; i < sizeof stack; i++) stack[i] = 0;
}

// The first block of its size is allocated another way than those after it, and would be reported by itself.
static void leak(void) {
  volatile char *first = allocate_it(bytes);
  leak_some();
  forget();
  free_it(first);
}

// All that the interface has, without an error: sizes of all kinds, resizing, zeros, alignments, contents kept.
static void clean(void) {
  enum { COUNT = 300 };
  static unsigned char *blocks[COUNT];
  static size_t sizes[COUNT];
  for (int round = 0; round < 8; round++) {
    for (int i = 0; i < COUNT; i++) {
      size_t size = 1 + (size_t)((i * 37 + round * 1009) % 2000) * (i % 40 == 0 ? 500 : 1);
      if (blocks[i] != NULL && i % 3 == 0) {
        unsigned char first = blocks[i][0];
        blocks[i] = realloc(blocks[i], size);
        if (blocks[i][0] != first) abort();
      } else {
        free(blocks[i]);
        blocks[i] = i % 5 == 0 ? calloc(1, size) : i % 5 == 1 ? aligned_alloc(64, (size + 63) / 64 * 64) : malloc(size);
        if (i % 5 == 0 && (blocks[i][0] | blocks[i][size - 1]) != 0) abort();
      }
      memset(blocks[i], i, size);
      sizes[i] = size;
    }
    for (int i = 0; i < COUNT; i++)
      if (blocks[i][sizes[i] - 1] != (i & 255)) abort();
  }
  for (int i = 0; i < COUNT; i++) free(blocks[i]);
}

// A heap's end is the end of its blocks, for valgrind too.
struct heap;
__attribute__((weak)) struct heap *mi_heap_new(void);
__attribute__((weak)) void *mi_heap_malloc(struct heap *, size_t);
__attribute__((weak)) void mi_heap_destroy(struct heap *);

KEEP static volatile char *end_heap(size_t one_more) {
  struct heap *heap = mi_heap_new();
  for (int i = 0; i < 40; i++) memset(mi_heap_malloc(heap, bytes + (size_t)i), 1, bytes);
  volatile char *last = mi_heap_malloc(heap, one_more);
  mi_heap_destroy(heap);
  return last;
}

static void clean_heaps(void) {
  for (int i = 0; i < 20; i++) end_heap(bytes);
}

static void use_after_destroy(void) { (void)end_heap(bytes)[0]; }

static const struct {
  const char *name;
  void (*act)(void);
} acts[] = {
    {"clean", clean},
    {"use-after-free", use_after_free},
    {"write-after-free", write_after_free},
    {"use-after-realloc", use_after_realloc},
    {"overrun", overrun},
    {"overrun-after-realloc", overrun_after_realloc},
    {"underrun", underrun},
    {"uninitialised", uninitialised},
    {"double-free", double_free},
    {"wild-free", wild_free},
    {"leak", leak},
    {"clean-heaps", clean_heaps},
    {"use-after-destroy", use_after_destroy},
};

// errors NAME BYTES
int main(int count, char **arguments) {
  if (count < 3) return 2;
  bytes = strtoul(arguments[2], NULL, 10);
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
    if (strcmp(acts[i].name, arguments[1]) == 0) {
      acts[i].act();
      return 0;
    }
  }
  return 2;
}
