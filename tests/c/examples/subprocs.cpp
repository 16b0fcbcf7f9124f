// A plug-in in a sub-process: whatever it leaks is gone when it is unloaded.
#include "check.h"
#include <map>
#include <mimalloc-stats.h>
#include <string>
#include <thread>

namespace {
class sandbox {
 public:
  sandbox() : id_(mi_subproc_new()) {}
  ~sandbox() { mi_subproc_destroy(id_); }
  sandbox(const sandbox&) = delete;
  sandbox& operator=(const sandbox&) = delete;

  template <class F> void run(F f) {
    std::thread([this, &f] {
      mi_subproc_add_current_thread(id_);
      f();
    }).join();
  }

  long long reserved() const {
    mi_stats_t_decl(stats);
    return mi_subproc_stats_get(id_, &stats) ? stats.reserved.current : -1;
  }

 private:
  mi_subproc_id_t id_;
};
} // namespace

int main() {
  const void* leaked = nullptr;
  {
    sandbox plugin;
    CHECK(plugin.reserved() >= 0);
    if (on_ours()) { // the reference crashes when a thread joins
      plugin.run([&leaked] {
        auto* table = new std::map<int, std::string>; // never deleted
        for (int i = 0; i < 10000; i++) (*table)[i] = std::string(100, 'x');
        leaked = table;
        CHECK(mi_any_heap_contains(leaked));
      });
      CHECK(!mi_heap_contains(mi_heap_main(), leaked));
      CHECK(plugin.reserved() > 0);
    }
  }
  if (on_ours()) CHECK(!mi_any_heap_contains(leaked));
  CHECK(mi_any_heap_contains(std::string(1000, 'y').data())); // this one goes on
  return check_report();
}
