// A compiler's memory: per function a tree of small nodes, growing vectors, scratch chunks dropped by phase; per
// program a symbol table that only grows.
//
// Source of the pattern: gcc's obstacks and growing vectors ("gcc" in Grunwald, Zorn and Henderson, PLDI 1993), our own
// program in place of it.
#include "workload.h"

typedef struct tree {
    struct tree *left, *right;
    uint32_t kind, uses;
    uint64_t payload[]; // some kinds carry more
} tree;

typedef struct {
    uint64_t *item;
    size_t length, capacity;
} vector;

typedef struct symbol {
    struct symbol *next;
    char name[];
} symbol;

enum { BUCKETS = 4096, CHUNKS = 12 };

static void vector_push(vector *v, uint64_t value) {
    if (v->length == v->capacity) {
        v->capacity = v->capacity ? v->capacity * 2 : 4;
        v->item = must(realloc(v->item, v->capacity * sizeof *v->item));
    }
    v->item[v->length++] = value;
}

static tree *tree_new(rng *r, unsigned depth) {
    size_t extra = rng_below(r, 9);
    tree *t = must(calloc(1, sizeof *t + extra * sizeof(uint64_t)));
    t->kind = (uint32_t)rng_below(r, 200);
    if (depth > 0 && rng_next(r) % 8 != 0) t->left = tree_new(r, depth - 1);
    if (depth > 0 && rng_next(r) % 4 != 0) t->right = tree_new(r, depth - 1);
    return t;
}

static void lower(tree *t, vector *code) { // a walk in post-order into a growing vector
    if (t == NULL) return;
    lower(t->left, code);
    lower(t->right, code);
    t->uses = (uint32_t)code->length;
    vector_push(code, mix64(t->kind + code->length));
}

static void tree_drop(tree *t) {
    if (t == NULL) return;
    tree_drop(t->left);
    tree_drop(t->right);
    free(t);
}

static symbol *intern(symbol **table, uint64_t key) {
    char name[32];
    int length = snprintf(name, sizeof name, "function_%llu", (unsigned long long)(key % 200000));
    symbol **bucket = &table[key % 200000 % BUCKETS];
    for (symbol *s = *bucket; s != NULL; s = s->next)
        if (strcmp(s->name, name) == 0) return s;
    symbol *s = allocate(sizeof *s + (size_t)length + 1);
    s->next = *bucket;
    memcpy(s->name, name, (size_t)length + 1);
    return *bucket = s;
}

static uint64_t allocate_registers(const vector *code, rng *r) { // phase scratch: chunks of 4 to 64 KiB
    unsigned char *chunk[CHUNKS];
    uint64_t sum = 0;
    for (int i = 0; i < CHUNKS; i++) {
        size_t bytes = rng_power_law(r, 4096, 4);
        chunk[i] = allocate(bytes);
        for (size_t j = 0; j < code->length && j * 8 + 8 < bytes; j++) memcpy(chunk[i] + j * 8, &code->item[j], 8);
        if (code->length > 0) sum += chunk[i][0];
    }
    for (int i = CHUNKS; i-- > 0;) free(chunk[i]);
    return sum;
}

static uint64_t compile_function(symbol **table, rng *r) {
    vector code = {0};
    tree *body = tree_new(r, 9);
    lower(body, &code);
    uint64_t sum = 0;
    for (size_t i = 0; i < code.length; i += 8) sum += strlen(intern(table, code.item[i])->name);
    sum += allocate_registers(&code, r) + code.length;
    tree_drop(body);
    free(code.item);
    return sum;
}

static void table_drop(symbol **table) {
    for (int i = 0; i < BUCKETS; i++)
        while (table[i] != NULL) {
            symbol *next = table[i]->next;
            free(table[i]);
            table[i] = next;
        }
    free(table);
}

uint64_t run_compiler(const params *p) {
    symbol **table = must(calloc(BUCKETS, sizeof *table));
    rng r = rng_new(13);
    uint64_t sum = 0, functions = scaled(p, 100000);
    for (uint64_t i = 0; i < functions; i++) sum += compile_function(table, &r);
    table_drop(table);
    return sum;
}
