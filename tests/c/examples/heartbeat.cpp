// Counting heartbeats, and a queue of destructors that runs on them.
#include "check.h"
#include <list>
#include <memory>
#include <vector>

namespace {
struct reaper {
  std::vector<std::unique_ptr<std::vector<int>>> dead;
  unsigned long long last = 0;
  long beats = 0;
  bool monotonic = true, busy = false;

  static void beat(bool force, unsigned long long heartbeat, void* self) { static_cast<reaper*>(self)->reap(force, heartbeat); }

  void reap(bool force, unsigned long long heartbeat) {
    if (busy) return;
    busy = true;
    monotonic = monotonic && heartbeat >= last;
    last = heartbeat;
    beats++;
    if (force) dead.clear();
    else if (!dead.empty()) dead.pop_back();
    busy = false;
  }
};
} // namespace

int main() {
  static reaper reap;
  reap.dead.reserve(10000);
  mi_register_deferred_free(&reaper::beat, &reap);
  std::list<std::vector<int>> live;
  for (int i = 0; i < 20000; i++) {
    live.emplace_back(std::vector<int>(static_cast<std::size_t>(i % 300), i));
    if (i % 100 == 0) reap.dead.push_back(std::make_unique<std::vector<int>>(100));
  }
  CHECK(reap.beats > 0 && reap.monotonic);
  CHECK(reap.dead.size() < 200);
  mi_collect(true);
  CHECK(reap.dead.empty());
  mi_register_deferred_free(nullptr, nullptr);
  return check_report();
}
