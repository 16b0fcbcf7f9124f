/* What the options do: each child process does the same things with and without a setting.
 *
 * Not here, because nothing outside the library shows them on the reference either: the deprecated ones,
 * os_tag (macOS), retry_on_oom (Windows), allow_large_os_pages (runs, but needs such pages), pagemap_commit,
 * page_full_retain, page_max_candidates, visit_abandoned (the reference visits always). Guarded blocks are not in the
 * reference's release build: "ours only". So is arena_is_numa_local: the reference uses any arena before it reserves one.
 */
#include "child.h"
#include <mimalloc-stats.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* -- what the children do -- */

static long resident_mib(void) {
  long total = 0, resident = 0;
  FILE* file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &total, &resident) != 2) resident = -1;
  if (file != NULL) fclose(file);
  return resident * sysconf(_SC_PAGESIZE) >> 20;
}

static void tell_stats(void) {
  mi_stats_t_decl(stats);
  mi_stats_get(&stats);
  tell("reserved_mib", stats.reserved.current >> 20);
  tell("arenas", stats.arena_count.total);
  tell("commit_calls", stats.commit_calls.total);
  tell("reset_calls", stats.reset_calls.total);
  tell("purged", stats.purged.total);
  tell("reclaimed_on_free", stats.pages_reclaim_on_free.total);
}

/* The usual size of an arena, from the first on. */
#define GIB "MIMALLOC_ARENA_RESERVE=1GiB"

