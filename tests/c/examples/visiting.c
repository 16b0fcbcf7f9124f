/* What is in a heap: a histogram of block sizes and how full the areas are. */
#include "check.h"

typedef struct { size_t areas, blocks, bytes, reserved, by_log2[64]; } survey_t;

static bool look(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
  survey_t* survey = (survey_t*)arg;
  (void)heap;
  if (block == NULL) {
    survey->areas++;
    survey->reserved += area->reserved;
    return true;
  }
  survey->blocks++;
  survey->bytes += size;
  survey->by_log2[63 - __builtin_clzll(size)]++;
  return true;
}

int main(void) {
  mi_heap_t* heap = mi_heap_new();
  for (size_t i = 0; i < 3000; i++) {
    void* p = mi_heap_malloc(heap, i % 3 == 0 ? 60 : i % 3 == 1 ? 500 : 4000);
    if (i % 2 == 0) mi_free(p);
  }
  survey_t survey = {0};
  CHECK(mi_heap_visit_blocks(heap, true, &look, &survey));
  CHECK(survey.blocks == 1500);
  CHECK(survey.by_log2[6] + survey.by_log2[5] == 500); /* blocks of 60 bytes or a little more */
  CHECK(survey.bytes >= 500 * (60 + 500 + 4000) && survey.bytes <= survey.reserved);
  printf("%zu blocks, %zu bytes, in %zu areas of %zu bytes\n", survey.blocks, survey.bytes, survey.areas, survey.reserved);
  mi_heap_destroy(heap);
  return check_report();
}
