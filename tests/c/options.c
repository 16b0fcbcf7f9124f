/* Reading and setting options; their numbers, defaults, environment names and kinds of value.
 * What they do is in effects.c. */
#include "child.h"
#include <limits.h>

/* -- numbers, names, defaults -- */

typedef struct { mi_option_t option; int number; const char* name; long value; } known_t;

#define KNOWN(number, name, value) {mi_option_##name, number, #name, value}
static const known_t ALL[] = {
  KNOWN(0, show_errors, 0), KNOWN(1, show_stats, 0), KNOWN(2, verbose, 0), KNOWN(3, deprecated_eager_commit, 1),
  KNOWN(4, arena_eager_commit, 2), KNOWN(5, purge_decommits, 1), KNOWN(6, allow_large_os_pages, 0),
  KNOWN(7, reserve_huge_os_pages, 0), KNOWN(8, reserve_huge_os_pages_at, -1), KNOWN(9, reserve_os_memory, 0),
  KNOWN(10, deprecated_segment_cache, 0), KNOWN(11, deprecated_page_reset, 0),
  KNOWN(12, deprecated_abandoned_page_purge, 0), KNOWN(13, deprecated_segment_reset, 0),
  KNOWN(14, deprecated_eager_commit_delay, 1), KNOWN(15, purge_delay, 1000), KNOWN(16, use_numa_nodes, 0),
  KNOWN(17, disallow_os_alloc, 0), KNOWN(18, os_tag, 100), KNOWN(19, max_errors, 32), KNOWN(20, max_warnings, 32),
  KNOWN(21, deprecated_max_segment_reclaim, 10), KNOWN(22, destroy_on_exit, 0), KNOWN(23, arena_reserve, 1 << 20),
  KNOWN(24, arena_purge_mult, 1), KNOWN(25, deprecated_purge_extend_delay, 1), KNOWN(26, disallow_arena_alloc, 0),
  KNOWN(27, retry_on_oom, 400), KNOWN(28, visit_abandoned, 0), KNOWN(29, guarded_min, 0),
  KNOWN(30, guarded_max, 1 << 30), KNOWN(31, guarded_precise, 0), KNOWN(32, guarded_sample_rate, 0),
  KNOWN(33, guarded_sample_seed, 0), KNOWN(34, generic_collect, 10000), KNOWN(35, page_reclaim_on_free, 0),
  KNOWN(36, page_full_retain, 2), KNOWN(37, page_max_candidates, 4), KNOWN(38, max_vabits, 0),
  KNOWN(39, pagemap_commit, 0), KNOWN(40, page_commit_on_demand, 0), KNOWN(41, page_max_reclaim, -1),
  KNOWN(42, page_cross_thread_max_reclaim, 32), KNOWN(43, allow_thp, 1), KNOWN(44, minimal_purge_size, 0),
  KNOWN(45, arena_max_object_size, 2 << 20), KNOWN(46, arena_is_numa_local, 0),
};
enum { COUNT = sizeof ALL / sizeof *ALL };

/* What 3.6 did to these: a default that says what has always been so, and names that are printed in place of the old ones. */
static long expected_default(const known_t* known) {
  return on_ours() && known->option == mi_option_visit_abandoned ? 1 : known->value;
}
static const char* present_name(const known_t* known) {
  return on_ours() && known->option == mi_option_minimal_purge_size ? "arena_purge_min_size" : known->name;
}

static void part_defaults(void) {
  for (int i = 0; i < COUNT; i++) tell(ALL[i].name, mi_option_get(ALL[i].option));
}

static void test_defaults(void) {
  CHECK(COUNT == 47 && _mi_option_last >= 47);
  const outcome_t* child = run_child("defaults", "");
  for (int i = 0; i < COUNT; i++) {
    CHECK((int)ALL[i].option == ALL[i].number);
    char line[100];
    snprintf(line, sizeof line, "\n%s=%ld\n", ALL[i].name, expected_default(&ALL[i]));
    if (!says(&child->out, line)) printf("default of %s: expected %ld, told %lld\n", ALL[i].name, expected_default(&ALL[i]), told(child, ALL[i].name));
    CHECK(says(&child->out, line));
  }
  CHECK(mi_option_large_os_pages == 6 && mi_option_eager_region_commit == 4 && mi_option_reset_decommits == 5);
  CHECK(mi_option_reset_delay == 15 && mi_option_limit_os_alloc == 17);
}

