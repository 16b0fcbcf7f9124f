// Binary decision diagrams: many small nodes that live long, swept now and then.
//
// Stands where espresso (logic minimisation) stands in Zorn and Grunwald's suite. Algorithms: Bryant 1986 (reduced
// ordered BDDs, unique table, operation cache); the function is the N-queens board, Bryant's and Andersen's example.
// Hashes use serial numbers, never addresses, so that every engine does the same work.
#include "workload.h"

typedef struct node {
    uint32_t variable, serial, marked;
    struct node *low, *high, *chained;
} node;

enum { BOARD = 9, UNIQUE_BUCKETS = 1 << 16, CACHE_ENTRIES = 1 << 16, TERMINAL = 1u << 30 };

typedef struct {
    node *left, *right, *result;
} cached;

typedef struct {
    node *unique[UNIQUE_BUCKETS];
    cached cache[CACHE_ENTRIES];
    node *zero, *one;
    uint32_t serials;
    uint64_t created;
} manager;

static node *node_new(manager *m, uint32_t variable, node *low, node *high) {
    node *n = allocate(sizeof *n);
    *n = (node){.variable = variable, .serial = m->serials++, .low = low, .high = high};
    m->created++;
    return n;
}

static size_t hash3(uint32_t a, uint32_t b, uint32_t c) {
    return mix64(((uint64_t)a << 40) ^ ((uint64_t)b << 20) ^ c);
}

static node *make(manager *m, uint32_t variable, node *low, node *high) {
    if (low == high) return low;
    node **bucket = &m->unique[hash3(variable, low->serial, high->serial) % UNIQUE_BUCKETS];
    for (node *n = *bucket; n != NULL; n = n->chained)
        if (n->variable == variable && n->low == low && n->high == high) return n;
    node *fresh = node_new(m, variable, low, high);
    fresh->chained = *bucket;
    return *bucket = fresh;
}

static node *conjoin(manager *m, node *a, node *b);

static node *conjoin_children(manager *m, node *a, node *b) {
    uint32_t v = a->variable < b->variable ? a->variable : b->variable;
    node *low = conjoin(m, a->variable == v ? a->low : a, b->variable == v ? b->low : b);
    node *high = conjoin(m, a->variable == v ? a->high : a, b->variable == v ? b->high : b);
    return make(m, v, low, high);
}

static node *conjoin(manager *m, node *a, node *b) {
    if (a == m->zero || b == m->zero) return m->zero;
    if (a == m->one || a == b) return b;
    if (b == m->one) return a;
    cached *entry = &m->cache[hash3(a->serial, b->serial, 7) % CACHE_ENTRIES];
    if (entry->left == a && entry->right == b) return entry->result;
    node *result = conjoin_children(m, a, b);
    *entry = (cached){a, b, result};
    return result;
}

static void mark(node *n) {
    if (n->marked) return;
    n->marked = 1;
    if (n->variable == TERMINAL) return;
    mark(n->low);
    mark(n->high);
}

static void sweep_bucket(node **link) {
    while (*link != NULL) {
        node *n = *link;
        if (n->marked) {
            n->marked = 0;
            link = &n->chained;
        } else {
            *link = n->chained;
            free(n);
        }
    }
}

static void sweep(manager *m, node *root) {
    mark(root);
    for (size_t i = 0; i < UNIQUE_BUCKETS; i++) sweep_bucket(&m->unique[i]);
    m->zero->marked = m->one->marked = 0;
    memset(m->cache, 0, sizeof m->cache);
}

static int attacks(int n, int a, int b) {
    int row = a / n - b / n, column = a % n - b % n;
    return row == 0 || column == 0 || row == column || row == -column;
}

// "If a queen stands on `square`, none stands on any square that it attacks."
static node *square_rule(manager *m, int n, int square) {
    node *clear = m->one;
    for (int other = n * n; other-- > 0;)
        if (other > square && attacks(n, square, other)) clear = make(m, (uint32_t)other, clear, m->zero);
    return make(m, (uint32_t)square, m->one, clear);
}

static node *row_rule(manager *m, int n, int row) { // some queen in each row
    node *some = m->zero;
    for (int column = n; column-- > 0;) some = make(m, (uint32_t)(row * n + column), some, m->one);
    return some;
}

static uint64_t count_paths(const manager *m, const node *n) {
    if (n == m->zero) return 0;
    if (n == m->one) return 1;
    return count_paths(m, n->low) + count_paths(m, n->high);
}

static uint64_t queens(manager *m, int n) {
    node *board = m->one;
    for (int row = n; row-- > 0;) {
        for (int column = n; column-- > 0;) board = conjoin(m, square_rule(m, n, row * n + column), board);
        board = conjoin(m, row_rule(m, n, row), board);
        if (row % 3 == 0) sweep(m, board);
    }
    return count_paths(m, board);
}

static manager *manager_new(void) {
    manager *m = must(calloc(1, sizeof *m));
    m->zero = node_new(m, TERMINAL, NULL, NULL);
    m->one = node_new(m, TERMINAL, NULL, NULL);
    return m;
}

static void manager_drop(manager *m) {
    sweep(m, m->one);
    free(m->zero), free(m->one), free(m);
}

uint64_t run_bdd(const params *p) {
    uint64_t checksum = 0, rounds = scaled(p, 150);
    for (uint64_t i = 0; i < rounds; i++) {
        manager *m = manager_new();
        checksum += queens(m, BOARD) * 1000003 + m->created;
        manager_drop(m);
    }
    return checksum;
}
