// real.exe SCRIPT.lua SCRIPT.sql: runs both, by the libraries of Lua and SQLite, and prints what they answer and, on the error stream, how
// long they took.
#include "lauxlib.h"
#include "lualib.h"
#include "sqlite3.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>
#include <psapi.h>

static int fail(const char* what) {
    printf("%s\n", what);
    return 1;
}

static int print_row(void* arg, int columns, char** values, char** names) {
    (void)arg, (void)names;
    for (int i = 0; i < columns; i++) printf("%s%c", values[i] ? values[i] : "null", i + 1 < columns ? '|' : '\n');
    return 0;
}

static int run_lua(const char* file) {
    lua_State* lua = luaL_newstate();
    luaL_openlibs(lua);
    if (luaL_dofile(lua, file)) return fail(lua_tostring(lua, -1));
    lua_close(lua);
    return 0;
}

static int run_sql(const char* file) {
    static char text[1 << 20];
    FILE* stream = fopen(file, "rb");
    if (stream == NULL) return fail("no script");
    text[fread(text, 1, sizeof text - 1, stream)] = 0;
    fclose(stream);
    sqlite3* database;
    char* error = NULL;
    sqlite3_open(":memory:", &database);
    if (sqlite3_exec(database, text, print_row, NULL, &error)) return fail(error);
    return sqlite3_close(database);
}

int main(int count, char** arguments) {
    if (count != 3) return fail("two scripts are asked for");
    DWORD began = GetTickCount();
    if (run_lua(arguments[1])) return 1;
    DWORD between = GetTickCount();
    if (run_sql(arguments[2])) return 1;
    DWORD ended = GetTickCount();
    PROCESS_MEMORY_COUNTERS memory = {.cb = sizeof memory};
    GetProcessMemoryInfo(GetCurrentProcess(), &memory, sizeof memory);
    int is_redirected = GetModuleHandleA("ferrimalloc_redirect.dll") != NULL;
    fprintf(stderr, "redirected %d lua %u sqlite %u peak %u\n", is_redirected, (unsigned)(between - began), (unsigned)(ended - between),
        (unsigned)(memory.PeakWorkingSetSize >> 10));
    return 0;
}
