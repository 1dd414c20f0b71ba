//! Steps that happen to machines: they stop and start, stand still, get slow, lose their disks; their clocks go wrong.
//!
//! A store's machine keeps three things from one life to the next besides its disk: how its settings differ from the
//! scenario's, which replicas it must not take up again after it lost its disk, and what has rotted on it.

use raftsim_kernel::{DbId, Drift, Duration, Latency, Loss, Losses, Ppm, Stream, Time};

use super::{Phase, Run};
use crate::node::{Node, node_of};
use crate::report::Finding;
use crate::scenario::ast::{self, Action, ClocksConfig, Losing, Lost, Overrides, Storm};
use crate::scenario::{RaftConfig, RaftstoreConfig};
use crate::system::{FIRST_REGION, Life, Placement, System};

/// What a store's machine keeps from one life to the next.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// How the store's settings differ from the scenario's.
    overrides: Overrides,
    /// The greatest id that was given out when it lost its disk last; 0 if it never did.
    pub(super) floor: u64,
    /// The replicas that it lost with it, as region and replica.
    pub(super) lost: Vec<(u64, u64)>,
    /// The keys that have rotted. Some may have been written again.
    pub(super) rotten: Vec<(DbId, Vec<u8>)>,
}

/// A store in a storm, and what happens to it next.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gust {
    store: u64,
    due: Time,
    /// Whether it is up between two crashes.
    up: bool,
    /// Crashes to come.
    left: u64,
}

