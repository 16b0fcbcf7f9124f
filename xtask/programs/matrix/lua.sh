# lua: tables, strings, coroutines, metatables, garbage collection; freed and grown through one realloc.
source "$PROGRAMS/matrix/common.sh"
lua5.4 "$PROGRAMS/matrix/lua.lua"
