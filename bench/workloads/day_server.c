// The server of a simulated day: requests with short-lived objects, connections that last, a cache in shards.
#include "day.h"

#include <pthread.h>

// --- objects ----------------------------------------------------------------------------------------------------------

static object *object_of(server *s, size_t bytes, object *next) {
    object *o = memset(allocate(bytes), 1, bytes);
    *o = (object){next, (uint32_t)bytes, (uint32_t)rng_next(&s->random)};
    s->live += (long)bytes;
    s->sum += o->value;
    return o;
}

object *object_new(server *s, size_t low, unsigned doublings, object *next) {
    return object_of(s, rng_power_law(&s->random, low, doublings), next);
}

static object *object_free(server *s, object *o) {
    object *next = o->next;
    s->live -= (long)o->bytes;
    free(o);
    return next;
}

void objects_free(server *s, object *list) {
    while (list != NULL) list = object_free(s, list);
}

static object *object_grown(server *s, object *o, size_t bytes) {
    s->live += (long)bytes - (long)o->bytes;
    o = must(realloc(o, bytes));
    memset((char *)o + o->bytes, 1, bytes - o->bytes);
    o->bytes = (uint32_t)bytes;
    return o;
}

// --- the cache: first in, first out, but every fourth entry gets a second chance ------------------------------------------------

enum { SHARDS = 64, INSERTED = 8, EVICTED = 12, EXPIRED = 3000, HOT = 4 };

typedef struct {
    pthread_mutex_t lock;
    object *oldest, **newest;
    long bytes;
} shard;

static shard shards[SHARDS];

// An entry's value hangs behind it.
typedef struct {
    object entry;
    object *payload;
    int is_spared;
} cached;

void cache_open(void) {
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&shards[i].lock, NULL);
        shards[i].oldest = NULL, shards[i].newest = &shards[i].oldest, shards[i].bytes = 0;
    }
}

static long weight(const cached *c) { return (long)(c->entry.bytes + c->payload->bytes); }

static void append(shard *at, cached *c) {
    c->entry.next = NULL;
    *at->newest = &c->entry;
    at->newest = &c->entry.next;
}

static cached *take_oldest(shard *at) {
    cached *c = (cached *)at->oldest;
    if (c == NULL) return NULL;
    at->oldest = c->entry.next;
    if (at->oldest == NULL) at->newest = &at->oldest;
    return c;
}

static void drop(server *s, shard *at, cached *c) {
    at->bytes -= weight(c);
    object_free(s, c->payload);
    object_free(s, &c->entry);
}

// At most `most` entries; false when there is nothing to do any more.
static int evict(server *s, shard *at, long bytes, unsigned most) {
    for (; most > 0 && at->bytes > bytes; most--) {
        cached *c = take_oldest(at);
        if (c == NULL) return 0;
        if (c->entry.value % HOT == 0 && !c->is_spared) {
            c->is_spared = 1;
            append(at, c);
        } else {
            drop(s, at, c);
        }
    }
    return at->bytes > bytes;
}

static cached *cached_new(server *s) {
    static const struct {
        size_t low;
        unsigned doublings;
    } sizes[2] = {{32, 7}, {48, 6}};
    cached *c = (cached *)object_of(s, 40 + 16 * rng_below(&s->random, 4), NULL);
    c->payload = object_new(s, sizes[s->version].low, sizes[s->version].doublings, NULL);
    c->is_spared = 0;
    return c;
}

static void cache_insert(server *s, long bytes_of_all) {
    cached *c = cached_new(s);
    shard *at = &shards[rng_below(&s->random, SHARDS)];
    pthread_mutex_lock(&at->lock);
    append(at, c);
    at->bytes += weight(c);
    evict(s, at, bytes_of_all / SHARDS, EVICTED);
    pthread_mutex_unlock(&at->lock);
}

