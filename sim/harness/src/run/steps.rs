//! Executing steps.

use bytes::Bytes;
use raftsim_kernel::{DbId, Loss, Losses};

use super::{Phase, Run};
use crate::client::{ClientInput, Job};
use crate::history::{Outcome, Request};
use crate::node::{NodeInput, node_of};
use crate::report::Finding;
use crate::scenario::ast::{
    self, Action, Answer, Check, Issuer, Load, Losing, Lost, Operate, Operation, ScanRange, Step,
};
use crate::system::{FIRST_REGION, Operator, System};

impl<S: System> Run<S> {
    /// Executes the step that is due.
    pub(super) fn execute_step(&mut self) -> Result<(), Finding> {
        let Some(step) = self.scenario.steps.get(self.step).cloned() else {
            self.begin_ending();
            return Ok(());
        };
        if self.world.observer().record().is_some() {
            self.note(Step::now(step.action.clone()).to_string());
        }
        match &step.action {
            Action::Sleep(span) => {
                self.phase = Phase::Sleeping { until: self.world.now() + *span };
                return Ok(());
            }
            Action::Wait { condition, within } => {
                self.looked = None;
                self.obstacle = None;
                let (condition, base) = self.begin_wait(condition)?;
                self.phase = Phase::Waiting { condition, deadline: self.world.now() + *within, base };
                return Ok(());
            }
            Action::Operate(operate) => return self.operate(operate),
            Action::Change { .. } | Action::Split { .. } => return self.insist(0, None),
            Action::Load(load) => self.start_load(load),
            Action::Crash { .. }
            | Action::Restart { .. }
            | Action::CrashPlacement
            | Action::RestartPlacement
            | Action::Pause { .. }
            | Action::Resume { .. }
            | Action::Clock { .. } => self.disturb(&step.action)?,
            Action::Partition { groups, name } => self.partition(groups, name.as_ref())?,
            Action::Isolate { targets, clients, name } => self.isolate(targets, *clients, name.as_ref())?,
            Action::IsolatePlacement => self.isolate_placement(),
            Action::Cut { from, to } => self.set_cut(from, to, true)?,
            Action::Heal(heal) => self.heal(heal)?,
            Action::Network(change) => self.change_network(change)?,
            Action::Filter(filter) => self.add_filter(filter)?,
            Action::Release(which) | Action::Clear(which) => self.remove_filter(which),
            Action::Campaign { of, target, name } => {
                let region = self.region(of.as_deref());
                let store = self.store(region, target)?;
                self.bind(name.as_ref(), &[store]);
                self.command(region, store, Operator::Campaign)?;
            }
            Action::Transfer { of, target, via, name } => {
                let region = self.region(of.as_deref());
                let store = self.store(region, target)?;
                self.bind(name.as_ref(), &[store]);
                self.transfer(region, store, via.as_ref())?;
            }
            Action::ForgetLeader { targets } => self.forget_leader(targets)?,
            Action::RequestSnapshot { target } => {
                let store = self.store(FIRST_REGION, target)?;
                self.command(FIRST_REGION, store, Operator::RequestSnapshot)?;
            }
            Action::Compact { of, targets } => {
                let region = self.region(of.as_deref());
                for store in self.stores(region, targets)? {
                    self.command(region, store, Operator::Compact)?;
                }
            }
            Action::Name { target, name } => {
                let store = self.store(FIRST_REGION, target)?;
                self.bind(Some(name), &[store]);
            }
            Action::Expect(expectation) => self.expect(expectation)?,
        }
        // What a step did to the stores belongs to its line.
        self.all_held()?;
        self.next_step();
        Ok(())
    }

