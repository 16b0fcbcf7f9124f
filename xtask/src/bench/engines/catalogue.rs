//! The engines that we know: their names, in the order of the tables, and where each comes from.

use super::sources::Sources;
use super::{BASELINE, NEWEST, OURS, Origin, Recipe, When};

pub const CATALOGUE: &[Recipe] = &[
    always("glibc", "glibc", Origin::System),
    always(
        BASELINE,
        "mimalloc 3.4.3",
        Origin::Wheel { requirement: "cmeel-mimalloc==3.4.3", libraries: &["cmeel.prefix/lib/libmimalloc.so.3"] },
    ),
    always(NEWEST, "mimalloc 3.6.2", mimalloc("rustfs-mimalloc-sys", &[])),
    asked("mimalloc362+secure", "mimalloc 3.6.2 secure", mimalloc("rustfs-mimalloc-sys", &["-DMI_SECURE=4"])),
    asked("mimalloc362+full", "mimalloc 3.6.2 secure, full", mimalloc("rustfs-mimalloc-sys", &["-DMI_SECURE=5"])),
    always(OURS, "ferrimalloc", Origin::Ours),
    always("mimalloc2", "mimalloc 2.5.2", mimalloc("libmimalloc-sys2", &[])),
    always("jemalloc", "jemalloc 5.3", debian("libjemalloc2", &["usr/lib/MULTIARCH/libjemalloc.so.2"])),
    always(
        "tcmalloc",
        "gperftools tcmalloc 2.10",
        debian("libtcmalloc-minimal4", &["usr/lib/MULTIARCH/libtcmalloc_minimal.so.4"]),
    ),
    always(
        "tbb",
        "oneTBB 2021.8",
        debian("libtbbmalloc2", &["usr/lib/MULTIARCH/libtbbmalloc_proxy.so.2", "usr/lib/MULTIARCH/libtbbmalloc.so.2"]),
    ),
    always(
        "snmalloc",
        "snmalloc 0.7.6",
        snmalloc(&["upstream/src/snmalloc/override/malloc.cc", "upstream/src/snmalloc/override/new.cc"], &[]),
    ),
    asked(
        "snmalloc+checks",
        "snmalloc 0.7.6 with checks",
        snmalloc(SNMALLOC_COPIES, &["-DSNMALLOC_CHECK_CLIENT", "-DSNMALLOC_CHECK_LOADS=false"]),
    ),
    asked(
        "snmalloc+loads",
        "snmalloc 0.7.6 with checks, of loads, too",
        snmalloc(SNMALLOC_COPIES, &["-DSNMALLOC_CHECK_CLIENT", "-DSNMALLOC_CHECK_LOADS=true"]),
    ),
    always(
        "rpmalloc",
        "rpmalloc 1.4",
        Origin::Sources(Sources {
            package: "rpmalloc-sys",
            compiler: "gcc",
            options: RPMALLOC,
            more: &[],
            files: &["rpmalloc/rpmalloc/rpmalloc.c"],
        }),
    ),
    always("rusty_alloc", "rusty_alloc 2.4", rusty_alloc("")),
    asked("rusty_alloc+secure", "rusty_alloc 2.4, secure and blockmap", rusty_alloc("secure,blockmap")),
    asked(
        "hardened_malloc",
        "hardened_malloc 16",
        Origin::Sources(Sources {
            package: "hardened-malloc-sys",
            compiler: "gcc",
            options: HARDENED,
            more: &["-lstdc++"],
            files: &[
                "vendor/hardened-malloc/chacha.c",
                "vendor/hardened-malloc/h_malloc.c",
                "vendor/hardened-malloc/memory.c",
                "vendor/hardened-malloc/new.cc",
                "vendor/hardened-malloc/pages.c",
                "vendor/hardened-malloc/random.c",
                "vendor/hardened-malloc/util.c",
            ],
        }),
    ),
    asked(
        "scudo",
        "scudo (LLVM 19)",
        debian("libclang-rt-19-dev", &["usr/lib/llvm-19/lib/clang/19/lib/linux/libclang_rt.scudo_standalone-ARCH.so"]),
    ),
];

/// As mimalloc's own CMake file builds `libmimalloc.so` for release.
const MIMALLOC: &[&str] = &[
    "-O3",
    "-DNDEBUG",
    "-std=gnu11",
    "-DMI_MALLOC_OVERRIDE",
    "-DMI_SHARED_LIB",
    "-DMI_SHARED_LIB_EXPORT",
    "-ftls-model=initial-exec",
    "-fvisibility=hidden",
    "-fno-builtin-malloc",
    "-ICRATE/c_src/mimalloc/include",
];

