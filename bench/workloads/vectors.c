// Vectors of numbers that grow by one half from 4 numbers to between 4 and 200 KB: one at a time, or 64 at once, so
// that each has neighbours that grow too.
//
// Source of the pattern: the growth of most libraries' vectors (folly's and MSVC's factor), with the sizes at which
// realloc by copying is dearest.
#include "workload.h"

enum { LEAST = 4000, MOST = 200000, AT_ONCE = 64, PUSHES = 64 };

typedef struct {
    uint64_t *item;
    size_t length, capacity, target;
} vector;

static void vector_begin(vector *v, rng *r) {
    *v = (vector){NULL, 0, 0, rng_between(r, LEAST, MOST) / sizeof(uint64_t)};
}

static void vector_push(vector *v, uint64_t value) {
    if (v->length == v->capacity) {
        v->capacity = v->capacity == 0 ? 4 : v->capacity + v->capacity / 2;
        v->item = must(realloc(v->item, v->capacity * sizeof *v->item));
    }
    v->item[v->length++] = value;
}

static uint64_t vector_end(vector *v) {
    uint64_t sum = v->length == 0 ? 0 : v->item[v->length / 2] + v->item[v->length - 1];
    free(v->item);
    return sum;
}

uint64_t run_vectors(const params *p) {
    rng r = rng_new(15);
    uint64_t sum = 0, count = scaled(p, 20000);
    for (uint64_t i = 0; i < count; i++) {
        vector v;
        vector_begin(&v, &r);
        while (v.length < v.target) vector_push(&v, i + v.length);
        sum += vector_end(&v);
    }
    return sum;
}

uint64_t run_vectors_64(const params *p) {
    vector vectors[AT_ONCE];
    rng r = rng_new(16);
    uint64_t sum = 0, turns = scaled(p, 4000000);
    for (int i = 0; i < AT_ONCE; i++) vector_begin(&vectors[i], &r);
    for (uint64_t i = 0; i < turns; i++) {
        vector *v = &vectors[rng_below(&r, AT_ONCE)];
        for (int j = 0; j < PUSHES; j++) vector_push(v, i);
        if (v->length < v->target) continue;
        sum += vector_end(v);
        vector_begin(v, &r);
    }
    for (int i = 0; i < AT_ONCE; i++) sum += vector_end(&vectors[i]);
    return sum;
}
