//! Balance: every region has as many replicas as wanted, none on a dead store, and stores have equal shares of replicas
//! and of leaders.
//!
//! One operator at a time is planned, from what is known and from what is under way already, which counts as done. Each
//! region is repaired first. Then a replica goes from a store to one that has at least two fewer, and then a leadership
//! likewise. Each such move makes the sum of the squares of the stores' shares smaller, so moves come to an end.
//!
//! A replica is added as a learner and promoted when it keeps up, and only then another one goes, in the same step. What an
//! operator that was broken off leaves behind is a matter for repair.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use raft_proto::schedulerpb::ChangePeer;

use super::View;
use super::cluster::Known;
use super::operator::{Change, Operator, Step, learn, remove, vote};

/// The next operator, and its region.
pub(super) fn next(view: &View<'_>) -> Option<(u64, Operator)> {
    let shares = Shares::count(view);
    let repaired = view.idle().find_map(|known| repair(view, &shares, known));
    repaired.or_else(|| spread_replicas(view, &shares)).or_else(|| spread_leaders(view, &shares))
}

/// What each live store has once all that is under way is done: replicas and leaders.
struct Shares(BTreeMap<u64, (usize, usize)>);

impl Shares {
    fn count(view: &View<'_>) -> Shares {
        let mut shares: BTreeMap<u64, _> = view.live_stores().map(|store| (store, (0, 0))).collect();
        for (stores, leader) in view.outcomes() {
            for store in stores {
                if let Some((replicas, _)) = shares.get_mut(&store) {
                    *replicas += 1;
                }
            }
            if let Some((_, leaders)) = shares.get_mut(&leader) {
                *leaders += 1;
            }
        }
        Shares(shares)
    }

    fn replicas(&self, store: u64) -> usize {
        self.0.get(&store).map_or(0, |(replicas, _)| *replicas)
    }

    fn leaders(&self, store: u64) -> usize {
        self.0.get(&store).map_or(0, |(_, leaders)| *leaders)
    }

    /// The live stores, those with the fewest replicas first.
    fn emptiest(&self) -> Vec<u64> {
        let mut stores: Vec<u64> = self.0.keys().copied().collect();
        stores.sort_by_key(|store| (self.replicas(*store), *store));
        stores
    }
}

/// One step of an operator of balance, after which as many voters as wanted keep up.
fn careful(view: &View<'_>, changes: Vec<ChangePeer>) -> Step {
    Step::Change(Change::careful(changes, view.replicas()))
}

/// What brings a region closer to its number of replicas on live stores.
fn repair(view: &View<'_>, shares: &Shares, known: &Known) -> Option<(u64, Operator)> {
    let start = |steps: Vec<Step>| Some((known.id(), Operator::own(steps)));
    // One that has no vote and no future is gone first.
    if let Some(learner) = known.learners().find(|peer| !view.lives(peer)) {
        return start(vec![careful(view, vec![remove(learner)])]);
    }
    // One whose disk is lost is of no use and never will be, so that nothing goes with it that is needed; and its store may
    // be the only one that can take another in its place.
    if let Some(lost) = known.voters().find(|peer| view.is_lost(peer)) {
        let rest = known.voters().filter(|peer| view.lives(peer) && known.keeps_up(peer.id)).count();
        return start(vec![Step::Change(Change::careful(vec![remove(lost)], rest.min(view.replicas())))]);
    }
    let voters = known.voters().filter(|peer| view.lives(peer)).count();
    if voters < view.replicas() {
        if let Some(peer) = known.learners().find(|peer| known.keeps_up(peer.id)) {
            return start(vec![careful(view, vec![vote(peer.id, peer.store_id)])]);
        }
        if known.learners().next().is_some() {
            // It is on its way.
            return None;
        }
        let store = shares.emptiest().into_iter().find(|store| known.peer_on(*store).is_none())?;
        let first = careful(view, vec![learn(0, store)]);
        return start(vec![first, careful(view, vec![vote(0, store)])]);
    }
    let dead = known.region.peers.iter().find(|peer| !view.lives(peer));
    let surplus = known.voters().max_by_key(|peer| {
        let leads = peer.id == known.leader.id;
        (!known.keeps_up(peer.id), !leads, shares.replicas(peer.store_id), Reverse(peer.store_id))
    });
    let gone = dead.or(surplus.filter(|_| voters > view.replicas())).or(known.learners().next())?;
    start(vec![careful(view, vec![remove(gone)])])
}

/// Moves a replica from a store that has at least two more than another.
fn spread_replicas(view: &View<'_>, shares: &Shares) -> Option<(u64, Operator)> {
    let stores = shares.emptiest();
    let regions: Vec<&Known> = view.idle().filter(|known| is_healthy(view, known)).collect();
    for &from in stores.iter().rev() {
        let fewer = |to: &&u64| shares.replicas(**to) + 2 <= shares.replicas(from);
        for &to in stores.iter().take_while(fewer) {
            let fits = |known: &&&Known| known.peer_on(from).is_some() && known.peer_on(to).is_none();
            // A region that is led from elsewhere needs no transfer.
            let leads = |known: &&&Known| known.leader.store_id == from;
            let Some(known) = regions.iter().filter(fits).min_by_key(leads) else { continue };
            let gone = known.peer_on(from)?;
            let swap = vec![vote(0, to), remove(gone)];
            let steps = [careful(view, vec![learn(0, to)]), careful(view, swap)];
            return Some((known.id(), Operator::own(steps).improving()));
        }
    }
    None
}

/// Moves a leadership from a store that has at least two more than another with a replica.
fn spread_leaders(view: &View<'_>, shares: &Shares) -> Option<(u64, Operator)> {
    let gain = |known: &Known| {
        let from = shares.leaders(known.leader.store_id);
        let heirs = known.voters().filter(|peer| known.keeps_up(peer.id) && view.lives(peer));
        let to = heirs.map(|peer| peer.store_id).min_by_key(|store| (shares.leaders(*store), *store))?;
        (shares.leaders(to) + 2 <= from).then(|| (from - shares.leaders(to), to))
    };
    let moves = view.idle().filter_map(|known| gain(known).map(|(gain, to)| (gain, known.id(), to)));
    let (_, region, to) = moves.max_by_key(|(gain, region, _)| (*gain, Reverse(*region)))?;
    Some((region, Operator::own([Step::Transfer { to }]).improving()))
}

/// Whether all of a region's replicas vote, live and keep up.
fn is_healthy(view: &View<'_>, known: &Known) -> bool {
    known.learners().next().is_none()
        && known.region.peers.iter().all(|peer| known.keeps_up(peer.id) && view.lives(peer))
}
