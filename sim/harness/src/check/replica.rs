//! What the checks see of a replica: a few numbers, and the terms of its log.
//!
//! No type of a Raft implementation stands here, so that the same checks judge any of them. An adapter
//! reads the numbers from the running replica; the log and all that is durable come from what the replica
//! wrote to its simulated disk.

use im::OrdMap;
use raft_proto::eraftpb::EntryType;
use smallvec::SmallVec;
use twox_hash::XxHash3_64;

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
    /// The highest index it has applied.
    pub applied: u64,
    /// The highest index that compaction took away.
    pub truncated: u64,
    /// The last index of its log.
    pub last: u64,
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
    /// A hash of its type and data.
    pub digest: u64,
}

impl LogEntry {
    /// The entry's digest: XXH3 of its data, seeded with its type.
    #[must_use]
    pub fn digest(kind: EntryType, data: &[u8]) -> u64 {
        XxHash3_64::oneshot_with_seed(kind as u64, data)
    }
}

/// The terms of a log, as runs of equal terms: small whatever the length of the log.
///
/// By log matching (thesis, section 3.5) index and term determine an entry, so this is all that checks
/// need of a log once [`super::log_matching`] has seen each entry.
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
        if index <= self.base.0 || index > self.last + 1 {
            return false;
        }
        self.truncate(index);
        if self.term_at(self.last) != Some(term) || self.runs.is_empty() {
            self.runs.push((index, term));
        }
        self.last = index;
        true
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

/// Every entry that any log ever held, by index and term.
///
/// Nearly every index has an entry of one term only: those stand in a vector, the others in a map.
#[derive(Clone, Debug, Default)]
pub(crate) struct CanonicalLog {
    base: Option<u64>,
    first_seen: im::Vector<Option<Canonical>>,
    others: OrdMap<(u64, u64), Canonical>,
}

impl CanonicalLog {
    /// The entry seen first at this index and term; this one where there was none.
    pub(crate) fn get_or_insert(&mut self, index: u64, entry: Canonical) -> Canonical {
        let base = *self.base.get_or_insert(index);
        let Some(offset) = index.checked_sub(base).and_then(|offset| usize::try_from(offset).ok()) else {
            return *self.others.entry((index, entry.term)).or_insert(entry);
        };
        while self.first_seen.len() <= offset {
            self.first_seen.push_back(None);
        }
        match self.first_seen.get(offset).copied().flatten() {
            Some(known) if known.term == entry.term => known,
            Some(_) => *self.others.entry((index, entry.term)).or_insert(entry),
            None => {
                self.first_seen.set(offset, Some(entry));
                entry
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against a plain vector of terms.
        #[test]
        fn runs_are_a_vector_of_terms(steps in prop::collection::vec((0u64..20, 1u64..5, any::<bool>()), 0..60)) {
            let mut log = LogTerms::starting_after(5, 5);
            let mut model: Vec<u64> = vec![];
            for (index, term, put) in steps {
                let at = index.saturating_sub(6) as usize;
                if put {
                    let fits = index > 5 && at <= model.len();
                    prop_assert_eq!(log.put(index, term), fits);
                    if fits { model.truncate(at); model.push(term); }
                } else if index > 5 {
                    log.truncate(index);
                    model.truncate(at);
                }
                prop_assert_eq!(log.last(), 5 + model.len() as u64);
                prop_assert_eq!(log.term_at(5), Some(5));
                for probe in 6..30 {
                    prop_assert_eq!(log.term_at(probe), model.get(probe as usize - 6).copied());
                }
            }
        }
    }

    #[test]
    fn the_first_entry_seen_stays() {
        let mut log = CanonicalLog::default();
        let entry = |term, digest| Canonical { term, digest, previous_term: 0 };
        for (index, term) in [(8, 2), (6, 1), (8, 3), (10, 3)] {
            assert_eq!(log.get_or_insert(index, entry(term, 1)).digest, 1);
        }
        for (index, term) in [(8, 2), (6, 1), (8, 3), (10, 3)] {
            assert_eq!(log.get_or_insert(index, entry(term, 2)).digest, 1, "index {index} term {term}");
        }
        assert_eq!(log.get_or_insert(9, entry(2, 7)).digest, 7);
    }
}
