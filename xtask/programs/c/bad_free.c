// Frees what was never allocated, and parts of what was. Nothing may crash or hang, and allocation goes on.
// Each case runs in a child process of its own, so that one failure doesn't hide another.
#define _GNU_SOURCE
#include "check.h"
#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char global[4096];
static const char constant[64] = "read-only";

// Blocks of many sizes, none of a size that a case disturbs (48, 20000, 300000): distinct, writable, intact.
static int allocation_works(void) {
  enum { COUNT = 600 };
  static unsigned char *blocks[COUNT];
  static size_t sizes[COUNT];
  for (int i = 0; i < COUNT; i++) {
    sizes[i] = 100 + (size_t)i * 27 + (i % 50 == 0 ? 700000 : 0);
    blocks[i] = malloc(sizes[i]);
    if (blocks[i] == NULL) return 0;
    memset(blocks[i], i & 255, sizes[i]);
  }
  for (int i = 0; i < COUNT; i++)
    for (size_t k = 0; k < sizes[i]; k += 97)
      if (blocks[i][k] != (i & 255)) return 0;
  for (int i = 0; i < COUNT; i++) free(blocks[i]);
  return 1;
}

static void free_null(void) { free(NULL); free(NULL); }
static void free_first_page(void) { free((void *)0x10); free((void *)0x1000); }
static void free_odd_number(void) { free((void *)1); free((void *)0x12345); }
static void free_wild(void) { free((void *)0xdeadbeef0); free((void *)0x7eeeeeeee000); }
static void free_non_canonical(void) { free((void *)0xdead000000000000); free((void *)0x800000000000); }
static void free_last_bytes(void) { free((void *)-1); free((void *)-16); free((void *)-4096); }
static void free_stack(void) { char local[256]; free(local + 64); free((void *)((uintptr_t)local | 15)); }
static void free_global(void) { free(global); free(global + 64); free(global + 7); }
static void free_constant(void) { free((void *)constant); }
static void free_code(void) { free((void *)(uintptr_t)&free_code); free((void *)(uintptr_t)&malloc); }
static void free_environment(void) { free(getenv("PATH")); }

static void free_mapped(void) {
  char *foreign = mmap(NULL, 1 << 22, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *slice = (char *)(((uintptr_t)foreign + 0xffff) & ~(uintptr_t)0xffff);
  free(foreign);
  free(foreign + 4096 + 32);
  free(slice);
  free(slice + 128);
}

static void free_brk(void) { char *old = sbrk(8192); free(old); free(old + 64); }

static void free_small_unaligned(void) { char *block = malloc(48); free(block + 1); }
static void free_small_interior(void) { char *block = malloc(48); free(block + 16); free(block + 8); }
static void free_medium_interior(void) { char *block = malloc(20000); free(block + 4096); free(block + 10001); }
static void free_large_interior(void) { char *block = malloc(300000); free(block + 131072); free(block + 65537); }
static void free_huge_interior(void) { char *block = malloc(40 << 20); free(block + (20 << 20)); free(block + 4097); }
static void free_past_huge_end(void) { char *block = malloc(5 << 20); free(block + malloc_usable_size(block) + 65536); }

static void realloc_foreign(void) {
  void *moved = realloc(global, 100);
  (void)moved;
}

static void usable_size_of_foreign(void) {
  volatile size_t sum = malloc_usable_size(NULL) + malloc_usable_size(global) + malloc_usable_size((void *)0xdeadbeef0);
  (void)sum;
}

static void free_twice_apart(void) {
  void *first = malloc(48), *second = malloc(48);
  free(first);
  free(second);
  free(first);
}

static void free_big_twice(void) {
  void *block = malloc(40 << 20);
  free(block);
  free(block);
}

struct trial {
  const char *name;
  void (*act)(void);
};

static const struct trial trials[] = {
    {"null", free_null},
    {"first page", free_first_page},
    {"odd number", free_odd_number},
    {"wild", free_wild},
    {"non-canonical", free_non_canonical},
    {"last bytes", free_last_bytes},
    {"stack", free_stack},
    {"global", free_global},
    {"constant", free_constant},
    {"code", free_code},
    {"environment", free_environment},
    {"mmap", free_mapped},
    {"brk", free_brk},
    {"small, unaligned", free_small_unaligned},
    {"small, interior", free_small_interior},
    {"medium, interior", free_medium_interior},
    {"large, interior", free_large_interior},
    {"huge, interior", free_huge_interior},
    {"past a huge block", free_past_huge_end},
    {"realloc of foreign memory", realloc_foreign},
    {"usable size of foreign memory", usable_size_of_foreign},
    {"twice, apart", free_twice_apart},
    {"big, twice", free_big_twice},
};

enum order { BEFORE_FIRST_MALLOC, AFTER_MALLOC };

// A case may run as the first thing that the library sees, or in a heap that is in use.
static int child(const struct trial *trial, enum order order) {
  alarm(20);
  if (order == AFTER_MALLOC && !allocation_works()) return 2;
  trial->act();
  return allocation_works() ? 0 : 3;
}

static void run(const struct trial *trial, enum order order) {
  pid_t pid = fork();
  if (pid == 0) _exit(child(trial, order));
  int status = 0;
  waitpid(pid, &status, 0);
  if (status != 0) {
    failed_checks++;
    fprintf(stderr, "%s (%s): ", trial->name, order == AFTER_MALLOC ? "heap in use" : "first call");
    if (WIFSIGNALED(status)) fprintf(stderr, "signal %d\n", WTERMSIG(status));
    else fprintf(stderr, "allocation %s\n", WEXITSTATUS(status) == 2 ? "fails before" : "is broken afterwards");
  }
}

int main(void) {
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    run(&trials[i], BEFORE_FIRST_MALLOC);
    run(&trials[i], AFTER_MALLOC);
  }
  return verdict();
}
