// Programs drawn at random, so that nobody can tune an engine to a fixed list: `workload --generate SEED [SCALE]`.
//
// A program has 1 to 16 threads in one or more generations, and 1 to 4 *pools*. A pool is what blocks of one kind live
// in: a table with random replacement, a queue, a stack, or a batch that is dropped as a whole. Each has its own
// distribution of sizes, its own share of blocks that another thread frees (by swapping single blocks or parcels
// through an exchange), that grow by realloc, that are zeroed or aligned, and its own way to touch them. All of this
// depends on the seed.
//
// What a thread draws depends on its own random numbers alone, never on what another thread left to it, so the number
// of allocations and the sum over all freed blocks are the same however threads interleave.
#include "generate.h"

#include <pthread.h>
#include <stdatomic.h>

// --- drawing a program -----------------------------------------------------------------------------------------------

static size_t log_between(rng *r, size_t low, size_t high) { // every doubling is as frequent
    size_t bytes = low;
    while (bytes < high && rng_below(r, 64 - (size_t)__builtin_clzll(high / bytes)) != 0) bytes *= 2;
    return bytes + rng_below(r, bytes < high ? (high - bytes < bytes ? high - bytes : bytes) : 1);
}

static unsigned one_of(rng *r, const unsigned *choice, size_t count) { return choice[rng_below(r, count)]; }
#define LIST(...) ((const unsigned[]){__VA_ARGS__})
#define ONE_OF(r, ...) one_of(r, LIST(__VA_ARGS__), sizeof LIST(__VA_ARGS__) / sizeof(unsigned))

static size_distribution draw_sizes(rng *r) {
    static const size_t limits[] = {128, 512, 1024, 1024, 4096, 4096, 16384, 65536, 262144};
    size_distribution d = {.law = (enum law)rng_below(r, LAWS)};
    d.high = limits[rng_below(r, sizeof limits / sizeof *limits)];
    d.low = LEAST_BYTES << rng_below(r, 3);
    for (d.doublings = 1; d.low << d.doublings < d.high; d.doublings++) {}
    for (int i = 0; i < LISTED; i++) d.listed[i] = log_between(r, d.low, d.high);
    return d;
}

static size_t draw_bytes(const size_distribution *d, rng *r) {
    switch (d->law) {
    case EVEN: return rng_between(r, d->low, d->high);
    case POWER: return rng_power_law(r, d->low, d->doublings);
    case LOGARITHMIC: return d->low + rng_below(r, d->low << rng_below(r, d->doublings + 1));
    case FEW: return d->listed[rng_below(r, LISTED)];
    default: return d->listed[0];
    }
}

static double mean_bytes(const size_distribution *d) {
    enum { SAMPLES = 2048 };
    rng r = rng_new(1);
    double sum = 0;
    for (int i = 0; i < SAMPLES; i++) sum += (double)draw_bytes(d, &r);
    return sum / SAMPLES;
}

static size_t touched_bytes(enum touch touch, size_t bytes) {
    size_t pages = bytes / OS_PAGE * 64;
    return touch == WHOLE ? bytes : touch == EACH_PAGE ? 64 + pages : 64;
}

static pool_kind draw_pool(rng *r, unsigned threads) {
    pool_kind k = {.shape = (enum shape)rng_below(r, SHAPES), .order = (enum order)rng_below(r, ORDERS)};
    k.sizes = draw_sizes(r);
    k.weight = ONE_OF(r, 1, 2, 4, 8);
    k.touch = (enum touch)ONE_OF(r, ENDS, ENDS, ENDS, EACH_PAGE, WHOLE);
    k.swapped = threads == 1 ? 0 : ONE_OF(r, 0, 0, 0, 10, 50, 250, 500, 1000);
    k.parcel = ONE_OF(r, 1, 1, 8, 64, MOST_PARCEL);
    k.grown = ONE_OF(r, 0, 0, 0, 0, 10, 50, 200);
    k.growth = (enum growth)rng_below(r, GROWTHS);
    k.zeroed = ONE_OF(r, 0, 0, 0, 100, 500, 1000);
    k.aligned = ONE_OF(r, 0, 0, 0, 0, 20, 200);
    size_t most = (size_t)((double)LIVE_BYTES / threads / (mean_bytes(&k.sizes) + 16)) + 1;
    k.slots = log_between(r, 8, 1 << 17);
    if (k.slots > most) k.slots = most < 8 ? 8 : most;
    size_t parcels = (size_t)((double)LIVE_BYTES / PLACES / mean_bytes(&k.sizes)) + 1;
    if (k.parcel > parcels) k.parcel = (unsigned)parcels;
    return k;
}