/* Each name is read from the environment. Options that would change what the child can do get harmless values. */
static void test_environment(void) {
  for (int i = 0; i < COUNT; i++) {
    if (ALL[i].option == mi_option_max_vabits || ALL[i].option == mi_option_reserve_huge_os_pages) continue;
    bool off_only = ALL[i].option == mi_option_disallow_os_alloc || ALL[i].option == mi_option_reserve_os_memory;
    long value = off_only ? 0 : 1;
    char setting[100] = "MIMALLOC_", *at = setting + strlen(setting);
    for (const char* c = ALL[i].name; *c != 0; c++) *at++ = *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c;
    snprintf(at, 20, "=%ld", value);
    const outcome_t* child = run_child("defaults", setting);
    if (told(child, ALL[i].name) != value) printf("%s: told %lld\n", setting, told(child, ALL[i].name));
    CHECK(told(child, ALL[i].name) == value);
  }
}

static long long value_with(const char* setting, const char* name) {
  return told(run_child("defaults", setting), name);
}

static void test_kinds_of_value(void) {
  CHECK(value_with("MIMALLOC_VISIT_ABANDONED=on", "visit_abandoned") == 1);
  CHECK(value_with("MIMALLOC_VISIT_ABANDONED=TRUE", "visit_abandoned") == 1);
  CHECK(value_with("MIMALLOC_VISIT_ABANDONED=yes", "visit_abandoned") == 1);
  CHECK(value_with("MIMALLOC_VISIT_ABANDONED=", "visit_abandoned") == 1);
  CHECK(value_with("MIMALLOC_ALLOW_THP=off", "allow_thp") == 0);
  CHECK(value_with("MIMALLOC_ALLOW_THP=False", "allow_thp") == 0);
  CHECK(value_with("MIMALLOC_ALLOW_THP=NO", "allow_thp") == 0);
  CHECK(value_with("MIMALLOC_PURGE_DELAY=123", "purge_delay") == 123);
  CHECK(value_with("MIMALLOC_PURGE_DELAY=-1", "purge_delay") == -1);
  CHECK(value_with("MIMALLOC_PURGE_DELAY=12x", "purge_delay") == 1000); /* not a number: the default */
  CHECK(value_with("mimalloc_purge_delay=77", "purge_delay") == 77);    /* any case */
}

static void test_sizes_in_environment(void) {
  static const struct { const char* text; long kib; } SIZES[] = {
    {"64MiB", 64 << 10}, {"64M", 64 << 10}, {"64m", 64 << 10}, {"64MB", 64 << 10}, {"100K", 100}, {"100KiB", 100},
    {"1G", 1 << 20}, {"1GiB", 1 << 20}, {"1T", 1 << 30}, {"4096", 4}, {"4097", 5}, {"1", 1},
  };
  for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    char setting[100];
    snprintf(setting, sizeof setting, "MIMALLOC_ARENA_MAX_OBJECT_SIZE=%s", SIZES[i].text);
    long long kib = value_with(setting, "arena_max_object_size");
    if (kib != SIZES[i].kib) printf("%s gives %lld KiB\n", SIZES[i].text, kib);
    CHECK(kib == SIZES[i].kib);
  }
}

static void test_old_names(void) {
  CHECK(value_with("MIMALLOC_LARGE_OS_PAGES=1", "allow_large_os_pages") == 1);
  CHECK(value_with("MIMALLOC_EAGER_REGION_COMMIT=1", "arena_eager_commit") == 1);
  CHECK(value_with("MIMALLOC_RESET_DECOMMITS=0", "purge_decommits") == 0);
  CHECK(value_with("MIMALLOC_RESET_DELAY=55", "purge_delay") == 55);
  CHECK(value_with("MIMALLOC_LIMIT_OS_ALLOC=0", "disallow_os_alloc") == 0);
  CHECK(value_with("MIMALLOC_ABANDONED_RECLAIM_ON_FREE=1", "page_reclaim_on_free") == 1);
  CHECK(value_with("MIMALLOC_DECOMMIT_EXTEND_DELAY=3", "deprecated_purge_extend_delay") == 3);
  /* the new name goes first */
  CHECK(value_with("MIMALLOC_RESET_DELAY=55 MIMALLOC_PURGE_DELAY=66", "purge_delay") == 66);
}

/* -- the functions -- */

