//! A deterministic discrete-event simulator for distributed systems.
//!
//! A [`World`] holds processes, the network between them, their disks and clocks, one virtual time and every
//! random stream, and nothing else decides what happens: the same seed and the same calls give the same
//! run, event for event, on every machine. A world is a value: `clone` it to try several futures from
//! one moment. The kernel knows nothing of Raft; bring your own protocol by implementing [`Process`].
//!
//! What each part promises stands at the top of its file: [`disk`] what a crash forgets, [`network`] what
//! may happen to a message, [`clock`] what a machine takes for the time, [`random`] why drawing more in one
//! place shifts nothing elsewhere.
//!
//! # Example: a counter with a primary and a backup
//!
//! The primary makes each increment durable, sends it to the backup, and resends it until the backup,
//! having made it durable too, says so. Node 0 is the primary, node 1 the backup. An observer checks after
//! every event that nothing is promised which a crash could take back.
//!
//! ```
//! use raftsim_kernel::*;
//! use std::collections::VecDeque;
//!
//! #[derive(Clone, Debug, PartialEq)]
//! enum Wire { Add { total: u64 }, Have { total: u64 } }
//!
//! impl Wire {
//!     fn total(&self) -> u64 { match self { Wire::Add { total } | Wire::Have { total } => *total } }
//! }
//!
//! impl Message for Wire {
//!     fn kind(&self) -> Kind { Kind::new(matches!(self, Wire::Have { .. }) as u8) }
//!     fn digest(&self, hash: &mut TraceHasher) { hash.word(self.total()) }
//! }
//!
//! #[derive(Clone, Default)]
//! struct Counter {
//!     total: u64,
//!     /// The total that a crash leaves, and those on their way to the disk with their writes' numbers.
//!     durable: u64,
//!     writing: VecDeque<(WriteSeq, u64)>,
//!     /// What the backup is known to have.
//!     acknowledged: u64,
//! }
//!
//! const DB: DbId = DbId(0);
//! const RESEND: u64 = 1;
//!
//! fn stored(value: Option<&bytes::Bytes>) -> u64 {
//!     value.map_or(0, |bytes| bytes.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
//! }
//!
//! impl Counter {
//!     fn store(&mut self, cx: &mut Context<'_, Wire>) {
//!         let value = self.total.to_be_bytes().to_vec();
//!         let write = cx.disk().write(DB, [("total", Some(value.into()))]);
//!         self.writing.push_back((write, self.total));
//!         cx.sync(DB);
//!     }
//! }
//!
//! impl Process for Counter {
//!     type Message = Wire;
//!     type Input = (); // somebody pressed the button
//!
//!     fn on_start(&mut self, cx: &mut Context<'_, Wire>) {
//!         // After a crash the disk is all that is left.
//!         self.total = stored(cx.disk().get(DB, b"total"));
//!         self.durable = self.total;
//!         if cx.node() == NodeId(0) { cx.set_timer(Duration::millis(50), RESEND); }
//!     }
//!     fn on_input(&mut self, (): (), cx: &mut Context<'_, Wire>) {
//!         self.total += 1;
//!         self.store(cx);
//!     }
//!     fn on_message(&mut self, from: NodeId, message: Wire, cx: &mut Context<'_, Wire>) {
//!         match message {
//!             Wire::Add { total } if total > self.total => { self.total = total; self.store(cx) }
//!             Wire::Add { .. } => cx.send(from, Wire::Have { total: self.durable }),
//!             Wire::Have { total } => self.acknowledged = self.acknowledged.max(total),
//!         }
//!     }
//!     fn on_synced(&mut self, _: DbId, up_to: WriteSeq, cx: &mut Context<'_, Wire>) {
//!         while let Some((_, total)) = self.writing.pop_front_if(|(write, _)| *write <= up_to) {
//!             self.durable = total;
//!         }
//!         let total = self.durable;
//!         match cx.node() {
//!             NodeId(0) => cx.send(NodeId(1), Wire::Add { total }),
//!             _ => cx.send(NodeId(0), Wire::Have { total }),
//!         }
//!     }
//!     fn on_sync_failed(&mut self, _: DbId, _: &mut Context<'_, Wire>) {} // no disk fails here
//!     fn on_task(&mut self, _: u64, _: &mut Context<'_, Wire>) {} // it starts none
//!     fn on_timer(&mut self, _: u64, cx: &mut Context<'_, Wire>) {
//!         if self.acknowledged < self.durable { cx.send(NodeId(1), Wire::Add { total: self.durable }); }
//!         cx.set_timer(Duration::millis(50), RESEND);
//!     }
//! }
//!
//! #[derive(Clone)]
//! struct PromisesAreDurable;
//!
//! impl Observer<Counter> for PromisesAreDurable {
//!     fn happened(&mut self, what: &Happened<'_, Counter>) {
//!         let durable = stored(what.disk.durable_get(DB, b"total"));
//!         for sent in what.sent { assert!(sent.message.total() <= durable, "{sent:?}, durable {durable}"); }
//!     }
//! }
//!
//! let run = |seed| {
//!     let mut world = World::new(seed, PromisesAreDurable);
//!     let (primary, backup) = (world.add(1), world.add(1));
//!     // Half of all messages are lost, and the backup loses power once.
//!     world.network_mut().set_default(LinkModel { loss: Ppm::percent(50), ..LinkModel::default() });
//!     world.start(primary, Counter::default());
//!     world.start(backup, Counter::default());
//!     for _ in 0..10 { world.input(primary, ()); }
//!     world.run_until(Time::ZERO + Duration::millis(120));
//!     world.crash(backup, Loss::Unsynced);
//!     world.start(backup, Counter::default());
//!     world.run_until(Time::ZERO + Duration::secs(5));
//!     assert_eq!(world.process(primary).unwrap().acknowledged, 10);
//!     assert_eq!(world.process(backup).unwrap().durable, 10);
//!     world.trace_hash()
//! };
//! assert_eq!(run(7), run(7)); // one seed, one run
//! assert_ne!(run(7), run(8));
//! ```

pub mod clock;
pub mod disk;
pub mod filter;
pub mod key;
pub mod latency;
pub mod network;
pub mod process;
mod queue;
pub mod random;
pub mod time;
pub mod trace;
pub mod world;

pub use clock::Clock;
pub use disk::{
    Change, DbId, Disk, DiskAccess, DiskFailure, DiskFault, DiskFaults, DiskModel, Loss, Losses, WriteSeq,
};
pub use filter::{Filter, FilterAction, FilterId};
pub use key::Key;
pub use latency::Latency;
pub use network::{LinkModel, Network};
pub use process::{Context, Kind, Message, NodeId, Outgoing, Process};
pub use random::Stream;
pub use time::{Drift, Duration, Ppm, Time};
pub use trace::TraceHasher;
pub use world::{Cause, Fate, Faults, Happened, Observer, World};
