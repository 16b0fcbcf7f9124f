// 250 MiB of blocks of several sizes, freed in the order of allocation or in none: what stays resident, in the worst case,
// though the program calls the allocator no more. Each case has a process of its own: who frees and allocates in turns may
// keep more (the credit of `arena/purge.rs`).
#include "figures.h"
#include <sys/mman.h>
#include <sys/wait.h>

#define LIVE ((size_t)250 << 20)

static size_t random_below(size_t bound) {
  static unsigned long long state = 88172645463325252ull;
  state ^= state << 13, state ^= state >> 7, state ^= state << 17;
  return state % bound;
}

static void shuffle(char **blocks, size_t count) {
  for (size_t i = count - 1; i > 0; i--) {
    size_t other = random_below(i + 1);
    char *block = blocks[i];
    blocks[i] = blocks[other], blocks[other] = block;
  }
}

// How much the resident set has grown when all is freed.
static long left_kib(size_t size, int in_order) {
  long before = rss_kib();
  size_t count = LIVE / size;
  char **blocks = malloc(count * sizeof *blocks);
  for (size_t i = 0; i < count; i++) blocks[i] = memset(malloc(size), 1, size);
  if (!in_order) shuffle(blocks, count);
  for (size_t i = 0; i < count; i++) free(blocks[i]);
  free(blocks);
  return rss_kib() - before;
}

static int run_case(size_t size, int in_order, long *most) {
  int status = 1;
  pid_t child = fork();
  if (child == 0) {
    long left = left_kib(size, in_order);
    if (left > *most) *most = left;
    _exit(0);
  }
  return waitpid(child, &status, 0) == child && status == 0;
}

int main(void) {
  static const size_t sizes[] = {32, 256, 2000, 20000, 300000};
  long *most = mmap(NULL, sizeof *most, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (!run_case(sizes[i], 1, most) || !run_case(sizes[i], 0, most)) return 1;
  printf("left_of_250_mib_kib %ld\n", *most);
  return 0;
}
