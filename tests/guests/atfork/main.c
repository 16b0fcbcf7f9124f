// Forks beside threads that allocate.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
void early_register(int n);
static volatile int stop;
static void *busy(void *a) {
  unsigned s = (long)a;
  while (!stop) {
    size_t n = rand_r(&s) % 20000;
    char *p = malloc(n);
    if (p) memset(p, 1, n);
    free(p);
  }
  return 0;
}
int main(int c, char **v) {
  pthread_t t[3];
  early_register(10);
  for (long i = 0; i < 3; i++) pthread_create(&t[i], 0, busy, (void *)(i + 1));
  for (int i = 0; i < 12; i++) {
    pid_t p = fork();
    if (!p) {
      pthread_t q;
      void *r;
      char *m = malloc(100000);
      memset(m, 2, 100000);
      stop = 0;
      pthread_create(&q, 0, busy, (void *)9);
      usleep(500);
      stop = 1;
      pthread_join(q, &r);
      free(m);
      pid_t g = fork();
      if (!g) _exit(0);
      int st;
      waitpid(g, &st, 0);
      _exit(st != 0);
    }
    int st;
    waitpid(p, &st, 0);
    if (st) {
      printf("FAIL child %x\n", st);
      return 1;
    }
  }
  stop = 1;
  for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
  return 0;
}