    /// What happens to machines.
    fn disturb(&mut self, action: &Action) -> Result<(), Finding> {
        match action {
            Action::Crash { targets, losing, name } => {
                let stores = self.stores(FIRST_REGION, targets)?;
                self.bind(name.as_ref(), &stores);
                let losses = losses::<S>(losing);
                stores.iter().for_each(|store| self.world.crash(node_of(*store), losses.clone()));
            }
            Action::Restart { targets } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.world.crash(node_of(store), Loss::Nothing);
                    self.start_store(store);
                }
            }
            Action::CrashPlacement => {
                if let Some(node) = self.placement_node() {
                    self.world.crash(node, Loss::Unsynced);
                }
            }
            Action::RestartPlacement => {
                if let Some(node) = self.placement_node() {
                    self.world.crash(node, Loss::Nothing);
                    self.start_placement();
                }
            }
            Action::Pause { targets, name } => {
                let stores = self.stores(FIRST_REGION, targets)?;
                self.bind(name.as_ref(), &stores);
                stores.iter().for_each(|store| self.world.pause(node_of(*store)));
            }
            Action::Resume { targets } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.world.resume(node_of(store));
                }
            }
            Action::Clock { targets, drift } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.world.set_drift(node_of(store), *drift);
                }
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn bind(&mut self, name: Option<&String>, stores: &[u64]) {
        if let (Some(name), [store, ..]) = (name, stores) {
            self.names.insert(name.clone(), *store);
            self.note(format!("{name} is store {store}"));
        }
    }

    fn operate(&mut self, operate: &Operate) -> Result<(), Finding> {
        let via = operate.via.as_ref().map(|target| self.store(FIRST_REGION, target)).transpose()?;
        let requests = requests(&operate.operation);
        let (client, within) = match operate.issuer {
            Issuer::Scenario { within } => (0, Some(within)),
            Issuer::Client(client) => (u64::from(client), None),
        };
        let before = self.client(client).map_or(0, |client| client.done().0);
        let jobs = before + requests.len() as u64;
        let node = self.client_node(client);
        for request in requests {
            self.world.input(node, NodeInput::Client(ClientInput::Submit(Job { request, via })));
        }
        match within {
            None => self.next_step(),
            Some(within) => {
                let then = Some(operate.operation.clone());
                self.phase = Phase::Operating { jobs, deadline: self.world.now() + within, then };
            }
        }
        Ok(())
    }

    /// Holds the answer to the scenario's own operation against what the step says of it.
    pub(super) fn check_answer(&mut self) -> Result<(), Finding> {
        let Phase::Operating { then: Some(operation), .. } = &self.phase else { return Ok(()) };
        let Some(outcome) = self.own_client().and_then(|client| client.done().1) else { return Ok(()) };
        let wrong = match (operation, outcome) {
            (Operation::Get { key, answer: Some(answer) }, Outcome::Value(value)) => {
                (!answers(answer, value.as_ref()))
                    .then(|| format!("{key} is {}, expected {}", show(value.as_ref()), show_answer(answer)))
            }
            (Operation::Cas { key, succeeds: Some(expected), .. }, Outcome::Cas { succeeded, previous })
                if expected != succeeded =>
            {
                let word = if *succeeded { "succeeded" } else { "failed" };
                Some(format!("the compare-and-set of {key} {word}; it found {}", show(previous.as_ref())))
            }
            _ => None,
        };
        match wrong {
            Some(message) => Err(self.finding(Check::Expectation, message)),
            None => Ok(()),
        }
    }

    fn start_load(&mut self, load: &Load) {
        for client in 1..=u64::from(load.clients) {
            let node = self.client_node(client);
            self.world.input(node, NodeInput::Client(ClientInput::StartLoad(load.clone())));
        }
    }
}

/// What a crash takes, by the numbers of a system's databases.
fn losses<S: System>(losing: &ast::Losses) -> Losses {
    let loss = |database| match losing.of(database) {
        Lost::Word(Losing::Random) => Loss::Random,
        Lost::Word(Losing::Unsynced) => Loss::Unsynced,
        Lost::Word(Losing::Nothing) => Loss::Nothing,
        Lost::Newest(count) => Loss::Newest(count),
    };
    let databases = (0..).map(DbId).zip(S::DATABASES);
    databases.fold(Losses::default(), |losses, (db, name)| losses.with(db, loss(name)))
}

fn requests(operation: &Operation) -> Vec<Request> {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    match operation {
        Operation::Put { keys, value } => {
            keys.iter().map(|key| Request::Put { key: key.into(), value: bytes(value) }).collect()
        }
        Operation::Append { keys, value } => {
            keys.iter().map(|key| Request::Append { key: key.into(), suffix: bytes(value) }).collect()
        }
        Operation::Delete { keys } => keys.iter().map(|key| Request::Delete { key: key.into() }).collect(),
        Operation::Get { key, .. } => vec![Request::Get { key: bytes(key) }],
        Operation::Cas { key, from, to, .. } => vec![Request::CompareAndSet {
            key: bytes(key),
            expected: from.as_deref().map(bytes),
            value: bytes(to),
        }],
        Operation::Scan { range, limit } => {
            let (start, end) = match range {
                ScanRange::All => (Bytes::new(), Bytes::new()),
                ScanRange::Range { start, end } => (bytes(start), bytes(end)),
            };
            let limit = limit.map_or(0, |limit| u32::try_from(limit).unwrap_or(u32::MAX));
            vec![Request::Scan { start, end, limit }]
        }
    }
}

pub(super) fn answers(answer: &Answer, value: Option<&Bytes>) -> bool {
    match answer {
        Answer::Is(expected) => value.is_some_and(|value| value == expected.as_bytes()),
        Answer::Absent => value.is_none(),
    }
}

pub(super) fn show(value: Option<&Bytes>) -> String {
    value.map_or("absent".to_owned(), |value| format!("{:?}", String::from_utf8_lossy(value)))
}

pub(super) fn show_answer(answer: &Answer) -> String {
    match answer {
        Answer::Is(text) => format!("{text:?}"),
        Answer::Absent => "no value".to_owned(),
    }
}
