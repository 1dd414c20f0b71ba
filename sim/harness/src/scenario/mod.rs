//! Scenario files.

pub mod ast;
pub mod names;
pub mod units;
