// The same in C++: containers, and a stack that goes through a template and a lambda.
#include <map>
#include <string>
#include <vector>

// Never destroyed: what is in use at the end is looked at.
static auto& held = *new std::vector<std::string>;

template <class Work>
__attribute__((noinline)) void repeat(int times, const Work& work) {
  for (int i = 0; i < times; i++) work(i);
}

__attribute__((noinline)) void site_of_strings() {
  repeat(60000, [](int) { held.emplace_back(100, 'x'); });
}

int main() {
  held.reserve(60000);
  site_of_strings();
  return held.back().size() == 100 ? 0 : 1;
}
