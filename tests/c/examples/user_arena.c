/* An arena in memory of the program's own: here a file's mapping, as a database would use it. */
#include "check.h"
#include <fcntl.h>
#include <sys/mman.h>

int main(void) {
  const size_t size = 64 << 20, alignment = mi_arena_min_alignment();
  FILE* file = tmpfile();
  CHECK(file != NULL && ftruncate(fileno(file), (off_t)(size + alignment)) == 0);
  char* mapping = (char*)mmap(NULL, size + alignment, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
  CHECK(mapping != MAP_FAILED);
  char* start = (char*)(((uintptr_t)mapping + alignment - 1) / alignment * alignment);
  mi_arena_id_t arena = NULL;
  /* committed, not to be given back, zero, any NUMA node, only for heaps made in it */
  CHECK(mi_manage_os_memory_ex(start, size, true, true, true, -1, true, &arena));
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  CHECK(heap != NULL);
  char* text = mi_heap_strdup(heap, "this text is in the file");
  CHECK(mi_arena_contains(arena, text));
  CHECK(text >= start && text < start + size);
  char from_file[25] = {0};
  off_t offset = text - mapping;
  CHECK(msync(mapping, size, MS_SYNC) == 0);
  CHECK(pread(fileno(file), from_file, 24, offset) == 24 && strcmp(from_file, text) == 0);
  void* elsewhere = mi_malloc(100);
  CHECK(!mi_arena_contains(arena, elsewhere));
  mi_free(elsewhere);
  mi_heap_destroy(heap);
  return check_report();
}
