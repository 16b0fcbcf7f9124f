// Containers of the standard library in a heap: one that is deleted, one that is destroyed.
#include "check.h"
#include <map>
#include <memory_resource>
#include <string>
#include <vector>

namespace {
template <class T> using in_heap = mi_heap_stl_allocator<T>;
template <class T> using dropped = mi_heap_destroy_stl_allocator<T>;
using text = std::basic_string<char, std::char_traits<char>, in_heap<char>>;
using words = std::map<text, int, std::less<text>, in_heap<std::pair<const text, int>>>;

// A memory resource for the std::pmr containers.
class heap_resource : public std::pmr::memory_resource {
 public:
  ~heap_resource() override { mi_heap_destroy(heap_); }
  mi_heap_t* get() const { return heap_; }

 private:
  void* do_allocate(std::size_t size, std::size_t alignment) override {
    if (void* p = mi_heap_malloc_aligned(heap_, size, alignment)) return p;
    throw std::bad_alloc();
  }
  void do_deallocate(void* p, std::size_t size, std::size_t alignment) override { mi_free_size_aligned(p, size, alignment); }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
  mi_heap_t* heap_ = mi_heap_new();
};
} // namespace

int main() {
  in_heap<char> allocator;
  words count{in_heap<std::pair<const text, int>>(allocator)};
  for (int i = 0; i < 20000; i++) {
    text word("a word that is too long for the short string ", allocator);
    word += static_cast<char>('a' + i % 26);
    count[word]++;
  }
  CHECK(count.size() == 26 && count.begin()->second == 770);
  CHECK(mi_heap_of(&*count.begin()) == mi_heap_of(count.begin()->first.data()));
  CHECK(mi_heap_of(&*count.begin()) != mi_heap_main());
  {
    std::vector<std::vector<int, dropped<int>>, dropped<std::vector<int, dropped<int>>>> rows; // nothing is freed one by one
    for (int i = 0; i < 100; i++) rows.emplace_back(1000, i);
    CHECK(rows[99][999] == 99);
  }
  heap_resource resource;
  std::pmr::vector<std::pmr::string> names(&resource);
  for (int i = 0; i < 1000; i++) names.emplace_back(std::string(50, 'x'));
  CHECK(mi_heap_contains(resource.get(), names[999].data()));
  return check_report();
}
