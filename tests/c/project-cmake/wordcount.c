/* Counts words with blocks from the plain C functions, and asks mimalloc whether they are its own. */
#include <mimalloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  char* text = strdup("the quick brown fox jumps over the lazy dog and the quick cat");
  char** words = malloc(10 * sizeof(char*));
  size_t count = 0, room = 10;
  for (char* word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
    if (count == room) words = realloc(words, (room *= 2) * sizeof(char*));
    words[count++] = word;
  }
  int ours = mi_any_heap_contains(text) && mi_any_heap_contains(words);
  printf("%zu words; malloc is mimalloc's: %s (version %d)\n", count, ours ? "yes" : "no", mi_version());
  free(words);
  free(text);
  return ours && count == 13 && mi_version() / 10000 == 3 ? 0 : 1;
}
