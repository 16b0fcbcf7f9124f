// Memory with a budget, from C++: exceeding it is std::bad_alloc in this container and nowhere else.
#include "check.h"
#include <cstdint>
#include <sys/mman.h>
#include <vector>

namespace {
class budget {
 public:
  explicit budget(std::size_t bytes) : left_(bytes) {}

  static bool commit(bool wanted, void* start, std::size_t size, bool* is_zero, void* self) {
    if (is_zero != nullptr) *is_zero = false;
    return static_cast<budget*>(self)->change(wanted, start, size);
  }

  int refusals() const { return refusals_; }

 private:
  bool change(bool wanted, void* start, std::size_t size) {
    if (!wanted) {
      left_ += size;
      return mprotect(start, size, PROT_NONE) == 0;
    }
    if (size > left_) return ++refusals_, false;
    left_ -= size;
    return mprotect(start, size, PROT_READ | PROT_WRITE) == 0;
  }

  std::size_t left_;
  int refusals_ = 0;
};

// What mi_heap_stl_allocator does, with an exception also where the library itself can't throw.
template <class T> struct limited {
  using value_type = T;
  explicit limited(mi_heap_t* heap) : heap(heap) {}
  T* allocate(std::size_t count) {
    if (void* p = mi_heap_mallocn(heap, count, sizeof(T))) return static_cast<T*>(p);
    throw std::bad_alloc();
  }
  void deallocate(T* p, std::size_t) { mi_free(p); }
  bool operator==(const limited& other) const { return heap == other.heap; }
  bool operator!=(const limited& other) const { return heap != other.heap; }
  mi_heap_t* heap;
};
} // namespace

int main() {
  const std::size_t size = std::size_t(128) << 20, alignment = mi_arena_min_alignment();
  auto map = reinterpret_cast<std::uintptr_t>(
      mmap(nullptr, size + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  void* start = reinterpret_cast<void*>((map + alignment - 1) / alignment * alignment);
  static budget quota(std::size_t(20) << 20);
  mi_arena_id_t arena = nullptr;
  CHECK(mi_manage_memory(start, size, false, false, false, -1, true, &budget::commit, &quota, &arena));
  mi_heap_t* heap = mi_heap_new_in_arena(arena);
  {
    std::vector<int, limited<int>> numbers{limited<int>(heap)};
    bool thrown = false;
    try {
      for (int i = 0; i < 100000000; i++) numbers.push_back(i);
    } catch (const std::bad_alloc&) {
      thrown = true;
    }
    CHECK(thrown && quota.refusals() > 0);
    CHECK(numbers.size() > 100000 && numbers.back() == static_cast<int>(numbers.size()) - 1); // as it was
    std::vector<int> elsewhere(10000000, 1);
    CHECK(elsewhere[9999999] == 1);
  }
  mi_heap_destroy(heap);
  return check_report();
}
