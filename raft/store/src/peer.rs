//! One replica of one region: a raft node, what it has on disk, and what waits for the disk.
//!
//! - `ready`: the loop that takes what raft has ready, and what waits for the disk.
//! - `requests`: from a client's command to a proposal or a read, and its answer.
//! - `mail`: messages from and to other replicas.
//! - `membership`, `compaction`, `snapshots`, `time`: what is as long as a story of its own.
//!
//! What concerns more than this replica (the store's ranges, other replicas, snapshots on their way) it tells the
//! store as an [`Event`].

mod compaction;
mod mail;
mod membership;
mod ready;
mod requests;
mod snapshots;
mod time;

use std::collections::VecDeque;

use raft::{EntryId, RawNode};
use raft_proto::metapb::{self, Region, RegionEpoch};
use raft_proto::raft_serverpb::{RaftMessage, RegionLocalState, SnapshotRecord};
use smallvec::SmallVec;

use crate::config::Config;
use crate::engine::{Read, WriteSeq};
use crate::error::StoreError;
use crate::peer_storage::{PeerStorage, StorageView};
use crate::proposals::Proposals;
use crate::reads::Reads;
use crate::restore::Restore;
use crate::timers::NEVER;
use crate::validate::RequestError;
pub(crate) use mail::is_first_contact;
use ready::Unsynced;
pub(crate) use time::Timer;

/// A replica of a region.
#[derive(Clone, Debug)]
pub struct Peer {
    meta: metapb::Peer,
    raw: RawNode,
    storage: PeerStorage,
    proposals: Proposals,
    reads: Reads,
    /// What waits for the raft database, in the order of the writes.
    unsynced: VecDeque<Unsynced>,
    /// Peers that wrote to us and are not in the region as we know it: the latest to appear, oldest first,
    /// at most [`MAX_STRANGERS`](mail::MAX_STRANGERS).
    strangers: SmallVec<[metapb::Peer; 2]>,
    /// The newest epoch by which somebody wrote to this replica, and so counted it as a member. That is all it knows
    /// before its first snapshot.
    met: RegionEpoch,
    /// The index of the snapshot that is being made: its receiver will need what follows it in the log.
    making: Option<u64>,
    /// A snapshot that raft is being told of.
    incoming: Option<SnapshotRecord>,
    /// A snapshot that has taken the log's place and is becoming data.
    restore: Option<Box<Restore>>,
    /// Snapshots restored since the store opened.
    snapshots: u64,
    /// The replica has applied that it is no longer a member. Nothing is done any more.
    removed: bool,
    /// The applied index that is durable in the kv database.
    durable_applied: u64,
    /// The entry that changed the region last, in this life of the store.
    changed_at: u64,
    /// The write that holds the applied index, and whether the store knows that it waits for a sync.
    applied_seq: WriteSeq,
    pub(crate) dirty: bool,
    /// The last compaction that this replica proposed: its own term then, and up to which index.
    compaction_asked: EntryId,
    /// Bytes of the log, and of the region's data, roughly.
    log_bytes: u64,
    size: u64,
    /// Bytes that were written since the size was measured.
    grown: u64,
    timer: Timer,
    /// The tick at which the leader was last heard of, or asked for.
    heard: u64,
    /// What the store has to do because of the last input.
    pub(crate) events: Vec<Event>,
    /// The tick up to which raft has counted.
    ticked: u64,
    /// Where the peer stands in the store's queue of timers.
    pub(crate) queued: u64,
}

/// What a replica tells its store.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// It became leader.
    Leads,
    /// Its members or their roles changed.
    RegionChanged,
    /// Its region gave its right half to a new one.
    Split { whole: Box<Region>, right: Box<Region> },
    /// It was removed from its region by this entry.
    Removed(EntryId),
    /// The log starts after this index, once the write is durable.
    Compacted { seq: WriteSeq, to: u64 },
    /// A follower misses what is truncated away here.
    WantsSnapshot,
    /// A snapshot to be sent.
    SendSnapshot(Box<RaftMessage>),
    /// A snapshot has taken the log's place; the record is not durable yet.
    TookSnapshot,
    /// Now it is.
    Restore,
    /// The snapshot is data, once the write is durable. The region was `old` before it.
    Restored { seq: WriteSeq, record: Box<SnapshotRecord>, old: Region },
    /// The log is too long, and what could go is not durably applied.
    SyncKv,
    /// Time to tell the placement driver how the region is.
    Heartbeat,
    /// The region may have grown too large.
    Measure,
    /// No leader was heard of for long: is this replica still wanted?
    Orphaned,
}

impl Peer {
    /// The replica of an initialised region that the databases hold. `born`: it is new, by a split.
    pub(crate) fn load(
        engine: &impl Read,
        config: &Config,
        state: RegionLocalState,
        born: bool,
    ) -> Result<Peer, StoreError> {
        let region = state.region.unwrap_or_default();
        let region_id = region.id;
        let meta = region.peers.iter().copied().find(|peer| peer.store_id == config.store_id);
        let meta = meta.ok_or_else(|| StoreError::corrupt(region_id, "no peer on this store"))?;
        let storage = PeerStorage::load(engine, meta.id, region, state.auto_leave)?;
        Peer::new(engine, config, meta, storage, born)
    }

