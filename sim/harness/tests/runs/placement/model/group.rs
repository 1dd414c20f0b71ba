//! A region of the model: what its members are, and what becomes of them. What no store may be made to do is asserted.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_proto::eraftpb::{ConfChangeTransition, ConfChangeType};
use raft_proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raft_proto::schedulerpb::{AskSplitResponse, ChangePeer};
use raftsim_kernel::Time;

use super::{Done, TICK};

/// The end of all keys: they are numbers of two bytes.
pub(crate) const END: u32 = 1 << 16;

/// A key.
pub(crate) fn key(number: u32) -> Bytes {
    match u16::try_from(number) {
        Ok(0) | Err(_) => Bytes::new(),
        Ok(number) => Bytes::copy_from_slice(&number.to_be_bytes()),
    }
}

/// The number of a key; the empty one is an open bound.
pub(crate) fn number(key: &[u8], open: u32) -> u32 {
    <[u8; 2]>::try_from(key).map_or(open, |bytes| u32::from(u16::from_be_bytes(bytes)))
}

/// A region.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) region: Region,
    pub(crate) leader: Peer,
    pub(crate) term: u64,
    /// New replicas, and when they keep up.
    catching_up: BTreeMap<u64, Time>,
    /// All replicas that it ever had.
    ever: BTreeSet<u64>,
    /// When the leader leaves the joint configuration by itself.
    leaves: Option<Time>,
}

impl Group {
    /// Voters on these stores, the first of which leads.
    pub(crate) fn new(id: u64, (start, end): (u32, u32), stores: &[u64]) -> Group {
        let peers: Vec<Peer> =
            stores.iter().map(|store| Peer { id: id * 10 + store, store_id: *store, role: 0 }).collect();
        Group {
            leader: peers[0],
            term: 1,
            catching_up: BTreeMap::new(),
            ever: peers.iter().map(|peer| peer.id).collect(),
            leaves: None,
            region: Region {
                id,
                start_key: key(start),
                end_key: key(end),
                region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
                peers,
            },
        }
    }

    pub(crate) fn epoch(&self) -> RegionEpoch {
        self.region.region_epoch.unwrap()
    }

    fn epoch_mut(&mut self) -> &mut RegionEpoch {
        self.region.region_epoch.as_mut().unwrap()
    }

    /// The stores of those that vote, in a joint configuration in its incoming half.
    pub(crate) fn voters(&self) -> Vec<u64> {
        self.stores(|role| matches!(role, PeerRole::Voter | PeerRole::IncomingVoter))
    }

    /// The stores of those that learn, or will once a joint configuration is left.
    pub(crate) fn learners(&self) -> Vec<u64> {
        self.stores(|role| matches!(role, PeerRole::Learner | PeerRole::DemotingVoter))
    }

    fn stores(&self, of: impl Fn(PeerRole) -> bool) -> Vec<u64> {
        self.region.peers.iter().filter(|peer| of(peer.role())).map(|peer| peer.store_id).collect()
    }

    pub(crate) fn is_joint(&self) -> bool {
        let plain = |peer: &Peer| matches!(peer.role(), PeerRole::Voter | PeerRole::Learner);
        !self.region.peers.iter().all(plain)
    }

    pub(crate) fn peer(&self, store: u64) -> Option<Peer> {
        self.region.peers.iter().find(|peer| peer.store_id == store).copied()
    }

    /// Whether it had a replica with this id.
    pub(crate) fn has_had(&self, peer: u64) -> bool {
        self.ever.contains(&peer)
    }

    pub(crate) fn lags(&self, peer: &Peer) -> bool {
        self.catching_up.contains_key(&peer.id)
    }

    /// The replica on this store falls behind, until then.
    pub(crate) fn fall_behind(&mut self, store: u64, until: Time) {
        let peer = self.peer(store).expect("a replica falls behind");
        self.catching_up.insert(peer.id, until);
    }

    /// The first key, and the one after the last.
    pub(crate) fn bounds(&self) -> (u32, u32) {
        (number(&self.region.start_key, 0), number(&self.region.end_key, END))
    }

    /// Time passes: replicas catch up, and a joint configuration is left.
    pub(crate) fn pass(&mut self, now: Time, done: &mut Done) {
        self.catching_up.retain(|_, until| *until > now);
        if self.leaves.is_some_and(|leaves| leaves <= now) {
            self.leave(done);
        }
    }

    /// Another voter leads, drawn from those that keep up and are on none of these stores.
    pub(crate) fn elect(&mut self, dead: &BTreeSet<u64>, drawn: u64) {
        let able = |peer: &&Peer| {
            peer.role() == PeerRole::Voter && !dead.contains(&peer.store_id) && !self.lags(peer)
        };
        let able: Vec<Peer> = self.region.peers.iter().filter(able).copied().collect();
        if !able.is_empty() {
            self.leader = able[usize::try_from(drawn % able.len() as u64).unwrap()];
            self.term += 1;
        }
    }

