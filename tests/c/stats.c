/* Statistics: layout, values, text and JSON. */
#include "child.h"
#include <dlfcn.h>
#include <mimalloc-stats.h>
#include <pthread.h>
#include <stddef.h>

/* -- layout: these numbers are the interface -- */

static void test_layout(void) {
  CHECK(MI_STAT_VERSION == 5);
  CHECK(sizeof(mi_stat_count_t) == 24 && sizeof(mi_stat_counter_t) == 8);
  CHECK(sizeof(mi_stats_t) == 4368);
  CHECK(offsetof(mi_stats_t, pages) == 16);
  CHECK(offsetof(mi_stats_t, reset) == 88);
  CHECK(offsetof(mi_stats_t, malloc_requested) == 224);
  CHECK(offsetof(mi_stats_t, mmap_calls) == 248);
  CHECK(offsetof(mi_stats_t, segments) == 360);
  CHECK(offsetof(mi_stats_t, heaps) == 456);
  CHECK(offsetof(mi_stats_t, heaps_delete_wait) == 536);
  CHECK(offsetof(mi_stats_t, malloc_bins) == 672);
  CHECK(offsetof(mi_stats_t, page_bins) == 2448);
  CHECK(offsetof(mi_stats_t, chunk_bins) == 4224);
  CHECK(MI_BIN_HUGE == 73 && MI_CBIN_COUNT == 6);
}

static void test_version(void) {
  mi_stats_t stats;
  memset(&stats, 0, sizeof stats);
  CHECK(!mi_stats_get(&stats));
  CHECK(all_bytes(&stats, 0, sizeof stats)); /* nothing written */
  mi_stats_init(&stats);
  CHECK(stats.size == sizeof stats && stats.version == MI_STAT_VERSION);
  CHECK(mi_stats_get(&stats));
  stats.version = MI_STAT_VERSION - 1;
  CHECK(!mi_stats_get(&stats));
  mi_stats_header_init(&stats);
  stats.size -= 8;
  CHECK(!mi_stats_get(&stats));
  stats.size += 16;
  CHECK(!mi_heap_stats_get(mi_heap_main(), &stats));
  CHECK(!mi_subproc_stats_get(mi_subproc_main(), &stats));
  CHECK(!mi_subproc_stats_get_exclusive(mi_subproc_main(), &stats));
  CHECK(!mi_stats_get(NULL));
}

/* -- values -- */

static bool count_is_sane(mi_stat_count_t c) { return c.current <= c.peak && c.peak <= c.total && c.total >= 0; }

#define MI_STAT_COUNT(name) if (!count_is_sane(stats->name)) { printf("%s is not sane\n", #name); sane = false; }
#define MI_STAT_COUNTER(name) if (stats->name.total < 0) { printf("%s is negative\n", #name); sane = false; }
static bool are_sane(const mi_stats_t* stats) {
  bool sane = true;
  MI_STAT_FIELDS()
  return sane;
}
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER

static void* idle(void* arg) {
  mi_free(mi_malloc(100));
  return arg;
}

static void test_process(void) {
  mi_stats_t_decl(before);
  CHECK(mi_stats_get(&before));
  enum { COUNT = 3000 };
  static void* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) blocks[i] = memset(mi_malloc(1500), 1, 1500);
  void* huge = mi_malloc(30 << 20);
  pthread_t thread;
  pthread_create(&thread, NULL, &idle, NULL);
  pthread_join(thread, NULL);
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  CHECK(are_sane(&stats));
  CHECK(stats.pages.current > before.pages.current);
  CHECK(stats.reserved.current >= stats.committed.current);
  CHECK(stats.committed.current >= 30 << 20);
  CHECK(stats.malloc_huge.current >= 30 << 20);
  CHECK(stats.malloc_huge_count.total > before.malloc_huge_count.total);
  CHECK(stats.threads.current == 1 && stats.threads.total == before.threads.total + 1);
  CHECK(stats.heaps.current == 1);
  CHECK(stats.arena_count.total >= 1);
  CHECK(stats.mmap_calls.total >= 1);
  CHECK(stats.segments.total == 0 && stats._segments_reserved.total == 0);
  mi_free(huge);
  mi_stats_init(&stats);
  CHECK(mi_stats_get(&stats));
  if (on_ours()) CHECK(stats.malloc_huge.current < 30 << 20); /* the reference never counts down */
  for (int i = 0; i < COUNT; i++) mi_free(blocks[i]);
}

