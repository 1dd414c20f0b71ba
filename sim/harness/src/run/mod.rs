//! A run: one scenario with one seed, from the first boot to the verdict.
//!
//! A run is a value. It owns its world, the place in the scenario and every random stream, so a clone of
//! it has the same future, or another one if something is changed.
//!
//! [`Run::advance`] does one thing: handle the next event, or execute the next step. Steps take no virtual
//! time; a step that waits lets events happen until its condition holds.

mod ending;
mod look;
mod operator;
mod panics;
mod steps;
mod targets;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsim_kernel::{Duration, FilterId, LinkModel, NodeId, Stream, Time, World};

use crate::check::Checks;
use crate::client::ClientNode;
use crate::node::{Node, node_of};
use crate::record::{Detail, Record};
use crate::report::{Finding, Report, StoreSummary, Verdict};
use crate::scenario::ast::{
    self, Action, Check, Condition, Endpoint, Expectation, Heal, Issuer, NetworkConfig, Operate, Operation,
    Scenario, When,
};
use crate::system::bare::BareRaft;
use crate::system::raftstore::Raftstore;
use crate::system::{FIRST_REGION, System};
use crate::watch::Watch;

pub use panics::install_panic_hook;

/// So many events without progress of virtual time are a livelock.
const LIVELOCK: u64 = 200_000;

/// How to run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Run the checks after every event. Off only to measure what they cost.
    pub checks: bool,
    /// Keep a record.
    pub record: Option<Detail>,
}

impl Default for Options {
    fn default() -> Options {
        Options { checks: true, record: None }
    }
}

/// What a run is doing.
#[derive(Clone, Debug)]
enum Phase {
    /// Nothing runs yet.
    Booting,
    /// The next step is due at this time.
    Before(Time),
    /// A step lets time pass.
    Sleeping { until: Time },
    /// A step waits until its condition holds or time is up.
    Waiting { condition: Condition, deadline: Time },
    /// A step waits for the scenario's own client.
    Operating { jobs: u64, deadline: Time, then: Option<Operation> },
    /// A step asks for a membership change, again and again.
    Changing { again: Time, deadline: Time },
    /// The steps are done and the cluster heals.
    Healing { deadline: Time, done: u64 },
    /// There is a verdict.
    Over(Verdict),
}

/// A run that is over.
#[derive(Clone, Debug)]
pub struct Finished {
    /// What it amounts to.
    pub report: Report,
    /// The record, if one was kept.
    pub record: Option<Record>,
}

/// Runs a scenario with a seed to its end, on the system that it names.
#[must_use]
pub fn run(scenario: Arc<Scenario>, seed: u64, options: Options) -> Finished {
    match scenario.system {
        ast::System::Raftstore => Run::<Raftstore>::new(scenario, seed, options).into_finished(),
        ast::System::Raft => Run::<BareRaft>::new(scenario, seed, options).into_finished(),
    }
}

/// One scenario with one seed on one system, somewhere between its start and its end.
#[derive(Clone, Debug)]
pub struct Run<S: System = Raftstore> {
    scenario: Arc<Scenario>,
    seed: u64,
    world: World<Node<S>, Watch>,
    /// Index of the next step, or of the one that waits.
    step: usize,
    phase: Phase,
    /// Stores bound by `as` and `name`.
    names: BTreeMap<String, u64>,
    filters: BTreeMap<String, FilterId>,
    /// Draws "follower" and the like.
    draws: Stream,
    /// The follower that a step drew.
    drawn: Option<(usize, u64)>,
    /// What the watch had counted when the condition was last looked at.
    looked: Option<u64>,
    /// The last time at which virtual time moved, and the events handled since.
    still: (Time, u64),
}