    /// Leadership goes to the replica on this store, if it can lead.
    pub(crate) fn transfer(&mut self, store: u64, done: &mut Done) {
        let to = self.peer(store).expect("leadership goes to a replica");
        if matches!(to.role(), PeerRole::Voter | PeerRole::IncomingVoter) && !self.lags(&to) {
            self.leader = to;
            self.term += 1;
            done.transferred += 1;
        }
    }

    /// The members change, at once or through a joint configuration. New replicas keep up from `ready` on.
    pub(crate) fn change(
        &mut self,
        changes: &[ChangePeer],
        transition: ConfChangeTransition,
        (now, ready): (Time, Time),
        done: &mut Done,
    ) {
        let joint = changes.len() > 1 || transition != ConfChangeTransition::Auto;
        changes.iter().for_each(|change| self.change_one(change, joint, ready, done));
        self.epoch_mut().conf_ver += changes.len() as u64;
        if joint {
            done.joint += 1;
            self.leaves = (transition != ConfChangeTransition::Explicit).then_some(now + TICK * 2);
        }
        self.replace_leader();
    }

    fn change_one(&mut self, change: &ChangePeer, joint: bool, ready: Time, done: &mut Done) {
        let new = change.peer.expect("a change names a replica");
        let there = self.peer(new.store_id);
        let voted = there.is_some_and(|peer| peer.role() == PeerRole::Voter);
        let role = match (change.change_type(), joint, voted) {
            (ConfChangeType::AddNode, true, false) => PeerRole::IncomingVoter,
            (ConfChangeType::AddNode, ..) => PeerRole::Voter,
            (ConfChangeType::AddLearnerNode, true, true) => PeerRole::DemotingVoter,
            (ConfChangeType::AddLearnerNode, ..) => PeerRole::Learner,
            (ConfChangeType::RemoveNode, true, true) => PeerRole::LeavingVoter,
            (ConfChangeType::RemoveNode, ..) => {
                assert_eq!(there.map(|peer| peer.id), Some(new.id), "another replica is there: {change:?}");
                self.region.peers.retain(|peer| peer.id != new.id);
                done.removed += 1;
                done.abdicated += u32::from(new.id == self.leader.id);
                return;
            }
        };
        done.abdicated += u32::from(role == PeerRole::LeavingVoter && new.id == self.leader.id);
        if let Some(there) = there {
            assert_eq!(there.id, new.id, "two replicas on one store: {change:?} of {:?}", self.region);
            done.promoted += u32::from(!voted && role != PeerRole::Learner);
            let peers = self.region.peers.iter_mut();
            peers.filter(|peer| peer.id == new.id).for_each(|peer| peer.role = role as i32);
        } else {
            assert!(self.ever.insert(new.id), "replica {} comes back", new.id);
            done.added += u32::from(role != PeerRole::Learner);
            done.learned += u32::from(role == PeerRole::Learner);
            self.catching_up.insert(new.id, ready);
            self.region.peers.push(Peer { role: role as i32, ..new });
        }
    }

    /// The joint configuration is left for its incoming half.
    pub(crate) fn leave(&mut self, done: &mut Done) {
        let before = self.region.peers.len();
        self.region.peers.retain(|peer| peer.role() != PeerRole::LeavingVoter);
        done.removed += u32::try_from(before - self.region.peers.len()).unwrap();
        for peer in &mut self.region.peers {
            let learns = matches!(peer.role(), PeerRole::Learner | PeerRole::DemotingVoter);
            peer.role = if learns { PeerRole::Learner } else { PeerRole::Voter } as i32;
        }
        self.epoch_mut().conf_ver += 1;
        self.leaves = None;
        done.left += 1;
        self.replace_leader();
    }

    /// A leader that votes no more is followed by another.
    fn replace_leader(&mut self) {
        let votes = |peer: &Peer| peer.role() != PeerRole::Learner;
        if let Some(same) = self.peer(self.leader.store_id).filter(votes) {
            self.leader = same;
        } else {
            self.leader = self.region.peers.iter().copied().find(votes).expect("a voter is left");
            self.term += 1;
        }
    }

    /// Splits with these ids, and gives the right half; not if the answer is for another epoch, or makes no sense.
    pub(crate) fn split(&mut self, answer: &AskSplitResponse) -> Option<Group> {
        let (start, end) = self.bounds();
        let at = number(&answer.split_key, 0);
        if answer.region_epoch != Some(self.epoch()) || self.is_joint() || at <= start || at >= end {
            return None;
        }
        assert_eq!(answer.new_peer_ids.len(), self.region.peers.len());
        let mut right = self.clone();
        self.region.end_key = key(at);
        self.epoch_mut().version += 1;
        right.region.id = answer.new_region_id;
        right.region.start_key = key(at);
        right.region.region_epoch = self.region.region_epoch;
        right.catching_up.clear();
        for (peer, id) in right.region.peers.iter_mut().zip(&answer.new_peer_ids) {
            if let Some(until) = self.catching_up.get(&peer.id) {
                right.catching_up.insert(*id, *until);
            }
            peer.id = *id;
        }
        right.ever = answer.new_peer_ids.iter().copied().collect();
        right.leader = right.peer(right.leader.store_id).expect("the same stores have a replica");
        right.term = 6;
        Some(right)
    }
}
