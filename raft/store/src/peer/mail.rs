//! Messages from and to other replicas: who wrote, where an answer goes, and what a store needs to know to deliver it.

use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use raft_proto::metapb::{self, RegionEpoch};
use raft_proto::raft_serverpb::store_message::Payload;
use raft_proto::raft_serverpb::{RaftMessage, StoreMessage};

use super::{Event, Peer};
use crate::admin;
use crate::engine::Transport;

/// So many strangers are remembered. An answer to one leaves with the next sync, so who is forgotten for four
/// others has had it, or will write again.
const MAX_STRANGERS: usize = 4;

impl Peer {
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
    pub(super) fn meet(&mut self, stranger: metapb::Peer) {
        self.strangers.retain(|known| known.id != stranger.id);
        if self.strangers.len() == MAX_STRANGERS {
            self.strangers.remove(0);
        }
        self.strangers.push(stranger);
    }

    /// Somebody wrote who knows the region so.
    pub(crate) fn meet_epoch(&mut self, epoch: RegionEpoch) {
        if admin::is_older(self.met, epoch) {
            self.met = epoch;
        }
    }

    pub(super) fn send_all(&mut self, env: &mut impl Transport, mut messages: Vec<Message>) {
        if messages.is_empty() {
            return;
        }
        for message in messages.drain(..) {
            self.send(env, message);
        }
        self.raw.reuse(messages);
    }

    pub(super) fn send(&mut self, env: &mut impl Transport, message: Message) {
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
