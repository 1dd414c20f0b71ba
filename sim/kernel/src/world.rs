//! A world: every machine, the network between them, true time, and the loop that makes things happen.
//!
//! [`World::step`] takes the next event and gives it to its process; what the process asked for becomes
//! further events. An [`Observer`] sees each event with its effects before anything else happens: checks,
//! traces and statistics are observers, and cost nothing where there are none.
//!
//! A machine can crash ([`World::crash`]), which ends all that was to happen to it. It can be paused ([`World::pause`]), or
//! slow ([`World::set_slowness`]), or have a slow disk ([`World::set_disk_model`]), all of which put off what is to happen.
//! Its clock can drift and jump ([`World::set_drift`], [`World::jump_clock`]), its disk fail in many ways ([`crate::disk`]),
//! and links do to messages what [`crate::network`] says. What is off costs nothing and draws nothing.

mod deliver;
mod effects;
mod faults;
mod observe;
mod pause;

use std::collections::VecDeque;
use std::hash::Hash;

pub use faults::Faults;
pub use observe::{Cause, Fate, Happened, Observer};

use crate::clock::Clock;
use crate::disk::{DbId, Disk, Losses, SyncEnd};
use crate::filter::{Filter, FilterId};
use crate::latency::Latency;
use crate::network::Network;
use crate::process::{Context, Effects, NodeId, Process};
use crate::queue::Queue;
use crate::random::Stream;
use crate::time::Time;
use crate::trace::TraceHasher;

#[derive(Clone, Debug)]
enum Event<M> {
    Deliver {
        from: NodeId,
        to: NodeId,
        message: M,
    },
    /// Bits of it were flipped on its way.
    DeliverDamaged {
        from: NodeId,
        to: NodeId,
        damaged: Box<(M, u64)>,
    },
    /// A filter's delay is over.
    Route {
        from: NodeId,
        to: NodeId,
        message: M,
    },
    Timer {
        node: NodeId,
        incarnation: u32,
        token: u64,
    },
    Synced {
        node: NodeId,
        incarnation: u32,
        db: DbId,
    },
    Task {
        node: NodeId,
        incarnation: u32,
        token: u64,
    },
    /// A machine that stood still may go on with the first of what waited.
    Ready {
        node: NodeId,
        incarnation: u32,
    },
    /// The first of what waited on a clogged link may go on.
    Unclogged {
        from: NodeId,
        to: NodeId,
    },
}

#[derive(Clone, Debug)]
struct Node<P: Process> {
    /// `None` while the machine is down.
    process: Option<P>,
    /// Counts crashes; timers, syncs and tasks of an earlier life are void.
    incarnation: u32,
    paused: bool,
    /// It has yet to finish what it did last.
    busy: bool,
    /// When it has.
    busy_until: Time,
    /// What was due while it stood still and has not happened yet, in the order in which it was due.
    waiting: VecDeque<Event<P::Message>>,
    /// How long each event keeps it busy.
    slowness: Latency,
    /// Of slowness.
    pace: Stream,
    /// Whether events keep it busy at all: by its slowness, or by its disk's.
    occupied: bool,
    disk: Disk,
    /// Syncs and tasks that are due on a disk that is stalled.
    stalled: Vec<Event<P::Message>>,
    clock: Clock,
}

/// The whole simulation as one value.
#[derive(Clone, Debug)]
pub struct World<P: Process, O> {
    now: Time,
    seed: u64,
    queue: Queue<Event<P::Message>>,
    nodes: Vec<Node<P>>,
    /// How many pauses and busy spans there are.
    standing: u32,
    network: Network<P::Message>,
    ties: Stream,
    effects: Effects<P::Message>,
    hash: TraceHasher,
    events: u64,
    observer: O,
}

impl<P: Process, O: Observer<P>> World<P, O> {
    /// An empty world. The seed decides everything that chance decides.
    #[must_use]
    pub fn new(seed: u64, observer: O) -> World<P, O> {
        World {
            now: Time::ZERO,
            seed,
            queue: Queue::new(),
            nodes: Vec::new(),
            standing: 0,
            network: Network::new(seed),
            ties: Stream::derive(seed, "ties"),
            effects: Effects::new(),
            hash: TraceHasher::default(),
            events: 0,
            observer,
        }
    }

    /// Adds a machine with an empty disk of so many databases. It is down until started.
    pub fn add(&mut self, databases: u8) -> NodeId {
        let id = NodeId(u32::try_from(self.nodes.len()).unwrap_or(u32::MAX));
        let stream = |what: &str| Stream::derive(self.seed, &format!("{what} of {}", id.0));
        self.nodes.push(Node {
            process: None,
            incarnation: 0,
            paused: false,
            busy: false,
            busy_until: Time::ZERO,
            waiting: VecDeque::new(),
            slowness: Latency::ZERO,
            pace: stream("pace"),
            occupied: false,
            disk: Disk::new(databases, stream),
            stalled: Vec::new(),
            clock: Clock::default(),
        });
        self.network.add_node();
        id
    }

