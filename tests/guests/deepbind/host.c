// host lazy|now FILE…: opens each with RTLD_DEEPBIND, in two threads at once, passes blocks both ways, closes it and begins again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define DIE(...) (printf(__VA_ARGS__), puts(""), fflush(stdout), _Exit(1))
int whose(void) { return 'h'; }
static int mode;
static pthread_barrier_t barrier;
static void *open_it(void *file) {
  pthread_barrier_wait(&barrier);
  void *h = dlopen(file, mode);
  if (!h) DIE("%s", dlerror());
  return h;
}
static void *symbol(void *h, const char *name) {
  void *p = dlsym(h, name);
  if (!p) DIE("%s", dlerror());
  return p;
}
int main(int argc, char **argv) {
  mode = (strcmp(argv[1], "now") ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL | RTLD_DEEPBIND;
  if (dlopen("./there-is-none.so", mode) || !dlerror()) DIE("a file that is not there");
  if (!dlopen(0, RTLD_NOW | RTLD_DEEPBIND)) DIE("the program itself");
  pthread_barrier_init(&barrier, 0, 2);
  for (int round = 0; round < 3; round++) {
    void *handles[8];
    for (int i = 2; i < argc; i++) {
      pthread_t other;
      void *same;
      pthread_create(&other, 0, open_it, argv[i]);
      void *h = handles[i] = open_it(argv[i]);
      pthread_join(other, &same);
      if (same != h || dlclose(same)) DIE("%s: two handles", argv[i]);
      if (((int (*)(void))symbol(h, "ask"))() != 'p') DIE("the plugin got the program's function");
      void *(*make)(int, size_t) = symbol(h, "make");
      void (*take)(int, void *) = symbol(h, "take");
      if (strstr(argv[i], "own.so")) {
        int *calls = symbol(h, "calls_of_own"), before = *calls;
        for (int k = 0; k < 10; k++) take(0, make(0, 100));
        if (before < 1 || *calls != before + 10) DIE("the plugin got another malloc than its own");
        continue;
      }
      for (int k = 0; k < 13; k++) {
        char *p = make(k, 100);
        if (!p) DIE("make %d", k);
        p[5] = 1;
        free(k % 2 ? realloc(p, 3000) : p);
        for (int t = 0; t < 8; t++) take(t, make(k, 300));
      }
      for (int t = 0; t < 8; t++) take(t, malloc(50)), take(t, calloc(1, 100000)), take(t, strdup("twenty characters and more"));
      free(((void *(*)(void))symbol(h, "give_early"))());
      ((void (*)(void *))symbol(h, "keep"))(malloc(500));
      ((void (*)(void *))symbol(h, "free"))(malloc(5));
      free(((void *(*)(size_t))symbol(h, "malloc"))(5));
    }
    for (int i = 2; i < argc; i++) if (dlclose(handles[i])) DIE("%s", dlerror());
  }
  return 0;
}
