//! The durable state a replica starts from.
//!
//! [`Storage`] is read once, by [`RawNode::new`](crate::RawNode::new); from then on the log lives in
//! memory and the caller writes what each [`Ready`](crate::Ready) says. [`MemStorage`] is the simplest
//! implementation, for tests and examples.

use bytes::Bytes;
use raft_proto::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};

use crate::error::StorageError;
use crate::ready::{EntryId, Ready};
use crate::snapshot::metadata;

/// What a replica must remember besides its log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RaftState {
    /// Term, vote and commit as last written.
    pub hard_state: HardState,
    /// The membership as of the applied index.
    pub conf_state: ConfState,
}

/// Reads the durable state of one replica. A fresh replica has a default hard state, first index 1 and last
/// index 0; a group whose log starts later has `term(first_index - 1)` besides.
pub trait Storage {
    /// Hard state and membership.
    ///
    /// # Errors
    /// Whatever keeps the state from being read.
    fn initial_state(&self) -> Result<RaftState, StorageError>;

    /// The entries with indexes in `[low, high)`.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] or [`StorageError::Unavailable`] when the range is not all there.
    fn entries(&self, low: u64, high: u64) -> Result<Vec<Entry>, StorageError>;

    /// The term of the entry at `index`, which may also be `first_index - 1`.
    ///
    /// # Errors
    /// [`StorageError::Compacted`] or [`StorageError::Unavailable`] outside that range.
    fn term(&self, index: u64) -> Result<u64, StorageError>;

    /// The lowest index in the log: one past the truncated one.
    ///
    /// # Errors
    /// Whatever keeps the state from being read.
    fn first_index(&self) -> Result<u64, StorageError>;

    /// The highest index in the log; `first_index - 1` when it is empty.
    ///
    /// # Errors
    /// Whatever keeps the state from being read.
    fn last_index(&self) -> Result<u64, StorageError>;
}

/// A [`Storage`] in memory, for tests and examples. Everything written to it counts as durable.
#[derive(Clone, Debug, Default)]
pub struct MemStorage {
    state: RaftState,
    truncated: EntryId,
    entries: Vec<Entry>,
}

impl MemStorage {
    /// A fresh replica of a group with these voters and an empty log.
    pub fn new(voters: &[u64]) -> MemStorage {
        MemStorage::starting_at(voters, EntryId::default())
    }

    /// A fresh replica of a group whose log starts after `truncated`, all of it committed.
    pub fn starting_at(voters: &[u64], truncated: EntryId) -> MemStorage {
        MemStorage::with_conf_state(ConfState { voters: voters.to_vec(), ..ConfState::default() }, truncated)
    }

    /// A fresh replica of a group with these members whose log starts after `truncated`, all of it committed.
    pub fn with_conf_state(conf_state: ConfState, truncated: EntryId) -> MemStorage {
        let hard_state = HardState { term: truncated.term, vote: 0, commit: truncated.index };
        MemStorage { state: RaftState { hard_state, conf_state }, truncated, entries: Vec::new() }
    }

    /// Replaces the hard state.
    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.state.hard_state = hard_state;
    }

    /// Replaces the membership, which must be the one as of the applied index at the next start.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.state.conf_state = conf_state;
    }

    /// A snapshot at an index of the log or the one before it, with this content. `None` elsewhere.
    pub fn snapshot(&self, index: u64, conf_state: ConfState, data: Bytes) -> Option<Snapshot> {
        let term = self.term(index).ok()?;
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), index, term };
        Some(Snapshot { data, metadata: Some(metadata) })
    }

    /// Forgets the entries up to `index`, as far as there are any.
    pub fn compact(&mut self, index: u64) {
        let index = index.min(self.truncated.index + self.entries.len() as u64);
        if let Ok(term) = self.term(index) {
            let forgotten = usize::try_from(index - self.truncated.index).unwrap_or(usize::MAX);
            self.entries.drain(..forgotten);
            self.truncated = EntryId { term, index };
        }
    }

    /// Replaces log and membership by what a snapshot says.
    pub fn restore(&mut self, snapshot: &Snapshot) {
        let SnapshotMetadata { conf_state, index, term } = metadata(snapshot);
        self.state.conf_state = conf_state.unwrap_or_default();
        self.truncated = EntryId { term, index };
        self.entries.clear();
    }

    /// Replaces everything from the first entry's index on.
    ///
    /// # Panics
    /// If the entries would leave a gap or reach below the first index.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let keep = first.index.checked_sub(self.truncated.index + 1);
        let keep =
            keep.and_then(|keep| usize::try_from(keep).ok()).filter(|&keep| keep <= self.entries.len());
        let Some(keep) = keep else {
            panic!(
                "append at {} after {} entries from {}",
                first.index,
                self.entries.len(),
                self.truncated.index + 1
            )
        };
        self.entries.truncate(keep);
        self.entries.extend_from_slice(entries);
    }

    /// Writes what a [`Ready`] asks to be written.
    pub fn save(&mut self, ready: &Ready) {
        if let Some(hard_state) = ready.hard_state {
            self.set_hard_state(hard_state);
        }
        if let Some(snapshot) = &ready.snapshot {
            self.restore(snapshot);
        }
        self.append(&ready.entries);
    }

    fn offset(&self, index: u64) -> Result<usize, StorageError> {
        let first = self.truncated.index + 1;
        let offset = index.checked_sub(first).ok_or(StorageError::Compacted { index, first })?;
        usize::try_from(offset).map_err(|error| StorageError::Other(error.to_string()))
    }
}

impl Storage for MemStorage {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        Ok(self.state.clone())
    }

    fn entries(&self, low: u64, high: u64) -> Result<Vec<Entry>, StorageError> {
        let range = self.offset(low)?..self.offset(high)?;
        let last = self.truncated.index + self.entries.len() as u64;
        let unavailable = StorageError::Unavailable { index: high - 1, last };
        self.entries.get(range).map(<[Entry]>::to_vec).ok_or(unavailable)
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        let last = self.truncated.index + self.entries.len() as u64;
        let entry = self.entries.get(self.offset(index)?);
        entry.map(|entry| entry.term).ok_or(StorageError::Unavailable { index, last })
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.index + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.truncated.index + self.entries.len() as u64)
    }
}
