# sanitizer.sh thread|address TARGET: the core's stress and model tests under the compiler's sanitizers, which only a nightly toolchain has.
# The standard library is not instrumented, hence the suppressions; the core is, whole.
set -euo pipefail
kind=$1 target=$2

# tests NAME SHADOW ARGUMENT…; SHADOW: how many times as much as the program's memory is resident, for tests that it stays flat.
# (AddressSanitizer also keeps what the tests themselves free, for a while.)
tests() {
    FERRIMALLOC_TEST_SHADOW=$2 env -u CARGO -u RUSTC -u RUSTUP_TOOLCHAIN -u RUSTDOC cargo +nightly test -p ferrimalloc-core \
        --target x86_64-unknown-linux-gnu --target-dir "$target/$1" --test stress --test model "${@:3}"
}

case $kind in
thread)
    suppressions=$(mktemp)
    trap 'rm -f "$suppressions"' EXIT
    # The channels of the standard library synchronise with atomics that the sanitizer doesn't see: std is not instrumented.
    printf 'race:%s\n' std::sync::mpmc std::sync::mpsc alloc::sync::Arc >"$suppressions"
    export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer"
    export TSAN_OPTIONS="suppressions=$suppressions halt_on_error=1 second_deadlock_stack=1"
    # ThreadSanitizer's own limit: "starting new threads after multi-threaded fork is not supported".
    tests tsan 8 -- --skip forks_beside_busy_threads
    ;;
address)
    export RUSTFLAGS=-Zsanitizer=address
    # Leaks are not looked for: memory stays with the allocator by design.
    export ASAN_OPTIONS=detect_leaks=0
    tests asan 2
    # Once more with free memory closed to everybody.
    tests asan-told 2 --features asan
    ;;
*)
    echo "thread or address, not $kind"
    exit 2
    ;;
esac