static void test_bins(void) {
  mi_stats_t_decl(stats);
  void* p = mi_malloc(1000);
  CHECK(mi_stats_get(&stats));
  int64_t pages = 0;
  bool found = false;
  size_t before = 0;
  for (size_t bin = 1; bin < MI_BIN_HUGE; bin++) {
    size_t size = mi_stats_get_bin_size(bin);
    CHECK(size > before);
    if (before < 1000 && size >= 1000) found = stats.page_bins[bin].current > 0;
    before = size;
  }
  for (size_t bin = 0; bin <= MI_BIN_HUGE; bin++) pages += stats.page_bins[bin].current;
  CHECK(found);
  CHECK(pages == stats.pages.current);
  CHECK(mi_stats_get_bin_size(1) == 8);
  CHECK(mi_stats_get_bin_size(MI_BIN_HUGE) > 0);
  CHECK(mi_stats_get_bin_size(MI_BIN_HUGE + 1) == 0);
  CHECK(mi_stats_get_bin_size(100000) == 0);
  mi_free(p);
}

static int64_t pages_of(mi_heap_t* heap) {
  mi_stats_t_decl(stats);
  return mi_heap_stats_get(heap, &stats) && are_sane(&stats) ? stats.pages.current : -1;
}

static int64_t pages_of_subproc_alone(void) {
  mi_stats_t_decl(stats);
  return mi_subproc_stats_get_exclusive(mi_subproc_main(), &stats) ? stats.pages.current : -1000000;
}

/* A heap counts for itself; its sub-process with it unless asked for alone; then it is merged. */
static void test_heap(void) {
  mi_heap_t* heap = mi_heap_new();
  CHECK(pages_of(heap) == 0);
  for (int i = 0; i < 1000; i++) CHECK(mi_heap_malloc(heap, 1000) != NULL);
  int64_t own = pages_of(heap);
  CHECK(own > 0);
  mi_stats_t_decl(all);
  CHECK(mi_subproc_stats_get(mi_subproc_main(), &all));
  CHECK(all.pages.current >= own + pages_of_subproc_alone());
  CHECK(all.heaps.current == 2);
  int64_t alone = pages_of_subproc_alone();
  mi_heap_stats_merge_to_subproc(heap);
  if (on_ours()) CHECK(pages_of(heap) == 0); /* the reference's getter fails after a merge */
  CHECK(pages_of_subproc_alone() == alone + own);
  mi_heap_destroy(heap);
  mi_stats_init(&all);
  CHECK(mi_stats_get(&all));
  CHECK(all.heaps.current == 1);
}

/* Declared by the reference, but missing in its library. */
static void test_merge(void) {
  void (*merge)(void) = NULL;
  *(void**)&merge = dlsym(RTLD_DEFAULT, "mi_stats_merge");
  if (on_ours()) CHECK(merge != NULL);
  if (merge == NULL) return;
  merge();
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats) && are_sane(&stats));
}

static void test_reset(void) {
  mi_stats_reset();
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  CHECK(stats.pages.current >= 0);
  void* p = mi_malloc(100);
  CHECK(p != NULL);
  mi_free(p);
}

/* -- text -- */

static const char* TITLES[] = {"pages", "abandoned", "reserved", "committed", "purged", "arenas", "mmaps", "commits",
                               "purges", "threads", "heaps", "elapsed", "peak rss"};

