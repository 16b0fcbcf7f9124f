/* A thread's part of a heap. */
#include "check.h"
#include <pthread.h>

static void test_default(void) {
  mi_theap_t* theap = mi_theap_get_default();
  CHECK(theap != NULL);
  CHECK(mi_theap_get_default() == theap);
  CHECK(mi_heap_theap(mi_heap_main()) == theap);
}

static void test_lookup(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* theap = mi_heap_theap(heap);
  CHECK(theap != NULL && theap != mi_theap_get_default());
  CHECK(mi_heap_theap(heap) == theap);
  void* p = mi_theap_malloc(theap, 10);
  CHECK(mi_heap_contains(heap, p));
  mi_heap_delete(heap);
  mi_free(p);
}

static void test_allocation(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  void* p = mi_theap_malloc(theap, 3000);
  CHECK(holds(p, 1, 3000) && mi_heap_contains(heap, p));
  p = mi_theap_realloc(theap, p, 30000);
  CHECK(p != NULL && all_bytes(p, 1, 3000) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_realloc(theap, NULL, 100);
  CHECK(holds(p, 1, 100) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_zalloc(theap, 3000);
  CHECK(p != NULL && all_bytes(p, 0, 3000) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_calloc(theap, 30, 100);
  CHECK(p != NULL && all_bytes(p, 0, 3000) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_malloc_small(theap, 500);
  CHECK(holds(p, 1, 500) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_zalloc_small(theap, 500);
  CHECK(p != NULL && all_bytes(p, 0, 500) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_malloc_aligned(theap, 500, 4096);
  CHECK(holds(p, 1, 500) && is_aligned(p, 4096) && mi_heap_contains(heap, p));
  mi_free(p);
  void* volatile none;
  CHECK((none = mi_theap_malloc(theap, TOO_LARGE)) == NULL);
  CHECK((none = mi_theap_calloc(theap, HALF_COUNT, 4)) == NULL);
}

static void test_collect(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  void* p = mi_theap_malloc(theap, 100);
  memset(p, 7, 100);
  mi_theap_collect(theap, false);
  mi_theap_collect(theap, true);
  CHECK(all_bytes(p, 7, 100));
  CHECK(mi_heap_contains(heap, p));
  mi_free(p);
}

/* The default decides where mi_malloc and malloc allocate. */
static void test_set_default(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* theap = mi_heap_theap(heap);
  mi_theap_t* before = mi_theap_set_default(theap);
  CHECK(before == mi_heap_theap(mi_heap_main()));
  CHECK(mi_theap_get_default() == theap);
  void* p = mi_malloc(100);
  void* q = malloc(100);
  void* large = mi_malloc(2 << 20);
  void* grown = mi_realloc(mi_malloc(10), 5000);
  void* in_main = mi_heap_malloc(mi_heap_main(), 100);
  CHECK(mi_theap_set_default(before) == theap);
  CHECK(mi_heap_of(p) == heap && mi_heap_of(q) == heap && mi_heap_of(large) == heap && mi_heap_of(grown) == heap);
  CHECK(mi_heap_of(in_main) == mi_heap_main());
  void* after = mi_malloc(100);
  CHECK(mi_heap_of(after) == mi_heap_main());
  mi_free(after);
  mi_free(in_main);
  mi_free(p);
  mi_heap_destroy(heap);
}

/* Another thread has another theap for the same heap, and its own default. */
typedef struct { mi_heap_t* heap; mi_theap_t *theap, *theap_of_main; bool own_default; } seen_t;

static void* look(void* arg) {
  seen_t* seen = (seen_t*)arg;
  seen->theap = mi_heap_theap(seen->heap);
  void* p = mi_theap_malloc(seen->theap, 100);
  CHECK(mi_heap_contains(seen->heap, p));
  void* q = mi_malloc(10);
  seen->own_default = mi_theap_get_default() == mi_heap_theap(mi_heap_main());
  CHECK(mi_heap_of(q) == mi_heap_main());
  mi_free(q);
  return NULL;
}

static void test_threads(void) {
  pthread_t thread;
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* mine = mi_heap_theap(heap);
  seen_t seen = {heap, NULL, NULL, false};
  mi_theap_t* before = mi_theap_set_default(mine);
  pthread_create(&thread, NULL, &look, &seen);
  pthread_join(thread, NULL);
  mi_theap_set_default(before);
  CHECK(seen.theap != NULL && seen.theap != mine);
  CHECK(seen.own_default);
  mi_heap_destroy(heap);
}

/* Without guarded blocks in the reference's build these only must do no harm; effects.c has the rest. */
static void test_guarded(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  mi_theap_guarded_set_sample_rate(theap, 1, 1);
  mi_theap_guarded_set_size_bound(theap, 100, 200);
  for (size_t size = 1; size < 1000; size += 50) {
    void* p = mi_theap_malloc(theap, size);
    CHECK(holds(p, 1, size) && mi_usable_size(p) >= size);
    mi_free(p);
  }
  mi_theap_guarded_set_sample_rate(theap, 0, 0);
}

int main(void) {
  test_default();
  test_lookup();
  mi_heap_t* heap = mi_heap_new();
  test_allocation(heap);
  test_collect(heap);
  test_guarded(heap);
  mi_heap_destroy(heap);
  test_set_default();
  test_threads();
  return check_report();
}
