//! How a run ends: all faults end, the cluster recovers, and then its data and its history are judged. Or they end only for
//! a part of the cluster: see `run/freeze.rs`.
//!
//! # What heals
//! Cuts, clogs, filters; loss, duplication, reordering, corruption and narrow links; drift, slowness, pauses; slow, full,
//! stalled and failing disks. Stores that are down or have stopped start again. Clocks stay where jumps put them.
//!
//! # What does not
//! A disk that was wiped or has rotted has lost replicas. They are left out of what is asked of a region: it must come to
//! rest without them, which it can as long as they are a minority. To have them replaced is an operator's decision and
//! not the cluster's duty; a run that replaced them would test its own operator, and one whose replacement is refused for
//! good reason would raise a false alarm. Scenarios that want it have `change`, and a placement driver does it anyway.

use bytes::Bytes;
use raftsim_kernel::{DiskModel, Drift, Duration, Latency, Loss};

use super::{Phase, Run, clients_of};
use crate::client::ClientInput;
use crate::history::{Outcome, Request};
use crate::linearizability::{self, Budget};
use crate::node::{NodeInput, PlacementInput, node_of};
use crate::reach;
use crate::report::{Finding, Verdict};
use crate::scenario::ast::{Check, Ending, NetworkConfig};
use crate::system::System;

/// So often a store that stops while its cluster recovers is started again.
const REVIVALS: usize = 3;

impl<S: System> Run<S> {
    /// The steps are over.
    pub(super) fn begin_ending(&mut self) {
        let reach = self.world.observer_mut().reach_mut();
        match self.scenario.ending {
            Ending::Heal => {
                reach.met(reach::faults::HEALED);
                self.begin_healing();
            }
            Ending::Freeze => {
                reach.met(reach::faults::FROZEN);
                self.begin_freeze();
            }
            Ending::None => {
                if let Err(finding) = self.check_history() {
                    self.conclude(finding);
                }
            }
        }
    }

    fn begin_healing(&mut self) {
        self.note("all faults end".to_owned());
        self.world.network_mut().mend_all();
        for store in 1..=self.scenario.cluster.stores {
            self.world.set_drift(node_of(store), Drift::ZERO);
        }
        self.set_network(&self.healthy_network());
        // What was clogged and what filters held goes out over the healthy network: late messages are what a test wants.
        self.world.unclog_all();
        self.world.remove_filter(None);
        self.end_loads();
        for store in 1..=self.scenario.cluster.stores {
            self.make_healthy(store);
        }
        self.quiet_placement();
        self.await_rest();
    }

    /// No more random jobs.
    pub(super) fn end_loads(&mut self) {
        for node in self.client_nodes() {
            self.world.input(node, NodeInput::Client(ClientInput::StopLoad));
        }
    }

    /// A store's machine has no faults any more, and the store runs. Its clock stays where it is, and what has rotted is
    /// not whole again.
    pub(super) fn make_healthy(&mut self, store: u64) {
        let node = node_of(store);
        self.world.set_drift(node, Drift::ZERO);
        self.world.set_slowness(node, Latency::Constant(Duration::ZERO));
        self.heal_disk(store);
        let model = *self.world.disk(node).model();
        self.world.set_disk_model(node, self.healthy_disk(model));
        self.world.resume(node);
        if self.system(store).is_none() {
            self.start_store(store);
        }
        self.revive(store);
    }

    /// Starts a store again that has stopped: at a fault of its disk, which may have been under way when the faults ended.
    /// One that stops again and again has lost its disk.
    pub(super) fn revive(&mut self, store: u64) {
        let stopped = self.system(store).is_some_and(|system| system.failure().is_some());
        if stopped && self.revived.iter().filter(|revived| **revived == store).count() < REVIVALS {
            self.revived.push(store);
            self.world.crash(node_of(store), Loss::Nothing);
            self.start_store(store);
        }
    }

    /// The placement driver runs, and does nothing of its own accord: one that goes on to move replicas about lets no
    /// cluster come to rest.
    pub(super) fn quiet_placement(&mut self) {
        let Some(node) = self.placement_node() else { return };
        if !self.world.is_up(node) {
            self.start_placement();
        }
        self.world.input(node, NodeInput::Placement(PlacementInput::Quiet));
    }

