// A malloc that puts a header before each block: over the next malloc, or (OWN) over memory of its own.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* the C functions that jemalloc exports, with a header and a mark in front of each block */
#ifdef OWN
static char pool[96 << 20] __attribute__((aligned(64)));
static size_t used;
static void *raw(size_t n) {
  size_t at = __atomic_fetch_add(&used, (n + 63) & ~63ul, __ATOMIC_RELAXED);
  return at + n > sizeof pool ? 0 : pool + at;
}
#else
static void *raw(size_t n) {
  static void *(*next)(size_t);
  static char boot[65536];
  static size_t b;
  static __thread int in;
  if (!next) {
    if (in) {
      b += (n + 63) & ~63ul;
      return boot + b - ((n + 63) & ~63ul);
    }
    in = 1;
    next = (void *(*)(size_t))dlsym(RTLD_NEXT, "malloc");
    in = 0;
  }
  return next(n);
}
#endif
struct h {
  uint64_t mark, size;
};
void *malloc(size_t n) {
  if (n > PTRDIFF_MAX) {
    errno = ENOMEM;
    return 0;
  }
  struct h *h = raw(n + sizeof *h);
  if (!h) {
    errno = ENOMEM;
    return 0;
  }
  h->mark = 0xfeedfacecafe;
  h->size = n;
  return h + 1;
}
void free(void *p) {
  if (!p) return;
  struct h *h = (struct h *)p - 1;
  if (h->mark != 0xfeedfacecafe) {
    static const char m[] = "foreign block given to free\n";
    if (write(2, m, sizeof m - 1)) {
    }
    _exit(44);
  }
}
void *calloc(size_t a, size_t b) {
  size_t n;
  if (__builtin_mul_overflow(a, b, &n)) return 0;
  void *p = malloc(n);
  if (p) memset(p, 0, n);
  return p;
}
void *realloc(void *p, size_t n) {
  void *q = malloc(n);
  if (p && q) {
    size_t o = ((struct h *)p - 1)->size;
    if (((struct h *)p - 1)->mark != 0xfeedfacecafe) _exit(45);
    memcpy(q, p, o < n ? o : n);
  }
  return q;
}
int posix_memalign(void **r, size_t a, size_t n) {
  char *p = malloc(n + 2 * a + 16);
  uintptr_t u = ((uintptr_t)p + 16 + a - 1) & ~(a - 1);
  struct h *h = (struct h *)u - 1;
  h->mark = 0xfeedfacecafe;
  h->size = n;
  *r = (void *)u;
  return 0;
}
void *aligned_alloc(size_t a, size_t n) {
  void *p;
  return posix_memalign(&p, a, n) ? 0 : p;
}
void *memalign(size_t a, size_t n) { return aligned_alloc(a, n); }
void *valloc(size_t n) { return aligned_alloc(4096, n); }
size_t malloc_usable_size(void *p) { return p ? ((struct h *)p - 1)->size : 0; }
