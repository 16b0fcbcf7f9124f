// What the programs and libraries of the redirection's test share. None of them knows the allocator: they ask by name whether it is there.
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

// What the test library has. It is built three times: on msvcrt.dll, imported by the program, and loaded by it later; and on ucrtbase.dll.
typedef struct {
    void* early;  // allocated as the library was initialised
    void* (*allocate)(size_t);
    void* (*resize)(void*, size_t);
    void (*release)(void*);
    char* (*copy)(const char*);  // by the runtime's `_strdup`
} library_t;