static double cost_per_operation(const plan *p) { // in bytes touched, the call itself as 150
    double sum = 0, weights = 0;
    for (unsigned i = 0; i < p->pools; i++) {
        const pool_kind *k = &p->pool[i];
        double bytes = mean_bytes(&k->sizes);
        double copied = bytes * (double)k->grown / 1000 + bytes * (double)k->zeroed / 1000;
        sum += k->weight * (150 + copied + (double)touched_bytes(k->touch, (size_t)bytes));
        weights += k->weight;
    }
    return sum / weights;
}

plan plan_draw(uint64_t seed, double scale) {
    rng r = rng_new(seed * 7919 + 1);
    plan p = {.seed = seed, .threads = ONE_OF(&r, 1, 1, 1, 2, 2, 4, 8, 16)};
    p.pools = (unsigned)rng_between(&r, 1, POOLS);
    p.generations = ONE_OF(&r, 1, 1, 1, 4, 16, 64);
    p.heirs = (enum heirs)rng_below(&r, 2);
    for (unsigned i = 0; i < p.pools; i++) p.pool[i] = draw_pool(&r, p.threads);
    p.operations = (uint64_t)(scale * WORK / cost_per_operation(&p) / p.threads / p.generations) + 1;
    return p;
}

// --- blocks ----------------------------------------------------------------------------------------------------------

typedef struct {
    uint32_t bytes, mark;
} block;

static block *block_make(const pool_kind *k, size_t bytes, rng *r) {
    size_t dice = rng_below(r, 1000), align = (size_t)16 << rng_below(r, 6);
    void *made = NULL;
    if (dice < k->zeroed) return must(calloc(1, bytes));
    if (dice >= 1000 - k->aligned) return posix_memalign(&made, align, bytes) == 0 ? made : must(NULL);
    return allocate(bytes);
}

static void block_touch(block *b, enum touch touch) {
    unsigned char *byte = (unsigned char *)b;
    size_t step = touch == WHOLE ? 1 : touch == EACH_PAGE ? OS_PAGE : b->bytes;
    if (step == 1) memset(byte + sizeof *b, (int)b->mark, b->bytes - sizeof *b);
    else
        for (size_t at = step; at < b->bytes; at += step) byte[at] = (unsigned char)b->mark;
    if (b->bytes > sizeof *b) byte[b->bytes - 1] = (unsigned char)b->mark;
}

static block *block_new(const pool_kind *k, rng *r) {
    size_t bytes = draw_bytes(&k->sizes, r);
    block *b = block_make(k, bytes, r);
    *b = (block){(uint32_t)bytes, (uint32_t)rng_next(r)};
    block_touch(b, k->touch);
    return b;
}

// The mark; a block whose last byte has changed counts as wrong in the upper half.
static uint64_t block_free(block *b) {
    if (b == NULL) return 0;
    int intact = b->bytes == sizeof *b || ((unsigned char *)b)[b->bytes - 1] == (unsigned char)b->mark;
    uint64_t mark = b->mark;
    free(b);
    return intact ? mark : (uint64_t)1 << 56;
}

static size_t grown_bytes(enum growth growth, size_t bytes) {
    switch (growth) {
    case BY_64: return bytes + 64;
    case BY_HALF: return bytes + bytes / 2;
    case TO_DOUBLE: return bytes * 2;
    default: return bytes / 2 < sizeof(block) ? sizeof(block) : bytes / 2;
    }
}

static block *block_grow(block *b, const pool_kind *k) {
    size_t bytes = grown_bytes(k->growth, b->bytes);
    if (bytes > 2 * k->sizes.high) return b;
    b = must(realloc(b, bytes));
    b->bytes = (uint32_t)bytes;
    if (bytes > sizeof *b) ((unsigned char *)b)[bytes - 1] = (unsigned char)b->mark;
    return b;
}

