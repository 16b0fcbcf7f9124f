/* First-class heaps: creation, the allocation functions, threads, deletion and destruction. */
#include "check.h"
#include <limits.h>
#include <pthread.h>

static bool in_heap(mi_heap_t* heap, const void* p) {
  return p != NULL && mi_heap_contains(heap, p) && mi_heap_of(p) == heap;
}

static void test_main_heap(void) {
  mi_heap_t* main_heap = mi_heap_main();
  CHECK(main_heap != NULL);
  void* p = mi_malloc(100);
  CHECK(in_heap(main_heap, p));
  void* q = mi_heap_malloc(main_heap, 100);
  CHECK(in_heap(main_heap, q));
  mi_free(p);
  mi_free(q);
}

static void test_allocation(mi_heap_t* heap) {
  void* p = mi_heap_malloc(heap, 100);
  CHECK(in_heap(heap, p) && holds(p, 1, 100));
  CHECK(!mi_heap_contains(mi_heap_main(), p));
  mi_free(p);
  p = mi_heap_zalloc(heap, 3000);
  CHECK(in_heap(heap, p) && all_bytes(p, 0, 3000));
  mi_free(p);
  p = mi_heap_calloc(heap, 30, 100);
  CHECK(in_heap(heap, p) && all_bytes(p, 0, 3000));
  mi_free(p);
  p = mi_heap_mallocn(heap, 30, 100);
  CHECK(in_heap(heap, p) && holds(p, 2, 3000));
  mi_free(p);
  p = mi_heap_malloc_small(heap, 200);
  CHECK(in_heap(heap, p) && holds(p, 3, 200));
  mi_free(p);
  p = mi_heap_zalloc_small(heap, 200);
  CHECK(in_heap(heap, p) && all_bytes(p, 0, 200));
  mi_free(p);
  p = mi_heap_malloc(heap, 20 << 20);
  CHECK(in_heap(heap, p) && holds(p, 4, 20 << 20));
  mi_free(p);
  void* volatile none;
  CHECK((none = mi_heap_malloc(heap, TOO_LARGE)) == NULL);
  CHECK((none = mi_heap_calloc(heap, HALF_COUNT, 4)) == NULL);
  CHECK((none = mi_heap_mallocn(heap, HALF_COUNT, 4)) == NULL);
}

static void test_reallocation(mi_heap_t* heap) {
  void* p = mi_heap_realloc(heap, NULL, 100);
  CHECK(in_heap(heap, p) && holds(p, 5, 100));
  p = mi_heap_realloc(heap, p, 5000);
  CHECK(in_heap(heap, p) && all_bytes(p, 5, 100));
  p = mi_heap_reallocn(heap, p, 100, 100);
  CHECK(in_heap(heap, p) && all_bytes(p, 5, 100));
  p = mi_heap_reallocf(heap, p, 20000);
  CHECK(in_heap(heap, p) && all_bytes(p, 5, 100));
  void* volatile none;
  CHECK((none = mi_heap_reallocn(heap, p, HALF_COUNT, 4)) == NULL);
  CHECK((none = mi_heap_realloc(heap, p, TOO_LARGE)) == NULL);
  CHECK(all_bytes(p, 5, 100));
  CHECK((none = mi_heap_reallocf(heap, p, TOO_LARGE)) == NULL); /* frees p */
}

/* A block may change heaps: it goes to the one that reallocates it. */
static void test_move_between(mi_heap_t* heap) {
  void* p = mi_malloc(100);
  memset(p, 6, 100);
  p = mi_heap_realloc(heap, p, 10000);
  CHECK(in_heap(heap, p) && all_bytes(p, 6, 100));
  p = mi_realloc(p, 30000);
  CHECK(in_heap(mi_heap_main(), p) && all_bytes(p, 6, 100));
  mi_free(p);
  p = mi_malloc(100);
  p = mi_heap_realloc(heap, p, 100); /* also where the size stays */
  CHECK(in_heap(heap, p));
  mi_free(p);
}

static void test_strings(mi_heap_t* heap) {
  char* s = mi_heap_strdup(heap, "in a heap");
  CHECK(in_heap(heap, s) && strcmp(s, "in a heap") == 0);
  mi_free(s);
  s = mi_heap_strndup(heap, "in a heap", 4);
  CHECK(in_heap(heap, s) && strcmp(s, "in a") == 0);
  mi_free(s);
  s = mi_heap_realpath(heap, "/usr/..", NULL);
  CHECK(in_heap(heap, s) && strcmp(s, "/") == 0);
  mi_free(s);
  char buffer[PATH_MAX];
  CHECK(mi_heap_realpath(heap, "/usr/..", buffer) == buffer && strcmp(buffer, "/") == 0);
  CHECK(mi_heap_realpath(heap, "/no/such/file", NULL) == NULL);
  const char* volatile none = NULL;
  CHECK(mi_heap_strdup(heap, none) == NULL);
  CHECK(mi_heap_strndup(heap, none, 3) == NULL);
}

