/* Free-threaded CPython on ferrimalloc. Included by Objects/obmalloc.c, in place of the mimalloc that CPython compiles into itself.
 *
 * Everything here goes through the public interface: mimalloc.h and mimalloc-qsbr.h. README.md tells what CPython wants from its
 * allocator and how each of these wishes is met.
 */

#include "pycore_interp.h"        // PyInterpreterState
#include "pycore_qsbr.h"          // _Py_qsbr_poll()
#include "pycore_tstate.h"        // _PyThreadStateImpl
#include "ferrimalloc/mimalloc-qsbr.h"

/* -- Allocation: through the theaps that the thread state knows -- */

static inline struct _mimalloc_thread_state *
current_theaps(void)
{
    return &((_PyThreadStateImpl *)_PyThreadState_GET())->mimalloc;
}

void *
_PyMem_MiMalloc(void *Py_UNUSED(ctx), size_t size)
{
    return mi_theap_malloc(current_theaps()->heaps[_Py_MIMALLOC_HEAP_MEM], size);
}

void *
_PyMem_MiCalloc(void *Py_UNUSED(ctx), size_t nelem, size_t elsize)
{
    return mi_theap_calloc(current_theaps()->heaps[_Py_MIMALLOC_HEAP_MEM], nelem, elsize);
}

void *
_PyMem_MiRealloc(void *Py_UNUSED(ctx), void *ptr, size_t size)
{
    return mi_theap_realloc(current_theaps()->heaps[_Py_MIMALLOC_HEAP_MEM], ptr, size);
}

void
_PyMem_MiFree(void *Py_UNUSED(ctx), void *ptr)
{
    mi_free(ptr);
}

void *
_PyObject_MiMalloc(void *Py_UNUSED(ctx), size_t nbytes)
{
    return mi_theap_malloc(current_theaps()->current_object_heap, nbytes);
}

void *
_PyObject_MiCalloc(void *Py_UNUSED(ctx), size_t nelem, size_t elsize)
{
    return mi_theap_calloc(current_theaps()->current_object_heap, nelem, elsize);
}

void *
_PyObject_MiRealloc(void *Py_UNUSED(ctx), void *ptr, size_t nbytes)
{
    return mi_theap_realloc(current_theaps()->current_object_heap, ptr, nbytes);
}

void
_PyObject_MiFree(void *Py_UNUSED(ctx), void *ptr)
{
    mi_free(ptr);
}

/* -- QSBR: what mimalloc-qsbr.h asks of a runtime -- */

// Null once the interpreter has ended: nobody reads its objects without holding them any more.
struct mi_heap_qsbr_s {
    struct _qsbr_shared *shared;
};

// 0: none.
struct mi_page_qsbr_s {
    uint64_t goal;
};

// The heap's state is made inside of mi_heap_new_qsbr(), which knows no interpreter: passed on beside it.
static _Py_thread_local struct {
    struct _qsbr_shared *shared;
    mi_heap_qsbr_t *made;
} new_heap;

PyAPI_FUNC(void)
mi_heap_qsbr_init(mi_heap_qsbr_t *heap)
{
    heap->shared = new_heap.shared;
    new_heap.made = heap;
}

PyAPI_FUNC(void)
mi_page_qsbr_clear(mi_page_qsbr_t *page)
{
    page->goal = 0;
}

PyAPI_FUNC(bool)
mi_page_qsbr_is_clear(const mi_page_qsbr_t *page)
{
    return page->goal == 0;
}

// The QSBR state of this thread, if it is attached to that interpreter. Only such a thread may look at other threads' states:
// nothing else keeps the array of these where it is.
static struct _qsbr_thread_state *
attached_qsbr(struct _qsbr_shared *shared)
{
    _PyThreadStateImpl *tstate = (_PyThreadStateImpl *)_PyThreadState_GET();
    if (tstate == NULL || &tstate->base.interp->qsbr != shared) {
        return NULL;
    }
    return tstate->qsbr;
}

