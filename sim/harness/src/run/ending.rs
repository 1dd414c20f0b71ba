//! How a run ends: all faults end, the cluster recovers, and then its data and its history are judged.

use bytes::Bytes;
use raftsim_kernel::{Drift, Duration, Ppm};

use super::{Phase, Run, clients_of};
use crate::client::ClientInput;
use crate::history::{Outcome, Request};
use crate::linearizability::{self, Budget};
use crate::node::{NodeInput, PlacementInput, node_of};
use crate::report::{Finding, Verdict};
use crate::scenario::ast::{Check, Ending, NetworkConfig};
use crate::system::System;

impl<S: System> Run<S> {
    /// The steps are over.
    pub(super) fn begin_ending(&mut self) {
        if self.scenario.ending == Ending::None {
            if let Err(finding) = self.check_history() {
                self.conclude(finding);
            }
            return;
        }
        self.note("all faults end".to_owned());
        self.world.network_mut().mend_all();
        for store in 1..=self.scenario.cluster.stores {
            self.world.set_drift(node_of(store), Drift::ZERO);
        }
        let healthy = NetworkConfig {
            loss: Ppm::ZERO,
            duplicate: Ppm::ZERO,
            reorder: Ppm::ZERO,
            ..self.scenario.network.clone()
        };
        self.set_network(&healthy);
        // What filters held goes out over the healthy network: late messages are what a test wants.
        self.world.remove_filter(None);
        for client in 0..clients_of(&self.scenario) {
            let node = self.client_node(client);
            self.world.input(node, NodeInput::Client(ClientInput::StopLoad));
        }
        for store in 1..=self.scenario.cluster.stores {
            self.world.resume(node_of(store));
            if self.system(store).is_none() {
                self.start_store(store);
            }
        }
        if let Some(node) = self.placement_node() {
            if !self.world.is_up(node) {
                self.start_placement();
            }
            // One that goes on to move replicas about lets no cluster come to rest.
            self.world.input(node, NodeInput::Placement(PlacementInput::Quiet));
        }
        self.looked = None;
        self.obstacle = None;
        let deadline = self.world.now() + self.recovery_bound();
        self.phase = Phase::Healing { deadline, done: self.jobs_done() };
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
        bound + scenario.raftstore.leader_missing * 2 + scenario.raftstore.snapshot_timeout * 2
    }

    /// The cluster is at rest: its replicas must be equal and its data what the history says.
    pub(super) fn closing_checks(&mut self) -> Result<(), Finding> {
        if let Some(difference) = self.replicas_differ() {
            return Err(self.finding(Check::ReplicasEqual, difference));
        }
        self.read_everything();
        self.check_history()
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
            let leader = self.region_of(&key).and_then(|region| self.leader(region));
            let value = leader.and_then(|leader| self.value_on(leader, &key));
            let history = self.world.observer_mut().history_mut();
            let op = history.call(examiner, now, Request::Get { key });
            history.ret(op, now, Outcome::Value(value));
        }
    }

    fn check_history(&mut self) -> Result<(), Finding> {
        let operations = self.world.observer().history().operations();
        match linearizability::check(&operations, Budget::default()) {
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
