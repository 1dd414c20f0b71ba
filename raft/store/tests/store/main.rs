//! Tests of a store from outside, a file for each part of it. One binary, because each links the whole store.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod bootstrap;
mod common;
mod corners;
mod faults;
mod histories;
mod log_gc;
mod membership;
mod placement;
mod reads;
mod replication;
mod requests;
mod restart;
mod snapshots;
mod splits;
mod time;
mod wipe;
