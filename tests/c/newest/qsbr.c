/* Quiescent state based reclamation: readers walk objects that writers free under them, without a lock. The runtime here is
 * the simplest that does it right: a global clock, and for each thread the time at which it last held no object.
 *
 * The reference is built without it: there mi_heap_new_qsbr is null. `MUTANT=1` in the child's environment makes the runtime
 * let every page go at once: the readers must notice. */
#include "../child.h"
#include <mimalloc-stats.h>
#include <pthread.h>

typedef struct mi_page_qsbr_s { uint64_t goal; } mi_page_qsbr_t;
typedef struct mi_heap_qsbr_s { uint64_t is_ready; } mi_heap_qsbr_t;

#ifdef __cplusplus
#error "this test is C"
#endif
mi_heap_t* mi_heap_new_qsbr(void);
void mi_heap_qsbr_init(mi_heap_qsbr_t* heap);
void mi_page_qsbr_clear(mi_page_qsbr_t* page);
bool mi_page_qsbr_is_clear(const mi_page_qsbr_t* page);
bool mi_page_qsbr_should_delay(mi_page_qsbr_t* page, mi_heap_qsbr_t* heap, size_t page_bytes);

/* -- the runtime -- */

enum { THREADS = 8, SLOTS = 512 };
static uint64_t now = 1;
static uint64_t seen[THREADS]; /* when each thread last held no object; 0: it holds none at all */
static bool is_mutant;
static long delayed, let_go, cleared;

static void count(long* what) { __atomic_add_fetch(what, 1, __ATOMIC_RELAXED); }

void mi_heap_qsbr_init(mi_heap_qsbr_t* heap) { heap->is_ready = 1; }

void mi_page_qsbr_clear(mi_page_qsbr_t* page) {
  count(&cleared);
  page->goal = 0;
}

bool mi_page_qsbr_is_clear(const mi_page_qsbr_t* page) { return page->goal == 0; }

static bool is_passed(uint64_t goal) {
  for (int i = 0; i < THREADS; i++) {
    uint64_t at = __atomic_load_n(&seen[i], __ATOMIC_SEQ_CST);
    if (at != 0 && at < goal) return false;
  }
  return true;
}

bool mi_page_qsbr_should_delay(mi_page_qsbr_t* page, mi_heap_qsbr_t* heap, size_t page_bytes) {
  if (heap->is_ready != 1 || page_bytes == 0) abort();
  if (is_mutant) return false;
  if (page->goal == 0) page->goal = __atomic_add_fetch(&now, 1, __ATOMIC_SEQ_CST);
  bool waits = !is_passed(page->goal);
  count(waits ? &delayed : &let_go);
  return waits;
}

static void quiescent(int thread) { __atomic_store_n(&seen[thread], __atomic_load_n(&now, __ATOMIC_SEQ_CST), __ATOMIC_SEQ_CST); }
static void offline(int thread) { __atomic_store_n(&seen[thread], 0, __ATOMIC_SEQ_CST); }

/* -- objects: the first word is the allocator's once it is freed, the others say of what size the object is -- */

static const size_t SIZES[] = {32, 48, 160, 640, 4096, 30000, 700000};
enum { KINDS = sizeof SIZES / sizeof *SIZES };
static uint64_t word_of(int kind) { return 0x5153425200000000u + (uint64_t)kind; }

static mi_heap_t* heap;
static uint64_t* slots[SLOTS];
static int slot_kind(int slot) { return slot % 100 == 0 ? KINDS - 1 : slot % (KINDS - 1); }
static bool stops;
static long mistakes, walks;

static uint32_t next(uint32_t* state) { return *state = *state * 1664525u + 1013904223u; }

static uint64_t* make(int kind) {
  uint64_t* object = (uint64_t*)mi_heap_malloc(heap, SIZES[kind]);
  if (object == NULL) abort();
  for (size_t i = 1; i < SIZES[kind] / 8; i += 64) __atomic_store_n(&object[i], word_of(kind), __ATOMIC_RELAXED);
  return object;
}

