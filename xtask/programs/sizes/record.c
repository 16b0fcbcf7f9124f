// A preload library that records what sizes a program asks for: of all blocks, and of those in use when most bytes were.
// At the end it writes lines `SIZE TOTAL PEAK` for sizes up to 512 KiB to $SIZES.PID.
//
// Each block has 16 bytes before it, which say where the C library's block begins and what was asked for.
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void __libc_free(void *);

enum { LARGEST = 512 << 10, HEADER = 16 };

typedef struct {
  void *begins;
  size_t size;
} header;

static _Atomic uint32_t total[LARGEST + 1], live[LARGEST + 1];
static uint32_t peak[LARGEST + 1];
static _Atomic size_t live_bytes;
static size_t peak_bytes;
static atomic_flag copying = ATOMIC_FLAG_INIT;

// The peak is followed in steps of a sixteenth, as each copies the whole table.
static void note_peak(size_t bytes) {
  if (bytes < peak_bytes + peak_bytes / 16 + 4096 || atomic_flag_test_and_set(&copying)) return;
  peak_bytes = bytes;
  for (size_t size = 0; size <= LARGEST; size++) peak[size] = live[size];
  atomic_flag_clear(&copying);
}

static header *header_of(void *block) { return (header *)((char *)block - HEADER); }

static void *note(void *begins, void *block, size_t size) {
  *header_of(block) = (header){begins, size};
  if (size <= LARGEST) {
    total[size]++;
    live[size]++;
    note_peak(atomic_fetch_add(&live_bytes, size) + size);
  }
  return block;
}

void *malloc(size_t size) {
  char *begins = size <= PTRDIFF_MAX - HEADER ? __libc_malloc(size + HEADER) : 0;
  if (!begins) errno = ENOMEM;
  return begins ? note(begins, begins + HEADER, size) : 0;
}

void *calloc(size_t count, size_t size) {
  size_t bytes;
  char *begins = 0;
  if (!__builtin_mul_overflow(count, size, &bytes) && bytes <= PTRDIFF_MAX - HEADER) begins = __libc_calloc(1, bytes + HEADER);
  if (!begins) errno = ENOMEM;
  return begins ? note(begins, begins + HEADER, bytes) : 0;
}

void free(void *block) {
  if (!block) return;
  int before = errno;
  header h = *header_of(block);
  if (h.size <= LARGEST) {
    live[h.size]--;
    atomic_fetch_sub(&live_bytes, h.size);
  }
  __libc_free(h.begins);
  errno = before;
}

void *realloc(void *block, size_t size) {
  if (!block) return malloc(size);
  if (!size) return free(block), NULL;
  void *moved = malloc(size);
  if (!moved) return 0;
  size_t old = header_of(block)->size;
  memcpy(moved, block, old < size ? old : size);
  free(block);
  return moved;
}

void *memalign(size_t align, size_t size) {
  if (align <= HEADER) return malloc(size);
  char *begins = size <= PTRDIFF_MAX / 2 && align <= PTRDIFF_MAX / 4 ? __libc_malloc(size + align + HEADER) : 0;
  if (!begins) return errno = ENOMEM, NULL;
  return note(begins, (void *)(((uintptr_t)begins + HEADER + align - 1) & -align), size);
}

void *aligned_alloc(size_t align, size_t size) { return memalign(align, size); }
void *valloc(size_t size) { return memalign(4096, size); }
void *pvalloc(size_t size) { return memalign(4096, (size + 4095) & -4096); }
size_t malloc_usable_size(void *block) { return block ? header_of(block)->size : 0; }

int posix_memalign(void **block, size_t align, size_t size) {
  int before = errno;
  void *p = memalign(align, size);
  errno = before;
  if (p) *block = p;
  return p ? 0 : ENOMEM;
}

__attribute__((destructor)) static void write_down(void) {
  char name[4096];
  const char *base = getenv("SIZES");
  if (!base || snprintf(name, sizeof name, "%s.%d", base, getpid()) >= (int)sizeof name) return;
  FILE *file = fopen(name, "w");
  if (!file) return;
  for (size_t size = 0; size <= LARGEST; size++)
    if (total[size]) fprintf(file, "%zu %u %u\n", size, (unsigned)total[size], peak[size]);
  fclose(file);
}
