//! The durable side of a replica: what its two databases hold, kept in memory next to them.
//!
//! [`PeerStorage`] turns what raft asks to persist into a [`WriteBatch`]. The log itself is not kept
//! here: raft has the entries, and reads them from disk once, when the store opens ([`StorageView`]).

use bytes::Bytes;
use prost::Message;
use raft::eraftpb::{Entry, HardState};
use raft::{EntryId, RaftState, Ready, Storage, StorageError};
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState, RegionLocalState, SnapshotRecord,
};

use crate::admin;
use crate::engine::{Db, Read, WriteBatch};
use crate::error::StoreError;
use crate::keys;

/// Where the log of a new region starts. Above 0, so that a replica made by a message (which starts at
/// 0) is behind the start of the log and needs a snapshot, rather than taking itself for whole.
pub const RAFT_INIT_LOG_INDEX: u64 = 5;
/// The term that a new region starts with.
pub const RAFT_INIT_LOG_TERM: u64 = 5;

/// What a replica has on disk, its log aside.
#[derive(Clone, Debug)]
pub struct PeerStorage {
    peer_id: u64,
    region: Region,
    /// Whether the leader leaves the region's joint membership by itself.
    auto_leave: bool,
    raft_state: RaftLocalState,
    apply_state: RaftApplyState,
    /// The raft database has the log from after this index. The apply state may say that it starts later already, when
    /// that is not durable yet.
    log_start: u64,
}

impl PeerStorage {
    /// The storage of the first replica of a new region: nothing but the start of its log.
    pub(crate) fn initial(peer_id: u64, region: Region) -> PeerStorage {
        let (index, term) = (RAFT_INIT_LOG_INDEX, RAFT_INIT_LOG_TERM);
        PeerStorage {
            peer_id,
            region,
            auto_leave: false,
            raft_state: RaftLocalState {
                hard_state: Some(HardState { term, vote: 0, commit: index }),
                last_index: index,
                last_term: term,
            },
            apply_state: RaftApplyState {
                applied_index: index,
                truncated_state: Some(RaftTruncatedState { index, term }),
            },
            log_start: index,
        }
    }

    /// The storage of a replica that a message made: all that there may be is what an earlier life promised.
    pub(crate) fn uninitialized(
        engine: &impl Read,
        region_id: u64,
        peer_id: u64,
    ) -> Result<PeerStorage, StoreError> {
        let raft_state = read_message(engine, Db::Raft, &keys::raft_state(region_id), region_id)?;
        Ok(PeerStorage {
            peer_id,
            region: Region { id: region_id, ..Region::default() },
            auto_leave: false,
            raft_state: raft_state.unwrap_or_default(),
            apply_state: RaftApplyState::default(),
            log_start: 0,
        })
    }

    /// What the databases hold for the replica of `state`.
    pub(crate) fn load(
        engine: &impl Read,
        peer_id: u64,
        region: Region,
        auto_leave: bool,
    ) -> Result<PeerStorage, StoreError> {
        let id = region.id;
        let missing = |what| StoreError::corrupt(id, what);
        let raft_state = read_message::<RaftLocalState>(engine, Db::Raft, &keys::raft_state(id), id)?
            .ok_or_else(|| missing("no raft state"))?;
        let apply_state = read_message::<RaftApplyState>(engine, Db::Kv, &keys::apply_state(id), id)?
            .ok_or_else(|| missing("no apply state"))?;
        // Before a replica is loaded, what its durable truncation has made needless is deleted.
        let log_start = apply_state.truncated_state.unwrap_or_default().index;
        let storage = PeerStorage { peer_id, region, auto_leave, raft_state, apply_state, log_start };
        let (truncated, applied, last) =
            (storage.truncated().index, storage.applied_index(), storage.raft_state.last_index);
        // An entry is applied only once it is durable in the log, so the kv database cannot be ahead.
        if truncated > applied || applied > last {
            return Err(StoreError::corrupt(
                id,
                format!("truncated {truncated} <= applied {applied} <= last {last} does not hold"),
            ));
        }
        Ok(storage)
    }

    /// The replica's id.
    #[must_use]
    pub fn peer_id(&self) -> u64 {
        self.peer_id
    }

    /// Whether the replica knows its region: one that a message made does not, before its first snapshot.
    #[must_use]
    pub fn is_initialized(&self) -> bool {
        !self.region.peers.is_empty()
    }

    /// Whether the leader leaves the region's joint membership by itself.
    #[must_use]
    pub fn auto_leave(&self) -> bool {
        self.auto_leave
    }

