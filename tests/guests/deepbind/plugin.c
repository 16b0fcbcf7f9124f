// Allocates and frees in each way; -DOWN: by functions of its own, which must be the ones it gets.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef NEEDS
void *needed_make(size_t n);
void needed_take(void *p);
#endif
int calls_of_own;
#ifdef OWN
static _Alignas(16) char heap[1 << 20];
static size_t used;
void *malloc(size_t n) {
  calls_of_own++;
  void *p = heap + used;
  used += (n + 31) & ~(size_t)15;
  return p;
}
void free(void *p) {
  if (p && ((char *)p < heap || (char *)p >= heap + sizeof heap)) abort();
}
#endif
int whose(void) { return 'p'; }
int ask(void) { return whose(); }
static void *early, *kept;
__attribute__((constructor)) static void begin(void) {
  early = malloc(1000);
  memset(early, 7, 1000);
#ifndef OWN
  free(strdup("hello"));
  char *line = 0;
  size_t n = 0;
  FILE *f = fopen("/etc/passwd", "r");
  getline(&line, &n, f);
  fclose(f);
  free(line);
  early = realloc(early, 5000);
  if (((char *)early)[999] != 7) abort();
#endif
}
__attribute__((destructor)) static void end(void) {
  free(early);
  free(kept);
}
void keep(void *p) { kept = p; }
void *give_early(void) {
  void *p = early;
  early = 0;
  return p;
}
static struct {
  void *(*make)(size_t);
  void (*take)(void *);
} table = {malloc, free};
void *make(int kind, size_t n) {
  void *p = 0;
  switch (kind) {
    case 0: return malloc(n);
    case 1: return calloc(1, n);
    case 2: return realloc(0, n);
    case 3: return posix_memalign(&p, 64, n) ? 0 : p;
    case 4: return aligned_alloc(64, (n + 63) & -64);
    case 5: return memalign(128, n);
    case 6: return valloc(n);
    case 7: return strdup("plugin");
    case 8: return table.make(n);
    case 9: return reallocarray(0, n, 2);
    case 10: return asprintf((char **)&p, "%08zu", n) < 0 ? 0 : p;
#ifdef NEEDS
    case 11: return needed_make(n);
#endif
    default: return ((void *(*)(size_t))dlsym(RTLD_DEFAULT, "malloc"))(n);
  }
}
void take(int kind, void *p) {
  switch (kind) {
    case 0: free(p); break;
    case 1: free(realloc(p, 1)); break;
    case 2: free(realloc(p, 100000)); break;
    case 3: table.take(p); break;
    case 4: p = reallocarray(p, 10, 10), free(p); break;
    case 5: if (malloc_usable_size(p) < 7) abort(); free(p); break;
#ifdef NEEDS
    case 6: needed_take(p); break;
#endif
    default: ((void (*)(void *))dlsym(RTLD_DEFAULT, "free"))(p);
  }
}
