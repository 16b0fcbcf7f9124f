// Sizes and alignments that can't be had: null, the right errno, nothing else touched.
#define _GNU_SOURCE
#include "check.h"
#include <malloc.h>

enum { BITS = 8 * sizeof(size_t) };
// Volatile: the compiler must not know the sizes.
static volatile size_t too_big = (size_t)PTRDIFF_MAX + 1;
static volatile size_t biggest = SIZE_MAX;
static volatile size_t barely = PTRDIFF_MAX;

#define CHECK_REFUSED(call, code) \
  do { \
    errno = 0; \
    CHECK((call) == NULL); \
    CHECK(errno == (code)); \
  } while (0)

static void sizes(void) {
  CHECK_REFUSED(malloc(too_big), ENOMEM);
  CHECK_REFUSED(malloc(biggest), ENOMEM);
  CHECK_REFUSED(malloc(barely), ENOMEM);
  CHECK_REFUSED(calloc(1, too_big), ENOMEM);
  CHECK_REFUSED(valloc(biggest), ENOMEM);
  CHECK_REFUSED(pvalloc(biggest), ENOMEM);
  for (size_t size = biggest; size > too_big; size -= biggest / 37) CHECK_REFUSED(malloc(size), ENOMEM);
}

static void products(void) {
  CHECK_REFUSED(calloc(biggest, 2), ENOMEM);
  CHECK_REFUSED(calloc(2, biggest), ENOMEM);
  CHECK_REFUSED(calloc(too_big >> (BITS / 2 - 2), too_big >> (BITS / 2 - 2)), ENOMEM);
  CHECK_REFUSED(calloc(biggest / 3 + 1, 3), ENOMEM);
  CHECK_REFUSED(reallocarray(NULL, biggest / 2, 3), ENOMEM);
  void *empty = calloc(0, biggest);
  CHECK(empty != NULL);
  free(empty);
}

static void reallocations(void) {
  size_t starts[] = {10, 1000, 100000, 3 << 20};
  for (int i = 0; i < 4; i++) {
    unsigned char *block = malloc(starts[i]);
    memset(block, 0x5a, starts[i]);
    CHECK_REFUSED(realloc(block, too_big), ENOMEM);
    CHECK_REFUSED(realloc(block, barely), ENOMEM);
    CHECK_REFUSED(reallocarray(block, biggest / 2, 3), ENOMEM);
    for (size_t k = 0; k < starts[i]; k += 7) CHECK(block[k] == 0x5a);
    free(block);
  }
}

static void bad_posix_alignment(size_t alignment) {
  void *untouched = &errno;
  errno = 77;
  CHECK(posix_memalign(&untouched, alignment, 100) == EINVAL);
  CHECK(untouched == &errno);
}

static void alignments(void) {
  size_t bad[] = {0, 1, 2, 3, sizeof(void *) / 2, 7, 12, 24, 100, 4095, SIZE_MAX};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) bad_posix_alignment(bad[i]);
  CHECK_REFUSED(aligned_alloc(0, 100), EINVAL);
  CHECK_REFUSED(aligned_alloc(3, 100), EINVAL);
  CHECK_REFUSED(aligned_alloc(biggest, 100), EINVAL);
}

// A power of two, but beyond any machine.
static void absurd_alignments(void) {
  void *untouched = &errno;
  for (int shift = BITS == 64 ? 48 : 31; shift < BITS; shift++) {
    size_t alignment = (size_t)1 << shift;
    CHECK(posix_memalign(&untouched, alignment, 100) == ENOMEM);
    CHECK(untouched == &errno);
    errno = 0;
    CHECK(memalign(alignment, 100) == NULL);
    CHECK(errno == ENOMEM || errno == EINVAL);
  }
  CHECK(posix_memalign(&untouched, 64, too_big) == ENOMEM);
  CHECK(posix_memalign(&untouched, 4096, barely) == ENOMEM);
  CHECK(untouched == &errno);
  CHECK_REFUSED(aligned_alloc(64, biggest), ENOMEM);
  CHECK_REFUSED(memalign(1 << 20, barely), ENOMEM);
}

// After all that, errno is left alone by what succeeds.
static void quiet_success(void) {
  errno = 77;
  void *block = malloc(100);
  block = realloc(block, 5000);
  free(block);
  free(NULL);
  CHECK(posix_memalign(&block, 64, 100) == 0);
  free(block);
  CHECK(errno == 77);
}

int main(void) {
  sizes();
  products();
  reallocations();
  alignments();
  absurd_alignments();
  quiet_success();
  return verdict();
}
