// Two-level logic minimisation: covers of cubes are expanded against the off-set, made irredundant and cut apart again.
//
// Stands beside `bdd` where espresso stands in Zorn and Grunwald's suite: small sets in growing arrays, most of them
// trials that are dropped at once. Our own program after the textbook steps (Brayton et al. 1984: expand, irredundant,
// sharp). A cube has two bits for each input: may be 0, may be 1.
#include "workload.h"

typedef struct {
    uint32_t words, bits[]; // 16 inputs a word
} cube;

typedef struct {
    cube **item;
    size_t length, capacity;
} cover;

enum { INPUTS_PER_WORD = 16 };

static cube *cube_new(uint32_t words) {
    cube *c = allocate(sizeof *c + words * sizeof(uint32_t));
    c->words = words;
    return c;
}

static cube *cube_copy(const cube *a) {
    cube *c = cube_new(a->words);
    memcpy(c->bits, a->bits, a->words * sizeof(uint32_t));
    return c;
}

static cube *minterm(uint32_t words, rng *r) {
    cube *c = cube_new(words);
    for (uint32_t i = 0; i < words; i++) {
        uint32_t ones = (uint32_t)rng_next(r) & 0x55555555u;
        c->bits[i] = ones << 1 | (ones ^ 0x55555555u);
    }
    return c;
}

static int holds(const cube *a, const cube *b) { // every point of b is one of a
    for (uint32_t i = 0; i < a->words; i++)
        if (b->bits[i] & ~a->bits[i]) return 0;
    return 1;
}

static int meets(const cube *a, const cube *b) {
    for (uint32_t i = 0; i < a->words; i++) {
        uint32_t both = a->bits[i] & b->bits[i];
        if (((both | both >> 1) & 0x55555555u) != 0x55555555u) return 0;
    }
    return 1;
}

static void cover_add(cover *c, cube *one) {
    if (c->length == c->capacity) {
        c->capacity = c->capacity == 0 ? 8 : c->capacity * 2;
        c->item = must(realloc(c->item, c->capacity * sizeof *c->item));
    }
    c->item[c->length++] = one;
}

static void cover_drop(cover *c) {
    for (size_t i = 0; i < c->length; i++) free(c->item[i]);
    free(c->item);
}

static int meets_any(const cover *c, const cube *one) {
    for (size_t i = 0; i < c->length; i++)
        if (meets(c->item[i], one)) return 1;
    return 0;
}

static void expand(cube **slot, const cover *off) { // frees one input after the other where no point of `off` is met
    for (uint32_t input = 0; input < (*slot)->words * INPUTS_PER_WORD; input++) {
        cube *trial = cube_copy(*slot);
        trial->bits[input / INPUTS_PER_WORD] |= 3u << input % INPUTS_PER_WORD * 2;
        if (meets_any(off, trial)) {
            free(trial);
        } else {
            free(*slot);
            *slot = trial;
        }
    }
}

static int held_by_another(const cover *c, size_t index) {
    for (size_t i = 0; i < c->length; i++)
        if (i != index && holds(c->item[i], c->item[index]) && (i < index || !holds(c->item[index], c->item[i])))
            return 1;
    return 0;
}

static cover irredundant(const cover *c) {
    cover kept = {0};
    for (size_t i = 0; i < c->length; i++)
        if (!held_by_another(c, i)) cover_add(&kept, cube_copy(c->item[i]));
    return kept;
}

static void sharp(cover *into, const cube *a, const cube *b) { // the points of a that aren't b's, as disjoint cubes
    cube *rest = cube_copy(a);
    for (uint32_t input = 0; input < a->words * INPUTS_PER_WORD; input++) {
        uint32_t word = input / INPUTS_PER_WORD, mask = 3u << input % INPUTS_PER_WORD * 2;
        uint32_t outside = rest->bits[word] & mask & ~b->bits[word];
        if (outside == 0) continue;
        cube *piece = cube_copy(rest);
        piece->bits[word] = (piece->bits[word] & ~mask) | outside;
        cover_add(into, piece);
        rest->bits[word] &= ~outside;
    }
    free(rest);
}

static cover sharp_all(cover pieces, const cube *b) {
    cover cut = {0};
    for (size_t i = 0; i < pieces.length; i++)
        if (meets(pieces.item[i], b)) sharp(&cut, pieces.item[i], b);
        else cover_add(&cut, cube_copy(pieces.item[i]));
    cover_drop(&pieces);
    return cut;
}

static uint64_t count_pieces(const cover *c, size_t most) { // of each cube without the ones just before it
    enum { BEFORE = 6 };
    uint64_t pieces = 0;
    for (size_t i = 0; i < c->length && i < most; i++) {
        cover rest = {0};
        cover_add(&rest, cube_copy(c->item[i]));
        for (size_t j = i > BEFORE ? i - BEFORE : 0; j < i; j++) rest = sharp_all(rest, c->item[j]);
        pieces += rest.length;
        cover_drop(&rest);
    }
    return pieces;
}

static cover random_cover(uint32_t words, size_t points, rng *r) {
    cover c = {0};
    for (size_t i = 0; i < points; i++) cover_add(&c, minterm(words, r));
    return c;
}

static uint64_t minimise(uint32_t words, size_t points, rng *r) {
    cover on = random_cover(words, points, r), off = random_cover(words, points, r);
    for (size_t i = 0; i < on.length; i++) expand(&on.item[i], &off);
    cover kept = irredundant(&on);
    uint64_t sum = kept.length * 1000003 + count_pieces(&kept, 64);
    cover_drop(&on), cover_drop(&off), cover_drop(&kept);
    return sum;
}

static uint64_t run(uint64_t functions, uint32_t words, size_t points) {
    rng r = rng_new(17);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < functions; i++) sum += minimise(words, points, &r);
    return sum;
}

uint64_t run_cover(const params *p) { return run(scaled(p, 1200), 1, 120); }
uint64_t run_cover_64(const params *p) { return run(scaled(p, 60), 4, 200); }