static void test_set(void) {
  const mi_option_t o = mi_option_generic_collect;
  mi_option_set(o, 1234);
  CHECK(mi_option_get(o) == 1234 && mi_option_is_enabled(o));
  CHECK(mi_option_get_clamp(o, 0, 100) == 100);
  CHECK(mi_option_get_clamp(o, 2000, 3000) == 2000);
  CHECK(mi_option_get_clamp(o, 0, 10000) == 1234);
  mi_option_disable(o);
  CHECK(mi_option_get(o) == 0 && !mi_option_is_enabled(o));
  mi_option_enable(o);
  CHECK(mi_option_get(o) == 1 && mi_option_is_enabled(o));
  mi_option_set_enabled(o, false);
  CHECK(mi_option_get(o) == 0);
  mi_option_set_enabled(o, true);
  CHECK(mi_option_get(o) == 1);
  mi_option_set(o, -5);
  CHECK(mi_option_get(o) == -5 && mi_option_is_enabled(o));
  CHECK(mi_option_get_size(o) == 0); /* no negative sizes */
  mi_option_set(o, 10000);
}

static void test_sizes(void) {
  const mi_option_t o = mi_option_arena_max_object_size;
  mi_option_set(o, 100);
  CHECK(mi_option_get(o) == 100 && mi_option_get_size(o) == 100 * 1024);
  mi_option_set(mi_option_purge_delay, 500);
  CHECK(mi_option_get_size(mi_option_purge_delay) == 500); /* this one is no size */
  mi_option_set(mi_option_purge_delay, 1000);
  mi_option_set(o, 2 << 20);
}

/* A default yields to a value that was set, not to one that was read. */
static void test_set_default(void) {
  const mi_option_t o = mi_option_page_max_candidates;
  CHECK(mi_option_get(o) == 4);
  mi_option_set_default(o, 7);
  CHECK(mi_option_get(o) == 7);
  mi_option_set(o, 5);
  mi_option_set_default(o, 9);
  CHECK(mi_option_get(o) == 5);
  mi_option_set_enabled_default(mi_option_arena_is_numa_local, true);
  CHECK(mi_option_get(mi_option_arena_is_numa_local) == 1);
  mi_option_set(mi_option_arena_is_numa_local, 0);
  mi_option_set_enabled_default(mi_option_arena_is_numa_local, true);
  CHECK(mi_option_get(mi_option_arena_is_numa_local) == 0);
}

static void part_default_against_environment(void) {
  mi_option_set_default(mi_option_purge_delay, 7);
  tell("purge_delay", mi_option_get(mi_option_purge_delay));
}

static void test_default_against_environment(void) {
  const outcome_t* child = run_child("default_against_environment", "MIMALLOC_PURGE_DELAY=55");
  CHECK(told(child, "purge_delay") == 55);
}

static void test_out_of_range(void) {
  static const int BAD[] = {-1, 999, 1001, 70000, INT_MAX, INT_MIN};
  for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
    mi_option_t bad = (mi_option_t)BAD[i];
    mi_option_set(bad, 5);
    mi_option_enable(bad);
    mi_option_set_default(bad, 5);
    mi_option_set_enabled(bad, true);
    mi_option_set_enabled_default(bad, true);
    mi_option_disable(bad);
    CHECK(mi_option_get(bad) == 0);
    CHECK(!mi_option_is_enabled(bad));
    CHECK(mi_option_get_size(bad) == 0);
    CHECK(mi_option_get_clamp(bad, 3, 7) == 3);
  }
}

/* Guarded sizes keep their order. */
static void test_guarded_bounds(void) {
  mi_option_set(mi_option_guarded_min, 2000000000);
  CHECK(mi_option_get(mi_option_guarded_max) >= 2000000000);
  mi_option_set(mi_option_guarded_max, 1000);
  CHECK(mi_option_get(mi_option_guarded_min) <= 1000);
}

static void test_print(void) {
  static text_t text, registered;
  mi_options_print_out(&add_text, &text);
  for (int i = 0; i < COUNT; i++)
    if (strncmp(ALL[i].name, "deprecated", 10) != 0) CHECK(says(&text, present_name(&ALL[i])));
  mi_register_output(&add_text, &registered);
  mi_options_print();
  mi_register_output(NULL, NULL);
  CHECK(says(&registered, "arena_reserve"));
}

static const part_t PARTS[] = {
  {"defaults", &part_defaults}, {"default_against_environment", &part_default_against_environment}, {NULL, NULL},
};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  test_defaults();
  test_environment();
  test_kinds_of_value();
  test_sizes_in_environment();
  test_old_names();
  test_set();
  test_sizes();
  test_set_default();
  test_default_against_environment();
  test_out_of_range();
  test_guarded_bounds();
  test_print();
  return check_report();
}
