// Blocks made by one thread and freed by another, through bounded queues of small parcels.
//
// Source of the pattern: xmalloc-test, Lever and Boreham, "malloc() performance in a multithreaded Linux environment",
// USENIX 2000. Three shapes: producer to consumer one to one, many producers to one consumer, and a ring in which every
// thread both makes blocks and frees its neighbour's.
#include "workload.h"

#include <pthread.h>

enum { PARCEL = 120, QUEUE = 32 };

typedef struct {
    void *block[PARCEL];
} parcel;

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t not_empty, not_full;
    parcel *item[QUEUE];
    unsigned head, length;
} queue;

static void queue_init(queue *q) {
    memset(q, 0, sizeof *q);
    pthread_mutex_init(&q->lock, NULL);
    pthread_cond_init(&q->not_empty, NULL);
    pthread_cond_init(&q->not_full, NULL);
}

static void queue_push(queue *q, parcel *given) {
    pthread_mutex_lock(&q->lock);
    while (q->length == QUEUE) pthread_cond_wait(&q->not_full, &q->lock);
    q->item[(q->head + q->length++) % QUEUE] = given;
    pthread_cond_signal(&q->not_empty);
    pthread_mutex_unlock(&q->lock);
}

static parcel *queue_pop(queue *q) {
    pthread_mutex_lock(&q->lock);
    while (q->length == 0) pthread_cond_wait(&q->not_empty, &q->lock);
    parcel *taken = q->item[q->head];
    q->head = (q->head + 1) % QUEUE;
    q->length--;
    pthread_cond_signal(&q->not_full);
    pthread_mutex_unlock(&q->lock);
    return taken;
}

static parcel *pack(rng *r) {
    parcel *made = allocate(sizeof *made);
    for (int i = 0; i < PARCEL; i++) {
        size_t bytes = rng_between(r, 16, 512);
        made->block[i] = allocate(bytes);
        stamp(made->block[i], bytes, bytes);
    }
    return made;
}

static uint64_t unpack(parcel *got) {
    uint64_t sum = 0;
    for (int i = 0; i < PARCEL; i++) {
        sum += stamp_of(got->block[i]);
        free(got->block[i]);
    }
    free(got);
    return sum;
}

typedef struct {
    queue *queues;
    unsigned threads;
    uint64_t parcels; // that each producer makes
} shape;

static uint64_t produce(queue *to, uint64_t seed, uint64_t parcels) {
    rng r = rng_new(seed);
    for (uint64_t i = 0; i < parcels; i++) queue_push(to, pack(&r));
    return 0;
}

static uint64_t consume(queue *from, uint64_t parcels) {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < parcels; i++) sum += unpack(queue_pop(from));
    return sum;
}

static uint64_t pair_member(unsigned index, void *shared) { // even: producer, odd: its consumer
    shape *s = shared;
    queue *q = &s->queues[index / 2];
    return index % 2 == 0 ? produce(q, index, s->parcels) : consume(q, s->parcels);
}

static uint64_t fan_in_member(unsigned index, void *shared) { // 0: the consumer
    shape *s = shared;
    queue *q = &s->queues[0];
    return index == 0 ? consume(q, s->parcels * (s->threads - 1)) : produce(q, index, s->parcels);
}

static uint64_t ring_member(unsigned index, void *shared) {
    shape *s = shared;
    queue *in = &s->queues[index], *out = &s->queues[(index + 1) % s->threads];
    rng r = rng_new(index);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < s->parcels; i++) {
        queue_push(out, pack(&r));
        sum += unpack(queue_pop(in));
    }
    return sum;
}

static uint64_t run_shape(const params *p, uint64_t parcels, uint64_t (*member)(unsigned, void *)) {
    queue queues[p->threads];
    for (unsigned i = 0; i < p->threads; i++) queue_init(&queues[i]);
    shape s = {queues, p->threads, parcels == 0 ? 1 : parcels};
    return on_threads(p->threads, member, &s);
}

uint64_t run_handoff_pairs(const params *p) {
    params even = {p->threads + p->threads % 2, p->scale};
    return run_shape(&even, scaled(p, 200000) / (even.threads / 2), pair_member);
}

uint64_t run_handoff_fan_in(const params *p) {
    params several = {p->threads < 2 ? 2 : p->threads, p->scale};
    return run_shape(&several, scaled(p, 160000) / (several.threads - 1), fan_in_member);
}

uint64_t run_handoff_ring(const params *p) { return run_shape(p, scaled(p, 200000) / p->threads, ring_member); }
