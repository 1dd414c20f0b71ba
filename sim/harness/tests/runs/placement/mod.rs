//! The placement driver, through its trait alone: by itself, and in a small model of a cluster.

#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic fails the test")]

mod alone;
mod model;
mod together;
