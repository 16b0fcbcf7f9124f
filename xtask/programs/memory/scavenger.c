// Threads that free much and then wait, without another call: the scavenger gives it back, also in a child of fork, which
// makes one of its own. A process with one thread has none. And big blocks of which one byte is touched.
#include "figures.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define THREADS 4
enum { BLOCKS = 150000, BLOCK_BYTES = 400, ROUNDS = 4 };

static pthread_barrier_t freed, measured;

static void burst(void) {
  char **blocks = malloc(BLOCKS * sizeof *blocks);
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BLOCKS; i++) blocks[i] = memset(malloc(BLOCK_BYTES), 1, BLOCK_BYTES);
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  }
  free(blocks);
}

static void *burst_and_wait(void *argument) {
  burst();
  pthread_barrier_wait(&freed);
  pthread_barrier_wait(&measured);
  return argument;
}

static long left_beside_threads(void) {
  pthread_t threads[THREADS];
  pthread_barrier_init(&freed, NULL, THREADS + 1);
  pthread_barrier_init(&measured, NULL, THREADS + 1);
  for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, burst_and_wait, NULL);
  pthread_barrier_wait(&freed);
  usleep(2500000);
  long left = rss_kib();
  pthread_barrier_wait(&measured);
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  return left;
}

// Blocks of 0.6 to 3.6 MiB, and a byte of each.
static long sparse_blocks(void) {
  enum { COUNT = 2000 };
  long before = rss_kib();
  unsigned long long state = 88172645463325252ull;
  for (int i = 0; i < COUNT; i++) {
    state = state * 6364136223846793005ull + 1;
    char *block = malloc(600 * 1024 + (state >> 33) % (3 << 20));
    if (block == NULL) exit(2);
    *block = 1;
  }
  return rss_kib() - before;
}

static long in_child(long (*measure)(void)) {
  long *value = mmap(NULL, sizeof *value, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  int status = 1;
  pid_t child = fork();
  if (child == 0) {
    *value = measure();
    _exit(0);
  }
  if (waitpid(child, &status, 0) != child || status != 0) exit(1);
  return *value;
}

int main(int count, char **arguments) {
  if (count == 1 && getenv("MIMALLOC_SCAVENGE") == NULL) {
    setenv("MIMALLOC_SCAVENGE", "auto", 1);
    execv("/proc/self/exe", arguments);
  }
  burst();
  printf("threads_of_one %ld\n", field_kib("/proc/self/status", "\nThreads:"));
  printf("big_sparse_kib %ld\n", in_child(sparse_blocks));
  printf("left_beside_threads_kib %ld\n", left_beside_threads());
  printf("left_in_a_child_kib %ld\n", in_child(left_beside_threads));
  return 0;
}
