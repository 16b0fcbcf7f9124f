// Damages memory in ways that the default mode doesn't detect. What docs/SECURITY.md promises is that the damage stays with the
// blocks of that page: the process goes on, and blocks of other sizes are distinct, intact and can be had. Each case runs in a
// child process, which uses the damaged size no more, or a little.
#define _GNU_SOURCE
#include "check.h"
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DAMAGED = 48, BLOCKS = 64 };

// Blocks of many sizes, none of the damaged class: distinct, writable, intact.
static int others_work(void) {
  enum { COUNT = 400 };
  static unsigned char *blocks[COUNT];
  static size_t sizes[COUNT];
  for (int i = 0; i < COUNT; i++) {
    sizes[i] = 100 + (size_t)i * 37 + (i % 50 == 0 ? 700000 : 0);
    blocks[i] = malloc(sizes[i]);
    if (blocks[i] == NULL) return 0;
    memset(blocks[i], i & 255, sizes[i]);
  }
  for (int i = 0; i < COUNT; i++)
    for (size_t k = 0; k < sizes[i]; k++)
      if (blocks[i][k] != (i & 255)) return 0;
  for (int i = 0; i < COUNT; i++) free(blocks[i]);
  return 1;
}

static void *others_work_elsewhere(void *unused) { (void)unused; return others_work() ? &others_work_elsewhere : NULL; }

static int another_thread_works(void) {
  pthread_t thread;
  void *answer = NULL;
  if (pthread_create(&thread, NULL, others_work_elsewhere, NULL) != 0) return 0;
  pthread_join(thread, &answer);
  return answer != NULL;
}

static char *blocks[BLOCKS];

static void fill(void) {
  for (int i = 0; i < BLOCKS; i++) blocks[i] = malloc(DAMAGED);
}

// Eight bytes behind each block: the link of a free neighbour, the contents of one in use.
static void overflow_into_used(void) {
  fill();
  for (int i = 0; i < BLOCKS; i++) memset(blocks[i], 0x41, DAMAGED + 8);
  for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
}

static void overflow_into_free(void) {
  fill();
  for (int i = 1; i < BLOCKS; i += 2) free(blocks[i]);
  for (int i = 0; i < BLOCKS; i += 2) memset(blocks[i], 0x41, DAMAGED + 8);
}

static void write_after_free(void) {
  fill();
  for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
  for (int i = 0; i < BLOCKS; i++) memset(blocks[i], 0x41, DAMAGED);
}

static void free_twice(void) {
  fill();
  for (int i = 0; i < 4; i++) { free(blocks[i]); free(blocks[i]); }
}

static void free_twice_and_use(void) {
  free_twice();
  for (int i = 0; i < BLOCKS; i++) blocks[i] = malloc(DAMAGED);
}

static void free_inside(void) {
  fill();
  for (int i = 0; i < BLOCKS; i += 3) free(blocks[i] + 8);
}

static void free_wild(void) {
  fill();
  for (uintptr_t i = 1; i < 5000; i++) free((void *)(i * 0x9e3779b97f4a7c15u));
  for (int i = 0; i < BLOCKS; i++) free(blocks[i]);
}

static const struct trial {
  const char *name;
  void (*act)(void);
} trials[] = {
    {"overflow into blocks in use", overflow_into_used},
    {"overflow into free blocks", overflow_into_free},
    {"write after free", write_after_free},
    {"free twice", free_twice},
    {"free twice and allocate", free_twice_and_use},
    {"free inside blocks", free_inside},
    {"free wild pointers", free_wild},
};

static int child(const struct trial *trial) {
  alarm(30);
  if (!others_work()) return 2;
  trial->act();
  return others_work() && another_thread_works() && others_work() ? 0 : 3;
}

int main(void) {
  for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
    pid_t pid = fork();
    if (pid == 0) _exit(child(&trials[i]));
    int status = 0;
    waitpid(pid, &status, 0);
    if (status != 0) {
      failed_checks++;
      fprintf(stderr, "%s: %s %d\n", trials[i].name, WIFSIGNALED(status) ? "signal" : "exit status",
              WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
  }
  return verdict();
}
