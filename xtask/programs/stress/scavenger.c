// The scavenger is started and stopped while threads allocate and free big blocks, processes fork, signals arrive, and
// children end. Arguments: how many rounds, how many busy threads.
#include "stress.h"
#include <dlfcn.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>

static bool (*start_scavenger)(void);
static bool (*step)(void);
static void (*stop_scavenger)(void);

static volatile sig_atomic_t signals, signals_elsewhere;
static int is_over;

// The scavenger has no business with signals.
static void on_signal(int number) {
  (void)number;
  char name[16] = "";
  pthread_getname_np(pthread_self(), name, sizeof name);
  signals++;
  if (strcmp(name, "ferri-scavenger") == 0) signals_elsewhere++;
}

static void *busy(void *argument) {
  unsigned state = (unsigned)(size_t)argument;
  enum { LIVE = 24 };
  char *blocks[LIVE] = {NULL};
  while (!__atomic_load_n(&is_over, __ATOMIC_RELAXED)) {
    unsigned index = next_random(&state) % LIVE;
    free(blocks[index]);
    size_t size = (size_t)1 << (12 + next_random(&state) % 11);
    blocks[index] = malloc(size);
    for (size_t at = 0; at < size; at += 4096) blocks[index][at] = (char)index;
    for (size_t at = 0; at < size; at += 4096) CHECK(blocks[index][at] == (char)index);
  }
  for (int i = 0; i < LIVE; i++) free(blocks[i]);
  return NULL;
}

// By number: at once, after work, or with a scavenger of its own; by exit or _exit.
static void live(int number) {
  alarm(60);
  unsigned state = (unsigned)number;
  if (number % 3 > 0)
    for (int i = 0; i < 200; i++) free(memset(malloc(random_size(&state) * 16), 1, 16));
  if (number % 3 > 1) CHECK(start_scavenger());
  if (number % 2 == 0) _exit(failed_checks > 0);
  exit(failed_checks > 0);
}

int main(int count, char **arguments) {
  int rounds = count > 1 ? atoi(arguments[1]) : 100;
  size_t threads = count > 2 ? (size_t)atoi(arguments[2]) : 3;
  start_scavenger = (bool (*)(void))dlsym(RTLD_DEFAULT, "mi_scavenger_start");
  stop_scavenger = (void (*)(void))dlsym(RTLD_DEFAULT, "mi_scavenger_stop");
  step = (bool (*)(void))dlsym(RTLD_DEFAULT, "mi_scavenger_step");
  CHECK(start_scavenger != NULL && stop_scavenger != NULL && step != NULL);
  if (failed_checks > 0) return verdict();
  signal(SIGUSR1, on_signal);
  pthread_t ids[64];
  if (threads > 64) threads = 64;
  for (size_t i = 0; i < threads; i++) pthread_create(&ids[i], NULL, busy, (void *)(i + 1));
  for (int round = 0; round < rounds; round++) {
    CHECK(start_scavenger());
    kill(getpid(), SIGUSR1);
    pid_t pid = fork();
    if (pid == 0) live(round);
    step();
    if (round % 2 == 0) stop_scavenger();
    int status = -1;
    waitpid(pid, &status, 0);
    CHECK(status == 0);
  }
  __atomic_store_n(&is_over, 1, __ATOMIC_RELAXED);
  for (size_t i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  CHECK(signals > 0 && signals_elsewhere == 0);
  return verdict();
}