PyAPI_FUNC(bool)
mi_page_qsbr_should_delay(mi_page_qsbr_t *page, mi_heap_qsbr_t *heap, size_t Py_UNUSED(page_bytes))
{
    struct _qsbr_shared *shared = _Py_atomic_load_ptr_relaxed(&heap->shared);
    if (shared == NULL) {
        return false;
    }
    struct _qsbr_thread_state *qsbr = attached_qsbr(shared);
    if (page->goal == 0) {
        page->goal = qsbr != NULL ? _Py_qsbr_deferred_advance(qsbr) : _Py_qsbr_advance(shared);
        return true;
    }
    if (qsbr != NULL) {
        return !_Py_qsbr_poll(qsbr, page->goal);
    }
    return !QSBR_LEQ(page->goal, _Py_atomic_load_uint64(&shared->rd_seq));
}

/* -- The heaps of an interpreter -- */

// The bytes at a block's beginning that lock-free readers look at after the object was freed, up to ob_type.
static size_t
preserved_bytes(int id)
{
    if (id == _Py_MIMALLOC_HEAP_MEM) {
        return 0;
    }
    size_t bytes = offsetof(PyObject, ob_type);
    if (_PyMem_DebugEnabled()) {
        // The debug allocator adds two words at the beginning of each block.
        bytes += 2 * sizeof(size_t);
    }
    if (id == _Py_MIMALLOC_HEAP_GC_PRE) {
        bytes += 2 * sizeof(PyObject *);
    }
    return bytes;
}

static mi_heap_t *
new_object_heap(PyInterpreterState *interp, int id)
{
    new_heap.shared = &interp->qsbr;
    mi_heap_t *heap = mi_heap_new_qsbr();
    if (heap != NULL) {
        interp->mimalloc.qsbr[id] = new_heap.made;
        mi_heap_set_debug_fill_preserve(heap, preserved_bytes(id));
    }
    return heap;
}

int
_PyMem_InitInterpreterHeaps(PyInterpreterState *interp)
{
    // An interpreter's heaps are many and mostly small: huge pages would keep 2 MiB resident for the last piece of each.
    // MIMALLOC_ALLOW_THP=1 in the environment has them.
    mi_option_set_default(mi_option_allow_thp, 0);
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        mi_heap_t *heap = id == _Py_MIMALLOC_HEAP_MEM ? mi_heap_new() : new_object_heap(interp, id);
        if (heap == NULL) {
            return -1;
        }
        interp->mimalloc.heaps[id] = heap;
    }
    return 0;
}

static bool
add_used(const mi_heap_t *Py_UNUSED(heap), const mi_heap_area_t *area,
         void *Py_UNUSED(block), size_t Py_UNUSED(block_size), void *sum)
{
    *(size_t *)sum += area->used;
    return true;
}

static size_t
used_blocks(mi_heap_t *heap)
{
    size_t used = 0;
    mi_heap_visit_blocks(heap, false, &add_used, &used);
    return used;
}

// Blocks may outlive the interpreter: extension modules and static types keep some, and free them later. So a heap goes only when it is
// empty. One of objects that isn't stays as it is, without an interpreter; empty pages don't wait in it any more.
void
_PyMem_FiniInterpreterHeaps(PyInterpreterState *interp)
{
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        mi_heap_t *heap = interp->mimalloc.heaps[id];
        mi_heap_qsbr_t *qsbr = interp->mimalloc.qsbr[id];
        interp->mimalloc.heaps[id] = NULL;
        interp->mimalloc.qsbr[id] = NULL;
        if (heap == NULL) {
            continue;
        }
        // Counted first: as long as pages wait, they can be looked at.
        bool is_empty = used_blocks(heap) == 0;
        if (qsbr != NULL) {
            _Py_atomic_store_ptr_relaxed(&qsbr->shared, NULL);
        }
        if (is_empty) {
            mi_heap_destroy(heap);
        }
        else if (qsbr == NULL) {
            mi_heap_delete(heap);
        }
    }
}

