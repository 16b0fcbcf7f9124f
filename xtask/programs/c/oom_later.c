// Out of memory under a limit on the address space that comes while the program runs. Memory that is already there is
// not lost, and allocation works again when the limit is lifted.
#include "oom.h"
#include <sys/resource.h>

static size_t address_space(void) {
  unsigned long pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%lu", &pages) != 1) CHECK(!"no /proc/self/statm");
  if (file != NULL) fclose(file);
  return pages * 4096;
}

static void limit_to(int resource, rlim_t bytes) {
  struct rlimit limit;
  getrlimit(resource, &limit);
  limit.rlim_cur = bytes;
  CHECK(setrlimit(resource, &limit) == 0);
}

// Grows to more than is reserved by now in steps that are kept, with the limit 200 MiB above what is mapped.
static struct block *fill_below(int resource, struct block *list) {
  size_t got = 0;
  limit_to(resource, address_space() + ((size_t)200 << 20));
  for (unsigned step = 0; got < (size_t)6 << 30; step++) {
    struct block *added = add_block(list, (size_t)20 << 20);
    if (added == NULL) break;
    got += (size_t)20 << 20;
    list = added;
  }
  CHECK(got > 0 && got < (size_t)6 << 30);
  return list;
}

static void trial(int resource) {
  struct block *list = fill_below(resource, NULL);
  check_all(list);
  list = release(list, EVERY_SECOND);
  void *again = malloc(10 << 20);
  CHECK(again != NULL);
  free(again);
  limit_to(resource, RLIM_INFINITY);
  void *bigger = malloc((size_t)2 << 30);
  CHECK(bigger != NULL);
  free(bigger);
  check_all(list);
  release(list, ALL);
}

int main(void) {
  free(malloc(100));
  trial(RLIMIT_AS);
  return verdict();
}