    /// The region: range, epoch, peers.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// Hard state and end of the log. The commit in it may be ahead of the disk's: see
    /// [`save_ready_state`](Self::save_ready_state).
    #[must_use]
    pub fn raft_state(&self) -> &RaftLocalState {
        &self.raft_state
    }

    /// How far the log is applied, and where it starts.
    #[must_use]
    pub fn apply_state(&self) -> &RaftApplyState {
        &self.apply_state
    }

    /// The last applied index.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.apply_state.applied_index
    }

    /// The last entry that is no longer in the log.
    #[must_use]
    pub fn truncated(&self) -> EntryId {
        let truncated = self.apply_state.truncated_state.unwrap_or_default();
        EntryId { term: truncated.term, index: truncated.index }
    }

    /// Puts into `batch` what must be durable before the promises of `ready` may leave.
    ///
    /// A change of the commit index alone is not written: it is no promise, a restart learns it again,
    /// and the next batch with entries carries it. That halves the writes of a busy group.
    pub fn save_ready_state(&mut self, ready: &Ready, batch: &mut WriteBatch) {
        self.append(&ready.entries, batch);
        if let Some(hard_state) = ready.hard_state {
            self.raft_state.hard_state = Some(hard_state);
        }
        if ready.must_sync {
            batch.put_message(&keys::raft_state(self.region.id), &self.raft_state);
        }
    }

    /// Puts `entries` into the log from the first one's index on. What the log held from there is
    /// replaced; what it held past the last one can never commit any more and is deleted.
    ///
    /// # Panics
    /// When the entries would leave a gap or replace something that is applied.
    pub fn append(&mut self, entries: &[Entry], batch: &mut WriteBatch) {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            return;
        };
        let (region, old_last) = (self.region.id, self.raft_state.last_index);
        assert!(
            self.applied_index() < first.index && first.index <= old_last + 1,
            "region {region}: append at {}, with {} applied and {old_last} the last index",
            first.index,
            self.applied_index(),
        );
        for entry in entries {
            batch.put_message(&keys::raft_log(region, entry.index), entry);
        }
        for index in last.index + 1..=old_last {
            batch.delete(&keys::raft_log(region, index));
        }
        self.raft_state.last_index = last.index;
        self.raft_state.last_term = last.term;
    }

    /// Puts into `batch` the mark that everything up to `index` is applied. Belongs into the batch with
    /// the data: that is what keeps a restart from applying an entry twice.
    pub(crate) fn save_applied(&mut self, index: u64, batch: &mut WriteBatch) {
        self.apply_state.applied_index = index;
        batch.put_message(&keys::apply_state(self.region.id), &self.apply_state);
    }

    /// The log starts after `to`, as far as the apply state goes; the next [`save_applied`](Self::save_applied)
    /// writes it. Entries may be deleted when that is durable, and not before: a restart would find neither them
    /// nor the word that they are not needed.
    pub(crate) fn truncate(&mut self, to: EntryId) {
        self.apply_state.truncated_state = Some(RaftTruncatedState { index: to.index, term: to.term });
    }

    /// Deletes the entries up to `to`: the word that the log starts after it is durable.
    pub(crate) fn delete_log(&mut self, to: u64, batch: &mut WriteBatch) {
        for index in self.log_start + 1..=to {
            batch.delete(&keys::raft_log(self.region.id, index));
        }
        self.log_start = to;
    }

    /// The region changed: its range, its members or its epoch.
    pub(crate) fn save_region(&mut self, region: Region, auto_leave: bool, batch: &mut WriteBatch) {
        (self.region, self.auto_leave) = (region, auto_leave);
        batch.put_message(&keys::region_state(self.region.id), &self.region_state(PeerState::Normal));
    }

    /// The record of this replica in the kv database.
    pub(crate) fn region_state(&self, state: PeerState) -> RegionLocalState {
        RegionLocalState {
            state: state as i32,
            region: Some(self.region.clone()),
            peer_id: self.peer_id,
            auto_leave: self.auto_leave,
            removed_at: None,
        }
    }

    /// The raft database's part of taking up a snapshot: one batch in which the log goes, and the record comes
    /// that says what has come in its place.
    pub(crate) fn replace_log(&mut self, record: &SnapshotRecord, batch: &mut WriteBatch) {
        let (region, at) = (self.region.id, snapshot_id(record));
        for index in self.log_start + 1..=self.raft_state.last_index {
            batch.delete(&keys::raft_log(region, index));
        }
        self.log_start = at.index;
        (self.raft_state.last_index, self.raft_state.last_term) = (at.index, at.term);
        batch.put_message(&keys::snapshot_record(region), record);
    }

    /// The kv database's part, when all data is there.
    pub(crate) fn finish_restore(&mut self, record: &SnapshotRecord, batch: &mut WriteBatch) {
        self.truncate(snapshot_id(record));
        let (region, auto_leave) = snapshot_region(record);
        self.save_region(region, auto_leave, batch);
        self.save_applied(snapshot_id(record).index, batch);
    }
}

