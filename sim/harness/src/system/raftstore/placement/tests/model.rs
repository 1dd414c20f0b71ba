//! A cluster in a few lines: regions do what the driver orders as soon as it comes, leaders tell of them, stores go and come
//! back. It watches over what the driver promises with each order that is carried out.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_proto::eraftpb::ConfChangeType;
use raft_proto::metapb::PeerRole;
use raft_proto::schedulerpb::{
    AskSplitRequest, AskSplitResponse, ChangePeer, RegionHeartbeatResponse, SplitRegion,
};

use super::super::ids::FIRST_ID;
use super::*;
use crate::system::Order;

/// Time between two rounds: that of the default heartbeats and decisions.
const ROUND: Duration = Duration::millis(500);

/// A region as it really is.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) region: Region,
    /// The leader's store.
    pub(super) leader: u64,
    term: u64,
    /// Replicas that do not keep up.
    pub(super) lagging: BTreeSet<u64>,
}

/// What was carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) changes: u32,
    pub(super) joint: u32,
    /// Leaders that removed themselves.
    pub(super) direct: u32,
    pub(super) transfers: u32,
    pub(super) splits: u32,
}

pub(super) struct Model {
    pub(super) driver: Driver,
    scenario: Scenario,
    pub(super) now: Time,
    /// The stores that are up.
    pub(super) up: BTreeSet<u64>,
    pub(super) groups: BTreeMap<u64, Group>,
    pub(super) done: Done,
    /// The driver's disk: what it wrote last, and what is durable.
    written: Option<Bytes>,
    durable: Option<Bytes>,
    wake: Option<Time>,
    /// Every id that a region or a replica ever had.
    used: BTreeSet<u64>,
    /// All that leaders told, to be told again.
    pub(super) told: Vec<(u64, RegionHeartbeatRequest)>,
    /// So much of it was told to earlier lives of the driver.
    told_before: usize,
}

impl Model {
    /// Regions `1..` side by side, with these voters and learners.
    pub(super) fn new(mode: PlacementMode, stores: u64, members: &[(Vec<u64>, Vec<u64>)]) -> Model {
        let scenario = scenario(mode, stores);
        let mut groups = BTreeMap::new();
        let mut used = BTreeSet::new();
        for (place, (voters, learners)) in (1u64..).zip(members) {
            let edge = |place: u64| format!("{place:04}");
            let last = place == members.len() as u64;
            let range = (
                if place == 1 { String::new() } else { edge(place) },
                if last { String::new() } else { edge(place + 1) },
            );
            let mut region = region(place, (&range.0, &range.1), (1, 1), voters);
            region.peers.extend(
                learners
                    .iter()
                    .map(|store| Peer { role: PeerRole::Learner as i32, ..peer(100 + store, *store) }),
            );
            for peer in &mut region.peers {
                peer.id += 10 * place;
                used.insert(peer.id);
            }
            groups.insert(place, Group { region, leader: voters[0], term: 5, lagging: BTreeSet::new() });
        }
        let driver = Driver::new(&scenario).unwrap();
        let mut model = Model {
            driver,
            scenario,
            now: Time::ZERO,
            up: (1..=stores).collect(),
            groups,
            done: Done::default(),
            written: None,
            durable: None,
            wake: None,
            used,
            told: Vec::new(),
            told_before: 0,
        };
        model.boot();
        model
    }

    fn boot(&mut self) {
        let mut fx = Effects::default();
        self.wake = None;
        self.driver.on_start(self.now, self.durable.clone(), self.now.0, &mut fx);
        self.after(fx);
    }

    /// The driver loses power; what it wrote and did not sync is there afterwards, or not.
    pub(super) fn crash(&mut self, kept: bool) {
        if kept {
            self.durable.clone_from(&self.written);
        } else {
            self.written.clone_from(&self.durable);
        }
        self.driver = Driver::new(&self.scenario).unwrap();
        self.told_before = self.told.len();
        self.boot();
    }

    /// Carries out what the driver wants.
    fn after(&mut self, fx: Fx) {
        if let Some(value) = fx.persist {
            self.written = Some(value);
        }
        self.wake = fx.wake.or(self.wake);
        for (store, response) in fx.send {
            match response.payload {
                Some(response::Payload::RegionHeartbeat(order)) => self.obey(store, order),
                Some(response::Payload::AskSplit(answer)) => self.split(answer),
                _ => {}
            }
        }
    }

    /// What was written becomes durable.
    pub(super) fn sync(&mut self) {
        if self.durable != self.written {
            self.durable.clone_from(&self.written);
            let mut fx = Effects::default();
            self.driver.on_durable(self.now, &mut fx);
            self.after(fx);
        }
    }

    /// Half a second goes by: elections, catching up, heartbeats, decisions, and no sync.
    pub(super) fn round(&mut self) {
        self.now += ROUND;
        self.driver.hear_stores(self.now, self.up.clone());
        let ids: Vec<u64> = self.groups.keys().copied().collect();
        for id in ids {
            let Some(heartbeat) = self.live(id) else { continue };
            self.tell(self.groups[&id].leader, heartbeat);
        }
        if self.wake.is_some_and(|wake| wake <= self.now) {
            self.wake = None;
            let mut fx = Effects::default();
            self.driver.on_timer(self.now, &mut fx);
            self.after(fx);
        }
    }

