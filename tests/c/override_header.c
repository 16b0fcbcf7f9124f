/* mimalloc-override.h: the C functions' names mean mimalloc's in this file. */
#include "check.h"
#include <limits.h>
#include <malloc.h>
#include <mimalloc-override.h>

static void take(void* p, size_t size) {
  CHECK(p != NULL && mi_any_heap_contains(p) && malloc_usable_size(p) >= size && malloc_size(p) >= size);
  free(p);
}

int main(void) {
  take(malloc(10), 10);
  take(calloc(10, 10), 100);
  take(realloc(malloc(10), 1000), 1000);
  take(reallocf(malloc(10), 1000), 1000);
  take(reallocarray(NULL, 10, 10), 100);
  take(aligned_alloc(64, 100), 100);
  take(memalign(64, 100), 100);
  take(valloc(100), 100);
  take(pvalloc(100), 100);
  take(strdup("text"), 5);
  take(strndup("text", 2), 3);
  take(realpath("/", NULL), 2);
  take(_aligned_malloc(100, 64), 100);
  take(_aligned_realloc(_aligned_malloc(10, 64), 100, 64), 100);
  take(_aligned_offset_malloc(100, 64, 8), 100);
  take(_recalloc(NULL, 10, 10), 100);
  take(_strdup("text"), 5);
  void* p = NULL;
  CHECK(posix_memalign(&p, 64, 100) == 0);
  CHECK(_msize(p) >= 100 && _expand(p, 50) == p && malloc_good_size(100) >= 100);
  _aligned_free(p);
  p = NULL;
  CHECK(reallocarr(&p, 10, 10) == 0);
  cfree(p);
  return check_report();
}
