// What a simulated day (day.c) is made of: a server's threads with their requests and connections, and their cache.
#ifndef FERRIMALLOC_DAY_H
#define FERRIMALLOC_DAY_H

#include "workload.h"

#include <stdatomic.h>

// Every block begins with this, and knows how long it is.
typedef struct object {
    struct object *next;
    uint32_t bytes, value;
} object;

typedef struct {
    object *parts; // of different sizes, as long as the connection lives
} connection;

// A thread of the server. Nobody else reads it while it runs.
typedef struct {
    void *day;
    unsigned index, version;
    rng random;
    uint64_t sum; // of the values of what it made
    long live;    // bytes made and not freed by it; negative where it frees what others made
    connection *connections;
    unsigned open, room;
    object *batch;
    long batch_bytes;
} server;

server server_new(void *day, unsigned index, unsigned minute);
void server_set_version(server *s, unsigned version);
// One minute's work: so many requests, towards so many connections and bytes in the cache.
void server_serve(server *s, unsigned requests, unsigned connections, long cache_bytes);
// Towards so many bytes in large blocks; 0 frees all of them.
void server_batch(server *s, long bytes);
// What `live` has become since the last call.
long server_take_live(server *s);
void server_close(server *s);

// A block with a size by a power law, in front of `next`.
object *object_new(server *s, size_t low, unsigned doublings, object *next);
void objects_free(server *s, object *list);

void cache_open(void);
void cache_flush(server *s);

#endif
