//! Work in progress.
pub mod time;
pub use time::{Duration, Ppm, Time};