impl<S: System> Run<S> {
    /// Boots the cluster of a scenario with a seed.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: u64, options: Options) -> Run<S> {
        let stores = scenario.cluster.stores;
        let clients = clients_of(&scenario);
        let checks = if options.checks { checks_for(&scenario) } else { Checks::disabled() };
        let record = options.record.map(|detail| Record::new(detail, stores));
        let nodes = usize::try_from(stores).unwrap_or(usize::MAX);
        let mut world = World::new(seed, Watch::new(nodes, clients as usize, checks, record));
        for store in 1..=stores {
            let node = world.add(u8::try_from(S::DATABASES.len()).unwrap_or(u8::MAX));
            debug_assert_eq!(node, node_of(store));
            world.set_disk_model(node, raftsim_kernel::DiskModel { sync: scenario.disk.sync });
        }
        for _ in 0..clients {
            world.add(0);
        }
        let mut run = Run {
            seed,
            world,
            step: 0,
            phase: Phase::Booting,
            names: BTreeMap::new(),
            filters: BTreeMap::new(),
            draws: Stream::derive(seed, "targets"),
            drawn: None,
            looked: None,
            still: (Time::ZERO, 0),
            scenario,
        };
        run.set_network(&run.scenario.network.clone());
        run
    }

    /// Starts every store and client. Part of the run, so that what goes wrong in a first boot is a finding.
    fn boot(&mut self) -> Result<(), Finding> {
        let stores = self.scenario.cluster.stores;
        for store in 1..=stores {
            self.start_store(store);
        }
        for client in 0..clients_of(&self.scenario) {
            let node = self.client_node(client);
            let config = self.scenario.client.clone();
            let client = ClientNode::new(client, stores, config, S::session(&self.scenario), self.seed);
            self.world.start(node, Node::Client(Box::new(client)));
        }
        self.all_held()?;
        self.schedule();
        Ok(())
    }

    /// Runs to the end.
    pub fn finish(&mut self) -> Report {
        self.advance_by(u64::MAX);
        self.report()
    }

    /// Runs to the end, and keeps what is told of it.
    #[must_use]
    pub fn into_finished(mut self) -> Finished {
        let report = self.finish();
        Finished { report, record: self.world.observer_mut().take_record() }
    }

    /// Handles one event or executes one step; false when there is a verdict.
    pub fn advance(&mut self) -> bool {
        self.advance_by(1)
    }

    /// Does so many things, or fewer if there is a verdict; false when there is.
    fn advance_by(&mut self, things: u64) -> bool {
        let mut advance = || {
            for _ in 0..things {
                if self.verdict().is_some() {
                    break;
                }
                self.advance_unguarded()?;
            }
            Ok(())
        };
        let result = panics::catch(&mut advance);
        if let Err(finding) = result.unwrap_or_else(|panic| Err(self.finding(Check::Panic, panic))) {
            self.conclude(finding);
        }
        self.verdict().is_none()
    }

    fn advance_unguarded(&mut self) -> Result<(), Finding> {
        match &self.phase {
            Phase::Booting => self.boot()?,
            Phase::Before(due) => {
                let due = *due;
                if self.event_by(due)? {
                    self.execute_step()?;
                }
            }
            Phase::Sleeping { until } => {
                if self.event_by(*until)? {
                    self.next_step();
                }
            }
            Phase::Waiting { condition, deadline } => {
                let deadline = *deadline;
                let watch = self.world.observer();
                let due = match condition {
                    Condition::Acked { .. } | Condition::Load => self.is_due_for_a_look(watch.answers()),
                    // Filters act without a replica changing.
                    Condition::Acted { .. } => true,
                    _ => self.is_due_for_a_look(watch.changes()),
                };
                if due {
                    let Phase::Waiting { condition, .. } = &self.phase else { return Ok(()) };
                    let condition = condition.clone();
                    // A target that does not exist yet is one more thing to wait for.
                    if self.holds(&condition).unwrap_or(false) {
                        self.next_step();
                        return Ok(());
                    }
                }
                if self.event_by(deadline)? {
                    let Phase::Waiting { condition, .. } = &self.phase else { return Ok(()) };
                    let message = self.unmet(condition);
                    return Err(self.finding(Check::Wait, message));
                }
            }
            Phase::Operating { jobs, deadline, .. } => {
                let (jobs, deadline) = (*jobs, *deadline);
                if self.own_client().is_some_and(|client| client.done().0 >= jobs) {
                    self.check_answer()?;
                    self.next_step();
                } else if self.event_by(deadline)? {
                    return Err(
                        self.finding(Check::Wait, "the operation was not answered in time".to_owned())
                    );
                }
            }
            Phase::Changing { again, deadline } => {
                let (again, deadline) = (*again, *deadline);
                if self.event_by(again)? {
                    self.change_members(Some(deadline))?;
                }
            }
            Phase::Healing { deadline, done } => {
                let (deadline, before) = (*deadline, *done);
                let watch = self.world.observer();
                if self.is_due_for_a_look(watch.changes() + watch.answers()) {
                    if self.unhealed().is_none() {
                        return self.closing_checks();
                    }
                    // The clock is for a cluster that gets nowhere, not for one that has much to do.
                    let done = self.jobs_done();
                    if done != before {
                        let deadline = self.world.now() + recovery_bound(&self.scenario);
                        self.phase = Phase::Healing { deadline, done };
                    }
                }
                if self.event_by(deadline)? {
                    let why = self.unhealed().unwrap_or_default();
                    let message = format!("the cluster did not recover after all faults ended: {why}");
                    return Err(self.finding(Check::Liveness, message));
                }
            }
            Phase::Over(_) => {}
        }
        Ok(())
    }

    /// Handles the next event if it is due by `time`. Otherwise lets time pass until then and returns true.
    fn event_by(&mut self, time: Time) -> Result<bool, Finding> {
        if self.world.next_time().is_none_or(|next| next > time) {
            self.world.advance_to(time);
            return Ok(true);
        }
        self.world.step();
        self.all_held()?;
        self.within_limits()?;
        Ok(false)
    }

    /// No check has seen a violation.
    fn all_held(&self) -> Result<(), Finding> {
        match self.world.observer().violation() {
            Some(violation) => Err(Finding::from_violation(violation.clone(), self.line())),
            None => Ok(()),
        }
    }

    fn jobs_done(&self) -> u64 {
        self.clients().map(|client| client.done().0).sum()
    }

    fn within_limits(&mut self) -> Result<(), Finding> {
        let (now, events) = (self.world.now(), self.world.events());
        if now != self.still.0 {
            self.still = (now, events);
        } else if events - self.still.1 > LIVELOCK {
            let message = format!("{LIVELOCK} events happened while virtual time stood still");
            return Err(self.finding(Check::Livelock, message));
        }
        let limits = &self.scenario.limits;
        if events > limits.events {
            return Err(self.finding(Check::Limit, format!("more than {} events", limits.events)));
        }
        if now.since(Time::ZERO) > limits.time {
            return Err(self.finding(Check::Limit, format!("more than {} of virtual time", limits.time)));
        }
        Ok(())
    }

    /// Whether the count of what a condition depends on has moved since it was last looked at.
    fn is_due_for_a_look(&mut self, count: u64) -> bool {
        self.looked.replace(count) != Some(count)
    }

    /// The step is done.
    fn next_step(&mut self) {
        self.step += 1;
        self.schedule();
    }

    /// Finds out when the next step is due, or begins the ending.
    fn schedule(&mut self) {
        self.looked = None;
        let now = self.world.now();
        match self.scenario.steps.get(self.step).map(|step| (step.when, &step.action)) {
            Some((When::Now, Action::Expect(Expectation::Violation { .. }))) | None => self.begin_ending(),
            Some((When::Now, _)) => self.phase = Phase::Before(now),
            Some((When::At(time), _)) => self.phase = Phase::Before(time.max(now)),
            Some((When::After(span), _)) => self.phase = Phase::Before(now + span),
        }
    }

    /// Takes a finding for the verdict, unless it is the one that the scenario expects.
    fn conclude(&mut self, finding: Finding) {
        let expected = self.expected_violation();
        let text = format!("{}: {}", finding.check, finding.message);
        self.note(text);
        self.phase = Phase::Over(match expected {
            Some(check) if check == finding.check => Verdict::Clean,
            _ => Verdict::Finding(finding),
        });
    }

    /// The run is over without a finding.
    fn conclude_clean(&mut self) {
        let Some(check) = self.expected_violation() else {
            self.phase = Phase::Over(Verdict::Clean);
            return;
        };
        let message = format!("expected a violation of {check}, and there was none");
        let finding = self.finding(Check::Expectation, message);
        self.phase = Phase::Over(Verdict::Finding(finding));
    }

    fn expected_violation(&self) -> Option<Check> {
        match self.scenario.steps.last().map(|step| &step.action) {
            Some(Action::Expect(Expectation::Violation { of })) => Some(*of),
            _ => None,
        }
    }

    fn finding(&self, check: Check, message: String) -> Finding {
        Finding { check, time: self.world.now(), store: None, region: None, message, line: self.line() }
    }

    fn line(&self) -> u32 {
        self.scenario.steps.get(self.step).map_or(0, |step| step.line)
    }

    fn note(&mut self, text: String) {
        let now = self.world.now();
        if let Some(record) = self.world.observer_mut().record_mut() {
            record.step(now, text);
        }
    }

    fn start_store(&mut self, store: u64) {
        self.world.start(node_of(store), Node::store(S::new(&self.scenario, store)));
    }

    /// Links between stores behave as the file says. Clients' connections deliver at most once and in
    /// order, as streams do, so nothing on them is doubled or overtakes.
    fn set_network(&mut self, config: &NetworkConfig) {
        let stores = self.scenario.cluster.stores;
        let model = LinkModel {
            latency: config.latency,
            loss: config.loss,
            duplicate: config.duplicate,
            reorder: config.reorder,
        };
        self.world.network_mut().reset_models();
        self.world.network_mut().set_default(client_link(model));
        for from in 1..=stores {
            for to in 1..=stores {
                self.world.network_mut().set_model(node_of(from), node_of(to), model);
            }
        }
    }

    fn client_node(&self, client: u64) -> NodeId {
        node_of(self.scenario.cluster.stores + 1 + client)
    }

    fn own_client(&self) -> Option<&ClientNode<S::Session>> {
        self.client(0)
    }

    fn client(&self, client: u64) -> Option<&ClientNode<S::Session>> {
        self.world.process(self.client_node(client)).and_then(Node::as_client)
    }

    fn clients(&self) -> impl Iterator<Item = &ClientNode<S::Session>> {
        (0..clients_of(&self.scenario)).filter_map(|client| self.client(client))
    }

    /// The world, to look at.
    #[must_use]
    pub fn world(&self) -> &World<Node<S>, Watch> {
        &self.world
    }

    /// The scenario.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The verdict, once there is one.
    #[must_use]
    pub fn verdict(&self) -> Option<&Verdict> {
        match &self.phase {
            Phase::Over(verdict) => Some(verdict),
            _ => None,
        }
    }

    /// What the run amounts to so far.
    #[must_use]
    pub fn report(&self) -> Report {
        let unfinished = || Verdict::Unknown("the run is not over".to_owned());
        Report {
            seed: self.seed,
            verdict: self.verdict().cloned().unwrap_or_else(unfinished),
            time: self.world.now().since(Time::ZERO),
            events: self.world.events(),
            counters: self.world.observer().counters(),
            trace_hash: self.world.trace_hash(),
            stores: (1..=self.scenario.cluster.stores).map(|store| self.summary(store)).collect(),
        }
    }

    fn summary(&self, store: u64) -> StoreSummary {
        let system = self.world.process(node_of(store)).and_then(Node::as_store).map(|node| &node.system);
        let state = system.and_then(|system| system.replica(FIRST_REGION)).map(|view| view.state);
        let store_of = |replica| system.and_then(|system| system.store_of(FIRST_REGION, replica));
        StoreSummary {
            store,
            state,
            vote: state.and_then(|state| store_of(state.vote)),
            failure: system.and_then(S::failure),
        }
    }
}

