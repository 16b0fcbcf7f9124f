/* A hash table in C that lives in a heap of its own: dropping the table is dropping the heap. */
#include "check.h"

typedef struct entry_s { struct entry_s* next; char* key; long value; } entry_t;
typedef struct { mi_heap_t* heap; entry_t** slots; size_t size, used; } table_t;

static size_t hash(const char* key) {
  size_t h = 5381;
  while (*key != 0) h = h * 33 ^ (unsigned char)*key++;
  return h;
}

static table_t table_new(void) {
  mi_heap_t* heap = mi_heap_new();
  return (table_t){heap, mi_heap_calloc_tp(entry_t*, heap, 16), 16, 0};
}

static void table_grow(table_t* t) {
  entry_t** slots = mi_heap_calloc_tp(entry_t*, t->heap, t->size * 2);
  for (size_t i = 0; i < t->size; i++)
    for (entry_t *e = t->slots[i], *next; e != NULL; e = next) {
      next = e->next;
      entry_t** slot = &slots[hash(e->key) % (t->size * 2)];
      e->next = *slot;
      *slot = e;
    }
  mi_free(t->slots);
  t->slots = slots;
  t->size *= 2;
}

static long* table_at(table_t* t, const char* key) {
  for (entry_t* e = t->slots[hash(key) % t->size]; e != NULL; e = e->next)
    if (strcmp(e->key, key) == 0) return &e->value;
  if (++t->used > t->size) table_grow(t);
  entry_t* e = mi_heap_zalloc_tp(entry_t, t->heap);
  entry_t** slot = &t->slots[hash(key) % t->size];
  e->key = mi_heap_strdup(t->heap, key);
  e->next = *slot;
  *slot = e;
  return &e->value;
}

int main(void) {
  table_t table = table_new();
  char key[20];
  for (long i = 0; i < 100000; i++) {
    snprintf(key, sizeof key, "key %ld", i % 5000);
    *table_at(&table, key) += 1;
  }
  CHECK(table.used == 5000);
  CHECK(*table_at(&table, "key 77") == 20);
  CHECK(mi_heap_contains(table.heap, table_at(&table, "key 4999")));
  mi_heap_destroy(table.heap);
  return check_report();
}
