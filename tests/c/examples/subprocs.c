/* Two interpreters in one process that share no memory: each has a sub-process, and is gone with it. */
#include "check.h"
#include <pthread.h>

typedef struct { mi_subproc_id_t subproc; void* first; bool all_inside; } interpreter_t;

static void* interpret(void* arg) {
  interpreter_t* me = (interpreter_t*)arg;
  mi_subproc_add_current_thread(me->subproc); /* before anything is allocated */
  mi_heap_t* heap = mi_heap_new();
  me->first = mi_heap_malloc(heap, 100);
  me->all_inside = true;
  for (int i = 0; i < 10000; i++) {
    void* p = i % 2 ? mi_heap_malloc(heap, (size_t)i % 1000) : mi_malloc((size_t)i % 1000);
    me->all_inside &= p != NULL && mi_any_heap_contains(p);
    if (i % 3 == 0) mi_free(p);
  }
  return NULL;
}

static bool count(mi_heap_t* heap, void* arg) { return ++*(int*)arg, heap != NULL; }

int main(void) {
  enum { COUNT = 2 };
  interpreter_t interpreters[COUNT];
  for (int i = 0; i < COUNT; i++) interpreters[i] = (interpreter_t){mi_subproc_new(), NULL, false};
  CHECK(interpreters[0].subproc._mi_subproc_id != interpreters[1].subproc._mi_subproc_id);
  for (int i = 0; i < COUNT && on_ours(); i++) { /* the reference crashes when a thread joins */
    pthread_t thread;
    pthread_create(&thread, NULL, &interpret, &interpreters[i]);
    pthread_join(thread, NULL);
    CHECK(interpreters[i].all_inside);
    CHECK(!mi_heap_contains(mi_heap_main(), interpreters[i].first));
    int heaps = 0;
    CHECK(mi_subproc_visit_heaps(interpreters[i].subproc, &count, &heaps) && heaps == 2);
  }
  for (int i = 0; i < COUNT; i++) mi_subproc_destroy(interpreters[i].subproc);
  if (on_ours()) CHECK(!mi_any_heap_contains(interpreters[1].first));
  CHECK(mi_subproc_current()._mi_subproc_id == mi_subproc_main()._mi_subproc_id);
  return check_report();
}
