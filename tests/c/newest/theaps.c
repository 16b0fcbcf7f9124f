/* What mimalloc 3.6 has added for theaps: allocation through them, their end, and whose a block's page is. */
#include "../check.h"
#include <mimalloc-stats.h>
#include <pthread.h>

static void test_allocation(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  for (size_t size = 1; size < 3000; size += 101) {
    void* p = mi_theap_malloc_csize(theap, size);
    CHECK(holds(p, 1, size) && mi_heap_contains(heap, p));
    mi_free_csize(p, size);
    p = mi_theap_zalloc_csize(theap, size);
    CHECK(p != NULL && all_bytes(p, 0, size) && mi_heap_contains(heap, p));
    mi_free_csize(p, size);
  }
  void* p = mi_theap_wmalloc_small(theap, 7);
  CHECK(holds(p, 1, 56) && mi_heap_contains(heap, p));
  mi_free_small(p);
  p = mi_theap_wzalloc_small(theap, 7);
  CHECK(p != NULL && all_bytes(p, 0, 56) && mi_heap_contains(heap, p));
  mi_free_small(p);
  p = mi_theap_zalloc_aligned(theap, 500, 1024);
  CHECK(p != NULL && is_aligned(p, 1024) && all_bytes(p, 0, 500) && mi_heap_contains(heap, p));
  p = mi_theap_realloc_aligned(theap, p, 5000, 2048);
  CHECK(p != NULL && is_aligned(p, 2048) && all_bytes(p, 0, 500) && mi_heap_contains(heap, p));
  mi_free(p);
}

/* What is beyond the old block reads as zero. */
static void test_zeroed_growth(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  char* p = (char*)mi_theap_rezalloc(theap, NULL, 100);
  CHECK(p != NULL && all_bytes(p, 0, 100));
  memset(p, 7, 100);
  p = (char*)mi_theap_rezalloc(theap, p, 10000);
  CHECK(p != NULL && all_bytes(p, 7, 100) && all_bytes(p + mi_good_size(100), 0, 10000 - mi_good_size(100)));
  p = (char*)mi_theap_rezalloc_aligned(theap, p, 100000, 4096);
  CHECK(p != NULL && is_aligned(p, 4096) && all_bytes(p, 7, 100) && all_bytes(p + 20000, 0, 80000) && mi_heap_contains(heap, p));
  mi_free(p);
}

