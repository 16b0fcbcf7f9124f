/* The statistics of mimalloc 3.6: version 6 of the table. Callers that know version 5 are served by ../stats.c, which is
 * compiled for that. */
#include "../check.h"
#include <mimalloc-stats.h>
#include <stddef.h>

/* Version 5 as a program compiled for mimalloc 3.4 sees it: header, the fields that have moved, the size. */
typedef struct { size_t size, version; int64_t before[20]; mi_stat_count_t malloc_normal, malloc_huge; int64_t rest[518]; } stats5_t;

static void test_layout(void) {
  CHECK(MI_STAT_VERSION == 6 && sizeof(mi_stats_t) == 4480);
  CHECK(offsetof(mi_stats_t, allocated) == 176 && offsetof(mi_stats_t, malloc_requested) == 224);
  CHECK(offsetof(mi_stats_t, profile_samples) == 584 && offsetof(mi_stats_t, malloc_bins) == 784);
  CHECK(offsetof(mi_stats_t, page_bins) == 2560 && offsetof(mi_stats_t, chunk_bins) == 4336);
}

static void test_header(void) {
  mi_stats_t stats;
  mi_stats_init(&stats);
  CHECK(stats.size == sizeof stats && stats.version == 6);
  CHECK(mi_stats_get(&stats));
  CHECK(stats.size == sizeof stats && stats.version == 6);
  for (size_t version = 0; version < 9; version++) {
    mi_stats_init(&stats);
    stats.version = version;
    CHECK(mi_stats_get(&stats) == (version == 6));
  }
  mi_stats_init(&stats);
  stats.size -= 8;
  CHECK(!mi_stats_get(&stats));
  CHECK(!mi_stats_get(NULL));
}

/* Both readers see the same numbers. Reading a version 5 is ours alone. */
static void test_both_versions(void) {
  if (!on_ours()) return;
  void* blocks[100];
  for (int i = 0; i < 100; i++) blocks[i] = mi_malloc(5000);
  void* huge = mi_malloc(3 << 20);
  mi_stats_t six;
  mi_stats_init(&six);
  stats5_t five;
  memset(&five, 0, sizeof five);
  CHECK(sizeof five == 4368);
  five.size = sizeof five;
  five.version = 5;
  CHECK(mi_stats_get(&six) && mi_stats_get((mi_stats_t*)&five));
  CHECK(five.size == sizeof five && five.version == 5);
  CHECK(five.malloc_normal.current == six.malloc_normal.current && six.malloc_normal.current >= 500000);
  CHECK(five.malloc_huge.current == six.malloc_huge.current && six.malloc_huge.current >= 3 << 20);
  CHECK(six.allocated.current == six.malloc_normal.current + six.malloc_huge.current);
  CHECK(six.allocated.total - six.freed.total == six.allocated.current);
  CHECK(six.malloc_count.total == six.malloc_normal_count.total + six.malloc_huge_count.total);
  CHECK(six.malloc_count.total - six.free_count.total >= 101);
  int64_t frees = six.free_count.total;
  for (int i = 0; i < 100; i++) mi_free(blocks[i]);
  mi_free(huge);
  CHECK(mi_stats_get(&six) && six.free_count.total == frees + 101);
  /* And as JSON either gives the present keys. */
  char* json = mi_stats_as_json((mi_stats_t*)&five, 0, NULL);
  CHECK(json != NULL && strstr(json, "\"malloc_normal\"") != NULL && strstr(json, "\"allocated\"") != NULL);
  mi_free(json);
}

static void test_json(void) {
  char* json = mi_stats_get_json(0, NULL);
  CHECK(json != NULL && strstr(json, "\"stat_version\": 6") != NULL);
  static const char* const KEYS[] = {"pages", "committed", "allocated", "malloc_requested", "pages_os_allocated"};
  for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\"", KEYS[i]);
    CHECK(json != NULL && strstr(json, key) != NULL);
  }
  mi_free(json);
}

/* Pages outside of arenas. */
static void test_outside(void) {
  mi_stats_t before, now;
  mi_stats_init(&before);
  mi_stats_init(&now);
  mi_option_set(mi_option_arena_max_object_size, 1024);
  mi_stats_get(&before);
  void* p = mi_malloc(8 << 20);
  CHECK(mi_stats_get(&now) && now.pages_os_allocated.current == before.pages_os_allocated.current + 1);
  mi_free(p);
  mi_collect(true);
  CHECK(mi_stats_get(&now) && now.pages_os_allocated.current == before.pages_os_allocated.current);
  CHECK(now.pages_os_allocated.total >= before.pages_os_allocated.total + 1);
}

int main(void) {
  test_layout();
  test_header();
  test_both_versions();
  test_json();
  test_outside();
  return check_report();
}
