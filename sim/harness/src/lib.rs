//! Work in progress.
pub mod scenario;
