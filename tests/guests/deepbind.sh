#!/bin/bash
# Source: microsoft/mimalloc#1113, jemalloc#2072 and PHP, which opens its extensions so: a plugin is opened with RTLD_DEEPBIND. Its malloc and
# free are looked up in the C library first, whatever is preloaded, and free what the program allocated. Right: blocks go both ways, from
# the plugin's first constructor to its last destructor, and the plugin's own functions still win over the program's.
set -u
bad=0
here="$HERE/deepbind"
plugin="gcc -O1 -w -fno-builtin -fPIC -shared $here/plugin.c"
gcc -O1 -w -fno-builtin -fPIC -shared "$here/needed.c" -Wl,-z,lazy -o libneeded.so || exit 2
mkdir -p elsewhere
$plugin -Wl,-z,lazy -o lazy.so && $plugin -Wl,-z,now,-z,relro -o now.so && $plugin -DOWN -o own.so &&
  $plugin -DNEEDS -L. -lneeded -Wl,-z,lazy,-rpath,"$PWD" -o needs.so && cp lazy.so elsewhere/by-runpath.so &&
  gcc -O1 -w -fno-builtin -rdynamic "$here/host.c" -Wl,--enable-new-dtags,-rpath,"$PWD/elsewhere" -o host -pthread -ldl || exit 2
try() {
  LD_PRELOAD="$ALLOC" timeout 20 ./host "$@" >out 2>&1
  local rc=$?
  [ $rc = 0 ] || { echo "FAIL $*: rc=$rc $(head -c 200 out)"; bad=1; }
}
for mode in lazy now; do
  for file in ./lazy.so ./now.so ./needs.so ./own.so by-runpath.so '$ORIGIN/lazy.so'; do
    try $mode "$file"
  done
done
try lazy ./lazy.so ./now.so ./own.so ./needs.so
try now ./own.so ./needs.so ./now.so ./lazy.so
exit $bad