    /// A heartbeat arrives, perhaps again.
    pub(super) fn tell(&mut self, store: u64, heartbeat: RegionHeartbeatRequest) {
        self.told.push((store, heartbeat.clone()));
        let mut fx = Effects::default();
        self.driver.on_request(
            self.now,
            store,
            ask(store, request::Payload::RegionHeartbeat(heartbeat)),
            &mut fx,
        );
        self.after(fx);
    }

    pub(super) fn order(&mut self, order: &Order) -> Result<(), String> {
        let mut fx = Effects::default();
        let answer = self.driver.on_order(self.now, order, &mut fx);
        self.after(fx);
        answer
    }

    /// A group leaves its joint configuration, elects a leader if it has none, and tells of itself; `None` without a quorum.
    fn live(&mut self, id: u64) -> Option<RegionHeartbeatRequest> {
        let up = &self.up;
        let group = self.groups.get_mut(&id)?;
        let is_joint = group.region.peers.iter().any(|peer| peer.role > PeerRole::Learner as i32);
        if is_joint {
            group.region.peers.retain(|peer| peer.role() != PeerRole::LeavingVoter);
            for peer in &mut group.region.peers {
                match peer.role() {
                    PeerRole::IncomingVoter => peer.role = PeerRole::Voter as i32,
                    PeerRole::DemotingVoter => peer.role = PeerRole::Learner as i32,
                    _ => {}
                }
            }
            group.region.region_epoch.as_mut()?.conf_ver += 1;
        }
        let standing = quorum(group, up)?;
        if !standing.iter().any(|peer| peer.store_id == group.leader) {
            group.leader = standing[0].store_id;
            group.term += 1;
        }
        let pending = group.region.peers.iter();
        let pending = pending.filter(|peer| group.lagging.contains(&peer.id) || !up.contains(&peer.store_id));
        let heartbeat = RegionHeartbeatRequest {
            pending_peers: pending.copied().collect(),
            ..heartbeat(&group.region, group.leader, group.term)
        };
        // Those that are up have caught up by the next time.
        let caught_up =
            |id: &u64| group.region.peers.iter().any(|peer| peer.id == *id && up.contains(&peer.store_id));
        group.lagging.retain(|id| !caught_up(id));
        Some(heartbeat)
    }

    /// A leader does what it is told, if the order is for it as it is.
    fn obey(&mut self, store: u64, order: RegionHeartbeatResponse) {
        let Some(group) = self.groups.get_mut(&order.region_id) else { return };
        let leads =
            order.target_peer.is_some_and(|peer| peer.store_id == group.leader && store == group.leader);
        if !leads || order.region_epoch != group.region.region_epoch || quorum(group, &self.up).is_none() {
            return;
        }
        if let Some(change) = order.change_peer_v2 {
            self.change(order.region_id, &change.changes);
        } else if let Some(transfer) = order.transfer_leader {
            let to = transfer.peer.unwrap();
            assert!(
                group.region.peers.iter().any(|peer| *peer == to && peer.role() != PeerRole::Learner),
                "{group:?}"
            );
            group.leader = to.store_id;
            group.term += 1;
            self.done.transfers += 1;
        } else if let Some(SplitRegion { split_key }) = order.split_region {
            let region = group.region.clone();
            let split_key = if split_key.is_empty() { middle(&region) } else { Some(split_key) };
            let Some(split_key) = split_key else { return };
            let ask = AskSplitRequest { region: Some(region), split_key };
            let mut fx = Effects::default();
            self.driver.on_request(
                self.now,
                store,
                super::ask(store, request::Payload::AskSplit(ask)),
                &mut fx,
            );
            self.after(fx);
        }
    }

    /// The replicas that do not keep up, as the driver was told last in this life, in the region's newest term.
    fn pending(&self, region: u64) -> BTreeSet<u64> {
        let group = &self.groups[&region];
        let told = self.told[self.told_before..].iter().map(|(_, heartbeat)| heartbeat);
        let newest = told.filter(|told| {
            let region = told.region.as_ref().unwrap();
            (region.id, region.region_epoch) == (group.region.id, group.region.region_epoch)
        });
        let last = newest.max_by_key(|told| told.term).expect("the order was for this epoch");
        last.pending_peers.iter().map(|peer| peer.id).collect()
    }

