// Larson's server: a lane of threads, each of which replaces random blocks of its table, hands the table to a successor
// that it starts, and ends. So most frees are of blocks of another, often dead, thread.
//
// Source: Larson and Krishnan, "Memory allocation for long-running server applications", ISMM 1998; parameters as in
// mimalloc-bench (`larson 5 8 1000 5000 100 4141 T`: sizes 8 to 1000, tables of 5,000), but with a fixed amount of work
// in place of a fixed time. The second set is that of Hoard's paper (`10 7 8 1000 10000 1 T`): 7 or 8 bytes, tables of
// 1,000, handed on after 10,000 replacements.
#include "workload.h"

#include <pthread.h>
#include <semaphore.h>

enum { LARGEST_TABLE = 5000, GENERATIONS = 40 };

typedef struct {
    size_t low, high, table;
    uint64_t total; // replacements of all lanes
    uint64_t each;  // of one thread of a lane, 0: so that there are GENERATIONS
} habits;

typedef struct {
    const habits *habits;
    void *slot[LARGEST_TABLE];
    rng random;
    uint64_t checksum, replacements;
    unsigned generations_left;
    sem_t finished;
} lane;

enum { STAMPED = 2 }; // bytes at a block's begin: the smallest has seven

static uint64_t block_free(unsigned char *block) {
    uint64_t value = 0;
    memcpy(&value, block, STAMPED);
    free(block);
    return value;
}

static void *block_new(lane *l) {
    size_t bytes = rng_between(&l->random, l->habits->low, l->habits->high);
    uint64_t value = bytes;
    unsigned char *block = allocate(bytes);
    memcpy(block, &value, STAMPED);
    block[bytes - 1] = (unsigned char)bytes;
    return block;
}

static void replace_some(lane *l) {
    for (uint64_t i = 0; i < l->replacements; i++) {
        void **slot = &l->slot[rng_below(&l->random, l->habits->table)];
        l->checksum += block_free(*slot);
        *slot = block_new(l);
    }
}

static void *generation(void *argument);

static void start_generation(lane *l) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, generation, l) != 0) must(NULL);
    pthread_detach(thread);
}

static void *generation(void *argument) {
    lane *l = argument;
    replace_some(l);
    if (--l->generations_left > 0) start_generation(l);
    else sem_post(&l->finished);
    return NULL;
}

static lane *lane_start(const habits *h, uint64_t seed, uint64_t replacements) {
    lane *l = allocate(sizeof *l);
    l->habits = h, l->random = rng_new(seed), l->checksum = 0;
    l->replacements = h->each == 0 ? replacements / GENERATIONS + 1 : h->each;
    l->generations_left = h->each == 0 ? GENERATIONS : (unsigned)(replacements / h->each) + 1;
    sem_init(&l->finished, 0, 0);
    for (size_t i = 0; i < h->table; i++) l->slot[i] = block_new(l);
    start_generation(l);
    return l;
}

static uint64_t lane_finish(lane *l) {
    while (sem_wait(&l->finished) != 0) {}
    for (size_t i = 0; i < l->habits->table; i++) free(l->slot[i]);
    uint64_t checksum = l->checksum;
    sem_destroy(&l->finished);
    free(l);
    return checksum;
}

static uint64_t run(const params *p, const habits *h) {
    lane *lanes[p->threads];
    uint64_t replacements = scaled_per_thread(p, h->total), checksum = 0;
    for (unsigned i = 0; i < p->threads; i++) lanes[i] = lane_start(h, i, replacements);
    for (unsigned i = 0; i < p->threads; i++) checksum += lane_finish(lanes[i]);
    return checksum;
}

uint64_t run_larson(const params *p) {
    static const habits mimalloc_bench = {8, 1000, 5000, 24000000, 0};
    return run(p, &mimalloc_bench);
}

uint64_t run_larson_hoard(const params *p) {
    static const habits hoard = {7, 8, 1000, 24000000, 10000};
    return run(p, &hoard);
}
