// An arena on a static array: containers that never ask the OS for memory.
#include "check.h"
#include <string>
#include <vector>

namespace {
constexpr std::size_t size = std::size_t(64) << 20;
alignas(1 << 16) char storage[size]; // .bss: zero, and resident only where used

template <class T> using allocator = mi_heap_stl_allocator<T>;
} // namespace

int main() {
  mi_arena_id_t arena = nullptr;
  CHECK(mi_manage_os_memory_ex(storage, size, true, true, true, -1, true, &arena));
  std::size_t area_size = 0;
  CHECK(mi_arena_area(arena, &area_size) == storage && area_size == size);
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  {
    std::vector<int, allocator<int>> numbers{allocator<int>(heap)};
    for (int i = 0; i < 1000000; i++) numbers.push_back(i);
    const void* data = numbers.data();
    CHECK(data >= storage && data < storage + size && mi_arena_contains(arena, data));
  }
  bool refused = mi_heap_malloc(heap, 2 * size) == nullptr;
  CHECK(refused);
  mi_heap_destroy(heap);
  return check_report();
}