    fn change(&mut self, region: u64, changes: &[ChangePeer]) {
        let mode = self.scenario.placement.as_ref().unwrap().mode;
        let mut unfit = self.pending(region);
        let group = self.groups.get_mut(&region).unwrap();
        let fit = |group: &Group, unfit: &BTreeSet<u64>| {
            voters(group).filter(|peer| !unfit.contains(&peer.id)).count()
        };
        let before = fit(group, &unfit);
        let joint = changes.len() > 1;
        for change in changes {
            let subject = change.peer.unwrap();
            let (come, go, demote) = match joint {
                true => (PeerRole::IncomingVoter, PeerRole::LeavingVoter, PeerRole::DemotingVoter),
                false => (PeerRole::Voter, PeerRole::LeavingVoter, PeerRole::Learner),
            };
            let there = group.region.peers.iter().position(|peer| peer.id == subject.id);
            match (change.change_type(), there) {
                (ConfChangeType::RemoveNode, Some(place)) if joint => {
                    group.region.peers[place].role = go as i32
                }
                (ConfChangeType::RemoveNode, Some(place)) => drop(group.region.peers.remove(place)),
                (ConfChangeType::RemoveNode, None) => panic!("{subject:?} is not there to be removed"),
                (ConfChangeType::AddNode, Some(place)) => group.region.peers[place].role = come as i32,
                (ConfChangeType::AddLearnerNode, Some(place)) => {
                    group.region.peers[place].role = demote as i32
                }
                (kind, None) => {
                    assert!(subject.id >= FIRST_ID && self.used.insert(subject.id), "{subject:?} again");
                    let role = if kind == ConfChangeType::AddNode { come } else { PeerRole::Learner };
                    group.region.peers.push(Peer { role: role as i32, ..subject });
                    group.lagging.insert(subject.id);
                    unfit.insert(subject.id);
                }
            }
        }
        let mut stores: Vec<u64> = group.region.peers.iter().map(|peer| peer.store_id).collect();
        stores.sort_unstable();
        stores.dedup();
        assert_eq!(stores.len(), group.region.peers.len(), "two replicas on a store: {group:?}");
        let after = fit(group, &unfit);
        let wanted = usize::try_from(self.scenario.placement.as_ref().unwrap().replicas).unwrap();
        if mode != PlacementMode::Manual {
            assert!(
                after >= before.min(wanted),
                "{before} voters kept up, then {after}: {changes:?} of {group:?}"
            );
        }
        group.region.region_epoch.as_mut().unwrap().conf_ver += 1;
        self.done.changes += 1;
        self.done.joint += u32::from(joint);
        let leads = |peer: &Peer| peer.store_id == group.leader && peer.role() != PeerRole::LeavingVoter;
        self.done.direct += u32::from(!group.region.peers.iter().any(leads));
    }

    fn split(&mut self, answer: AskSplitResponse) {
        let left = &mut self.groups.get_mut(&answer.region_id).unwrap();
        if answer.region_epoch != left.region.region_epoch {
            return;
        }
        let (start, end) = (&left.region.start_key, &left.region.end_key);
        let inside = *start < answer.split_key && (end.is_empty() || answer.split_key < *end);
        assert!(inside, "{answer:?} of {left:?}");
        assert_eq!(answer.new_peer_ids.len(), left.region.peers.len());
        left.region.region_epoch.as_mut().unwrap().version += 1;
        let mut right = left.clone();
        left.region.end_key = answer.split_key.clone();
        right.region.start_key = answer.split_key;
        right.region.id = answer.new_region_id;
        right.lagging.clear();
        for (peer, id) in right.region.peers.iter_mut().zip(&answer.new_peer_ids) {
            peer.id = *id;
        }
        for id in answer.new_peer_ids.into_iter().chain([answer.new_region_id]) {
            assert!(id >= FIRST_ID && self.used.insert(id), "{id} again");
        }
        self.groups.insert(right.region.id, right);
        self.done.splits += 1;
    }

    /// The stores of a region's voters, learners left out, ascending.
    pub(super) fn voters(&self, region: u64) -> Vec<u64> {
        let voters = self.groups[&region].region.peers.iter().filter(|peer| peer.role() == PeerRole::Voter);
        let mut stores: Vec<u64> = voters.map(|peer| peer.store_id).collect();
        stores.sort_unstable();
        stores
    }
}

/// The voters that are up and keep up, if they are a majority. A joint configuration is left before anybody tells of it, so
/// its incoming half is all that counts.
fn quorum(group: &Group, up: &BTreeSet<u64>) -> Option<Vec<Peer>> {
    let fits = |peer: &Peer| up.contains(&peer.store_id) && !group.lagging.contains(&peer.id);
    let (standing, others): (Vec<Peer>, Vec<Peer>) = voters(group).partition(fits);
    (standing.len() > others.len()).then_some(standing)
}

/// The voters, of a joint configuration the incoming ones.
fn voters(group: &Group) -> impl Iterator<Item = Peer> {
    let votes = |peer: &&Peer| matches!(peer.role(), PeerRole::Voter | PeerRole::IncomingVoter);
    group.region.peers.iter().filter(votes).copied()
}

/// A key inside of a region: its first, and a byte more that is below the end. There may be none.
fn middle(region: &Region) -> Option<Bytes> {
    let (start, end) = (&region.start_key, &region.end_key);
    let limit = if end.starts_with(start) { end.get(start.len()).copied() } else { None };
    let last = limit.unwrap_or(u8::MAX).checked_sub(1)?;
    let mut key = start.to_vec();
    key.push(last / 2);
    Some(key.into())
}
