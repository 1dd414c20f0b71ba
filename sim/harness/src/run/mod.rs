//! A run: one scenario with one seed, from the first boot to the verdict.
//!
//! A run is a value. It owns its world, the place in the scenario and every random stream, so a clone of
//! it has the same future, or another one if something is changed.
//!
//! [`Run::advance`] does one thing: handle the next event, or execute the next step. Steps take no virtual
//! time; a step that waits lets events happen until its condition holds.

mod advance;
mod budget;
mod core;
mod disks;
mod ending;
mod equal;
mod freeze;
mod links;
mod look;
mod machines;
mod operator;
mod panics;
mod reach;
mod regions;
mod rest;
mod steps;
mod targets;
mod triage;
pub mod verify;

use std::collections::BTreeMap;
use std::sync::Arc;

use raftsim_kernel::{FilterId, LinkModel, NodeId, Stream, Time, World};

use crate::check::Checks;
use crate::client::ClientNode;
use crate::history::History;
use crate::linearizability::Decided;
use crate::node::{Node, node_of};
use crate::record::{Detail, Record};
use crate::report::{Finding, Report, StoreSummary, Verdict};
use crate::scenario::ast::{
    self, Action, Check, Condition, Endpoint, Issuer, Links, NetworkConfig, Operate, Operation, Scenario,
    Storm,
};
use crate::system::bare::BareRaft;
use crate::system::raftstore::Raftstore;
use crate::system::{FIRST_REGION, Placement, System};
use crate::watch::Watch;

use disks::{bound, disk_model};
use machines::{Gust, Standing};
pub use panics::install_panic_hook;
pub use triage::{Stall, Why};

/// The first id that operators give a new replica or region. Greater than those that a cluster starts with.
const FIRST_ID: u64 = 1_000;

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
    /// A step waits until its condition holds or time is up. `base` is how many records the store had written when the wait
    /// began, where it is for those.
    Waiting { condition: Condition, deadline: Time, base: u64 },
    /// A step waits for the scenario's own client.
    Operating { jobs: u64, deadline: Time, then: Option<Operation> },
    /// Stores crash and start again and again.
    Storm { gusts: Vec<Gust>, storm: Storm },
    /// An operator asks again and again: for a membership change, or for the split at the key of this place in the step.
    Insisting { place: usize, again: Time, deadline: Time },
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
    /// What clients called and were told.
    pub history: History,
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
    /// Draws the spans of storms.
    storms: Stream,
    /// What each store's machine keeps from one life to the next.
    standings: Vec<Standing>,
    /// The greatest id that the placement driver had given out when it went down last.
    known_ids: u64,
    /// How many steps the budget withheld.
    withheld: u64,
    /// The step that drew followers last, and the one that it drew of each region.
    drawn: (usize, Vec<(u64, u64)>),
    /// The next id for what operators create, where no placement driver gives out ids.
    next_id: u64,
    /// What the watch had counted when the condition was last looked at.
    looked: Option<u64>,
    /// The region in which a condition on all of them did not hold when it was last looked at: the first to look at.
    obstacle: Option<u64>,
    /// The last time at which virtual time moved, and the events handled since.
    still: (Time, u64),
    /// How the keys of the history were decided.
    decided: Decided,
    /// The core that the ending has made healthy, if it froze the rest.
    frozen: Option<freeze::Frozen>,
    /// Why what is left need not come to rest, once that is found out.
    stalled: Option<Stall>,
    /// The stores that the ending started again because they had stopped, once each time.
    revived: Vec<u64>,
}

