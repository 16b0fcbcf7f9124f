// A heap of 64 MiB of which one block in 2 MiB is kept. What the kernel may fill up with huge pages then (khugepaged does so
// with every advised mapping in which something is left), and what is resident.
#include "figures.h"
#include <stdint.h>

#define BLOCKS (64 << 10)
#define BLOCK_BYTES 1024

static char *blocks[BLOCKS];

// Mappings that are advised to be huge pages.
static long advised_kib(void) {
  FILE *smaps = fopen("/proc/self/smaps", "r");
  char line[512];
  long size = 0, sum = 0;
  while (fgets(line, sizeof line, smaps) != NULL) {
    if (strncmp(line, "Size:", 5) == 0) size = atol(line + 5);
    if (strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " hg") != NULL) sum += size;
  }
  fclose(smaps);
  return sum;
}

int main(void) {
  for (int i = 0; i < BLOCKS; i++) blocks[i] = memset(malloc(BLOCK_BYTES), 1, BLOCK_BYTES);
  uintptr_t kept = 0;
  for (int i = 0; i < BLOCKS; i++) {
    uintptr_t unit = (uintptr_t)blocks[i] >> 21;
    if (unit != kept) kept = unit;
    else free(blocks[i]);
  }
  // Calls of the allocator purge what has been free for a second.
  double end = now_seconds() + 1.5;
  while (now_seconds() < end) free(malloc(600000));
  printf("sparse_rss_mib %.1f\n", rss_kib() / 1024.0);
  printf("sparse_advised_mib %.1f\n", advised_kib() / 1024.0);
  return 0;
}
