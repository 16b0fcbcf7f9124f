// A program drawn at random: see generate.c.
#ifndef FERRIMALLOC_GENERATE_H
#define FERRIMALLOC_GENERATE_H

#include "workload.h"

enum law { EVEN, POWER, LOGARITHMIC, FEW, ONE, LAWS };
enum shape { TABLE, QUEUE, STACK, BATCH, SHAPES };
enum order { FORWARDS, BACKWARDS, SCATTERED, ORDERS };
enum touch { ENDS, EACH_PAGE, WHOLE };
enum growth { BY_64, BY_HALF, TO_DOUBLE, TO_HALF, GROWTHS };
enum heirs { NOTHING_LEFT, ALL_LEFT };

enum { POOLS = 4, LISTED = 6, PLACES = 256, MOST_PARCEL = 256, OS_PAGE = 4096, LEAST_BYTES = 8 };
#define LIVE_BYTES ((size_t)64 << 20) // at most this in one pool of all threads
#define WORK 1.5e9 // in touched bytes, about; a third of a second

typedef struct {
    enum law law;
    size_t low, high;
    unsigned doublings;
    size_t listed[LISTED];
} size_distribution;

typedef struct {
    enum shape shape;
    enum order order; // in which a batch is freed
    size_distribution sizes;
    size_t slots;
    unsigned weight; // how often this pool is used, beside the others
    enum touch touch;
    unsigned swapped, grown, zeroed, aligned; // of 1,000 blocks
    unsigned parcel;                          // blocks swapped at once
    enum growth growth;
} pool_kind;

typedef struct {
    uint64_t seed, operations; // of each thread in each generation
    unsigned threads, generations, pools;
    enum heirs heirs;
    pool_kind pool[POOLS];
} plan;

plan plan_draw(uint64_t seed, double scale);
uint64_t plan_run(const plan *p);
void plan_describe(const plan *p);

#endif
