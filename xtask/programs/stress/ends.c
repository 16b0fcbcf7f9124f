// The process ends while threads allocate, by `exit` or by returning from main; handlers and destructors allocate on the way.
// With MIMALLOC_DESTROY_ON_EXIT all memory is given back, and what allocates after that gets new memory.
// Arguments: how many processes, how many busy threads in each.
#include "stress.h"
#include <sys/wait.h>

static void *busy(void *argument) {
  unsigned state = (unsigned)(size_t)argument;
  for (;;) {
    struct filled block = filled(&state);
    free(realloc(block.bytes, block.size * 2));
  }
  return NULL;
}

static void handler(void) {
  unsigned state = 5;
  struct filled block = filled(&state);
  if (!is_intact(block)) _exit(9);
  free(block.bytes);
}

static void end(int number, size_t threads) {
  alarm(60);
  atexit(handler);
  pthread_t id;
  for (size_t i = 0; i < threads; i++) pthread_create(&id, NULL, busy, (void *)(i + 1));
  free(malloc((size_t)number * 1000));
  usleep((useconds_t)number % 7 * 500);
  exit(0);
}

int main(int count, char **arguments) {
  int processes = count > 1 ? atoi(arguments[1]) : 20;
  size_t threads = count > 2 ? (size_t)atoi(arguments[2]) : 3;
  for (int number = 0; number < processes; number++) {
    pid_t pid = fork();
    if (pid == 0) end(number, threads);
    int status = -1;
    waitpid(pid, &status, 0);
    if (status != 0) {
      failed_checks++;
      fprintf(stderr, "process %d: status %#x\n", number, (unsigned)status);
    }
  }
  return verdict();
}