    /// Boots a machine that is down.
    ///
    /// # Panics
    /// Where it is up already.
    pub fn start(&mut self, node: NodeId, process: P) {
        let machine = &mut self.nodes[node.0 as usize];
        assert!(machine.process.is_none(), "machine {} is up already", node.0);
        machine.process = Some(process);
        self.begin(node, 1);
        self.observer.happening(self.now, node, &Cause::Start);
        self.run(node, |process, cx| process.on_start(cx));
    }

    /// Stops a machine at once: its process, its timers, its syncs and its tasks are gone, and the disk forgets. What
    /// is on its way to it arrives if it is up again by then; what arrived in a pause is lost. Does nothing where it is
    /// down.
    pub fn crash(&mut self, node: NodeId, losses: impl Into<Losses>) {
        let machine = &mut self.nodes[node.0 as usize];
        if machine.process.take().is_none() {
            return;
        }
        let losses = losses.into();
        machine.incarnation += 1;
        self.begin(node, 6);
        self.observer.happening(self.now, node, &Cause::Crash { losses: &losses });
        let machine = &mut self.nodes[node.0 as usize];
        machine.stalled.clear();
        machine.disk.crash(&losses);
        machine.disk.digest_crash(&losses, &mut self.hash);
        let what = Happened { time: self.now, node, process: None, disk: &machine.disk, sent: &[] };
        self.observer.happened(&what);
        self.end_pause(node);
    }

    /// Tells a process something from outside, now, also where its machine is busy. Returns false where it is down or paused.
    pub fn input(&mut self, node: NodeId, input: P::Input) -> bool {
        let listens = self.is_up(node) && !self.is_paused(node);
        if listens {
            self.begin(node, 5);
            input.hash(&mut self.hash);
            self.observer.happening(self.now, node, &Cause::Input(&input));
            self.run(node, |process, cx| process.on_input(input, cx));
        }
        listens
    }

    /// Handles the next event; false where there is none.
    pub fn step(&mut self) -> bool {
        let Some((time, event)) = self.queue.pop() else { return false };
        debug_assert!(time >= self.now, "time went backwards");
        self.now = time;
        if self.standing > 0
            && let Some(node) = self.waits_for(&event)
        {
            self.put_off(node, event);
            return true;
        }
        match event {
            Event::Deliver { from, to, message } => self.deliver(from, to, message),
            Event::Route { from, to, message } => self.transmit(from, to, message),
            Event::Timer { node, incarnation, token } => self.ring(node, incarnation, token),
            Event::Synced { node, incarnation, db } => self.complete_sync(node, incarnation, db),
            Event::Task { node, incarnation, token } => self.complete_task(node, incarnation, token),
            Event::Ready { node, incarnation } => self.go_on(node, incarnation),
            Event::DeliverDamaged { from, to, damaged } => {
                self.deliver_damaged(from, to, damaged.0, damaged.1);
            }
            Event::Unclogged { from, to } => self.let_through(from, to),
        }
        true
    }

    /// Handles every event up to and including `time`, which is then the present.
    pub fn run_until(&mut self, time: Time) {
        while self.next_time().is_some_and(|next| next <= time) {
            self.step();
        }
        self.advance_to(time);
    }

    /// Lets time pass without an event. Never beyond the next event, and never backwards.
    pub fn advance_to(&mut self, time: Time) {
        let limit = self.next_time().unwrap_or(Time::MAX).min(time);
        self.now = self.now.max(limit);
    }

    /// When the next event is due.
    #[must_use]
    pub fn next_time(&self) -> Option<Time> {
        self.queue.next_time()
    }

    /// Puts up a filter for messages sent from now on.
    pub fn add_filter(&mut self, filter: Filter) -> FilterId {
        self.network.filters.add(filter)
    }

    /// Takes one filter down, or all of them. What it held is sent on.
    pub fn remove_filter(&mut self, id: Option<FilterId>) {
        for (from, to, message) in self.network.filters.remove(id) {
            self.transmit(from, to, message);
        }
    }

    /// From now on no filter picks what these machines send each other, and what filters held of that is sent on. Takes the
    /// place of an earlier such order. Filters stay up for all else.
    pub fn exempt(&mut self, nodes: &[NodeId]) {
        for (from, to, message) in self.network.filters.exempt(nodes) {
            self.transmit(from, to, message);
        }
    }

