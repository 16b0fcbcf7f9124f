// Source: microsoft/snmalloc#161 (allocating in the last destructors of a thread leaked a heap per thread),
// oven-sh/bun#38199, gperftools. Right: threads whose destructors of keys allocate and free in all four rounds, and
// thread_local objects that free after them, leave nothing behind.
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>
static pthread_key_t keys[6];
static int rounds;
static void destructor(void *p) {
  char *c = static_cast<char *>(p);
  int round = c[0];
  for (int i = 1; i < 60; i++) {
    void *q = malloc(i * 97);
    memset(q, 1, i * 97);
    free(q);
  }
  void *big = malloc(300000);
  memset(big, 1, 300000);
  free(big);
  __atomic_add_fetch(&rounds, 1, __ATOMIC_RELAXED);
  free(c);
  if (round < 4) {
    char *n = static_cast<char *>(malloc(3000 + round));
    n[0] = round + 1;
    for (auto k : keys)
      if (!pthread_getspecific(k)) {
        pthread_setspecific(k, n);
        return;
      }
    free(n);
  }
}
struct Local {
  std::vector<std::string> v;
  ~Local() {
    std::string s;
    for (auto &x : v) s += x;
    v.clear();
    v.shrink_to_fit();
  }
};
static thread_local Local local;
static void *thread(void *) {
  for (int i = 0; i < 30; i++) local.v.push_back(std::string(100 + i * 30, 'q'));
  for (int k = 0; k < 3; k++) {
    char *c = static_cast<char *>(malloc(2000));
    c[0] = 1;
    pthread_setspecific(keys[k * 2], c);
  }
  return nullptr;
}
static long rss() {
  FILE *f = fopen("/proc/self/statm", "r");
  long v, r;
  if (fscanf(f, "%ld %ld", &v, &r) != 2) r = 0;
  fclose(f);
  return r * 4;
}
static int mappings() {
  FILE *f = fopen("/proc/self/maps", "r");
  int n = 0, c;
  while ((c = fgetc(f)) != EOF) n += c == '\n';
  fclose(f);
  return n;
}
int main() {
  for (auto &k : keys) pthread_key_create(&k, destructor);
  long r1 = 0;
  int m1 = 0;
  for (int i = 0; i < 6000; i += 4) {
    if (i == 1000) {
      r1 = rss();
      m1 = mappings();
    }
    pthread_t t[4];
    for (auto &x : t)
      if (pthread_create(&x, nullptr, thread, nullptr)) {
        puts("FAIL create");
        return 1;
      }
    for (auto &x : t) pthread_join(x, nullptr);
    if (i % 200 == 0 && rss() > 1000000) {
      printf("FAIL 1 GB resident after %d threads\n", i);
      return 1;
    }
  }
  long r2 = rss();
  int m2 = mappings();
  printf("resident %ld -> %ld KiB, mappings %d -> %d, %d destructor calls\n", r1, r2, m1, m2, rounds);
  if (r2 > r1 + 8192 || m2 > m1 + 100) {
    puts("FAIL grows");
    return 1;
  }
  puts("PASS");
  return 0;
}
