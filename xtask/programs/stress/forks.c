// Forks beside threads that allocate, free and resize without a pause. Children check and free the parent's blocks, allocate,
// start a thread, fork again; some are made by vfork or posix_spawn. None may hang, and the parent may not grow.
// Arguments: how many forks, how many busy threads.
#include "stress.h"
#include <limits.h>
#include <spawn.h>
#include <stdatomic.h>
#include <sys/wait.h>

enum { HELD = 64, SECONDS = 60, MAPPINGS_MORE = 40 };

static atomic_int stop;
static struct filled held[HELD];
extern char **environ;

static void *busy(void *argument) {
  unsigned state = (unsigned)(size_t)argument * 31 + 7;
  struct filled blocks[32] = {{NULL, 0}};
  for (unsigned step = 0; !stop; step++) {
    struct filled *block = &blocks[next_random(&state) % 32];
    if (block->bytes != NULL) {
      CHECK(is_intact(*block));
      block->bytes = realloc(block->bytes, block->size + step % 100 + 1);
      free(block->bytes);
    }
    *block = filled(&state);
  }
  for (int i = 0; i < 32; i++) free(blocks[i].bytes);
  return NULL;
}

static int works(unsigned seed) {
  unsigned state = seed;
  struct filled blocks[40];
  int intact = 1;
  for (int i = 0; i < 40; i++) blocks[i] = filled(&state);
  for (int i = 0; i < 40; i++) {
    intact &= blocks[i].bytes != NULL && is_intact(blocks[i]);
    free(blocks[i].bytes);
  }
  return intact;
}

static void *thread_of_child(void *argument) { return works((unsigned)(size_t)argument) ? argument : NULL; }

static int thread_works(size_t seed) {
  pthread_t id;
  void *answer = NULL;
  if (pthread_create(&id, NULL, thread_of_child, (void *)seed) != 0) return 0;
  pthread_join(id, &answer);
  return answer == (void *)seed;
}

static int forks_again(unsigned number) {
  pid_t pid = fork();
  if (pid == 0) _exit(!works(number));
  int status = -1;
  waitpid(pid, &status, 0);
  return status == 0;
}

// Its exit code says what failed.
static int child(unsigned number) {
  alarm(SECONDS);
  if (!works(number)) return 2;
  for (int i = 0; i < HELD; i++) {
    if (!is_intact(held[i])) return 3;
    free(held[i].bytes);
  }
  if (number % 3 == 0 && !thread_works(number + 1)) return 4;
  if (number % 7 == 0 && !forks_again(number)) return 5;
  return works(number + 1) ? 0 : 6;
}

static pid_t start(unsigned number) {
  pid_t pid = -1;
  if (number % 16 == 5) {
    char *arguments[] = {"true", NULL};
    return posix_spawn(&pid, "/bin/true", NULL, NULL, arguments, environ) == 0 ? pid : -1;
  }
  if (number % 16 == 9) {
    pid = vfork();
    if (pid == 0) _exit(0);
    return pid;
  }
  pid = fork();
  if (pid == 0) _exit(child(number));
  return pid;
}

// What is there goes up and down with what the threads do at the moment. So the parent has grown if the least that it ever has in
// the last quarter of the forks is more than the most of the second; by then the threads hold what they ever hold.
static void compare(struct footprint *before, struct footprint *after, unsigned quarter) {
  struct footprint now = footprint();
  if (quarter == 1) {
    if (now.mappings > before->mappings) before->mappings = now.mappings;
    if (now.resident_kib > before->resident_kib) before->resident_kib = now.resident_kib;
  } else if (quarter == 3) {
    if (now.mappings < after->mappings) after->mappings = now.mappings;
    if (now.resident_kib < after->resident_kib) after->resident_kib = now.resident_kib;
  }
}

int main(int count, char **arguments) {
  unsigned forks = count > 1 ? (unsigned)atoi(arguments[1]) : 200;
  size_t threads = count > 2 ? (size_t)atoi(arguments[2]) : 3;
  unsigned state = 1;
  pthread_t ids[64];
  struct footprint before = {0, 0}, after = {LONG_MAX, LONG_MAX};
  for (size_t i = 0; i < threads; i++) CHECK(pthread_create(&ids[i], NULL, busy, (void *)i) == 0);
  for (unsigned number = 0; number < forks; number++) {
    compare(&before, &after, number * 4 / forks);
    for (int i = 0; i < HELD; i++) held[i] = filled(&state);
    pid_t pid = start(number);
    int status = -1;
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid);
    if (status != 0) {
      failed_checks++;
      fprintf(stderr, "child %u: %s %d\n", number, WIFSIGNALED(status) ? "signal" : "exit code",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    for (int i = 0; i < HELD; i++) {
      CHECK(is_intact(held[i]));
      free(held[i].bytes);
    }
  }
  stop = 1;
  for (size_t i = 0; i < threads; i++) pthread_join(ids[i], NULL);
  fprintf(stderr, "%u forks beside %zu threads: %ld -> %ld mappings, %ld -> %ld KiB\n", forks, threads, before.mappings,
          after.mappings, before.resident_kib, after.resident_kib);
  CHECK(after.mappings <= before.mappings + MAPPINGS_MORE);
  CHECK(after.resident_kib <= before.resident_kib + KIB_MORE);
  return verdict();
}
