//! The log of one replica, in memory from the truncated entry on.
//!
//! ```text
//! truncated <= applied <= handed to apply <= commit <= last
//!                         handed to apply <= persisted <= handed to write <= last
//! ```
//!
//! A snapshot that replaces the log moves all of these to its index but for two: `applied` follows when
//! the state machine has been replaced, `persisted` when the snapshot is durable.
//!
//! Promise: no entry at or below `commit` is ever changed (asserted), and only applied ones are forgotten. An
//! entry is handed out to be applied when it is committed, durable here (unless the caller wants it
//! before), and what precedes it was handed out and, if that is a snapshot, applied. Entries sit in a
//! persistent vector, so a copy of the log costs nothing until one of the two changes.

use im::Vector;
use prost::Message as _;
use smallvec::{SmallVec, smallvec};

use crate::eraftpb::Entry;
use crate::ready::EntryId;

#[derive(Clone, Debug)]
pub(crate) struct RaftLog {
    /// `entries[0]` has the index `truncated.index + 1`.
    entries: Vector<Entry>,
    /// The truncated id, then the first id of each later term. Terms never fall along a log and change
    /// only with a leader, so this answers "which term?" without touching an entry.
    terms: SmallVec<[EntryId; 3]>,
    last: EntryId,
    /// Entries up to here were handed out to be written.
    written: u64,
    persisted: u64,
    commit: u64,
    /// Entries up to here were handed out to be applied.
    applying: u64,
    applied: u64,
    /// A snapshot was taken up and is not applied yet.
    restoring: bool,
    /// Whether entries may be handed out to be applied before they are durable here.
    apply_unpersisted: bool,
}

impl RaftLog {
    /// A log read from storage, all of it durable. The caller has checked
    /// `truncated <= applied <= commit <= last`.
    pub(crate) fn new(truncated: EntryId, entries: Vec<Entry>, commit: u64, applied: u64) -> RaftLog {
        let mut log = RaftLog {
            entries: Vector::new(),
            terms: smallvec![truncated],
            last: truncated,
            written: 0,
            persisted: 0,
            commit,
            applying: applied,
            applied,
            restoring: false,
            apply_unpersisted: false,
        };
        entries.into_iter().for_each(|entry| log.push(entry));
        log.written = log.last.index;
        log.persisted = log.last.index;
        assert!(
            truncated.index <= applied && applied <= commit && commit <= log.last.index,
            "truncated {} <= applied {applied} <= commit {commit} <= last {}",
            truncated.index,
            log.last.index
        );
        log
    }

    /// Hands entries out to be applied before they are durable here.
    pub(crate) fn apply_unpersisted(mut self, yes: bool) -> RaftLog {
        self.apply_unpersisted = yes;
        self
    }

    pub(crate) fn truncated(&self) -> EntryId {
        self.terms[0]
    }

    pub(crate) fn last(&self) -> EntryId {
        self.last
    }

    pub(crate) fn commit(&self) -> u64 {
        self.commit
    }

    pub(crate) fn applied(&self) -> u64 {
        self.applied
    }

    pub(crate) fn persisted(&self) -> u64 {
        self.persisted
    }

    /// Up to where entries were handed out to be written.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// The term at `index`; `None` below the truncated index and past the last.
    pub(crate) fn term_at(&self, index: u64) -> Option<u64> {
        if index > self.last.index {
            return None;
        }
        self.terms.iter().rev().find(|first| first.index <= index).map(|first| first.term)
    }

