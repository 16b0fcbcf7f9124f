/* A program of which is known what it allocates where. With the argument `api` it profiles itself, and with `fork` a child goes
 * on. Prints a line per failed check. */
#include <mimalloc-profile.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(what) ((what) ? (void)0 : (void)(printf("%s: failed\n", #what), failed = 1))
#define SITE __attribute__((noinline, noclone))

enum { SMALL_BLOCKS = 60000, SMALL = 112, LARGE_BLOCKS = 40, LARGE = 1 << 20, PASSING_BLOCKS = 60000, PASSING = 512 };

static int failed;
static void* volatile held[SMALL_BLOCKS + LARGE_BLOCKS];

/* The stores keep the calls from being jumps. */
SITE static void site_of_small(void* volatile* place) { *place = malloc(SMALL); }
SITE static void site_of_large(void* volatile* place) { *place = malloc(LARGE); }
SITE static void site_of_passing(void* volatile* place) { *place = calloc(1, PASSING); }

SITE static void* work(void* unused) {
  for (int i = 0; i < SMALL_BLOCKS; i++) site_of_small(&held[i]);
  for (int i = 0; i < LARGE_BLOCKS; i++) site_of_large(&held[SMALL_BLOCKS + i]);
  for (int i = 0; i < PASSING_BLOCKS; i++) {
    void* volatile passing;
    site_of_passing(&passing);
    free(passing);
  }
  return unused;
}

static void in_a_thread(void) {
  pthread_t thread;
  CHECK(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

static void by_ourselves(const char* name) {
  mi_profiler_t* profiler = mi_pprof_profiler_new(32 << 10, name, 0, 0, 0);
  mi_profiler_t* other = mi_pprof_profiler_new(0, NULL, 0, 0, 0);
  mi_profiler_t users = {0};
  CHECK(profiler != NULL && other != NULL && other != profiler);
  CHECK(!mi_profiler_start(profiler) && !mi_profiler_stop(profiler)); /* not attached */
  CHECK(!mi_profile(&users));
  CHECK(mi_profile(profiler) && mi_profile(profiler) && !mi_profile(other));
  mi_heap_t* heap = mi_heap_new();
  mi_heap_profile_disable(heap);
  CHECK(!mi_heap_profile(heap, other));
  CHECK(!mi_profiler_start(profiler) && mi_profiler_start(profiler));
  in_a_thread();
  for (int i = 0; i < 10000; i++) mi_heap_malloc(heap, 1000);
  mi_profiler_snapshot(profiler);
  CHECK(mi_profiler_stop(profiler) && !mi_profiler_stop(profiler));
  CHECK(mi_profile(NULL));
  mi_pprof_profiler_delete(profiler);
  mi_pprof_profiler_delete(other);
  mi_pprof_profiler_delete(NULL);
}

static void in_a_child(void) {
  in_a_thread();
  pid_t child = fork();
  if (child == 0) {
    for (int i = 0; i < SMALL_BLOCKS; i++) free(held[i]);
    exit(0);
  }
  int status = 1;
  CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int count, char** arguments) {
  if (count > 2 && strcmp(arguments[1], "api") == 0) by_ourselves(arguments[2]);
  else if (count > 1 && strcmp(arguments[1], "fork") == 0) in_a_child();
  else in_a_thread();
  return failed;
}