static void part_start(void) {
  void* p = mi_malloc(10);
  tell("address_bits", 64 - __builtin_clzll((unsigned long long)(uintptr_t)p));
  tell_stats();
  tell("thp_disabled", prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
  mi_free(p);
}

static void part_misuse(void) {
  mi_arena_id_t arena;
  for (int i = 0; i < 6; i++) {
    void* volatile p = mi_malloc(TOO_LARGE);
    (void)p;
  }
  for (int i = 0; i < 6; i++) mi_reserve_os_memory_ex(1000, true, false, false, &arena);
}

static void part_free_100mib(void) {
  char* blocks[100];
  for (int i = 0; i < 100; i++) blocks[i] = memset(mi_malloc(1 << 20), 1, 1 << 20);
  for (int i = 0; i < 100; i++) mi_free(blocks[i]);
  tell("at_once", resident_mib());
  usleep(50000);
  mi_free(mi_malloc(600000));
  mi_collect(false);
  tell("soon", resident_mib());
  mi_collect(true);
  tell("forced", resident_mib());
  tell_stats();
}

static void part_free_every_other(void) {
  static void* blocks[400];
  for (int i = 0; i < 400; i++) blocks[i] = memset(mi_malloc(600000), 1, 600000);
  for (int i = 0; i < 400; i += 2) mi_free(blocks[i]);
  usleep(50000);
  mi_collect(false);
  mi_collect(true);
  tell_stats();
}

static void part_allocate(void) {
  tell("small", mi_malloc(100) != NULL);
  tell("medium", mi_malloc(3 << 20) != NULL);
  tell("large", mi_malloc(100 << 20) != NULL);
}

static void part_8mib(void) {
  void* p = mi_malloc(8 << 20);
  tell("ok", holds(p, 1, 8 << 20));
  tell_stats();
}

static void part_sizes(void) {
  for (int i = 1; i < 100; i++) memset(mi_malloc((size_t)i * 700), 1, (size_t)i * 700);
  tell_stats();
}

static long beats;
static void on_beat(bool force, unsigned long long heartbeat, void* arg) {
  (void)force, (void)heartbeat, (void)arg;
  beats++;
}

static void part_beats(void) {
  enum { COUNT = 200000 };
  static void* blocks[COUNT];
  mi_register_deferred_free(&on_beat, NULL);
  for (int i = 0; i < COUNT; i++) blocks[i] = mi_malloc((size_t)i % 3000);
  for (int i = 0; i < COUNT; i += 2) mi_free(blocks[i]);
  for (int i = 0; i < COUNT; i += 2) blocks[i] = mi_malloc((size_t)i % 3000);
  tell("beats", beats);
}

enum { LEFT = 5000 };
static void* left[LEFT];

static void* leave(void* arg) {
  for (int i = 0; i < LEFT; i++) left[i] = mi_malloc(1000);
  return arg;
}

static void* free_half(void* arg) {
  for (int i = 0; i < LEFT; i += 2) mi_free(left[i]);
  return arg;
}

static void in_thread(void* (*run)(void*)) {
  pthread_t thread;
  pthread_create(&thread, NULL, run, NULL);
  pthread_join(thread, NULL);
}

/* Frees in pages that an ended thread left. */
static void part_free_left(void) {
  in_thread(&leave);
  mi_free(mi_malloc(1000));
  for (int i = 0; i < LEFT; i += 3) mi_free(left[i]);
  tell_stats();
}

/* Frees in full pages of its own, after another thread has. */
static void part_free_own(void) {
  leave(NULL);
  in_thread(&free_half);
  for (int i = 1; i < LEFT; i += 4) mi_free(left[i]);
  tell_stats();
}

static void part_end(void) {
  char* p = (char*)mi_malloc(1000);
  size_t os_page = (size_t)sysconf(_SC_PAGESIZE);
  unsigned char there;
  mi_process_done();
  tell("mapped", mincore((void*)((uintptr_t)p & ~(os_page - 1)), os_page, &there) == 0);
}

static void part_print_stats(void) {
  mi_free(mi_malloc(10));
  mi_reserve_huge_os_pages_interleave(1, 0, 10); /* makes the reference count the nodes */
  mi_stats_print(NULL);
}

/* Blocks of two heaps that prefer a node each; afterwards, in the first arena's last free space, one more. */
static void part_nodes(void) {
  for (int node = 0; node < 2; node++) {
    mi_heap_t* heap = mi_heap_new();
    mi_heap_set_numa_affinity(heap, node);
    memset(mi_heap_malloc(heap, 3 << 20), 1, 3 << 20);
  }
  tell_stats();
  mi_arenas_print();
}

/* Some of everything, in several threads, in a heap of each one's own; counts what is not as it should be. */
static bool count_block(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
  (void)heap, (void)area, (void)size;
  *(int*)arg += block != NULL;
  return true;
}

static void* do_everything(void* arg) {
  enum { COUNT = 600 };
  long damaged = 0;
  unsigned char* blocks[COUNT];
  mi_heap_t* heap = mi_heap_new();
  for (int round = 0; round < 3; round++) {
    for (int i = 0; i < COUNT; i++) {
      size_t size = (size_t)1 << (i % 21);
      blocks[i] = (unsigned char*)(i % 2 ? mi_malloc(size) : mi_heap_malloc(heap, size));
      if (blocks[i] != NULL) blocks[i][0] = blocks[i][size - 1] = (unsigned char)i;
      damaged += blocks[i] == NULL;
    }
    int seen = 0;
    if (!mi_heap_visit_blocks(heap, true, &count_block, &seen) || seen != COUNT / 2) damaged++;
    for (int i = 0; i < COUNT; i++) {
      damaged += blocks[i][0] != (unsigned char)i || blocks[i][((size_t)1 << (i % 21)) - 1] != (unsigned char)i;
      mi_free(blocks[i]);
    }
    mi_collect(round == 1);
  }
  (mi_heap_malloc(heap, 100) == NULL ? mi_heap_delete : mi_heap_destroy)(heap);
  __atomic_fetch_add((long*)arg, damaged, __ATOMIC_RELAXED);
  return NULL;
}

static void part_everything(void) {
  pthread_t threads[4];
  long damaged = 0;
  for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, &do_everything, &damaged);
  pid_t child = fork();
  if (child == 0) {
    damaged = 0;
    do_everything(&damaged);
    _exit(damaged != 0);
  }
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
  int status = 1;
  waitpid(child, &status, 0);
  tell("damaged", damaged);
  tell("damaged_in_child", status);
}

