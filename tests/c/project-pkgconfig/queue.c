/* A queue whose blocks come from a heap of mimalloc. */
#include <mimalloc.h>
#include <mimalloc-stats.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct item_s { struct item_s* next; int value; } item_t;

int main(void) {
  mi_heap_t* heap = mi_heap_new();
  item_t *first = NULL, **end = &first;
  for (int i = 0; i < 1000; i++) {
    item_t* item = mi_heap_malloc_tp(item_t, heap);
    *item = (item_t){NULL, i};
    *end = item;
    end = &item->next;
  }
  long sum = 0;
  for (item_t* item = first; item != NULL; item = item->next) sum += item->value;
  void* plain = malloc(100);
  int ours = mi_any_heap_contains(plain);
  free(plain);
  mi_stats_t_decl(stats);
  int counted = mi_stats_get(&stats) && stats.heaps.current == 2;
  mi_heap_destroy(heap);
  printf("sum %ld; malloc is mimalloc's: %s; statistics: %s\n", sum, ours ? "yes" : "no", counted ? "yes" : "no");
  return sum == 499500 && ours && counted ? 0 : 1;
}
