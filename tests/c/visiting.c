/* Visiting heaps, areas and blocks; the ownership queries. */
#include "check.h"
#include <pthread.h>

/* -- what a visit saw -- */

enum { MOST = 4000 };
typedef struct {
  const mi_heap_t* heap;
  size_t areas, blocks, stop_after, calls;
  size_t used, block_bytes;
  bool sane;
  const void* seen[MOST];
  const mi_heap_area_t* area;
} visit_t;

static bool area_is_sane(const mi_heap_area_t* area) {
  return area->blocks != NULL && area->block_size > 0 && area->full_block_size >= area->block_size &&
         area->used * area->full_block_size <= area->reserved && area->committed <= area->reserved + 65536;
}

static bool inside(const mi_heap_area_t* area, const void* block) {
  uintptr_t start = (uintptr_t)area->blocks, at = (uintptr_t)block;
  return at >= start && at < start + area->reserved && (at - start) % area->full_block_size == 0;
}

static bool on_visit(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t block_size, void* arg) {
  visit_t* visit = (visit_t*)arg;
  visit->calls++;
  visit->sane &= heap == visit->heap && area_is_sane(area) && block_size == area->block_size;
  if (block == NULL) {
    visit->areas++;
    visit->used += area->used;
    visit->area = area;
  } else {
    visit->sane &= inside(area, block) && area == visit->area;
    if (visit->blocks < MOST) visit->seen[visit->blocks] = block;
    visit->blocks++;
    visit->block_bytes += block_size;
  }
  return visit->stop_after == 0 || visit->calls < visit->stop_after;
}

static visit_t* fresh_visit(const mi_heap_t* heap) {
  static visit_t visit;
  memset(&visit, 0, sizeof visit);
  visit.heap = heap;
  visit.sane = true;
  return &visit;
}

static size_t times_seen(const visit_t* visit, const void* block) {
  size_t times = 0;
  for (size_t i = 0; i < visit->blocks && i < MOST; i++) times += visit->seen[i] == block;
  return times;
}

/* -- tests -- */

enum { COUNT = 1000 };
static char* blocks[COUNT];

static size_t size_of(int i) { return i % 250 == 249 ? 200000 : (size_t)(i % 20) * 50 + 1; }

static void fill_heap(mi_heap_t* heap) {
  for (int i = 0; i < COUNT; i++) blocks[i] = (char*)mi_heap_malloc(heap, size_of(i));
  for (int i = 0; i < COUNT; i += 3) {
    mi_free(blocks[i]);
    blocks[i] = NULL;
  }
}

static void test_blocks(void) {
  mi_heap_t* heap = mi_heap_new();
  fill_heap(heap);
  visit_t* visit = fresh_visit(heap);
  CHECK(mi_heap_visit_blocks(heap, true, &on_visit, visit));
  size_t live = 0;
  bool once = true;
  for (int i = 0; i < COUNT; i++)
    if (blocks[i] != NULL) {
      live++;
      once &= times_seen(visit, blocks[i]) == 1;
    }
  CHECK(visit->sane);
  CHECK(once);
  CHECK(visit->blocks == live);
  CHECK(visit->used == live);
  CHECK(visit->areas > 1 && visit->areas < live);
  mi_heap_destroy(heap);
}

static void test_areas_only(void) {
  mi_heap_t* heap = mi_heap_new();
  visit_t* visit = fresh_visit(heap);
  CHECK(mi_heap_visit_blocks(heap, true, &on_visit, visit));
  CHECK(visit->blocks == 0);
  fill_heap(heap);
  visit = fresh_visit(heap);
  CHECK(mi_heap_visit_blocks(heap, false, &on_visit, visit));
  CHECK(visit->areas > 0 && visit->blocks == 0 && visit->sane);
  mi_heap_destroy(heap);
}

static void test_stop(void) {
  mi_heap_t* heap = mi_heap_new();
  fill_heap(heap);
  visit_t* visit = fresh_visit(heap);
  visit->stop_after = 5;
  CHECK(!mi_heap_visit_blocks(heap, true, &on_visit, visit));
  CHECK(visit->calls == 5);
  visit = fresh_visit(heap);
  visit->stop_after = 1;
  CHECK(!mi_heap_visit_blocks(heap, false, &on_visit, visit));
  CHECK(visit->calls == 1 && visit->areas == 1);
  mi_heap_destroy(heap);
}

/* Aligned blocks inside larger ones are shown by the start of the block. */
static void test_aligned(void) {
  mi_heap_t* heap = mi_heap_new();
  char* p = (char*)mi_heap_malloc_aligned_at(heap, 1000, 256, 40);
  visit_t* visit = fresh_visit(heap);
  CHECK(mi_heap_visit_blocks(heap, true, &on_visit, visit));
  CHECK(visit->blocks == 1);
  CHECK((const char*)visit->seen[0] <= p && p < (const char*)visit->seen[0] + visit->block_bytes);
  mi_heap_destroy(heap);
}

static void test_no_visitor(void) {
  mi_heap_t* heap = mi_heap_new();
  void* p = mi_heap_malloc(heap, 10);
  CHECK(p != NULL);
  CHECK(!mi_heap_visit_blocks(heap, true, NULL, NULL));
  mi_heap_destroy(heap);
}

static void test_theap(void) {
  mi_heap_t* heap = mi_heap_new();
  fill_heap(heap);
  visit_t* visit = fresh_visit(heap);
  CHECK(mi_theap_visit_blocks(mi_heap_theap(heap), true, &on_visit, visit));
  size_t of_theap = visit->blocks;
  CHECK(visit->sane && of_theap > 0);
  visit = fresh_visit(heap);
  mi_heap_visit_blocks(heap, true, &on_visit, visit);
  CHECK(of_theap <= visit->blocks); /* full pages may belong to the heap alone */
  mi_heap_destroy(heap);
}

