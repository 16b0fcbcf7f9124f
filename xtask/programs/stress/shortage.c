// The real system refuses memory in the middle of everything: while blocks grow, heaps are made, threads start. Nothing that
// is allocated is damaged, nothing aborts, and when there is memory again all is as before.
// Argument: `maps` (no mapping more can be made: vm.max_map_count), `data` or `space` (RLIMIT_DATA, RLIMIT_AS).
#include "stress.h"
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/resource.h>

enum { BLOCKS = 400, HEAPS = 300, THREADS = 20, MOST_MAPPINGS = 1 << 20 };

static struct filled blocks[BLOCKS];
static struct rlimit saved;
static char *wall;
static size_t wall_pages;

// Alternating protections make one mapping of each page.
static void build_wall(void) {
  size_t page = 4096;
  wall = mmap(NULL, MOST_MAPPINGS * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(wall != MAP_FAILED);
  for (wall_pages = 0; wall_pages < MOST_MAPPINGS; wall_pages += 2)
    if (mprotect(wall + wall_pages * page, page, PROT_READ) != 0) return;
  CHECK(!"the system refuses no mapping");
}

static void tear_wall_down(void) { CHECK(munmap(wall, (size_t)MOST_MAPPINGS * 4096) == 0); }

// As much as there is now.
static void limit(int resource) {
  getrlimit(resource, &saved);
  long pages[7] = {0};
  FILE *statm = fopen("/proc/self/statm", "r");
  for (int i = 0; i < 7; i++) CHECK(fscanf(statm, "%ld", &pages[i]) == 1);
  fclose(statm);
  struct rlimit now = saved;
  now.rlim_cur = (rlim_t)pages[resource == RLIMIT_AS ? 0 : 5] * 4096 + (1 << 20);
  CHECK(setrlimit(resource, &now) == 0);
}

static void blocks_grow(void) {
  for (int i = 0; i < BLOCKS; i++) {
    errno = 0;
    size_t size = ((size_t)i % 20 + 1) << (i % 10 + 14);
    unsigned char *grown = realloc(blocks[i].bytes, size > blocks[i].size ? size : blocks[i].size);
    if (grown == NULL) CHECK(errno == ENOMEM);
    else blocks[i].bytes = grown;
    CHECK(is_intact(blocks[i]));
  }
  errno = 0;
  CHECK(realloc(blocks[0].bytes, (size_t)1 << 46) == NULL && errno == ENOMEM);
}

static void heaps_begin_and_end(void) {
  static void *heaps[HEAPS];
  void *(*heap_new)(void) = (void *(*)(void))dlsym(RTLD_DEFAULT, "mi_heap_new");
  void *(*heap_malloc)(void *, size_t) = (void *(*)(void *, size_t))dlsym(RTLD_DEFAULT, "mi_heap_malloc");
  void (*heap_destroy)(void *) = (void (*)(void *))dlsym(RTLD_DEFAULT, "mi_heap_destroy");
  CHECK(heap_new != NULL && heap_malloc != NULL && heap_destroy != NULL);
  for (int i = 0; i < HEAPS; i++) {
    heaps[i] = heap_new();
    unsigned char *block = heaps[i] == NULL ? NULL : heap_malloc(heaps[i], 100000);
    if (block != NULL) memset(block, i, 100000);
  }
  for (int i = 0; i < HEAPS; i++)
    if (heaps[i] != NULL) heap_destroy(heaps[i]);
}

static void *thread(void *argument) {
  unsigned state = (unsigned)(size_t)argument + 5;
  struct filled mine[50];
  for (int i = 0; i < 50; i++) mine[i] = filled(&state);
  for (int i = 0; i < 50; i++) {
    if (mine[i].bytes != NULL) CHECK(is_intact(mine[i]));
    free(mine[i].bytes);
  }
  return NULL;
}

// Whether all of them could be started.
static int threads_start(void) {
  pthread_t ids[THREADS];
  size_t started = 0;
  while (started < THREADS && pthread_create(&ids[started], NULL, thread, (void *)started) == 0) started++;
  for (size_t i = 0; i < started; i++) pthread_join(ids[i], NULL);
  return started == THREADS;
}

static void everything_is_as_before(void) {
  for (int i = 0; i < BLOCKS; i++) {
    CHECK(is_intact(blocks[i]));
    unsigned char *grown = realloc(blocks[i].bytes, blocks[i].size + 300000);
    CHECK(grown != NULL);
    blocks[i].bytes = grown;
    CHECK(is_intact(blocks[i]));
    free(grown);
  }
  heaps_begin_and_end();
  CHECK(threads_start());
  void *large = malloc((size_t)64 << 20);
  CHECK(large != NULL);
  free(large);
}

int main(int count, char **arguments) {
  const char *what = count > 1 ? arguments[1] : "maps";
  int resource = strcmp(what, "space") == 0 ? RLIMIT_AS : RLIMIT_DATA;
  unsigned state = 3;
  for (int i = 0; i < BLOCKS; i++) blocks[i] = filled(&state);
  if (strcmp(what, "maps") == 0) build_wall();
  else limit(resource);
  for (int round = 0; round < 3; round++) {
    blocks_grow();
    heaps_begin_and_end();
    threads_start();
  }
  if (strcmp(what, "maps") == 0) tear_wall_down();
  else CHECK(setrlimit(resource, &saved) == 0);
  everything_is_as_before();
  return verdict();
}
