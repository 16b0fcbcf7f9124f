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
    always(
        NEWEST,
        "mimalloc 3.6.2",
        Origin::Sources(Sources {
            package: "rustfs-mimalloc-sys",
            compiler: "gcc",
            options: MIMALLOC,
            files: &["c_src/mimalloc/src/static.c"],
        }),
    ),
    always(OURS, "ferrimalloc", Origin::Ours),
    always(
        "mimalloc2",
        "mimalloc 2.5.2",
        Origin::Sources(Sources {
            package: "libmimalloc-sys2",
            compiler: "gcc",
            options: MIMALLOC,
            files: &["c_src/mimalloc/src/static.c"],
        }),
    ),
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
        Origin::Sources(Sources {
            package: "snmalloc-sys",
            compiler: "g++",
            options: SNMALLOC,
            files: &["upstream/src/snmalloc/override/malloc.cc", "upstream/src/snmalloc/override/new.cc"],
        }),
    ),
    always(
        "rpmalloc",
        "rpmalloc 1.4",
        Origin::Sources(Sources {
            package: "rpmalloc-sys",
            compiler: "gcc",
            options: RPMALLOC,
            files: &["rpmalloc/rpmalloc/rpmalloc.c"],
        }),
    ),
    always("rusty_alloc", "rusty_alloc 2.4", Origin::Shim { library: "librusty_alloc_engine.so" }),
    asked(
        "hardened_malloc",
        "hardened_malloc 16",
        Origin::Sources(Sources {
            package: "hardened-malloc-sys",
            compiler: "gcc",
            options: HARDENED,
            files: &[
                "vendor/hardened-malloc/chacha.c",
                "vendor/hardened-malloc/h_malloc.c",
                "vendor/hardened-malloc/memory.c",
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

const fn debian(package: &'static str, libraries: &'static [&'static str]) -> Origin {
    Origin::Debian { package, libraries }
}
