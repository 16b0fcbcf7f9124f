// Reading the own memory figures without allocating, and a clock.
#pragma once
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// A field "Name:   123 kB" of a file in /proc/self.
static inline long field_kib(const char *file, const char *name) {
  char text[8192];
  int descriptor = open(file, O_RDONLY);
  ssize_t length = read(descriptor, text, sizeof text - 1);
  close(descriptor);
  text[length > 0 ? length : 0] = 0;
  char *line = strstr(text, name);
  return line == NULL ? -1 : atol(line + strlen(name));
}

// Exact: `VmRSS` in `status` lags behind by up to a few hundred KiB.
static inline long rss_kib(void) { return field_kib("/proc/self/smaps_rollup", "\nRss:"); }
// What is the process's own: not file contents that are mapped only because they are in the page cache.
static inline long anonymous_kib(void) { return field_kib("/proc/self/smaps_rollup", "\nAnonymous:"); }
static inline long peak_rss_kib(void) { return field_kib("/proc/self/status", "\nVmHWM:"); }

static inline double now_seconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec + time.tv_nsec * 1e-9;
}