static void test_new(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  void* p = mi_theap_alloc_new(theap, 100);
  CHECK(holds(p, 1, 100) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_alloc_new_n(theap, 10, 33);
  CHECK(holds(p, 1, 330) && mi_heap_contains(heap, p));
  mi_free(p);
  p = mi_theap_alloc_new_nothrow(theap, 100);
  CHECK(holds(p, 1, 100) && mi_heap_contains(heap, p));
  mi_free(p);
  void* volatile none;
  CHECK((none = mi_theap_alloc_new_nothrow(theap, TOO_LARGE)) == NULL);
}

/* -- whose a page is -- */

static void* tell_thread(void* arg) {
  void** results = (void**)arg;
  results[0] = mi_malloc(64);
  results[1] = (void*)mi_thread_id_of(results[0]);
  return NULL;
}

static void test_thread_id(void) {
  int here = 0;
  void* p = mi_malloc(100);
  size_t mine = mi_thread_id_of(p);
  CHECK(mine != 0);
  if (on_ours()) CHECK(mi_thread_id_of(&here) == 0 && mi_thread_id_of(NULL) == 0);
  void* results[2];
  pthread_t thread;
  pthread_create(&thread, NULL, &tell_thread, results);
  pthread_join(thread, NULL);
  CHECK((size_t)results[1] != 0 && (size_t)results[1] != mine);
  CHECK(mi_thread_id_of(results[0]) == 0); /* that thread has ended */
  CHECK(mi_thread_id_of(p) == mine);
  mi_free(results[0]);
  mi_free(p);
}

/* -- the end of a theap -- */

static void test_delete(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* theap = mi_heap_theap(heap);
  char* blocks[100];
  for (int i = 0; i < 100; i++) memset(blocks[i] = (char*)mi_theap_malloc(theap, 200), i, 200);
  mi_theap_delete(theap);
  CHECK(mi_thread_id_of(blocks[0]) == 0);
  for (int i = 0; i < 100; i++) CHECK(all_bytes(blocks[i], i, 200) && mi_heap_contains(heap, blocks[i]));
  /* The heap goes on with another theap. */
  void* p = mi_heap_malloc(heap, 200);
  CHECK(p != NULL && mi_heap_contains(heap, p) && mi_heap_theap(heap) != NULL);
  for (int i = 0; i < 100; i++) mi_free(blocks[i]);
  mi_free(p);
  mi_heap_delete(heap);
  mi_theap_delete(NULL);
}

/* The default goes back to the main one, which itself stays. */
static void test_delete_default(void) {
  mi_theap_t* main = mi_heap_theap(mi_heap_main());
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* theap = mi_heap_theap(heap);
  mi_theap_set_default(theap);
  void* p = mi_malloc(50);
  CHECK(mi_heap_contains(heap, p));
  mi_theap_delete(theap);
  CHECK(mi_theap_get_default() == main);
  void* q = mi_malloc(50);
  CHECK(mi_heap_contains(mi_heap_main(), q));
  mi_theap_delete(main);
  CHECK(mi_theap_get_default() == main);
  void* r = mi_malloc(50);
  CHECK(holds(r, 1, 50) && mi_heap_contains(mi_heap_main(), r));
  mi_free(p);
  mi_free(q);
  mi_free(r);
  mi_heap_delete(heap);
}

static void test_quiescent_abandon(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* theap = mi_heap_theap(heap);
  char* blocks[50];
  for (int i = 0; i < 50; i++) memset(blocks[i] = (char*)mi_theap_malloc(theap, 300), i, 300);
  mi_theap_quiescent_abandon(theap);
  CHECK(mi_thread_id_of(blocks[7]) == 0);
  CHECK(mi_heap_theap(heap) == theap);
  for (int i = 0; i < 50; i++) CHECK(all_bytes(blocks[i], i, 300));
  void* p = mi_theap_malloc(theap, 300);
  CHECK(holds(p, 1, 300) && mi_heap_contains(heap, p));
  mi_free(p);
  for (int i = 0; i < 50; i++) mi_free(blocks[i]);
  mi_theap_quiescent_abandon(NULL);
  mi_heap_delete(heap);
}

typedef struct { pthread_barrier_t filled, abandoned; mi_heap_t* heap; mi_theap_t* theap; char* blocks[50]; bool goes_on; } other_t;

static void* wait_outside(void* arg) {
  other_t* other = (other_t*)arg;
  other->theap = mi_heap_theap(other->heap);
  for (int i = 0; i < 50; i++) memset(other->blocks[i] = (char*)mi_theap_malloc(other->theap, 700), i, 700);
  pthread_barrier_wait(&other->filled);
  pthread_barrier_wait(&other->abandoned);
  void* p = mi_theap_malloc(other->theap, 700);
  other->goes_on = holds(p, 1, 700) && mi_heap_contains(other->heap, p);
  mi_free(p);
  return NULL;
}

/* The theap of another thread, which is waiting. */
static void test_abandon_for_another(void) {
  other_t other;
  memset(&other, 0, sizeof other);
  other.heap = mi_heap_new();
  pthread_barrier_init(&other.filled, NULL, 2);
  pthread_barrier_init(&other.abandoned, NULL, 2);
  pthread_t thread;
  pthread_create(&thread, NULL, &wait_outside, &other);
  pthread_barrier_wait(&other.filled);
  CHECK(mi_thread_id_of(other.blocks[0]) != 0);
  mi_theap_quiescent_abandon(other.theap);
  CHECK(mi_thread_id_of(other.blocks[0]) == 0);
  for (int i = 0; i < 50; i++) CHECK(all_bytes(other.blocks[i], i, 700));
  for (int i = 0; i < 25; i++) mi_free(other.blocks[i]);
  pthread_barrier_wait(&other.abandoned);
  pthread_join(thread, NULL);
  CHECK(other.goes_on);
  for (int i = 25; i < 50; i++) CHECK(all_bytes(other.blocks[i], i, 700));
  mi_heap_destroy(other.heap);
}

/* -- statistics -- */

static void test_stats(mi_heap_t* heap) {
  mi_theap_t* theap = mi_heap_theap(heap);
  void* p = mi_theap_malloc(theap, 100);
  mi_stats_t_decl(stats);
  CHECK(mi_theap_stats_get(theap, &stats));
  CHECK(stats.pages.current >= 0);
  stats.version = 4;
  CHECK(!mi_theap_stats_get(theap, &stats));
  mi_stats_init(&stats);
  if (on_ours()) {
    CHECK(mi_theap_stats_get(theap, &stats) && stats.pages.current >= 1 && stats.allocated.current >= 100);
    CHECK(stats.allocated.total - stats.freed.total == stats.allocated.current);
  }
  mi_theap_stats_merge_to_heap(theap);
  mi_stats_init(&stats);
  CHECK(mi_heap_stats_get(heap, &stats) && stats.pages.total >= 1);
  mi_theap_stats_merge_to_heap(NULL);
  mi_free(p);
}

int main(void) {
  mi_heap_t* heap = mi_heap_new();
  test_allocation(heap);
  test_zeroed_growth(heap);
  test_new(heap);
  test_thread_id();
  test_delete();
  test_delete_default();
  test_quiescent_abandon();
  test_abandon_for_another();
  test_stats(heap);
  mi_heap_delete(heap);
  return check_report();
}
