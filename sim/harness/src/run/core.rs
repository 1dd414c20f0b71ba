//! Which stores a freeze makes healthy: a core that holds a voter majority of every region.
//!
//! Only somebody who sees all disks can choose one. The newest configuration of a region may be known to a store that
//! is down, so the core is chosen by a copy of the run in which every store has started: see [`Run::revealed`]. A
//! voter counts as long as its disk has what it promised; one that a wipe or bit rot took is nobody's vote.
//!
//! Half of the cores are minimal: without any one of their stores a region would lack its majority. Those are the
//! ones that find what needs one store too many. The others are larger at random.

use std::collections::BTreeSet;

use raftsim_kernel::{Loss, Ppm, Stream};

use super::Run;
use crate::node::node_of;
use crate::system::{ReplicaView, System};

/// The voters of one half of a region's configuration: their stores, and whether the disks have what they promised.
type Half = Vec<(u64, bool)>;

impl<S: System> Run<S> {
    /// A copy of this run in which every store that is down or has stopped starts from its disk, to see what all disks
    /// together hold. What becomes of it later is of no interest to anybody.
    pub(super) fn revealed(&self) -> Run<S> {
        let mut run = self.clone();
        run.world.observer_mut().take_record();
        for store in 1..=run.scenario.cluster.stores {
            if run.system(store).is_none_or(|system| system.failure().is_some()) {
                run.heal_disk(store);
                run.world.crash(node_of(store), Loss::Nothing);
                run.start_store(store);
            }
        }
        run
    }

    /// The core of this run: what the scenario says, or one that the seed draws.
    pub(super) fn choose_core(&self) -> BTreeSet<u64> {
        if let Some(core) = &self.scenario.core {
            return core.iter().copied().collect();
        }
        let halves = self.revealed().halves();
        let mut draws = Stream::derive(self.seed, "core");
        let mut stores: Vec<u64> = (1..=self.scenario.cluster.stores).collect();
        shuffle(&mut stores, &mut draws);
        let mut core: BTreeSet<u64> = stores.iter().copied().collect();
        // Where too much is lost even all stores are not enough. Then the lost count too, and the triage tells.
        let strict = holds(&halves, &core, true);
        for store in &stores {
            core.remove(store);
            if core.is_empty() || !holds(&halves, &core, strict) {
                core.insert(*store);
            }
        }
        if draws.chance(Ppm::percent(50)) {
            core.extend(stores.iter().filter(|_| draws.chance(Ppm::percent(50))));
        }
        core
    }

    /// Both halves of every region's newest configuration; one where it is not joint.
    fn halves(&self) -> Vec<Half> {
        let mut halves = Vec::new();
        for region in self.regions() {
            let Some((knows, view)) = self.newest_of_all(region) else { continue };
            let of = |voters: &[u64]| -> Half {
                let stores = voters.iter().map(|voter| (self.store_as(knows, region, *voter), *voter));
                let stores = stores.filter_map(|(store, voter)| Some((store?, voter)));
                stores.map(|(store, voter)| (store, !self.is_lost(region, voter))).collect()
            };
            halves.extend([view.members.voters, view.members.outgoing].map(of));
        }
        halves.retain(|half| !half.is_empty());
        halves
    }

    /// A region as the initialised replica with its newest epoch, or else the longest way behind it, knows it, of all
    /// stores; and whose that is.
    pub(super) fn newest_of_all(&self, region: u64) -> Option<(u64, ReplicaView<'_>)> {
        let stores = 1..=self.scenario.cluster.stores;
        let views = stores.filter_map(|store| Some((store, self.view(store, region)?)));
        let views = views.filter(|(_, view)| view.range.initialized);
        views.max_by_key(|(_, view)| (view.range.version, view.range.conf_ver, view.state.applied))
    }

    /// The store of a replica, as another store knows it.
    pub(super) fn store_as(&self, knows: u64, region: u64, replica: u64) -> Option<u64> {
        self.system(knows)?.store_of(region, replica)
    }
}

/// Whether a core has a majority of each half; `strict`: of voters that are not lost.
fn holds(halves: &[Half], core: &BTreeSet<u64>, strict: bool) -> bool {
    halves.iter().all(|half| {
        let inside = half.iter().filter(|(store, intact)| core.contains(store) && (*intact || !strict));
        inside.count() * 2 > half.len()
    })
}

/// Fisher and Yates.
fn shuffle(stores: &mut [u64], draws: &mut Stream) {
    for place in (1..stores.len()).rev() {
        let other = usize::try_from(draws.below(place as u64 + 1)).unwrap_or(place);
        stores.swap(place, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(stores: &[u64]) -> Half {
        stores.iter().map(|store| (*store, true)).collect()
    }

    #[test]
    fn each_half_of_each_region_needs_its_majority() {
        let halves = [half(&[1, 2, 3]), half(&[3, 4, 5])];
        let holds = |core: &[u64]| holds(&halves, &core.iter().copied().collect(), true);
        assert!(holds(&[2, 3, 4]) && holds(&[1, 2, 4, 5]));
        assert!(!holds(&[1, 2, 3]) && !holds(&[3]) && !holds(&[1, 4, 5]));
        let two = [half(&[1, 2])];
        assert!(!super::holds(&two, &[1].into(), true), "one of two is no majority");
    }

    #[test]
    fn a_lost_voter_counts_against_its_half() {
        let halves = [vec![(1, true), (2, false), (3, true)]];
        let holds = |core: &[u64], strict| holds(&halves, &core.iter().copied().collect(), strict);
        assert!(!holds(&[1, 2], true) && holds(&[1, 2], false) && holds(&[1, 3], true));
    }

    #[test]
    fn every_order_comes_up() {
        let orders: BTreeSet<Vec<u64>> = (0..200)
            .map(|seed| {
                let mut stores = vec![1, 2, 3];
                shuffle(&mut stores, &mut Stream::derive(seed, "core"));
                stores
            })
            .collect();
        assert_eq!(orders.len(), 6);
    }
}
