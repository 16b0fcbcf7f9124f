//! Who we are.

use ferrimalloc_core::diag::Message;

/// The version of mimalloc whose interface this is: `major * 10000 + minor * 100 + patch`.
#[doc(alias = "mi_version")]
pub const INTERFACE_VERSION: i32 = 30403;

/// Our own version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Appends both.
pub(super) fn write_version(line: &mut Message) {
    let number = u64::from(INTERFACE_VERSION.unsigned_abs());
    line.text("ferrimalloc ").text(VERSION).text(", interface of mimalloc v");
    line.unsigned(number / 10_000).character(b'.').unsigned(number / 100 % 100);
    line.character(b'.').unsigned(number % 100);
}
