/* Aligned allocation: every size with every alignment, with and without an offset. */
#include "check.h"

static const size_t SIZES[] = {0, 1, 7, 16, 100, 1000, 5000, 70000, 1000000};
static const size_t ALIGNMENTS[] = {1, 2, 8, 16, 32, 64, 256, 4096, 65536, 1 << 20, 8 << 20};
#define EACH(i, array) for (size_t i = 0; i < sizeof(array) / sizeof(*array); i++)

static void check_block(void* p, size_t size, size_t alignment, size_t offset) {
  CHECK(p != NULL);
  CHECK(is_aligned((char*)p + offset, alignment));
  CHECK(mi_usable_size(p) >= size);
  CHECK(mi_any_heap_contains(p));
}

static void test_plain(void) {
  EACH(i, SIZES) EACH(j, ALIGNMENTS) {
    size_t size = SIZES[i], alignment = ALIGNMENTS[j];
    void* p = mi_malloc_aligned(size, alignment);
    check_block(p, size, alignment, 0);
    CHECK(holds(p, 0xEE, size));
    void* z = mi_zalloc_aligned(size, alignment);
    check_block(z, size, alignment, 0);
    CHECK(all_bytes(z, 0, size));
    void* c = mi_calloc_aligned(size, 3, alignment);
    check_block(c, size * 3, alignment, 0);
    CHECK(all_bytes(c, 0, size * 3));
    CHECK(all_bytes(p, 0xEE, size));
    mi_free(p);
    mi_free_aligned(z, alignment);
    mi_free_size_aligned(c, size * 3, alignment);
  }
}

static void test_offset(void) {
  static const size_t OFFSETS[] = {0, 1, 8, 24, 100, 4096};
  EACH(i, SIZES) EACH(j, ALIGNMENTS) EACH(k, OFFSETS) {
    size_t size = SIZES[i], alignment = ALIGNMENTS[j], offset = OFFSETS[k];
    if (alignment > 65536 || offset > size) continue; /* the reference has no offset with huge alignment */
    void* p = mi_malloc_aligned_at(size, alignment, offset);
    check_block(p, size, alignment, offset);
    CHECK(holds(p, 0xDD, size));
    void* z = mi_zalloc_aligned_at(size, alignment, offset);
    check_block(z, size, alignment, offset);
    CHECK(all_bytes(z, 0, size));
    void* c = mi_calloc_aligned_at(2, size, alignment, offset);
    check_block(c, 2 * size, alignment, offset);
    CHECK(all_bytes(c, 0, 2 * size));
    mi_free(p);
    mi_free(z);
    mi_free(c);
  }
}

static void test_realloc(void) {
  EACH(j, ALIGNMENTS) {
    size_t alignment = ALIGNMENTS[j], old = 1;
    char* p = (char*)mi_realloc_aligned(NULL, 1, alignment);
    CHECK(holds(p, 0x11, 1));
    EACH(i, SIZES) {
      size_t size = SIZES[i] + 1;
      p = (char*)mi_realloc_aligned(p, size, alignment);
      check_block(p, size, alignment, 0);
      CHECK(all_bytes(p, 0x11, old));
      memset(p, 0x11, size);
      old = size;
    }
    mi_free(p);
  }
}

static void test_realloc_at(void) {
  char* p = (char*)mi_realloc_aligned_at(NULL, 100, 64, 24);
  check_block(p, 100, 64, 24);
  memset(p, 0x22, 100);
  p = (char*)mi_realloc_aligned_at(p, 10000, 64, 24);
  check_block(p, 10000, 64, 24);
  CHECK(all_bytes(p, 0x22, 100));
  p = (char*)mi_realloc_aligned_at(p, 50, 64, 24);
  check_block(p, 50, 64, 24);
  CHECK(all_bytes(p, 0x22, 50));
  mi_free(p);
}

static void test_refused(void) {
  void* volatile p;
  static const size_t BAD[] = {0, 3, 24, 100};
  EACH(i, BAD) {
    size_t bad = opaque(BAD[i]);
    CHECK((p = mi_malloc_aligned(100, bad)) == NULL);
    CHECK((p = mi_zalloc_aligned(100, bad)) == NULL);
    CHECK((p = mi_malloc_aligned_at(100, bad, 8)) == NULL);
    CHECK((p = mi_calloc_aligned(10, 10, bad)) == NULL);
  }
  CHECK((p = mi_malloc_aligned(TOO_LARGE, 64)) == NULL);
  CHECK((p = mi_calloc_aligned(HALF_COUNT, 4, 64)) == NULL);
  CHECK((p = mi_calloc_aligned_at(HALF_COUNT, 4, 64, 8)) == NULL);
  char* kept = (char*)mi_malloc_aligned(100, 64);
  memset(kept, 1, 100);
  CHECK((p = mi_realloc_aligned(kept, TOO_LARGE, 64)) == NULL);
  CHECK(all_bytes(kept, 1, 100));
  mi_free(kept);
}

/* Blocks of one page at a shifted start are blocks like others: resize and free them by any name. */
static void test_mixed(void) {
  void* p = mi_malloc_aligned_at(1000, 256, 40);
  memset(p, 0x33, 1000);
  p = mi_realloc(p, 3000);
  CHECK(p != NULL && all_bytes(p, 0x33, 1000));
  mi_free(p);
  p = mi_malloc(40);
  p = mi_realloc_aligned(p, 40, 4096);
  CHECK(is_aligned(p, 4096));
  free(p);
}

int main(void) {
  test_plain();
  test_offset();
  test_realloc();
  test_realloc_at();
  test_refused();
  test_mixed();
  return check_report();
}