static void test_aligned(mi_heap_t* heap) {
  for (size_t alignment = 16; alignment <= 65536; alignment *= 4) {
    void* p = mi_heap_malloc_aligned(heap, 300, alignment);
    CHECK(in_heap(heap, p) && is_aligned(p, alignment) && holds(p, 7, 300));
    p = mi_heap_realloc_aligned(heap, p, 3000, alignment);
    CHECK(in_heap(heap, p) && is_aligned(p, alignment) && all_bytes(p, 7, 300));
    mi_free(p);
    p = mi_heap_zalloc_aligned(heap, 300, alignment);
    CHECK(in_heap(heap, p) && is_aligned(p, alignment) && all_bytes(p, 0, 300));
    mi_free(p);
    p = mi_heap_calloc_aligned(heap, 3, 100, alignment);
    CHECK(in_heap(heap, p) && is_aligned(p, alignment) && all_bytes(p, 0, 300));
    mi_free(p);
  }
}

static void test_aligned_at(mi_heap_t* heap) {
  for (size_t alignment = 16; alignment <= 4096; alignment *= 4) {
    char* p = (char*)mi_heap_malloc_aligned_at(heap, 300, alignment, 24);
    CHECK(in_heap(heap, p) && is_aligned(p + 24, alignment) && holds(p, 8, 300));
    p = (char*)mi_heap_realloc_aligned_at(heap, p, 3000, alignment, 24);
    CHECK(in_heap(heap, p) && is_aligned(p + 24, alignment) && all_bytes(p, 8, 300));
    mi_free(p);
    p = (char*)mi_heap_zalloc_aligned_at(heap, 300, alignment, 24);
    CHECK(in_heap(heap, p) && is_aligned(p + 24, alignment) && all_bytes(p, 0, 300));
    mi_free(p);
    p = (char*)mi_heap_calloc_aligned_at(heap, 3, 100, alignment, 24);
    CHECK(in_heap(heap, p) && is_aligned(p + 24, alignment) && all_bytes(p, 0, 300));
    mi_free(p);
  }
}

static void test_typed(mi_heap_t* heap) {
  long* p = mi_heap_malloc_tp(long, heap);
  CHECK(in_heap(heap, p));
  mi_free(p);
  p = mi_heap_zalloc_tp(long, heap);
  CHECK(in_heap(heap, p) && *p == 0);
  mi_free(p);
  p = mi_heap_calloc_tp(long, heap, 20);
  CHECK(in_heap(heap, p) && all_bytes(p, 0, 20 * sizeof(long)));
  p = mi_heap_recalloc_tp(long, heap, p, 2000);
  CHECK(in_heap(heap, p) && all_bytes(p, 0, 2000 * sizeof(long)));
  mi_free(p);
  p = mi_heap_mallocn_tp(long, heap, 20);
  p = mi_heap_reallocn_tp(long, heap, p, 2000);
  CHECK(in_heap(heap, p) && holds(p, 1, 2000 * sizeof(long)));
  mi_free(p);
}

static void test_upkeep(mi_heap_t* heap) {
  void* p = mi_heap_malloc(heap, 5000);
  memset(p, 9, 5000);
  mi_heap_collect(heap, false);
  mi_heap_collect(heap, true);
  mi_heap_set_numa_affinity(heap, 0);
  mi_heap_set_numa_affinity(heap, -1);
  CHECK(all_bytes(p, 9, 5000));
  void* q = mi_heap_malloc(heap, 5000);
  CHECK(in_heap(heap, q));
  mi_free(p);
  mi_free(q);
  mi_heap_collect(heap, true);
}

static void test_one_heap(void) {
  mi_heap_t* heap = mi_heap_new();
  CHECK(heap != NULL && heap != mi_heap_main());
  test_allocation(heap);
  test_reallocation(heap);
  test_move_between(heap);
  test_strings(heap);
  test_aligned(heap);
  test_aligned_at(heap);
  test_typed(heap);
  test_upkeep(heap);
  mi_heap_delete(heap);
}

static void test_delete(void) {
  mi_heap_t* heap = mi_heap_new();
  enum { COUNT = 300 };
  static char* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) {
    blocks[i] = (char*)mi_heap_malloc(heap, 10 + (size_t)i * 20);
    memset(blocks[i], i & 0xff, 10 + (size_t)i * 20);
  }
  mi_heap_delete(heap);
  bool intact = true, moved = true;
  for (int i = 0; i < COUNT; i++) {
    intact &= all_bytes(blocks[i], i & 0xff, 10 + (size_t)i * 20);
    moved &= in_heap(mi_heap_main(), blocks[i]);
  }
  CHECK(intact);
  CHECK(moved);
  for (int i = 0; i < COUNT; i++) blocks[i] = (char*)mi_realloc(blocks[i], 10000);
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
}