// --- what another thread frees ---------------------------------------------------------------------------------------

typedef struct {
    uint32_t length;
    block *item[];
} parcel;

typedef struct {
    _Atomic(block *) single[PLACES];
    _Atomic(parcel *) parcel[PLACES];
} exchange;

static uint64_t parcel_free(parcel *p) {
    if (p == NULL) return 0;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->length; i++) sum += block_free(p->item[i]);
    free(p);
    return sum;
}

static uint64_t exchange_clear(exchange *e) {
    uint64_t sum = 0;
    for (int i = 0; i < PLACES; i++) {
        sum += block_free(atomic_load(&e->single[i]));
        sum += parcel_free(atomic_load(&e->parcel[i]));
    }
    return sum;
}

// --- pools -----------------------------------------------------------------------------------------------------------

typedef struct {
    const pool_kind *kind;
    block **slot;
    size_t head, length; // of queues, stacks and batches
    parcel *packing;
} pool;

static pool pool_new(const pool_kind *k) {
    return (pool){.kind = k, .slot = must(calloc(k->slots, sizeof(block *)))};
}

static uint64_t pack(pool *p, block *b, exchange *e, size_t place) {
    size_t most = p->kind->parcel;
    if (p->packing == NULL) {
        p->packing = allocate(sizeof(parcel) + most * sizeof(block *));
        p->packing->length = 0;
    }
    p->packing->item[p->packing->length++] = b;
    if (p->packing->length < most) return 0;
    parcel *full = p->packing;
    p->packing = NULL;
    return parcel_free(atomic_exchange(&e->parcel[place], full));
}

static uint64_t release(pool *p, block *b, exchange *e, rng *r) { // frees a block, or one that it is swapped for
    size_t dice = rng_below(r, 1000), place = rng_below(r, PLACES);
    if (b == NULL) return 0;
    if (dice >= p->kind->swapped) return block_free(b);
    if (p->kind->parcel == 1) return block_free(atomic_exchange(&e->single[place], b));
    return pack(p, b, e, place);
}

static uint64_t table_turn(pool *p, exchange *e, rng *r) {
    block **slot = &p->slot[rng_below(r, p->kind->slots)];
    uint64_t sum = release(p, *slot, e, r);
    *slot = block_new(p->kind, r);
    return sum;
}

static uint64_t queue_turn(pool *p, exchange *e, rng *r) {
    block **slot = &p->slot[p->head++ % p->kind->slots];
    uint64_t sum = release(p, *slot, e, r);
    *slot = block_new(p->kind, r);
    return sum;
}

static uint64_t pop(pool *p, exchange *e, rng *r) {
    block *top = p->slot[--p->length];
    p->slot[p->length] = NULL;
    return release(p, top, e, r);
}

static uint64_t stack_turn(pool *p, exchange *e, rng *r) { // up or down, as a walk at random; two steps, one block
    uint64_t sum = 0;
    int down = (int)(rng_next(r) >> 63);
    if (p->length == p->kind->slots || (down && p->length > 0)) sum += pop(p, e, r);
    p->slot[p->length++] = block_new(p->kind, r);
    if (down && p->length > 0) sum += pop(p, e, r);
    return sum;
}

static uint64_t batch_free(pool *p, exchange *e, rng *r) {
    uint64_t sum = 0;
    for (size_t i = 0, n = p->length; i < n; i++) {
        size_t at = p->kind->order == FORWARDS ? i : p->kind->order == BACKWARDS ? n - 1 - i : (i * 7919 + 13) % n;
        if (p->kind->order == SCATTERED && n % 7919 == 0) at = i;
        sum += release(p, p->slot[at], e, r);
        p->slot[at] = NULL;
    }
    p->length = 0;
    return sum;
}

static uint64_t batch_turn(pool *p, exchange *e, rng *r) {
    uint64_t sum = p->length == p->kind->slots ? batch_free(p, e, r) : 0;
    p->slot[p->length++] = block_new(p->kind, r);
    return sum;
}

static void perhaps_grow(pool *p, rng *r) {
    size_t dice = rng_below(r, 1000), at = rng_below(r, p->kind->slots);
    if (dice < p->kind->grown && p->slot[at] != NULL) p->slot[at] = block_grow(p->slot[at], p->kind);
}

