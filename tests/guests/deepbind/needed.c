// A library that comes with a plugin.
#include <stdlib.h>
static void *early;
__attribute__((constructor)) static void begin(void) { early = realloc(malloc(10), 5000); }
__attribute__((destructor)) static void end(void) { free(early); }
void *needed_make(size_t n) { return calloc(n, 1); }
void needed_take(void *p) { free(p); }
