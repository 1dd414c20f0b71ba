//! Where a message from another store goes: to its replica, to nobody, or to a replica that it makes.
//!
//! A message may be older than anything that it speaks of: of a replica that was removed, to one that was. Peer
//! ids are never used twice and only grow, so of two replicas of a region on a store the higher id is the
//! newer one, and an epoch tells who knows more of the region.
//!
//! Promise: what was destroyed, or lost with the disk, does not come back by a message; a replica is made only where its range
//! is nobody's; who was removed and does not know gets to know when it asks.

use im::OrdMap;
use raft::EntryId;
use raft::eraftpb::{Message, MessageType};
use raft_proto::metapb::{self, Region, RegionEpoch};
use raft_proto::raft_serverpb::{
    PeerState, RaftMessage, RegionLocalState, SnapshotVerdict, StoreMessage, store_message::Payload,
};

use super::Store;
use crate::admin::is_older;
use crate::engine::{Db, Env, Transport};
use crate::error::StoreError;
use crate::keys;
use crate::peer::{Peer, is_first_contact};
use crate::peer_storage::read_message;
use crate::snapshot::refusal;

/// So many candidates of regions that a split will make here are remembered. One that is forgotten asks again.
const MAX_PENDING_VOTES: usize = 64;

/// The last word of a candidate of each region whose keys another region holds here: that will be split, most likely.
#[derive(Clone, Debug, Default)]
pub(super) struct PendingVotes {
    by_region: OrdMap<u64, RaftMessage>,
}

impl PendingVotes {
    fn push(&mut self, message: RaftMessage) {
        if self.by_region.len() < MAX_PENDING_VOTES || self.by_region.contains_key(&message.region_id) {
            self.by_region.insert(message.region_id, message);
        }
    }

    pub(super) fn take(&mut self, region: u64) -> Option<RaftMessage> {
        self.by_region.remove(&region)
    }
}

fn is_vote(message: &Message) -> bool {
    matches!(message.msg_type(), MessageType::MsgRequestVote | MessageType::MsgRequestPreVote)
}

fn send(env: &mut impl Transport, message: RaftMessage) {
    let Some(to) = message.to_peer else { return };
    env.send(to.store_id, StoreMessage { payload: Some(Payload::Raft(message)) });
}

