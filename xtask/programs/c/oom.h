// Filling memory until there is none, keeping all blocks in a list with a pattern in each.
#pragma once
#include "check.h"

struct block {
  struct block *next;
  size_t size;
  unsigned char bytes[];
};

static inline size_t size_at(unsigned step) {
  static const size_t sizes[] = {16, 40, 100, 1000, 3000, 9000, 40000, 150000, 700000, 3000000};
  return sizes[step * 7 % 10] + step % 13;
}

static inline unsigned char pattern(const struct block *block) { return (unsigned char)(block->size * 11 + 1); }

// Null, and errno is ENOMEM, when there is no memory for it.
static inline struct block *add_block(struct block *list, size_t size) {
  errno = 0;
  struct block *block = malloc(sizeof *block + size);
  if (block == NULL) {
    CHECK(errno == ENOMEM);
    return NULL;
  }
  block->next = list;
  block->size = size;
  memset(block->bytes, pattern(block), size);
  return block;
}

// Fills with `size_at`'s sizes until one is refused, then with ever smaller ones. Adds up what it got.
static inline struct block *fill(struct block *list, size_t *got) {
  unsigned step = 0;
  for (size_t size = size_at(0); size >= 8;) {
    struct block *added = add_block(list, size);
    if (added == NULL) {
      size /= 2;
      continue;
    }
    *got += size;
    list = added;
    if (size == size_at(step)) size = size_at(++step);
  }
  return list;
}

static inline void check_all(const struct block *list) {
  for (const struct block *block = list; block != NULL; block = block->next) {
    unsigned char wanted = pattern(block);
    for (size_t k = 0; k < block->size; k += 1 + block->size / 50) CHECK(block->bytes[k] == wanted);
    CHECK(block->size == 0 || block->bytes[block->size - 1] == wanted);
  }
}

enum which { EVERY_SECOND, ALL };

static inline struct block *release(struct block *list, enum which which) {
  struct block *kept = NULL;
  for (unsigned number = 0; list != NULL; number++) {
    struct block *next = list->next;
    if (which == ALL || number % 2 == 0) {
      free(list);
    } else {
      list->next = kept;
      kept = list;
    }
    list = next;
  }
  return kept;
}
