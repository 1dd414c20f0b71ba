//! Operators: what shall become of a region, in steps, and how far it came.
//!
//! An operator sends nothing itself: [`Operator::advance`] holds its next step against what the region's leader told last,
//! and says whether to order it, to wait, or that it is over. So an order that was lost is repeated with the next heartbeat,
//! one that was carried out is not, and one that something else overtook ends.
//!
//! Careful operators, the driver's own, take away nothing that is needed: as many voters keep up afterwards as were wanted,
//! and a learner is promoted when it keeps up. What is ordered from outside is done as told.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raft_proto::eraftpb::{ConfChangeTransition, ConfChangeType};
use raft_proto::metapb::{Peer, PeerRole};
use raft_proto::schedulerpb::ChangePeer;
use raftsim_kernel::Time;

use super::cluster::Known;
use super::ids::Ids;
use super::orders::Waiting;

/// What shall become of a region.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Operator {
    /// What is still to do. The first is under way.
    steps: VecDeque<Step>,
    /// Given up then.
    pub(super) deadline: Time,
    /// The order from outside that it carries out; one of the driver's own has none.
    pub(super) order: Option<Waiting>,
    /// It makes a region better that is whole. One that is not has to be repaired first.
    pub(super) improves: bool,
}

/// A step of an operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// The members change, at once or through a joint configuration.
    Change(Change),
    /// A joint configuration is left.
    Leave,
    /// The replica on a store becomes leader.
    Transfer {
        /// The store.
        to: u64,
    },
    /// The region is split.
    Split {
        /// The first key of the right half; in the middle where empty.
        key: Bytes,
        /// The region's version before.
        version: u64,
    },
}

/// A change of members.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Change {
    /// Who. New replicas have the id 0 until the operator begins.
    changes: Vec<ChangePeer>,
    /// By which way. A joint configuration that stays is all that [`Explicit`](ConfChangeTransition::Explicit) wants.
    transition: ConfChangeTransition,
    /// So many voters must keep up afterwards; with 0 the change is done as told, whatever it takes away.
    floor: usize,
    /// The leader is asked to remove itself, if it comes to that. Otherwise it hands over first.
    direct: bool,
    /// The region's conf_ver when this step came first. Another one, and not what was wanted: somebody else changed it.
    conf_ver: Option<u64>,
}

/// What to order a region's leader.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// No changes: leave the joint configuration.
    Change(Vec<ChangePeer>, ConfChangeTransition),
    Transfer(Peer),
    Split(Bytes),
}

/// What to do about an operator.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Verdict {
    Order(Action),
    Wait,
    Done,
    /// It cannot be done any more, since the region is another one by now.
    Impossible,
}

/// A change of one replica.
fn single(kind: ConfChangeType, peer: Peer) -> ChangePeer {
    ChangePeer { peer: Some(peer), change_type: kind as i32 }
}

/// A replica becomes a voter: a member, or with the id 0 a new one.
pub(super) fn vote(id: u64, store_id: u64) -> ChangePeer {
    single(ConfChangeType::AddNode, Peer { id, store_id, role: PeerRole::Voter as i32 })
}

/// A replica becomes a learner: a member, or with the id 0 a new one.
pub(super) fn learn(id: u64, store_id: u64) -> ChangePeer {
    single(ConfChangeType::AddLearnerNode, Peer { id, store_id, role: PeerRole::Learner as i32 })
}

/// A replica leaves.
pub(super) fn remove(peer: &Peer) -> ChangePeer {
    single(ConfChangeType::RemoveNode, *peer)
}

/// The replica that a change is about.
fn subject(change: &ChangePeer) -> Peer {
    change.peer.unwrap_or_default()
}

impl Change {
    /// A change that is done as told.
    pub(super) fn as_told(changes: Vec<ChangePeer>, transition: ConfChangeTransition) -> Change {
        Change { changes, transition, floor: 0, direct: true, conf_ver: None }
    }

    /// A change after which `floor` voters keep up.
    pub(super) fn careful(changes: Vec<ChangePeer>, floor: usize) -> Change {
        let transition = ConfChangeTransition::Auto;
        Change { changes, transition, floor: floor.max(1), direct: false, conf_ver: None }
    }

