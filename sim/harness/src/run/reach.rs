//! Situations that a scenario's steps bring about, and those that the kernel counts.

use raftsim_kernel::{Drift, Duration, Faults, Latency};

use super::Run;
use crate::node::node_of;
use crate::reach::{ReachSet, faults};
use crate::system::System;

impl<S: System> Run<S> {
    /// A step was executed: what befell stores that lead, or the placement driver?
    pub(super) fn note_reach(&mut self) {
        let stores = self.scenario.cluster.stores;
        let mut met = ReachSet::default();
        let mut note = |is_so: bool, situation| {
            if is_so {
                met.insert(situation);
            }
        };
        let leading = (1..=stores).filter(|store| self.world.observer().reach().leads(node_of(*store)));
        for store in leading {
            let (node, world) = (node_of(store), &self.world);
            note(world.is_paused(node), faults::LEADER_PAUSED);
            note(world.slowness(node) != Latency::Constant(Duration::ZERO), faults::LEADER_SLOWED);
            note(world.disk(node).is_stalled(), faults::DISK_STALLED);
            note(world.clock(node).drift() != Drift::ZERO, faults::CLOCK_DRIFTED);
            note(world.clock(node).offset() != 0, faults::CLOCK_JUMPED);
            let others = (1..=stores).map(node_of).filter(|other| *other != node);
            let network = world.network();
            let unheard = others.filter(|other| network.is_cut(*other, node)).count() as u64;
            note(unheard * 2 >= stores && stores > 1, faults::LEADER_CUT_OFF);
        }
        let driver = self.placement_node();
        note(driver.is_some_and(|driver| !self.world.is_up(driver)), faults::DRIVER_DOWN);
        let back = |store: u64| self.floor(store) > 0 && self.world.is_up(node_of(store));
        note((1..=stores).any(back), faults::STORE_WIPED);
        let reach = self.world.observer_mut().reach_mut();
        met.iter().for_each(|situation| reach.met(situation));
    }

    /// The situations of the run so far.
    pub(super) fn reach(&self) -> ReachSet {
        let Faults {
            lost,
            doubled,
            overtook,
            clogged,
            corrupted,
            dropped_by_queue,
            torn,
            sync_failed,
            io_errors,
            full,
            rotten_reads,
        } = self.world.faults();
        let counted = [
            (lost, faults::MESSAGE_LOST),
            (doubled, faults::MESSAGE_DOUBLED),
            (overtook, faults::MESSAGE_OVERTOOK),
            (clogged, faults::MESSAGE_CLOGGED),
            (corrupted, faults::MESSAGE_CORRUPTED),
            (dropped_by_queue, faults::QUEUE_FULL),
            (torn, faults::BATCH_TORN),
            (sync_failed, faults::SYNC_FAILED),
            (io_errors, faults::IO_FAILED),
            (full, faults::DISK_FULL),
            (rotten_reads, faults::ROT_FOUND),
        ];
        let met = counted.into_iter().filter(|(count, _)| *count > 0).map(|(_, situation)| situation);
        self.world.observer().reach().set().union(met.collect())
    }
}