/* Fills a slot and frees what was there, while others may be reading that. */
static void replace(int slot) {
  uint64_t* old = __atomic_exchange_n(&slots[slot], make(slot_kind(slot)), __ATOMIC_ACQ_REL);
  mi_free(old);
}

/* Empties a run of slots and fills it again, so that pages become empty, and their memory is wanted elsewhere. */
static void* write_slots(void* arg) {
  int me = (int)(intptr_t)arg;
  uint32_t state = (uint32_t)me * 77 + 5;
  void* others[64];
  while (!__atomic_load_n(&stops, __ATOMIC_RELAXED)) {
    int first = (int)(next(&state) >> 8) % (SLOTS - 64);
    for (int i = 0; i < 64; i++) mi_free(__atomic_exchange_n(&slots[first + i], (uint64_t*)NULL, __ATOMIC_ACQ_REL));
    mi_heap_collect(heap, true);
    for (int i = 0; i < 64; i++) {
      size_t size = SIZES[(next(&state) >> 8) % KINDS];
      others[i] = mi_malloc(size);
      memset(others[i], 0xEE, size < 5000 ? size : 5000);
    }
    for (int i = 0; i < 64; i++) mi_free(others[i]);
    if (next(&state) >> 28 == 0) mi_arenas_purge();
    for (int i = 0; i < 64; i++) replace(first + i);
  }
  return NULL;
}

/* Holds an object for a while, whatever becomes of it, and reads all of it again and again. */
static void walk(uint64_t* object, int kind) {
  for (int again = 0; again < 20; again++) {
    for (size_t i = 1; i < SIZES[kind] / 8; i += 64)
      if (__atomic_load_n(&object[i], __ATOMIC_RELAXED) != word_of(kind)) count(&mistakes);
    if (again == 10) usleep(200); /* others go on meanwhile */
  }
  count(&walks);
}

static void* read_slots(void* arg) {
  int me = (int)(intptr_t)arg;
  uint32_t state = (uint32_t)me * 991 + 3;
  while (!__atomic_load_n(&stops, __ATOMIC_RELAXED)) {
    quiescent(me);
    for (int i = 0; i < 4; i++) {
      int slot = (int)(next(&state) >> 8) % SLOTS;
      uint64_t* object = __atomic_load_n(&slots[slot], __ATOMIC_ACQUIRE);
      if (object != NULL) walk(object, slot_kind(slot));
    }
  }
  offline(me);
  return NULL;
}

static int64_t pages_of_heap(void) {
  mi_stats_t stats;
  mi_stats_init(&stats);
  return mi_heap_stats_get(heap, &stats) ? stats.pages.current : -1;
}

static void part_churn(void) {
  is_mutant = getenv("MUTANT") != NULL;
  heap = mi_heap_new_qsbr();
  if (heap == NULL) return;
  mi_heap_set_debug_fill_preserve(heap, SIZE_MAX); /* at debug levels, too, freed objects stay as they were */
  for (int i = 0; i < SLOTS; i++) replace(i);
  pthread_t threads[THREADS];
  for (int i = 0; i < THREADS; i++)
    pthread_create(&threads[i], NULL, i % 2 == 0 ? &read_slots : &write_slots, (void*)(intptr_t)i);
  const char* millis = getenv("CHURN_MILLIS");
  for (int left = millis == NULL ? 700 : atoi(millis); left > 0 && __atomic_load_n(&mistakes, __ATOMIC_RELAXED) == 0; left -= 10) usleep(10000);
  __atomic_store_n(&stops, true, __ATOMIC_RELAXED);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < SLOTS; i++) mi_free(slots[i]);
  tell("before", pages_of_heap());
  mi_heap_collect(heap, true);
  tell("after", pages_of_heap());
  tell("mistakes", mistakes);
  tell("walks", walks);
  tell("delayed", delayed);
  tell("let_go", let_go);
  tell("cleared", cleared);
  mi_heap_destroy(heap);
}

static void test_churn(const char* settings) {
  const outcome_t* child = run_child("churn", settings);
  if (told(child, "mistakes") != 0 || told(child, "after") != 0) printf("%s\n", child->out.text);
  CHECK(child->code == 0 && told(child, "mistakes") == 0);
  CHECK(told(child, "walks") > 0 && told(child, "delayed") > 0 && told(child, "let_go") > 0);
  CHECK(told(child, "after") == 0); /* all memory has come back */
}

