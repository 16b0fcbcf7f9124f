// mimalloc-new-delete.h: the program's own operators, on mimalloc.
#include "check.h"
#include <mimalloc-new-delete.h>

#include <memory>
#include <string>
#include <vector>

struct alignas(128) wide_t { char bytes[200]; };

int main() {
  auto one = std::make_unique<int>(5);
  auto many = std::make_unique<int[]>(1000);
  auto wide = std::make_unique<wide_t>();
  auto wides = std::make_unique<wide_t[]>(3);
  std::vector<std::string> text(10, std::string(100, 'x'));
  CHECK(mi_any_heap_contains(one.get()) && mi_any_heap_contains(many.get()));
  CHECK(mi_any_heap_contains(wide.get()) && is_aligned(wide.get(), 128));
  CHECK(mi_any_heap_contains(wides.get()) && is_aligned(wides.get(), 128));
  CHECK(mi_any_heap_contains(text.data()) && mi_any_heap_contains(text[9].data()));
  int* quiet = new (std::nothrow) int[10];
  CHECK(mi_any_heap_contains(quiet));
  delete[] quiet;
  CHECK(::operator new(TOO_LARGE, std::nothrow) == nullptr);
  return check_report();
}