static void test_destroy(void) {
  void* outside = mi_malloc(100);
  memset(outside, 1, 100);
  for (int round = 0; round < 20; round++) {
    mi_heap_t* heap = mi_heap_new();
    void* last = NULL;
    for (int i = 0; i < 2000; i++) last = mi_heap_malloc(heap, (size_t)i % 1500);
    void* large = mi_heap_malloc(heap, 3 << 20);
    CHECK(in_heap(heap, last) && in_heap(heap, large));
    mi_heap_destroy(heap);
    CHECK(!mi_any_heap_contains(large));
  }
  CHECK(all_bytes(outside, 1, 100));
  mi_free(outside);
}

static void test_many_heaps(void) {
  enum { COUNT = 60 };
  mi_heap_t* heaps[COUNT];
  void* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) {
    heaps[i] = mi_heap_new();
    blocks[i] = mi_heap_malloc(heaps[i], 64);
  }
  bool apart = true;
  for (int i = 0; i < COUNT; i++)
    for (int j = 0; j < COUNT; j++) apart &= mi_heap_contains(heaps[i], blocks[j]) == (i == j);
  CHECK(apart);
  for (int i = 0; i < COUNT; i++) (i % 2 == 0 ? mi_heap_delete : mi_heap_destroy)(heaps[i]);
  for (int i = 0; i < COUNT; i += 2) mi_free(blocks[i]);
}

/* -- threads -- */

enum { THREADS = 4, EACH = 500 };
typedef struct { mi_heap_t* heap; int number; unsigned char* blocks[EACH]; } worker_t;

static size_t size_of(int i) { return (size_t)(i * 37) % 2000 + 1; }

static void* fill(void* arg) {
  worker_t* w = (worker_t*)arg;
  for (int i = 0; i < EACH; i++) {
    w->blocks[i] = (unsigned char*)mi_heap_malloc(w->heap, size_of(i));
    memset(w->blocks[i], w->number, size_of(i));
    if (i % 3 == 2) {
      mi_free(w->blocks[i - 1]);
      w->blocks[i - 1] = NULL;
    }
  }
  return NULL;
}

static void run_workers(worker_t* workers, mi_heap_t* heap) {
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++) {
    workers[i].heap = heap;
    workers[i].number = i + 1;
    pthread_create(&threads[i], NULL, &fill, &workers[i]);
  }
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static bool workers_intact(const worker_t* workers) {
  bool intact = true;
  for (int t = 0; t < THREADS; t++)
    for (int i = 0; i < EACH; i++) {
      unsigned char* p = workers[t].blocks[i];
      if (p != NULL) intact &= mi_heap_contains(workers[t].heap, p) && all_bytes(p, t + 1, size_of(i));
    }
  return intact;
}

static void test_threads(void) {
  static worker_t workers[THREADS];
  mi_heap_t* heap = mi_heap_new();
  run_workers(workers, heap); /* every thread allocates in the heap of this one, and ends */
  CHECK(workers_intact(workers));
  void* p = mi_heap_malloc(heap, 100);
  CHECK(in_heap(heap, p));
  for (int i = 0; i < EACH; i++) mi_free(workers[0].blocks[i]); /* blocks of an ended thread */
  mi_heap_destroy(heap); /* also what the other threads left */
  heap = mi_heap_new();
  run_workers(workers, heap);
  mi_heap_delete(heap);
  for (int t = 0; t < THREADS; t++) workers[t].heap = mi_heap_main();
  CHECK(workers_intact(workers));
  for (int t = 0; t < THREADS; t++)
    for (int i = 0; i < EACH; i++) mi_free(workers[t].blocks[i]);
}

/* A thread that made a heap may end before the heap does. */
static void* make_heap(void* arg) {
  mi_heap_t* heap = mi_heap_new();
  *(void**)arg = mi_heap_malloc(heap, 100);
  memset(*(void**)arg, 1, 100);
  return heap;
}

static void test_foreign_heap(void) {
  pthread_t thread;
  void* block = NULL;
  void* made = NULL;
  pthread_create(&thread, NULL, &make_heap, &block);
  pthread_join(thread, &made);
  mi_heap_t* heap = (mi_heap_t*)made;
  CHECK(in_heap(heap, block) && all_bytes(block, 1, 100));
  void* p = mi_heap_malloc(heap, 100);
  CHECK(in_heap(heap, p));
  mi_heap_destroy(heap);
}

int main(void) {
  test_main_heap();
  test_one_heap();
  test_delete();
  test_destroy();
  test_many_heaps();
  test_threads();
  test_foreign_heap();
  return check_report();
}