/// As snmalloc's own CMake file builds `libsnmallocshim.so` for release.
const SNMALLOC: &[&str] = &[
    "-O3",
    "-DNDEBUG",
    "-std=c++20",
    "-mcx16",
    "-mprfchw",
    "-ftls-model=initial-exec",
    "-fvisibility=hidden",
    "-fomit-frame-pointer",
    "-static-libstdc++",
    "-DSNMALLOC_EXPORT=__attribute__((visibility(\"default\")))",
    "-DSNMALLOC_USE_WAIT_ON_ADDRESS=1",
    "-DSNMALLOC_USE_CXX11_THREAD_ATEXIT_DIRECT",
    "-ICRATE/upstream/src",
];

/// With snmalloc's `memcpy`, as its `libsnmallocshim-checks.so` has it.
const SNMALLOC_COPIES: &[&str] = &[
    "upstream/src/snmalloc/override/malloc.cc",
    "upstream/src/snmalloc/override/new.cc",
    "upstream/src/snmalloc/override/memcpy.cc",
];

/// As rpmalloc's own Ninja file builds `librpmallocwrap.so` for release.
const RPMALLOC: &[&str] = &[
    "-O3",
    "-funroll-loops",
    "-DNDEBUG",
    "-std=gnu11",
    "-D_GNU_SOURCE",
    "-DENABLE_PRELOAD=1",
    "-DENABLE_OVERRIDE=1",
    "-ftls-model=initial-exec",
    "-fvisibility=hidden",
    "-fno-stack-protector",
    "-fomit-frame-pointer",
    "-fno-builtin-malloc",
];

/// hardened_malloc's `config/default.mk`; gcc 12 needs help with C23's words.
const HARDENED: &[&str] = &[
    "-O3",
    "-std=gnu2x",
    "-D_GNU_SOURCE",
    "-include",
    "stdalign.h",
    "-include",
    "assert.h",
    "-Dthread_local=_Thread_local",
    "-fvisibility=hidden",
    "-DCONFIG_SEAL_METADATA=false",
    "-DZERO_ON_FREE=true",
    "-DWRITE_AFTER_FREE_CHECK=true",
    "-DSLOT_RANDOMIZE=true",
    "-DSLAB_CANARY=true",
    "-DSLAB_QUARANTINE_RANDOM_LENGTH=1",
    "-DSLAB_QUARANTINE_QUEUE_LENGTH=1",
    "-DCONFIG_EXTENDED_SIZE_CLASSES=true",
    "-DCONFIG_LARGE_SIZE_CLASSES=true",
    "-DGUARD_SLABS_INTERVAL=1",
    "-DGUARD_SIZE_DIVISOR=2",
    "-DREGION_QUARANTINE_RANDOM_LENGTH=256",
    "-DREGION_QUARANTINE_QUEUE_LENGTH=1024",
    "-DREGION_QUARANTINE_SKIP_THRESHOLD=33554432",
    "-DFREE_SLABS_QUARANTINE_RANDOM_LENGTH=32",
    "-DCONFIG_CLASS_REGION_SIZE=34359738368",
    "-DN_ARENA=4",
    "-DCONFIG_STATS=false",
    "-DCONFIG_SELF_INIT=true",
    "-ICRATE/vendor/hardened-malloc/include",
    "-ICRATE/vendor/hardened-malloc/third_party",
];

const fn always(name: &'static str, title: &'static str, origin: Origin) -> Recipe {
    Recipe { name, title, when: When::Always, origin }
}

/// The hardened ones pay for their checks several times over: they are no measure of speed.
const fn asked(name: &'static str, title: &'static str, origin: Origin) -> Recipe {
    Recipe { name, title, when: When::Asked, origin }
}

/// Options of the secure builds, as mimalloc's and snmalloc's own CMake files set them, come as `more`.
const fn mimalloc(package: &'static str, more: &'static [&'static str]) -> Origin {
    Origin::Sources(Sources {
        package,
        compiler: "gcc",
        options: MIMALLOC,
        more,
        files: &["c_src/mimalloc/src/static.c"],
    })
}

const fn snmalloc(files: &'static [&'static str], more: &'static [&'static str]) -> Origin {
    Origin::Sources(Sources { package: "snmalloc-sys", compiler: "g++", options: SNMALLOC, more, files })
}

const fn rusty_alloc(features: &'static str) -> Origin {
    Origin::Shim { library: "librusty_alloc_engine.so", features }
}

const fn debian(package: &'static str, libraries: &'static [&'static str]) -> Origin {
    Origin::Debian { package, libraries }
}
