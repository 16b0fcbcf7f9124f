#!/bin/bash
# Source: dlmopen(3); bug reports of tracers and of audit libraries (rtld-audit(7)). Right: libraries in a namespace of their
# own, where the C library is another one, allocate and free, in threads, too, and are unloaded; with a static copy of the
# allocator as with the C library's.
set -u
copy=${STATIC_A:+-DCOPY -I$HEADERS}
gcc -O1 -fPIC -shared "$HERE/plugin-unload/plugin.c" $copy ${STATIC_A:-} -Wl,--exclude-libs,ALL -Wl,-Bsymbolic \
  -lpthread -ldl -lm -o plugin.so || exit 2
gcc -O1 -w "$HERE/namespaces/host.c" -o host -lpthread -ldl || exit 2
LD_PRELOAD="$ALLOC" exec ./host ./plugin.so
