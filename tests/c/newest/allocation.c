/* What mimalloc 3.6 has added for allocating and freeing: by words, by constant sizes, sized frees, checked frees. */
#include "../child.h"
#include <pthread.h>

static void test_version(void) {
  CHECK(mi_version() == 30602 && MI_MALLOC_VERSION == 30602);
}

static void test_words(void) {
  CHECK(mi_wsize_from_size(0) == 0 && mi_wsize_from_size(1) == 1);
  CHECK(mi_wsize_from_size(8) == 1 && mi_wsize_from_size(9) == 2 && mi_wsize_from_size(MI_SMALL_SIZE_MAX) == MI_SMALL_WSIZE_MAX);
  for (size_t words = 0; words <= MI_SMALL_WSIZE_MAX; words++) {
    size_t size = words * sizeof(size_t);
    void* p = mi_wmalloc_small(words);
    CHECK(holds(p, 3, size) && mi_usable_size(p) >= size);
    mi_free_small(p);
    p = mi_wzalloc_small(words);
    CHECK(p != NULL && all_bytes(p, 0, size));
    if (p != NULL) memset(p, 9, size);
    mi_free_small(p);
  }
}

typedef struct { char bytes[40]; double number; } thing_t;
typedef struct { char bytes[5000]; } big_t;

static void test_constant_sizes(void) {
  static const size_t SIZES[] = {1, 8, 13, 100, 1023, 1024, 1025, 5000, 1 << 20};
  for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
    size_t size = SIZES[i];
    void* p = mi_malloc_csize(size);
    CHECK(holds(p, 1, size));
    mi_free_csize(p, size);
    p = mi_zalloc_csize(size);
    CHECK(p != NULL && all_bytes(p, 0, size));
    if (p != NULL) memset(p, 1, size);
    mi_free_csize_nonnull(p, size);
    p = mi_malloc_csize(size);
    mi_free_csize_aligned(p, size, 8);
    p = mi_malloc_csize(size);
    mi_free_csize_aligned_nonnull(p, size, 8);
    p = mi_malloc_aligned(size, 256);
    CHECK(is_aligned(p, 256));
    mi_free_csize_aligned(p, size, 256);
  }
  thing_t* thing = mi_malloc_tp(thing_t);
  thing->number = 1.5;
  mi_free_tp(thing_t, thing);
  thing = mi_zalloc_tp(thing_t);
  CHECK(thing->number == 0.0);
  mi_free_tp(thing_t, thing);
  big_t* big = mi_zalloc_tp(big_t);
  CHECK(big != NULL && all_bytes(big, 0, sizeof *big));
  mi_free_tp(big_t, big);
}

static void test_null(void) {
  mi_free_csize(NULL, 10);
  mi_free_csize(NULL, 5000);
  mi_free_csize_aligned(NULL, 10, 8);
  mi_free_small(NULL);
  mi_free_small_local(NULL);
  mi_free_size(NULL, 3);
  mi_free_sized(NULL, 3);
  mi_free_aligned_sized(NULL, 16, 32);
  CHECK(!mi_cfree(NULL));
}

static void test_small(void) {
  for (size_t size = 1; size <= MI_SMALL_SIZE_MAX; size += 7) {
    mi_free_small_nonnull(mi_malloc_small(size));
    mi_free_small_local(mi_malloc_small(size));
    mi_free_small_local_nonnull(mi_zalloc_small(size));
  }
  CHECK(true);
}

static void test_c23(void) {
  for (size_t size = 1; size < 3000000; size = size * 3 + 1) {
    mi_free_sized(mi_malloc(size), size);
    void* p = mi_aligned_alloc(64, size);
    CHECK(is_aligned(p, 64));
    mi_free_aligned_sized(p, 64, size);
    p = mi_malloc_aligned(size, 4096);
    CHECK(is_aligned(p, 4096));
    mi_free_size_aligned(p, size, 4096);
  }
}

static void test_checked_free(void) {
  int here;
  void* p = mi_malloc(100);
  CHECK(mi_cfree(p));
  CHECK(!mi_cfree(&here));
  CHECK(!mi_cfree((void*)0x10000));
}

static void* free_all(void* arg) {
  void** blocks = (void**)arg;
  for (int i = 0; i < 300; i++) mi_free_csize(blocks[i], (size_t)(i % 3 == 0 ? 48 : 400));
  return NULL;
}