fn client_link(model: LinkModel) -> LinkModel {
    LinkModel { duplicate: raftsim_kernel::Ppm::ZERO, reorder: raftsim_kernel::Ppm::ZERO, ..model }
}

/// All checks, but for what the scenario does without.
fn checks_for(scenario: &Scenario) -> Checks {
    let checks = Checks::default();
    // Where changes are judged when they are applied, leaders append them whenever they are asked.
    if scenario.raft.validate_conf_changes { checks } else { checks.without(Check::ConfChange) }
}

/// The scenario's own client, and as many more as its steps name.
fn clients_of(scenario: &Scenario) -> u64 {
    1 + scenario.steps.iter().map(|step| highest_client(&step.action)).max().unwrap_or(0)
}

/// The highest number of a client that a step names; 0 for none.
fn highest_client(action: &Action) -> u64 {
    let named = |ends: &[Endpoint]| {
        let clients = ends.iter().map(|end| match end {
            Endpoint::Client(client) => u64::from(*client),
            Endpoint::Stores(_) | Endpoint::Clients => 0,
        });
        clients.max().unwrap_or(0)
    };
    let both = |from: &Option<Vec<Endpoint>>, to: &Option<Vec<Endpoint>>| {
        named(from.as_deref().unwrap_or_default()).max(named(to.as_deref().unwrap_or_default()))
    };
    match action {
        Action::Operate(Operate { issuer: Issuer::Client(client), .. }) => u64::from(*client),
        Action::Load(load) => u64::from(load.clients),
        Action::Partition { groups, .. } => groups.iter().map(|group| named(group)).max().unwrap_or(0),
        Action::Cut { from, to } | Action::Heal(Heal::Between { from, to }) => named(from).max(named(to)),
        Action::Heal(Heal::Of(ends)) => named(ends),
        Action::Network(change) => both(&change.from, &change.to),
        Action::Filter(filter) => both(&filter.from, &filter.to),
        _ => 0,
    }
}

/// How long the cluster may take to recover once all faults have ended: 40 election timeouts at their
/// longest, since a round in which votes split is followed by another one and each succeeds more often
/// than not, and ten rounds of every client's patience.
fn recovery_bound(scenario: &Scenario) -> Duration {
    let election = scenario.raft.tick * u64::from(scenario.raft.election_ticks) * 2;
    election * 40 + crate::client::patience(&scenario.client) * 10
}
