// Tables of blocks from which each thread frees many and into which it puts many, in strides; every second time it also
// makes a parcel of blocks for another thread to free.
//
// Parameters of rptest (Jansson's rpmalloc-benchmark; in mimalloc-bench `T 0 1 2 500 1000 100 8 16000`): 1,000 blocks
// per thread, 30 to 99 allocations and four fifths as many frees per loop, a parcel every second loop, sizes from 8 to
// 16,000 bytes falling off linearly. The second set is its `0 2 2 500 1000 100 8 128000`: falling off exponentially to
// 128,000.
#include "workload.h"

#include <stdatomic.h>

enum { TABLE = 1000, ALLOCATE_STRIDE = 7, FREE_STRIDE = 11, LEAST = 8, OS_PAGE = 4096 };

typedef struct parcel {
    struct parcel *next;
    void **block;
    size_t count;
} parcel;

typedef struct {
    size_t largest;
    size_t (*bytes)(rng *, size_t largest);
} sizes;

typedef struct {
    _Atomic(parcel *) parcels;
    char apart[56]; // mailboxes don't share a cache line
} mailbox;

typedef struct {
    const sizes *sizes;
    mailbox *mailboxes;
    unsigned threads;
    uint64_t loops;
} rptest;

static double unit(rng *r) { return (double)(rng_next(r) >> 11) / 9007199254740992.0; }

static size_t linear_fall(rng *r, size_t largest) {
    double weight = unit(r) + unit(r) - 1;
    return LEAST + (size_t)((double)(largest - LEAST) * unit(r) * (weight < 0 ? -weight : weight));
}

static size_t exponential_fall(rng *r, size_t largest) {
    return LEAST + (size_t)((double)(largest - LEAST) * unit(r) * unit(r) * unit(r));
}

static void *block_new(const sizes *s, rng *r) {
    size_t bytes = s->bytes(r, s->largest);
    unsigned char *block = allocate(bytes);
    for (size_t at = OS_PAGE; at < bytes; at += OS_PAGE) block[at] = 1;
    stamp(block, bytes, bytes);
    return block;
}

static uint64_t block_drop(void *block) {
    if (block == NULL) return 0;
    uint64_t value = stamp_of(block);
    free(block);
    return value;
}

static uint64_t parcels_drop(parcel *p) {
    uint64_t sum = 0;
    while (p != NULL) {
        parcel *next = p->next;
        for (size_t i = 0; i < p->count; i++) sum += block_drop(p->block[i]);
        free(p->block), free(p);
        p = next;
    }
    return sum;
}

static void parcel_send(mailbox *to, const sizes *s, size_t count, rng *r) {
    parcel *p = allocate(sizeof *p);
    *p = (parcel){atomic_load(&to->parcels), allocate(count * sizeof(void *)), count};
    for (size_t i = 0; i < count; i++) p->block[i] = block_new(s, r);
    while (!atomic_compare_exchange_weak(&to->parcels, &p->next, p)) {}
}

static uint64_t free_some(void **slots, size_t *at, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++, *at = (*at + FREE_STRIDE) % TABLE) {
        sum += block_drop(slots[*at]);
        slots[*at] = NULL;
    }
    return sum;
}

static uint64_t replace_some(void **slots, size_t *at, size_t count, const sizes *s, rng *r) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++, *at = (*at + ALLOCATE_STRIDE) % TABLE) {
        sum += block_drop(slots[*at]);
        slots[*at] = block_new(s, r);
    }
    return sum;
}

static mailbox *other_mailbox(const rptest *t, unsigned index, uint64_t loop) {
    unsigned others = t->threads > 1 ? t->threads - 1 : 1;
    return &t->mailboxes[(index + 1 + (unsigned)(loop / 2 % others)) % t->threads];
}

static uint64_t rptest_thread(unsigned index, void *shared) {
    rptest *t = shared;
    void **slots = must(calloc(TABLE, sizeof *slots));
    size_t free_at = 0, allocate_at = 0;
    rng r = rng_new(index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < t->loops; i++) {
        parcel *received = atomic_exchange(&t->mailboxes[index].parcels, NULL);
        size_t allocations = rng_between(&r, 30, 99);
        sum += free_some(slots, &free_at, rng_between(&r, 30, 99) * 8 / 10);
        sum += parcels_drop(received);
        sum += replace_some(slots, &allocate_at, allocations, t->sizes, &r);
        if (i % 2 == 0) parcel_send(other_mailbox(t, index, i), t->sizes, allocations, &r);
    }
    for (int i = 0; i < TABLE; i++) sum += block_drop(slots[i]);
    free(slots);
    return sum;
}

static uint64_t run(const params *p, const sizes *s, uint64_t loops) {
    mailbox *mailboxes = must(calloc(p->threads, sizeof *mailboxes));
    rptest t = {s, mailboxes, p->threads, scaled_per_thread(p, loops)};
    uint64_t sum = on_threads(p->threads, rptest_thread, &t);
    for (unsigned i = 0; i < p->threads; i++) sum += parcels_drop(atomic_load(&mailboxes[i].parcels));
    free(mailboxes);
    return sum;
}

uint64_t run_rptest(const params *p) {
    static const sizes to_16k = {16000, linear_fall};
    return run(p, &to_16k, 30000);
}

uint64_t run_rptest_128k(const params *p) {
    static const sizes to_128k = {128000, exponential_fall};
    return run(p, &to_128k, 20000);
}
