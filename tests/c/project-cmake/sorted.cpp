// new and the containers go through mimalloc, and so does a container with its allocator.
#include <algorithm>
#include <cstdio>
#include <mimalloc.h>
#include <string>
#include <vector>

int main() {
  std::vector<std::string> plain;
  std::vector<std::string, mi_stl_allocator<std::string>> named;
  for (int i = 0; i < 1000; i++) plain.push_back("a long enough string, number " + std::to_string(i * 7919 % 1000));
  named.assign(plain.begin(), plain.end());
  std::sort(named.begin(), named.end());
  bool ours = mi_any_heap_contains(plain.data()) && mi_any_heap_contains(named.data()) && mi_any_heap_contains(plain[5].data());
  std::printf("%zu strings; new is mimalloc's: %s\n", named.size(), ours ? "yes" : "no");
  return ours && std::is_sorted(named.begin(), named.end()) ? 0 : 1;
}