static void test_text(void) {
  static text_t text, registered, of_heap, of_subproc, of_heaps, old;
  mi_stats_print_out(&add_text, &text);
  for (size_t i = 0; i < sizeof TITLES / sizeof *TITLES; i++) CHECK(says(&text, TITLES[i]));
  mi_register_output(&add_text, &registered);
  mi_stats_print(NULL);
  mi_register_output(NULL, NULL);
  CHECK(says(&registered, "pages"));
  mi_heap_t* heap = mi_heap_new();
  CHECK(mi_heap_malloc(heap, 100) != NULL);
  mi_heap_stats_print_out(heap, &add_text, &of_heap);
  CHECK(says(&of_heap, "heap") && says(&of_heap, "pages"));
  mi_subproc_stats_print_out(mi_subproc_main(), &add_text, &of_subproc);
  CHECK(says(&of_subproc, "subproc") && says(&of_subproc, "committed"));
  mi_subproc_heap_stats_print_out(mi_subproc_main(), &add_text, &of_heaps);
  CHECK(says(&of_heaps, "heap") && says(&of_heaps, "subproc"));
  mi_thread_stats_print_out(&add_text, &old);
  CHECK(old.length > 0);
  mi_heap_destroy(heap);
}

/* -- JSON: a reader that knows no more than the grammar -- */

static const char* skip_space(const char* s) { return s + strspn(s, " \t\r\n"); }
static const char* skip_value(const char* s, int depth);

static const char* skip_string(const char* s) {
  if (*s++ != '"') return NULL;
  while (*s != '"') {
    if (*s == 0) return NULL;
    s += *s == '\\' ? 2 : 1;
  }
  return s + 1;
}

static const char* skip_number(const char* s) {
  char* end;
  (void)strtod(s, &end);
  return end == s ? NULL : end;
}

/* The members of an object or array up to its `close`. */
static const char* skip_members(const char* s, char close, int depth) {
  s = skip_space(s + 1);
  if (*s == close) return s + 1;
  for (;;) {
    if (close == '}') {
      s = skip_string(skip_space(s));
      if (s == NULL || *(s = skip_space(s)) != ':') return NULL;
      s++;
    }
    s = skip_value(s, depth + 1);
    if (s == NULL) return NULL;
    s = skip_space(s);
    if (*s == close) return s + 1;
    if (*s++ != ',') return NULL;
  }
}

static const char* skip_value(const char* s, int depth) {
  if (depth > 20) return NULL;
  s = skip_space(s);
  if (*s == '{') return skip_members(s, '}', depth);
  if (*s == '[') return skip_members(s, ']', depth);
  if (*s == '"') return skip_string(s);
  return skip_number(s);
}

static bool is_json(const char* text) {
  const char* end = text == NULL ? NULL : skip_value(text, 0);
  return end != NULL && *skip_space(end) == 0;
}

#define MI_STAT_COUNT(name) "\"" #name "\"",
#define MI_STAT_COUNTER(name) "\"" #name "\"",
static const char* FIELDS[] = { MI_STAT_FIELDS() "\"malloc_bins\"", "\"page_bins\"", "\"chunk_bins\"", "\"process\"",
                                "\"stat_version\"", "\"mimalloc_version\"", "\"rss_current\"", "\"block_size\"" };
#undef MI_STAT_COUNT
#undef MI_STAT_COUNTER

static void check_json(char* json) {
  CHECK(is_json(json));
  for (size_t i = 0; json != NULL && i < sizeof FIELDS / sizeof *FIELDS; i++) CHECK(strstr(json, FIELDS[i]) != NULL);
  mi_free(json);
}

static void test_json(void) {
  check_json(mi_stats_get_json(0, NULL));
  mi_heap_t* heap = mi_heap_new();
  check_json(mi_heap_stats_get_json(heap, 0, NULL));
  mi_heap_destroy(heap);
  if (on_ours()) check_json(mi_heap_stats_get_json(mi_heap_main(), 0, NULL)); /* the reference has none for this heap */
  check_json(mi_subproc_stats_get_json(mi_subproc_main(), 0, NULL));
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  stats.reset_calls.total = 123456789;
  char* json = mi_stats_as_json(&stats, 0, NULL);
  CHECK(json != NULL && strstr(json, "123456789") != NULL);
  check_json(json);
  memset(&stats, 0, sizeof stats);
  CHECK(mi_stats_as_json(&stats, 0, NULL) == NULL); /* another version */
  CHECK(mi_stats_as_json(NULL, 0, NULL) == NULL);
}

