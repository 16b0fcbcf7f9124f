#!/bin/bash
# Source: microsoft/mimalloc#809, rust-lang/rust#91979: a plugin with its own static copy of the allocator is unloaded while
# threads that used it live on. Right: no crash at the ends of these threads or of the process; mappings and memory
# do not grow with each load.
set -u
copy=${STATIC_A:+-DCOPY -I$HEADERS}
gcc -O1 -fPIC -shared "$HERE/plugin-unload/plugin.c" $copy ${STATIC_A:-} -Wl,--exclude-libs,ALL -Wl,-Bsymbolic \
  -lpthread -ldl -lm -o plugin.so || exit 2
gcc -O1 -w "$HERE/plugin-unload/host.c" -o host -lpthread -ldl || exit 2
exec ./host ./plugin.so
