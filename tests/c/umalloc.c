/* Allocation that tells the block's size. */
#include "check.h"
#include <dlfcn.h>

static void test_malloc(void) {
  for (size_t size = 0; size < 3000000; size = size * 2 + 1) {
    size_t told = 0;
    void* p = mi_umalloc(size, &told);
    CHECK(told >= size && told == mi_usable_size(p));
    CHECK(holds(p, 1, told));
    size_t freed = 0;
    mi_ufree(p, &freed);
    CHECK(freed >= told);
    p = mi_umalloc(size, NULL);
    CHECK(p != NULL);
    mi_ufree(p, NULL);
  }
}

static void test_calloc(void) {
  size_t told = 0;
  void* p = mi_ucalloc(100, 33, &told);
  CHECK(p != NULL && told >= 3300 && all_bytes(p, 0, 3300));
  mi_free(p);
  void* volatile q = mi_ucalloc(HALF_COUNT, 4, &told);
  CHECK(q == NULL);
}

static void test_realloc(void) {
  size_t before = 1, after = 0;
  void* p = mi_urealloc(NULL, 100, &before, &after);
  CHECK(before == 0 && after >= 100 && after == mi_usable_size(p));
  memset(p, 7, 100);
  size_t first = after;
  p = mi_urealloc(p, 100000, &before, &after);
  CHECK(p != NULL && all_bytes(p, 7, 100));
  CHECK(before == first && after >= 100000 && after == mi_usable_size(p));
  p = mi_urealloc(p, 90000, NULL, NULL);
  CHECK(p != NULL && all_bytes(p, 7, 100));
  mi_ufree(p, &before);
  CHECK(before >= 90000);
}

static void test_free_null(void) {
  size_t told = 5;
  mi_ufree(NULL, &told);
  if (on_ours()) CHECK(told == 0); /* the reference writes nothing */
  mi_ufree(NULL, NULL);
}

static void test_aligned(void) {
  for (size_t alignment = 16; alignment <= 65536; alignment *= 4) {
    size_t told = 0;
    void* p = mi_umalloc_aligned(500, alignment, &told);
    CHECK(p != NULL && is_aligned(p, alignment) && told >= 500);
    mi_free(p);
    told = 0;
    p = mi_uzalloc_aligned(500, alignment, &told);
    CHECK(p != NULL && is_aligned(p, alignment) && told >= 500 && all_bytes(p, 0, 500));
    mi_free(p);
    p = mi_uzalloc_aligned(500, alignment, NULL);
    CHECK(p != NULL);
    mi_free(p);
  }
}

static void test_small(void) {
  for (size_t size = 0; size <= MI_SMALL_SIZE_MAX; size += 93) {
    size_t told = 0;
    void* p = mi_umalloc_small(size, &told);
    CHECK(p != NULL && told >= size && told == mi_usable_size(p));
    CHECK(holds(p, 0xFF, told));
    mi_free_small(p);
  }
}

/* Declared by the reference, but missing in its library. */
static void test_zeroed_small(void) {
  void* (*uzalloc_small)(size_t, size_t*) = NULL;
  *(void**)&uzalloc_small = dlsym(RTLD_DEFAULT, "mi_uzalloc_small");
  if (on_ours()) CHECK(uzalloc_small != NULL);
  if (uzalloc_small == NULL) return;
  for (size_t size = 1; size <= MI_SMALL_SIZE_MAX; size += 93) {
    size_t told = 0;
    void* p = uzalloc_small(size, &told);
    CHECK(p != NULL && told >= size && all_bytes(p, 0, size));
    memset(p, 0xFF, told);
    mi_free(p);
  }
}

int main(void) {
  test_malloc();
  test_calloc();
  test_realloc();
  test_free_null();
  test_aligned();
  test_small();
  test_zeroed_small();
  return check_report();
}
