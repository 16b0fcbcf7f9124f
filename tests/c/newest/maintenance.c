/* What mimalloc 3.6 has added for arenas and for debugging. */
#include "../child.h"
#include <mimalloc-stats.h>
#include <pthread.h>

/* Bytes in memory. */
static long long resident(void) {
  long long all = 0, here = 0;
  FILE* statm = fopen("/proc/self/statm", "r");
  if (statm == NULL || fscanf(statm, "%lld %lld", &all, &here) != 2) return 0;
  fclose(statm);
  return here * sysconf(_SC_PAGESIZE);
}

/* Nothing is given back by itself, and all of it when it is asked for. */
static void part_purge(void) {
  mi_option_set(mi_option_purge_delay, 100000);
  enum { COUNT = 64, BYTES = 1 << 20 };
  void* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) memset(blocks[i] = mi_malloc(BYTES), 1, BYTES);
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
  mi_collect(false);
  long long full = resident();
  mi_arenas_purge();
  tell("less", full - resident());
}

static void test_arenas_purge(void) {
  const outcome_t* child = run_child("purge", "");
  CHECK(child->code == 0);
  CHECK(told(child, "less") >= 50 << 20);
}

static void test_max_object_size(void) {
  size_t most = mi_arena_max_object_size();
  CHECK(most >= 1 << 20 && most <= mi_option_get_size(mi_option_arena_max_object_size));
  mi_option_set(mi_option_arena_max_object_size, 3000);
  CHECK(mi_arena_max_object_size() >= 3000u << 10 && mi_arena_max_object_size() <= 3100u << 10);
  mi_option_set(mi_option_arena_max_object_size, 2 << 20);
}

/* A large range does not wait for the delay. */
static void part_immediate(void) {
  enum { BYTES = 64 << 20 };
  char* p = (char*)mi_malloc(BYTES);
  memset(p, 1, BYTES);
  long long full = resident();
  mi_free(p);
  tell("less", full - resident());
}

static void test_immediate(void) {
  const outcome_t* child = run_child("immediate", "MIMALLOC_PURGE_DELAY=100000");
  CHECK(child->code == 0 && told(child, "less") >= 50 << 20);
  child = run_child("immediate", "MIMALLOC_PURGE_DELAY=100000 MIMALLOC_ARENA_PURGE_IMMEDIATE_SIZE=1GiB");
  CHECK(child->code == 0 && told(child, "less") < 10 << 20);
  child = run_child("immediate", "MIMALLOC_PURGE_DELAY=-1");
  CHECK(child->code == 0 && told(child, "less") < 10 << 20);
}

/* Statistics of a theap go to its heap: at a collection, and when much has come and gone. How much a theap has counted
 * is seen through the function for that. */
static int64_t counted(mi_theap_t* theap) {
  mi_stats_t stats;
  mi_stats_init(&stats);
  return mi_theap_stats_get(theap, &stats) ? stats.allocated.total : -1;
}

static void part_merge(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_theap_t* theap = mi_heap_theap(heap);
  void* blocks[2000];
  int64_t most = 0;
  for (int round = 0; round < 20; round++) {
    for (int i = 0; i < 2000; i++) blocks[i] = mi_theap_malloc(theap, 2000);
    for (int i = 0; i < 2000; i++) mi_free(blocks[i]);
    if (counted(theap) > most) most = counted(theap);
  }
  tell("most", most);
  mi_theap_collect(theap, true);
  tell("collected", counted(theap));
  mi_stats_t stats;
  mi_stats_init(&stats);
  mi_heap_stats_get(heap, &stats);
  tell("all", stats.allocated.total);
  mi_heap_destroy(heap);
}

static void test_merge(void) {
  const long long sum = 20LL * 2000 * 2000;
  if (!on_ours()) return; /* a release build of the reference counts when pages are looked at */
  const outcome_t* child = run_child("merge", "MIMALLOC_STATS_MERGE_THRESHOLD=0");
  CHECK(told(child, "all") >= sum && told(child, "most") > sum / 2 && told(child, "collected") == 0);
  child = run_child("merge", "MIMALLOC_STATS_MERGE_THRESHOLD=0 MIMALLOC_STATS_MERGE_ON_COLLECT=0");
  CHECK(told(child, "all") >= sum && told(child, "collected") > sum / 2);
  child = run_child("merge", "MIMALLOC_STATS_MERGE_ON_COLLECT=0");
  CHECK(told(child, "all") >= sum && told(child, "collected") <= 4 << 20); /* the default */
}

/* At debug levels freed memory is filled, and cleared from level 4 on, but for what the heap preserves. Levels at run time are ours alone. */
static void part_preserve(void) {
  mi_heap_t* heap = mi_heap_new();
  mi_heap_set_debug_fill_preserve(heap, 24);
  unsigned char* p = (unsigned char*)mi_heap_malloc(heap, 200);
  memset(p, 0x11, 200);
  void* other = mi_heap_malloc(heap, 200);
  mi_free(p);
  bool kept = true, filled = true;
  for (int i = 8; i < 24; i++) kept = kept && ((volatile unsigned char*)p)[i] == 0x11; /* a link may be in the first word */
  for (int i = 24; i < 190; i++) filled = filled && ((volatile unsigned char*)p)[i] != 0x11;
  tell("kept", kept);
  tell("filled", filled);
  /* What is preserved may change, also while it is used, without a false alarm. */
  for (size_t preserve = 64; preserve <= 64; preserve -= 16) {
    mi_heap_set_debug_fill_preserve(heap, preserve);
    void* blocks[500];
    for (int i = 0; i < 500; i++) memset(blocks[i] = mi_heap_malloc(heap, i % 2 ? 40 : 200), 0x22, i % 2 ? 40 : 200);
    for (int i = 0; i < 500; i++) mi_free(blocks[i]);
  }
  /* Nor does it reach who asks for zeros. */
  bool zeroed = true;
  for (int i = 0; i < 500; i++) {
    size_t size = i % 2 ? 40 : 200;
    unsigned char* block = (unsigned char*)mi_heap_zalloc(heap, size);
    for (size_t at = 0; at < size; at++) zeroed = zeroed && block[at] == 0;
  }
  tell("zeroed", zeroed);
  mi_free(other);
  mi_heap_collect(heap, true);
  mi_heap_destroy(heap);
  mi_heap_set_debug_fill_preserve(NULL, 0);
}

static void test_preserve(void) {
  const outcome_t* child = run_child("preserve", "");
  CHECK(child->code == 0);
  if (!on_ours()) return;
  static const char* const LEVELS[] = {"MIMALLOC_DEBUG=1", "MIMALLOC_DEBUG=2", "MIMALLOC_DEBUG=3", "MIMALLOC_SECURE=4", "MIMALLOC_SECURE=5"};
  for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) {
    child = run_child("preserve", LEVELS[i]);
    if (child->code != 0) printf("%s: %s\n", LEVELS[i], child->out.text);
    CHECK(child->code == 0 && told(child, "kept") == 1 && told(child, "filled") == 1 && told(child, "zeroed") == 1);
  }
}

static const part_t PARTS[] = {{"purge", &part_purge}, {"immediate", &part_immediate}, {"merge", &part_merge}, {"preserve", &part_preserve}, {NULL, NULL}};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  test_arenas_purge();
  test_max_object_size();
  test_preserve();
  test_immediate();
  test_merge();
  return check_report();
}
