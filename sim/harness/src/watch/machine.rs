//! What the observer knows of one store's machine: how much of its disk it has seen, and who waits for a sync.

use std::collections::VecDeque;

use raftsim_kernel::{DiskFaults, WriteSeq};

/// One store's machine.
#[derive(Clone, Debug, Default)]
pub(super) struct Machine {
    /// The newest write to the log's database that was seen.
    pub(super) seen: WriteSeq,
    /// The newest write to the database of clients' data that was seen.
    pub(super) seen_data: WriteSeq,
    /// Who waits for the log's database to be synced, in the order of the writes.
    pub(super) unsynced: VecDeque<Unsynced>,
    /// What its disk had failed to do when its store went down last.
    pub(super) faults: DiskFaults,
    /// Whether its store has refused to serve since it started.
    pub(super) stopped: bool,
}

/// Writes of one replica with no other's in between.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unsynced {
    first: WriteSeq,
    last: WriteSeq,
    region: u64,
    replica: u64,
}

impl Machine {
    /// A replica wrote to the log's database. Replicas of one event may come in another order than their writes.
    pub(super) fn wrote(&mut self, seq: WriteSeq, region: u64, replica: u64) {
        match self.unsynced.back_mut() {
            Some(back) if (back.region, back.replica) == (region, replica) => back.last = seq,
            _ => self.unsynced.push_back(Unsynced { first: seq, last: seq, region, replica }),
        }
    }

    /// The next replica with a write that is durable now.
    pub(super) fn next_synced(&mut self, up_to: WriteSeq) -> Option<(u64, u64)> {
        let front = self.unsynced.front_mut().filter(|front| front.first <= up_to)?;
        let Unsynced { last, region, replica, .. } = *front;
        front.first = up_to + 1;
        if last <= up_to {
            self.unsynced.pop_front();
        }
        Some((region, replica))
    }
}
