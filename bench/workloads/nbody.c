// N-body simulation: each step builds an octree of single nodes, walks it, and drops it.
//
// Source: Barnes and Hut 1986; "barnes" stands in Hoard's suite and in mimalloc-bench. Two sizes: 20,000 bodies, and
// the 163,840 of mimalloc-bench's input. Our own program: a tree of malloc'ed cells, forces for a sample of the bodies
// so that the allocator remains visible.
#include "workload.h"

#include <math.h>

typedef struct {
    double x, y, z, speed_x, speed_y, speed_z;
} body;

typedef struct cell {
    double centre_x, centre_y, centre_z, half; // the cube
    double mass, x, y, z;                      // what lies in it: sum, then mean position
    const body *single;                        // set while exactly one body lies here
    struct cell *child[8];
} cell;

enum { FORCE_SAMPLE = 16, MAX_DEPTH = 48 };

static cell *cell_new(double x, double y, double z, double half) {
    cell *c = must(calloc(1, sizeof *c));
    c->centre_x = x, c->centre_y = y, c->centre_z = z, c->half = half;
    return c;
}

static int octant(const cell *c, const body *b) {
    return (b->x > c->centre_x) | (b->y > c->centre_y) << 1 | (b->z > c->centre_z) << 2;
}

static cell *child_for(cell *c, int octant) {
    if (c->child[octant] != NULL) return c->child[octant];
    double h = c->half / 2;
    double x = c->centre_x + (octant & 1 ? h : -h), y = c->centre_y + (octant & 2 ? h : -h);
    return c->child[octant] = cell_new(x, y, c->centre_z + (octant & 4 ? h : -h), h);
}

static void insert(cell *c, const body *b, int depth) {
    int empty = c->mass == 0;
    c->mass += 1, c->x += b->x, c->y += b->y, c->z += b->z;
    if (empty || depth == MAX_DEPTH) {
        c->single = b;
        return;
    }
    if (c->single != NULL) {
        const body *other = c->single;
        c->single = NULL;
        insert(child_for(c, octant(c, other)), other, depth + 1);
    }
    insert(child_for(c, octant(c, b)), b, depth + 1);
}

static cell *build(const body *bodies, uint64_t count) {
    cell *root = cell_new(0, 0, 0, 8);
    for (uint64_t i = 0; i < count; i++) insert(root, &bodies[i], 0);
    return root;
}

static void drop(cell *c) {
    for (int i = 0; i < 8; i++)
        if (c->child[i] != NULL) drop(c->child[i]);
    free(c);
}

static void pull(const cell *c, body *b) {
    double dx = c->x / c->mass - b->x, dy = c->y / c->mass - b->y, dz = c->z / c->mass - b->z;
    double square = dx * dx + dy * dy + dz * dz + 1e-3;
    if (c->single == NULL && 4 * c->half * c->half > square) { // too near: open the cell
        for (int i = 0; i < 8; i++)
            if (c->child[i] != NULL) pull(c->child[i], b);
        return;
    }
    double force = 1e-7 * c->mass / (square * sqrt(square));
    b->speed_x += dx * force, b->speed_y += dy * force, b->speed_z += dz * force;
}

static void move(body *b) {
    b->x += b->speed_x, b->y += b->speed_y, b->z += b->speed_z;
}

static void step(body *bodies, uint64_t count, uint64_t number) {
    cell *root = build(bodies, count);
    for (uint64_t i = number % FORCE_SAMPLE; i < count; i += FORCE_SAMPLE) pull(root, &bodies[i]);
    for (uint64_t i = 0; i < count; i++) move(&bodies[i]);
    drop(root);
}

static double unit(rng *r) { return (double)(rng_next(r) >> 11) / 9007199254740992.0 * 2 - 1; }

static void scatter(body *bodies, uint64_t count) {
    rng r = rng_new(7);
    for (uint64_t i = 0; i < count; i++)
        bodies[i] = (body){unit(&r), unit(&r), unit(&r), unit(&r) / 500, unit(&r) / 500, unit(&r) / 500};
}

static uint64_t run(uint64_t count, uint64_t steps) {
    body *bodies = allocate(count * sizeof *bodies);
    scatter(bodies, count);
    for (uint64_t i = 0; i < steps; i++) step(bodies, count, i);
    uint64_t checksum = 0;
    for (uint64_t i = 0; i < count; i++) checksum = checksum * 31 + (uint64_t)(int64_t)(bodies[i].x * 1e6);
    free(bodies);
    return checksum;
}

uint64_t run_nbody(const params *p) { return run(20000, scaled(p, 120)); }
uint64_t run_nbody_large(const params *p) { return run(163840, scaled(p, 8)); }