/* -- what an ended thread left -- */

static mi_heap_t* shared;

static void* leave_blocks(void* arg) {
  void** left = (void**)arg;
  for (int i = 0; i < 20; i++) left[i] = mi_heap_malloc(shared, 320);
  return NULL;
}

static void test_abandoned(void) {
  void* left[20];
  pthread_t thread;
  mi_option_enable(mi_option_visit_abandoned);
  shared = mi_heap_new();
  void* mine = mi_heap_malloc(shared, 5000);
  pthread_create(&thread, NULL, &leave_blocks, left);
  pthread_join(thread, NULL);
  visit_t* visit = fresh_visit(shared);
  CHECK(mi_heap_visit_abandoned_blocks(shared, true, &on_visit, visit));
  bool once = true;
  for (int i = 0; i < 20; i++) once &= times_seen(visit, left[i]) == 1;
  CHECK(once);
  CHECK(visit->sane);
  CHECK(times_seen(visit, mine) == 0);
  visit = fresh_visit(shared);
  CHECK(mi_heap_visit_abandoned_blocks(shared, false, &on_visit, visit));
  CHECK(visit->areas > 0 && visit->blocks == 0);
  visit = fresh_visit(shared);
  CHECK(mi_heap_visit_blocks(shared, true, &on_visit, visit)); /* everything */
  CHECK(visit->blocks == 21 && times_seen(visit, mine) == 1 && times_seen(visit, left[7]) == 1);
  mi_heap_destroy(shared);
}

/* -- heaps of a sub-process -- */

typedef struct { mi_heap_t* wanted; int heaps, found, mains, stop_after; } heap_visit_t;

static bool on_heap(mi_heap_t* heap, void* arg) {
  heap_visit_t* visit = (heap_visit_t*)arg;
  visit->heaps++;
  visit->found += heap == visit->wanted;
  visit->mains += heap == mi_heap_main();
  return visit->heaps != visit->stop_after;
}

static void test_heaps(void) {
  mi_heap_t* heap = mi_heap_new();
  heap_visit_t visit = {heap, 0, 0, 0, 0};
  CHECK(mi_subproc_visit_heaps(mi_subproc_main(), &on_heap, &visit));
  CHECK(visit.found == 1 && visit.mains == 1 && visit.heaps >= 2);
  heap_visit_t once = {heap, 0, 0, 0, 1};
  CHECK(!mi_subproc_visit_heaps(mi_subproc_main(), &on_heap, &once));
  CHECK(once.heaps == 1);
  int before = visit.heaps;
  mi_heap_delete(heap);
  heap_visit_t after = {heap, 0, 0, 0, 0};
  CHECK(mi_subproc_visit_heaps(mi_subproc_main(), &on_heap, &after));
  CHECK(after.heaps == before - 1 && after.found == 0);
}

/* -- queries -- */

static void test_ours(void) {
  char* p = (char*)mi_malloc(100);
  char* large = (char*)mi_malloc(3 << 20);
  mi_heap_t* heap = mi_heap_new();
  char* q = (char*)mi_heap_malloc(heap, 100);
  CHECK(mi_any_heap_contains(p) && mi_any_heap_contains(q) && mi_any_heap_contains(large));
  CHECK(mi_check_owned(p) && mi_is_in_heap_region(p));
  CHECK(mi_heap_of(p) == mi_heap_main() && mi_heap_of(q) == heap);
  CHECK(mi_heap_contains(heap, q) && !mi_heap_contains(heap, p) && !mi_heap_contains(mi_heap_main(), q));
  /* also in the middle of a block */
  CHECK(mi_heap_contains(heap, q + 50) && mi_heap_of(p + 3) == mi_heap_main());
  CHECK(mi_heap_of(large + (2 << 20)) == mi_heap_main());
  CHECK(mi_heap_contains(mi_heap_main(), large + (3 << 20) - 1));
  mi_free(p);
  mi_free(large);
  mi_heap_destroy(heap);
}

/* A page with few blocks left is worth moving them out of. */
static void test_under_utilized(void) {
  enum { MANY = 20000 };
  static void* many[MANY];
  mi_heap_t* heap = mi_heap_new();
  for (int i = 0; i < MANY; i++) many[i] = mi_heap_malloc(heap, 64);
  int sparse = 0, foreign = 0;
  for (int i = 0; i < MANY; i++) sparse += mi_unsafe_heap_page_is_under_utilized(heap, many[i], 50);
  CHECK(sparse < MANY / 10); /* but for the last page all are full */
  for (int i = 0; i < MANY; i++)
    if (i % 10 != 0) mi_free(many[i]);
  sparse = 0;
  for (int i = 0; i < MANY; i += 10) {
    sparse += mi_unsafe_heap_page_is_under_utilized(heap, many[i], 50);
    foreign += mi_unsafe_heap_page_is_under_utilized(mi_heap_main(), many[i], 50);
  }
  CHECK(sparse > MANY / 10 * 8 / 10);
  CHECK(foreign == 0); /* not that heap's page */
  CHECK(!mi_unsafe_heap_page_is_under_utilized(heap, many[0], 0));
  CHECK(!mi_unsafe_heap_page_is_under_utilized(heap, NULL, 50));
  CHECK(!mi_unsafe_heap_page_is_under_utilized(heap, &sparse, 50));
  mi_heap_destroy(heap);
}

int main(void) {
  test_blocks();
  test_areas_only();
  test_stop();
  test_aligned();
  test_no_visitor();
  test_theap();
  test_abandoned();
  test_heaps();
  test_ours();
  test_under_utilized();
  return check_report();
}
