// Two kinds of threads of a server: the even ones parse a request into a list of fields, the odd ones answer: they make
// a response, free the request, and hand the response back to be freed by the thread that parsed. And threads that
// live for eight blocks only.
//
// Sources: the server patterns of issue 5 ("two-thread server", "threads created and ended"); cf. Larson and Krishnan
// 1998 on thread per request.
#include "workload.h"

#include <semaphore.h>

// --- a ring with one writer and one reader -------------------------------------------------------------------------

enum { RING = 64, BUNDLE = 16 };

typedef struct {
    sem_t filled, vacant;
    unsigned head, tail; // the writer's and the reader's
    void *item[RING];
} ring;

static void ring_init(ring *r) {
    memset(r, 0, sizeof *r);
    sem_init(&r->filled, 0, 0);
    sem_init(&r->vacant, 0, RING);
}

static void await(sem_t *s) {
    while (sem_wait(s) != 0) {}
}

static void ring_push(ring *r, void *item) {
    await(&r->vacant);
    r->item[r->head++ % RING] = item;
    sem_post(&r->filled);
}

static void *ring_take(ring *r) { // after `filled` was taken
    void *item = r->item[r->tail++ % RING];
    sem_post(&r->vacant);
    return item;
}

static void *ring_try_pop(ring *r) { return sem_trywait(&r->filled) == 0 ? ring_take(r) : NULL; }
static void *ring_pop(ring *r) { return await(&r->filled), ring_take(r); }

// --- requests and responses ----------------------------------------------------------------------------------------

typedef struct field {
    struct field *next;
    char *name, *value;
} field;

typedef struct {
    ring requests, responses;
} connection;

typedef struct {
    connection *connections;
    uint64_t count;
} service;

static char *text(rng *r, size_t low, size_t high) {
    size_t bytes = rng_between(r, low, high);
    char *s = allocate(bytes);
    stamp(s, bytes, bytes);
    return s;
}

static field *parse(rng *r) {
    field *list = NULL;
    for (size_t i = rng_between(r, 4, 16); i-- > 0;) {
        field *f = allocate(sizeof *f);
        *f = (field){list, text(r, 8, 24), text(r, 8, 200)};
        list = f;
    }
    return list;
}

static uint64_t answer(field *list) { // frees the request; the length of the response
    uint64_t bytes = 64;
    while (list != NULL) {
        field *next = list->next;
        bytes += stamp_of(list->value);
        free(list->name), free(list->value), free(list);
        list = next;
    }
    return bytes;
}

static uint64_t collect(void *response) {
    uint64_t value = stamp_of(response);
    free(response);
    return value;
}

// Requests and responses travel in bundles, as a server reads several from one socket buffer.
typedef struct {
    void *item[BUNDLE];
} bundle;

static bundle *bundle_of_requests(rng *r) {
    bundle *b = allocate(sizeof *b);
    for (int i = 0; i < BUNDLE; i++) b->item[i] = parse(r);
    return b;
}

static uint64_t bundle_collect(bundle *b) {
    uint64_t sum = 0;
    for (int i = 0; i < BUNDLE; i++) sum += collect(b->item[i]);
    free(b);
    return sum;
}

static void *respond(field *request) {
    uint64_t bytes = answer(request);
    void *response = allocate(bytes);
    stamp(response, bytes, bytes);
    return response;
}

static uint64_t front(connection *c, unsigned index, uint64_t count) {
    rng r = rng_new(index);
    uint64_t sum = 0, received = 0;
    for (uint64_t i = 0; i < count; i++) {
        ring_push(&c->requests, bundle_of_requests(&r));
        bundle *responses = ring_try_pop(&c->responses);
        if (responses != NULL) sum += bundle_collect(responses), received++;
    }
    for (; received < count; received++) sum += bundle_collect(ring_pop(&c->responses));
    return sum;
}

static uint64_t back(connection *c, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        bundle *b = ring_pop(&c->requests);
        for (int j = 0; j < BUNDLE; j++) b->item[j] = respond(b->item[j]);
        ring_push(&c->responses, b);
    }
    return 0;
}

static uint64_t service_member(unsigned index, void *shared) {
    service *s = shared;
    connection *c = &s->connections[index / 2];
    return index % 2 == 0 ? front(c, index, s->count) : back(c, s->count);
}

static connection *connections_new(unsigned count) {
    connection *c = allocate(count * sizeof *c);
    for (unsigned i = 0; i < count; i++) ring_init(&c[i].requests), ring_init(&c[i].responses);
    return c;
}

uint64_t run_server(const params *p) {
    unsigned pairs = p->threads < 2 ? 1 : p->threads / 2;
    service s = {connections_new(pairs), scaled(p, 800000) / BUNDLE / pairs + 1};
    uint64_t sum = on_threads(pairs * 2, service_member, &s);
    free(s.connections);
    return sum;
}

// --- threads that live for eight blocks ------------------------------------------------------------------------------

static uint64_t brief_thread(unsigned index, void *shared) {
    uint64_t seed = *(uint64_t *)shared, sum = 0;
    rng r = rng_new(seed * 64 + index);
    void *block[8];
    for (int i = 0; i < 8; i++) {
        size_t bytes = rng_power_law(&r, 16, 6);
        stamp(block[i] = allocate(bytes), bytes, bytes);
    }
    for (int i = 0; i < 8; i++) sum += collect(block[i]);
    return sum;
}

uint64_t run_thread_churn(const params *p) {
    uint64_t rounds = scaled_per_thread(p, 20000), sum = 0;
    for (uint64_t i = 0; i < rounds; i++) sum += on_threads(p->threads, brief_thread, &i);
    return sum;
}