/* -- The theaps of a thread -- */

void
_PyMem_BindThreadHeaps(PyThreadState *tstate)
{
    struct _mimalloc_thread_state *mts = &((_PyThreadStateImpl *)tstate)->mimalloc;
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        mts->heaps[id] = mi_heap_theap(tstate->interp->mimalloc.heaps[id]);
        if (mts->heaps[id] == NULL) {
            // A null theap would stand for the process's main heap, where the collector doesn't look.
            Py_FatalError("no memory for a thread's heaps");
        }
    }
    mts->current_object_heap = mts->heaps[_Py_MIMALLOC_HEAP_OBJECT];
}

// Other threads may have the thread's pages. What another thread had is left to the allocator, which does the same when a thread ends.
void
_PyMem_AbandonThreadHeaps(PyThreadState *tstate)
{
    struct _mimalloc_thread_state *mts = &((_PyThreadStateImpl *)tstate)->mimalloc;
    if (tstate->thread_id != PyThread_get_thread_ident()) {
        return;
    }
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        mi_theap_quiescent_abandon(mts->heaps[id]);
    }
}

/* -- Questions -- */

static size_t
get_mimalloc_allocated_blocks(PyInterpreterState *interp)
{
    size_t used = 0;
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        if (interp->mimalloc.heaps[id] != NULL) {
            used += used_blocks(interp->mimalloc.heaps[id]);
        }
    }
    return used;
}

// By the heap of a block, or, where `block` is null, by that of the next allocation. A block of another interpreter might be of any kind.
static size_t
debug_fill_offset(const void *block)
{
    _PyThreadStateImpl *tstate = (_PyThreadStateImpl *)_PyThreadState_GET();
    mi_heap_t *heap = block == NULL ? NULL : mi_heap_of(block);
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        bool is_it = block == NULL ? tstate->mimalloc.heaps[id] == tstate->mimalloc.current_object_heap
                                   : tstate->base.interp->mimalloc.heaps[id] == heap;
        if (is_it) {
            return preserved_bytes(id);
        }
    }
    return preserved_bytes(_Py_MIMALLOC_HEAP_GC_PRE);
}

struct alloc_stats {
    size_t blocks;
    size_t bytes;
    size_t bytes_with_overhead;
    size_t reserved;
    size_t committed;
};

static bool
add_to_stats(const mi_heap_t *Py_UNUSED(heap), const mi_heap_area_t *area,
             void *Py_UNUSED(block), size_t Py_UNUSED(block_size), void *arg)
{
    struct alloc_stats *stats = (struct alloc_stats *)arg;
    stats->blocks += area->used;
    stats->bytes += area->used * area->block_size;
    stats->bytes_with_overhead += area->used * area->full_block_size;
    stats->reserved += area->reserved;
    stats->committed += area->committed;
    return true;
}

static void
py_mimalloc_print_stats(FILE *out)
{
    static const char *const NAMES[_Py_MIMALLOC_HEAP_COUNT] = {"mem", "object", "gc", "gc_pre"};
    PyInterpreterState *interp = _PyInterpreterState_GET();
    fprintf(out, "Small block threshold = %zu\n", MI_SMALL_SIZE_MAX);
    for (int id = 0; id < _Py_MIMALLOC_HEAP_COUNT; id++) {
        struct alloc_stats stats = { 0 };
        mi_heap_visit_blocks(interp->mimalloc.heaps[id], false, &add_to_stats, &stats);
        fprintf(out, "Heap %s:\n", NAMES[id]);
        fprintf(out, "    Allocated Blocks: %zd\n", stats.blocks);
        fprintf(out, "    Allocated Bytes: %zd\n", stats.bytes);
        fprintf(out, "    Allocated Bytes w/ Overhead: %zd\n", stats.bytes_with_overhead);
        fprintf(out, "    Bytes Reserved: %zd\n", stats.reserved);
        fprintf(out, "    Bytes Committed: %zd\n", stats.committed);
    }
}
