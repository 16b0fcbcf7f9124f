// A process whose control group may have so much memory and no more: who asks for too much is killed by the kernel, malloc never
// fails. So what is free must be used again for whatever is wanted next, by any thread and for any size, before more is
// taken from the system.
// Arguments: the group's file of processes, MiB that the group may have, `within` or `over`. The program enters the group and
// executes itself there, as a container's first program is started: the allocator asks for the limit at its start.
#include "stress.h"
#include <sys/mman.h>

enum { THREADS = 3, ROUNDS = 3 };

static size_t limit_bytes;

struct share {
  size_t block_bytes, total_bytes;
  struct filled *blocks;
  size_t count;
};

static void *fill(void *argument) {
  struct share *share = argument;
  share->count = share->total_bytes / share->block_bytes;
  // Not from the allocator: its own books are not what is measured.
  share->blocks = mmap(NULL, share->count * sizeof *share->blocks, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(share->blocks != MAP_FAILED);
  for (size_t i = 0; i < share->count; i++) {
    struct filled block = {malloc(share->block_bytes), share->block_bytes};
    CHECK(block.bytes != NULL);
    memset(block.bytes, (int)(block.size & 255), block.size);
    share->blocks[i] = block;
  }
  return NULL;
}

static void *empty(void *argument) {
  struct share *share = argument;
  for (size_t i = 0; i < share->count; i++) {
    CHECK(is_intact(share->blocks[i]));
    free(share->blocks[i].bytes);
  }
  munmap(share->blocks, share->count * sizeof *share->blocks);
  return NULL;
}

static void on_each(void *(*work)(void *), struct share *shares) {
  pthread_t ids[THREADS];
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&ids[i], NULL, work, &shares[i]) == 0);
  for (int i = 0; i < THREADS; i++) pthread_join(ids[i], NULL);
}

// Half of the limit in blocks of one size, then of the next, each by threads that end.
static void sizes_change(void) {
  static const size_t sizes[] = {100, 5000000, 1000, 70000, 24, 600000, 9000};
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
    struct share shares[THREADS];
    // The list of 24-byte blocks is two thirds as large as they are.
    size_t bytes = limit_bytes / 2 / THREADS * sizes[k] / (sizes[k] + sizeof(struct filled));
    for (int i = 0; i < THREADS; i++) shares[i] = (struct share){sizes[k], bytes, NULL, 0};
    on_each(fill, shares);
    on_each(empty, shares);
  }
}

// To half of the limit, from a little.
static void a_block_grows(void) {
  size_t size = 1 << 20;
  unsigned char *block = malloc(size);
  memset(block, 7, size);
  while (size < limit_bytes / 2) {
    size_t larger = size + size / 4;
    block = realloc(block, larger);
    CHECK(block != NULL && block[size - 1] == 7);
    memset(block + size, 7, larger - size);
    size = larger;
  }
  free(block);
}

static void ask_for_too_much(void) {
  for (size_t bytes = 0; bytes < 2 * limit_bytes; bytes += 1 << 20) memset(malloc(1 << 20), 1, 1 << 20);
  puts("twice the limit was to be had");
}

static void enter(const char *processes) {
  FILE *file = fopen(processes, "w");
  CHECK(file != NULL && fprintf(file, "%d", (int)getpid()) > 0);
  CHECK(file != NULL && fclose(file) == 0);
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  if (*arguments[1] != 0) {
    enter(arguments[1]);
    execl("/proc/self/exe", arguments[0], "", arguments[2], arguments[3], (char *)NULL);
    return 2;
  }
  limit_bytes = strtoul(arguments[2], NULL, 10) << 20;
  if (strcmp(arguments[3], "over") == 0) ask_for_too_much();
  else
    for (int round = 0; round < ROUNDS; round++) {
      sizes_change();
      a_block_grows();
    }
  return verdict();
}
