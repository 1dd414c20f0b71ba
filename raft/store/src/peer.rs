//! One replica of one region: a raft node, what it has on disk, and what waits for the disk.
//!
//! After every input the peer takes what raft has ready ([`Peer::handle_ready`]): it writes, asks for a
//! sync, sends, applies. What raft promises (a vote, an accepted entry) waits here until the write it
//! depends on is durable, and leaves in the order in which it was made.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{Message, MessageType};
use raft::{RawNode, Ready};
use raft_proto::metapb::{self, Region};
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader};
use raft_proto::raft_serverpb::{RaftMessage, StoreMessage, store_message::Payload};
use smallvec::SmallVec;

use crate::apply::apply;
use crate::config::Config;
use crate::engine::{Db, Env, Read, RequestId, Transport, WriteBatch, WriteSeq};
use crate::error::StoreError;
use crate::peer_storage::{PeerStorage, StorageView};
use crate::proposals::Proposals;
use crate::timers::NEVER;
use crate::validate::{Replica, RequestError, check_proposal};

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
    /// What waits for the raft database, in the order of the writes.
    unsynced: VecDeque<Unsynced>,
    /// Peers that wrote to us and are not in the region as we know it: the latest to appear, oldest first,
    /// at most [`MAX_STRANGERS`].
    strangers: SmallVec<[metapb::Peer; 2]>,
    /// The tick up to which raft has counted.
    ticked: u64,
    /// Where the peer stands in the store's queue of timers.
    pub(crate) queued: u64,
}

/// A [`Ready`] that is written, but may not be durable yet.
#[derive(Clone, Debug)]
struct Unsynced {
    seq: WriteSeq,
    /// Of the last ready that waits for this write.
    number: u64,
    messages: Vec<Message>,
}

impl Peer {
    /// The replica of `region` that the databases hold.
    pub(crate) fn load(engine: &impl Read, config: &Config, region: Region) -> Result<Peer, StoreError> {
        let region_id = region.id;
        let meta = region.peers.iter().copied().find(|peer| peer.store_id == config.store_id);
        let meta = meta.ok_or_else(|| StoreError::corrupt(region_id, "no peer on this store"))?;
        let storage = PeerStorage::load(engine, region)?;
        let raft_config = config.raft(region_id, &meta, storage.applied_index());
        let raw = RawNode::new(&raft_config, &StorageView { storage: &storage, engine })
            .map_err(|source| StoreError::Raft { region_id, source })?;
        Ok(Peer {
            meta,
            raw,
            storage,
            proposals: Proposals::default(),
            unsynced: VecDeque::new(),
            strangers: SmallVec::new(),
            ticked: 0,
            queued: NEVER,
        })
    }

    /// The region as the replica knows it.
    #[must_use]
    pub fn region(&self) -> &Region {
        self.storage.region()
    }

