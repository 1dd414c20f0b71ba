//! Executing steps.

use bytes::Bytes;
use raftsim_kernel::{Filter as KernelFilter, FilterAction, FilterId, LinkModel, Loss, NodeId};

use super::{Phase, Run, client_link};
use crate::client::{ClientInput, Job};
use crate::history::{Outcome, Request};
use crate::message::{REQUEST_BIT, kind_bits};
use crate::node::{NodeInput, node_of};
use crate::report::Finding;
use crate::scenario::ast::{
    Action, Answer, Check, Effect, Endpoint, Filter, FilterRef, Heal, Issuer, Load, Losing, NetworkChange,
    Operate, Operation, ScanRange, Step, Target,
};
use crate::system::{Operator, System};

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
                self.phase =
                    Phase::Waiting { condition: condition.clone(), deadline: self.world.now() + *within };
                return Ok(());
            }
            Action::Operate(operate) => return self.operate(operate),
            Action::Load(load) => self.start_load(load),
            Action::Crash { targets, losing, name } => {
                let stores = self.stores(targets)?;
                self.bind(name.as_ref(), &stores);
                stores.iter().for_each(|store| self.world.crash(node_of(*store), loss(*losing)));
            }
            Action::Restart { targets } => {
                for store in self.stores(targets)? {
                    self.world.crash(node_of(store), Loss::Nothing);
                    self.start_store(store);
                }
            }
            Action::Partition { groups, name } => self.partition(groups, name.as_ref())?,
            Action::Isolate { targets, clients, name } => self.isolate(targets, *clients, name.as_ref())?,
            Action::Cut { from, to } => self.set_cut(from, to, true)?,
            Action::Heal(heal) => self.heal(heal)?,
            Action::Network(change) => self.change_network(change)?,
            Action::Filter(filter) => self.add_filter(filter)?,
            Action::Release(which) | Action::Clear(which) => self.remove_filter(which),
            Action::Campaign { target, name } => {
                let store = self.store(target)?;
                self.bind(name.as_ref(), &[store]);
                self.command(store, Operator::Campaign)?;
            }
            Action::Transfer { target, via, name } => {
                let store = self.store(target)?;
                self.bind(name.as_ref(), &[store]);
                self.transfer(store, via.as_ref())?;
            }
            Action::Change { .. } => return self.change_members(None),
            Action::ForgetLeader { targets } => self.forget_leader(targets)?,
            Action::RequestSnapshot { target } => {
                let store = self.store(target)?;
                self.command(store, Operator::RequestSnapshot)?;
            }
            Action::Compact { targets } => {
                for store in self.stores(targets)? {
                    self.command(store, Operator::Compact)?;
                }
            }
            Action::Clock { targets, drift } => {
                for store in self.stores(targets)? {
                    self.world.set_drift(node_of(store), *drift);
                }
            }
            Action::Name { target, name } => {
                let store = self.store(target)?;
                self.bind(Some(name), &[store]);
            }
            Action::Expect(expectation) => self.expect(expectation)?,
        }
        // What a step did to the stores belongs to its line.
        self.all_held()?;
        self.next_step();
        Ok(())
    }

    fn bind(&mut self, name: Option<&String>, stores: &[u64]) {
        if let (Some(name), [store, ..]) = (name, stores) {
            self.names.insert(name.clone(), *store);
            self.note(format!("{name} is store {store}"));
        }
    }

    fn operate(&mut self, operate: &Operate) -> Result<(), Finding> {
        let via = operate.via.as_ref().map(|target| self.store(target)).transpose()?;
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

    fn partition(&mut self, groups: &[Vec<Endpoint>], name: Option<&String>) -> Result<(), Finding> {
        let groups = self.groups(groups)?;
        let stores = self.scenario.cluster.stores;
        let unnamed: Vec<NodeId> = (1..=stores)
            .map(node_of)
            .filter(|store| !groups.iter().any(|group| group.contains(store)))
            .collect();
        let all: Vec<&[NodeId]> = groups.iter().map(Vec::as_slice).chain([unnamed.as_slice()]).collect();
        // A partition says who reaches whom, whatever was cut before; a client that no group names reaches
        // everybody.
        self.world.network_mut().mend_all();
        self.world.network_mut().partition(&all);
        let named: Vec<u64> = groups.iter().flatten().map(|node| u64::from(node.0) + 1).collect();
        self.bind(name, &named);
        Ok(())
    }

    fn isolate(&mut self, targets: &[Target], clients: bool, name: Option<&String>) -> Result<(), Finding> {
        let isolated = self.stores(targets)?;
        self.bind(name, &isolated);
        let stores = self.scenario.cluster.stores;
        for node in self.nodes(None)? {
            if u64::from(node.0) >= stores && !clients {
                continue;
            }
            for store in isolated.iter().map(|store| node_of(*store)).filter(|store| *store != node) {
                self.world.network_mut().set_cut(node, store, true);
                self.world.network_mut().set_cut(store, node, true);
            }
        }
        Ok(())
    }

    fn set_cut(&mut self, from: &[Endpoint], to: &[Endpoint], cut: bool) -> Result<(), Finding> {
        let (from, to) = self.ends(Some(from), Some(to))?;
        for from in from {
            for to in to.iter().filter(|to| **to != from) {
                self.world.network_mut().set_cut(from, *to, cut);
            }
        }
        Ok(())
    }

    /// Both ends of a step with `from` and `to`; "others" at one end are the stores that the other end does
    /// not name.
    fn ends(
        &mut self,
        from: Option<&[Endpoint]>,
        to: Option<&[Endpoint]>,
    ) -> Result<(Vec<NodeId>, Vec<NodeId>), Finding> {
        let is_others = |end: &&Endpoint| **end == Endpoint::Stores(Target::Others);
        // Without "others", which is resolved against the other end.
        let mut known = |ends: Option<&[Endpoint]>| {
            let known: Option<Vec<Endpoint>> =
                ends.map(|ends| ends.iter().filter(|end| !is_others(end)).cloned().collect());
            self.nodes(known.as_deref())
        };
        let (mut senders, mut receivers) = (known(from)?, known(to)?);
        let stores = (1..=self.scenario.cluster.stores).map(node_of);
        let has_others =
            |ends: Option<&[Endpoint]>| ends.is_some_and(|ends| ends.iter().any(|end| is_others(&end)));
        match (has_others(from), has_others(to)) {
            (true, _) => senders.extend(stores.filter(|store| !receivers.contains(store))),
            (_, true) => receivers.extend(stores.filter(|store| !senders.contains(store))),
            _ => {}
        }
        Ok((senders, receivers))
    }

    fn heal(&mut self, heal: &Heal) -> Result<(), Finding> {
        match heal {
            Heal::All => self.world.network_mut().mend_all(),
            Heal::Of(endpoints) => {
                let healed = self.nodes(Some(endpoints))?;
                for node in self.nodes(None)? {
                    for end in &healed {
                        self.world.network_mut().set_cut(node, *end, false);
                        self.world.network_mut().set_cut(*end, node, false);
                    }
                }
            }
            Heal::Between { from, to } => self.set_cut(from, to, false)?,
        }
        Ok(())
    }

    fn change_network(&mut self, change: &NetworkChange) -> Result<(), Finding> {
        let (from, to) = self.ends(change.from.as_deref(), change.to.as_deref())?;
        let stores = self.scenario.cluster.stores;
        for from in from {
            for to in to.iter().filter(|to| **to != from) {
                let old = self.world.network().model(from, *to);
                let model = LinkModel {
                    latency: change.latency.unwrap_or(old.latency),
                    loss: change.loss.unwrap_or(old.loss),
                    duplicate: change.duplicate.unwrap_or(old.duplicate),
                    reorder: change.reorder.unwrap_or(old.reorder),
                };
                let between_stores = u64::from(from.0.max(to.0)) < stores;
                let model = if between_stores { model } else { client_link(model) };
                self.world.network_mut().set_model(from, *to, model);
            }
        }
        Ok(())
    }

    fn add_filter(&mut self, filter: &Filter) -> Result<(), Finding> {
        let (from, to) = self.ends(filter.from.as_deref(), filter.to.as_deref())?;
        let kinds = filter.messages.iter().fold(0, |bits, kind| bits | kind_bits(*kind));
        let (action, kinds) = match filter.effect {
            Effect::Drop => (FilterAction::Drop, kinds),
            Effect::Delay { by } => (FilterAction::Delay(by), kinds),
            Effect::Hold => (FilterAction::Hold, kinds),
            Effect::Duplicate { times } => (FilterAction::Duplicate(times), kinds & !REQUEST_BIT),
        };
        // To the kernel an empty list is any machine; here it is none.
        let kinds = if from.is_empty() || to.is_empty() { 0 } else { kinds };
        let id = self.world.add_filter(KernelFilter {
            action,
            kinds,
            from,
            to,
            skip: filter.skip,
            count: filter.count,
        });
        if let Some(name) = &filter.name {
            self.filters.insert(name.clone(), id);
        }
        Ok(())
    }

    fn remove_filter(&mut self, which: &FilterRef) {
        let id: Option<FilterId> = match which {
            FilterRef::All => None,
            // The parser has seen to it that the name is known.
            FilterRef::Named(name) => match self.filters.get(name) {
                Some(id) => Some(*id),
                None => return,
            },
        };
        self.world.remove_filter(id);
    }
}

fn loss(losing: Losing) -> Loss {
    match losing {
        Losing::Random => Loss::Random,
        Losing::Unsynced => Loss::Unsynced,
        Losing::Nothing => Loss::Nothing,
    }
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
