//! Snapshots for people and programs: pictures, text, JSON, metrics.

pub mod amount;
pub mod cells;
pub mod explain;
pub mod html;
pub mod pack;
pub mod stats;
pub mod svg;
pub mod terminal;
