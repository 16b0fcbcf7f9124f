/* The pattern of Koka's runtime: it keeps the thread's theap in its own context, counts references without atomics, frees
 * cells whose size it knows where it stands, and puts long chains of frees off until the allocator's heartbeat. */
#include "../check.h"

typedef struct cell_s { long refs; long value; struct cell_s* tail; } cell_t;

typedef struct { mi_theap_t* theap; cell_t* delayed; unsigned long long beat; long made, freed; } context_t;

static cell_t* cons(context_t* ctx, long value, cell_t* tail) {
  cell_t* cell = (cell_t*)mi_theap_malloc_csize(ctx->theap, sizeof *cell);
  cell->refs = 1;
  cell->value = value;
  cell->tail = tail;
  ctx->made++;
  return cell;
}

static void free_cell(context_t* ctx, cell_t* cell) {
  mi_free_csize_nonnull(cell, sizeof *cell);
  ctx->freed++;
}

/* Drops a list: a few cells at once, the rest is put off. */
static void drop(context_t* ctx, cell_t* cell) {
  for (int budget = 50; cell != NULL && --cell->refs == 0; budget--) {
    cell_t* tail = cell->tail;
    free_cell(ctx, cell);
    cell = tail;
    if (budget == 0 && cell != NULL) {
      cell_t* last = cell;
      while (last->tail != NULL && last->refs == 1) last = last->tail;
      if (last->tail == NULL && last->refs == 1) {
        last->tail = ctx->delayed;
        ctx->delayed = cell;
      }
      return;
    }
  }
}

static void on_heartbeat(bool force, unsigned long long heartbeat, void* arg) {
  context_t* ctx = (context_t*)arg;
  CHECK(heartbeat >= ctx->beat);
  ctx->beat = heartbeat;
  for (int budget = 500; ctx->delayed != NULL && (force || budget > 0); budget--) {
    cell_t* cell = ctx->delayed;
    ctx->delayed = cell->tail;
    free_cell(ctx, cell);
  }
}

/* Reuses a unique cell in place, as the compiler would: no allocation at all. */
static cell_t* map_increment(context_t* ctx, cell_t* list) {
  for (cell_t* cell = list; cell != NULL; cell = cell->tail) {
    if (cell->refs != 1) return NULL;
    cell->value++;
  }
  (void)ctx;
  return list;
}

int main(void) {
  context_t ctx = {.theap = mi_heap_theap(mi_heap_main())};
  mi_register_deferred_free(&on_heartbeat, &ctx);
  for (int round = 0; round < 50; round++) {
    cell_t* list = NULL;
    for (long i = 0; i < 2000; i++) list = cons(&ctx, i, list);
    list = map_increment(&ctx, list);
    long sum = 0;
    for (cell_t* cell = list; cell != NULL; cell = cell->tail) sum += cell->value;
    CHECK(sum == 2000L * 2001 / 2);
    drop(&ctx, list);
  }
  mi_collect(true);
  on_heartbeat(true, ctx.beat, &ctx);
  CHECK(ctx.beat > 0);
  CHECK(ctx.delayed == NULL && ctx.freed == ctx.made && ctx.made == 100000);
  mi_register_deferred_free(NULL, NULL);
  return check_report();
}
