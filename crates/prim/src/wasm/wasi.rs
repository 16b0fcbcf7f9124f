//! WASI preview 1: three of its functions, by the names and types of its specification.

/// `clockid`.
#[derive(Clone, Copy)]
#[repr(u32)]
pub(crate) enum Clock {
    Real = 0,
    Monotonic = 1,
}

/// `ciovec`.
#[repr(C)]
struct Piece {
    start: *const u8,
    bytes: usize,
}

const STDERR: u32 = 2;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
unsafe extern "C" {
    fn clock_time_get(clock: u32, precision_nanos: u64, nanos: *mut u64) -> i32;
    fn random_get(buf: *mut u8, bytes: usize) -> i32;
    fn fd_write(file: u32, pieces: *const Piece, count: usize, written: *mut usize) -> i32;
}

/// 0 where the host has no such clock.
pub(crate) fn nanos(clock: Clock) -> u64 {
    let mut nanos = 0;
    // SAFETY: a place for the result.
    if unsafe { clock_time_get(clock as u32, 1000, &mut nanos) } == 0 { nanos } else { 0 }
}

pub(crate) fn random(buf: &mut [u8]) -> bool {
    // SAFETY: writes to the slice only.
    unsafe { random_get(buf.as_mut_ptr(), buf.len()) == 0 }
}

pub(crate) fn write_stderr(bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let (piece, mut written) = (Piece { start: rest.as_ptr(), bytes: rest.len() }, 0);
        // SAFETY: reads from the slice only.
        let failed = unsafe { fd_write(STDERR, &piece, 1, &mut written) } != 0;
        if failed || written == 0 {
            return;
        }
        rest = rest.get(written..).unwrap_or(&[]);
    }
}
