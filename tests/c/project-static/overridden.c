/* Names no function of mimalloc's but one that tells whose a block is. Blocks that the C library makes
 * on the program's behalf must be mimalloc's, too. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool mi_any_heap_contains(const void* p);

static int failures;

static void check(const char* what, const void* block) {
  bool ours = block != NULL && mi_any_heap_contains(block);
  if (!ours) printf("%s is not mimalloc's\n", what);
  failures += !ours;
}

static void* in_thread(void* arg) {
  void* p = malloc(5000);
  check("malloc in a thread", p);
  free(p);
  return arg;
}

int main(void) {
  void* p = malloc(10);
  check("malloc", p);
  check("realloc", p = realloc(p, 100000));
  free(p);
  check("calloc", p = calloc(10, 10));
  free(p);
  check("aligned_alloc", p = aligned_alloc(64, 640));
  free(p);
  char* text = NULL;
  check("strdup", text = strdup("text"));
  free(text);
  if (asprintf(&text, "%d and more", 5) > 0) check("asprintf", text);
  free(text);
  size_t size = 0;
  FILE* stream = open_memstream(&text, &size);
  fprintf(stream, "%1000d", 5);
  fclose(stream);
  check("open_memstream", text);
  free(text);
  check("realpath", text = realpath("/", NULL));
  free(text);
  pthread_t thread;
  pthread_create(&thread, NULL, &in_thread, NULL);
  pthread_join(thread, NULL);
  printf("%s\n", failures == 0 ? "every block is mimalloc's" : "the override is incomplete");
  return failures != 0;
}
