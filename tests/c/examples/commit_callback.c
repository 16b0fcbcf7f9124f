/* Memory that the program makes usable itself, within a budget: beyond it the callback refuses. */
#include "check.h"
#include <sys/mman.h>

typedef struct { size_t budget, used, refusals; } quota_t;

static bool commit_within(bool commit, void* start, size_t size, bool* is_zero, void* arg) {
  quota_t* quota = (quota_t*)arg;
  if (!commit) {
    quota->used -= size;
    return mprotect(start, size, PROT_NONE) == 0;
  }
  if (quota->used + size > quota->budget) {
    quota->refusals++;
    return false;
  }
  quota->used += size;
  if (is_zero != NULL) *is_zero = false; /* it may have been used before */
  return mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
}

int main(void) {
  const size_t size = 128 << 20, alignment = mi_arena_min_alignment();
  uintptr_t map = (uintptr_t)mmap(NULL, size + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  quota_t quota = {16 << 20, 0, 0};
  mi_arena_id_t arena = NULL;
  void* start = (void*)((map + alignment - 1) / alignment * alignment);
  CHECK(mi_manage_memory(start, size, false, false, false, -1, true, &commit_within, &quota, &arena));
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  size_t got = 0;
  void* blocks[64];
  while (got < 64 && (blocks[got] = mi_heap_malloc(heap, 1 << 20)) != NULL) {
    memset(blocks[got], 1, 1 << 20);
    got++;
  }
  CHECK(got >= 8 && got <= 16);
  CHECK(quota.refusals > 0 && quota.used <= quota.budget);
  bool intact = true;
  for (size_t i = 0; i < got; i++) intact &= all_bytes(blocks[i], 1, 1 << 20);
  CHECK(intact);
  quota.budget = 64 << 20; /* more is granted: it goes on */
  void* more = mi_heap_malloc(heap, 1 << 20);
  CHECK(holds(more, 2, 1 << 20) && mi_arena_contains(arena, more));
  mi_heap_destroy(heap);
  printf("%zu blocks within the budget, %zu refusals\n", got, quota.refusals);
  return check_report();
}