static void test_json_buffer(void) {
  static char buffer[65536];
  CHECK(mi_stats_get_json(sizeof buffer, buffer) == buffer);
  CHECK(is_json(buffer));
  char small[64];
  memset(small, 'x', sizeof small);
  CHECK(mi_stats_get_json(sizeof small, small) == small); /* cut off, but ended */
  CHECK(memchr(small, 0, sizeof small) != NULL);
  mi_heap_t* heap = mi_heap_new();
  CHECK(mi_heap_stats_get_json(heap, sizeof buffer, buffer) == buffer && is_json(buffer));
  mi_heap_destroy(heap);
  CHECK(mi_subproc_stats_get_json(mi_subproc_main(), sizeof buffer, buffer) == buffer && is_json(buffer));
}

/* -- what ours counts beyond the reference's release build -- */

static void test_block_counts(void) {
  if (!on_ours()) return;
  mi_heap_t* heap = mi_heap_new();
  void* blocks[100];
  for (int i = 0; i < 100; i++) blocks[i] = mi_heap_malloc(heap, 1000);
  mi_stats_t_decl(stats);
  CHECK(mi_heap_stats_get(heap, &stats));
  CHECK(stats.malloc_normal.current >= 100 * 1000);
  for (int i = 0; i < 50; i++) mi_free(blocks[i]);
  mi_stats_init(&stats);
  CHECK(mi_heap_stats_get(heap, &stats));
  CHECK(stats.malloc_normal.current >= 50 * 1000 && stats.malloc_normal.current < 60 * 1024);
  mi_heap_destroy(heap);
}

static mi_stats_t stats_of(mi_heap_t* heap) {
  mi_stats_t_decl(stats);
  CHECK(mi_heap_stats_get(heap, &stats) && are_sane(&stats));
  return stats;
}

static size_t bin_of(size_t size) {
  size_t bin = 1;
  while (mi_stats_get_bin_size(bin) < size) bin++;
  return bin;
}

/* Totals are exact though nothing is counted when a block comes or goes. */
static void test_totals(void) {
  if (!on_ours()) return;
  enum { COUNT = 500, ROUNDS = 7, SIZE = 200 };
  mi_heap_t* heap = mi_heap_new();
  void* blocks[COUNT];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < COUNT; i++) blocks[i] = mi_heap_malloc(heap, SIZE);
    for (int i = 0; i < COUNT - 10; i++) mi_free(blocks[i]);
  }
  mi_stats_t stats = stats_of(heap);
  mi_stat_count_t bin = stats.malloc_bins[bin_of(SIZE)];
  int64_t size = (int64_t)mi_good_size(SIZE);
  CHECK(bin.total == COUNT * ROUNDS && bin.current == 10 * ROUNDS);
  CHECK(bin.peak >= COUNT && bin.peak <= bin.total);
  CHECK(stats.malloc_normal_count.total == COUNT * ROUNDS);
  CHECK(stats.malloc_normal.total == bin.total * size && stats.malloc_normal.current == bin.current * size);
  CHECK(stats.page_bins[bin_of(SIZE)].current == stats.pages.current);
  CHECK(stats.pages_extended.total > 0 && stats.page_committed.current >= stats.malloc_normal.current);
  mi_heap_stats_merge_to_subproc(heap);
  stats = stats_of(heap);
  CHECK(stats.malloc_normal_count.total == 10 * ROUNDS); /* those that are in use are still the heap's */
  mi_heap_destroy(heap);
}

static void test_totals_after_reset(void) {
  if (!on_ours()) return;
  mi_stats_reset();
  mi_stats_t_decl(before);
  CHECK(mi_stats_get(&before) && are_sane(&before));
  for (int i = 0; i < 1234; i++) mi_free(mi_malloc(48));
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats) && are_sane(&stats));
  CHECK(stats.malloc_normal_count.total - before.malloc_normal_count.total == 1234);
  CHECK(stats.malloc_normal.current == before.malloc_normal.current);
}

int main(void) {
  test_layout();
  test_version();
  test_process();
  test_bins();
  test_heap();
  test_merge();
  test_text();
  test_json();
  test_json_buffer();
  test_block_counts();
  test_totals();
  test_reset();
  test_totals_after_reset();
  return check_report();
}
