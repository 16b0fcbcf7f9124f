# newcomer.sh WORK: README's first commands for C, C++, Rust, Python and node, run as they stand there. A block of commands behind
# `<!-- newcomer: NAME -->` is one path. It starts in the checkout, in a home of its own, and its last line of output must be
# `ferrimalloc: yes`. A path whose programs are missing is skipped and named.
set -euo pipefail
# Where the toolchain is: the commands have another home.
home=$HOME
work=$1
answer="ferrimalloc: yes"
said=""
fail() { echo "the path for $name: $*"; exit 1; }

# follow NAME PROGRAM…
follow() {
    name=$1
    awk -v mark="<!-- newcomer: $name -->" '$0 == mark { found = 1; next } found && /^```sh$/ { inside = 1; next }
        inside && /^```/ { exit } inside' README.md >"$work/commands"
    # More than two would not be a newcomer's path.
    count=$(wc -l <"$work/commands")
    [ "$count" -ge 1 ] && [ "$count" -le 2 ] || fail "$count commands"
    for program in "${@:2}"; do
        command -v "$program" >/dev/null || { said="$said, $name skipped ($program is missing)"; return; }
    done
    HOME=$work CARGO_HOME=${CARGO_HOME:-$home/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$home/.rustup} CARGO_TERM_QUIET=true \
        sh -e "$work/commands" 2>&1 | tee "$work/said"
    last=$(tail -n 1 "$work/said")
    [ "$last" = "$answer" ] || fail "ends with '$last', not '$answer'"
    said="$said, $name"
}

follow C cc pkg-config
follow C++ c++ cmake
follow Rust
follow Python python3
follow node node npm npx
echo "${said#, }"
