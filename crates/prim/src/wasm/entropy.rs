//! The host's.

pub(crate) use crate::platform::wasm_host::random as fill;