    /// A replica that a message made.
    pub(crate) fn from_message(
        engine: &impl Read,
        config: &Config,
        region_id: u64,
        peer_id: u64,
    ) -> Result<Peer, StoreError> {
        let meta = metapb::Peer { id: peer_id, store_id: config.store_id, role: 0 };
        let storage = PeerStorage::uninitialized(engine, region_id, peer_id)?;
        Peer::new(engine, config, meta, storage, false)
    }

    fn new(
        engine: &impl Read,
        config: &Config,
        meta: metapb::Peer,
        storage: PeerStorage,
        first_life: bool,
    ) -> Result<Peer, StoreError> {
        let region_id = storage.region().id;
        let raft_config =
            raft::Config { first_life, ..config.raft(region_id, &meta, storage.applied_index()) };
        let raw = RawNode::new(&raft_config, &StorageView { storage: &storage, engine })
            .map_err(|source| StoreError::Raft { region_id, source })?;
        Ok(Peer {
            meta,
            raw,
            durable_applied: storage.applied_index(),
            changed_at: 0,
            storage,
            proposals: Proposals::default(),
            reads: Reads::default(),
            unsynced: VecDeque::new(),
            strangers: SmallVec::new(),
            met: RegionEpoch::default(),
            making: None,
            incoming: None,
            restore: None,
            snapshots: 0,
            removed: false,
            applied_seq: 0,
            dirty: false,
            compaction_asked: EntryId::default(),
            log_bytes: 0,
            size: 0,
            // What is there was never measured.
            grown: config.region_max_size,
            timer: Timer::default(),
            heard: 0,
            events: Vec::new(),
            ticked: 0,
            queued: NEVER,
        })
    }

    /// The region as the replica knows it: without members and range before its first snapshot.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.storage.region()
    }

    pub(crate) fn region_id(&self) -> u64 {
        self.storage.region().id
    }

    /// The epoch of the region as the replica knows it; before its first snapshot, as those know it that made it. Were
    /// it none at all then, a member that forgot in a crash that it had added this replica would take it for removed.
    pub(crate) fn epoch(&self) -> RegionEpoch {
        self.storage.region().region_epoch.unwrap_or(self.met)
    }

    /// The replica's id, unique in the cluster and never used twice.
    #[must_use]
    pub fn peer_id(&self) -> u64 {
        self.meta.id
    }

    pub(crate) fn meta(&self) -> metapb::Peer {
        self.meta
    }

    /// The state of consensus.
    #[must_use]
    pub fn raft(&self) -> &RawNode {
        &self.raw
    }

    /// What the replica has on disk.
    #[must_use]
    pub fn storage(&self) -> &PeerStorage {
        &self.storage
    }

    /// Whether the replica knows its region: see [`PeerStorage::is_initialized`].
    #[must_use]
    pub fn is_initialized(&self) -> bool {
        self.storage.is_initialized()
    }

    /// Whether a snapshot is becoming the replica's data, so that what the kv database holds of the region is not whole.
    #[must_use]
    pub fn is_applying(&self) -> bool {
        self.restore.as_ref().is_some_and(|restore| restore.has_begun())
    }

    /// The region that a snapshot brings which has taken the log's place and is not data yet.
    #[must_use]
    pub fn incoming_region(&self) -> Option<&Region> {
        let record = &self.restore.as_ref()?.record;
        record.data.as_ref().and_then(|data| data.region.as_ref())
    }

    /// How many snapshots it has restored since its store opened.
    #[must_use]
    pub fn snapshots(&self) -> u64 {
        self.snapshots
    }

    /// Bytes of the region's data, roughly: what was last measured, and what was written since.
    #[must_use]
    pub fn approximate_size(&self) -> u64 {
        self.size
    }

    /// Whether the leader leaves the region's joint membership by itself.
    #[must_use]
    pub fn auto_leave(&self) -> bool {
        self.storage.auto_leave()
    }

    /// Gives raft the ticks up to `tick`.
    pub(crate) fn catch_up(&mut self, tick: u64) {
        let missed = tick.saturating_sub(self.ticked);
        if missed > 0 {
            self.raw.elapse(missed);
            self.ticked = tick;
        }
    }

    /// A replica that is made now starts to count now.
    pub(crate) fn start_at(&mut self, tick: u64) {
        (self.ticked, self.heard) = (tick, tick);
    }

    /// Starts an election.
    pub(crate) fn campaign(&mut self) {
        self.raw.campaign();
    }

    /// Asks the leader to hand over to the replica on a store.
    pub(crate) fn transfer_leader(&mut self, to_store: u64) -> Result<(), RequestError> {
        let region = self.storage.region();
        let target = region.peers.iter().find(|peer| peer.store_id == to_store);
        let target = target.ok_or(RequestError::NoPeer { region_id: region.id, store_id: to_store })?;
        self.raw.transfer_leader(target.id).map_err(RequestError::Refused)
    }
}
