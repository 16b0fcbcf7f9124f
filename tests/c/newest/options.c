/* The options of mimalloc 3.6: numbers, names, defaults, environment; unknown variables. What they do is in maintenance.c. */
#define _GNU_SOURCE
#include "../child.h"

typedef struct { mi_option_t option; int number; const char* name; const char* former; long value; } known_t;

#define KNOWN(number, name, former, value) {mi_option_##name, number, #name, former, value}
static const known_t ALL[] = {
  KNOWN(28, deprecated_visit_abandoned, "visit_abandoned", 1), KNOWN(31, unsafe_guarded_precise, "guarded_precise", 0),
  KNOWN(44, arena_purge_min_size, "minimal_purge_size", 0), KNOWN(45, arena_max_object_size, NULL, 2 << 20),
  KNOWN(46, arena_is_numa_local, NULL, 0), KNOWN(47, stats_merge_on_collect, NULL, 1),
  KNOWN(48, profile_alloc_interval, NULL, 1 << 30), KNOWN(49, profile_inuse_interval, NULL, 0),
  KNOWN(50, profile_time_interval, NULL, 0), KNOWN(51, profile_sample_rate, NULL, 512 << 10),
  KNOWN(52, stats_merge_threshold, NULL, 4 << 20), KNOWN(53, arena_purge_immediate_size, NULL, 32 << 10), KNOWN(54, mte, NULL, 1),
};
enum { COUNT = sizeof ALL / sizeof *ALL };

static void part_values(void) {
  for (int i = 0; i < COUNT; i++) {
    tell(ALL[i].name, mi_option_get(ALL[i].option));
    char name[64];
    snprintf(name, sizeof name, "size_%s", ALL[i].name);
    tell(name, (long long)mi_option_get_size(ALL[i].option));
  }
  fflush(NULL);
}

static void test_defaults(void) {
  CHECK(_mi_option_last == 55);
  CHECK(mi_option_minimal_purge_size == mi_option_arena_purge_min_size);
  const outcome_t* child = run_child("values", "");
  for (int i = 0; i < COUNT; i++) {
    CHECK((int)ALL[i].option == ALL[i].number);
    CHECK(told(child, ALL[i].name) == ALL[i].value);
  }
  CHECK(told(child, "size_stats_merge_threshold") == 4 << 20);
  CHECK(told(child, "size_arena_purge_immediate_size") == 32 << 20);
}

static long long value_with(const char* name, const char* value, const char* wanted) {
  char setting[100] = "MIMALLOC_", *at = setting + strlen(setting);
  for (const char* c = name; *c != 0; c++) *at++ = *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c;
  snprintf(at, 40, "=%s", value);
  return told(run_child("values", setting), wanted);
}

static void test_environment(void) {
  for (int i = 0; i < COUNT; i++) CHECK(value_with(ALL[i].name, "0", ALL[i].name) == 0);
  CHECK(value_with("profile_sample_rate", "3000", "profile_sample_rate") == 3000);
  CHECK(value_with("profile_sample_rate", "3KiB", "profile_sample_rate") == 3 << 10);
  CHECK(value_with("stats_merge_threshold", "2M", "stats_merge_threshold") == 2 << 20);
  CHECK(value_with("stats_merge_threshold", "5000", "size_stats_merge_threshold") == 5000);
  CHECK(value_with("arena_purge_immediate_size", "3M", "arena_purge_immediate_size") == 3 << 10);
  CHECK(value_with("profile_time_interval", "60", "profile_time_interval") == 60);
  CHECK(value_with("mte", "sync", "mte") == 2);
  CHECK(value_with("mte", "async", "mte") == 3);
  CHECK(value_with("mte", "preferred", "mte") == 4);
  CHECK(value_with("minimal_purge_size", "2M", "arena_purge_min_size") == 2 << 10);
  for (int i = 0; i < COUNT && on_ours(); i++)
    if (ALL[i].former != NULL) CHECK(value_with(ALL[i].former, "0", ALL[i].name) == 0);
}

/* Ours begin far behind. */
static void test_own(void) {
  if (!on_ours()) return;
  const mi_option_t scavenge = (mi_option_t)1000;
  CHECK(mi_option_get(scavenge) == 0);
  mi_option_set(scavenge, 2);
  CHECK(mi_option_get(scavenge) == 2);
  mi_option_set(scavenge, 0);
  CHECK(mi_option_get((mi_option_t)55) == 0 && mi_option_get((mi_option_t)999) == 0 && mi_option_get((mi_option_t)1006) == 0);
}

static void part_allocate(void) { mi_free(mi_malloc(10)); }

static bool warns(const char* settings) {
  char all[200];
  snprintf(all, sizeof all, "MIMALLOC_SHOW_ERRORS=1 %s", settings);
  const outcome_t* child = run_child("allocate", all);
  CHECK(child->code == 0);
  return strcasestr(child->out.text, "purge_dealy") != NULL;
}

static void test_unknown(void) {
  CHECK(warns("MIMALLOC_PURGE_DEALY=10"));
  CHECK(!warns("MIMALLOC_PURGE_DELAY=10"));
  const outcome_t* child = run_child("allocate", "MIMALLOC_SHOW_ERRORS=1 MIMALLOC_PROFILE=");
  CHECK(child->out.length == 0 || strcasestr(child->out.text, "unknown") == NULL);
  child = run_child("allocate", "MIMALLOC_PURGE_DEALY=10");
  CHECK(child->code == 0 && child->out.length == 0); /* unless warnings are shown */
}

static const part_t PARTS[] = {{"values", &part_values}, {"allocate", &part_allocate}, {NULL, NULL}};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  test_defaults();
  test_environment();
  test_own();
  test_unknown();
  return check_report();
}