static uint64_t pool_turn(pool *p, exchange *e, rng *r) {
    static uint64_t (*const turn[SHAPES])(pool *, exchange *, rng *) = {table_turn, queue_turn, stack_turn, batch_turn};
    if (p->kind->grown > 0) perhaps_grow(p, r);
    return turn[p->kind->shape](p, e, r);
}

static uint64_t pool_drop(pool *p) {
    uint64_t sum = parcel_free(p->packing);
    for (size_t i = 0; i < p->kind->slots; i++) sum += block_free(p->slot[i]);
    free(p->slot);
    return sum;
}

// --- threads ---------------------------------------------------------------------------------------------------------

typedef struct {
    pool pool[POOLS];
    rng random;
} estate; // what a thread leaves to its successor

typedef struct {
    const plan *plan;
    exchange *exchange;
    estate *estates;
} run;

static void estate_fill(estate *s, const plan *p) {
    for (unsigned i = 0; i < p->pools; i++) s->pool[i] = pool_new(&p->pool[i]);
}

static uint64_t estate_drop(estate *s, const plan *p) {
    uint64_t sum = 0;
    for (unsigned i = 0; i < p->pools; i++) sum += pool_drop(&s->pool[i]);
    return sum;
}

static unsigned choose_pool(const plan *p, rng *r) {
    unsigned weights = 0, chosen = 0;
    for (unsigned i = 0; i < p->pools; i++) weights += p->pool[i].weight;
    for (size_t dice = rng_below(r, weights); dice >= p->pool[chosen].weight; chosen++) dice -= p->pool[chosen].weight;
    return chosen;
}

static uint64_t generation(unsigned index, void *shared) {
    run *u = shared;
    const plan *p = u->plan;
    estate *s = &u->estates[index];
    uint64_t sum = 0;
    if (p->heirs == NOTHING_LEFT) estate_fill(s, p);
    for (uint64_t i = 0; i < p->operations; i++) {
        pool *chosen = &s->pool[choose_pool(p, &s->random)];
        sum += pool_turn(chosen, u->exchange, &s->random);
    }
    if (p->heirs == NOTHING_LEFT) sum += estate_drop(s, p);
    return sum;
}

uint64_t plan_run(const plan *p) {
    run u = {p, must(calloc(1, sizeof(exchange))), must(calloc(p->threads, sizeof(estate)))};
    uint64_t sum = 0;
    for (unsigned i = 0; i < p->threads; i++) {
        u.estates[i].random = rng_new(p->seed * 1000 + i);
        if (p->heirs == ALL_LEFT) estate_fill(&u.estates[i], p);
    }
    for (unsigned i = 0; i < p->generations; i++) sum += on_threads(p->threads, generation, &u);
    for (unsigned i = 0; i < p->threads && p->heirs == ALL_LEFT; i++) sum += estate_drop(&u.estates[i], p);
    sum += exchange_clear(u.exchange);
    free(u.exchange), free(u.estates);
    return sum;
}

// --- saying what was drawn -------------------------------------------------------------------------------------------

static void describe_pool(const pool_kind *k) {
    static const char *const laws[] = {"even", "power", "logarithmic", "few", "one"};
    static const char *const shapes[] = {"table", "queue", "stack", "batch"};
    static const char *const touches[] = {"ends", "pages", "whole"};
    printf("; %s of %zu, weight %u, %s sizes %zu-%zu (mean %.0f), %s touched", shapes[k->shape], k->slots, k->weight,
           laws[k->sizes.law], k->sizes.low, k->sizes.high, mean_bytes(&k->sizes), touches[k->touch]);
    printf(", per mille %u swapped (%u at once) %u grown %u zeroed %u aligned", k->swapped, k->parcel, k->grown,
           k->zeroed, k->aligned);
}

void plan_describe(const plan *p) {
    printf("%u threads, %u generations%s, %llu operations each", p->threads, p->generations,
           p->heirs == ALL_LEFT ? " that inherit" : "", (unsigned long long)p->operations);
    for (unsigned i = 0; i < p->pools; i++) describe_pool(&p->pool[i]);
    printf("\n");
}