/* Writes behind blocks of `size` bytes: of guarded ones, some end at a guard, and the others begin behind one. */
static void write_behind(size_t size) {
  char* blocks[64];
  for (int i = 0; i < 64; i++) blocks[i] = (char*)mi_malloc(size);
  for (int i = 0; i < 64; i++) {
    volatile char* behind = blocks[i] + (mi_usable_size(blocks[i]) > size + 16 ? size : mi_usable_size(blocks[i]));
    *behind = 1;
  }
}

static void part_before_100(void) {
  char* blocks[64];
  for (int i = 0; i < 64; i++) blocks[i] = (char*)mi_malloc(100);
  for (int i = 0; i < 64; i++) ((volatile char*)blocks[i])[-1] = 1;
}

/* Frees a block, and others after it; then reads it. */
static void part_read_after_free(void) {
  volatile char* p = (char*)mi_malloc(100);
  mi_free((void*)p);
  for (int i = 0; i < 20; i++) mi_free(mi_malloc(100));
  tell("read", p[50] != 0);
}

static void part_behind_100(void) { write_behind(100); }
static void part_behind_5000(void) { write_behind(5000); }

static void part_behind_exactly(void) {
  volatile char* p = (char*)mi_malloc(101);
  p[101] = 1;
}

/* Which of 400 blocks are guarded, as a number. */
static void part_sampled(void) {
  unsigned long long hash = 0, guarded = 0;
  for (int i = 0; i < 400; i++) {
    mi_stats_t_decl(before);
    mi_stats_get(&before);
    void* p = mi_malloc(100);
    mi_stats_t_decl(after);
    mi_stats_get(&after);
    bool is = p != NULL && after.malloc_guarded_count.total > before.malloc_guarded_count.total;
    guarded += is;
    hash = hash * 31 + (is ? (unsigned)i : 0);
  }
  tell("guarded", (long long)guarded);
  tell("hash", (long long)(hash >> 1));
}

/* -- tests -- */

static bool prints(const char* part, const char* settings, const char* words) {
  return strstr(run_child(part, settings)->out.text, words) != NULL;
}

static long long with(const char* part, const char* settings, const char* name) {
  const outcome_t* child = run_child(part, settings);
  if (child->code != 0) printf("%s with %s: code %d, signal %d\n", part, settings, child->code, child->signal);
  return told(child, name);
}

static int occurrences(const char* part, const char* settings, const char* words) {
  int count = 0;
  for (const char* at = run_child(part, settings)->out.text; (at = strstr(at, words)) != NULL; at++) count++;
  return count;
}

static void test_messages(void) {
  CHECK(!prints("misuse", "", "mimalloc"));
  CHECK(prints("misuse", "MIMALLOC_SHOW_ERRORS=1", "error: "));
  CHECK(prints("misuse", "MIMALLOC_SHOW_ERRORS=1", "warning: "));
  int all = occurrences("misuse", "MIMALLOC_SHOW_ERRORS=1", "error: ");
  int few = occurrences("misuse", "MIMALLOC_SHOW_ERRORS=1 MIMALLOC_MAX_ERRORS=2", "error: ");
  CHECK(few >= 2 && few <= 3 && few < all);
  all = occurrences("misuse", "MIMALLOC_SHOW_ERRORS=1", "warning: ");
  few = occurrences("misuse", "MIMALLOC_SHOW_ERRORS=1 MIMALLOC_MAX_WARNINGS=2", "warning: ");
  CHECK(few >= 2 && few <= 3 && few < all);
  CHECK(!prints("start", "", "option"));
  CHECK(prints("start", "MIMALLOC_VERBOSE=1", "purge_delay"));
  CHECK(prints("start", "MIMALLOC_VERBOSE=1 MIMALLOC_RESET_DELAY=5", "deprecated"));
  CHECK(!prints("start", "", "committed"));
  CHECK(prints("start", "MIMALLOC_SHOW_STATS=1", "committed"));
}

