// Source: Fantom-foundation/Tosca#139, facebook/rocksdb#3175, gperftools#1569, mimalloc#26: a program replaces only
// operator new(size_t) and operator delete(void*). Right (C++ standard, libstdc++): the other forms that are not
// replaced call these two, so every block goes back where it came from.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>
static long live, foreign;
struct Head {
  size_t magic, size;
};
void *operator new(std::size_t n) {
  Head *h = static_cast<Head *>(std::malloc(n + sizeof(Head)));
  if (!h) throw std::bad_alloc();
  h->magic = 0x5eed5eed;
  h->size = n;
  __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
  return h + 1;
}
void operator delete(void *p) noexcept {
  if (!p) return;
  Head *h = static_cast<Head *>(p) - 1;
  if (h->magic != 0x5eed5eed) {
    __atomic_add_fetch(&foreign, 1, __ATOMIC_RELAXED);
    return;
  }  // not one of ours: leak it
  h->magic = 0;
  __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
  std::free(h);
}
struct Base {
  virtual ~Base() {}
  int x[5];
};
struct Derived : Base {
  std::string s = "a string that is longer than the small buffer of it";
};
template <class T>
static T *keep(T *p) {
  asm volatile("" : "+r"(p));
  return p;
}
int main() {
  setvbuf(stdout, nullptr, _IONBF, 0);
  long before = live;
  int bad = 0;
  auto step = [&](const char *what) {
    if (live != before || foreign) {
      printf("FAIL %s: %ld blocks of ours not returned to us, %ld foreign given to us\n", what, live - before, foreign);
      bad = 1;
      foreign = 0;
      before = live;
    }
  };
  for (int i = 0; i < 1000; i++) {
    int *p = keep(new int(i));
    delete p;
  }
  step("new int, delete (sized by the compiler)");
  for (int i = 0; i < 1000; i++) {
    Base *b = keep<Base>(new Derived);
    delete b;
  }
  step("virtual delete");
  for (int i = 0; i < 1000; i++) {
    char *p = keep(new char[i + 1]);
    std::memset(p, 1, i + 1);
    delete[] p;
  }
  step("new[], delete[]");
  for (int i = 0; i < 1000; i++) {
    std::string *p = keep(new std::string[3]);
    delete[] p;
  }
  step("new[] of objects");
  for (int i = 0; i < 1000; i++) {
    int *p = keep(new (std::nothrow) int[50]);
    delete[] p;
    int *q = keep(new (std::nothrow) int);
    delete q;
  }
  step("nothrow");
  for (int i = 0; i < 1000; i++) {
    std::vector<std::string> v(20, std::string(100, 'x'));
    auto s = std::make_shared<std::string>(v[3] + v[4]);
    (void)keep(s.get());
  }
  step("containers");
  {
    std::thread t([] {
      for (int i = 0; i < 500; i++) {
        std::string s(1000, 'y');
        (void)keep(&s);
      }
    });
    t.join();
  }
  step("std::thread");
  for (int i = 0; i < 100; i++) {
    void *p = keep(::operator new(40));
    ::operator delete(p, std::size_t(40));
  }
  step("explicit sized delete");
  if (!bad) puts("PASS");
  return bad;
}