    /// The same, and a leader that it removes is asked directly.
    pub(super) fn directly(self) -> Change {
        Change { direct: true, ..self }
    }

    fn advance(&mut self, known: &Known) -> Verdict {
        let joint = known.is_joint();
        if !joint && self.changes.iter().all(|change| is_in_force(change, known)) {
            return Verdict::Done;
        }
        let conf_ver = *self.conf_ver.get_or_insert(known.epoch.conf_ver);
        if joint {
            // The leader leaves the joint configuration by itself, unless it is to stay.
            let stays = self.transition == ConfChangeTransition::Explicit;
            return if stays { Verdict::Done } else { Verdict::Wait };
        }
        if known.epoch.conf_ver != conf_ver || !self.changes.iter().all(|change| can_begin(change, known)) {
            return Verdict::Impossible;
        }
        if self.floor > 0 && !self.is_careful(known) {
            return Verdict::Wait;
        }
        if !self.direct && !self.voters_after(known).any(|peer| peer == known.leader.id) {
            return match self.heir(known) {
                Some(heir) => Verdict::Order(Action::Transfer(heir)),
                None => Verdict::Wait,
            };
        }
        Verdict::Order(Action::Change(self.changes.clone(), self.transition))
    }

    /// Whether enough voters keep up afterwards, and no learner is promoted that does not.
    fn is_careful(&self, known: &Known) -> bool {
        let promoted = self.changes.iter().filter(|change| change.change_type() == ConfChangeType::AddNode);
        let fit = promoted.map(|change| subject(change).id).all(|peer| known.keeps_up(peer));
        let kept =
            self.voters_after(known).filter(|peer| known.peer(*peer).is_some() && known.keeps_up(*peer));
        fit && (!self.takes_votes(known) || kept.count() >= self.floor)
    }

    /// Whether a voter loses its vote.
    fn takes_votes(&self, known: &Known) -> bool {
        known.voters().any(|voter| !self.voters_after(known).any(|peer| peer == voter.id))
    }

    /// The ids of those that vote afterwards.
    fn voters_after<'a>(&'a self, known: &'a Known) -> impl Iterator<Item = u64> + 'a {
        let named = |id: u64| self.changes.iter().any(|change| subject(change).id == id);
        let stay = known.voters().map(|peer| peer.id).filter(move |id| !named(*id));
        let come = self.changes.iter().filter(|change| change.change_type() == ConfChangeType::AddNode);
        stay.chain(come.map(|change| subject(change).id))
    }

    /// Who can lead in place of a leader that goes: a voter that stays and keeps up.
    fn heir(&self, known: &Known) -> Option<Peer> {
        let stays =
            |peer: &&Peer| self.voters_after(known).any(|id| id == peer.id) && known.keeps_up(peer.id);
        known.voters().filter(stays).min_by_key(|peer| peer.store_id).copied()
    }
}

/// Whether a region's members are, in one respect, as a change wants them.
fn is_in_force(change: &ChangePeer, known: &Known) -> bool {
    let peer = known.peer(subject(change).id);
    match change.change_type() {
        ConfChangeType::AddNode => peer.is_some_and(|peer| peer.role() == PeerRole::Voter),
        ConfChangeType::AddLearnerNode => peer.is_some_and(|peer| peer.role() == PeerRole::Learner),
        ConfChangeType::RemoveNode => peer.is_none(),
    }
}

/// Whether a change makes sense: a store has at most one replica of a region.
fn can_begin(change: &ChangePeer, known: &Known) -> bool {
    let subject = subject(change);
    match change.change_type() {
        ConfChangeType::RemoveNode => true,
        _ => known.peer_on(subject.store_id).is_none_or(|there| there.id == subject.id),
    }
}

