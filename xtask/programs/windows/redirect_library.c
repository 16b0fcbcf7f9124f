// A library with a heap: that of its C runtime.
#include "redirect.h"

static library_t library;

static void* allocate(size_t bytes) { return malloc(bytes); }
static void* resize(void* p, size_t bytes) { return realloc(p, bytes); }
static void release(void* p) { free(p); }
static char* copy(const char* text) { return _strdup(text); }

BOOL WINAPI DllMain(HINSTANCE module, DWORD reason, void* reserved) {
    (void)module, (void)reserved;
    if (reason == DLL_PROCESS_ATTACH) {
        library = (library_t){malloc(50), allocate, resize, release, copy};
        strcpy(library.early, "early");
    }
    return TRUE;
}

__declspec(dllexport) const library_t* the_library(void) { return &library; }
