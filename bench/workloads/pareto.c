// A table whose slots are filled and emptied, a fifth of them four times in five, and so on six times over.
//
// Parameters of alloc-test (OLogN's, for node.cpp; in mimalloc-bench with the whole block written and read): 2^18
// slots, half of them full at first, positions by Pareto's 80 to 20 nested six times, sizes to 1 KiB by a power law.
// The second set is its sizes to 64 KiB.
#include "workload.h"

enum { SLOTS = 1 << 18, NESTED = 6 };

typedef struct {
    unsigned char *block;
    size_t bytes;
} slot;

typedef struct {
    uint64_t rounds;
    size_t slots;
    unsigned doublings;
} alloc_test;

// How many slots a class has that is chosen by `common` draws of the four fifths and the rest of the one fifth.
static double class_share(unsigned common) {
    static const double choose[NESTED + 1] = {1, 6, 15, 20, 15, 6, 1};
    double share = choose[common];
    for (unsigned i = 0; i < NESTED; i++) share *= i < common ? 0.2 : 0.8;
    return share;
}

static void class_bounds(size_t *bound, size_t slots) { // class n lies from bound[n] to below bound[n + 1]
    double end = 0;
    for (unsigned n = 0; n <= NESTED; n++) {
        bound[n] = (size_t)end;
        end += class_share(n) * (double)slots;
    }
    bound[NESTED + 1] = slots;
}

static size_t position(const size_t *bound, rng *r) {
    unsigned common = 0;
    for (unsigned i = 0; i < NESTED; i++) common += rng_below(r, 5) != 0;
    size_t low = bound[common], high = bound[common + 1];
    return high > low ? low + rng_below(r, high - low) : rng_below(r, bound[NESTED + 1]);
}

static void fill(slot *s, rng *r, unsigned doublings) {
    s->bytes = rng_power_law(r, 4, doublings) + 1;
    s->block = allocate(s->bytes);
    memset(s->block, (int)s->bytes, s->bytes);
}

static uint64_t drop(slot *s) {
    uint64_t sum = 0;
    for (size_t i = 0; i < s->bytes; i++) sum += s->block[i];
    free(s->block);
    s->block = NULL;
    return sum;
}

static uint64_t alloc_test_thread(unsigned index, void *shared) {
    alloc_test *t = shared;
    size_t bound[NESTED + 2];
    slot *slots = must(calloc(t->slots, sizeof *slots));
    rng r = rng_new(41 + index);
    uint64_t sum = 0;
    class_bounds(bound, t->slots);
    for (size_t i = 0; i < t->slots; i++)
        if (rng_next(&r) >> 63) fill(&slots[i], &r, t->doublings);
    for (uint64_t i = 0; i < t->rounds; i++) {
        slot *s = &slots[position(bound, &r)];
        if (s->block != NULL) sum += drop(s);
        else fill(s, &r, t->doublings);
    }
    for (size_t i = 0; i < t->slots; i++)
        if (slots[i].block != NULL) sum += drop(&slots[i]);
    free(slots);
    return sum;
}

static uint64_t run(const params *p, unsigned doublings) {
    alloc_test t = {scaled_per_thread(p, 8000000), SLOTS / p->threads, doublings};
    return on_threads(p->threads, alloc_test_thread, &t);
}

uint64_t run_alloc_test(const params *p) { return run(p, 8); }
uint64_t run_alloc_test_64k(const params *p) { return run(p, 14); }