/// The entry at which a snapshot was made.
pub(crate) fn snapshot_id(record: &SnapshotRecord) -> EntryId {
    record.metadata.as_ref().map_or_else(EntryId::default, |at| EntryId { term: at.term, index: at.index })
}

/// The region as of a snapshot, and whether its joint membership is left by itself.
pub(crate) fn snapshot_region(record: &SnapshotRecord) -> (Region, bool) {
    let region = record.data.as_ref().and_then(|data| data.region.clone()).unwrap_or_default();
    let conf_state = record.metadata.as_ref().and_then(|metadata| metadata.conf_state.as_ref());
    (region, conf_state.is_some_and(|conf_state| conf_state.auto_leave))
}

/// The message at `key`, if there is one.
pub(crate) fn read_message<M: Message + Default>(
    engine: &impl Read,
    db: Db,
    key: &[u8],
    region_id: u64,
) -> Result<Option<M>, StoreError> {
    let decode = |value: Bytes| {
        let corrupt = |error| StoreError::corrupt(region_id, format!("{:?} {key:02x?}: {error}", db));
        M::decode(value).map_err(corrupt)
    };
    engine.get(db, key)?.map(decode).transpose()
}

/// A replica's durable state as raft reads it when the store opens.
pub(crate) struct StorageView<'a, E> {
    pub(crate) storage: &'a PeerStorage,
    pub(crate) engine: &'a E,
}

impl<E: Read> StorageView<'_, E> {
    fn check_range(&self, low: u64, high: u64) -> Result<(), StorageError> {
        let (first, last) = (self.first_index()?, self.last_index()?);
        if low < first {
            return Err(StorageError::Compacted { index: low, first });
        }
        if high > last + 1 {
            return Err(StorageError::Unavailable { index: high - 1, last });
        }
        Ok(())
    }
}

impl<E: Read> Storage for StorageView<'_, E> {
    fn initial_state(&self) -> Result<RaftState, StorageError> {
        Ok(RaftState {
            hard_state: self.storage.raft_state.hard_state.unwrap_or_default(),
            conf_state: admin::conf_state(&self.storage.region, self.storage.auto_leave),
        })
    }

    fn entries(&self, low: u64, high: u64) -> Result<Vec<Entry>, StorageError> {
        self.check_range(low, high)?;
        let region = self.storage.region.id;
        let mut entries = Vec::new();
        let mut damage = None;
        let mut visit = |key: &[u8], value: &Bytes| {
            let index = low + entries.len() as u64;
            match Entry::decode(value.clone()) {
                Ok(entry) if entry.index == index && key == keys::raft_log(region, index) => {
                    entries.push(entry);
                }
                Ok(entry) => damage = Some(format!("found entry {} where {index} should be", entry.index)),
                Err(error) => damage = Some(format!("entry {index}: {error}")),
            }
            damage.is_none()
        };
        let (start, end) = (keys::raft_log(region, low), keys::raft_log(region, high));
        self.engine
            .scan(Db::Raft, &start, &end, &mut visit)
            .map_err(|error| StorageError::Other(error.to_string()))?;
        if damage.is_none() && entries.len() as u64 != high - low {
            damage = Some(format!("entry {} is missing", low + entries.len() as u64));
        }
        match damage {
            Some(damage) => Err(StorageError::Corrupt(damage)),
            None => Ok(entries),
        }
    }

    fn term(&self, index: u64) -> Result<u64, StorageError> {
        let truncated = self.storage.truncated();
        if index == truncated.index {
            return Ok(truncated.term);
        }
        if index == self.storage.raft_state.last_index {
            return Ok(self.storage.raft_state.last_term);
        }
        let entries = self.entries(index, index + 1)?;
        Ok(entries[0].term)
    }

    fn first_index(&self) -> Result<u64, StorageError> {
        Ok(self.storage.truncated().index + 1)
    }

    fn last_index(&self) -> Result<u64, StorageError> {
        Ok(self.storage.raft_state.last_index)
    }
}

#[cfg(test)]
mod tests;
