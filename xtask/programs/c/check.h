// Checks that count: `CHECK(condition)` prints a line when the condition does not hold; `return verdict();` ends main.
#pragma once
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed_checks;

#define CHECK(condition) \
  do { \
    if (!(condition)) { \
      failed_checks++; \
      fprintf(stderr, "%s:%d: %s (errno %d)\n", __FILE__, __LINE__, #condition, errno); \
    } \
  } while (0)

static inline int verdict(void) {
  if (failed_checks > 0) fprintf(stderr, "%d checks failed\n", failed_checks);
  return failed_checks > 0;
}
