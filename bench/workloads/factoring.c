// Arbitrary-precision factoring: every number is an immutable heap block, dropped as soon as it has been used.
//
// Source of the pattern: cfrac (Barrett) in Zorn and Grunwald's allocator suite, also in mimalloc-bench. The program
// here is our own: Pollard's rho (1975) with the product of differences collected over 64 steps, as Brent did (1980),
// on a number of four 32-bit digits, and on the one of 44 decimal digits that mimalloc-bench gives to cfrac; division
// is Knuth's algorithm D (TAOCP 2, 4.3.1).
#include "workload.h"

typedef struct {
    uint32_t length; // digits in use; the top one is not zero, except in zero itself (length 1)
    uint32_t digit[];
} number;

static number *number_new(uint32_t length) {
    number *n = allocate(sizeof *n + length * sizeof(uint32_t));
    n->length = length;
    memset(n->digit, 0, length * sizeof(uint32_t));
    return n;
}

static number *number_from(uint64_t value) {
    number *n = number_new(value >> 32 ? 2 : 1);
    n->digit[0] = (uint32_t)value;
    if (n->length == 2) n->digit[1] = (uint32_t)(value >> 32);
    return n;
}

static number *trim(number *n) {
    while (n->length > 1 && n->digit[n->length - 1] == 0) n->length--;
    return n;
}

static int is_zero(const number *n) { return n->length == 1 && n->digit[0] == 0; }

static int compare(const number *a, const number *b) {
    if (a->length != b->length) return a->length < b->length ? -1 : 1;
    for (uint32_t i = a->length; i-- > 0;)
        if (a->digit[i] != b->digit[i]) return a->digit[i] < b->digit[i] ? -1 : 1;
    return 0;
}

static number *add(const number *a, const number *b) {
    const number *longer = a->length >= b->length ? a : b, *shorter = longer == a ? b : a;
    number *sum = number_new(longer->length + 1);
    uint64_t carry = 0;
    for (uint32_t i = 0; i < sum->length; i++) {
        carry += i < longer->length ? longer->digit[i] : 0;
        carry += i < shorter->length ? shorter->digit[i] : 0;
        sum->digit[i] = (uint32_t)carry;
        carry >>= 32;
    }
    return trim(sum);
}

static number *subtract(const number *a, const number *b) { // a >= b
    number *rest = number_new(a->length);
    uint64_t borrow = 0;
    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t d = (uint64_t)a->digit[i] - (i < b->length ? b->digit[i] : 0) - borrow;
        rest->digit[i] = (uint32_t)d;
        borrow = d >> 63;
    }
    return trim(rest);
}

static number *difference(const number *a, const number *b) {
    return compare(a, b) >= 0 ? subtract(a, b) : subtract(b, a);
}

static number *multiply(const number *a, const number *b) {
    number *product = number_new(a->length + b->length);
    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t carry = 0;
        for (uint32_t j = 0; j < b->length; j++) {
            carry += (uint64_t)a->digit[i] * b->digit[j] + product->digit[i + j];
            product->digit[i + j] = (uint32_t)carry;
            carry >>= 32;
        }
        product->digit[i + b->length] = (uint32_t)carry;
    }
    return trim(product);
}

static number *shift_left(const number *a, unsigned bits) { // bits < 32; one digit longer, untrimmed
    number *s = number_new(a->length + 1);
    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t wide = (uint64_t)a->digit[i] << bits;
        s->digit[i] |= (uint32_t)wide;
        s->digit[i + 1] = (uint32_t)(wide >> 32);
    }
    return s;
}

static number *shift_right(const number *a, unsigned bits) {
    number *s = number_new(a->length);
    for (uint32_t i = 0; i < a->length; i++) {
        uint64_t high = i + 1 < a->length ? a->digit[i + 1] : 0;
        s->digit[i] = (uint32_t)((((high << 32) | a->digit[i]) >> bits));
    }
    return trim(s);
}

static uint64_t estimate(const uint32_t *u, const number *v) { // Knuth's step D3; u points at the top digit
    uint32_t n = v->length;
    uint64_t top = ((uint64_t)u[0] << 32) | u[-1];
    uint64_t q = top / v->digit[n - 1], rest = top % v->digit[n - 1];
    while (q >> 32 || q * v->digit[n - 2] > ((rest << 32) | u[-2])) {
        q--;
        rest += v->digit[n - 1];
        if (rest >> 32) break;
    }
    return q;
}