impl Store {
    /// A message from another store.
    ///
    /// Dropped, unless it is for this store and for the replica of the region that lives here now or may be made,
    /// and of a kind that replicas send each other.
    pub fn on_message(&mut self, env: &mut impl Env, now_ns: u64, message: StoreMessage) {
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            match message.payload {
                Some(Payload::Raft(message)) => store.on_raft_message(env, tick, message),
                Some(Payload::Chunk(chunk)) => {
                    let (Some(key), Some(from), Some(to)) = (chunk.key, chunk.from_peer, chunk.to_peer)
                    else {
                        return Ok(());
                    };
                    match store.check_chunk(key.region_id, to, chunk.message.as_ref()) {
                        _ if to.store_id != store.config.store_id => Ok(()),
                        Ok(()) => store.incoming.on_chunk(env, tick, chunk),
                        Err(verdict) => {
                            let ack = refusal(&chunk, verdict);
                            env.send(from.store_id, StoreMessage { payload: Some(Payload::Ack(ack)) });
                            Ok(())
                        }
                    }
                }
                Some(Payload::Ack(ack)) => {
                    let sent = store.outgoing.on_ack(env, tick, ack);
                    sent.map_or(Ok(()), |sent| store.on_snapshot_sent(env, tick, sent))
                }
                None => Ok(()),
            }
        });
    }

    /// Whether a piece of a snapshot is welcome: there is somebody to receive it, who can use it.
    fn check_chunk(
        &self,
        region: u64,
        to: metapb::Peer,
        message: Option<&RaftMessage>,
    ) -> Result<(), SnapshotVerdict> {
        let peer = self.peer(region).filter(|peer| peer.peer_id() == to.id);
        let peer = peer.ok_or(SnapshotVerdict::Refused)?;
        match message {
            _ if peer.is_restoring() => Ok(()),
            Some(message) => {
                self.check_snapshot(peer, message).map(drop).map_err(|_| SnapshotVerdict::Refused)
            }
            None => Ok(()),
        }
    }

    fn on_raft_message(
        &mut self,
        env: &mut impl Env,
        tick: u64,
        message: RaftMessage,
    ) -> Result<(), StoreError> {
        let (Some(from), Some(to)) = (message.from_peer, message.to_peer) else { return Ok(()) };
        let region = message.region_id;
        // No region and no replica has the id 0.
        if to.store_id != self.config.store_id || [region, from.id, to.id].contains(&0) {
            return Ok(());
        }
        if !self.peers.contains_key(&region) && !self.meet_stranger(env, tick, from, to, &message)? {
            return Ok(());
        }
        let Some(peer) = self.peers.get(&region) else { return Ok(()) };
        if to.id < peer.peer_id() {
            return Ok(()); // For one that lived here before.
        }
        if to.id > peer.peer_id() {
            // For one that shall live here, so this one was removed and did not hear of it. It goes when it is told:
            // the sender may not know for certain yet.
            send(env, peer.envelope(from, None));
            return Ok(());
        }
        if message.is_tombstone {
            let told = message.region_epoch.unwrap_or_default();
            if peer.epoch().conf_ver < told.conf_ver {
                return self.destroy(env, tick, region, None);
            }
            return Ok(());
        }
        if let Some(reply) = tell_removed(peer, from, &message) {
            send(env, reply);
            return Ok(());
        }
        let epoch = message.region_epoch.unwrap_or_default();
        let Some(message) = message.message else { return Ok(()) };
        self.with_peer(env, tick, region, |peer, _| {
            peer.meet_epoch(epoch);
            peer.on_raft_message(from, message);
        })?;
        Ok(())
    }

    /// A message for a replica that is not here. True if it is now.
    fn meet_stranger(
        &mut self,
        env: &mut impl Env,
        tick: u64,
        from: metapb::Peer,
        to: metapb::Peer,
        message: &RaftMessage,
    ) -> Result<bool, StoreError> {
        let region = message.region_id;
        if message.is_tombstone || self.destroying.contains(&region) {
            return Ok(false);
        }
        let state = read_message::<RegionLocalState>(env, Db::Kv, &keys::region_state(region), region)?;
        if let Some(state) = &state
            && state.state() == PeerState::Tombstone
            && to.id <= state.peer_id
        {
            if let Some(reply) = answer_for_the_dead(state, from, to, message) {
                send(env, reply);
            }
            return Ok(false);
        }
        if to.id <= self.config.replica_floor {
            if let Some(reply) = answer_for_the_lost(from, to, message) {
                send(env, reply);
            }
            return Ok(false);
        }
        if !message.message.as_ref().is_some_and(is_first_contact) {
            return Ok(false);
        }
        if self.ranges.overlapping(&message.start_key, &message.end_key).next().is_some() {
            // The region that the keys will come from is here, and has not been split yet; or it is stale.
            if message.message.as_ref().is_some_and(is_vote) {
                self.votes.push(message.clone());
            }
            return Ok(false);
        }
        self.make_peer(env, tick, region, to.id)?;
        Ok(true)
    }

    /// Makes a replica that knows nothing but its id. It votes, and waits for a snapshot.
    fn make_peer(&mut self, env: &mut impl Env, tick: u64, region: u64, peer: u64) -> Result<(), StoreError> {
        let mut made = Peer::from_message(env, &self.config, region, peer)?;
        made.start_at(tick);
        self.peers.insert(region, std::sync::Arc::new(made));
        Ok(())
    }
}

/// Whether a message wants something that a replica which was removed will not get, however often it sends it: a
/// vote, an answer to its question, or to be followed.
fn insists(message: &RaftMessage) -> bool {
    let beats = |message: &Message| message.msg_type() == MessageType::MsgHeartbeat;
    message.message.as_ref().is_none_or(|message| is_vote(message) || beats(message))
}