/* The mutant: a fault, or objects that aren't any more what they were. */
static void test_mutant(void) {
  const outcome_t* child = run_child("churn", "MUTANT=1 CHURN_MILLIS=10000");
  CHECK(child->signal != 0 || told(child, "mistakes") > 0);
}

/* -- whose an object was is known even when that thread has ended: a runtime may want it back in the object -- */

static void* leave_object(void* arg) {
  void** results = (void**)arg;
  results[0] = make(2);
  results[1] = (void*)mi_thread_id_of(results[0]);
  return NULL;
}

static void test_last_owner(void) {
  heap = mi_heap_new_qsbr();
  if (heap == NULL) return;
  void* results[2];
  pthread_t thread;
  pthread_create(&thread, NULL, &leave_object, results);
  pthread_join(thread, NULL);
  CHECK(results[1] != NULL && (void*)mi_thread_id_of(results[0]) == results[1]);
  mi_free(results[0]);
  mi_heap_destroy(heap);
}

/* -- one thread, step by step -- */

static void test_steps(void) {
  heap = mi_heap_new_qsbr();
  if (heap == NULL) return;
  quiescent(0); /* a reader that holds objects from now on */
  uint64_t* objects[2000];
  for (int i = 0; i < 2000; i++) objects[i] = make(3);
  uint64_t* big = make(KINDS - 1);
  CHECK(mi_thread_id_of(big) != 0);
  for (int i = 0; i < 2000; i++) mi_free(objects[i]);
  mi_free(big);
  mi_heap_collect(heap, true);
  mi_arenas_purge();
  int64_t kept = pages_of_heap();
  CHECK(kept >= 20);
  for (int i = 0; i < 2000; i += 7) CHECK(objects[i][1] == word_of(3) && mi_heap_of(objects[i]) == heap);
  CHECK(big[1] == word_of(KINDS - 1) && big[80000] == 0 + big[80000]);
  /* They serve new objects of their size, and of no other. */
  uint64_t* again[2000];
  for (int i = 0; i < 2000; i++) again[i] = make(3);
  CHECK(pages_of_heap() <= kept + 1);
  for (int i = 0; i < 2000; i++) mi_free(again[i]);
  /* What grows or shrinks leaves the old place as it was. */
  big = make(KINDS - 1);
  uint64_t* moved = (uint64_t*)mi_heap_realloc(heap, big, 8 << 20);
  CHECK(big[1] == word_of(KINDS - 1) && moved[1] == word_of(KINDS - 1));
  uint64_t* large = (uint64_t*)mi_heap_realloc(heap, moved, 64 << 20);
  CHECK(moved[1] == word_of(KINDS - 1) && large[1] == word_of(KINDS - 1));
  large[7000000] = 5;
  uint64_t* small = (uint64_t*)mi_heap_realloc(heap, large, 2 << 20);
  CHECK(large[7000000] == 5 && small[1] == word_of(KINDS - 1));
  mi_free(small);
  mi_heap_collect(heap, true);
  CHECK(pages_of_heap() >= 20);
  offline(0);
  mi_heap_collect(heap, true);
  CHECK(pages_of_heap() == 0);
  /* Such a heap can't be deleted. */
  mi_heap_delete(heap);
  void* p = mi_heap_malloc(heap, 10);
  CHECK(p != NULL && mi_heap_contains(heap, p));
  mi_heap_destroy(heap);
}

static const part_t PARTS[] = {{"churn", &part_churn}, {NULL, NULL}};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  mi_heap_t* one = mi_heap_new_qsbr();
  CHECK((one != NULL) == on_ours());
  if (one == NULL) return check_report();
  mi_heap_destroy(one);
  test_steps();
  test_last_owner();
  test_churn("");
  test_churn("MIMALLOC_SECURE=4");
  test_churn("MIMALLOC_DEBUG=2");
  test_mutant();
  return check_report();
}
