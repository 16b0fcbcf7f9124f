//! What programs ask of the crate `tikv-jemalloc-ctl`, by its names: `use ferrimalloc::compat::jemalloc_ctl::{epoch, stats};`
//!
//! ```
//! use ferrimalloc::compat::jemalloc_ctl::{epoch, stats};
//!
//! # #[global_allocator]
//! # static GLOBAL: ferrimalloc::MiMalloc = ferrimalloc::MiMalloc;
//! let held = vec![1u8; 10 << 20];
//! epoch::advance()?;
//! assert!(stats::allocated::read()? >= held.len());
//!
//! // Keys that are read again and again:
//! let (epoch, resident) = (epoch::mib()?, stats::resident::mib()?);
//! epoch.advance()?;
//! assert!(resident.read()? >= held.len());
//! # Ok::<(), ferrimalloc::compat::jemalloc_ctl::Error>(())
//! ```
//!
//! As with jemalloc, [`stats`] are those of the last [`epoch::advance`]; unlike there they are 0 before the first. The numbers mean what jemalloc's mean as nearly
//! as this allocator has such things; each function says what it counts. `mallctl` by name, arenas, tcaches and `opt.*` are not here.

use crate::{Stats, profile, scavenger};
use core::ffi::CStr;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use ferrimalloc_core::base::SLICE_BYTES;
use ferrimalloc_core::runtime::{self, SliceKind};
use ferrimalloc_prim::output::NewFile;

/// Why a call failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Error {
    /// The system has no further thread.
    NoThread,
    /// The file can't be made.
    NoFile,
}

/// What every call answers.
pub type Result<T> = core::result::Result<T, Error>;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::NoThread => "the system has no further thread",
            Error::NoFile => "the file can't be made",
        })
    }
}

impl core::error::Error for Error {}

/// The numbers of one moment, in bytes, and how often they were taken. Each is relaxed: they are read one by one in any case.
struct Taken {
    epoch: AtomicUsize,
    allocated: AtomicUsize,
    active: AtomicUsize,
    metadata: AtomicUsize,
    resident: AtomicUsize,
    retained: AtomicUsize,
}

static TAKEN: Taken = Taken {
    epoch: AtomicUsize::new(0),
    allocated: AtomicUsize::new(0),
    active: AtomicUsize::new(0),
    metadata: AtomicUsize::new(0),
    resident: AtomicUsize::new(0),
    retained: AtomicUsize::new(0),
};

