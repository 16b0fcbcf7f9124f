// The resident set of a program that has allocated a little and done nothing else.
#include "figures.h"

int main(void) {
  char *volatile block = malloc(100);
  block[0] = 1;
  long rss = rss_kib();
  long anonymous = anonymous_kib();
  free(block);
  printf("start_rss_kib %ld\n", rss);
  printf("start_anonymous_kib %ld\n", anonymous);
  return 0;
}
