// A C program that is linked with ferrimalloc: whose memory does malloc give?
#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  void *block = malloc(100);
  printf("ferrimalloc: %s\n", mi_is_in_heap_region(block) ? "yes" : "no");
  free(block);
  return 0;
}
