//! One database: what is visible, and how much of it a crash leaves.

use std::collections::VecDeque;

use bytes::Bytes;
use im::OrdMap;

use super::WriteSeq;
use crate::key::Key;

/// One key's change that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The write it belongs to.
    pub seq: WriteSeq,
    /// The key.
    pub key: Key,
    /// What the write put there; `None` deletes.
    pub new: Option<Bytes>,
    /// What was there before.
    pub old: Option<Bytes>,
}

/// A stored value that fails its checksum.
#[derive(Clone, Debug)]
struct Rot {
    key: Key,
    /// The write that put it there, where that was not durable when it rotted.
    since: Option<WriteSeq>,
    /// The write that put another one in its place. Until that is durable a crash can bring the rotten one back.
    healed: Option<WriteSeq>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) visible: OrdMap<Key, Bytes>,
    pub(super) unsynced: VecDeque<Change>,
    /// The newest write.
    pub(super) written: WriteSeq,
    /// The newest durable write.
    pub(super) durable: WriteSeq,
    /// The newest write that the last crash left.
    pub(super) kept: WriteSeq,
    /// The newest write that the trace hash has seen.
    pub(super) digested: WriteSeq,
    /// The sync under way covers writes up to this one.
    pub(super) syncing: Option<WriteSeq>,
    /// Somebody asked for a sync while one was under way.
    pub(super) sync_again: bool,
    /// A sync has failed since the last crash: none makes anything durable.
    pub(super) poisoned: bool,
    /// Its batches are not atomic in a crash.
    pub(super) torn: bool,
    /// How many changes the last crash left of the first batch that it took.
    pub(super) torn_left: usize,
    rots: Vec<Rot>,
}

impl Database {
    /// Applies a batch and returns its number.
    pub(super) fn write(
        &mut self,
        batch: impl IntoIterator<Item = (impl AsRef<[u8]>, Option<Bytes>)>,
    ) -> WriteSeq {
        self.written += 1;
        let seq = self.written;
        for (key, new) in batch {
            let key = Key::from(key.as_ref());
            let old = match &new {
                Some(value) => self.visible.insert(key.clone(), value.clone()),
                None => self.visible.remove(&key),
            };
            if !self.rots.is_empty() {
                self.heal(&key, seq);
            }
            self.unsynced.push_back(Change { seq, key, new, old });
        }
        seq
    }

    /// The value that a key would have after the worst of crashes.
    pub(super) fn durable_get(&self, key: &[u8]) -> Option<&Bytes> {
        match self.unsynced.iter().find(|change| *change.key == *key) {
            Some(change) => change.old.as_ref(),
            None => self.visible.get(&Key::from(key)),
        }
    }

    /// Found from the newest on: who asks wants the few changes of the last event.
    #[inline]
    pub(super) fn changes_since(&self, seq: WriteSeq) -> impl Iterator<Item = &Change> {
        let newer = self.unsynced.iter().rev().take_while(|change| change.seq > seq).count();
        self.unsynced.range(self.unsynced.len() - newer..)
    }

    /// Writes up to `covered` are durable.
    pub(super) fn settle(&mut self, covered: WriteSeq) {
        while self.unsynced.pop_front_if(|change| change.seq <= covered).is_some() {}
        self.durable = covered;
        self.rots.retain(|rot| rot.healed.is_none_or(|seq| seq > covered));
        for rot in &mut self.rots {
            rot.since = rot.since.filter(|seq| *seq > covered);
        }
    }

    /// How many changes the first batch has that a crash takes which keeps writes up to `keep`.
    pub(super) fn first_lost(&self, keep: WriteSeq) -> usize {
        let batch = self.changes_since(keep).take_while(|change| change.seq == keep + 1);
        batch.count()
    }

    /// Power is lost. Writes up to `keep` are left, and of the batch after it the first `torn` changes.
    pub(super) fn crash(&mut self, keep: WriteSeq, torn: usize) {
        (self.kept, self.torn_left) = (keep, torn);
        let lost = self.changes_since(keep).count().saturating_sub(torn);
        for _ in 0..lost {
            let Some(change) = self.unsynced.pop_back() else { break };
            if !self.rots.is_empty() {
                self.take_back(&change);
            }
            match change.old {
                Some(value) => self.visible.insert(change.key, value),
                None => self.visible.remove(&change.key),
            };
        }
        // What is left is durable. Numbers are not used again, so a late look at an old number cannot be mistaken.
        self.settle(self.written);
        self.digested = self.written;
        self.syncing = None;
        self.sync_again = false;
        self.poisoned = false;
    }

    /// Everything is gone but the numbers.
    pub(super) fn wipe(&mut self) {
        let (written, torn) = (self.written, self.torn);
        *self = Database { written, durable: written, digested: written, torn, ..Database::default() };
    }

    /// The stored value of a key rots. Returns whether there is one.
    pub(super) fn rot(&mut self, key: &[u8]) -> bool {
        let key = Key::from(key);
        let stands = self.visible.contains_key(&key);
        if stands && !self.is_rotten(&key) {
            let since = self.unsynced.iter().rev().find(|change| change.key == key).map(|change| change.seq);
            self.rots.push(Rot { key, since, healed: None });
        }
        stands
    }

    pub(super) fn has_rot(&self) -> bool {
        !self.rots.is_empty()
    }

    pub(super) fn is_rotten(&self, key: &Key) -> bool {
        self.rots.iter().any(|rot| rot.healed.is_none() && rot.key == *key)
    }

    /// A key is overwritten.
    fn heal(&mut self, key: &Key, seq: WriteSeq) {
        for rot in self.rots.iter_mut().filter(|rot| rot.healed.is_none() && rot.key == *key) {
            rot.healed = Some(seq);
        }
    }

    /// A change is lost: what rotted with it is gone, and what it replaced is rotten again.
    fn take_back(&mut self, change: &Change) {
        self.rots.retain(|rot| rot.since != Some(change.seq) || rot.key != change.key);
        for rot in self.rots.iter_mut().filter(|rot| rot.healed == Some(change.seq) && rot.key == change.key)
        {
            rot.healed = None;
        }
    }
}
