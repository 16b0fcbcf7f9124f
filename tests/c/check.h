/* check.h: the test framework of these programs: CHECK counts, `return check_report();` ends.
 *
 * A program runs unchanged on mimalloc and on ferrimalloc. xtask says which by the variable CHECK_ENGINE:
 * what only ferrimalloc promises (because the reference crashes, hangs or lacks it) stands in
 * `if (on_ours())`.
 */
#ifndef CHECK_H
#define CHECK_H

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <mimalloc.h>

#ifdef __cplusplus
#define NO_REPORTS {}
#else
#define NO_REPORTS {0}
#endif

static long check_passed, check_failed;

static inline void check_at(bool ok, const char* what, const char* file, int line) {
  __atomic_add_fetch(ok ? &check_passed : &check_failed, 1, __ATOMIC_RELAXED);
  if (!ok) printf("%s:%d: failed: %s\n", file, line, what);
}

#define CHECK(cond) check_at((cond), #cond, __FILE__, __LINE__)

static inline int check_report(void) {
  printf("%ld passed, %ld failed\n", check_passed, check_failed);
  return check_failed == 0 ? 0 : 1;
}

static inline bool on_ours(void) {
  const char* engine = getenv("CHECK_ENGINE");
  return engine == NULL || strcmp(engine, "reference") != 0;
}

/* -- memory -- */

static inline bool is_aligned(const void* p, size_t alignment) { return (uintptr_t)p % alignment == 0; }

static inline bool all_bytes(const void* p, int byte, size_t size) {
  const unsigned char* at = (const unsigned char*)p;
  for (size_t i = 0; i < size; i++)
    if (at[i] != (unsigned char)byte) return false;
  return true;
}

/* Uses every byte of a block, so that overlapping blocks would show. */
static inline bool holds(void* p, int byte, size_t size) {
  if (p == NULL) return false;
  memset(p, byte, size);
  return all_bytes(p, byte, size);
}

/* A number the compiler can't see: keeps it from warning of (or acting on) absurd sizes. */
static inline size_t opaque(size_t n) {
  volatile size_t hidden = n;
  return hidden;
}
#define TOO_LARGE  opaque((size_t)PTRDIFF_MAX + 1) /* larger than any block may be */
#define HALF_COUNT opaque(SIZE_MAX / 2)            /* times 4 overflows */

/* -- hooks -- */

/* What an error hook saw. */
typedef struct { int overflow, no_memory, invalid, double_free, corrupt, other; } reports_t;

static inline void count_report(int err, void* arg) {
  reports_t* seen = (reports_t*)arg;
  switch (err) {
    case EOVERFLOW: seen->overflow++; break;
    case ENOMEM: seen->no_memory++; break;
    case EINVAL: seen->invalid++; break;
    case EAGAIN: seen->double_free++; break;
    case EFAULT: seen->corrupt++; break;
    default: seen->other++;
  }
}

typedef struct { char text[1 << 16]; size_t length; } text_t;

/* An output function: adds to the text_t that is its argument. */
static inline void add_text(const char* msg, void* arg) {
  text_t* t = (text_t*)arg;
  size_t room = sizeof(t->text) - 1 - t->length, n = strlen(msg);
  if (n > room) n = room;
  memcpy(t->text + t->length, msg, n);
  t->length += n;
  t->text[t->length] = 0;
}

static inline bool says(const text_t* t, const char* words) { return strstr(t->text, words) != NULL; }

#endif /* CHECK_H */
