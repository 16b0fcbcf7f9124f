// C++: the support functions, operators new and delete, the allocators for containers.
#include "check.h"

#include <deque>
#include <list>
#include <map>
#include <new>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

namespace {

// -- the support functions --

void test_new() {
  void* p = mi_new(100);
  CHECK(holds(p, 1, 100) && mi_usable_size(p) >= 100);
  p = mi_new_realloc(p, 10000);
  CHECK(p != nullptr && all_bytes(p, 1, 100));
  p = mi_new_reallocn(p, 100, 200);
  CHECK(p != nullptr && all_bytes(p, 1, 100) && mi_usable_size(p) >= 20000);
  mi_free(p);
  p = mi_new_n(30, 100);
  CHECK(holds(p, 2, 3000));
  mi_free(p);
  p = mi_new_nothrow(100);
  CHECK(holds(p, 3, 100));
  mi_free(p);
  for (std::size_t alignment = 16; alignment <= 65536; alignment *= 2) {
    p = mi_new_aligned(100, alignment);
    void* q = mi_new_aligned_nothrow(100, alignment);
    CHECK(is_aligned(p, alignment) && holds(p, 4, 100));
    CHECK(is_aligned(q, alignment) && holds(q, 5, 100));
    mi_free(p);
    mi_free(q);
  }
}

void test_heap_new() {
  mi_heap_t* heap = mi_heap_new();
  void* p = mi_heap_alloc_new(heap, 1000);
  CHECK(holds(p, 1, 1000) && mi_heap_contains(heap, p));
  p = mi_heap_alloc_new_n(heap, 10, 100);
  CHECK(holds(p, 1, 1000) && mi_heap_contains(heap, p));
  mi_heap_destroy(heap);
}

// -- out of memory --

int handler_calls;

void give_up_after_three() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

void test_nothrow() {
  CHECK(mi_new_nothrow(TOO_LARGE) == nullptr);
  CHECK(mi_new_aligned_nothrow(TOO_LARGE, 64) == nullptr);
  CHECK(::operator new(TOO_LARGE, std::nothrow) == nullptr);
}

template <class F> bool throws(F allocate) {
  try {
    void* volatile p = allocate();
    (void)p;
    return false;
  } catch (const std::bad_alloc&) {
    return true;
  }
}

int errors;

void count_error(int, void*) { errors++; }

// Every attempt is reported, once.
template <class F> void check_handler(F allocate) {
  handler_calls = errors = 0;
  std::set_new_handler(&give_up_after_three);
  CHECK(throws(allocate));
  CHECK(handler_calls == 3 && errors == 4);
  std::set_new_handler(nullptr);
}

template <class F> void check_told_once(F allocate) {
  errors = 0;
  CHECK(throws(allocate));
  CHECK(errors == 1);
}

// The reference is compiled as C: it ends the program here.
void test_out_of_memory() {
  if (!on_ours()) return;
  mi_register_error(&count_error, nullptr);
  check_told_once([] { return mi_new(TOO_LARGE); });
  check_told_once([] { return ::operator new(TOO_LARGE); });
  check_handler([] { return mi_new(TOO_LARGE); });
  check_handler([] { return mi_new_aligned(TOO_LARGE, 64); });
  check_handler([] { return mi_new_realloc(nullptr, TOO_LARGE); });
  check_handler([] { return mi_heap_alloc_new(mi_heap_main(), TOO_LARGE); });
  check_handler([] { return ::operator new(TOO_LARGE); });
  check_told_once([] { return mi_new_n(HALF_COUNT, 4); });
  check_told_once([] { return mi_new_reallocn(nullptr, HALF_COUNT, 4); });
  check_told_once([] { return mi_heap_alloc_new_n(mi_heap_main(), HALF_COUNT, 4); });
  handler_calls = 0;
  std::set_new_handler(&give_up_after_three);
  CHECK(mi_new_nothrow(TOO_LARGE) == nullptr); // asks the handler, too
  CHECK(handler_calls == 3);
  std::set_new_handler(nullptr);
  mi_register_error(nullptr, nullptr);
}

// -- the operators --

struct alignas(256) wide_t { char bytes[300]; };

void test_operators() {
  int* one = new int(5);
  int* many = new int[1000];
  CHECK(mi_any_heap_contains(one) && mi_any_heap_contains(many));
  delete one;
  delete[] many;
  int* quiet = new (std::nothrow) int[10];
  CHECK(mi_any_heap_contains(quiet));
  delete[] quiet;
#if defined(__cpp_aligned_new)
  wide_t* wide = new wide_t;
  wide_t* wides = new wide_t[3];
  CHECK(is_aligned(wide, 256) && is_aligned(wides, 256));
  CHECK(mi_any_heap_contains(wide) && mi_any_heap_contains(wides));
  delete wide;
  delete[] wides;
#endif
  std::string text(1000, 'x');
  CHECK(mi_any_heap_contains(text.data()));
}

// -- containers --

void test_stl_allocator() {
  std::vector<int, mi_stl_allocator<int>> numbers;
  for (int i = 0; i < 10000; i++) numbers.push_back(i);
  CHECK(numbers[9999] == 9999 && mi_any_heap_contains(numbers.data()));
  std::map<int, std::string, std::less<int>, mi_stl_allocator<std::pair<const int, std::string>>> names;
  for (int i = 0; i < 1000; i++) names[i] = std::to_string(i);
  CHECK(names.size() == 1000 && names[77] == "77");
  std::list<double, mi_stl_allocator<double>> list(100, 1.5);
  std::deque<long, mi_stl_allocator<long>> queue(1000, 7);
  std::set<int, std::less<int>, mi_stl_allocator<int>> set(numbers.begin(), numbers.end());
  std::unordered_map<int, int, std::hash<int>, std::equal_to<int>, mi_stl_allocator<std::pair<const int, int>>> table;
  for (int i = 0; i < 1000; i++) table[i] = i * i;
  CHECK(list.size() == 100 && queue.size() == 1000 && set.size() == 10000 && table[30] == 900);
  CHECK(mi_stl_allocator<int>() == mi_stl_allocator<long>());
  CHECK(!(mi_stl_allocator<int>() != mi_stl_allocator<long>()));
  using traits = std::allocator_traits<mi_stl_allocator<int>>;
  static_assert(traits::is_always_equal::value, "no state");
  static_assert(std::is_same<traits::rebind_alloc<long>, mi_stl_allocator<long>>::value, "rebinds");
  auto copy = numbers;
  auto moved = std::move(numbers);
  CHECK(copy == moved);
}

void test_heap_allocator() {
  mi_heap_t* heap = mi_heap_new();
  {
    std::vector<int, mi_heap_stl_allocator<int>> numbers{mi_heap_stl_allocator<int>(heap)};
    for (int i = 0; i < 10000; i++) numbers.push_back(i);
    CHECK(mi_heap_contains(heap, numbers.data()));
    auto copy = numbers; // in the same heap
    CHECK(mi_heap_contains(heap, copy.data()) && copy == numbers);
    std::list<std::string, mi_heap_stl_allocator<std::string>> list{mi_heap_stl_allocator<std::string>(heap)};
    list.emplace_back("rebound to a node");
    CHECK(mi_heap_contains(heap, &list.front()));
    CHECK(numbers.get_allocator() == copy.get_allocator());
    CHECK(numbers.get_allocator().is_equal(copy.get_allocator()));
    mi_heap_stl_allocator<int> other;
    CHECK(other != numbers.get_allocator());
    other.collect(true);
  }
  void* p = mi_heap_malloc(heap, 10); // a passed heap is left alone
  CHECK(mi_heap_contains(heap, p));
  mi_heap_destroy(heap);
}

void test_own_heap() {
  std::vector<int, mi_heap_stl_allocator<int>> numbers; // a heap of its own
  for (int i = 0; i < 1000; i++) numbers.push_back(i);
  mi_heap_t* heap = mi_heap_of(numbers.data());
  CHECK(heap != nullptr && heap != mi_heap_main());
  auto moved = std::move(numbers);
  CHECK(mi_heap_of(moved.data()) == heap && moved[999] == 999);
  mi_heap_stl_allocator<int> a, b;
  CHECK(a != b && a == a);
  mi_heap_stl_allocator<int> c(a);
  mi_heap_stl_allocator<long> d(a);
  CHECK(c == a && d == a);
}

void test_destroy_allocator() {
  const void* data;
  {
    std::map<int, long, std::less<int>, mi_heap_destroy_stl_allocator<std::pair<const int, long>>> map;
    for (int i = 0; i < 10000; i++) map[i] = i;
    data = &map[5000];
    CHECK(mi_heap_of(data) != mi_heap_main());
    std::vector<int, mi_heap_destroy_stl_allocator<int>> vector(100000, 3);
    vector.resize(300000);
    CHECK(vector[99999] == 3);
  }
  mi_heap_t* heap = mi_heap_new();
  {
    mi_heap_destroy_stl_allocator<int> allocator(heap);
    std::vector<int, mi_heap_destroy_stl_allocator<int>> vector(100, 3, allocator);
    CHECK(mi_heap_contains(heap, vector.data()));
    CHECK(vector.get_allocator() == allocator && !(vector.get_allocator() != allocator));
  }
  mi_heap_destroy(heap);
}

void test_container_across_threads() {
  using strings = std::vector<std::string, mi_heap_stl_allocator<std::string>>;
  mi_heap_t* heap = mi_heap_new();
  {
    mi_heap_stl_allocator<std::string> allocator(heap);
    strings parts[4] = {strings(allocator), strings(allocator), strings(allocator), strings(allocator)};
    std::thread threads[4];
    for (int t = 0; t < 4; t++)
      threads[t] = std::thread([&parts, t] {
        for (int i = 0; i < 5000; i++) parts[t].push_back(std::to_string(i));
      });
    for (auto& thread : threads) thread.join();
    for (auto& part : parts) CHECK(part.size() == 5000 && part[4999] == "4999" && mi_heap_contains(heap, part.data()));
  }
  mi_heap_destroy(heap);
}

} // namespace

int main() {
  test_new();
  test_heap_new();
  test_nothrow();
  test_out_of_memory();
  test_operators();
  test_stl_allocator();
  test_heap_allocator();
  test_own_heap();
  test_destroy_allocator();
  test_container_across_threads();
  return check_report();
}
