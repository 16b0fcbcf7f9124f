// Threads that come and go, some leaving blocks behind, some allocating in destructors of thread-local values. Neither the
// number of mappings nor the resident set may grow with the number of threads that there were.
// Arguments: how many threads in all, how many at once.
#include "stress.h"

enum { MAPPINGS_MORE = 40 };

static pthread_key_t key;
static struct filled left_behind[4096];

// Allocates, and the first two times sees to being called again.
static void destructor(void *value) {
  unsigned char *count = value;
  void *more = malloc(100 + *count);
  CHECK(more != NULL);
  free(more);
  if (++*count < 3) pthread_setspecific(key, count);
  else free(count);
}

static void *live(void *argument) {
  size_t number = (size_t)argument;
  unsigned state = (unsigned)number * 7919 + 1;
  unsigned char *count = malloc(1);
  *count = 0;
  pthread_setspecific(key, count);
  struct filled blocks[12];
  for (int i = 0; i < 12; i++) blocks[i] = filled(&state);
  for (int i = 1; i < 12; i++) {
    CHECK(is_intact(blocks[i]));
    free(blocks[i].bytes);
  }
  left_behind[number] = blocks[0];
  return NULL;
}

static void generation(size_t at_once) {
  static pthread_t ids[4096];
  pthread_attr_t small_stack;
  pthread_attr_init(&small_stack);
  pthread_attr_setstacksize(&small_stack, 64 << 10);
  for (size_t i = 0; i < at_once; i++) CHECK(pthread_create(&ids[i], &small_stack, live, (void *)i) == 0);
  for (size_t i = 0; i < at_once; i++) pthread_join(ids[i], NULL);
  for (size_t i = 0; i < at_once; i++) {
    CHECK(is_intact(left_behind[i]));
    free(left_behind[i].bytes);
  }
}

int main(int count, char **arguments) {
  size_t threads = count > 1 ? (size_t)atol(arguments[1]) : 1000, at_once = count > 2 ? (size_t)atol(arguments[2]) : 8;
  if (at_once > 4096) return 2;
  pthread_key_create(&key, destructor);
  size_t generations = threads / at_once, warm = generations / 10 + 1;
  struct footprint before = {0, 0};
  for (size_t i = 0; i < generations + warm; i++) {
    if (i == warm) before = footprint();
    generation(at_once);
  }
  struct footprint after = footprint();
  fprintf(stderr, "%zu threads, %zu at once: %ld -> %ld mappings, %ld -> %ld KiB\n", generations * at_once, at_once,
          before.mappings, after.mappings, before.resident_kib, after.resident_kib);
  // How many threads really live at once differs from one generation to the next, and stacks are mappings.
  CHECK(after.mappings <= before.mappings + MAPPINGS_MORE + (long)at_once / 20);
  CHECK(after.resident_kib <= before.resident_kib + KIB_MORE);
  return verdict();
}