    /// How many messages a filter has picked, also after it was taken down.
    #[must_use]
    pub fn filter_acted(&self, id: FilterId) -> u64 {
        self.network.filters.acted(id)
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network<P::Message> {
        &self.network
    }

    /// The network, to change it.
    #[must_use]
    pub fn network_mut(&mut self) -> &mut Network<P::Message> {
        &mut self.network
    }

    /// A machine's clock.
    #[must_use]
    pub fn clock(&self, node: NodeId) -> &Clock {
        &self.nodes[node.0 as usize].clock
    }

    /// The present, in true time.
    #[must_use]
    pub fn now(&self) -> Time {
        self.now
    }

    /// The seed of all that chance decides here.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How many events have been handled.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    /// How many events are due later.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// The hash over every event so far.
    #[must_use]
    pub fn trace_hash(&self) -> u64 {
        self.hash.value()
    }

    /// A machine's process; `None` while it is down.
    #[must_use]
    pub fn process(&self, node: NodeId) -> Option<&P> {
        self.nodes[node.0 as usize].process.as_ref()
    }

    /// A machine's disk.
    #[must_use]
    pub fn disk(&self, node: NodeId) -> &Disk {
        &self.nodes[node.0 as usize].disk
    }

    /// Whether a machine is up.
    #[must_use]
    pub fn is_up(&self, node: NodeId) -> bool {
        self.process(node).is_some()
    }

    /// The messages under way, in no particular order: sender, receiver, message. Those that a filter holds
    /// are not under way, nor are those that wait on a clogged link or lie at a machine that stands still.
    pub fn in_flight(&self) -> impl Iterator<Item = (NodeId, NodeId, &P::Message)> {
        self.queue.iter().filter_map(|event| match event {
            Event::Deliver { from, to, message } | Event::Route { from, to, message } => {
                Some((*from, *to, message))
            }
            Event::DeliverDamaged { from, to, damaged } => Some((*from, *to, &damaged.0)),
            Event::Timer { .. }
            | Event::Synced { .. }
            | Event::Task { .. }
            | Event::Ready { .. }
            | Event::Unclogged { .. } => None,
        })
    }

    /// The observer.
    #[must_use]
    pub fn observer(&self) -> &O {
        &self.observer
    }

    /// The observer, to take from it what it saw.
    #[must_use]
    pub fn observer_mut(&mut self) -> &mut O {
        &mut self.observer
    }

    fn lives(&self, node: NodeId, incarnation: u32) -> bool {
        let machine = &self.nodes[node.0 as usize];
        machine.incarnation == incarnation && machine.process.is_some()
    }

    #[inline(always)] // the second place that calls it is cold
    fn ring(&mut self, node: NodeId, incarnation: u32, token: u64) {
        if self.lives(node, incarnation) {
            self.begin(node, 3);
            self.hash.word(token);
            self.observer.happening(self.now, node, &Cause::Timer { token });
            self.run(node, |process, cx| process.on_timer(token, cx));
        }
    }

    #[inline]
    fn complete_sync(&mut self, node: NodeId, incarnation: u32, db: DbId) {
        if !self.lives(node, incarnation) {
            return;
        }
        let machine = &mut self.nodes[node.0 as usize];
        if machine.disk.is_stalled() {
            return machine.stalled.push(Event::Synced { node, incarnation, db });
        }
        let SyncEnd { told, again } = machine.disk.complete_sync(db);
        let durable = machine.disk.durable(db);
        if again {
            self.begin_sync(node, db);
        }
        let Some(told) = told else { return self.fail_sync(node, db) };
        self.begin(node, 4);
        self.hash.word(told << 8 | u64::from(db.0));
        self.observer.happening(self.now, node, &Cause::Synced { db, up_to: durable });
        self.run(node, |process, cx| process.on_synced(db, told, cx));
    }

    #[cold]
    fn fail_sync(&mut self, node: NodeId, db: DbId) {
        self.begin(node, 18);
        self.hash.word(db.0.into());
        self.observer.happening(self.now, node, &Cause::SyncFailed { db });
        self.run(node, |process, cx| process.on_sync_failed(db, cx));
    }

    fn complete_task(&mut self, node: NodeId, incarnation: u32, token: u64) {
        if !self.lives(node, incarnation) {
            return;
        }
        let machine = &mut self.nodes[node.0 as usize];
        if machine.disk.is_stalled() {
            return machine.stalled.push(Event::Task { node, incarnation, token });
        }
        self.begin(node, 8);
        self.hash.word(token);
        self.observer.happening(self.now, node, &Cause::Task { token });
        self.run(node, |process, cx| process.on_task(token, cx));
    }

    /// Counts an event and folds what every event has into the hash.
    #[inline]
    fn begin(&mut self, node: NodeId, kind: u64) {
        self.events += 1;
        self.hash.word(self.now.0);
        self.hash.word(u64::from(node.0) << 8 | kind);
    }

    /// Gives one event to its process, lets the observer see it, and sets its effects going.
    #[inline]
    fn run(&mut self, node: NodeId, handle: impl FnOnce(&mut P, &mut Context<'_, P::Message>)) {
        let machine = &mut self.nodes[node.0 as usize];
        let Some(process) = machine.process.as_mut() else { return };
        let mut cx = Context {
            node,
            time: self.now,
            clock: &machine.clock,
            seed: self.seed,
            incarnation: machine.incarnation,
            disk: &mut machine.disk,
            effects: &mut self.effects,
        };
        handle(process, &mut cx);
        machine.disk.digest_written(&mut self.hash);
        let what = Happened {
            time: self.now,
            node,
            process: Some(process),
            disk: &machine.disk,
            sent: &self.effects.sent,
        };
        self.observer.happened(&what);
        let occupied = machine.occupied;
        self.take_effects(node);
        if occupied {
            self.occupy(node);
        }
    }
}