impl<S: System> Run<S> {
    /// Boots the cluster of a scenario with a seed.
    #[must_use]
    pub fn new(scenario: Arc<Scenario>, seed: u64, options: Options) -> Run<S> {
        let stores = scenario.cluster.stores;
        let clients = clients_of(&scenario);
        let checks = if options.checks { checks_for(&scenario) } else { Checks::disabled() };
        let record = options.record.map(|detail| Record::new(detail, stores, clients));
        let nodes = usize::try_from(stores).unwrap_or(usize::MAX);
        let mut watch = Watch::new(nodes, clients as usize, checks, record);
        if scenario.steps.iter().any(|step| waits_for_records(&step.action)) {
            watch.count_records();
        }
        let mut world = World::new(seed, watch);
        let disk = disk_model(&scenario.disk);
        for store in 1..=stores {
            let node = world.add(u8::try_from(S::DATABASES.len()).unwrap_or(u8::MAX));
            debug_assert_eq!(node, node_of(store));
            world.set_disk_model(node, disk);
            S::TORN.iter().for_each(|db| world.set_torn(node, *db, true));
        }
        for _ in 0..clients {
            world.add(0);
        }
        if S::Placement::new(&scenario).is_some() {
            let node = world.add(1);
            world.set_disk_model(node, disk);
        }
        let mut run = Run {
            seed,
            world,
            step: 0,
            phase: Phase::Booting,
            names: BTreeMap::new(),
            filters: BTreeMap::new(),
            draws: Stream::derive(seed, "targets"),
            storms: Stream::derive(seed, "storms"),
            standings: vec![Standing::default(); nodes],
            known_ids: 0,
            withheld: 0,
            drawn: (0, Vec::new()),
            next_id: FIRST_ID,
            looked: None,
            obstacle: None,
            still: (Time::ZERO, 0),
            decided: Decided::default(),
            frozen: None,
            stalled: None,
            revived: Vec::new(),
            scenario,
        };
        run.set_network(&run.scenario.network.clone());
        run.set_machines();
        run
    }

    /// Starts every machine. Part of the run, so that what goes wrong in a first boot is a finding.
    fn boot(&mut self) -> Result<(), Finding> {
        let stores = self.scenario.cluster.stores;
        self.start_placement();
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
        let watch = self.world.observer_mut();
        Finished { report, record: watch.take_record(), history: watch.take_history() }
    }

    /// Links between stores behave as the file says. Connections of clients and of the placement driver deliver at most once and in
    /// order, as streams do, so nothing on them is doubled or overtakes.
    fn set_network(&mut self, config: &NetworkConfig) {
        let stores = self.scenario.cluster.stores;
        let model = LinkModel {
            latency: config.latency,
            loss: config.loss,
            duplicate: config.duplicate,
            reorder: config.reorder,
            corrupt: config.corrupt,
            bytes_per_second: bound(config.bandwidth),
            queue: bound(config.queue),
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

    /// The machine of the placement driver: the last one.
    fn placement_node(&self) -> Option<NodeId> {
        let node = self.client_node(clients_of(&self.scenario));
        self.scenario.placement.is_some().then_some(node)
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
        let verdict = self.verdict().cloned().unwrap_or_else(unfinished);
        let region = match &verdict {
            Verdict::Finding(finding) => finding.region.unwrap_or(FIRST_REGION),
            _ => FIRST_REGION,
        };
        Report {
            seed: self.seed,
            time: self.world.now().since(Time::ZERO),
            events: self.world.events(),
            counters: self.world.observer().counters(),
            trace_hash: self.world.trace_hash(),
            reach: self.reach(),
            withheld: self.withheld,
            stalled: self.stalled.clone(),
            regions: self.regions().len(),
            region,
            decided: self.decided,
            stores: (1..=self.scenario.cluster.stores).map(|store| self.summary(store, region)).collect(),
            verdict,
        }
    }

    fn summary(&self, store: u64, region: u64) -> StoreSummary {
        let system = self.world.process(node_of(store)).and_then(Node::as_store).map(|node| &node.system);
        let state = system.and_then(|system| system.replica(region)).map(|view| view.state);
        let store_of = |replica| system.and_then(|system| system.store_of(region, replica));
        StoreSummary {
            store,
            up: system.is_some(),
            state,
            vote: state.and_then(|state| store_of(state.vote)),
            failure: system.and_then(S::failure),
        }
    }
}

fn client_link(model: LinkModel) -> LinkModel {
    LinkModel { duplicate: raftsim_kernel::Ppm::ZERO, reorder: raftsim_kernel::Ppm::ZERO, ..model }
}

fn waits_for_records(action: &Action) -> bool {
    matches!(action, Action::Wait { condition: Condition::Wrote { .. }, .. })
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
            Endpoint::Stores(_) | Endpoint::Clients | Endpoint::Placement => 0,
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
        Action::Cut { from, to }
        | Action::Heal(Links::Between { from, to })
        | Action::Clog(Links::Between { from, to })
        | Action::Unclog(Links::Between { from, to }) => named(from).max(named(to)),
        Action::Heal(Links::Of(ends)) | Action::Clog(Links::Of(ends)) | Action::Unclog(Links::Of(ends)) => {
            named(ends)
        }
        Action::Network(change) => both(&change.from, &change.to),
        Action::Filter(filter) => both(&filter.from, &filter.to),
        _ => 0,
    }
}
