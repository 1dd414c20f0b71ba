//! What the oracle remembers of a replica from one call to the next.

use std::collections::BTreeMap;

use raft::eraftpb::HardState;
use raft::{EntryId, Role};

use crate::replica::Replica;

/// A replica as it was after the last call.
pub(crate) struct Seen {
    pub(crate) term: u64,
    pub(crate) role: Role,
    pub(crate) commit: u64,
    pub(crate) applied: u64,
    pub(crate) truncated: EntryId,
    /// Terms of the entries after `truncated`.
    pub(crate) log: Vec<u64>,
    /// Of a leader: what it knew of each member.
    pub(crate) matched: BTreeMap<u64, u64>,
    /// The number of the last batch.
    pub(crate) number: u64,
    pub(crate) hard_state: HardState,
    /// Committed entries were handed out up to here.
    pub(crate) handed_out: u64,
    /// A snapshot was handed out, and nothing may follow before it is applied.
    pub(crate) restoring: Option<u64>,
}

impl Seen {
    pub(crate) fn of(replica: &Replica) -> Seen {
        let raw = &replica.raw;
        let terms = raw.first_index()..=raw.last().index;
        Seen {
            term: raw.term(),
            role: raw.role(),
            commit: raw.commit(),
            applied: raw.applied(),
            truncated: raw.truncated(),
            log: terms.map(|index| raw.term_at(index).expect("in the log")).collect(),
            matched: BTreeMap::new(),
            number: 0,
            hard_state: replica.disk.hard_state(),
            handed_out: raw.applied(),
            restoring: None,
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.truncated.index + self.log.len() as u64
    }

    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        match index.checked_sub(self.truncated.index)? {
            0 => Some(self.truncated.term),
            offset => self.log.get(offset as usize - 1).copied(),
        }
    }

    pub(crate) fn led(&self, term: u64) -> bool {
        self.role == Role::Leader && self.term == term
    }
}