    pub(crate) fn contains(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    pub(crate) fn entry(&self, index: u64) -> Option<&Entry> {
        let offset = index.checked_sub(self.truncated().index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?)
    }

    /// The highest index at or below `bound` whose term is at most `term`. A log of which this replica
    /// knows only that it has `term` at `bound` cannot agree with this one any later: terms never fall.
    pub(crate) fn highest_with_term_up_to(&self, bound: u64, term: u64) -> u64 {
        let bound = bound.min(self.last.index);
        match self.terms.partition_point(|first| first.term <= term) {
            0 => bound.min(self.truncated().index),
            above => self.terms.get(above).map_or(bound, |first| bound.min(first.index - 1)),
        }
    }

    /// The entries in `(after, until]`, cut before they exceed `max_size` encoded bytes but never to
    /// nothing.
    pub(crate) fn entries_between(&self, after: u64, until: u64, max_size: u64) -> Vec<Entry> {
        if after >= until {
            return Vec::new();
        }
        let start = usize::try_from(after - self.truncated().index).expect("entries are in memory");
        let mut count = usize::try_from(until - after).expect("entries are in memory");
        // Most appends carry one entry; it needs neither a walk nor a size.
        if count == 1 {
            return vec![self.entries[start].clone()];
        }
        let entries = self.entries.focus().narrow(start..start + count);
        if max_size < u64::MAX {
            let mut size = 0;
            let fits = |entry: &&Entry| {
                size += entry.encoded_len() as u64;
                size <= max_size
            };
            count = entries.clone().into_iter().take_while(fits).count().max(1);
        }
        entries.into_iter().take(count).cloned().collect()
    }

    /// Bytes of data in the entries of a term in `(after, until]`.
    pub(crate) fn bytes_of_term(&self, term: u64, after: u64, until: u64) -> u64 {
        let entries = (after + 1..=until).filter_map(|index| self.entry(index));
        entries.filter(|entry| entry.term == term).map(|entry| entry.data.len() as u64).sum()
    }

    /// Appends an entry that follows the last one.
    pub(crate) fn push(&mut self, entry: Entry) {
        let id = EntryId { term: entry.term, index: entry.index };
        assert!(
            id.index == self.last.index + 1 && id.term >= self.last.term,
            "entry {id:?} does not follow {:?}",
            self.last
        );
        if id.term != self.last.term {
            self.terms.push(id);
        }
        self.last = id;
        self.entries.push_back(entry);
    }

    /// Adds the entries of an append whose previous entry matches. Returns the lowest index that was
    /// replaced, if any was.
    ///
    /// Entries that are here already stay, and so does what follows them: an append that was delayed on
    /// its way must not cut off what a later one brought (thesis 3.5, rule 3 of AppendEntries).
    pub(crate) fn merge(&mut self, entries: Vec<Entry>) -> Option<u64> {
        let mut replaced = None;
        for entry in entries {
            if entry.index <= self.last.index {
                if self.term_at(entry.index) == Some(entry.term) {
                    continue;
                }
                self.truncate_from(entry.index);
                replaced = Some(entry.index);
            }
            self.push(entry);
        }
        replaced
    }

    fn truncate_from(&mut self, index: u64) {
        assert!(
            index > self.commit,
            "entry {index} conflicts, but the log is committed up to {}",
            self.commit
        );
        let keep = index - 1;
        self.entries.truncate(usize::try_from(keep - self.truncated().index).expect("entries are in memory"));
        while self.terms.last().is_some_and(|first| first.index > keep) {
            self.terms.pop();
        }
        let term = self.term_at(keep).expect("commit and thus keep is at least the truncated index");
        self.last = EntryId { term, index: keep };
        self.written = self.written.min(keep);
        self.persisted = self.persisted.min(keep);
    }

    /// A snapshot of everything up to `id` takes the place of the log.
    pub(crate) fn restore(&mut self, id: EntryId) {
        assert!(id.index >= self.commit, "snapshot {id:?} is below commit {}", self.commit);
        self.entries = Vector::new();
        self.terms = smallvec![id];
        self.last = id;
        self.written = id.index;
        self.persisted = self.persisted.min(id.index - 1);
        self.commit = id.index;
        self.applying = id.index;
        self.restoring = true;
    }

    /// Whether a snapshot that was taken up is not applied yet.
    pub(crate) fn is_restoring(&self) -> bool {
        self.restoring
    }

    /// Forgets the entries up to `index`.
    pub(crate) fn compact(&mut self, index: u64) {
        let truncated = self.truncated().index;
        if index <= truncated {
            return;
        }
        assert!(index <= self.applied, "compact to {index}, but applied up to {}", self.applied);
        let term = self.term_at(index).expect("applied entries are in the log");
        let count = usize::try_from(index - truncated).expect("entries are in memory");
        self.entries = self.entries.split_off(count);
        self.terms.retain(|first| first.index > index);
        self.terms.insert(0, EntryId { term, index });
    }

    /// Raises commit to `index`. True if it was lower.
    pub(crate) fn commit_to(&mut self, index: u64) -> bool {
        if index <= self.commit {
            return false;
        }
        assert!(
            index <= self.last.index,
            "commit {index} is past the last index {}: the log lost entries that were acknowledged",
            self.last.index
        );
        self.commit = index;
        true
    }

    /// Entries up to `index` are durable.
    pub(crate) fn persisted_to(&mut self, index: u64) {
        assert!(index <= self.written, "persisted {index}, but written up to {}", self.written);
        self.persisted = self.persisted.max(index);
    }

    /// The caller has applied entries up to `index`.
    pub(crate) fn applied_to(&mut self, index: u64) {
        assert!(
            self.applied <= index && index <= self.applying,
            "applied {index}, which is not in {}..={}",
            self.applied,
            self.applying
        );
        self.applied = index;
        // Nothing after the snapshot was handed out, so this is it.
        self.restoring &= index < self.truncated().index;
    }

    /// Whether everything that was handed out to be applied is applied.
    pub(crate) fn is_applied_as_handed_out(&self) -> bool {
        self.applied == self.applying && !self.restoring
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        self.written < self.last.index
    }

    /// Hands out the entries that are not written yet.
    pub(crate) fn take_unwritten(&mut self) -> Vec<Entry> {
        let entries = self.entries_between(self.written, self.last.index, u64::MAX);
        self.written = self.last.index;
        entries
    }

    pub(crate) fn has_applicable(&self) -> bool {
        self.applying < self.applicable_to() && !self.is_restoring()
    }

    /// Hands out entries that may be applied and were not handed out yet: as many as fit `max_size` encoded
    /// bytes, and at least one if there is one.
    pub(crate) fn take_applicable(&mut self, max_size: u64) -> Vec<Entry> {
        if !self.has_applicable() {
            return Vec::new();
        }
        let entries = self.entries_between(self.applying, self.applicable_to(), max_size);
        self.applying += entries.len() as u64;
        entries
    }

    fn applicable_to(&self) -> u64 {
        if self.apply_unpersisted { self.commit } else { self.commit.min(self.persisted) }
    }

    /// Whether an entry in `(after, until]` is one that `wanted` wants.
    pub(crate) fn any_between(&self, after: u64, until: u64, wanted: impl Fn(&Entry) -> bool) -> bool {
        (after + 1..=until).any(|index| self.entry(index).is_some_and(&wanted))
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
