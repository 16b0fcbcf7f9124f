//! The heap profiler: who has allocated what is in use.
//!
//! One block per so many bytes ([`Settings::rate_bytes`]; 512 KiB by default) is a sample: its stack is recorded, and when it is freed.
//! Sums of samples estimate, without bias, what there was. Off, the profiler costs nothing; `docs/PROFILING.md` says what it costs when it is on.
//!
//! ```
//! use ferrimalloc::MiMalloc;
//! use ferrimalloc::profile::{self, Measure, Settings};
//!
//! #[global_allocator]
//! static GLOBAL: MiMalloc = MiMalloc;
//!
//! profile::start(&Settings { rate_bytes: 4096, ..Settings::default() });
//! let held: Vec<Vec<u8>> = (0..1000).map(|_| vec![1; 1000]).collect();
//! profile::stop();
//!
//! let mut text = Vec::new();
//! profile::collapsed(&mut |bytes: &[u8]| text.extend_from_slice(bytes), Measure::InUse);
//! assert!(String::from_utf8_lossy(&text).lines().count() > 0);
//! # drop(held);
//! ```
//!
//! Programs that serve their profile over HTTP answer with [`pprof`]. The environment starts the profiler, too:
//! `MIMALLOC_PROFILE=name` writes `name.0001.pb` at the end. See `docs/PROFILING.md`.

#[doc(alias = "mi_profiler_snapshot")]
pub use ferrimalloc_profile::snapshot;
#[doc(alias = "mi_profiler_start")]
pub use ferrimalloc_profile::start;
#[doc(alias = "mi_profiler_stop")]
pub use ferrimalloc_profile::stop;
#[doc(alias = "mi_pprof_profiler_new")]
pub use ferrimalloc_profile::{Format, Intervals, Measure, Output, Settings};
pub use ferrimalloc_profile::{collapsed, heap_v2, is_running, pprof};
