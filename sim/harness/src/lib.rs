//! Raft stores in the simulator: clusters, clients, checks and scenarios.
//!
//! A [`scenario`] is the only input: a person writes one, or a tool makes one. A [`run::Run`] is one
//! scenario with one seed; it owns the whole simulated cluster and is a value, so cloning it gives a second
//! future. While it runs, [`watch::Watch`] feeds every event to the [`check`]s and keeps the clients'
//! [`history`], which [`linearizability`] judges at the end.

pub mod check;
pub mod client;
pub mod fingerprint;
pub mod fuzz;
pub mod history;
pub mod linearizability;
pub mod message;
pub mod node;
pub mod reach;
pub mod record;
pub mod report;
pub mod run;
pub mod scenario;
pub mod system;
pub mod transcript;
pub mod watch;