static int subtract_multiple(uint32_t *u, const number *v, uint64_t q) { // D4; true if it went below zero
    uint64_t carry = 0, borrow = 0;
    for (uint32_t i = 0; i < v->length; i++) {
        carry += q * v->digit[i];
        uint64_t d = (uint64_t)u[i] - (uint32_t)carry - borrow;
        u[i] = (uint32_t)d;
        borrow = d >> 63;
        carry >>= 32;
    }
    uint64_t d = (uint64_t)u[v->length] - carry - borrow;
    u[v->length] = (uint32_t)d;
    return (int)(d >> 63);
}

static void add_back(uint32_t *u, const number *v) { // D6
    uint64_t carry = 0;
    for (uint32_t i = 0; i < v->length; i++) {
        carry += (uint64_t)u[i] + v->digit[i];
        u[i] = (uint32_t)carry;
        carry >>= 32;
    }
    u[v->length] += (uint32_t)carry;
}

static number *modulo_digit(const number *a, uint32_t m) {
    uint64_t rest = 0;
    for (uint32_t i = a->length; i-- > 0;) rest = ((rest << 32) | a->digit[i]) % m;
    return number_from(rest);
}

static number *copy(const number *a) {
    number *c = number_new(a->length);
    memcpy(c->digit, a->digit, a->length * sizeof(uint32_t));
    return c;
}

static number *modulo(const number *a, const number *m) {
    if (compare(a, m) < 0) return copy(a);
    if (m->length == 1) return modulo_digit(a, m->digit[0]);
    unsigned bits = (unsigned)__builtin_clz(m->digit[m->length - 1]);
    number *u = shift_left(a, bits), *v = trim(shift_left(m, bits));
    for (uint32_t j = u->length - v->length; j-- > 0;) {
        uint64_t q = estimate(u->digit + j + v->length, v);
        if (subtract_multiple(u->digit + j, v, q)) add_back(u->digit + j, v);
    }
    number *rest = shift_right(trim(u), bits);
    free(u);
    free(v);
    return rest;
}

static number *multiply_modulo(const number *a, const number *b, const number *m) {
    number *product = multiply(a, b), *rest = modulo(product, m);
    free(product);
    return rest;
}

static void replace(number **slot, number *next) {
    free(*slot);
    *slot = next;
}

static uint64_t greatest_common_divisor(const number *x, const number *y) {
    number *a = copy(x), *b = copy(y);
    while (!is_zero(b)) {
        number *rest = modulo(a, b);
        replace(&a, b);
        b = rest;
    }
    uint64_t divisor = a->digit[0] ^ ((uint64_t)a->length << 32);
    free(a);
    free(b);
    return divisor;
}

static void rho_step(number **x, const number *c, const number *n) { // x := x² + c mod n
    number *square = multiply_modulo(*x, *x, n), *sum = add(square, c);
    replace(x, modulo(sum, n));
    free(square);
    free(sum);
}

static void collect(number **product, const number *x, const number *y, const number *n) {
    number *d = difference(x, y);
    if (!is_zero(d)) replace(product, multiply_modulo(*product, d, n));
    free(d);
}

static uint64_t rho(const number *n, uint64_t steps) {
    number *x = number_from(2), *y = number_from(2), *c = number_from(1), *product = number_from(1);
    uint64_t checksum = 0;
    for (uint64_t i = 1; i <= steps; i++) {
        rho_step(&x, c, n);
        rho_step(&y, c, n);
        rho_step(&y, c, n);
        collect(&product, x, y, n);
        if (i % 64 == 0) checksum = mix64(checksum + greatest_common_divisor(product, n));
    }
    checksum += x->digit[0];
    free(x), free(y), free(c), free(product);
    return checksum;
}

uint64_t run_factoring(const params *p) {
    number *a = number_from(2305843009213693951u), *b = number_from(2305843009213693921u); // two primes of 61 bits
    number *n = multiply(a, b);
    uint64_t checksum = rho(n, scaled(p, 1400000));
    free(a), free(b), free(n);
    return checksum;
}

static number *number_parse(const char *decimal) {
    number *n = number_from(0), *ten = number_from(10);
    for (; *decimal != '\0'; decimal++) {
        number *shifted = multiply(n, ten), *digit = number_from((uint64_t)(*decimal - '0'));
        replace(&n, add(shifted, digit));
        free(shifted), free(digit);
    }
    free(ten);
    return n;
}

uint64_t run_factoring_44(const params *p) {
    number *n = number_parse("17545186520507317056371138836327483792789528");
    uint64_t checksum = rho(n, scaled(p, 900000));
    free(n);
    return checksum;
}
