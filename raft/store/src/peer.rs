//! One replica of one region: a raft node, what it has on disk, and what waits for the disk.
//!
//! After every input the peer takes what raft has ready ([`Peer::handle_ready`]): it writes, asks for a
//! sync, sends, applies. What raft promises (a vote, an accepted entry) waits here until the write it
//! depends on is durable, and leaves in the order in which it was made.
//!
//! What concerns more than this replica (the store's ranges, other replicas, snapshots on their way) it tells the
//! store as an [`Event`].

mod compaction;
mod membership;
mod snapshots;
mod time;

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{EntryId, RawNode, Ready, Role};
use raft_proto::metapb::{self, Region, RegionEpoch};
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader, admin_request};
use raft_proto::raft_serverpb::{
    RaftMessage, RegionLocalState, SnapshotRecord, StoreMessage, store_message::Payload,
};
use smallvec::SmallVec;

use crate::admin;
use crate::apply::{self, Effect, apply};
use crate::config::{Config, Reads as ReadPath};
use crate::engine::{Db, Env, Read, Replies, RequestId, Transport, WriteBatch, WriteSeq};
use crate::error::StoreError;
use crate::peer_storage::{PeerStorage, StorageView};
use crate::proposals::Proposals;
use crate::reads::Reads;
use crate::restore::Restore;
use crate::timers::NEVER;
use crate::validate::{Replica, RequestError, check_commands, check_proposal, only_reads};
pub(crate) use time::Timer;

/// So many strangers are remembered. An answer to one leaves with the next sync, so who is forgotten for four
/// others has had it, or will write again.
const MAX_STRANGERS: usize = 4;

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
    /// at most [`MAX_STRANGERS`].
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

/// A [`Ready`] that is written, but may not be durable yet.
#[derive(Clone, Debug)]
struct Unsynced {
    seq: WriteSeq,
    /// Of the last ready that waits for this write.
    number: u64,
    messages: Vec<Message>,
    /// The write holds the record of a snapshot.
    restores: bool,
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

