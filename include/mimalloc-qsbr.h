/* mimalloc-qsbr.h: for runtimes whose threads read objects without a lock, and may find them freed.
 *
 * A heap made by mi_heap_new_qsbr keeps a page as it is when the last of its blocks has been freed: neither is its memory given
 * back nor used for blocks of another size or heap. A thread that reads a freed object finds that one, or another of this
 * size. (The first word of a freed block is the library's.) The page goes when the runtime says that no thread can be reading it
 * any more; it may hold new blocks before.
 *
 * The runtime defines the structures, of at most MI_QSBR_STATE_SIZE bytes, aligned to 8, and the functions. The library
 * looks for them in the process: a program that is linked with the shared library exports them (-rdynamic). They must not
 * allocate or free, and are called with a lock of the heap held.
 *
 * Who visits the blocks of such a heap (mi_heap_visit_blocks) reads them: as any reader, from inside of what the runtime waits for.
 */
#ifndef MIMALLOC_QSBR_H
#define MIMALLOC_QSBR_H

#include <mimalloc.h>

#define MI_QSBR_STATE_SIZE 128

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mi_page_qsbr_s mi_page_qsbr_t;
typedef struct mi_heap_qsbr_s mi_heap_qsbr_t;

/* A heap for which all this holds; null without the functions below, or without memory. It can't be deleted, but destroyed
 * when no thread reads its objects. */
FM_API mi_heap_t* mi_heap_new_qsbr(void) FM_RESULT;

/* The runtime's: of a new heap's state, which is zeroed; of a page that is used again, or gone. */
void mi_heap_qsbr_init(mi_heap_qsbr_t* heap);
void mi_page_qsbr_clear(mi_page_qsbr_t* page);
/* Whether no goal is set. Not called by this library. */
bool mi_page_qsbr_is_clear(const mi_page_qsbr_t* page);
/* Sets a goal for the empty page, if it has none (it is zeroed then), and tells whether that has not been reached yet. */
bool mi_page_qsbr_should_delay(mi_page_qsbr_t* page, mi_heap_qsbr_t* heap, size_t page_bytes);

#ifdef __cplusplus
}
#endif

#endif /* MIMALLOC_QSBR_H */
