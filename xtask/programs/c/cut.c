/* Under MIMALLOC_ABORT=0 checked copies that are wrong are cut where their blocks end. Prints `cut` if all are. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE = 64, MANY = 20 };
static char* blocks[MANY];
static char source[4 * SIZE];

static void fail(const char* what) {
  printf("not cut: %s\n", what);
  exit(1);
}

/* All blocks but one are as they were. */
static void expect_others(int one, const char* what) {
  for (int i = 0; i < MANY; i++)
    for (int at = 0; at < SIZE; at++)
      if (i != one && blocks[i][at] != 'o') fail(what);
  memset(blocks[one], 'o', SIZE);
}

int main(void) {
  for (int i = 0; i < MANY; i++) blocks[i] = memset(malloc(SIZE), 'o', SIZE);
  memset(source, 's', sizeof source - 1);
  for (int i = 0; i < MANY; i++) {
    char* to = blocks[i];
    if (memcpy(to, source, 2 * SIZE) != to || to[SIZE - 1] != 's') fail("memcpy");
    expect_others(i, "memcpy");
    if (memset(to, 'z', 2 * SIZE) != to || to[SIZE - 1] != 'z') fail("memset");
    expect_others(i, "memset");
    if (strcpy(to, source) != to || strlen(to) != SIZE - 1) fail("strcpy");
    expect_others(i, "strcpy");
    if (stpcpy(to, source) != to + SIZE - 1 || to[SIZE - 1] != 0) fail("stpcpy");
    expect_others(i, "stpcpy");
    if (strncpy(to, source, 2 * SIZE) != to || to[SIZE - 1] != 's') fail("strncpy");
    expect_others(i, "strncpy");
    if (strcat(to, "abc") != to || to[SIZE - 1] != 'o') fail("strcat");
    expect_others(i, "strcat to no string");
    strcpy(to, "abc");
    if (strcat(to, source) != to || strlen(to) != SIZE - 1 || memcmp(to, "abcsss", 6)) fail("strcat");
    expect_others(i, "strcat");
    char target[3 * SIZE] = "";
    memcpy(target, to, 2 * SIZE);
    if (target[SIZE - 1] != 'o' || target[SIZE] != 0) fail("memcpy from");
    strcpy(target, to);
    if (strlen(target) != SIZE) fail("strcpy from no string");
  }
  puts("cut");
  return 0;
}