    /// Somebody wrote who knows the region so.
    pub(crate) fn meet_epoch(&mut self, epoch: RegionEpoch) {
        if admin::is_older(self.met, epoch) {
            self.met = epoch;
        }
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

    /// A message from another replica of the region, which the store has found to be for this one. Dropped when
    /// it does not say who sent it, and when it is of a kind that never travels: replicas campaign and beat
    /// by their own time, and a proposal that comes in as a client's request is checked, and answered.
    pub(crate) fn on_raft_message(&mut self, from: metapb::Peer, message: Message) {
        use MessageType::{MsgBeat, MsgHup, MsgPropose, MsgRequestSnapshot};
        if from.id != message.from
            || matches!(message.msg_type(), MsgHup | MsgBeat | MsgPropose | MsgRequestSnapshot)
            || message.msg_type() == MessageType::MsgSnapshot && self.incoming.is_none()
        {
            return;
        }
        if self.find_peer(from.id).is_none_or(|known| known.store_id != from.store_id) {
            self.meet(from);
        }
        // What raft refuses is as good as lost on the way.
        let _ = self.raw.step(message);
        if self.raw.leader() == Some(from.id) {
            self.heard = self.ticked;
        }
    }

    /// Remembers where a peer is that the region does not have.
    fn meet(&mut self, stranger: metapb::Peer) {
        self.strangers.retain(|known| known.id != stranger.id);
        if self.strangers.len() == MAX_STRANGERS {
            self.strangers.remove(0);
        }
        self.strangers.push(stranger);
    }

    /// The header of a request of the replica's own.
    fn header(&self) -> RaftRequestHeader {
        RaftRequestHeader {
            region_id: self.region_id(),
            peer: Some(self.meta),
            region_epoch: self.region().region_epoch,
            term: self.raw.term(),
            replica_read: false,
        }
    }

    pub(crate) fn not_leader(&self) -> RequestError {
        let leader = self.raw.leader().and_then(|leader| self.find_peer(leader));
        RequestError::NotLeader { region_id: self.region_id(), leader }
    }

    /// Checks and proposes, or begins to read. The answer comes when the entry is applied, or the read is confirmed.
    pub(crate) fn propose(
        &mut self,
        env: &mut impl Replies,
        config: &Config,
        id: RequestId,
        header: &RaftRequestHeader,
        request: &RaftCmdRequest,
    ) -> Result<(), RequestError> {
        if !self.is_initialized() {
            return Err(RequestError::RegionNotFound { region_id: self.region_id() });
        }
        let replica = Replica {
            region: self.storage.region(),
            peer_id: self.meta.id,
            term: self.raw.term(),
            is_leader: self.raw.is_leader(),
            leader: self.raw.leader().and_then(|leader| self.find_peer(leader)),
        };
        let reads = config.reads != ReadPath::Log && only_reads(request);
        check_proposal(header, request, &replica, reads && header.replica_read)?;
        if reads {
            let read = self.raw.read_index().map_err(|_| self.not_leader())?;
            let expires = self.ticked.saturating_add(u64::from(config.election_ticks));
            self.reads.push(read, id, request.clone(), expires);
            return Ok(());
        }
        let admin = request.admin_request.as_ref();
        let entry = match admin.and_then(|admin| admin.command.as_ref()) {
            Some(admin_request::Command::TransferLeader(transfer)) => {
                self.transfer_leader(transfer.peer.map_or(0, |peer| peer.store_id))?;
                env.reply(id, apply::success(Vec::new(), self.raw.term()));
                return Ok(());
            }
            Some(admin_request::Command::ChangePeer(_) | admin_request::Command::ChangePeerV2(_)) => {
                let changes = admin.and_then(admin::changes_of).unwrap_or_default();
                self.propose_change(&changes, request)?
            }
            // A store compacts by what it knows of its own log; a client's word for a term would be everybody's.
            Some(admin_request::Command::CompactLog(_)) => {
                return Err(RequestError::Unsupported("CompactLog"));
            }
            _ => self.propose_entry(request)?,
        };
        self.proposals.push(entry, id);
        Ok(())
    }

    fn propose_entry(&mut self, request: &RaftCmdRequest) -> Result<EntryId, RequestError> {
        self.raw.propose(Bytes::from(request.encode_to_vec())).map_err(RequestError::Refused)
    }

    /// An admin command of the store's own, for the region as it is now.
    pub(crate) fn propose_admin(&mut self, command: admin_request::Command) -> Result<(), RequestError> {
        if !self.raw.is_leader() {
            return Err(self.not_leader());
        }
        let request = admin::admin(self.header(), command);
        check_commands(&request, self.region())?;
        self.propose_entry(&request).map(drop)
    }

    /// Every write to the raft database up to `up_to` is durable.
    pub(crate) fn on_synced(&mut self, env: &mut impl Transport, up_to: WriteSeq) {
        while self.unsynced.front().is_some_and(|unsynced| unsynced.seq <= up_to) {
            let Some(Unsynced { number, messages, restores, .. }) = self.unsynced.pop_front() else {
                return;
            };
            self.raw.on_persisted(number);
            if restores {
                self.events.push(Event::Restore);
            }
            self.send_all(env, messages);
        }
    }

    /// Does what raft has ready, until it has nothing. Each write that something waits for goes into
    /// `waiting`. True when something was applied.
    pub(crate) fn handle_ready(
        &mut self,
        env: &mut impl Env,
        waiting: &mut VecDeque<(WriteSeq, u64)>,
    ) -> Result<bool, StoreError> {
        let (mut written, mut applied) = (false, false);
        while self.raw.has_ready() && !self.removed {
            let mut ready = self.raw.ready();
            if let Some(seq) = self.persist(env, &mut ready)? {
                waiting.push_back((seq, self.region_id()));
                written = true;
            }
            self.send_all(env, std::mem::take(&mut ready.messages));
            if ready.soft_state.is_some_and(|state| state.role == Role::Leader) {
                self.events.push(Event::Leads);
            }
            if ready.wants_snapshot {
                self.events.push(Event::WantsSnapshot);
            }
            if !ready.read_states.is_empty() {
                let term = self.raw.term();
                for request in self.reads.confirm(&ready.read_states) {
                    env.reply(request, RequestError::StaleCommand.into_response(term));
                }
            }
            applied |= !ready.committed_entries.is_empty();
            self.apply_committed(env, &ready.committed_entries)?;
        }
        if written {
            env.sync(Db::Raft)?;
        }
        // While a snapshot becomes data, there is less than what the applied index says.
        if !self.reads.is_empty() && !self.removed && !self.is_restoring() {
            self.serve_reads(env)?;
        }
        Ok(applied)
    }

    /// Applies entries, up to the one that removes this replica if there is one.
    fn apply_committed(&mut self, env: &mut impl Env, entries: &[Entry]) -> Result<(), StoreError> {
        let changes_members = |entry: &Entry| entry.entry_type != EntryType::EntryNormal as i32;
        let mut rest = entries;
        while let Some(first) = rest.first()
            && !self.removed
        {
            if changes_members(first) {
                self.apply_change(env, first)?;
                rest = &rest[1..];
                continue;
            }
            let normal = rest.iter().position(changes_members).unwrap_or(rest.len());
            let term = self.raw.term();
            let done = apply(env, &mut self.storage, &mut self.proposals, term, &rest[..normal])?;
            let written: usize = rest[..done.count].iter().map(|entry| entry.data.len()).sum();
            self.size += written as u64;
            self.grown += written as u64;
            rest = &rest[done.count..];
            self.raw.on_applied(self.storage.applied_index());
            self.note_applied(done.seq);
            match done.effect {
                Some(Effect::Compacted(to)) => {
                    self.events.push(Event::Compacted { seq: done.seq, to: to.index });
                }
                Some(Effect::Split { whole, right }) => {
                    self.changed_at = self.storage.applied_index();
                    // Both have about half of it, until they are measured.
                    self.size /= 2;
                    self.events.push(Event::Split { whole, right });
                }
                None => {}
            }
        }
        Ok(())
    }

    fn note_applied(&mut self, seq: WriteSeq) {
        self.applied_seq = seq;
    }

    /// The last write that holds the applied index, and that index.
    pub(crate) fn last_applied(&self) -> (WriteSeq, u64) {
        (self.applied_seq, self.storage.applied_index())
    }

    /// The applied index is durable up to `index`.
    pub(crate) fn set_durable_applied(&mut self, index: u64) {
        self.durable_applied = self.durable_applied.max(index);
    }

    /// Whether the region as it is here is durable. Until then nobody may be told who is a member: this replica may
    /// forget it in a crash, and then ask those who are gone for their votes.
    pub(crate) fn is_settled(&self) -> bool {
        self.changed_at <= self.durable_applied
    }

    /// Serves the reads whose index is applied: with what the region is by now.
    fn serve_reads(&mut self, env: &mut impl Env) -> Result<(), StoreError> {
        let term = self.raw.term();
        while let Some((id, request)) = self.reads.next_ready(self.storage.applied_index()) {
            let response = match check_commands(&request, self.region()) {
                Ok(()) => apply::read(env, self.region(), request.requests, term)?,
                Err(error) => error.into_response(term),
            };
            env.reply(id, response);
        }
        Ok(())
    }

    /// Nobody here will see what becomes of the replica's proposals.
    fn give_up_proposals(&mut self, env: &mut impl Replies) {
        let (region_id, term) = (self.region_id(), self.raw.term());
        for request in self.proposals.take_all() {
            env.reply(request, RequestError::OutcomeUnknown { region_id }.into_response(term));
        }
    }

    /// The replica goes. Nobody can tell what becomes of its proposals; its reads have done nothing.
    pub(crate) fn answer_all(&mut self, env: &mut impl Replies) {
        let (region_id, term) = (self.region_id(), self.raw.term());
        self.give_up_proposals(env);
        for request in self.reads.take_all() {
            env.reply(request, RequestError::RegionNotFound { region_id }.into_response(term));
        }
    }

    /// Writes what must be durable before the ready's promises leave, and lets them wait for it: or for
    /// an earlier write, or for nothing. Gives the number of the write, if there was one.
    fn persist(&mut self, env: &mut impl Env, ready: &mut Ready) -> Result<Option<WriteSeq>, StoreError> {
        let messages = std::mem::take(&mut ready.persisted_messages);
        let bytes = ready.entries.iter().map(|entry| entry.data.len() + 64).sum::<usize>() + 64;
        self.log_bytes += if ready.entries.is_empty() { 0 } else { bytes as u64 };
        let mut batch = WriteBatch::with_capacity(if ready.must_sync { bytes } else { 0 });
        let restores = ready.snapshot.is_some();
        if restores {
            // Their entries may be part of it. To the entries after it they would look like proposals that were lost.
            self.give_up_proposals(env);
            self.take_snapshot(&mut batch);
        }
        self.storage.save_ready_state(ready, &mut batch);
        if !batch.is_empty() {
            let seq = env.write(Db::Raft, batch)?;
            self.unsynced.push_back(Unsynced { seq, number: ready.number, messages, restores });
            return Ok(Some(seq));
        }
        match self.unsynced.back_mut() {
            Some(last) => {
                last.number = ready.number;
                last.messages.extend(messages);
            }
            None => {
                self.raw.on_persisted(ready.number);
                self.send_all(env, messages);
            }
        }
        Ok(None)
    }

    fn send_all(&mut self, env: &mut impl Transport, mut messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        for message in messages.drain(..) {
            self.send(env, message);
        }
        self.raw.reuse(messages);
    }

    fn send(&mut self, env: &mut impl Transport, message: Message) {
        // Raft sends to members alone, and to whom it answers.
        let Some(to) = self.find_peer(message.to) else {
            return;
        };
        let snapshot = message.msg_type() == MessageType::MsgSnapshot;
        let message = self.envelope(to, Some(message));
        if snapshot {
            self.events.push(Event::SendSnapshot(Box::new(message)));
        } else {
            env.send(to.store_id, StoreMessage { payload: Some(Payload::Raft(message)) });
        }
    }

    /// A message to a peer, with what its store needs to know. Without content it asks whether this replica is still a member.
    #[inline]
    pub(crate) fn envelope(&self, to: metapb::Peer, message: Option<Message>) -> RaftMessage {
        let region = self.storage.region();
        // A store that has not heard of the region makes its replica from the range; it does so for
        // these messages alone.
        let first_contact = message.as_ref().is_some_and(is_first_contact);
        let range = |key: &Bytes| if first_contact { key.clone() } else { Bytes::new() };
        RaftMessage {
            region_id: region.id,
            from_peer: Some(self.meta),
            to_peer: Some(to),
            region_epoch: Some(self.epoch()),
            is_tombstone: false,
            start_key: range(&region.start_key),
            end_key: range(&region.end_key),
            message,
        }
    }

    /// Members that miss what is truncated away here, or of which nothing was heard since this replica leads.
    pub(crate) fn pending_peers(&self) -> Vec<metapb::Peer> {
        let truncated = self.raw.truncated().index;
        let pending = |peer: &&metapb::Peer| {
            self.raw.progress(peer.id).is_none_or(|progress| progress.matched() < truncated.max(1))
        };
        self.region().peers.iter().filter(pending).copied().collect()
    }

    /// All that the replica could ask: the other members, and who else wrote to it.
    pub(crate) fn acquaintances(&self) -> impl Iterator<Item = metapb::Peer> + '_ {
        let known = self.storage.region().peers.iter().chain(&self.strangers);
        known.copied().filter(|peer| peer.id != self.meta.id)
    }

    pub(crate) fn find_peer(&self, id: u64) -> Option<metapb::Peer> {
        let known = self.storage.region().peers.iter().chain(&self.strangers);
        known.copied().find(|peer| peer.id == id)
    }
}

/// Whether a replica may be made from a message: from the first that a new member gets, and from a candidate's.
pub(crate) fn is_first_contact(message: &Message) -> bool {
    match message.msg_type() {
        MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => true,
        MessageType::MsgHeartbeat => message.commit == 0,
        _ => false,
    }
}
