//! The ledger of one region: what each replica wrote, made durable and reached, and what is committed.
//!
//! Checks share it and only [`super::Checks`] writes to it, so that each fact is kept once.

use std::collections::VecDeque;

use super::replica::{HardState, LogEntry, LogTerms, ReplicaState};

/// A write that is visible to its replica and not durable yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pending {
    Put { index: u64, term: u64 },
    Truncate { index: u64 },
    Hard(HardState),
    Applied(u64),
}

/// What is known of one replica.
#[derive(Clone, Debug)]
pub(crate) struct Replica {
    /// Its id, as Raft messages name it.
    pub(crate) id: u64,
    /// Its state after the last event; `None` while its store is down.
    pub(crate) state: Option<ReplicaState>,
    /// Whom it counts for quorums: the voters of the configuration it has applied.
    pub(crate) voters: Vec<u64>,
    /// Its log as it reads it.
    pub(crate) visible: LogTerms,
    /// Its log as a crash would leave it.
    pub(crate) durable_log: LogTerms,
    /// Its term and vote as a crash would leave them.
    pub(crate) durable: HardState,
    /// Its applied index as a crash would leave it.
    pub(crate) durable_applied: u64,
    /// What it wrote since, oldest first, with the number of the write: raft database, kv database.
    pub(crate) pending: [VecDeque<(u64, Pending)>; 2],
}

impl Replica {
    pub(crate) fn new(id: u64) -> Replica {
        Replica {
            id,
            state: None,
            voters: Vec::new(),
            visible: LogTerms::starting_after(0, 0),
            durable_log: LogTerms::starting_after(0, 0),
            durable: HardState::default(),
            durable_applied: 0,
            pending: [VecDeque::new(), VecDeque::new()],
        }
    }

    /// Takes over the next write that a sync up to `seq` made durable.
    pub(crate) fn next_durable(&mut self, database: usize, seq: u64) -> Option<Pending> {
        let (_, write) = self.pending[database].pop_front_if(|(number, _)| *number <= seq)?;
        match write {
            Pending::Put { index, term } => {
                self.durable_log.put(index, term);
            }
            Pending::Truncate { index } => self.durable_log.truncate(index),
            Pending::Hard(hard) => self.durable = hard,
            Pending::Applied(applied) => self.durable_applied = applied,
        }
        Some(write)
    }
}

/// Everything known of one region.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    /// Its replicas in the order of their ids.
    pub(crate) replicas: Vec<Replica>,
    /// The committed entries' terms by index; `committed_base` is the index before the first.
    committed: im::Vector<u64>,
    committed_base: Option<u64>,
}

impl Ledger {
    pub(crate) fn replica(&self, id: u64) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.id == id)
    }

    pub(crate) fn replica_mut(&mut self, id: u64) -> &mut Replica {
        let at = match self.replicas.binary_search_by_key(&id, |replica| replica.id) {
            Ok(at) => at,
            Err(at) => {
                self.replicas.insert(at, Replica::new(id));
                at
            }
        };
        &mut self.replicas[at]
    }

    /// The highest index known to be committed by anybody.
    pub(crate) fn committed_last(&self) -> u64 {
        self.committed_base.unwrap_or(0) + self.committed.len() as u64
    }

    /// The term of the committed entry at `index`; `None` where nothing is committed yet, or nothing was ever compared.
    pub(crate) fn committed_term(&self, index: u64) -> Option<u64> {
        let offset = index.checked_sub(self.committed_base? + 1)?;
        self.committed.get(usize::try_from(offset).ok()?).copied()
    }

    /// The highest committed index whose term is below `term`, with its term. Terms never fall along a log.
    pub(crate) fn last_committed_before(&self, term: u64) -> Option<LogEntry> {
        let at = |index| self.committed_term(index);
        let mut index = self.committed_last();
        while at(index)? >= term {
            index -= 1;
        }
        at(index).map(|term| LogEntry { index, term, digest: 0 })
    }

    /// Notes that everything up to `commit` in this log is committed.
    pub(crate) fn note_committed(&mut self, log: &LogTerms, commit: u64) {
        let base = *self.committed_base.get_or_insert(log.truncated());
        for index in base + self.committed.len() as u64 + 1..=commit {
            match log.term_at(index) {
                Some(term) => self.committed.push_back(term),
                None => return,
            }
        }
    }
}