/* Blocks of another thread's pages. */
static void test_other_thread(void) {
  static void* blocks[300];
  for (int i = 0; i < 300; i++) blocks[i] = mi_malloc_csize((size_t)(i % 3 == 0 ? 48 : 400));
  pthread_t thread;
  pthread_create(&thread, NULL, &free_all, blocks);
  pthread_join(thread, NULL);
  mi_collect(true);
  for (int i = 0; i < 300; i++) mi_free_csize(mi_malloc_csize(48), 48);
  CHECK(true);
}

static void test_errno(void) {
  void* volatile none;
  errno = 0;
  CHECK((none = mi_malloc(TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK((none = mi_zalloc(TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK((none = mi_realloc(NULL, TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK((none = mi_heap_malloc(mi_heap_main(), TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK((none = mi_theap_malloc(mi_theap_get_default(), TOO_LARGE)) == NULL && errno == ENOMEM);
  errno = 0;
  CHECK((none = mi_malloc_aligned(100, opaque(24))) == NULL && errno == EINVAL);
  errno = 0;
  CHECK((none = mi_malloc_aligned_at(100, opaque(3), 8)) == NULL && errno == EINVAL);
  errno = 0;
  CHECK((none = mi_heap_malloc_aligned(mi_heap_main(), 100, opaque(48))) == NULL && errno == EINVAL);
  errno = 0;
  void* p = mi_malloc(10);
  CHECK(p != NULL && errno == 0);
  mi_free(p);
  CHECK(errno == 0);
}

/* Where pages are hardened a size that is not the block's is refused: that is ours alone. */

static int refused;
static void on_error(int err, void* arg) {
  (void)arg;
  if (err == EINVAL) refused++;
}

static void part_wrong_sizes(void) {
  mi_register_error(&on_error, NULL);
  const size_t sizes[] = {8, 24, 100, 1000, 1024, 3000, 100000, 3 << 20};
  int right = 0, wrong = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    size_t size = sizes[i];
    void* p = mi_malloc(size);
    memset(p, 0x5A, size);
    mi_free_size(p, 3 * size + 100);
    mi_free_sized(p, size > 300 ? size / 3 : size + 900);
    wrong += 2;
    if (size > MI_SMALL_SIZE_MAX) {
      mi_free_small(p);
      mi_free_small_local_nonnull(p);
      wrong += 2;
    }
    if (all_bytes(p, 0x5A, size)) right++;
    int before = refused;
    mi_free_size(p, size);
    if (refused == before) right++;
  }
  /* What the header's inline functions allocate, and what was resized. */
  int before = refused;
  mi_free_size(mi_wmalloc_small(2), 13);
  mi_free_size(mi_zalloc_csize(13), 13);
  mi_free_size(mi_malloc(0), 0);
  mi_free_size(mi_realloc(mi_malloc(900), 600), 600);
  mi_free_size(mi_realloc(mi_malloc(600), 900), 900);
  mi_free_size(mi_realloc(mi_malloc(2 << 20), 3 << 20), 3 << 20);
  mi_free_size_aligned(mi_malloc_aligned(72, 64), 72, 64);
  mi_free_size_aligned(mi_malloc_aligned(100, 1 << 17), 100, 1 << 17);
  mi_free_size(mi_calloc(10, 33), 330);
  for (int i = 0; i < 20; i++) mi_free_small(mi_malloc_small((size_t)(i * 50)));
  tell("right", right);
  tell("missed", wrong - before);
  tell("false", refused - before);
}

static void test_wrong_sizes(void) {
  if (!on_ours()) return;
  static const char* const LEVELS[] = {"MIMALLOC_SECURE=3", "MIMALLOC_SECURE=4", "MIMALLOC_DEBUG=1", "MIMALLOC_DEBUG=3",
                                       "MIMALLOC_SECURE=5", "MIMALLOC_DEBUG=1 MIMALLOC_GUARDED_SAMPLE_RATE=1"};
  for (size_t i = 0; i < sizeof LEVELS / sizeof *LEVELS; i++) {
    const outcome_t* child = run_child("wrong_sizes", LEVELS[i]);
    CHECK(child->code == 0 && told(child, "false") == 0);
    CHECK(told(child, "right") == 16);
    CHECK(told(child, "missed") == 0);
    if (child->code != 0 || told(child, "missed") != 0 || told(child, "false") != 0) printf("%s: %s\n", LEVELS[i], child->out.text);
  }
}

static const part_t PARTS[] = {{"wrong_sizes", &part_wrong_sizes}, {NULL, NULL}};

int main(int argc, char** argv) {
  child_main(argc, argv, PARTS);
  test_version();
  test_words();
  test_constant_sizes();
  test_null();
  test_small();
  test_c23();
  test_checked_free();
  test_other_thread();
  test_errno();
  test_wrong_sizes();
  return check_report();
}
