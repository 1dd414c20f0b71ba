//! What can be seen of a world from outside while it runs: events, their effects, and the fate of messages.

use crate::disk::{DbId, Disk, Losses, WriteSeq};
use crate::process::{NodeId, Outgoing, Process};
use crate::time::{Duration, Time};

/// Why a process ran.
#[derive(Debug)]
pub enum Cause<'a, P: Process> {
    /// The machine booted.
    Start,
    /// A message arrived.
    Message {
        /// Who sent it.
        from: NodeId,
        /// What it says.
        message: &'a P::Message,
    },
    /// A timer ran out.
    Timer {
        /// What it was set with.
        token: u64,
    },
    /// A sync completed.
    Synced {
        /// Of this database.
        db: DbId,
        /// The newest write that is durable now: the truth, where the process is told more since an earlier sync failed.
        up_to: WriteSeq,
    },
    /// A sync failed.
    SyncFailed {
        /// Of this database.
        db: DbId,
    },
    /// A task is done.
    Task {
        /// What it was started with.
        token: u64,
    },
    /// Somebody outside said something.
    Input(&'a P::Input),
    /// The machine stopped; its process is gone.
    Crash {
        /// What the disk forgot.
        losses: &'a Losses,
    },
}

/// What became of a message that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It will arrive then, unless the link is cut by that time or the machine is down.
    Arrives(Time),
    /// The network lost it: by its loss rate, because its queue is full, or because the link is cut.
    Lost,
    /// A filter dropped it.
    Dropped,
    /// A filter sends it on later.
    Delayed(Duration),
    /// A filter holds it.
    Held,
    /// It arrived where nobody could take it: the link was cut meanwhile, the machine is down, or it crashed in the
    /// pause in which the message lay there.
    Undelivered,
    /// It arrived on a clogged link, where it waits.
    Clogged,
    /// It arrives now, and damaged. Its receiver gets what [`Message::corrupted`](crate::Message::corrupted) makes of it: nothing,
    /// or another message.
    Corrupted,
}

/// One event and its effects, just after the process handled it and before they take their course.
#[derive(Debug)]
pub struct Happened<'a, P: Process> {
    /// When.
    pub time: Time,
    /// Where.
    pub node: NodeId,
    /// The process after the event; `None` after a crash.
    pub process: Option<&'a P>,
    /// The machine's disk; what the event wrote is visible and not durable.
    pub disk: &'a Disk,
    /// What it sent.
    pub sent: &'a [Outgoing<P::Message>],
}

/// Sees everything and changes nothing.
pub trait Observer<P: Process>: Clone {
    /// An event is about to be handled.
    fn happening(&mut self, time: Time, node: NodeId, cause: &Cause<'_, P>) {
        let _ = (time, node, cause);
    }
    /// An event was handled.
    fn happened(&mut self, what: &Happened<'_, P>) {
        let _ = what;
    }
    /// The network decided about a message.
    fn routed(&mut self, time: Time, from: NodeId, to: NodeId, message: &P::Message, fate: Fate) {
        let _ = (time, from, to, message, fate);
    }
}

impl<P: Process> Observer<P> for () {}
