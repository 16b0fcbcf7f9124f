/* Basic allocation. */
#include "check.h"
#include <limits.h>

static void test_too_large(void) {
  void* volatile p = NULL;
  errno = 0;
  p = mi_malloc(TOO_LARGE);
  CHECK(p == NULL);
  if (on_ours()) CHECK(errno == ENOMEM); /* the reference leaves errno alone */
  reports_t seen = NO_REPORTS;
  mi_register_error(&count_report, &seen);
  p = mi_malloc(TOO_LARGE);
  CHECK(seen.overflow >= 1); /* the reference reports twice, and ENOMEM as well */
  CHECK(p == NULL);
  seen.no_memory = 0;
  p = mi_malloc(opaque((size_t)1 << 60));
  CHECK(p == NULL && seen.no_memory >= 1);
  mi_register_error(NULL, NULL);
}

static void test_malloc(void) {
  for (size_t size = 0; size < 100000; size = size * 5 / 4 + 1) {
    void* p = mi_malloc(size);
    CHECK(holds(p, 0xA5, size));
    CHECK(is_aligned(p, size <= 8 ? 8 : 16));
    CHECK(mi_usable_size(p) >= size);
    mi_free(p);
  }
  void* a = mi_malloc(0);
  void* b = mi_malloc(0);
  CHECK(a != NULL && b != NULL && a != b);
  CHECK(mi_usable_size(a) >= 1);
  mi_free(a);
  mi_free(b);
  mi_free(NULL);
  test_too_large();
}

static void test_free_keeps_errno(void) {
  void* p = mi_malloc(100);
  errno = 77;
  mi_free(p);
  CHECK(errno == 77);
}

static void test_many(void) {
  enum { COUNT = 2000 };
  static unsigned char* blocks[COUNT];
  for (int i = 0; i < COUNT; i++) {
    blocks[i] = (unsigned char*)mi_malloc((size_t)(i % 700) + 1);
    memset(blocks[i], i & 0xff, (size_t)(i % 700) + 1);
  }
  bool intact = true;
  for (int i = 0; i < COUNT; i++) intact &= all_bytes(blocks[i], i & 0xff, (size_t)(i % 700) + 1);
  CHECK(intact);
  for (int i = 0; i < COUNT; i++) mi_free(blocks[(i * 7) % COUNT]);
}

static void dirty(size_t size) {
  for (int i = 0; i < 20; i++) {
    void* p = mi_malloc(size);
    memset(p, 0xFF, size);
    mi_free(p);
  }
}

static void test_zeroed(void) {
  static const size_t sizes[] = {1, 16, 100, 1000, 5000, 70000, 3000000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t size = sizes[i];
    dirty(size);
    void* z = mi_zalloc(size);
    void* c = mi_calloc(size, 1);
    CHECK(z != NULL && all_bytes(z, 0, size));
    CHECK(c != NULL && all_bytes(c, 0, size));
    mi_free(z);
    mi_free(c);
  }
  void* volatile p = mi_calloc(0, 8);
  CHECK(p != NULL);
  mi_free(p);
  errno = 0;
  p = mi_calloc(HALF_COUNT, 4);
  CHECK(p == NULL);
  if (!on_ours()) return; /* the reference is silent on an overflow of count * size */
  CHECK(errno == ENOMEM);
  reports_t seen = NO_REPORTS;
  mi_register_error(&count_report, &seen);
  p = mi_calloc(HALF_COUNT, 4);
  mi_register_error(NULL, NULL);
  CHECK(p == NULL && seen.overflow == 1);
}

static void test_small(void) {
  for (size_t size = 0; size <= MI_SMALL_SIZE_MAX; size += 31) {
    dirty(size);
    void* p = mi_malloc_small(size);
    void* z = mi_zalloc_small(size);
    CHECK(z != NULL && all_bytes(z, 0, size));
    CHECK(holds(p, 0x5A, size));
    mi_free_small(p);
    mi_free_small(z);
  }
  mi_free_small(NULL);
}

static void test_arrays(void) {
  int* a = (int*)mi_mallocn(100, sizeof(int));
  CHECK(holds(a, 1, 400));
  a = (int*)mi_reallocn(a, 1000, sizeof(int));
  CHECK(a != NULL && all_bytes(a, 1, 400));
  CHECK(mi_usable_size(a) >= 4000);
  void* volatile p = mi_mallocn(HALF_COUNT, 4);
  CHECK(p == NULL);
  p = mi_reallocn(a, HALF_COUNT, 4);
  CHECK(p == NULL);
  CHECK(all_bytes(a, 1, 400)); /* still there */
  mi_free(a);
}

static void test_realloc(void) {
  char* p = (char*)mi_realloc(NULL, 10);
  CHECK(holds(p, 7, 10));
  size_t old = 10;
  for (size_t size = 10; size < 4000000; size = size * 3 / 2) {
    p = (char*)mi_realloc(p, size);
    CHECK(p != NULL && all_bytes(p, 7, old));
    memset(p, 7, size);
    old = size;
  }
  for (size_t size = old; size > 8; size = size / 3) {
    p = (char*)mi_realloc(p, size);
    CHECK(p != NULL && all_bytes(p, 7, size));
  }
  p = (char*)mi_realloc(p, opaque(0)); /* a fresh smallest block, not a free */
  CHECK(p != NULL);
  CHECK(mi_usable_size(p) >= 1);
  void* volatile q = mi_realloc(p, TOO_LARGE);
  CHECK(q == NULL);
  memset(p, 1, 1); /* still there */
  mi_free(p);
}

