// Threads that allocate large blocks in a burst, free nearly all, and go to sleep without a word; and the same, but another thread frees.
// What is left, beside what is live. And a ring of 64 large blocks: how often it touches memory again that it had touched.
#include "figures.h"
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 4, BYTES = 12 << 20, KEPT_IN = 48, LARGEST = 512, MOST = BYTES >> 15, RING = 64, ROUNDS = 20000 };

static char *blocks[THREADS][MOST];
static pthread_barrier_t steps;

// One in KEPT_IN is kept.
static void free_most(char **all, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (i % KEPT_IN != 0) free(all[i]), all[i] = NULL;
}

struct work {
  size_t number;
  int frees;
};

static void *sleeper(void *argument) {
  struct work *work = argument;
  char **all = blocks[work->number];
  // 32, 64, 128, 256 KiB, each thread another.
  size_t bytes = (size_t)32 << 10 << work->number;
  for (size_t i = 0; i < BYTES / bytes; i++) all[i] = memset(malloc(bytes), 1, bytes);
  pthread_barrier_wait(&steps);
  if (work->frees) free_most(all, BYTES / bytes);
  pthread_barrier_wait(&steps);
  pthread_barrier_wait(&steps);
  for (size_t i = 0; i < BYTES / bytes; i++) free(all[i]), all[i] = NULL;
  return NULL;
}

static void left_asleep(const char *name, int sleepers_free) {
  pthread_t threads[THREADS];
  struct work works[THREADS];
  long before = rss_kib();
  for (size_t i = 0; i < THREADS; i++) {
    works[i] = (struct work){i, sleepers_free};
    if (pthread_create(&threads[i], NULL, sleeper, &works[i]) != 0) exit(2);
  }
  pthread_barrier_wait(&steps);
  for (size_t i = 0; !sleepers_free && i < THREADS; i++) free_most(blocks[i], BYTES >> (15 + i));
  pthread_barrier_wait(&steps);
  printf("%s_kib %ld\n", name, rss_kib() - before);
  pthread_barrier_wait(&steps);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
}

static void *ring(void *argument) {
  static char *live[RING];
  struct rusage usage;
  for (size_t i = 0; i < ROUNDS; i++) {
    if (i == ROUNDS / 10) {
      getrusage(RUSAGE_SELF, &usage);
      *(long *)argument = -usage.ru_minflt;
    }
    for (size_t j = 0; j < RING; j++) live[j] = malloc(32 << 10), live[j][i % 8 * 4096] = 1;
    for (size_t j = 0; j < RING; j++) free(live[j]);
  }
  getrusage(RUSAGE_SELF, &usage);
  *(long *)argument += usage.ru_minflt;
  return NULL;
}

// In processes of their own: what a process has wanted again once stays later.
static void in_child(const char *name, int sleepers_free) {
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    left_asleep(name, sleepers_free);
    exit(0);
  }
  int status;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) exit(2);
}

int main(void) {
  pthread_barrier_init(&steps, NULL, THREADS + 1);
  in_child("left_by_sleepers", 1);
  in_child("left_of_sleepers", 0);
  long faults;
  pthread_t thread;
  if (pthread_create(&thread, NULL, ring, &faults) != 0) return 2;
  pthread_join(thread, NULL);
  printf("ring_faults %ld\n", faults);
  return 0;
}
