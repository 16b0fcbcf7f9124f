// Source: systemd#40319 (2026), ClusterLabs/booth#106, earlyoom#112, hardened_malloc#341: programs that lock all their
// memory. Right: mlockall, then some 30 MiB of blocks: works in time and the process stays below 400 MiB; an
// unprivileged one with RLIMIT_MEMLOCK=8 MiB gets its 3 MiB.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static size_t rss(pid_t p) {
  char b[64];
  snprintf(b, 64, "/proc/%d/statm", p);
  FILE *f = fopen(b, "r");
  size_t v = 0, r = 0;
  if (f) {
    if (fscanf(f, "%zu %zu", &v, &r)) {
    }
    fclose(f);
  }
  return r * 4096 >> 20;
}
static void *thread(void *a) {
  for (int i = 0; i < 2000; i++) {
    char *p = malloc(i);
    if (!p) return "x";
    free(p);
  }
  return 0;
}
static int work(int mib) {
  void *r = 0;
  pthread_t t[2];
  int threads = mib > 25;
  for (int i = 0; i < mib * 512; i++) {
    char *p = malloc(1000);
    if (!p) return 20;
    p[0] = 1;
  }
  for (int i = 0; i < mib / 2; i++) {
    char *p = malloc(1 << 20);
    if (!p) return 21;
    p[0] = 1;
  }
  for (int i = 0; threads && i < 2; i++)
    if (pthread_create(&t[i], 0, thread, 0)) return 22;
  for (int i = 0; threads && i < 2; i++) {
    pthread_join(t[i], &r);
    if (r) return 23;
  }
  return 0;
}
static int bad;
static void run(const char *what, int flags, int user) {
  struct timespec a, b;
  clock_gettime(CLOCK_MONOTONIC, &a);
  pid_t p = fork();
  if (!p) {
    if (user) {
      struct rlimit l = {8 << 20, 8 << 20};
      setrlimit(RLIMIT_MEMLOCK, &l);
      if (setgid(65534) || setuid(65534)) _exit(3);
    }
    if (mlockall(flags)) _exit(errno == ENOMEM ? 10 : 11);
    _exit(work(user ? 3 : 30));
  }
  size_t most = 0;
  int st = 0, killed = 0;
  for (;;) {
    if (waitpid(p, &st, WNOHANG) == p) break;
    size_t now = rss(p);
    if (now > most) most = now;
    clock_gettime(CLOCK_MONOTONIC, &b);
    if (now > 1300 || b.tv_sec - a.tv_sec > 12) {
      kill(p, SIGKILL);
      killed = 1;
    }
    usleep(2000);
  }
  clock_gettime(CLOCK_MONOTONIC, &b);
  int ok = !killed && WIFEXITED(st) && WEXITSTATUS(st) == 0 && most < 400;
  printf("%s %s: status %x most %zu MiB %.2f s%s\n", ok ? "ok  " : "FAIL", what, st, most,
         (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9, killed ? " (stopped by us)" : "");
  if (!ok) bad = 1;
}
int main(void) {
  setvbuf(stdout, 0, _IONBF, 0);
  run("root FUTURE|ONFAULT", MCL_FUTURE | MCL_ONFAULT, 0);
  run("root FUTURE", MCL_FUTURE, 0);
  run("root CURRENT|FUTURE|ONFAULT", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, 0);
  run("root CURRENT|FUTURE", MCL_CURRENT | MCL_FUTURE, 0);
  run("user FUTURE", MCL_FUTURE, 1);
  run("user CURRENT|FUTURE", MCL_CURRENT | MCL_FUTURE, 1);
  if (!bad) puts("PASS");
  return bad;
}
