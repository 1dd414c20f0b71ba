//! What the checks see of a replica: a few numbers, and the terms of its log.
//!
//! No type of a Raft implementation stands here, so that the same checks judge any of them. An adapter
//! reads the numbers from the running replica; the log and all that is durable come from what the replica
//! wrote to its simulated disk.

use std::sync::Arc;

use im::{OrdMap, Vector};
use smallvec::SmallVec;

pub use crate::scenario::ast::Role;

/// A replica's volatile state after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReplicaState {
    /// Its current term.
    pub term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: u64,
    /// Its role.
    pub role: Role,
    /// The leader it follows; 0 for none.
    pub leader: u64,
    /// The highest index it knows to be committed.
    pub commit: u64,
    /// The highest index it has applied, or whose snapshot took the log's place: not below `truncated`.
    pub applied: u64,
    /// The highest index that compaction took away.
    pub truncated: u64,
    /// The last index of its log.
    pub last: u64,
}

impl ReplicaState {
    /// Whether the replica led its present term before or after the event that began in `before`. A leader that
    /// commits its own removal steps down in the same event.
    pub(crate) fn leads_or_led(&self, before: &ReplicaState) -> bool {
        self.role == Role::Leader || (before.role == Role::Leader && before.term == self.term)
    }

    /// Whether the replica became leader, or leader of another term, since `before`.
    pub(crate) fn takes_office_after(&self, before: &ReplicaState) -> bool {
        self.role == Role::Leader && (before.role != Role::Leader || before.term != self.term)
    }
}

/// The part of a replica's state that must survive a crash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// Its term.
    pub term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: u64,
}

/// An entry that a replica put into its log: where, of which term, and a digest of what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// A hash of all that it says.
    pub digest: u64,
    /// Whether it holds a membership change.
    pub conf_change: bool,
}

/// Whom a replica counts for quorums: the voters of the configuration that it has applied, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Voters<'a> {
    /// The voters; while the configuration is joint (thesis, section 4.3), those that it leads to.
    pub incoming: &'a [u64],
    /// The voters that a joint configuration comes from, whose quorum is needed too; otherwise empty.
    pub outgoing: &'a [u64],
}

/// The terms of a log, as runs of equal terms: small whatever the length of the log.
///
/// By log matching (thesis, section 3.5) index and term determine an entry, so this is all that checks
/// need of a log once `log-matching` has seen each entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogTerms {
    /// The index before the first entry, and the term there.
    base: (u64, u64),
    /// First index and term of each run, ascending.
    runs: SmallVec<[(u64, u64); 4]>,
    last: u64,
}

impl LogTerms {
    /// A log without entries after `index`, where the term is `term`.
    #[must_use]
    pub fn starting_after(index: u64, term: u64) -> LogTerms {
        LogTerms { base: (index, term), runs: SmallVec::new(), last: index }
    }

    /// The last index.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// The index before the first entry.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.base.0
    }

    /// The term of the entry at `index`; `None` outside of the log.
    #[must_use]
    pub fn term_at(&self, index: u64) -> Option<u64> {
        if index < self.base.0 || index > self.last {
            return None;
        }
        let run = self.runs.iter().rev().find(|(first, _)| *first <= index);
        Some(run.map_or(self.base.1, |(_, term)| *term))
    }

    /// Puts an entry at `index`, which drops all after it. Returns whether it follows the log without a gap.
    pub fn put(&mut self, index: u64, term: u64) -> bool {
        let newest = self.runs.last().map(|(_, term)| *term);
        if index == self.last + 1 && newest == Some(term) {
            self.last = index;
            return true;
        }
        if index <= self.base.0 || index > self.last + 1 {
            return false;
        }
        self.truncate(index);
        if self.runs.last().is_none_or(|(_, newest)| *newest != term) {
            self.runs.push((index, term));
        }
        self.last = index;
        true
    }

    /// Puts entries of one term at `first..=last`, wherever that is: if it does not follow the log, the
    /// log begins there, after an entry of a term that nobody knows (0).
    pub fn put_range(&mut self, first: u64, last: u64, term: u64) {
        if !self.put(first, term) {
            *self = LogTerms::starting_after(first.saturating_sub(1), 0);
            self.put(first, term);
        }
        self.last = last.max(self.last);
    }

    /// The log starts after this entry now. What comes after it stays if the entry was in the log.
    pub fn start_after(&mut self, index: u64, term: u64) {
        if index == self.base.0 {
            self.base.1 = term;
        } else if index > self.base.0 {
            if self.term_at(index) != Some(term) {
                *self = LogTerms::starting_after(index, term);
                return;
            }
            let gone = self.runs.iter().take_while(|(first, _)| *first <= index).count();
            self.base = (index, term);
            // The run that the entry is in goes on after it.
            if gone > 0 && self.runs.get(gone).map_or(self.last, |(next, _)| *next - 1) > index {
                self.runs[gone - 1].0 = index + 1;
                self.runs.drain(..gone - 1);
            } else {
                self.runs.drain(..gone);
            }
        }
    }

    /// Drops the entries from `index` on.
    pub fn truncate(&mut self, index: u64) {
        while self.runs.last().is_some_and(|(first, _)| *first >= index) {
            self.runs.pop();
        }
        self.last = self.last.min(index.saturating_sub(1)).max(self.base.0);
    }
}

/// The first entry seen at an index and term, to which every other is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Canonical {
    pub(crate) term: u64,
    pub(crate) digest: u64,
    pub(crate) previous_term: u64,
}

/// So many entries are kept where they are found at once; replicas are rarely further apart.
const RECENT: usize = 128;

/// Every entry that any log ever held, by index and term.
///
/// Nearly every index has an entry of one term only: those stand in arrays, the others in a map. The
/// newest are in a plain one, which a clone copies, and all before them in chunks that clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct CanonicalLog {
    /// The first index of the first chunk.
    base: Option<u64>,
    chunks: Vector<Arc<[Canonical; RECENT]>>,
    recent: Vec<Canonical>,
    others: OrdMap<(u64, u64), Canonical>,
}

impl CanonicalLog {
    /// The entry seen first at this index and term; this one where there was none.
    pub(crate) fn get_or_insert(&mut self, index: u64, entry: Canonical) -> Canonical {
        let base = *self.base.get_or_insert(index);
        let settled = self.chunks.len() * RECENT;
        let Some(offset) = index.checked_sub(base).and_then(|offset| usize::try_from(offset).ok()) else {
            return self.other(index, entry);
        };
        let known = match offset.checked_sub(settled) {
            None => self.chunks.get(offset / RECENT).map(|chunk| chunk[offset % RECENT]),
            Some(place) => self.recent.get(place).copied(),
        };
        match known {
            Some(known) if known.term == entry.term => known,
            Some(_) => self.other(index, entry),
            None if offset == settled + self.recent.len() => {
                // It may have been seen while what comes before it was not.
                let entry = self.others.remove(&(index, entry.term)).unwrap_or(entry);
                self.push(entry);
                entry
            }
            // Nobody has written what comes before it.
            None => self.other(index, entry),
        }
    }

    fn other(&mut self, index: u64, entry: Canonical) -> Canonical {
        *self.others.entry((index, entry.term)).or_insert(entry)
    }

    fn push(&mut self, entry: Canonical) {
        if self.recent.len() == 2 * RECENT
            && let Some(chunk) = self.recent.first_chunk::<RECENT>()
        {
            self.chunks.push_back(Arc::new(*chunk));
            self.recent.drain(..RECENT);
        }
        self.recent.push(entry);
    }
}

#[cfg(test)]
mod tests;
