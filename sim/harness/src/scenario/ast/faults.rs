//! What goes wrong between machines, and what takes it back.

use super::{Bytes, Endpoint, Latency, Losing, MessageKind};
use raftsim_kernel::{Duration, Ppm};

/// What a crash takes from each database of a store. Written as one word or number where all lose the same, as
/// `{ raft, kv, snapshots }` otherwise; a database that such a table leaves out loses nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Losses {
    /// From the database that holds the log, of systems with a single database from that one.
    pub raft: Lost,
    /// From the database of clients' data.
    pub kv: Lost,
    /// From the database of snapshots.
    pub snapshots: Lost,
}

/// What a crash takes of the writes of one database that no sync has covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// As the word says.
    Word(Losing),
    /// The newest writes, so many of them, or all if there are fewer; positive.
    Newest(u64),
}

impl Losses {
    /// The same from every database.
    #[must_use]
    pub const fn all(lost: Lost) -> Losses {
        Losses { raft: lost, kv: lost, snapshots: lost }
    }

    /// What the database of this name loses.
    #[must_use]
    pub fn of(&self, database: &str) -> Lost {
        match database {
            "kv" => self.kv,
            "snapshots" => self.snapshots,
            _ => self.raft,
        }
    }
}

impl Default for Losses {
    /// A random part of each database.
    fn default() -> Losses {
        Losses::all(Lost::Word(Losing::Random))
    }
}

/// The links that `heal`, `clog` and `unclog` are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Links {
    /// `"all"`: every link. To `heal` all takes back partitions, cuts and clogs.
    All,
    /// Every link from and to these; never just [`Target::All`](super::Target::All).
    Of(Vec<Endpoint>),
    /// The links in one direction.
    Between {
        /// Senders; not empty.
        from: Vec<Endpoint>,
        /// Receivers; not empty.
        to: Vec<Endpoint>,
    },
}

/// `network` as a step: what changes (at least one thing), and on which directed links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkChange {
    /// How long a message travels.
    pub latency: Option<Latency>,
    /// Share of messages that are lost.
    pub loss: Option<Ppm>,
    /// Share of messages that arrive twice.
    pub duplicate: Option<Ppm>,
    /// Share of messages that may overtake earlier ones of their link.
    pub reorder: Option<Ppm>,
    /// Share of messages that are corrupted on their way.
    pub corrupt: Option<Ppm>,
    /// Bytes that pass in a second; positive.
    pub bandwidth: Option<Bytes>,
    /// Bytes that may wait to pass; positive. Only where a bandwidth bounds.
    pub queue: Option<Bytes>,
    /// Senders; all where `None`.
    pub from: Option<Vec<Endpoint>>,
    /// Receivers; all where `None`.
    pub to: Option<Vec<Endpoint>>,
}

/// A message filter. The first filter that picks a message, in the order of the steps, acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What it does with the messages it picks.
    pub effect: Effect,
    /// The kinds it picks; not empty.
    pub messages: Vec<MessageKind>,
    /// A key of the region whose messages it picks, as of when the step runs; of any where `None`. Raftstore only.
    pub of: Option<String>,
    /// Senders; all where `None`.
    pub from: Option<Vec<Endpoint>>,
    /// Receivers; all where `None`.
    pub to: Option<Vec<Endpoint>>,
    /// How many matching messages it lets pass first.
    pub skip: u64,
    /// It acts on this many messages, then no more; positive. All where `None`.
    pub count: Option<u64>,
    /// Its name.
    pub name: Option<String>,
}

/// What a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `drop`: the message is lost.
    Drop,
    /// `delay`: the message takes longer.
    Delay {
        /// By so much; positive.
        by: Duration,
    },
    /// `hold`: the message waits until the filter is released or cleared.
    Hold,
    /// `duplicate`: the message arrives again.
    Duplicate {
        /// So many times more; positive.
        times: u32,
    },
}
