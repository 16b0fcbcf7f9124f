// Finding leaks: what a piece of code left in its heap.
#include "check.h"
#include <functional>
#include <vector>

namespace {
struct leak { void* block; std::size_t size; };
using visitor = std::function<bool(const mi_heap_area_t&, void*, std::size_t)>;

bool call(const mi_heap_t*, const mi_heap_area_t* area, void* block, std::size_t size, void* arg) {
  return (*static_cast<visitor*>(arg))(*area, block, size);
}

// A visitor must not allocate in the heap it visits; these vectors are in the main heap.
std::vector<leak> leaks(mi_heap_t* heap) {
  std::vector<leak> found;
  visitor collect = [&found](const mi_heap_area_t&, void* block, std::size_t size) {
    if (block != nullptr) found.push_back({block, size});
    return true;
  };
  mi_heap_visit_blocks(heap, true, &call, &collect);
  return found;
}
} // namespace

int main() {
  mi_heap_t* heap = mi_heap_new();
  std::vector<void*> blocks;
  for (std::size_t i = 0; i < 1000; i++) blocks.push_back(mi_heap_malloc(heap, i + 1));
  CHECK(leaks(heap).size() == 1000);
  for (std::size_t i = 0; i < 1000; i++)
    if (i != 123 && i != 456) mi_free(blocks[i]);
  auto left = leaks(heap);
  CHECK(left.size() == 2);
  for (const auto& one : left) CHECK((one.block == blocks[123] || one.block == blocks[456]) && one.size >= 124);
  mi_heap_destroy(heap);
  return check_report();
}
