// operator new and delete: every form, and C++'s rules when memory can't be had.
#include "check.h"
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

static volatile std::size_t too_big = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;
static int handler_calls;

template <typename Action>
static bool throws_bad_alloc(Action action) {
  try {
    action();
  } catch (const std::bad_alloc &) {
    return true;
  }
  return false;
}

static void every_form() {
  for (std::size_t size : {0, 1, 8, 100, 5000, 100000, 2000000}) {
    auto wide = std::align_val_t{256};
    ::operator delete(::operator new(size));
    ::operator delete(::operator new(size), size);
    ::operator delete[](::operator new[](size));
    ::operator delete[](::operator new[](size), size);
    ::operator delete(::operator new(size, std::nothrow), std::nothrow);
    ::operator delete[](::operator new[](size, std::nothrow), std::nothrow);
    void *block = ::operator new(size, wide);
    CHECK((reinterpret_cast<std::uintptr_t>(block) & 255) == 0);
    ::operator delete(block, wide);
    ::operator delete(::operator new(size, wide), size, wide);
    ::operator delete[](::operator new[](size, wide), wide);
    ::operator delete[](::operator new[](size, wide, std::nothrow), wide, std::nothrow);
  }
  ::operator delete(nullptr);
}

static void refusals() {
  CHECK(throws_bad_alloc([] { ::operator delete(::operator new(too_big)); }));
  CHECK(throws_bad_alloc([] { ::operator delete[](::operator new[](too_big)); }));
  CHECK(throws_bad_alloc([] { ::operator delete(::operator new(too_big, std::align_val_t{64}), std::align_val_t{64}); }));
  CHECK(::operator new(too_big, std::nothrow) == nullptr);
  CHECK(::operator new[](too_big, std::nothrow) == nullptr);
  CHECK(::operator new(too_big, std::align_val_t{64}, std::nothrow) == nullptr);
  CHECK(throws_bad_alloc([] { std::vector<char> vector(too_big); }));
}

// The handler is called until it gives up; here the third call takes it out.
static void handler() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

struct GaveUp {};

static void handlers() {
  std::set_new_handler(handler);
  CHECK(throws_bad_alloc([] { ::operator delete(::operator new(too_big)); }));
  CHECK(handler_calls == 3);
  handler_calls = 0;
  std::set_new_handler(handler);
  CHECK(::operator new(too_big, std::nothrow) == nullptr);
  CHECK(handler_calls == 3);
  std::set_new_handler([] { throw GaveUp(); });
  bool passed_through = false;
  try {
    ::operator delete(::operator new(too_big));
  } catch (const GaveUp &) {
    passed_through = true;
  }
  CHECK(passed_through);
  std::set_new_handler(nullptr);
}

static void containers() {
  std::vector<std::unique_ptr<std::string>> strings;
  for (int i = 0; i < 20000; i++) strings.push_back(std::make_unique<std::string>(i % 300, 'x'));
  std::size_t length = 0;
  for (auto &string : strings) length += string->size();
  CHECK(length == 2980000);
}

int main() {
  every_form();
  refusals();
  handlers();
  containers();
  return verdict();
}
