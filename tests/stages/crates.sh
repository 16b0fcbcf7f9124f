# crates.sh TARGET WORK: the crates as they would be published. `cargo package` packs each and builds it from its package, with the others'
# packages as its dependencies; their documentation has no broken link, and says something of every public item (`missing_docs`).
set -euo pipefail
target=$1 work=$2
# In the order in which they would be published.
crates="ferrimalloc-prim ferrimalloc-small ferrimalloc-core ferrimalloc-report ferrimalloc-profile ferrimalloc-capi ferrimalloc"
documented="ferrimalloc-prim ferrimalloc-small ferrimalloc-core ferrimalloc-report ferrimalloc-profile ferrimalloc"
files="Cargo.toml LICENSE README.md"
# What `Cargo.toml` must say for the registry and docs.rs.
fields="description|license|readme|keywords|categories|rust-version"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

# Cargo keeps what it has unpacked and compiled, by name and version; ours change and keep their version.
for name in $crates; do
    rm -rf "${CARGO_HOME:-$HOME/.cargo}"/registry/src/*/"$name-$version" "$target"/*/.fingerprint/"$name"-*
done
cargo package --allow-dirty --quiet $(printf -- '-p %s ' $crates) --target-dir "$target"
python3 tests/stages/licences.py $crates
RUSTDOCFLAGS="-D warnings" cargo doc --quiet --no-deps $(printf -- '-p %s ' $documented)

for name in $crates; do
    tar -xzf "$target/package/$name-$version.crate" -C "$work"
    for file in $files; do
        [ -f "$work/$name-$version/$file" ] || { echo "$name's package has no $file"; exit 1; }
    done
    manifest=$work/$name-$version/Cargo.toml
    found=$(grep -oE "^($fields) = " "$manifest" | sort -u | wc -l)
    [ "$found" = 6 ] && grep -qF '[package.metadata.docs.rs]' "$manifest" || { echo "$name's manifest lacks one of $fields, or docs.rs's"; exit 1; }
done
echo "$(wc -w <<<"$crates") crates packed, and built from their packages"
