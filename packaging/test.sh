#!/bin/sh
# packaging/test.sh TREE SCRATCH: makes the packages of an installed tree, installs each below SCRATCH, uses it there, and removes it again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
tree=$1 scratch=$2
out=$scratch/out
done=

fail() {
    echo "$*" >&2
    exit 1
}

# An address that could be somebody's, for lintian.
DEBEMAIL=packages@debian.org python3 "$here/package.py" "$tree" "$out"

# A program whose copies leave their blocks: it says `cut` if a library keeps them inside.
cc -O1 -w -fno-builtin -o "$scratch/cut" "$here/../xtask/programs/c/cut.c"
cuts() {
    got=$(MIMALLOC_ABORT=0 "$@" "$scratch/cut" 2>/dev/null) || true
    [ "$got" = cut ]
}
cuts env && fail "the system keeps copies inside of their blocks: nothing is tested"

# --- the wheel, which is an archive of what goes to a folder of Python's
site=$scratch/site
python3 -m pip install --quiet --disable-pip-version-check --no-index --target "$site" "$out"/*.whl 2>/dev/null ||
    python3 -m zipfile -e "$out"/*.whl "$site"
export PYTHONPATH="$site"
cat >"$scratch/active.py" <<'END'
import sys
import ferrimalloc
blocks = [bytes(5000) for _ in range(1000)]
stats = ferrimalloc.stats()
ferrimalloc.collect()
print(ferrimalloc.is_active(), stats is not None and len(stats) > 3, sys.argv[1:])
END
expect() {
    said=$1
    shift
    got=$("$@") || fail "$*: ended with $?"
    [ "$got" = "$said" ] || fail "$*: said '$got', not '$said'"
}
expect "False False []" python3 "$scratch/active.py"
expect "True True ['a', 'b c']" python3 -m ferrimalloc run "$scratch/active.py" a "b c"
expect "True True []" python3 -m ferrimalloc run --python-malloc "$scratch/active.py"
expect "True True []" sh -c "LD_PRELOAD=\$(python3 -m ferrimalloc library) python3 '$scratch/active.py'"
cuts python3 -c 'import ferrimalloc.__main__ as main, sys; sys.exit(main.run_program())' --checks || fail "wheel: no copies are checked"
cuts python3 -c 'import ferrimalloc.__main__ as main, sys; sys.exit(main.run_program())' && fail "wheel: copies are checked unasked"
preloaded='import os; print(os.environ["LD_PRELOAD"].count("libferrimalloc"))'
expect 2 python3 -m ferrimalloc run --checks --python-malloc -c "$preloaded"
expect 1 python3 -m ferrimalloc run -c "$preloaded"
unset PYTHONPATH
done="$done wheel"

# --- the package for node, which is an archive of a folder
if command -v node >/dev/null; then
    modules=$scratch/node_modules
    mkdir -p "$modules"
    if command -v npm >/dev/null; then
        (cd "$scratch" && npm install --offline --no-save --no-audit --no-fund --loglevel=error "$out"/*.tgz >/dev/null)
    else
        tar -xzf "$out"/*.tgz -C "$modules" && mv "$modules/package" "$modules/ferrimalloc-run"
    fi
    run="$modules/ferrimalloc-run/run.js"
    expect true node "$run" node -e 'console.log(require("fs").readFileSync("/proc/self/maps", "utf8").includes("libferrimalloc"))'
    cuts node "$run" --checks || fail "run.js: no copies are checked"
    cuts node "$run" && fail "run.js: copies are checked unasked"
    node "$run" sh -c 'exit 7' && fail "run.js: the program's status was lost" || [ $? -eq 7 ] || fail "run.js: another status"
    done="$done npm"
fi

# A program in C, whose memory must be ours.
cat >"$scratch/linked.c" <<'END'
#include <mimalloc.h>
#include <stdlib.h>
int main(void) {
    void *p = malloc(100);
    int is_ours = mi_is_in_heap_region(p);
    free(p);
    return is_ours ? 0 : 1;
}
END

# --- the Debian packages, in a root of their own
if command -v dpkg >/dev/null && ls "$out"/*.deb >/dev/null 2>&1; then
    root=$scratch/root
    mkdir -p "$root/var/lib/dpkg/info" "$root/var/lib/dpkg/updates" "$root/var/log"
    : >"$root/var/lib/dpkg/status"
    apart() { dpkg --root="$root" --log="$root/var/log/dpkg.log" --force-depends --force-not-root --force-script-chrootless "$@" >/dev/null 2>&1; }
    apart --no-triggers --install "$out"/*.deb || fail "dpkg can't install the packages"
    dpkg-deb --info "$out"/libferrimalloc0_*.deb symbols | grep -q '^ malloc@Base ' || fail "the file symbols does not list malloc"
    library=$(dirname "$(find "$root/usr/lib" -name libferrimalloc.so.0)")
    flags=$(PKG_CONFIG_SYSROOT_DIR="$root" PKG_CONFIG_PATH="$library/pkgconfig" pkg-config --cflags --libs ferrimalloc 2>/dev/null ||
        echo "-I$root/usr/include/ferrimalloc -L$library -lferrimalloc")
    # shellcheck disable=SC2086
    cc -o "$scratch/linked" "$scratch/linked.c" $flags
    LD_LIBRARY_PATH="$library" "$scratch/linked" || fail "a program that is linked with the packages fails"
    cc -o "$scratch/static" "$scratch/linked.c" -I"$root/usr/include/ferrimalloc" "$library/libferrimalloc.a"
    "$scratch/static" || fail "a program that is linked with the archive fails"
    expect yes env LD_LIBRARY_PATH="$library" "$root/usr/bin/ferrimalloc-run" sh -c 'grep -q libferrimalloc /proc/self/maps && echo yes'
    LD_LIBRARY_PATH="$library" cuts "$root/usr/bin/ferrimalloc-run" --checks || fail "ferrimalloc-run: no copies are checked"
    LD_LIBRARY_PATH="$library" cuts "$root/usr/bin/ferrimalloc-run" && fail "ferrimalloc-run: copies are checked unasked"
    apart --no-triggers --purge ferrimalloc-tools libferrimalloc-dev libferrimalloc0 || fail "dpkg can't remove the packages"
    left=$(find "$root/usr" ! -type d 2>/dev/null | head -3)
    [ -z "$left" ] || fail "left behind: $left"
    done="$done deb"
    if command -v lintian >/dev/null; then
        said=$(lintian --allow-root "$out"/*.deb 2>&1) || fail "lintian: $said"
        [ -z "$said" ] || fail "lintian: $said"
        done="$done lintian"
    fi
fi
# --- the RPM, in a root of its own
if command -v rpmbuild >/dev/null; then
    checkout=$(dirname "$here")
    rpmbuild -bb "$here/rpm/ferrimalloc.spec" --quiet --define "tree $tree" --define "checkout $checkout" --define "_topdir $scratch/rpm" >/dev/null 2>&1 ||
        fail "rpmbuild fails"
    redhat=$scratch/redhat
    mkdir -p "$redhat/var/lib/rpm"
    aside() { rpm --root "$redhat" --dbpath /var/lib/rpm --nodeps --noscripts "$@" 2>/dev/null; }
    aside --install "$scratch"/rpm/RPMS/*/*.rpm || fail "rpm can't install the packages"
    library=$(dirname "$(find "$redhat/usr" -name libferrimalloc.so.0)")
    cc -o "$scratch/linked-rpm" "$scratch/linked.c" -I"$redhat/usr/include/ferrimalloc" -L"$library" -lferrimalloc
    LD_LIBRARY_PATH="$library" "$scratch/linked-rpm" || fail "a program that is linked with the RPM fails"
    LD_LIBRARY_PATH="$library" cuts "$redhat/usr/bin/ferrimalloc-run" --checks || fail "the RPM: no copies are checked"
    aside --erase ferrimalloc-devel ferrimalloc || fail "rpm can't remove the packages"
    left=$(find "$redhat/usr" ! -type d | head -3)
    [ -z "$left" ] || fail "left behind: $left"
    done="$done rpm"
fi

# --- for Meson, as a subproject that is this checkout
if command -v meson >/dev/null && command -v ninja >/dev/null; then
    project=$scratch/meson
    mkdir -p "$project/subprojects"
    ln -s "$(dirname "$here")" "$project/subprojects/ferrimalloc"
    cp "$here/meson/mimalloc.wrap" "$project/subprojects/"
    cp "$scratch/linked.c" "$project/"
    printf "project('linked', 'c')\nexecutable('linked', 'linked.c', dependencies: dependency('mimalloc'))\n" >"$project/meson.build"
    (meson setup "$project/build" "$project" && ninja -C "$project/build") >"$scratch/meson.log" 2>&1 || fail "$(tail -5 "$scratch/meson.log")"
    "$project/build/linked" || fail "a program that Meson linked fails"
    done="$done meson"
fi
echo "made, installed, used and removed:$done"
