/* child.h: runs a part of a test program in a fresh process of the same program, with its own environment.
 *
 * A program that uses it calls `child_main(argc, argv, PARTS)` first: started as a child it runs
 * the part that its argument names and ends.
 */
#ifndef CHILD_H
#define CHILD_H

#include "check.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>

typedef struct { const char* name; void (*run)(void); } part_t;

typedef struct {
  int code;    /* exit code, -1 if a signal ended it */
  int signal;  /* that signal, 0 if none */
  text_t out;  /* what it wrote on standard output and standard error */
} outcome_t;

static inline void child_main(int argc, char** argv, const part_t* parts) {
  if (argc < 3 || strcmp(argv[1], "--child") != 0) return;
  for (; parts->name != NULL; parts++)
    if (strcmp(parts->name, argv[2]) == 0) {
      parts->run();
      fflush(NULL);
      exit(0);
    }
  exit(99);
}

/* `settings` is a list "NAME=value NAME=value". */
static inline void child_environment(const char* settings) {
  char copy[512], *rest = copy, *one;
  snprintf(copy, sizeof copy, "%s", settings);
  while ((one = strsep(&rest, " ")) != NULL) {
    char* value = strchr(one, '=');
    if (value == NULL) continue;
    *value = 0;
    setenv(one, value + 1, 1);
  }
}

static inline void child_exec(const char* part, const char* settings, int out) {
  dup2(out, 1);
  dup2(out, 2);
  child_environment(settings);
  execl("/proc/self/exe", "child", "--child", part, (char*)NULL);
  _exit(98);
}

static inline void read_all(int from, text_t* text) {
  char piece[1024];
  ssize_t n;
  while ((n = read(from, piece, sizeof piece - 1)) > 0) {
    piece[n] = 0;
    add_text(piece, text);
  }
}

/* Runs a part; the outcome is valid until the next call. */
static inline const outcome_t* run_child(const char* part, const char* settings) {
  static outcome_t outcome;
  int ends[2], status = 0;
  memset(&outcome, 0, sizeof outcome);
  fflush(NULL);
  if (pipe(ends) != 0) return &outcome;
  pid_t child = fork();
  if (child == 0) child_exec(part, settings, ends[1]);
  close(ends[1]);
  read_all(ends[0], &outcome.out);
  close(ends[0]);
  waitpid(child, &status, 0);
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  outcome.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  return &outcome;
}

/* The number after "name=" in what a child wrote; -1 if it isn't there. */
static inline long long told(const outcome_t* outcome, const char* name) {
  char wanted[64];
  snprintf(wanted, sizeof wanted, "\n%s=", name);
  const char* at = strstr(outcome->out.text, wanted);
  return at == NULL ? -1 : atoll(at + strlen(wanted));
}

/* For a child: writes a number for `told` to find. */
static inline void tell(const char* name, long long value) { printf("\n%s=%lld\n", name, value); }

#endif /* CHILD_H */
