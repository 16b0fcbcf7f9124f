// A program of mingw's, on msvcrt.dll, that is started by `ferrimalloc-run`. Answers 0 if all is well, 2 if it isn't redirected; and 7 if its
// arguments are `two  words` and `7`.
#include "redirect.h"
#include <errno.h>

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            printf("line %d: %s\n", __LINE__, #condition); \
            exit(1); \
        } \
    } while (0)

typedef void (*function_t)(void);
typedef function_t (*dll_on_exit_t)(function_t, function_t**, function_t**);

__declspec(dllimport) const library_t* the_library(void);

static bool (*is_ours)(const void*);

static void* find(const char* module, const char* name) {
    return (void*)GetProcAddress(GetModuleHandleA(module), name);
}

static void test_family(void) {
    char* p = malloc(100);
    CHECK(is_ours(p) && _msize(p) >= 100);
    strcpy(p, "contents");
    p = realloc(p, 5 << 20);
    CHECK(is_ours(p) && strcmp(p, "contents") == 0);
    CHECK(_expand(p, 4 << 20) == p);
    CHECK(realloc(p, 0) == NULL);
    char* zeroed = calloc(1000, 1000);
    CHECK(is_ours(zeroed));
    for (int i = 0; i < 1000000; i++) CHECK(zeroed[i] == 0);
    free(zeroed);
    free(NULL);
    CHECK(is_ours(p = realloc(NULL, 10)));
    free(p);
    volatile size_t too_much = SIZE_MAX / 2;
    errno = 0;
    CHECK(malloc(too_much) == NULL && errno == ENOMEM);
    errno = 0;
    CHECK(calloc(too_much, 3) == NULL && errno == ENOMEM);
}

static void test_aligned(void) {
    for (size_t align = 1; align <= 1 << 20; align *= 2) {
        char* p = _aligned_malloc(3 * align / 2 + 9, align);
        CHECK(is_ours(p) && (uintptr_t)p % align == 0);
        strcpy(p, "aligned");
        p = _aligned_realloc(p, 4 * align + 100, align);
        CHECK(is_ours(p) && (uintptr_t)p % align == 0 && strcmp(p, "aligned") == 0);
        _aligned_free(p);
        p = _aligned_offset_malloc(64, align, 8);
        CHECK(is_ours(p) && ((uintptr_t)p + 8) % align == 0);
        p = _aligned_offset_realloc(p, 5000, align, 8);
        CHECK(is_ours(p) && ((uintptr_t)p + 8) % align == 0);
        _aligned_free(p);
    }
}

// What the runtime has allocated by itself goes back to it, and so does what was there before.
static void test_theirs(void) {
    for (int i = 0; i < 1000; i++) {
        char* copy = _strdup("a text");
        copy = realloc(copy, 1000 + i);
        CHECK(strcmp(copy, "a text") == 0 && _msize(copy) >= 1000);
        free(copy);
    }
    char* path = _fullpath(NULL, ".", 0);
    CHECK(path != NULL && path[1] == ':');
    free(path);
    const library_t* library = the_library();
    CHECK(!is_ours(library->early) && strcmp(library->early, "early") == 0);
    char* early = realloc(library->early, 5000);
    CHECK(strcmp(early, "early") == 0);
    free(early);
}

static void test_library(const library_t* library, bool is_same_runtime) {
    char* p = library->allocate(100);
    CHECK(is_ours(p));
    strcpy(p, "passed");
    p = realloc(p, 200);
    p = library->resize(p, 100000);
    CHECK(is_ours(p) && strcmp(p, "passed") == 0);
    free(p);
    library->release(malloc(100));
    char* copy = library->copy("theirs");
    CHECK(strcmp(copy, "theirs") == 0);
    if (is_same_runtime) free(copy);
    else library->release(copy);
}

// A library that is loaded now is reached before it is initialised.
static void test_late(const char* name, bool is_same_runtime) {
    HMODULE module = LoadLibraryA(name);
    CHECK(module != NULL);
    const library_t* (*the)(void) = (void*)GetProcAddress(module, "the_library");
    CHECK(is_ours(the()->early) && strcmp(the()->early, "early") == 0);
    test_library(the(), is_same_runtime);
    the()->release(the()->early);
    CHECK(FreeLibrary(module));
}

static void test_lookup(void) {
    void* (*allocate)(size_t) = find("msvcrt.dll", "malloc");
    void (*release)(void*) = find("msvcrt.dll", "free");
    void* p = allocate(100);
    CHECK(is_ours(p));
    free(p);
    release(malloc(100));
    void* (*recalloc)(void*, size_t, size_t) = find("ucrtbase.dll", "_recalloc");
    char* zeroed = recalloc(recalloc(NULL, 10, 100), 3000, 1000);
    CHECK(is_ours(zeroed));
    for (int i = 0; i < 3000000; i++) CHECK(zeroed[i] == 0);
    CHECK(recalloc(zeroed, 0, 1) == NULL);
    CHECK(find("msvcrt.dll", "no such function") == NULL && find("kernel32.dll", "GetProcAddress") != NULL);
}

static void at_end(void) {}

// The runtime resizes a table that it is given.
static void test_on_exit_table(void) {
    dll_on_exit_t on_exit = find("msvcrt.dll", "__dllonexit");
    function_t* begin = malloc(4 * sizeof *begin);
    function_t* end = begin;
    CHECK(is_ours(begin));
    for (int i = 0; i < 1000; i++) CHECK(on_exit(at_end, &begin, &end) == at_end);
    CHECK(end - begin == 1000 && !is_ours(begin));
    free(begin);
}

enum { THREADS = 4, BLOCKS = 500 };
static void* passed[THREADS][BLOCKS];

static DWORD WINAPI work(void* arg) {
    void** blocks = passed[(uintptr_t)arg];
    for (int i = 0; i < BLOCKS; i++) {
        free(blocks[i]);  // another thread's
        blocks[i] = i % 10 == 0 ? (void*)_strdup("theirs") : malloc(16 + i);
        CHECK(i % 10 == 0 || is_ours(blocks[i]));
    }
    return 0;
}

static void test_threads(void) {
    for (int round = 0; round < 30; round++) {
        HANDLE threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++) {
            threads[i] = CreateThread(NULL, 0, work, (void*)((i + round) % THREADS), 0, NULL);
        }
        WaitForMultipleObjects(THREADS, threads, TRUE, INFINITE);
        for (int i = 0; i < THREADS; i++) CloseHandle(threads[i]);
    }
    for (int t = 0; t < THREADS; t++)
        for (int i = 0; i < BLOCKS; i++) free(passed[t][i]);
}

int main(int count, char** arguments) {
    is_ours = find("ferrimalloc_redirect.dll", "mi_is_in_heap_region");
    if (is_ours == NULL) {
        return 2;
    }
    if (count == 3) {
        return strcmp(arguments[1], "two  words") == 0 ? atoi(arguments[2]) : 1;
    }
    bool (*is_redirected)(void) = find("ferrimalloc_redirect.dll", "mi_is_redirected");
    size_t (*imports)(void) = find("ferrimalloc_redirect.dll", "ferrimalloc_redirected_imports");
    CHECK(is_redirected() && imports() > 10);
    test_family();
    test_aligned();
    test_theirs();
    test_library(the_library(), true);
    test_late("redirect_late.dll", true);
    test_late("redirect_ucrt.dll", false);
    test_late("redirect_ucrt.dll", false);
    test_lookup();
    test_on_exit_table();
    test_threads();
    printf("all is well, %u imports\n", (unsigned)imports());
    return 0;
}
