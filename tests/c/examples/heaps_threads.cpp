// A heap that several threads allocate in, owned by a unique_ptr.
#include "check.h"
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

namespace {
struct destroy_heap {
  void operator()(mi_heap_t* heap) const { mi_heap_destroy(heap); }
};
using heap_ptr = std::unique_ptr<mi_heap_t, destroy_heap>;
using numbers = std::vector<long, mi_heap_stl_allocator<long>>;
} // namespace

int main() {
  heap_ptr request(mi_heap_new());
  std::vector<numbers> parts(4, numbers(mi_heap_stl_allocator<long>(request.get())));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < parts.size(); t++)
    threads.emplace_back([&part = parts[t], t] {
      for (long i = 0; i < 10000; i++) part.push_back(static_cast<long>(t) * 10000 + i);
    });
  for (auto& thread : threads) thread.join();
  long total = 0;
  for (const auto& part : parts) {
    CHECK(mi_heap_contains(request.get(), part.data()));
    total = std::accumulate(part.begin(), part.end(), total);
  }
  CHECK(total == 40000L * 39999 / 2);
  parts.clear();
  return check_report();
}
