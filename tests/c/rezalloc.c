/* Zeroed reallocation, in the main heap and in another, plain, aligned and with an offset.
 * What is asked for beyond the old block's size reads as zero. */
#include "check.h"

static size_t rest_of(void* p, size_t from, size_t to) {
  return all_bytes((char*)p + from, 0, to - from) ? 0 : 1;
}

static void test_grow(void) {
  char* p = (char*)mi_rezalloc(NULL, 10);
  CHECK(p != NULL && all_bytes(p, 0, 10));
  size_t old = 0;
  for (size_t size = 10; size < 3000000; size = size * 2 + 3) {
    p = (char*)mi_rezalloc(p, size);
    CHECK(p != NULL && all_bytes(p, 1, old) && rest_of(p, old, size) == 0);
    memset(p, 1, size);
    old = mi_usable_size(p); /* the block's user may use all of it */
    memset(p, 1, old);
  }
  mi_free(p);
}

static void test_recalloc(void) {
  char* p = (char*)mi_recalloc(NULL, 10, 10);
  CHECK(p != NULL && all_bytes(p, 0, 100));
  p = (char*)mi_recalloc(p, 100, 50);
  CHECK(p != NULL && all_bytes(p, 0, 5000));
  void* volatile none = mi_recalloc(p, HALF_COUNT, 4);
  CHECK(none == NULL);
  CHECK(all_bytes(p, 0, 5000));
  none = mi_rezalloc(p, TOO_LARGE);
  CHECK(none == NULL);
  mi_free(p);
}

/* A dirty block that was allocated plainly: what lies beyond it is still zeroed. */
static void test_from_plain(void) {
  char* p = (char*)mi_malloc(100);
  size_t usable = mi_usable_size(p);
  memset(p, 5, usable);
  p = (char*)mi_rezalloc(p, 9000);
  CHECK(p != NULL && all_bytes(p, 5, 100) && rest_of(p, usable, 9000) == 0);
  mi_free(p);
}

static void test_shrink(void) {
  char* p = (char*)mi_zalloc(5000);
  memset(p, 1, 5000);
  p = (char*)mi_rezalloc(p, 100);
  CHECK(p != NULL && all_bytes(p, 1, 100));
  size_t usable = mi_usable_size(p);
  p = (char*)mi_rezalloc(p, 20000);
  CHECK(p != NULL && all_bytes(p, 1, 100) && rest_of(p, usable, 20000) == 0);
  mi_free(p);
}

/* The functions with an alignment, in the default heap and in `heap`. */
static void test_aligned(void) {
  for (size_t alignment = 16; alignment <= 4096; alignment *= 4) {
    char* p = (char*)mi_rezalloc_aligned(NULL, 100, alignment);
    CHECK(p != NULL && is_aligned(p, alignment) && all_bytes(p, 0, 100));
    p = (char*)mi_rezalloc_aligned(p, 5000, alignment);
    CHECK(p != NULL && is_aligned(p, alignment) && all_bytes(p, 0, 5000));
    p = (char*)mi_recalloc_aligned(p, 100, 90, alignment);
    CHECK(p != NULL && is_aligned(p, alignment) && all_bytes(p, 0, 9000));
    mi_free(p);
    p = (char*)mi_rezalloc_aligned_at(NULL, 100, alignment, 8);
    CHECK(p != NULL && is_aligned(p + 8, alignment) && all_bytes(p, 0, 100));
    p = (char*)mi_rezalloc_aligned_at(p, 5000, alignment, 8);
    CHECK(p != NULL && is_aligned(p + 8, alignment) && all_bytes(p, 0, 5000));
    p = (char*)mi_recalloc_aligned_at(p, 100, 90, alignment, 8);
    CHECK(p != NULL && is_aligned(p + 8, alignment) && all_bytes(p, 0, 9000));
    void* volatile none = mi_recalloc_aligned(p, HALF_COUNT, 4, alignment);
    CHECK(none == NULL);
    none = mi_recalloc_aligned_at(p, HALF_COUNT, 4, alignment, 8);
    CHECK(none == NULL);
    mi_free(p);
  }
}

static void test_heap(mi_heap_t* heap) {
  char* p = (char*)mi_heap_rezalloc(heap, NULL, 100);
  CHECK(p != NULL && mi_heap_contains(heap, p) && all_bytes(p, 0, 100));
  p = (char*)mi_heap_rezalloc(heap, p, 5000);
  CHECK(p != NULL && mi_heap_contains(heap, p) && all_bytes(p, 0, 5000));
  p = (char*)mi_heap_recalloc(heap, p, 100, 90);
  CHECK(p != NULL && mi_heap_contains(heap, p) && all_bytes(p, 0, 9000));
  void* volatile none = mi_heap_recalloc(heap, p, HALF_COUNT, 4);
  CHECK(none == NULL);
  mi_free(p);
}

static void test_heap_aligned(mi_heap_t* heap) {
  for (size_t alignment = 16; alignment <= 4096; alignment *= 4) {
    char* p = (char*)mi_heap_rezalloc_aligned(heap, NULL, 100, alignment);
    p = (char*)mi_heap_rezalloc_aligned(heap, p, 5000, alignment);
    CHECK(mi_heap_contains(heap, p) && is_aligned(p, alignment) && all_bytes(p, 0, 5000));
    p = (char*)mi_heap_recalloc_aligned(heap, p, 100, 90, alignment);
    CHECK(mi_heap_contains(heap, p) && is_aligned(p, alignment) && all_bytes(p, 0, 9000));
    mi_free(p);
    p = (char*)mi_heap_rezalloc_aligned_at(heap, NULL, 100, alignment, 8);
    p = (char*)mi_heap_rezalloc_aligned_at(heap, p, 5000, alignment, 8);
    CHECK(mi_heap_contains(heap, p) && is_aligned(p + 8, alignment) && all_bytes(p, 0, 5000));
    p = (char*)mi_heap_recalloc_aligned_at(heap, p, 100, 90, alignment, 8);
    CHECK(mi_heap_contains(heap, p) && is_aligned(p + 8, alignment) && all_bytes(p, 0, 9000));
    mi_free(p);
  }
}

int main(void) {
  test_grow();
  test_recalloc();
  test_from_plain();
  test_shrink();
  test_aligned();
  mi_heap_t* heap = mi_heap_new();
  test_heap(heap);
  test_heap_aligned(heap);
  mi_heap_destroy(heap);
  return check_report();
}
