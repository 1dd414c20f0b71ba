//! How a run ends: all faults end, the cluster recovers, and then its data and its history are judged.

use bytes::Bytes;
use raftsim_kernel::{Drift, Ppm};

use super::{Phase, Run, clients_of, recovery_bound};
use crate::check::Role;
use crate::client::ClientInput;
use crate::history::{Outcome, Request};
use crate::linearizability::{self, Budget};
use crate::node::{NodeInput, node_of};
use crate::record;
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
            if self.system(store).is_none() {
                self.start_store(store);
            }
        }
        self.looked = None;
        let deadline = self.world.now() + recovery_bound(&self.scenario);
        self.phase = Phase::Healing { deadline, done: self.jobs_done() };
    }

    /// The first thing that a cluster at rest would have and this one has not.
    pub(super) fn unhealed(&self) -> Option<String> {
        let Some(leader) = self.leader() else { return Some("no store leads".to_owned()) };
        let (led, members) = self.view(leader).map(|view| (view.state, view.members))?;
        if members.auto_leave {
            return Some(format!("store {leader} leads and has not left its joint configuration"));
        }
        for store in self.members() {
            let Some(view) = self.view(store) else { return Some(format!("store {store} does not serve")) };
            let state = view.state;
            if state.term != led.term || (store != leader && state.role != Role::Follower) {
                return Some(format!(
                    "store {leader} leads term {}, but store {store} is {} in term {}",
                    led.term, state.role, state.term
                ));
            }
            if state.last != led.last || state.applied != led.last {
                return Some(format!(
                    "the log of store {leader} ends at {}, but store {store} has applied {} of {}",
                    led.last, state.applied, state.last
                ));
            }
            if view.members != members {
                let told = |store| Some(record::members(self.system(store)?, &self.view(store)?));
                let (led, has) = (told(leader)?, told(store)?);
                return Some(format!("store {leader} leads {led}, but store {store} has {has}"));
            }
        }
        let busy = self.clients().find(|client| !client.is_idle());
        busy.map(|client| match client.number() {
            0 => "the scenario's own operation is unanswered".to_owned(),
            number => format!("client {number} has an unanswered operation"),
        })
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
        let Some(leader) = self.leader() else { return };
        let examiner = clients_of(&self.scenario);
        let mut keys: Vec<Bytes> = Vec::new();
        keys.extend(
            self.world.observer().history().records().filter_map(|record| record.request.key().cloned()),
        );
        keys.sort_unstable();
        keys.dedup();
        let now = self.world.now();
        for key in keys {
            let value = self.value_on(leader, &key);
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
