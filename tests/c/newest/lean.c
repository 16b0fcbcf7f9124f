/* The pattern of Lean's runtime: small objects by constant sizes from the worker's own theap, freed with their size by
 * whoever drops the last reference, a heap that tasks share and that ends as a whole, and workers that leave their theap. */
#include "../check.h"
#include <pthread.h>

enum { WORKERS = 4, TASKS = 200 };

typedef struct object_s { long refs; unsigned fields; struct object_s* field[3]; } object_t;

static mi_heap_t* shared;
static object_t* results[WORKERS][TASKS];

static size_t size_of(unsigned fields) { return offsetof(object_t, field) + fields * sizeof(object_t*); }

static object_t* make(mi_theap_t* theap, unsigned fields) {
  object_t* object = (object_t*)mi_theap_malloc_csize(theap, size_of(fields));
  object->refs = 1;
  object->fields = fields;
  return object;
}

static object_t* tree(mi_theap_t* theap, int depth) {
  object_t* object = make(theap, depth > 0 ? (unsigned)(depth % 3) + 1 : 0);
  for (unsigned i = 0; i < object->fields; i++) object->field[i] = tree(theap, depth - 1);
  return object;
}

/* Atomic, since any thread may be the last. */
static long drop(object_t* object) {
  if (__atomic_sub_fetch(&object->refs, 1, __ATOMIC_ACQ_REL) > 0) return 0;
  long freed = 1;
  for (unsigned i = 0; i < object->fields; i++) freed += drop(object->field[i]);
  mi_free_csize(object, size_of(object->fields));
  return freed;
}

static long count(const object_t* object) {
  long all = 1;
  for (unsigned i = 0; i < object->fields; i++) all += count(object->field[i]);
  return all;
}

static void* work(void* arg) {
  object_t** mine = (object_t**)arg;
  mi_theap_t* theap = mi_heap_theap(shared);
  for (int i = 0; i < TASKS; i++) mine[i] = tree(theap, i % 7);
  mi_theap_delete(theap); /* the worker goes on, the objects are anybody's */
  mi_free(mi_malloc(100));
  return NULL;
}

int main(void) {
  shared = mi_heap_new();
  pthread_t workers[WORKERS];
  for (int i = 0; i < WORKERS; i++) pthread_create(&workers[i], NULL, &work, results[i]);
  for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
  for (int i = 0; i < WORKERS; i++)
    for (int j = 0; j < TASKS; j++) {
      CHECK(mi_heap_contains(shared, results[i][j]) && mi_thread_id_of(results[i][j]) == 0);
      long all = count(results[i][j]);
      if (j % 2 == 0) CHECK(drop(results[i][j]) == all);
    }
  mi_heap_destroy(shared); /* what is left of them goes at once */
  return check_report();
}
