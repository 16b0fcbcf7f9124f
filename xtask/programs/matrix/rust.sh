# rust: a threaded program on the standard collections, built once without the library's help, run with it.
source "$PROGRAMS/matrix/common.sh"
LD_PRELOAD= HOME="$USER_HOME" rustc --edition 2024 -O -o collections "$PROGRAMS/matrix/collections.rs"
for round in 1 2 3; do ./collections; done
