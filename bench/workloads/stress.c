// Threads that keep some of the objects that they make, drop most of the others soon, swap some with other threads, and
// end; then the next threads find what the last ones left.
//
// Parameters of mstress (mimalloc-bench, `mstress T 50`: sizes evenly distributed, 1 to 128 words, kept ones 10 to
// 12,800 words, 80 · 50/T objects and up) and of mimalloc's own test-stress (`T 50 50`: calloc of 1 to 16 words by
// powers of two, kept ones to 64 words, 5,000 objects and up). In both the n-th thread makes n modulo 8 plus one times
// as many, keeps half as many again, enlarges 2 of 100 a hundredfold, drops one after 67 of 100 and swaps one after 26
// of 100.
#include "workload.h"

#include <stdatomic.h>

enum { BOARD = 1000, TABLE_STEP = 100000, LARGER = 100 };

typedef struct {
    size_t (*words)(rng *), (*kept_words)(rng *);
    void *(*make)(size_t bytes);
} flavour;

typedef struct {
    uint64_t length; // in words, this one included
    uint64_t word[];
} object;

typedef struct {
    const flavour *flavour;
    _Atomic(object *) board[BOARD];
    uint64_t objects; // of the thread that makes the fewest
    unsigned wave;
} stress;

typedef struct {
    object **item;
    size_t length, capacity;
} table;

static int chance(rng *r, unsigned of_100) { return rng_below(r, 100) < of_100; }

static object *object_new(const flavour *f, size_t words, rng *r) {
    if (chance(r, 2)) words *= LARGER;
    object *o = f->make(words * sizeof(uint64_t));
    o->length = words;
    for (size_t i = 0; i + 1 < words; i++) o->word[i] = words ^ i;
    return o;
}

static uint64_t object_drop(object *o) {
    if (o == NULL) return 0;
    uint64_t sum = o->length;
    for (size_t i = 0; i + 1 < o->length; i++) sum += o->word[i] ^ i;
    free(o);
    return sum;
}

static void table_push(table *t, object *o) {
    if (t->length == t->capacity) {
        t->capacity += TABLE_STEP;
        t->item = must(realloc(t->item, t->capacity * sizeof *t->item));
    }
    t->item[t->length++] = o;
}

static uint64_t table_drop(table *t) {
    uint64_t sum = 0;
    for (size_t i = 0; i < t->length; i++) sum += object_drop(t->item[i]);
    free(t->item);
    return sum;
}

static uint64_t drop_one(table *t, rng *r) {
    object **slot = &t->item[rng_below(r, t->length)], *dropped = *slot;
    *slot = NULL;
    return object_drop(dropped);
}

static void swap_one(stress *s, table *t, rng *r) {
    object **slot = &t->item[rng_below(r, t->length)];
    *slot = atomic_exchange(&s->board[rng_below(r, BOARD)], *slot);
}

static uint64_t stress_thread(unsigned index, void *shared) {
    stress *s = shared;
    const flavour *f = s->flavour;
    rng r = rng_new(((uint64_t)s->wave << 32) + index);
    uint64_t to_make = s->objects * (index % 8 + 1), to_keep = to_make / 2, sum = 0;
    table made = {0}, kept = {allocate(to_keep * sizeof(object *)), 0, to_keep};
    while (to_make + to_keep > 0) {
        if (to_keep == 0 || (to_make > 0 && chance(&r, 51))) {
            to_make--;
            table_push(&made, object_new(f, f->words(&r), &r));
        } else {
            to_keep--;
            table_push(&kept, object_new(f, f->kept_words(&r), &r));
        }
        if (made.length > 0 && chance(&r, 67)) sum += drop_one(&made, &r);
        if (made.length > 0 && chance(&r, 26)) swap_one(s, &made, &r);
    }
    return sum + table_drop(&kept) + table_drop(&made);
}

static uint64_t clear_board(stress *s, rng *r, unsigned of_100) {
    uint64_t sum = 0;
    for (int i = 0; i < BOARD; i++)
        if (chance(r, of_100)) sum += object_drop(atomic_exchange(&s->board[i], NULL));
    return sum;
}

static uint64_t run_waves_of(const flavour *f, unsigned threads, uint64_t objects, uint64_t waves) {
    stress *s = must(calloc(1, sizeof *s));
    rng r = rng_new(43);
    uint64_t sum = 0;
    s->flavour = f, s->objects = objects;
    for (s->wave = 0; s->wave < waves; s->wave++) {
        sum += on_threads(threads, stress_thread, s);
        sum += clear_board(s, &r, 51);
    }
    sum += clear_board(s, &r, 100);
    free(s);
    return sum;
}

// What `threads` threads make in one wave if the first one makes one object.
static uint64_t shares(unsigned threads) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < threads; i++) sum += i % 8 + 1;
    return sum;
}

static size_t even_words(rng *r) { return rng_between(r, 1, 128); }
static size_t even_kept_words(rng *r) { return 10 * rng_between(r, 1, 1280); }
static size_t power_words(rng *r) { return (size_t)1 << rng_below(r, 5); }
static size_t power_kept_words(rng *r) { return (size_t)1 << rng_below(r, 7); }
static void *zeroed(size_t bytes) { return must(calloc(1, bytes)); }

uint64_t run_mstress(const params *p) {
    static const flavour even = {even_words, even_kept_words, allocate};
    uint64_t scale = p->threads < 50 ? 50 / p->threads : 1;
    uint64_t waves = scaled(p, 300) / (scale * shares(p->threads));
    return run_waves_of(&even, p->threads, 80 * scale, waves + 1);
}

uint64_t run_test_stress(const params *p) {
    static const flavour powers = {power_words, power_kept_words, zeroed};
    uint64_t waves = scaled(p, 600) / shares(p->threads);
    return run_waves_of(&powers, p->threads, 100 * 50, waves + 1);
}
