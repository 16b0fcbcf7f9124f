#!/bin/sh
# build.sh SOURCE OUT: what meson.build calls. Cargo builds the library; what programs are linked with goes to OUT.
set -eu
source=$1 out=$(cd "$2" && pwd)
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$source/target}"
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
(cd "$source" && cargo run --quiet --release --package xtask --target-dir "$CARGO_TARGET_DIR/xtask" -- install --prefix "$tree")
for name in libferrimalloc.so.0 libferrimalloc.so libferrimalloc.a ferrimalloc.o; do
    cp -L "$tree/lib/$name" "$out/$name.new" && mv "$out/$name.new" "$out/$name"
done
