//! The seam between the simulator and the code under test.
//!
//! A [`Process`] is a state machine without I/O. An input comes in (a message, a timer, "what you wrote is
//! durable"), the process changes its own state and says through the [`Context`] what shall happen: send,
//! write, sync, wake me later. It reads no clock but [`Context::now`], no randomness but
//! [`Context::random_seed`], and keeps no reference to anything outside itself, so that cloning it clones
//! all it knows. The same code can then run in production over sockets and files.
//!
//! One world runs one type of process. A system of several kinds (stores, clients, a placement service)
//! is an enum of them.

use std::hash::Hash;

use crate::clock::Clock;
use crate::disk::{DbId, Disk, WriteSeq};
use crate::random::Stream;
use crate::time::{Duration, Time};
use crate::trace::TraceHasher;

/// A machine on the network, numbered from 0 in the order of [`World::add`](crate::World::add).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u32);

/// What sort of message a message is, for filters: a number below 64 that the protocol defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind(u8);

impl Kind {
    /// The kind of this number.
    ///
    /// # Panics
    /// Where it is 64 or more: filters keep kinds as the bits of a word.
    #[must_use]
    pub const fn new(number: u8) -> Kind {
        assert!(number < 64, "a kind is a number below 64");
        Kind(number)
    }

    /// The kind as one bit.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self.0
    }
}

/// What travels on the network.
pub trait Message: Clone {
    /// The sort of message, for filters.
    fn kind(&self) -> Kind;
    /// Which of many independent conversations it belongs to, for filters: a consensus group, a shard. 0 where a protocol
    /// has no such thing.
    fn group(&self) -> u64 {
        0
    }
    /// Folds into `hash` everything that tells this message from another.
    fn digest(&self, hash: &mut TraceHasher);
    /// How many bytes it takes on a link; asked only where the link has a bandwidth.
    fn size(&self) -> u64 {
        0
    }
    /// What a receiver makes of it when bits of it were flipped on its way: `bits` are random and say which. `None` where a
    /// checksum sees it, as checksums do, and the message is lost.
    #[must_use]
    fn corrupted(self, bits: u64) -> Option<Self> {
        let _ = bits;
        None
    }
}

/// The code under test, one value a machine.
///
/// After a crash a new value is started over the same disk; nothing else survives.
pub trait Process: Clone {
    /// What travels on the network.
    type Message: Message;
    /// What comes from outside of the simulated system, an operator's command for one.
    type Input: Hash;

    /// The machine booted. The disk holds what earlier incarnations left.
    fn on_start(&mut self, cx: &mut Context<'_, Self::Message>);

    /// A message arrived.
    fn on_message(&mut self, from: NodeId, message: Self::Message, cx: &mut Context<'_, Self::Message>);

    /// A timer set by this incarnation ran out. A timer cannot be taken back: a process that no longer
    /// wants it ignores it.
    fn on_timer(&mut self, token: u64, cx: &mut Context<'_, Self::Message>);

    /// Writes of database `db` up to number `up_to` are durable.
    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Context<'_, Self::Message>);

    /// A sync of database `db` failed. What was written to it since the last one that succeeded is not durable, and will not
    /// be: what a later sync says of it means nothing, see [`crate::disk`]. The one thing to do is to stop.
    fn on_sync_failed(&mut self, db: DbId, cx: &mut Context<'_, Self::Message>);

    /// A task started by this incarnation is done.
    fn on_task(&mut self, token: u64, cx: &mut Context<'_, Self::Message>);

    /// Somebody outside said something.
    fn on_input(&mut self, input: Self::Input, cx: &mut Context<'_, Self::Message>);
}

/// A message on its way out.
#[derive(Clone, Debug)]
pub struct Outgoing<M> {
    /// The receiver.
    pub to: NodeId,
    /// What it says.
    pub message: M,
}

/// What a process asked for while it handled one event.
#[derive(Clone, Debug)]
pub(crate) struct Effects<M> {
    pub(crate) sent: Vec<Outgoing<M>>,
    pub(crate) timers: Vec<(Duration, u64)>,
    pub(crate) syncs: Vec<DbId>,
    /// Token and bytes.
    pub(crate) tasks: Vec<(u64, u64)>,
}

impl<M> Effects<M> {
    pub(crate) const fn new() -> Effects<M> {
        Effects { sent: Vec::new(), timers: Vec::new(), syncs: Vec::new(), tasks: Vec::new() }
    }
}

/// What a process may see and do while it handles an event.
pub struct Context<'a, M> {
    pub(crate) node: NodeId,
    /// True time, which is nobody's to see.
    pub(crate) time: Time,
    pub(crate) clock: &'a Clock,
    pub(crate) seed: u64,
    pub(crate) incarnation: u32,
    pub(crate) disk: &'a mut Disk,
    pub(crate) effects: &'a mut Effects<M>,
}

impl<M> Context<'_, M> {
    /// This machine.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// What this machine's clock shows: true time as long as it has neither drifted nor jumped. It may run backwards where it
    /// was set back: see [`crate::clock`].
    #[must_use]
    pub fn now(&self) -> Time {
        self.clock.at(self.time)
    }

    /// How often this machine has started before.
    #[must_use]
    pub fn incarnation(&self) -> u32 {
        self.incarnation
    }

    /// A seed for the process's own random decisions, one for each label, machine and incarnation.
    #[must_use]
    pub fn random_seed(&self, label: &str) -> u64 {
        let label = format!("{label} of {} in life {}", self.node.0, self.incarnation);
        Stream::derive(self.seed, &label).bits()
    }

    /// A stream of random decisions of this label, machine and incarnation: always from its beginning, so keep it.
    #[must_use]
    pub fn stream(&self, label: &str) -> Stream {
        Stream::derive(self.random_seed(label), label)
    }

    /// Sends a message. It may be lost, late, doubled or overtaken: see [`crate::network`].
    pub fn send(&mut self, to: NodeId, message: M) {
        self.effects.sent.push(Outgoing { to, message });
    }

    /// Calls [`Process::on_timer`] with `token` after this span on the machine's own clock, however that is set meanwhile. Timers that are due at the same moment run
    /// out in an order drawn at random, like all events.
    pub fn set_timer(&mut self, after: Duration, token: u64) {
        self.effects.timers.push((after, token));
    }

    /// This machine's disk, to read and write.
    #[must_use]
    pub fn disk(&mut self) -> &mut Disk {
        self.disk
    }

    /// This machine's disk, to read.
    #[must_use]
    pub fn disk_ref(&self) -> &Disk {
        self.disk
    }

    /// Calls [`Process::on_task`] with `token` when work in the background that moves so many bytes is done: see
    /// [`DiskModel`](crate::DiskModel). That takes true time, whatever the machine's clock does, and a crash ends it.
    /// What the work consists of is the process's own business.
    pub fn start_task(&mut self, token: u64, bytes: u64) {
        self.effects.tasks.push((token, bytes));
    }

    /// Makes durable what has been written to `db` by the end of this event; [`Process::on_synced`] tells when.
    pub fn sync(&mut self, db: DbId) {
        if !self.effects.syncs.contains(&db) {
            self.effects.syncs.push(db);
        }
    }
}
