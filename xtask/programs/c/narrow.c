// With addresses of 32 bits: a process gets two of the four GiB whatever sizes it wants, one after the other, and mixed.
#include "check.h"

#define MIB ((size_t)1 << 20)
enum { MOST = 200000, WANTED_MIB = 2048 };
static void *blocks[MOST];

// Blocks of these sizes in turn until there are no more, or enough: bytes. (They are hardly touched.)
static size_t fill_and_free(const size_t *sizes, int kinds) {
  size_t bytes = 0;
  int count = 0;
  while (count < MOST && bytes < WANTED_MIB * MIB) {
    size_t size = sizes[count % kinds];
    char *block = malloc(size);
    if (block == NULL) break;
    block[0] = 1, block[size - 1] = 1;
    blocks[count++] = block, bytes += size;
  }
  for (int i = 0; i < count; i++) free(blocks[i]);
  return bytes;
}

int main(void) {
  static const size_t sizes[] = {16000, 100000, 1000000, 3 * MIB, 64 * MIB};
  enum { KINDS = sizeof sizes / sizeof *sizes };
  for (int i = 0; i < KINDS; i++) CHECK(fill_and_free(&sizes[i], 1) >= WANTED_MIB * MIB);
  CHECK(fill_and_free(sizes, KINDS) >= WANTED_MIB * MIB);
  CHECK(fill_and_free(sizes, KINDS - 1) >= WANTED_MIB * MIB);
  return verdict();
}
