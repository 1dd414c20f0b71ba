//! What happens to machines that is more than a word: changes of disks, storms of restarts.

use super::{Bytes, Latency, Losses, Target};
use raftsim_kernel::Ppm;

/// `disk` as a step: what changes (at least one thing), and of which stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DiskChange {
    /// Which stores.
    pub targets: Vec<Target>,
    /// How long a sync takes.
    pub sync: Option<Latency>,
    /// How long a piece of background work takes, besides its bytes.
    pub task: Option<Latency>,
    /// How many bytes background work reads and writes in a second; positive.
    pub throughput: Option<Bytes>,
    /// How long a read takes.
    pub read: Option<Latency>,
    /// How long a write takes.
    pub write: Option<Latency>,
    /// How many bytes of keys and values fit; positive.
    pub capacity: Option<Bytes>,
    /// Whether no sync and no background work completes.
    pub stalled: Option<bool>,
    /// Share of keys that cannot be read: bad sectors.
    pub bad: Option<Ppm>,
    /// Share of writes that fail.
    pub write_errors: Option<Ppm>,
    /// Share of syncs that fail.
    pub sync_errors: Option<Ppm>,
}

/// `storm`: stores that crash and restart again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storm {
    /// Which stores.
    pub targets: Vec<Target>,
    /// How often; positive.
    pub times: u64,
    /// How long they stay up after each start.
    pub up: Latency,
    /// How long they stay down after each crash.
    pub down: Latency,
    /// What their databases lose in each crash.
    pub losing: Losses,
}
