/* Sub-processes. In the reference's build a thread that joins one crashes: what threads do is "ours only". */
#include "check.h"
#include <mimalloc-stats.h>
#include <pthread.h>

static bool same(mi_subproc_id_t a, mi_subproc_id_t b) { return a._mi_subproc_id == b._mi_subproc_id; }

static bool count_heap(mi_heap_t* heap, void* arg) {
  ++*(int*)arg;
  return heap != NULL;
}

static int heaps_of(mi_subproc_id_t subproc) {
  int heaps = 0;
  return mi_subproc_visit_heaps(subproc, &count_heap, &heaps) ? heaps : -1;
}

static void test_main_subproc(void) {
  CHECK(mi_subproc_main()._mi_subproc_id != NULL);
  CHECK(same(mi_subproc_main(), mi_subproc_current()));
  CHECK(heaps_of(mi_subproc_main()) == 1);
}

static void test_new(void) {
  mi_subproc_id_t a = mi_subproc_new(), b = mi_subproc_new();
  CHECK(a._mi_subproc_id != NULL && b._mi_subproc_id != NULL && !same(a, b));
  CHECK(!same(a, mi_subproc_main()) && same(mi_subproc_current(), mi_subproc_main()));
  mi_stats_t_decl(stats);
  CHECK(mi_subproc_stats_get(a, &stats));
  CHECK(heaps_of(a) >= 0 && heaps_of(a) <= 1); /* its main heap may be made when it is needed */
  mi_subproc_destroy(a);
  mi_subproc_destroy(b);
  CHECK(heaps_of(mi_subproc_main()) == 1);
}

static void test_main_stays(void) {
  void* p = mi_malloc(100);
  memset(p, 1, 100);
  mi_subproc_destroy(mi_subproc_main()); /* refused */
  CHECK(all_bytes(p, 1, 100));
  CHECK(holds(p = mi_realloc(p, 5000), 2, 5000));
  mi_free(p);
}

/* -- threads -- */

typedef struct {
  mi_subproc_id_t subproc;
  void *block, *in_heap, *of_parent;
  mi_heap_t* heap;
  mi_heap_t* main_heap;
} guest_t;

static void* visit_subproc(void* arg) {
  guest_t* guest = (guest_t*)arg;
  mi_subproc_add_current_thread(guest->subproc);
  CHECK(same(mi_subproc_current(), guest->subproc));
  CHECK(!same(mi_subproc_main(), guest->subproc));
  guest->block = mi_malloc(1000);
  CHECK(holds(guest->block, 1, 1000));
  guest->main_heap = mi_heap_main(); /* of this sub-process */
  CHECK(mi_heap_of(guest->block) == guest->main_heap);
  CHECK(mi_any_heap_contains(guest->block));
  guest->heap = mi_heap_new();
  guest->in_heap = mi_heap_malloc(guest->heap, 1000);
  CHECK(mi_heap_contains(guest->heap, guest->in_heap));
  CHECK(heaps_of(guest->subproc) == 2);
  mi_free(guest->of_parent); /* a block may be freed anywhere */
  void* temporary = mi_malloc(100);
  mi_free(temporary);
  return NULL;
}

static void run_guest(guest_t* guest) {
  pthread_t thread;
  guest->of_parent = mi_malloc(1000);
  pthread_create(&thread, NULL, &visit_subproc, guest);
  pthread_join(thread, NULL);
}

static void test_threads(void) {
  guest_t guest = {mi_subproc_new(), NULL, NULL, NULL, NULL, NULL};
  run_guest(&guest);
  CHECK(same(mi_subproc_current(), mi_subproc_main()));
  CHECK(guest.main_heap != mi_heap_main());
  CHECK(heaps_of(mi_subproc_main()) == 1);
  CHECK(!mi_heap_contains(mi_heap_main(), guest.block));
  CHECK(all_bytes(guest.block, 1, 1000)); /* lives on after its thread */
  mi_stats_t_decl(stats);
  CHECK(mi_subproc_stats_get(guest.subproc, &stats));
  CHECK(stats.heaps.current == 2);
  CHECK(stats.reserved.current > 0); /* arenas of its own */
  mi_free(guest.block);
  void* p = mi_malloc(1000);
  CHECK(mi_heap_of(p) == mi_heap_main()); /* nothing is taken over from the other */
  mi_free(p);
  mi_subproc_destroy(guest.subproc);
  CHECK(!mi_any_heap_contains(guest.in_heap));
}

static void test_two(void) {
  guest_t a = {mi_subproc_new(), NULL, NULL, NULL, NULL, NULL};
  guest_t b = {mi_subproc_new(), NULL, NULL, NULL, NULL, NULL};
  run_guest(&a);
  run_guest(&b);
  CHECK(a.main_heap != b.main_heap);
  CHECK(!mi_heap_contains(a.main_heap, b.block) && !mi_heap_contains(b.main_heap, a.block));
  mi_subproc_destroy(a.subproc);
  CHECK(all_bytes(b.block, 1, 1000)); /* the other is untouched */
  CHECK(!mi_any_heap_contains(a.in_heap));
  mi_subproc_destroy(b.subproc);
}

int main(void) {
  test_main_subproc();
  test_new();
  test_main_stays();
  if (on_ours()) {
    test_threads();
    test_two();
  }
  return check_report();
}
