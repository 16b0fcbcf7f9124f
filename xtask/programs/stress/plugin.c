// A library that allocates when it is loaded, keeps a block, and frees it when it is unloaded.
#include <stdlib.h>
#include <string.h>

static char *kept;

__attribute__((constructor)) static void begin(void) { kept = strcpy(malloc(4000), "kept"); }
__attribute__((destructor)) static void end(void) { free(kept); }

void *plugin_block(size_t size) { return memset(malloc(size), 7, size); }
