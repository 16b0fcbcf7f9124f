// Source: POSIX, pthread_exit(3): "the process exits with an exit status of 0 after the last thread has been terminated"; CPython's
// tests, whose children of fork end so. Right: also if the allocator has a thread of its own by then, the process ends when
// the program's last thread does, whichever that is, and exit handlers run in that thread.
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 3, BLOCKS = 150, BLOCK_BYTES = 100000, ROUNDS = 4, WAIT_MILLIS = 20000 };

static sem_t all_busy, go_on;
static _Thread_local int is_ours;
static int *ended_by_ours;

static void at_end(void) { *ended_by_ours = is_ours; }

static void sleep_millis(int millis) { nanosleep(&(struct timespec){millis / 1000, millis % 1000 * 1000000L}, NULL); }

// Leaves enough unused that somebody should give it back, and comes by often enough to see to that.
static void burst(void) {
  static _Thread_local char *blocks[BLOCKS];
  for (int round = 0; round < ROUNDS; round++) {
    for (int i = 0; i < BLOCKS; i++) memset(blocks[i] = malloc(BLOCK_BYTES), 1, BLOCK_BYTES);
    for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  }
}

static void *work(void *number) {
  is_ours = 1;
  burst();
  sem_post(&all_busy);
  sem_wait(&go_on);
  burst();
  sleep_millis((int)(long)number * 30);
  free(malloc(10));
  return NULL;
}

// The main thread goes first, in the middle, or last.
static void live(int main_millis) {
  is_ours = 1;
  sem_init(&all_busy, 0, 0);
  sem_init(&go_on, 0, 0);
  atexit(at_end);
  for (long i = 0; i < THREADS; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void *)i) != 0) exit(3);
    pthread_detach(thread);
  }
  for (int i = 0; i < THREADS; i++) sem_wait(&all_busy);
  burst();
  for (int i = 0; i < THREADS; i++) sem_post(&go_on);
  sleep_millis(main_millis);
  pthread_exit(NULL);
}

static int ends(pid_t child) {
  int status;
  for (int waited = 0; waited < WAIT_MILLIS; waited += 10) {
    if (waitpid(child, &status, WNOHANG) == child) {
      if (status == 0 && *ended_by_ours) return 1;
      printf("FAIL status %#x, handlers run by %s\n", status, *ended_by_ours ? "the program's thread" : "none of ours");
      return 0;
    }
    sleep_millis(10);
  }
  printf("FAIL the process does not end\n");
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  return 0;
}

int main(void) {
  ended_by_ours = mmap(NULL, sizeof *ended_by_ours, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  setbuf(stdout, NULL);
  static const int main_millis[] = {0, 0, 45, 45, 150, 150};
  for (int i = 0; i < 6; i++) {
    *ended_by_ours = 0;
    pid_t child = fork();
    if (child == 0) live(main_millis[i]);
    if (!ends(child)) return 1;
  }
  return 0;
}
