// A plugin that allocates: with a static copy of the allocator (COPY), or with the process's malloc.
#include <stdlib.h>
#include <string.h>
#ifdef COPY
#include <mimalloc.h>
#define malloc mi_malloc
#define free mi_free
#endif
int work(int n) {
  void *p[300];
  for (int r = 0; r < 3; r++) {
    for (int i = 0; i < 300; i++) {
      size_t bytes = 1 + i * n % 5000;
      p[i] = malloc(bytes);
      if (!p[i]) return 1;
      memset(p[i], 1, bytes);
    }
    for (int i = 0; i < 300; i++) free(p[i]);
    void *q = malloc(5 << 20);
    if (!q) return 1;
    memset(q, 1, 5 << 20);
    free(q);
  }
  return 0;
}
