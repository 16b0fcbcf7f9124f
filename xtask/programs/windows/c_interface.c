// The C interface on Windows, linked statically: blocks, heaps, threads that end, misuse that is reported.
#include <mimalloc.h>
#include <process.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <windows.h>

#define CHECK(condition) \
    if (!(condition)) { \
        printf("line %d: %s\n", __LINE__, #condition); \
        return 1; \
    }

static int errors;

static void on_error(int code, void* arg) {
    (void)arg;
    errors += code != 0;
}

static int visited;

static bool visit(const mi_heap_t* heap, const mi_heap_area_t* area, void* block, size_t size, void* arg) {
    (void)heap, (void)area, (void)size, (void)arg;
    visited += block != NULL;
    return true;
}

static void* passed[4][1000];

static unsigned __stdcall work(void* arg) {
    void** blocks = passed[(uintptr_t)arg];
    for (int i = 0; i < 1000; i++) {
        blocks[i] = mi_malloc(16 + i);
        memset(blocks[i], i, 16 + i);
    }
    for (int i = 0; i < 1000; i += 2) {
        mi_free(blocks[i]);
    }
    return 0;
}

int main(void) {
    CHECK(mi_version() >= 300);
    char* p = mi_malloc(100);
    CHECK(p != NULL && mi_usable_size(p) >= 100 && mi_is_in_heap_region(p));
    strcpy(p, "contents");
    p = mi_realloc(p, 5 << 20);
    CHECK(p != NULL && strcmp(p, "contents") == 0);
    mi_free(p);
    char* zeroed = mi_calloc(1000, 1000);
    for (int i = 0; i < 1000000; i++) {
        CHECK(zeroed[i] == 0);
    }
    mi_free(zeroed);
    for (size_t align = 8; align <= 1 << 20; align *= 2) {
        void* aligned = mi_malloc_aligned(3 * align / 2, align);
        CHECK(aligned != NULL && (uintptr_t)aligned % align == 0);
        mi_free(aligned);
    }
    CHECK(mi_malloc(SIZE_MAX / 2) == NULL);
    char* copy = mi_strdup("a text");
    CHECK(strcmp(copy, "a text") == 0);
    mi_free(copy);
    char* path = mi_realpath(".", NULL);
    CHECK(path != NULL && path[1] == ':');
    mi_free(path);

    HANDLE threads[4];
    for (uintptr_t i = 0; i < 4; i++) {
        threads[i] = (HANDLE)_beginthreadex(NULL, 0, work, (void*)i, 0, NULL);
    }
    WaitForMultipleObjects(4, threads, TRUE, INFINITE);
    for (int t = 0; t < 4; t++) {
        for (int i = 1; i < 1000; i += 2) {
            CHECK(*(unsigned char*)passed[t][i] == (unsigned char)i);
            mi_free(passed[t][i]);
        }
    }

    mi_heap_t* heap = mi_heap_new();
    CHECK(heap != NULL);
    for (int i = 0; i < 10; i++) {
        CHECK(mi_heap_malloc(heap, 64) != NULL);
    }
    CHECK(mi_heap_visit_blocks(heap, true, visit, NULL) && visited == 10);
    mi_heap_destroy(heap);

    mi_register_error(on_error, NULL);
    int local = 0;
    mi_free((char*)&local + 8);
    CHECK(errors == 1);
    mi_collect(true);
    printf("all is well\n");
    return 0;
}
