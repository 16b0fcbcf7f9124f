/* Arenas: reserved from the OS, made of the program's own memory, exclusive, with a commit callback. */
#include "check.h"
#include <mimalloc-stats.h>
#include <sys/mman.h>

static const size_t MiB = 1 << 20;

static char* map(size_t size) {
  void* p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? NULL : (char*)p;
}

/* `size` bytes aligned to `alignment`; never unmapped. */
static char* map_aligned(size_t size, size_t alignment) {
  uintptr_t p = (uintptr_t)map(size + alignment);
  return (char*)((p + alignment - 1) / alignment * alignment);
}

static void test_limits(void) {
  CHECK(mi_arena_min_alignment() >= 4096 && (mi_arena_min_alignment() & (mi_arena_min_alignment() - 1)) == 0);
  CHECK(mi_arena_min_size() >= mi_arena_min_alignment());
  CHECK(mi_arena_min_size() <= 64 * MiB);
}

static void test_reserve(void) {
  CHECK(mi_reserve_os_memory(64 * MiB, false, false) == 0);
  CHECK(mi_reserve_os_memory(64 * MiB, true, true) == 0); /* large OS pages if there are any */
  CHECK(mi_reserve_os_memory(opaque((size_t)1 << 60), false, false) == ENOMEM);
  CHECK(mi_reserve_os_memory(opaque(SIZE_MAX), false, false) == ENOMEM);
}

/* An exclusive arena serves the heap made in it, and nobody else. */
static void check_exclusive(mi_arena_id_t arena) {
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  CHECK(heap != NULL);
  for (size_t size = 1; size < 3 * MiB; size *= 7) {
    void* p = mi_heap_malloc(heap, size);
    CHECK(holds(p, 1, size) && mi_arena_contains(arena, p));
    void* q = mi_malloc(size);
    CHECK(q != NULL && !mi_arena_contains(arena, q));
    mi_free(p);
    mi_free(q);
  }
  void* volatile too_much = mi_heap_malloc(heap, 500 * MiB);
  CHECK(too_much == NULL); /* there is no other memory for it */
  mi_heap_destroy(heap);
}

static void test_reserve_exclusive(void) {
  mi_arena_id_t arena = NULL;
  CHECK(mi_reserve_os_memory_ex(64 * MiB, true, false, true, &arena) == 0);
  CHECK(arena != NULL);
  size_t size = 0;
  void* area = mi_arena_area(arena, &size);
  CHECK(area != NULL && size == 64 * MiB);
  CHECK(mi_arena_area(arena, NULL) == area);
  CHECK(mi_arena_contains(arena, area));
  CHECK(mi_arena_contains(arena, (char*)area + size - 1));
  CHECK(!mi_arena_contains(arena, (char*)area + size));
  CHECK(!mi_arena_contains(arena, &size));
  check_exclusive(arena);
}

static void test_reserve_refused(void) {
  mi_arena_id_t arena = &arena;
  CHECK(mi_reserve_os_memory_ex(0, true, false, true, &arena) == ENOMEM);
  CHECK(arena == NULL);
  arena = &arena;
  CHECK(mi_reserve_os_memory_ex(1000, true, false, true, &arena) == ENOMEM);
  CHECK(arena == NULL);
}

/* A full arena answers null, and serves again after a free. */
static void test_exhaust(void) {
  mi_arena_id_t arena = NULL;
  CHECK(mi_reserve_os_memory_ex(32 * MiB, true, false, true, &arena) == 0);
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  enum { MOST = 64 };
  void* blocks[MOST];
  int count = 0;
  while (count < MOST && (blocks[count] = mi_heap_malloc(heap, MiB)) != NULL) count++;
  CHECK(count >= 8 && count < 32);
  for (int i = 0; i < count; i++) mi_free(blocks[i]);
  mi_heap_collect(heap, true);
  void* p = mi_heap_malloc(heap, MiB);
  CHECK(p != NULL && mi_arena_contains(arena, p));
  mi_heap_destroy(heap);
}

/* -- the program's own memory -- */