static void test_arenas(void) {
  CHECK(with("start", "", "arenas") == 1);
  CHECK(with("start", "MIMALLOC_DISALLOW_ARENA_ALLOC=1", "arenas") == 0);
  CHECK(with("start", GIB, "reserved_mib") - with("start", "MIMALLOC_ARENA_RESERVE=128MiB", "reserved_mib") >= 800);
  CHECK(with("start", GIB, "reserved_mib") - with("start", GIB " MIMALLOC_RESERVE_OS_MEMORY=64MiB", "reserved_mib") >= 800);
  CHECK(with("8mib", GIB " MIMALLOC_ARENA_MAX_OBJECT_SIZE=4MiB", "reserved_mib") >= with("8mib", GIB, "reserved_mib") + 7);
  CHECK(with("8mib", "MIMALLOC_ARENA_MAX_OBJECT_SIZE=4MiB", "ok") == 1);
}

static void test_only_reserved(void) {
  CHECK(with("allocate", "MIMALLOC_DISALLOW_OS_ALLOC=1", "small") == 0);
  const outcome_t* child = run_child("allocate", "MIMALLOC_DISALLOW_OS_ALLOC=1 MIMALLOC_RESERVE_OS_MEMORY=64MiB");
  CHECK(told(child, "small") == 1 && told(child, "medium") == 1 && told(child, "large") == 0);
}

static void test_commit(void) {
  CHECK(with("start", "MIMALLOC_ARENA_EAGER_COMMIT=1", "commit_calls") == 0);
  CHECK(with("start", "MIMALLOC_ARENA_EAGER_COMMIT=0", "commit_calls") > 0);
  CHECK(with("sizes", "MIMALLOC_ARENA_EAGER_COMMIT=0 MIMALLOC_PAGE_COMMIT_ON_DEMAND=1", "commit_calls") >
        with("sizes", "MIMALLOC_ARENA_EAGER_COMMIT=0 MIMALLOC_PAGE_COMMIT_ON_DEMAND=0", "commit_calls"));
}

static void test_purge(void) {
  const outcome_t* child = run_child("free_100mib", "MIMALLOC_PURGE_DELAY=0");
  CHECK(told(child, "at_once") < 50);
  CHECK(told(child, "reset_calls") == 0 && told(child, "purged") > 50 << 20);
  child = run_child("free_100mib", "MIMALLOC_PURGE_DELAY=-1");
  CHECK(told(child, "soon") >= 90);
  CHECK(told(child, "forced") >= 90 || on_ours()); /* ours may take "forced" literally */
  child = run_child("free_100mib", "MIMALLOC_PURGE_DELAY=10");
  CHECK(told(child, "soon") < 50);
  child = run_child("free_100mib", "MIMALLOC_PURGE_DELAY=10 MIMALLOC_ARENA_PURGE_MULT=1000");
  CHECK(told(child, "soon") >= 90 && told(child, "forced") < 50);
  CHECK(with("free_100mib", "MIMALLOC_PURGE_DELAY=0 MIMALLOC_PURGE_DECOMMITS=0", "reset_calls") > 0);
  CHECK(with("free_every_other", "MIMALLOC_PURGE_DELAY=10", "purged") > 0);
  CHECK(with("free_every_other", "MIMALLOC_PURGE_DELAY=10 MIMALLOC_MINIMAL_PURGE_SIZE=8MiB", "purged") == 0);
  CHECK(with("free_every_other", "MIMALLOC_PURGE_DELAY=10 MIMALLOC_ALLOW_THP=2", "purged") == 0);
}