static void test_reallocf(void) {
  void* p = mi_reallocf(NULL, 100);
  CHECK(holds(p, 3, 100));
  p = mi_reallocf(p, 1000);
  CHECK(p != NULL && all_bytes(p, 3, 100));
  void* volatile q = mi_reallocf(p, TOO_LARGE); /* frees p */
  CHECK(q == NULL);
}

static void test_expand(void) {
  char* p = (char*)mi_malloc(100);
  size_t usable = mi_usable_size(p);
  CHECK(mi_expand(p, usable) == p);
  CHECK(mi_expand(p, 50) == p);
  CHECK(mi_expand(p, 0) == p);
  CHECK(mi_expand(p, usable + 1) == NULL);
  CHECK(mi_expand(NULL, 10) == NULL);
  CHECK(mi__expand(p, usable) == p);
  errno = 0;
  CHECK(mi__expand(p, usable + 1) == NULL);
  CHECK(errno == ENOMEM); /* this one says so */
  mi_free(p);
}

static void test_strings(void) {
  char* s = mi_strdup("a string of twenty-six bytes");
  CHECK(s != NULL && strcmp(s, "a string of twenty-six bytes") == 0);
  CHECK(mi_usable_size(s) >= strlen(s) + 1);
  mi_free(s);
  s = mi_strndup("abcdef", 3);
  CHECK(s != NULL && strcmp(s, "abc") == 0);
  mi_free(s);
  s = mi_strndup("abc", 100);
  CHECK(s != NULL && strcmp(s, "abc") == 0);
  mi_free(s);
  char no_end[3] = {'x', 'y', 'z'};
  s = mi_strndup(no_end, 3); /* looks at no more than n bytes */
  CHECK(s != NULL && strcmp(s, "xyz") == 0);
  mi_free(s);
  s = mi_strdup("");
  CHECK(s != NULL && s[0] == 0);
  mi_free(s);
  const char* volatile none = NULL;
  CHECK(mi_strdup(none) == NULL);
  CHECK(mi_strndup(none, 5) == NULL);
}

static void test_realpath(void) {
  char* p = mi_realpath("/proc/../proc/.", NULL);
  CHECK(p != NULL && strcmp(p, "/proc") == 0);
  CHECK(mi_usable_size(p) > 0);
  mi_free(p);
  char buffer[PATH_MAX];
  CHECK(mi_realpath("/usr/./..", buffer) == buffer && strcmp(buffer, "/") == 0);
  CHECK(mi_realpath("/no/such/file", NULL) == NULL);
  CHECK(mi_realpath("/no/such/file", buffer) == NULL);
}

static void test_sizes(void) {
  CHECK(mi_usable_size(NULL) == 0);
  size_t before = 0;
  for (size_t size = 1; size < 2000000; size = size * 9 / 8 + 1) {
    size_t good = mi_good_size(size);
    void* p = mi_malloc(size);
    CHECK(good >= size);
    CHECK(good >= before); /* monotonic */
    CHECK(mi_usable_size(p) >= size);
    CHECK(mi_good_size(good) == good);
    if (size <= MI_SMALL_SIZE_MAX) CHECK(mi_usable_size(p) == good);
    before = good;
    mi_free(p);
  }
  CHECK(mi_good_size(0) >= 1);
}

static void test_typed(void) {
  typedef struct { int x, y; double z; } point_t;
  point_t* p = mi_malloc_tp(point_t);
  CHECK(holds(p, 1, sizeof(point_t)));
  mi_free(p);
  p = mi_zalloc_tp(point_t);
  CHECK(p != NULL && all_bytes(p, 0, sizeof(point_t)));
  mi_free(p);
  p = mi_calloc_tp(point_t, 10);
  CHECK(p != NULL && all_bytes(p, 0, 10 * sizeof(point_t)));
  p = mi_recalloc_tp(point_t, p, 100);
  CHECK(p != NULL && all_bytes(p, 0, 100 * sizeof(point_t)));
  mi_free(p);
  p = mi_mallocn_tp(point_t, 3);
  p = mi_reallocn_tp(point_t, p, 30);
  CHECK(holds(p, 1, 30 * sizeof(point_t)));
  mi_free(p);
}

/* The override: the C library's names mean the same allocator. */
static void test_override(void) {
  void* p = malloc(100);
  CHECK(mi_any_heap_contains(p));
  CHECK(mi_usable_size(p) >= 100);
  mi_free(p);
  char* s = strdup("made by the C library's name");
  CHECK(mi_any_heap_contains(s));
  free(s);
  p = mi_malloc(10);
  p = realloc(p, 1000);
  free(p);
}

int main(void) {
  test_malloc();
  test_free_keeps_errno();
  test_many();
  test_zeroed();
  test_small();
  test_arrays();
  test_realloc();
  test_reallocf();
  test_expand();
  test_strings();
  test_realpath();
  test_sizes();
  test_typed();
  test_override();
  return check_report();
}
