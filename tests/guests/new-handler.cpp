// Source: GrapheneOS/hardened_malloc#361 (2026), google/sanitizers#295, llvm#201151, snmalloc#791: new handlers. Right:
// an exception of the handler (any type derived from bad_alloc) leaves operator new as it is; the nothrow forms give
// null instead; handlers are called until they end it.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <initializer_list>
#include <new>
#include <thread>
struct Mine : std::bad_alloc {
  int v = 77;
};
static int calls;
static void throws() {
  calls++;
  throw Mine();
}
static void gives_up() {
  if (++calls == 3) std::set_new_handler(nullptr);
}
struct alignas(256) Wide {
  char c[256];
};
template <class F>
static int expect(const char *what, int want, F f) {
  int got = 0;
  try {
    void *p = f();
    got = p ? 4 : 1;
  } catch (const Mine &m) {
    got = m.v == 77 ? 2 : 5;
  } catch (const std::bad_array_new_length &) {
    got = 6;
  } catch (const std::bad_alloc &) {
    got = 3;
  } catch (...) {
    got = 9;
  }
  if (got != want) {
    printf("FAIL %s: %d instead of %d (1 null, 2 Mine, 3 bad_alloc, 4 memory, 6 bad_array_new_length)\n", what, got,
           want);
    return 1;
  }
  return 0;
}
static int all() {
  int bad = 0;
  volatile std::size_t huge = PTRDIFF_MAX - 4096, over = SIZE_MAX / 2 + 9;
  for (std::size_t n : {huge, over}) {
    std::set_new_handler(nullptr);
    bad += expect("new, no handler", 3, [&] { return ::operator new(n); });
    bad += expect("new[], no handler", 3, [&] { return ::operator new[](n); });
    bad += expect("nothrow, no handler", 1, [&] { return ::operator new(n, std::nothrow); });
    bad += expect("aligned, no handler", 3, [&] { return ::operator new(n, std::align_val_t(256)); });
    bad += expect("aligned nothrow, no handler", 1,
                  [&] { return ::operator new(n, std::align_val_t(256), std::nothrow); });
    std::set_new_handler(throws);
    bad += expect("new, handler throws", 2, [&] { return ::operator new(n); });
    bad += expect("new[], handler throws", 2, [&] { return ::operator new[](n); });
    bad += expect("aligned, handler throws", 2, [&] { return ::operator new(n, std::align_val_t(64)); });
    bad += expect("aligned[], handler throws", 2, [&] { return ::operator new[](n, std::align_val_t(64)); });
    bad += expect("nothrow, handler throws", 1, [&] { return ::operator new(n, std::nothrow); });
    bad += expect("nothrow[], handler throws", 1, [&] { return ::operator new[](n, std::nothrow); });
    bad += expect("aligned nothrow, handler throws", 1,
                  [&] { return ::operator new(n, std::align_val_t(64), std::nothrow); });
    calls = 0;
    std::set_new_handler(gives_up);
    bad += expect("handler that gives up", 3, [&] { return ::operator new(n); });
    if (calls != 3) {
      printf("FAIL handler called %d times, not 3\n", calls);
      bad++;
    }
    calls = 0;
    std::set_new_handler(gives_up);
    bad += expect("nothrow, handler that gives up", 1, [&] { return ::operator new(n, std::nothrow); });
    if (calls != 3) {
      printf("FAIL nothrow: handler called %d times, not 3\n", calls);
      bad++;
    }
  }
  std::set_new_handler(throws);
  volatile std::size_t count = SIZE_MAX / 8;
  bad += expect("new T[too many]", 6, [&] { return (void *)new Wide[count]; });
  bad += expect("new of 0", 4, [] { return ::operator new(0); });
  return bad;
}
int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  int bad = all(), other = 0;
  std::thread t([&] { other = all(); });
  t.join();
  bad += other;
  if (!bad) puts("PASS");
  return bad != 0;
}