// What the hour leaves no room for goes little by little.
static void cache_expire(server *s, long bytes_of_all) {
    for (unsigned i = 0; i < SHARDS; i++) {
        shard *at = &shards[(i + s->index * 16) % SHARDS];
        pthread_mutex_lock(&at->lock);
        evict(s, at, bytes_of_all / SHARDS + 65536, EXPIRED / SHARDS);
        pthread_mutex_unlock(&at->lock);
    }
}

void cache_flush(server *s) {
    for (int i = 0; i < SHARDS; i++) {
        pthread_mutex_lock(&shards[i].lock);
        for (cached *c; (c = take_oldest(&shards[i])) != NULL;) drop(s, &shards[i], c);
        pthread_mutex_unlock(&shards[i].lock);
    }
}

// --- requests ---------------------------------------------------------------------------------------------------------

static void answer(server *s) {
    object *reply = object_of(s, 256, NULL);
    unsigned doublings = (unsigned)rng_below(&s->random, 8);
    for (unsigned i = 0; i < doublings; i++) reply = object_grown(s, reply, (size_t)reply->bytes * 2);
    objects_free(s, reply);
}

static void request(server *s, long cache_bytes) {
    object *used = NULL;
    unsigned parts = (unsigned)rng_between(&s->random, 20, 60);
    for (unsigned i = 0; i < parts; i++) used = object_new(s, 16, 8, used);
    for (int i = 0; i < INSERTED && cache_bytes > 0; i++) cache_insert(s, cache_bytes);
    answer(s);
    objects_free(s, used);
}

// --- connections --------------------------------------------------------------------------------------------------------

enum { CHANGED = 60, OPENED = 200 };

static connection connection_open(server *s) {
    object *parts = object_of(s, 256, NULL);
    parts = object_of(s, rng_between(&s->random, 1024, 4096), parts);
    parts = object_of(s, rng_between(&s->random, 128, 512), parts);
    return (connection){object_new(s, 16, 4, parts)};
}

static void close_one(server *s) {
    unsigned which = (unsigned)rng_below(&s->random, s->open);
    objects_free(s, s->connections[which].parts);
    s->connections[which] = s->connections[--s->open];
}

static void open_one(server *s) {
    if (s->open == s->room) {
        s->room = s->room == 0 ? 256 : s->room * 2;
        s->connections = must(realloc(s->connections, s->room * sizeof *s->connections));
    }
    s->connections[s->open++] = connection_open(s);
}

static void serve_connections(server *s, unsigned wanted) {
    for (unsigned i = 0; i < CHANGED && s->open > 0; i++) close_one(s);
    for (unsigned i = 0; i < OPENED && s->open > wanted; i++) close_one(s);
    for (unsigned i = 0; i < OPENED && s->open < wanted; i++) open_one(s);
}

// --- the server's thread ------------------------------------------------------------------------------------------------

server server_new(void *day, unsigned index, unsigned minute) {
    return (server){.day = day, .index = index, .random = rng_new(index * 100000u + minute)};
}

void server_set_version(server *s, unsigned version) { s->version = version; }

void server_serve(server *s, unsigned requests, unsigned connections, long cache_bytes) {
    for (unsigned i = 0; i < requests; i++) request(s, cache_bytes);
    serve_connections(s, connections);
    if (cache_bytes > 0) cache_expire(s, cache_bytes);
}

enum { LARGE_PER_MINUTE = 4 };

void server_batch(server *s, long bytes) {
    if (bytes == 0) {
        objects_free(s, s->batch);
        s->batch = NULL, s->batch_bytes = 0;
    }
    for (int i = 0; i < LARGE_PER_MINUTE && s->batch_bytes < bytes; i++) {
        s->batch = object_of(s, rng_between(&s->random, 1 << 20, 8 << 20), s->batch);
        s->batch_bytes += s->batch->bytes;
    }
}

long server_take_live(server *s) {
    long live = s->live;
    s->live = 0;
    return live;
}

void server_close(server *s) {
    while (s->open > 0) close_one(s);
    free(s->connections);
    objects_free(s, s->batch);
    s->connections = NULL, s->room = 0, s->batch = NULL;
}