static void test_manage(void) {
  char* memory = map_aligned(64 * MiB, mi_arena_min_alignment());
  CHECK(mi_manage_os_memory(memory, 64 * MiB, true, false, true, -1));
  memory = map_aligned(64 * MiB, mi_arena_min_alignment());
  mi_arena_id_t arena = NULL;
  CHECK(mi_manage_os_memory_ex(memory, 64 * MiB, true, false, true, -1, true, &arena));
  size_t size = 0;
  CHECK(mi_arena_area(arena, &size) == memory);
  CHECK(size == 64 * MiB);
  check_exclusive(arena);
}

/* Memory that is neither zero nor may be given back. */
static void test_manage_dirty(void) {
  char* memory = map_aligned(32 * MiB, mi_arena_min_alignment());
  memset(memory, 0xAB, 32 * MiB);
  mi_arena_id_t arena = NULL;
  CHECK(mi_manage_os_memory_ex(memory, 32 * MiB, true, true, false, -1, true, &arena));
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  for (size_t size = 100; size < 2 * MiB; size *= 6) {
    void* p = mi_heap_zalloc(heap, size);
    CHECK(p != NULL && mi_arena_contains(arena, p) && all_bytes(p, 0, size));
  }
  mi_heap_destroy(heap);
}

static void test_manage_misaligned(void) {
  char* memory = map_aligned(128 * MiB, mi_arena_min_alignment());
  mi_arena_id_t arena = NULL;
  CHECK(mi_manage_os_memory_ex(memory + 4096, 100 * MiB, true, false, true, -1, true, &arena));
  size_t size = 0;
  char* area = (char*)mi_arena_area(arena, &size);
  CHECK(is_aligned(area, mi_arena_min_alignment()));
  CHECK(area >= memory + 4096 && area + size <= memory + 4096 + 100 * MiB);
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  void* p = mi_heap_malloc(heap, 1000);
  CHECK(holds(p, 1, 1000) && mi_arena_contains(arena, p));
  mi_heap_destroy(heap);
}

static void test_manage_refused(void) {
  mi_arena_id_t arena = &arena;
  char* memory = map_aligned(MiB, mi_arena_min_alignment());
  CHECK(!mi_manage_os_memory(NULL, 64 * MiB, true, false, true, -1));
  CHECK(!mi_manage_os_memory_ex(memory, mi_arena_min_alignment(), true, false, true, -1, true, &arena));
  CHECK(arena == NULL);
  CHECK(!mi_manage_os_memory(memory, 0, true, false, true, -1));
}

/* -- a commit callback -- */

typedef struct { size_t commits, decommits, bytes, refuse_after, refused; char* start; size_t size; bool inside; } log_t;

static bool on_commit(bool commit, void* start, size_t size, bool* is_zero, void* arg) {
  log_t* log = (log_t*)arg;
  log->inside &= (char*)start >= log->start && (char*)start + size <= log->start + log->size;
  if (is_zero != NULL) *is_zero = false;
  if (!commit) {
    log->decommits++;
    return mprotect(start, size, PROT_NONE) == 0;
  }
  if (log->commits >= log->refuse_after) {
    log->refused++;
    return false;
  }
  log->commits++;
  log->bytes += size;
  return mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
}

static mi_arena_id_t manage_uncommitted(log_t* log, size_t size, size_t refuse_after) {
  mi_arena_id_t arena = NULL;
  memset(log, 0, sizeof *log);
  log->start = map_aligned(size, mi_arena_min_alignment());
  log->size = size;
  log->refuse_after = refuse_after;
  log->inside = true;
  mprotect(log->start, size, PROT_NONE);
  CHECK(mi_manage_memory(log->start, size, false, false, false, -1, true, &on_commit, log, &arena));
  return arena;
}

static void test_commit_callback(void) {
  static log_t log;
  mi_arena_id_t arena = manage_uncommitted(&log, 64 * MiB, SIZE_MAX);
  CHECK(log.commits > 0); /* its own bookkeeping */
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  for (size_t size = 10; size < 6 * MiB; size *= 9) {
    void* p = mi_heap_malloc(heap, size);
    CHECK(holds(p, 1, size) && mi_arena_contains(arena, p));
  }
  CHECK(log.inside);
  CHECK(log.bytes >= 5 * MiB && log.bytes <= 64 * MiB);
  mi_heap_destroy(heap);
}