/// The answer to one who was removed from the region and may not know: its tombstone. Who has an older epoch, and is no
/// member by this one, will not be one again. That it was removed must be durable here: if this replica forgot it, it
/// might need the vote of the one that it has sent away.
fn tell_removed(peer: &Peer, from: metapb::Peer, message: &RaftMessage) -> Option<RaftMessage> {
    let asks = insists(message) && peer.is_settled();
    let theirs = message.region_epoch.unwrap_or_default();
    let member = peer.region().peers.iter().any(|member| member.id == from.id);
    let stale = peer.is_initialized() && theirs.conf_ver < peer.epoch().conf_ver;
    (asks && stale && !member).then(|| tombstone(peer.region(), peer.meta(), from))
}

fn tombstone(region: &Region, from: metapb::Peer, to: metapb::Peer) -> RaftMessage {
    RaftMessage {
        region_id: region.id,
        from_peer: Some(from),
        to_peer: Some(to),
        region_epoch: region.region_epoch,
        is_tombstone: true,
        ..RaftMessage::default()
    }
}

/// What a tombstone says to one who writes to the dead.
///
/// A candidate that the dead replica's region does not have was removed too. One that it has may need the dead one's
/// vote, for all it knows: of two replicas one is removed, commits that, and goes before the other one hears that it
/// is committed. It gets the refusal that the dead one would give, with how far the log is committed.
fn answer_for_the_dead(
    state: &RegionLocalState,
    from: metapb::Peer,
    to: metapb::Peer,
    message: &RaftMessage,
) -> Option<RaftMessage> {
    let region = state.region.as_ref()?;
    let (theirs, ours) = (message.region_epoch.unwrap_or_default(), region.region_epoch.unwrap_or_default());
    let member = region.peers.iter().any(|peer| peer.id == from.id);
    if !member && insists(message) && theirs.conf_ver < ours.conf_ver {
        return Some(tombstone(region, to, from));
    }
    let vote = message.message.as_ref().filter(|vote| is_vote(vote))?;
    let removed = state.removed_at.filter(|_| member && !is_older(ours, theirs))?;
    let at = EntryId { term: removed.term, index: removed.index };
    Some(refusal_of_vote(region.id, region.region_epoch, (from, to), vote, at))
}

/// What a store that lost its disk says for a replica that may have been on it: no vote, since nobody knows for whom it
/// voted in this term; and nothing else. The replica is of no use to its region any more, and it is up to the region to
/// remove it.
fn answer_for_the_lost(from: metapb::Peer, to: metapb::Peer, message: &RaftMessage) -> Option<RaftMessage> {
    let vote = message.message.as_ref().filter(|vote| is_vote(vote))?;
    Some(refusal_of_vote(message.region_id, None, (from, to), vote, EntryId::default()))
}

/// The refusal of a vote, with how far the log is known to be committed. Its term is the one that the candidate is in: a
/// refused pre-vote tells a term that somebody is in, and were it the one asked about, each question would bring the
/// candidate into the next term.
fn refusal_of_vote(
    region_id: u64,
    region_epoch: Option<RegionEpoch>,
    (from, to): (metapb::Peer, metapb::Peer),
    vote: &Message,
    committed: EntryId,
) -> RaftMessage {
    let (kind, term) = match vote.msg_type() {
        MessageType::MsgRequestVote => (MessageType::MsgRequestVoteResponse, vote.term),
        _ => (MessageType::MsgRequestPreVoteResponse, vote.term.saturating_sub(1)),
    };
    let refusal = Message {
        msg_type: kind as i32,
        from: to.id,
        to: from.id,
        term,
        reject: true,
        commit: committed.index,
        commit_term: committed.term,
        ..Message::default()
    };
    RaftMessage {
        region_id,
        from_peer: Some(to),
        to_peer: Some(from),
        region_epoch,
        message: Some(refusal),
        ..RaftMessage::default()
    }
}