static void test_os_pages(void) {
  CHECK(with("start", "MIMALLOC_ALLOW_THP=0", "thp_disabled") == 1);
  CHECK(with("start", "MIMALLOC_ALLOW_THP=1", "thp_disabled") == 0);
  CHECK(with("start", "MIMALLOC_ALLOW_THP=2", "arenas") == 1);
  CHECK(with("start", "MIMALLOC_ALLOW_LARGE_OS_PAGES=1", "arenas") == 1);
  /* this machine may or may not have 1 GiB pages: reserved, or a warning */
  const char* huge = "MIMALLOC_SHOW_ERRORS=1 MIMALLOC_RESERVE_HUGE_OS_PAGES=1";
  CHECK(prints("start", huge, "huge") || with("start", huge, "reserved_mib") >= 1024);
  huge = "MIMALLOC_SHOW_ERRORS=1 MIMALLOC_RESERVE_HUGE_OS_PAGES=1 MIMALLOC_RESERVE_HUGE_OS_PAGES_AT=0";
  CHECK(prints("start", huge, "huge") || with("start", huge, "reserved_mib") >= 1024);
  CHECK(with("start", huge, "address_bits") > 0);
  if (on_ours()) CHECK(with("start", "MIMALLOC_MAX_VABITS=40", "address_bits") <= 40);
}

static void test_numa(void) {
  CHECK(prints("print_stats", "MIMALLOC_USE_NUMA_NODES=3", "numa nodes:     3"));
  CHECK(!prints("print_stats", "", "numa nodes:     3"));
  if (!on_ours()) return;
  const char* two = "MIMALLOC_USE_NUMA_NODES=2 MIMALLOC_ARENA_IS_NUMA_LOCAL=1";
  CHECK(with("nodes", two, "arenas") == 2);
  CHECK(prints("nodes", two, "NUMA node 0") && prints("nodes", two, "NUMA node 1"));
  two = GIB " MIMALLOC_USE_NUMA_NODES=2";
  CHECK(with("nodes", two, "arenas") == 1 && !prints("nodes", two, "NUMA node"));
  /* where no further arena may be had, another node's serves */
  two = "MIMALLOC_USE_NUMA_NODES=2 MIMALLOC_ARENA_IS_NUMA_LOCAL=1 MIMALLOC_RESERVE_OS_MEMORY=64MiB MIMALLOC_DISALLOW_OS_ALLOC=1";
  CHECK(with("nodes", two, "arenas") == 1);
}

static void test_upkeep(void) {
  CHECK(with("beats", "MIMALLOC_GENERIC_COLLECT=100", "beats") > with("beats", "", "beats"));
  CHECK(with("end", "", "mapped") == 1);
  CHECK(with("end", "MIMALLOC_DESTROY_ON_EXIT=1", "mapped") == 0);
}

static void test_reclaim(void) {
  CHECK(with("free_left", "MIMALLOC_PAGE_RECLAIM_ON_FREE=-1", "reclaimed_on_free") == 0);
  CHECK(with("free_left", "", "reclaimed_on_free") == 0);
  CHECK(with("free_left", "MIMALLOC_PAGE_RECLAIM_ON_FREE=1", "reclaimed_on_free") > 0);
  CHECK(with("free_left", "MIMALLOC_PAGE_RECLAIM_ON_FREE=1 MIMALLOC_PAGE_CROSS_THREAD_MAX_RECLAIM=0", "reclaimed_on_free") == 0);
  CHECK(with("free_own", "", "reclaimed_on_free") > 0);
  CHECK(with("free_own", "MIMALLOC_PAGE_MAX_RECLAIM=0", "reclaimed_on_free") == 0);
}

