//! Nothing: a manifest beside this file names a crate for its C or C++ sources, and Cargo wants a target.
