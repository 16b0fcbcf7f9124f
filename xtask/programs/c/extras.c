// glibc's extras and the old names: present, harmless, and plausible.
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <malloc.h>

static void figures(void) {
  void *block = malloc(10 << 20);
  memset(block, 1, 10 << 20);
  struct mallinfo2 info = mallinfo2();
  CHECK(info.uordblks + info.hblkhd >= (10 << 20));
  free(block);
}

static void knobs(void) {
  CHECK(mallopt(M_TRIM_THRESHOLD, 1 << 20) == 1 || mallopt(M_TRIM_THRESHOLD, 1 << 20) == 0);
  int trimmed = malloc_trim(0);
  CHECK(trimmed == 0 || trimmed == 1);
}

static void xml(void) {
  FILE *out = tmpfile();
  CHECK(out != NULL);
  if (out == NULL) return;
  CHECK(malloc_info(0, out) == 0);
  CHECK(ftell(out) > 0);
  CHECK(malloc_info(1, out) != 0);
  fclose(out);
}

static void pages(void) {
  void *one = valloc(10), *two = pvalloc(10);
  CHECK(one != NULL && ((uintptr_t)one & 4095) == 0);
  CHECK(two != NULL && ((uintptr_t)two & 4095) == 0 && malloc_usable_size(two) >= 4096);
  free(one);
  free(two);
}

// C23's; glibc 2.36 has no prototypes.
static void sized_frees(void) {
  void (*free_sized)(void *, size_t) = (void (*)(void *, size_t))dlsym(RTLD_DEFAULT, "free_sized");
  void (*free_aligned_sized)(void *, size_t, size_t) =
      (void (*)(void *, size_t, size_t))dlsym(RTLD_DEFAULT, "free_aligned_sized");
  CHECK(free_sized != NULL && free_aligned_sized != NULL);
  if (free_sized == NULL || free_aligned_sized == NULL) return;
  for (int i = 0; i < 1000; i++) {
    free_sized(malloc(i), i);
    free_aligned_sized(aligned_alloc(64, i), 64, i);
  }
}

static void strings(void) {
  char *whole = strdup("ferrimalloc"), *part = strndup("ferrimalloc", 5);
  CHECK(strcmp(whole, "ferrimalloc") == 0 && strcmp(part, "ferri") == 0);
  free(whole);
  free(part);
}

int main(void) {
  figures();
  knobs();
  xml();
  pages();
  sized_frees();
  strings();
  return verdict();
}