impl<S: System> Run<S> {
    /// What happens to machines at once.
    pub(super) fn disturb(&mut self, action: &Action) -> Result<(), Finding> {
        match action {
            Action::Crash { targets, losing, name } => {
                let stores = self.stores(FIRST_REGION, targets)?;
                self.bind(name.as_ref(), &stores);
                let losses = losses::<S>(losing);
                stores.iter().for_each(|store| self.world.crash(node_of(*store), losses.clone()));
            }
            Action::Restart { targets, with } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.standing_mut(store).overrides.merge(with);
                    self.world.crash(node_of(store), Loss::Nothing);
                    self.start_store(store);
                }
            }
            Action::CrashPlacement => {
                if let Some(node) = self.placement_node() {
                    self.known_ids = self.given_ids();
                    self.world.crash(node, Loss::Unsynced);
                }
            }
            Action::RestartPlacement => {
                if let Some(node) = self.placement_node() {
                    self.known_ids = self.given_ids();
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
            Action::Clock { targets, drift, jump } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    if let Some(drift) = drift {
                        self.world.set_drift(node_of(store), *drift);
                    }
                    if let Some(jump) = jump {
                        self.world.jump_clock(node_of(store), jump.forward, jump.by);
                    }
                }
            }
            Action::Slow { targets, by } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.world.set_slowness(node_of(store), *by);
                }
            }
            Action::Wipe { targets } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.wipe(store);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Boots a store that is down: with what its machine keeps.
    pub(super) fn start_store(&mut self, store: u64) {
        let standing = &self.standings[place(store)];
        let life = Life { floor: standing.floor, overrides: &standing.overrides };
        let system = S::new(&self.scenario, store, &life);
        let node = Node::store(system, self.placement_node()).encoding(self.scenario.network.wire);
        self.world.start(node_of(store), node);
    }

    /// Boots the placement driver, if there is one.
    pub(super) fn start_placement(&mut self) {
        if let (Some(node), Some(driver)) = (self.placement_node(), S::Placement::new(&self.scenario)) {
            self.world.start(node, Node::placement(driver).encoding(self.scenario.network.wire));
        }
    }

    /// Clocks and processes as the file has them at the start.
    pub(super) fn set_machines(&mut self) {
        let ClocksConfig { offset, drift } = self.scenario.clocks;
        let slowness = self.scenario.process.slowness;
        for store in 1..=self.scenario.cluster.stores {
            let node = node_of(store);
            if (offset, drift) != (Duration::ZERO, Ppm::ZERO) {
                let mut stream = Stream::derive(self.seed, &format!("clock of {store}"));
                let ahead = Duration(stream.between(0, offset.0));
                self.world.set_drift(node, draw_drift(&mut stream, drift));
                self.world.jump_clock(node, true, ahead);
            }
            if slowness != Latency::Constant(Duration::ZERO) {
                self.world.set_slowness(node, slowness);
            }
        }
    }

    /// What a store's machine keeps.
    pub(super) fn standing(&self, store: u64) -> &Standing {
        &self.standings[place(store)]
    }

    pub(super) fn standing_mut(&mut self, store: u64) -> &mut Standing {
        &mut self.standings[place(store)]
    }

    /// The greatest id that was given out when a store lost its disk last: it takes up no replica that old. 0 for one that
    /// never did.
    pub(super) fn floor(&self, store: u64) -> u64 {
        self.standing(store).floor
    }

    /// A store's knobs: the scenario's, but for what a restart changed.
    pub(super) fn knobs(&self, store: u64) -> (RaftConfig, RaftstoreConfig) {
        let Standing { floor, overrides, .. } = self.standing(store);
        Life { floor: *floor, overrides }.knobs(&self.scenario)
    }

    /// A store stops and loses its disk, if the budget allows it. It comes back as one that holds nothing and must take up
    /// nothing that it may have held.
    fn wipe(&mut self, store: u64) {
        if !self.allows("wiped", store) {
            return;
        }
        let (node, now) = (node_of(store), self.world.now());
        self.world.crash(node, Loss::Unsynced);
        let floor = self.given_ids();
        self.world.wipe(node);
        let lost = self.world.observer_mut().wiped(now, node);
        let standing = self.standing_mut(store);
        standing.floor = floor;
        standing.lost.extend(lost);
        standing.rotten.clear();
    }

    /// The greatest id that anybody has given to a replica so far.
    fn given_ids(&self) -> u64 {
        let driver = self.placement_node().and_then(|node| self.world.process(node)?.as_placement());
        let by_driver = driver.map_or(0, |node| node.driver.last_id());
        by_driver.max(self.next_id - 1).max(self.known_ids)
    }

    // Storms.

    /// Begins a storm: the first crashes are now.
    pub(super) fn begin_storm(&mut self, storm: Storm) -> Result<(), Finding> {
        let due = self.world.now();
        let stores = self.stores(FIRST_REGION, &storm.targets)?;
        let gusts = stores.into_iter().map(|store| Gust { store, due, up: true, left: storm.times });
        self.phase = Phase::Storm { gusts: gusts.collect(), storm };
        Ok(())
    }

    /// Lets time pass until the next store of the storm is due, and crashes or starts it; each store has spans of its own.
    pub(super) fn advance_storm(&mut self) -> Result<(), Finding> {
        let Phase::Storm { gusts, storm } = &self.phase else { return Ok(()) };
        let Some(next) = gusts.iter().min_by_key(|gust| (gust.due, gust.store)).copied() else {
            self.next_step();
            return Ok(());
        };
        let Storm { up, down, losing, .. } = storm;
        let (up, down, losses) = (*up, *down, losses::<S>(losing));
        if !self.event_by(next.due)? {
            return Ok(());
        }
        let node = node_of(next.store);
        let after = match (next.up, next.left) {
            (true, 0) => None,
            (true, left) => {
                self.world.crash(node, losses);
                let due = next.due + down.draw(&mut self.storms);
                Some(Gust { due, up: false, left: left - 1, ..next })
            }
            (false, _) => {
                self.start_store(next.store);
                Some(Gust { due: next.due + up.draw(&mut self.storms), up: true, ..next })
            }
        };
        if let Phase::Storm { gusts, .. } = &mut self.phase {
            gusts.retain(|gust| gust.store != next.store);
            gusts.extend(after);
        }
        self.all_held()
    }
}

/// Where a store stands among all. Stores are numbered from 1.
fn place(store: u64) -> usize {
    usize::try_from(store.saturating_sub(1)).unwrap_or(usize::MAX)
}

/// A drift of at most this, either way.
fn draw_drift(stream: &mut Stream, bound: Ppm) -> Drift {
    let bound = u64::from(bound.parts());
    let above = i64::try_from(stream.between(0, 2 * bound)).unwrap_or(0);
    let parts = above - i64::try_from(bound).unwrap_or(0);
    i32::try_from(parts).ok().and_then(Drift::new).unwrap_or(Drift::ZERO)
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
