# Lua: every table, string and closure is one malloc, every growth one realloc.
. "$(dirname "$0")/common.sh"
on_engine lua5.4 "$(dirname "$0")/tables.lua" "$(scaled 20)" | checksum
