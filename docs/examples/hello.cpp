// A C++ program that is linked with ferrimalloc: whose memory do its containers get?
#include <iostream>
#include <mimalloc.h>
#include <vector>

int main() {
  std::vector<int> numbers(1000);
  std::cout << "ferrimalloc: " << (mi_is_in_heap_region(numbers.data()) ? "yes" : "no") << "\n";
}
