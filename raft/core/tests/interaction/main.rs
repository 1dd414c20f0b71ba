//! The 28 interaction scenarios of etcd/raft (its `testdata`), retold for this library: each under its name
//! there, as a story that ends in a transcript a person can read. The facts that matter are asserted in the
//! code besides, so a transcript that was accepted in error hides none of them.
//!
//! Where this library behaves differently on purpose, the story says so: a membership change that makes no
//! sense is refused instead of being replaced by an empty entry, the caller makes the snapshots, a leader that
//! removes itself steps down by default, and a new commit is told once a batch.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]
#![allow(unreachable_pub, reason = "a test is no library")]

mod elections;
mod membership;
mod persistence;
mod replication;
mod snapshot;
mod story;
mod words;
