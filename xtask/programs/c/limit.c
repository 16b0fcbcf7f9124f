// A process with MIMALLOC_LIMIT never has more than that committed, gets nearly all of it whatever sizes it wants, and goes on
// when it has been refused: ENOMEM and null, in all threads and in children. Then the calls for limits.
#define _GNU_SOURCE
#include "check.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#define MIB ((size_t)1 << 20)
enum { LIMIT_MIB = 64 };

static size_t (*charged)(void), (*limit)(void), (*heap_charged)(void *), (*heap_limit)(void *);
static void (*set_limit)(size_t), (*heap_set_limit)(void *, size_t);
static void (*on_limit)(bool (*)(void *, size_t, void *), void *);
static void *(*heap_new)(void), *(*heap_malloc)(void *, size_t);
static void (*heap_destroy)(void *);

static void find(void *function, const char *name) {
  *(void **)function = dlsym(RTLD_DEFAULT, name);
  CHECK(*(void **)function != NULL);
}

static size_t resident_kib(void) {
  long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &size, &resident) != 2) CHECK(!"statm");
  if (file != NULL) fclose(file);
  return (size_t)resident * 4;
}

// As many blocks as there are, touched and then freed: bytes.
static size_t fill_and_free(size_t size) {
  void **first = NULL;
  size_t bytes = 0;
  for (;;) {
    errno = 0;
    void **block = malloc(size);
    if (block == NULL) break;
    memset(block, 1, size);
    *block = first, first = block, bytes += size;
  }
  CHECK(errno == ENOMEM);
  while (first != NULL) {
    void *next = *first;
    free(first), first = next;
  }
  return bytes;
}

static const size_t sizes[] = {32, 500, 3000, 30000, 100000, 700000, 5 * MIB};
enum { SIZES = sizeof sizes / sizeof *sizes };

static void fill_with_each_size(void) {
  size_t before = resident_kib();
  for (int i = 0; i < SIZES; i++) {
    size_t bytes = fill_and_free(sizes[i]);
    CHECK(bytes > (LIMIT_MIB * 3 / 4) * MIB && bytes < LIMIT_MIB * MIB);
    CHECK(charged() <= limit());
    CHECK(resident_kib() < before + (LIMIT_MIB + 4) * 1024);
  }
}

static void *many_blocks(void *seed) {
  unsigned long long state = 88172645463325252ull + (size_t)seed;
  enum { COUNT = 3000 };
  char **blocks = calloc(COUNT, sizeof *blocks);
  size_t refused = 0;
  for (int step = 0; blocks != NULL && step < 60000; step++) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    char **place = &blocks[state % COUNT];
    size_t size = sizes[state / COUNT % (SIZES - 1)];
    free(*place);
    *place = malloc(size);
    refused += *place == NULL;
    if (*place != NULL) **place = 1;
  }
  for (int i = 0; blocks != NULL && i < COUNT; i++) free(blocks[i]);
  free(blocks);
  return (void *)refused;
}

static void threads(void) {
  pthread_t team[4];
  size_t refused = 0;
  for (size_t i = 0; i < 4; i++) CHECK(pthread_create(&team[i], NULL, many_blocks, (void *)(i * 7919)) == 0);
  for (int i = 0; i < 4; i++) {
    void *count = NULL;
    pthread_join(team[i], &count);
    refused += (size_t)count;
  }
  CHECK(refused > 0);
  CHECK(charged() <= limit());
}

static void child(void) {
  int status = 1;
  pid_t pid = fork();
  if (pid == 0) {
    fill_with_each_size();
    _exit(failed_checks > 0);
  }
  CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static int asked;

static bool raise_limit(void *heap, size_t size, void *arg) {
  CHECK(heap == NULL && arg == &asked);
  asked++;
  if (limit() > 100 * MIB) return false;
  set_limit(limit() + size);
  return true;
}

static void calls(void) {
  CHECK(limit() == LIMIT_MIB * MIB);
  on_limit(raise_limit, &asked);
  void *large = malloc(80 * MIB);
  CHECK(large != NULL && asked == 1 && limit() == (LIMIT_MIB + 80) * MIB);
  CHECK(malloc(80 * MIB) == NULL && asked == 2);
  on_limit(NULL, NULL);
  CHECK(malloc(80 * MIB) == NULL && asked == 2);
  set_limit(0);
  CHECK(limit() == 0);
  void *other = malloc(80 * MIB);
  CHECK(other != NULL && charged() > 160 * MIB);
  free(other), free(large);

  void *heap = heap_new();
  heap_set_limit(heap, 3 * MIB + 1);
  CHECK(heap_limit(heap) == 3 * MIB && heap_charged(heap) == 0 && heap_limit(NULL) == 0);
  CHECK(heap_malloc(heap, 2 * MIB) != NULL && heap_malloc(heap, 2 * MIB) == NULL && errno == ENOMEM);
  CHECK(heap_charged(heap) == 2 * MIB && heap_malloc(heap, 100) != NULL);
  heap_destroy(heap);
}

int main(int count, char **arguments) {
  (void)count;
  if (getenv("MIMALLOC_LIMIT") == NULL) {
    setenv("MIMALLOC_LIMIT", "64MiB", 1);
    execv("/proc/self/exe", arguments);
    return 2;
  }
  find(&charged, "mi_process_charged"), find(&limit, "mi_process_limit"), find(&set_limit, "mi_process_set_limit");
  find(&on_limit, "mi_register_limit"), find(&heap_new, "mi_heap_new"), find(&heap_malloc, "mi_heap_malloc");
  find(&heap_destroy, "mi_heap_destroy"), find(&heap_set_limit, "mi_heap_set_limit");
  find(&heap_limit, "mi_heap_limit"), find(&heap_charged, "mi_heap_charged");
  if (failed_checks > 0) return verdict();
  fill_with_each_size();
  child();
  threads();
  fill_with_each_size();
  calls();
  return verdict();
}
