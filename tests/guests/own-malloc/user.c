// Frees what functions of the C library have allocated: the one that is named, or all.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <wchar.h>
#define TRY(what, e)                    \
  do {                                  \
    if (!only || !strcmp(only, what)) { \
      void *p = (e);                    \
      free(p);                          \
    }                                   \
  } while (0)
int main(int c, char **v) {
  const char *only = c > 1 ? v[1] : 0;
  char *l = 0;
  size_t n = 0;
  FILE *f;
  TRY("malloc", malloc(10));
  TRY("strdup", strdup("hello"));
  TRY("strndup", strndup("hello", 3));
  TRY("wcsdup", wcsdup(L"hello"));
  TRY("realpath", realpath("/usr/..", 0));
  TRY("asprintf", (asprintf(&l, "%d", 5), l));
  l = 0;
  TRY("getline", (f = fopen("/etc/passwd", "r"), getline(&l, &n, f), fclose(f), l));
  TRY("reallocarray", reallocarray(0, 5, 5));
  TRY("getcwd", getcwd(0, 0));
  TRY("open_memstream", (f = open_memstream(&l, &n), fputs("x", f), fclose(f), l));
  TRY("pvalloc", (void *)0);
  /* not in every C library; without one there is nothing to be shown */
  void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
  void *(*reallocf)(void *, size_t) = (void *(*)(void *, size_t))dlsym(RTLD_DEFAULT, "reallocf");
  if (free_sized) TRY("free_sized", (free_sized(malloc(40), 40), (void *)0));
  if (reallocf) TRY("reallocf", reallocf(malloc(40), 80));
  return 0;
}
