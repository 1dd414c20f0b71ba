//! Executing steps.

use bytes::Bytes;

use super::{Phase, Run};
use crate::client::{ClientInput, Job};
use crate::history::{Outcome, Request};
use crate::node::NodeInput;
use crate::report::Finding;
use crate::scenario::ast::{Action, Answer, Check, Issuer, Load, Operate, Operation, ScanRange, Step};
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
        let began = self.begin_step(&step.action);
        // What a step did to the stores belongs to its line.
        self.all_held()?;
        if let Err(finding) = began {
            return self.come_to_nothing(finding);
        }
        if matches!(self.phase, Phase::Before(_)) && !takes_time(&step.action) {
            self.next_step();
        }
        Ok(())
    }

    /// Nothing comes of the step under way. That is no finding where the step says so; an assertion never does.
    pub(super) fn come_to_nothing(&mut self, finding: Finding) -> Result<(), Finding> {
        let step = self.scenario.steps.get(self.step);
        let lenient = step.is_some_and(|step| step.lenient && !matches!(step.action, Action::Expect(_)));
        if !lenient || !matches!(finding.check, Check::Expectation | Check::Wait) {
            return Err(finding);
        }
        self.note(format!("nothing: {}", finding.message));
        self.next_step();
        Ok(())
    }

    /// Does what a step does at once; of one that takes time, what begins it.
    fn begin_step(&mut self, action: &Action) -> Result<(), Finding> {
        match action {
            Action::Sleep(span) => self.phase = Phase::Sleeping { until: self.world.now() + *span },
            Action::Wait { condition, within } => {
                self.looked = None;
                self.obstacle = None;
                let (condition, base) = self.begin_wait(condition)?;
                self.phase = Phase::Waiting { condition, deadline: self.world.now() + *within, base };
            }
            Action::Operate(operate) => self.operate(operate)?,
            Action::Change { .. } | Action::Split { .. } => self.insist(0, None)?,
            Action::Storm(storm) => self.begin_storm(storm.clone())?,
            Action::Load(load) => self.start_load(load),
            Action::Crash { .. }
            | Action::Restart { .. }
            | Action::CrashPlacement
            | Action::RestartPlacement
            | Action::Pause { .. }
            | Action::Resume { .. }
            | Action::Clock { .. }
            | Action::Slow { .. }
            | Action::Wipe { .. } => self.disturb(action)?,
            Action::Disk(_) | Action::HealDisk { .. } | Action::Fail { .. } | Action::Rot { .. } => {
                self.disturb_disks(action)?;
            }
            Action::Partition { groups, name } => self.partition(groups, name.as_ref())?,
            Action::Isolate { targets, clients, name } => self.isolate(targets, *clients, name.as_ref())?,
            Action::IsolatePlacement => self.isolate_placement(),
            Action::Cut { from, to } => self.set_cut(from, to, true)?,
            Action::Heal(heal) => self.heal(heal)?,
            Action::Clog(links) => self.set_clogged(links, true)?,
            Action::Unclog(links) => self.set_clogged(links, false)?,
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
        if let Some(within) = within {
            let then = Some(operate.operation.clone());
            self.phase = Phase::Operating { jobs, deadline: self.world.now() + within, then };
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

/// Whether a step says itself when it is over.
fn takes_time(action: &Action) -> bool {
    matches!(action, Action::Change { .. } | Action::Split { .. })
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