    /// The scenario's network without its faults. A message must arrive much faster than the patience of those who wait for
    /// it lasts, or nobody is ever elected (thesis 9.3); asking for pre-votes and for votes takes four of them.
    pub(super) fn healthy_network(&self) -> NetworkConfig {
        let network = &self.scenario.network;
        let latency = at_most(network.latency, Duration(self.shortest_election().0 / 8));
        NetworkConfig { latency, wire: network.wire, ..NetworkConfig::default() }
    }

    /// The scenario's disk with room for everything, and fast enough for elections, in which candidates and voters sync.
    fn healthy_disk(&self, model: DiskModel) -> DiskModel {
        let most = Duration(self.shortest_election().0 / 16);
        // What a process waits for while it handles an event adds up.
        let [read, write] = [model.read, model.write].map(|latency| at_most(latency, Duration(most.0 / 100)));
        DiskModel { sync: at_most(model.sync, most), read, write, capacity: 0, ..model }
    }

    /// The shortest patience that a follower can have.
    fn shortest_election(&self) -> Duration {
        self.scenario.raft.tick * u64::from(self.scenario.raft.election_ticks)
    }

    /// How long the cluster may take to recover once all faults have ended: 40 election timeouts at their longest, since a
    /// round in which votes split is followed by another one and each succeeds more often than not, and ten rounds of
    /// every client's patience. Where replicas move from store to store, one that nobody told that it was removed asks
    /// after `leader-missing`, maybe twice, and a snapshot whose sender went away is given up after `snapshot-timeout`.
    pub(super) fn recovery_bound(&self) -> Duration {
        let scenario = &self.scenario;
        let election = scenario.raft.tick * u64::from(scenario.raft.election_ticks) * 2;
        let bound = election * 40 + crate::client::patience(&scenario.client) * 10;
        if S::DATA_DB.is_none() {
            return bound;
        }
        let knobs = (1..=scenario.cluster.stores).map(|store| self.knobs(store).1);
        let patience = knobs.map(|knobs| knobs.leader_missing + knobs.snapshot_timeout).max();
        bound + patience.unwrap_or_default() * 2
    }

    /// The cluster is at rest: its replicas must be equal and its data what the history says.
    pub(super) fn closing_checks(&mut self) -> Result<(), Finding> {
        if let Some(difference) = self.replicas_differ() {
            return Err(self.finding(Check::ReplicasEqual, difference));
        }
        self.read_everything();
        self.check_history()
    }

    /// A store that holds what a region at rest holds: its leader's, unless that is not in the core.
    fn at_rest_on(&self, region: u64) -> Option<u64> {
        let leader = self.chief(region).filter(|leader| self.counts(*leader));
        leader.or_else(|| self.counted(region).map(|(store, _)| store).next())
    }

    /// Ends the history with a read of every key, so that what was acknowledged must be there.
    fn read_everything(&mut self) {
        let examiner = clients_of(&self.scenario);
        let mut keys: Vec<Bytes> = Vec::new();
        keys.extend(
            self.world.observer().history().records().filter_map(|record| record.request.key().cloned()),
        );
        keys.sort_unstable();
        keys.dedup();
        let now = self.world.now();
        for key in keys {
            let store = self.region_of(&key).and_then(|region| self.at_rest_on(region));
            let value = store.and_then(|store| self.value_on(store, &key));
            let history = self.world.observer_mut().history_mut();
            let op = history.call(examiner, now, Request::Get { key });
            history.ret(op, now, Outcome::Value(value));
        }
    }

    pub(super) fn check_history(&mut self) -> Result<(), Finding> {
        let operations = self.world.observer().history().operations();
        let judged = linearizability::judge(&operations, Budget::default());
        self.decided = judged.decided;
        match judged.verdict {
            linearizability::Verdict::Linearizable => self.conclude_clean(),
            linearizability::Verdict::Violation(refutation) => {
                return Err(self.finding(Check::Linearizability, refutation.to_string()));
            }
            linearizability::Verdict::Unknown { key, explored } => {
                let key = String::from_utf8_lossy(&key);
                self.phase = Phase::Over(Verdict::Unknown(format!(
                    "linearizability of key {key} is undecided after {explored} search steps"
                )));
            }
        }
        Ok(())
    }
}

/// A latency, or a constant one in its place if it mostly is longer than this.
fn at_most(latency: Latency, most: Duration) -> Latency {
    let mostly = match latency {
        Latency::Constant(span) => span,
        Latency::Uniform { max, .. } => max,
        Latency::Exponential { min, mean } | Latency::Tail { min, mean } => min + mean,
    };
    if mostly > most { Latency::Constant(most) } else { latency }
}