impl Step {
    fn advance(&mut self, known: &Known) -> Verdict {
        match self {
            Step::Change(change) => change.advance(known),
            Step::Leave if known.is_joint() => {
                Verdict::Order(Action::Change(Vec::new(), ConfChangeTransition::Auto))
            }
            Step::Leave => Verdict::Done,
            Step::Transfer { to } if known.leader.store_id == *to => Verdict::Done,
            Step::Transfer { to } => match known.peer_on(*to) {
                Some(peer) if peer.role() != PeerRole::Learner => Verdict::Order(Action::Transfer(*peer)),
                _ => Verdict::Impossible,
            },
            Step::Split { key, version } => {
                let open =
                    if key.is_empty() { known.epoch.version == *version } else { known.holds_inside(key) };
                if open { Verdict::Order(Action::Split(key.clone())) } else { Verdict::Done }
            }
        }
    }
}

impl Operator {
    /// One of the driver's own.
    pub(super) fn own(steps: impl IntoIterator<Item = Step>) -> Operator {
        Operator { steps: steps.into_iter().collect(), deadline: Time::MAX, order: None, improves: false }
    }

    /// The same, for a region that is whole.
    pub(super) fn improving(self) -> Operator {
        Operator { improves: true, ..self }
    }

    /// The stores on which something is to live or lead.
    pub(super) fn targets(&self) -> impl Iterator<Item = u64> {
        let targets = |step: &Step| -> Vec<u64> {
            match step {
                Step::Change(change) => {
                    let comes = |change: &&ChangePeer| change.change_type() != ConfChangeType::RemoveNode;
                    change.changes.iter().filter(comes).map(|change| subject(change).store_id).collect()
                }
                Step::Transfer { to } => vec![*to],
                Step::Leave | Step::Split { .. } => Vec::new(),
            }
        };
        self.steps.iter().flat_map(targets)
    }

    /// Whether nothing but leadership is moved.
    pub(super) fn only_transfers(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Transfer { .. }))
    }

    /// One that is ordered from outside.
    pub(super) fn ordered(step: Step, order: &Waiting) -> Operator {
        Operator {
            steps: VecDeque::from([step]),
            deadline: order.deadline,
            order: Some(order.clone()),
            improves: false,
        }
    }

    /// Gives new replicas their ids: one a store. False where there are none yet.
    pub(super) fn allocate(&mut self, ids: &mut Ids) -> bool {
        let mut fresh: BTreeMap<u64, u64> = BTreeMap::new();
        for peer in self.peers_mut().filter(|peer| peer.id == 0) {
            fresh.insert(peer.store_id, 0);
        }
        let Some(range) = ids.take(fresh.len() as u64) else { return false };
        for (slot, id) in fresh.values_mut().zip(range) {
            *slot = id;
        }
        for peer in self.peers_mut().filter(|peer| peer.id == 0) {
            peer.id = fresh.get(&peer.store_id).copied().unwrap_or_default();
        }
        true
    }

    fn peers_mut(&mut self) -> impl Iterator<Item = &mut Peer> {
        let changes = self.steps.iter_mut().filter_map(|step| match step {
            Step::Change(change) => Some(&mut change.changes),
            _ => None,
        });
        changes.flatten().filter_map(|change| change.peer.as_mut())
    }

    /// What to do, now that this is known of the region.
    pub(super) fn advance(&mut self, known: &Known) -> Verdict {
        if self.order.as_ref().is_some_and(|waiting| !known.holds(waiting.order.key())) {
            return Verdict::Impossible;
        }
        while let Some(step) = self.steps.front_mut() {
            match step.advance(known) {
                Verdict::Done => drop(self.steps.pop_front()),
                verdict => return verdict,
            }
        }
        Verdict::Done
    }

    /// The stores that have a replica once all is done, and the leader's. A region's members are counted so by who looks for
    /// balance: what is under way is as good as done.
    pub(super) fn outcome(&self, known: &Known) -> (Vec<u64>, u64) {
        let mut stores: Vec<u64> = known.region.peers.iter().map(|peer| peer.store_id).collect();
        let mut leader = known.leader.store_id;
        for step in &self.steps {
            match step {
                Step::Change(change) => {
                    for change in &change.changes {
                        let store = subject(change).store_id;
                        stores.retain(|other| *other != store);
                        if change.change_type() != ConfChangeType::RemoveNode {
                            stores.push(store);
                        }
                    }
                }
                Step::Transfer { to } => leader = *to,
                Step::Leave | Step::Split { .. } => {}
            }
        }
        (stores, leader)
    }
}