impl Taken {
    fn take(&self) -> usize {
        let stats = Stats::now();
        let allocated = bytes(stats.shared_page_bytes.current + stats.own_page_bytes.current);
        let resident = bytes(stats.committed_bytes.current);
        self.allocated.store(allocated, Ordering::Relaxed);
        self.active.store(bytes(stats.page_bytes()).max(allocated), Ordering::Relaxed);
        self.metadata.store(metadata_bytes(), Ordering::Relaxed);
        self.resident.store(resident, Ordering::Relaxed);
        self.retained.store(bytes(stats.reserved_bytes.current).saturating_sub(resident), Ordering::Relaxed);
        self.epoch.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// What is in use fits into the addresses of the machine.
fn bytes(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Slices that hold the allocator's own structures.
fn metadata_bytes() -> usize {
    let own = |kind| matches!(kind, SliceKind::Info | SliceKind::Meta);
    let arenas = runtime::current_subproc().arenas().arenas();
    let slices =
        arenas.map(|arena| (0..arena.slices()).filter(|&slice| own(runtime::slice_kind(arena, slice))).count());
    slices.sum::<usize>() * SLICE_BYTES
}

/// When the statistics were taken.
pub mod epoch {
    use super::{Ordering, Result, TAKEN};

    /// Takes the statistics anew, and answers how often that has been done. Looks at every page: about a quarter of a millisecond per GiB of
    /// small blocks. Never fails.
    pub fn advance() -> Result<u64> {
        Ok(TAKEN.take() as u64)
    }

    /// How often statistics have been taken.
    pub fn read() -> Result<u64> {
        Ok(TAKEN.epoch.load(Ordering::Relaxed) as u64)
    }

    /// The key, which `tikv-jemalloc-ctl` looks up once; here there is nothing to look up.
    pub fn mib() -> Result<Mib> {
        Ok(Mib(()))
    }

    /// See [`mib`].
    #[derive(Clone, Copy, Debug)]
    pub struct Mib(());

    impl Mib {
        /// As [`advance`].
        pub fn advance(self) -> Result<u64> {
            advance()
        }

        /// As [`read`].
        pub fn read(self) -> Result<u64> {
            read()
        }
    }
}

/// One number of [`stats`].
macro_rules! statistic {
    ($name:ident, $what:literal) => {
        #[doc = $what]
        pub mod $name {
            use crate::compat::jemalloc_ctl::{Ordering, Result, TAKEN};

            #[doc = concat!($what, " At the last `epoch::advance`; one load.")]
            pub fn read() -> Result<usize> {
                Ok(TAKEN.$name.load(Ordering::Relaxed))
            }

            /// The key, which `tikv-jemalloc-ctl` looks up once; here there is nothing to look up.
            pub fn mib() -> Result<Mib> {
                Ok(Mib(()))
            }

            /// See [`mib`].
            #[derive(Clone, Copy, Debug)]
            pub struct Mib(());

            impl Mib {
                /// As the function `read`.
                pub fn read(self) -> Result<usize> {
                    read()
                }
            }
        }
    };
}

/// Bytes of the sub-process that the caller's thread is in.
pub mod stats {
    statistic!(allocated, "Blocks in use, rounding included.");
    statistic!(active, "Memory of pages that has held blocks: at least `allocated`, in bytes, not whole OS pages.");
    statistic!(metadata, "Slices that hold the allocator's own structures, as a whole.");
    statistic!(
        resident,
        "Memory in use or not given back yet, metadata included, but without the page map, which takes a 512th of that."
    );
    statistic!(retained, "Addresses that are reserved and have no memory behind them.");

    /// Memory in use or not given back yet: here the same as `resident`, dirty memory included, since what is mapped without memory counts as `retained`.
    pub mod mapped {
        pub use super::resident::{Mib, mib, read};
    }
}

/// The thread that gives memory back: [`scavenger`].
pub mod background_thread {
    use super::{Error, Result, scavenger};

    /// Whether it runs.
    pub fn read() -> Result<bool> {
        Ok(scavenger::runs())
    }

    /// Starts or ends it.
    ///
    /// # Errors
    /// [`Error::NoThread`] if it can't be started.
    pub fn write(runs: bool) -> Result<()> {
        if !runs {
            scavenger::stop();
            return Ok(());
        }
        scavenger::start().then_some(()).ok_or(Error::NoThread)
    }

    /// Starts or ends it, and answers whether it ran before.
    ///
    /// # Errors
    /// As [`write()`].
    pub fn update(runs: bool) -> Result<bool> {
        let before = scavenger::runs();
        write(runs).map(|()| before)
    }
}

/// The heap profiler: [`profile`].
pub mod prof {
    use super::{CStr, Error, NewFile, Result, profile};
    use ferrimalloc_core::profile::last_rate;

    /// Whether samples are taken (`prof.active`).
    pub mod active {
        use super::{Result, last_rate, profile};
        use ferrimalloc_core::runtime;

        /// Whether samples are taken.
        pub fn read() -> Result<bool> {
            Ok(profile::is_running())
        }

        /// Starts or stops taking samples, at the rate at which they were last taken. Where and when profiles are written stays as it was.
        pub fn write(active: bool) -> Result<()> {
            if active != profile::is_running() {
                runtime::profile_at(if active { last_rate() } else { 0 });
            }
            Ok(())
        }

        /// As [`write()`], and answers whether it ran before.
        pub fn update(active: bool) -> Result<bool> {
            let before = profile::is_running();
            write(active).map(|()| before)
        }
    }

    /// Writes what has been sampled to a file (`prof.dump`), as text that `jeprof` and `pprof` read. What the file held is gone.
    ///
    /// # Errors
    /// [`Error::NoFile`] if the file can't be made.
    pub fn dump(path: &CStr) -> Result<()> {
        let mut file = NewFile::create(path).ok_or(Error::NoFile)?;
        profile::heap_v2(&mut |piece: &[u8]| file.write(piece), last_rate());
        Ok(())
    }
}
