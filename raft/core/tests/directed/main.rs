//! Directed tests of consensus, a file for each part of it. One binary, because each links the whole of raft.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

mod common;
mod election;
mod flow;
mod membership;
mod raw_node;
mod reads;
mod replication;
mod snapshot;
mod stickiness;
mod time;
mod transfer;
