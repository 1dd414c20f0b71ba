//! Orders of a scenario, and what they make of a region.
//!
//! An order waits: until a region is known that holds its key, until that is not busy with another operator, until there are
//! ids. Orders for one region begin in the order in which they came, but for those that make no sense yet: a transfer to a
//! store that has no replica, a change in a joint configuration. Orders live in memory: a crash of the driver forgets them.

use std::collections::VecDeque;

use bytes::Bytes;
use raft_proto::eraftpb::ConfChangeTransition;
use raft_proto::metapb::PeerRole;
use raft_proto::schedulerpb::ChangePeer;
use raftsim_kernel::{Duration, Time};

use super::cluster::{Cluster, Known};
use super::operator::{Change, Operator, Step, learn, remove, vote};
use crate::scenario::Transition;
use crate::system::{MemberChange, Order};

/// How long an order is pursued.
const PATIENCE: Duration = Duration::secs(600);

/// The orders that have not begun, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub(super) struct Orders(VecDeque<Waiting>);

/// An order, and when it is given up.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Waiting {
    pub(super) order: Order,
    pub(super) deadline: Time,
}

/// What an order comes to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Begin {
    /// To this.
    Operator(Operator),
    /// The region is as ordered.
    Done,
    /// Nothing yet: the region is not as it must be.
    Wait,
    /// Nothing yet: another operator is under way there, or there are no ids.
    Later,
}

impl Orders {
    pub(super) fn push(&mut self, now: Time, order: Order) {
        self.0.push_back(Waiting { order, deadline: now + PATIENCE });
    }

    /// An order that had begun comes back, for a region that is not what it was.
    pub(super) fn again(&mut self, waiting: Waiting) {
        self.0.push_front(waiting);
    }

    /// Takes out the first order that `begin` takes up. What stands in its way holds up later orders for the same region
    /// too, while an order that waits for the region to change lets them pass: one of them may bring that about.
    pub(super) fn take(
        &mut self,
        now: Time,
        cluster: &Cluster,
        mut begin: impl FnMut(&Known, &Waiting) -> Begin,
    ) -> Option<(u64, Begin)> {
        self.0.retain(|waiting| now < waiting.deadline);
        let mut held_up = Vec::new();
        for place in 0..self.0.len() {
            let waiting = &self.0[place];
            let Some(known) = cluster.region_of(waiting.order.key()) else { continue };
            if held_up.contains(&known.id()) {
                continue;
            }
            match begin(known, waiting) {
                Begin::Wait => {}
                Begin::Later => held_up.push(known.id()),
                begun => {
                    let region = known.id();
                    self.0.remove(place);
                    return Some((region, begun));
                }
            }
        }
        None
    }
}

impl Order {
    /// The key of the region that it is about.
    pub(super) fn key(&self) -> &Bytes {
        match self {
            Order::Change { key, .. } | Order::Transfer { key, .. } | Order::Split { key } => key,
        }
    }
}

/// Whether an order makes sense in a cluster of so many stores.
pub(super) fn check(order: &Order, stores: u64) -> Result<(), String> {
    let known = |store: &u64| {
        let there = (1..=stores).contains(store);
        if there { Ok(()) } else { Err(format!("there is no store {store}")) }
    };
    match order {
        Order::Change { change: MemberChange::Members { add, learn, remove, .. }, .. } => {
            let mut named: Vec<&u64> = add.iter().chain(learn).chain(remove).collect();
            named.iter().try_for_each(|store| known(store))?;
            let all = named.len();
            named.sort_unstable();
            named.dedup();
            if named.len() < all {
                return Err("a store is named twice".to_owned());
            }
            Ok(())
        }
        Order::Change { change: MemberChange::Leave, .. } => Ok(()),
        Order::Transfer { to, .. } => known(to),
        Order::Split { key } if key.is_empty() => {
            Err("no region begins at the empty key but the first".to_owned())
        }
        Order::Split { .. } => Ok(()),
    }
}

/// What an order comes to, for the region that holds its key. Whatever it begins makes sense for the region as it is.
pub(super) fn begin(waiting: &Waiting, known: &Known) -> Begin {
    let step = match &waiting.order {
        Order::Change { change: MemberChange::Leave, .. } if known.is_joint() => Step::Leave,
        Order::Change { change: MemberChange::Leave, .. } => return Begin::Done,
        Order::Change { .. } if known.is_joint() => return Begin::Wait,
        Order::Change { change: MemberChange::Members { add, learn, remove, transition, .. }, .. } => {
            let changes = changes(known, add, learn, remove);
            if changes.is_empty() {
                return Begin::Done;
            }
            let transition = match transition {
                Transition::Auto => ConfChangeTransition::Auto,
                Transition::Implicit => ConfChangeTransition::Implicit,
                Transition::Explicit => ConfChangeTransition::Explicit,
            };
            Step::Change(Change::as_told(changes, transition))
        }
        Order::Transfer { to, .. } if known.leader.store_id == *to => return Begin::Done,
        Order::Transfer { to, .. } => match known.peer_on(*to) {
            Some(peer) if peer.role() != PeerRole::Learner => Step::Transfer { to: *to },
            _ => return Begin::Wait,
        },
        Order::Split { key } if !known.holds_inside(key) => return Begin::Done,
        Order::Split { key } => Step::Split { key: key.clone(), version: known.epoch.version },
    };
    Begin::Operator(Operator::ordered(step, waiting))
}

/// The changes that the stores' wishes come to: what is so already is none, and a store keeps its replica.
fn changes(known: &Known, add: &[u64], learners: &[u64], gone: &[u64]) -> Vec<ChangePeer> {
    let become_ = |role: PeerRole, change: fn(u64, u64) -> ChangePeer| {
        move |store: &u64| match known.peer_on(*store) {
            Some(peer) if peer.role() == role => None,
            Some(peer) => Some(change(peer.id, *store)),
            None => Some(change(0, *store)),
        }
    };
    let adds = add.iter().filter_map(become_(PeerRole::Voter, vote));
    let learns = learners.iter().filter_map(become_(PeerRole::Learner, learn));
    let removes = gone.iter().filter_map(|store| known.peer_on(*store)).map(remove);
    adds.chain(learns).chain(removes).collect()
}
