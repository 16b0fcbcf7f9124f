/* One misuse of memory, named by the argument, and how it must end under the levels in the environment.
 *
 * `misuse WHAT`: prints "survived" if nothing stopped it. What it did wrong is reported on stderr by the library, or by a
 * signal; the stage `checked` knows which is due.
 */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 100, MANY = 2000 };

static void* run_free(void* p) {
  free(p);
  return NULL;
}

static void free_elsewhere(void* p) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, &run_free, p) == 0) pthread_join(thread, NULL);
}

static void overflow(void) {
  volatile char* p = malloc(SIZE);
  p[SIZE] ^= 1;
  free((void*)p);
}

static void overflow_elsewhere(void) {
  volatile char* p = malloc(SIZE);
  p[SIZE] ^= 1;
  free_elsewhere((void*)p);
}

static void overflow_large(void) {
  volatile char* p = malloc(3 << 20);
  p[3 << 20] ^= 1;
  free((void*)p);
}

static void double_free(void) {
  void* volatile p = malloc(SIZE);
  free(p);
  free(p);
}

static void double_free_elsewhere(void) {
  void* volatile p = malloc(SIZE);
  free(p);
  free_elsewhere(p);
}

/* Of many blocks: one that is alone stays in quarantine. */
static void use_after_free(void) {
  static char* volatile blocks[MANY];
  for (int i = 0; i < MANY; i++) blocks[i] = malloc(SIZE);
  for (int i = 0; i < MANY; i += 2) free(blocks[i]);
  for (int i = 0; i < MANY; i += 2) blocks[i][8] = 1;
  for (int i = 0; i < MANY; i++) memset(malloc(SIZE), 1, SIZE);
}

static void wild_free(void) { free((void*)0x12345670); }

static void inner_free(void) {
  char* volatile p = malloc(SIZE);
  free(p + 16);
}

/* Of several blocks: a guarded one may lie behind a guard rather than before one, which is drawn. */
static void behind(void) {
  static volatile char* blocks[64];
  for (int i = 0; i < 64; i++) blocks[i] = malloc(SIZE);
  for (int i = 0; i < 64; i++) blocks[i][SIZE + 12] = 1; /* the first byte after rounding to 16 */
}

static void far_behind(void) {
  volatile char* p = malloc(SIZE);
  for (size_t at = SIZE; at < 64 << 10; at++) p[at] = 1;
}

static const struct { const char* name; void (*run)(void); } MISUSES[] = {
  {"overflow", &overflow}, {"overflow-elsewhere", &overflow_elsewhere}, {"overflow-large", &overflow_large},
  {"double-free", &double_free}, {"double-free-elsewhere", &double_free_elsewhere}, {"use-after-free", &use_after_free},
  {"wild-free", &wild_free}, {"inner-free", &inner_free}, {"behind", &behind}, {"far-behind", &far_behind},
};

int main(int argc, char** argv) {
  for (size_t i = 0; argc > 1 && i < sizeof MISUSES / sizeof *MISUSES; i++)
    if (strcmp(argv[1], MISUSES[i].name) == 0) {
      MISUSES[i].run();
      puts("survived");
      return 0;
    }
  return 2;
}
