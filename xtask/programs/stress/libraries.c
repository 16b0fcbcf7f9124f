// Libraries that allocate come and go beside threads, their blocks outliving them; and two copies of the allocator live in one
// process, each with its own blocks, used by the same threads.
// Arguments: the plugin, another copy of the allocator, how often.
#include "stress.h"
#include <dlfcn.h>

typedef void *(*allocate)(size_t);
typedef void (*release)(void *);

static allocate other_malloc;
static release other_free;

static void plugin_comes_and_goes(const char *name) {
  void *plugin = dlopen(name, RTLD_NOW | RTLD_LOCAL);
  CHECK(plugin != NULL);
  if (plugin == NULL) return;
  allocate plugin_block = (allocate)dlsym(plugin, "plugin_block");
  unsigned char *outlives = plugin_block(5000);
  dlclose(plugin);
  CHECK(outlives[4999] == 7);
  free(outlives);
}

static void *both(void *argument) {
  unsigned state = (unsigned)(size_t)argument + 9;
  for (int step = 0; step < 2000; step++) {
    struct filled ours = filled(&state);
    size_t size = random_size(&state);
    unsigned char *other = other_malloc(size);
    memset(other, 3, size);
    CHECK(is_intact(ours) && other[size - 1] == 3);
    free(ours.bytes);
    other_free(other);
  }
  return NULL;
}

int main(int count, char **arguments) {
  if (count < 4) return 2;
  void *copy = dlopen(arguments[2], RTLD_NOW | RTLD_LOCAL);
  CHECK(copy != NULL);
  if (copy == NULL) return verdict();
  other_malloc = (allocate)dlsym(copy, "mi_malloc");
  other_free = (release)dlsym(copy, "mi_free");
  CHECK(other_malloc != (allocate)dlsym(RTLD_DEFAULT, "mi_malloc"));
  for (int round = 0; round < atoi(arguments[3]); round++) {
    pthread_t ids[4];
    for (size_t i = 0; i < 4; i++) pthread_create(&ids[i], NULL, both, (void *)i);
    for (int i = 0; i < 20; i++) plugin_comes_and_goes(arguments[1]);
    for (size_t i = 0; i < 4; i++) pthread_join(ids[i], NULL);
  }
  return verdict();
}