/* Nothing breaks under any option. */
static void test_all(void) {
  static const char* SETTINGS[] = {
    "ARENA_EAGER_COMMIT=0", "ARENA_EAGER_COMMIT=1", "PURGE_DECOMMITS=0", "ALLOW_LARGE_OS_PAGES=1", "RESERVE_HUGE_OS_PAGES=1",
    "RESERVE_OS_MEMORY=512MiB", "PURGE_DELAY=0", "PURGE_DELAY=-1", "USE_NUMA_NODES=4", "ARENA_RESERVE=8MiB", "ARENA_PURGE_MULT=5",
    "DISALLOW_ARENA_ALLOC=1", "VISIT_ABANDONED=1", "GENERIC_COLLECT=10", "PAGE_RECLAIM_ON_FREE=1", "PAGE_RECLAIM_ON_FREE=-1",
    "PAGE_FULL_RETAIN=0", "PAGE_FULL_RETAIN=100", "PAGE_MAX_CANDIDATES=1", "PAGE_MAX_CANDIDATES=100", "MAX_VABITS=40",
    "PAGEMAP_COMMIT=1", "PAGE_COMMIT_ON_DEMAND=1", "PAGE_MAX_RECLAIM=0", "PAGE_CROSS_THREAD_MAX_RECLAIM=0", "ALLOW_THP=0",
    "ALLOW_THP=2", "MINIMAL_PURGE_SIZE=1MiB", "ARENA_MAX_OBJECT_SIZE=1MiB", "ARENA_IS_NUMA_LOCAL=1", "DESTROY_ON_EXIT=1",
  };
  if (!on_ours()) return; /* some end the reference's process */
  for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++) {
    char setting[100];
    snprintf(setting, sizeof setting, "MIMALLOC_%s", SETTINGS[i]);
    const outcome_t* child = run_child("everything", setting);
    if (told(child, "damaged") != 0 || child->code != 0) printf("%s: code %d, signal %d\n", setting, child->code, child->signal);
    CHECK(child->code == 0 && told(child, "damaged") == 0 && told(child, "damaged_in_child") == 0);
  }
}

static bool faults(const char* part, const char* settings) { return run_child(part, settings)->signal == SIGSEGV; }

static void test_guarded(void) {
  if (!on_ours()) return;
  CHECK(!faults("behind_5000", ""));
  CHECK(faults("behind_100", "MIMALLOC_GUARDED_SAMPLE_RATE=1"));
  CHECK(faults("behind_5000", "MIMALLOC_GUARDED_SAMPLE_RATE=1"));
  CHECK(!faults("behind_100", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_MIN=1000"));
  CHECK(faults("behind_5000", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_MIN=1000"));
  CHECK(faults("behind_100", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_MAX=1000"));
  CHECK(!faults("behind_5000", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_MAX=1000"));
  CHECK(faults("behind_exactly", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_PRECISE=1"));
  CHECK(!faults("behind_exactly", "MIMALLOC_GUARDED_SAMPLE_RATE=1"));
  CHECK(faults("before_100", "MIMALLOC_GUARDED_SAMPLE_RATE=1"));
  CHECK(!faults("before_100", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_PRECISE=1"));
  CHECK(faults("read_after_free", "MIMALLOC_GUARDED_SAMPLE_RATE=1"));
  CHECK(faults("read_after_free", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_REST=21"));
  CHECK(!faults("read_after_free", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_REST=20"));
  CHECK(!faults("read_after_free", "MIMALLOC_GUARDED_SAMPLE_RATE=1 MIMALLOC_GUARDED_REST=0"));
  const char* sampled = "MIMALLOC_GUARDED_SAMPLE_RATE=10 MIMALLOC_GUARDED_SAMPLE_SEED=5";
  long long guarded = with("sampled", sampled, "guarded");
  CHECK(guarded >= 20 && guarded <= 80);
  CHECK(with("sampled", sampled, "hash") == with("sampled", sampled, "hash"));
  CHECK(with("sampled", "", "guarded") == 0);
}

static const part_t PARTS[] = {
  {"start", &part_start}, {"misuse", &part_misuse}, {"free_100mib", &part_free_100mib},
  {"free_every_other", &part_free_every_other}, {"allocate", &part_allocate}, {"8mib", &part_8mib},
  {"sizes", &part_sizes}, {"beats", &part_beats}, {"free_left", &part_free_left}, {"free_own", &part_free_own},
  {"end", &part_end}, {"nodes", &part_nodes}, {"everything", &part_everything}, {"print_stats", &part_print_stats}, {"behind_100", &part_behind_100},
  {"behind_5000", &part_behind_5000}, {"behind_exactly", &part_behind_exactly}, {"sampled", &part_sampled},
  {"before_100", &part_before_100}, {"read_after_free", &part_read_after_free}, {NULL, NULL},
};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  test_messages();
  test_arenas();
  test_only_reserved();
  test_commit();
  test_purge();
  test_os_pages();
  test_numa();
  test_upkeep();
  test_reclaim();
  test_all();
  test_guarded();
  return check_report();
}