    /// The replica's id, unique in the cluster and never used twice.
    #[must_use]
    pub fn peer_id(&self) -> u64 {
        self.meta.id
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

    /// The tick at which the replica will act of its own accord.
    pub(crate) fn due(&self) -> u64 {
        self.ticked.saturating_add(1).saturating_add(self.raw.idle_ticks())
    }

    /// Gives raft the ticks up to `tick`.
    pub(crate) fn catch_up(&mut self, tick: u64) {
        let missed = tick.saturating_sub(self.ticked);
        if missed > 0 {
            self.raw.elapse(missed);
            self.ticked = tick;
        }
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

    /// A message from another replica of the region. Dropped when it is not for this one, but for one that
    /// lived on this store before; when it does not say who sent it; and when it is of a kind that never
    /// travels: replicas campaign and beat by their own time, and a proposal that comes in as a client's
    /// request is checked, and answered.
    pub(crate) fn on_raft_message(&mut self, to: metapb::Peer, from: metapb::Peer, message: Message) {
        use MessageType::{MsgBeat, MsgHup, MsgPropose, MsgRequestSnapshot, MsgSnapshot};
        if to.id != self.meta.id
            || from.id != message.from
            || matches!(message.msg_type(), MsgHup | MsgBeat | MsgPropose | MsgSnapshot | MsgRequestSnapshot)
        {
            return;
        }
        if self.find_peer(from.id) != Some(from) {
            self.meet(from);
        }
        // What raft refuses is as good as lost on the way.
        let _ = self.raw.step(message);
    }

    /// Remembers where a peer is that the region does not have.
    fn meet(&mut self, stranger: metapb::Peer) {
        self.strangers.retain(|known| known.id != stranger.id);
        if self.strangers.len() == MAX_STRANGERS {
            self.strangers.remove(0);
        }
        self.strangers.push(stranger);
    }

    /// Checks and proposes. The answer comes when the entry is applied.
    pub(crate) fn propose(
        &mut self,
        id: RequestId,
        header: &RaftRequestHeader,
        request: &RaftCmdRequest,
    ) -> Result<(), RequestError> {
        let replica = Replica {
            region: self.storage.region(),
            peer_id: self.meta.id,
            term: self.raw.term(),
            is_leader: self.raw.is_leader(),
            leader: self.raw.leader().and_then(|leader| self.find_peer(leader)),
        };
        check_proposal(header, request, &replica)?;
        let entry = self.raw.propose(Bytes::from(request.encode_to_vec())).map_err(RequestError::Refused)?;
        self.proposals.push(entry, id);
        Ok(())
    }

    /// Every write to the raft database up to `up_to` is durable.
    pub(crate) fn on_synced(&mut self, env: &mut impl Transport, up_to: WriteSeq) {
        while self.unsynced.front().is_some_and(|unsynced| unsynced.seq <= up_to) {
            let Some(Unsynced { number, messages, .. }) = self.unsynced.pop_front() else {
                return;
            };
            self.raw.on_persisted(number);
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
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            if let Some(seq) = self.persist(env, &mut ready)? {
                waiting.push_back((seq, self.region().id));
                written = true;
            }
            self.send_all(env, ready.messages);
            if let Some(last) = ready.committed_entries.last() {
                let term = self.raw.term();
                apply(env, &mut self.storage, &mut self.proposals, term, &ready.committed_entries)?;
                self.raw.on_applied(last.index);
                applied = true;
            }
        }
        if written {
            env.sync(Db::Raft)?;
        }
        Ok(applied)
    }

    /// Writes what must be durable before the ready's promises leave, and lets them wait for it: or for
    /// an earlier write, or for nothing. Gives the number of the write, if there was one.
    fn persist(&mut self, env: &mut impl Env, ready: &mut Ready) -> Result<Option<WriteSeq>, StoreError> {
        let messages = std::mem::take(&mut ready.persisted_messages);
        let bytes = ready.entries.iter().map(|entry| entry.data.len() + 64).sum::<usize>() + 64;
        let mut batch = WriteBatch::with_capacity(if ready.must_sync { bytes } else { 0 });
        self.storage.save_ready_state(ready, &mut batch);
        if !batch.is_empty() {
            let seq = env.write(Db::Raft, batch)?;
            self.unsynced.push_back(Unsynced { seq, number: ready.number, messages });
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

    fn send(&self, env: &mut impl Transport, message: Message) {
        // Raft sends to members alone, and to whom it answers.
        let Some(to) = self.find_peer(message.to) else {
            return;
        };
        let region = self.storage.region();
        // A store that has not heard of the region makes its replica from the range; it does so for
        // these messages alone.
        let first_contact = match message.msg_type() {
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => true,
            MessageType::MsgHeartbeat => message.commit == 0,
            _ => false,
        };
        let range = |key: &Bytes| if first_contact { key.clone() } else { Bytes::new() };
        let message = RaftMessage {
            region_id: region.id,
            from_peer: Some(self.meta),
            to_peer: Some(to),
            region_epoch: region.region_epoch,
            is_tombstone: false,
            start_key: range(&region.start_key),
            end_key: range(&region.end_key),
            message: Some(message),
        };
        env.send(to.store_id, StoreMessage { payload: Some(Payload::Raft(message)) });
    }

    fn find_peer(&self, id: u64) -> Option<metapb::Peer> {
        let known = self.storage.region().peers.iter().chain(&self.strangers);
        known.copied().find(|peer| peer.id == id)
    }
}