/* Refusing is running out of memory: null, no crash, and other heaps go on. */
static void test_commit_refused(void) {
  static log_t log;
  mi_arena_id_t arena = manage_uncommitted(&log, 64 * MiB, SIZE_MAX);
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  void* p = mi_heap_malloc(heap, 100);
  CHECK(holds(p, 1, 100));
  log.refuse_after = 0;
  void* volatile q = mi_heap_malloc(heap, 3 * MiB);
  CHECK(q == NULL && log.refused > 0);
  mi_stats_t_decl(stats);
  CHECK(mi_stats_get(&stats));
  if (on_ours()) CHECK(stats.arena_rollback_count.total > 0);
  CHECK(holds(p, 2, 100));
  CHECK(holds(p = mi_malloc(3 * MiB), 3, 3 * MiB));
  mi_free(p);
  log.refuse_after = SIZE_MAX;
  q = mi_heap_malloc(heap, 3 * MiB);
  CHECK(q != NULL);
  mi_heap_destroy(heap);
}

static bool never(bool commit, void* start, size_t size, bool* is_zero, void* arg) {
  (void)start;
  (void)size;
  (void)is_zero;
  *(int*)arg += commit;
  return false;
}

static void test_commit_never(void) {
  mi_arena_id_t arena = NULL;
  int asked = 0;
  char* memory = map_aligned(64 * MiB, mi_arena_min_alignment());
  CHECK(!mi_manage_memory(memory, 64 * MiB, false, false, false, -1, true, &never, &asked, &arena));
  CHECK(asked > 0);
  CHECK(arena == NULL);
}

/* -- huge OS pages: this machine may have none -- */

static void test_huge(void) {
  int code = mi_reserve_huge_os_pages_at(1, -1, 100);
  CHECK(code == 0 || code == ENOMEM);
  CHECK(mi_reserve_huge_os_pages_at(0, -1, 0) == 0);
  CHECK(mi_reserve_huge_os_pages_interleave(0, 0, 0) == 0);
  code = mi_reserve_huge_os_pages_interleave(1, 0, 100);
  CHECK(code == 0 || code == ENOMEM);
  mi_arena_id_t arena = &arena;
  code = mi_reserve_huge_os_pages_at_ex(1, -1, 100, true, &arena);
  CHECK(code == 0 ? arena != NULL && arena != &arena : code == ENOMEM && arena == NULL);
  size_t reserved = 99;
  code = mi_reserve_huge_os_pages(1, 0.1, &reserved);
  CHECK(code == 0 ? reserved == 1 : code == ENOMEM && reserved == 0);
  void* p = mi_malloc(100);
  CHECK(holds(p, 1, 100));
  mi_free(p);
}

static void test_print(void) {
  static text_t text;
  mi_register_output(&add_text, &text);
  mi_arenas_print();
  size_t first = text.length;
  mi_debug_show_arenas();
  mi_register_output(NULL, NULL);
  CHECK(first > 0 && text.length > first);
  CHECK(says(&text, "arena"));
}

static void test_no_arena(void) {
  size_t size = 7;
  CHECK(mi_arena_area(NULL, &size) == NULL && size == 0);
  CHECK(mi_arena_area(NULL, NULL) == NULL);
  CHECK(!mi_arena_contains(NULL, &size));
  mi_heap_t* heap = mi_heap_new_in_arena(NULL); /* any arena will do */
  CHECK(heap != NULL);
  CHECK(holds(mi_heap_malloc(heap, 100), 1, 100));
  mi_heap_destroy(heap);
}

int main(void) {
  test_limits();
  test_reserve();
  test_reserve_exclusive();
  test_reserve_refused();
  test_exhaust();
  test_manage();
  test_manage_dirty();
  test_manage_misaligned();
  test_manage_refused();
  test_commit_callback();
  test_commit_refused();
  test_commit_never();
  test_huge();
  test_print();
  test_no_arena();
  return check_report();
}
