#!/bin/bash
# Source: rust-lang/rust#91979: a plugin in Rust (cdylib), whose global allocator is the crate, is unloaded as in
# plugin-unload. Right: the same.
set -u
cp -r "$HERE/rust-plugin" plugin && cd plugin || exit 2
feature=; if [ -n "$ALLOC" ]; then
  feature='--features ours'
  sed -i "s|@CRATE@|$ROOT/crates/ferrimalloc|" Cargo.toml
else
  sed -i '/@CRATE@/d; s/^ours = .*/ours = []/' Cargo.toml
fi
cargo build --release --quiet $feature --target-dir "$OLDPWD/target" >build.log 2>&1 || { tail -5 build.log; exit 2; }
gcc -O1 -w "$HERE/plugin-unload/host.c" -o host -lpthread -ldl || exit 2
exec ./host "$OLDPWD/target/release/libplugin.so"
