//! A cluster around a placement driver, as small as can be: regions are values that change at once, and what the driver
//! orders is carried out, or refused, as stores would.
//!
//! Messages are late, lost and doubled. Heartbeats of long ago come back, leaders change, the driver crashes. What a driver
//! must never do is asserted where it happens:
//! - an id is given out once;
//! - an order is meant for an epoch that the region has had, and for the leader's store;
//! - no store gets two replicas of a region, and no replica comes back under an id that was there before;
//! - of the driver's own orders: no vote is taken away from a replica that keeps up unless as many as wanted are left that
//!   do, and none is given to one that does not.

mod group;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raft_proto::eraftpb::ConfChangeType;
use raft_proto::metapb::Peer;
use raft_proto::schedulerpb::{
    AskSplitRequest, AskSplitResponse, ChangePeer, RegionHeartbeatRequest, RegionHeartbeatResponse, Request,
    Response, StoreHeartbeatRequest, request, response,
};
use raftsim_harness::scenario::{ClusterConfig, PlacementConfig, PlacementMode, Scenario, Transition};
use raftsim_harness::system::raftstore::Driver;
use raftsim_harness::system::{Effects, MemberChange, Order, Placement};
use raftsim_kernel::{Duration, Ppm, Stream, Time};

use group::number;
pub(crate) use group::{END, Group, key};

/// The time between two looks at everything.
pub(crate) const TICK: Duration = Duration::millis(100);

/// The first id that a driver may give out.
pub(crate) const FIRST_ID: u64 = 1000;

/// What the world does to the driver and its messages.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Trouble {
    /// Share of messages that are lost.
    pub(crate) loss: Ppm,
    /// Share of messages that come once more, a while later.
    pub(crate) again: Ppm,
    /// How likely the driver crashes in a tick.
    pub(crate) crash: Ppm,
    /// How likely a region changes its leader in a tick.
    pub(crate) election: Ppm,
    /// Share of orders that a leader does not take.
    pub(crate) refusal: Ppm,
}

impl Trouble {
    /// A bad day.
    pub(crate) fn all() -> Trouble {
        let percent = Ppm::percent;
        Trouble {
            loss: percent(10),
            again: percent(10),
            crash: percent(1),
            election: percent(1),
            refusal: percent(20),
        }
    }
}

/// What was carried out, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    pub(crate) added: u32,
    pub(crate) learned: u32,
    pub(crate) promoted: u32,
    pub(crate) removed: u32,
    /// Removals of the leader's own replica.
    pub(crate) abdicated: u32,
    pub(crate) joint: u32,
    pub(crate) left: u32,
    pub(crate) transferred: u32,
    pub(crate) split: u32,
}

/// A driver, its disk, and what it drives.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) scenario: Scenario,
    pub(crate) driver: Driver,
    pub(crate) now: Time,
    pub(crate) groups: BTreeMap<u64, Group>,
    pub(crate) trouble: Trouble,
    /// Stores that are gone for good.
    pub(crate) dead: BTreeSet<u64>,
    pub(crate) done: Done,
    /// Orders that the driver sent.
    pub(crate) orders: u64,
    /// Since the driver has a scenario's orders to carry out, it may do anything to the voters.
    pub(crate) ordered: bool,
    random: Stream,
    lives: u64,
    durable: Option<Bytes>,
    writing: Option<(Time, Bytes)>,
    wake: Option<Time>,
    to_driver: Vec<(Time, u64, Request)>,
    to_stores: Vec<(Time, u64, Response)>,
    /// For what each id was given out.
    given: BTreeMap<u64, (u64, u64, u64)>,
}

impl Model {
    pub(crate) fn new(seed: u64, stores: u64, config: PlacementConfig) -> Model {
        let mut scenario = Scenario::new("a cluster around a placement driver");
        scenario.cluster = ClusterConfig::of(stores);
        scenario.placement = Some(config);
        let driver = Driver::new(&scenario).unwrap();
        let mut model = Model {
            scenario,
            driver,
            now: Time::ZERO,
            groups: BTreeMap::new(),
            trouble: Trouble::default(),
            dead: BTreeSet::new(),
            done: Done::default(),
            orders: 0,
            ordered: false,
            random: Stream::derive(seed, "model"),
            lives: 0,
            durable: None,
            writing: None,
            wake: None,
            to_driver: Vec::new(),
            to_stores: Vec::new(),
            given: BTreeMap::new(),
        };
        model.boot();
        model
    }

    fn config(&self) -> &PlacementConfig {
        self.scenario.placement.as_ref().unwrap()
    }

    pub(crate) fn wanted(&self) -> usize {
        usize::try_from(self.config().replicas.min(self.scenario.cluster.stores)).unwrap()
    }

    /// The driver crashes, with what it was writing perhaps on its disk, and starts again.
    pub(crate) fn crash(&mut self) {
        if let Some((_, value)) = self.writing.take()
            && self.random.chance(Ppm::percent(50))
        {
            self.durable = Some(value);
        }
        self.driver = Driver::new(&self.scenario).unwrap();
        self.boot();
    }

    fn boot(&mut self) {
        self.lives += 1;
        let (stored, seed) = (self.durable.clone(), self.lives);
        self.wake = None;
        self.input(|driver, now, fx| driver.on_start(now, stored, seed, fx));
    }

    /// Orders something.
    pub(crate) fn order(&mut self, order: &Order) -> Result<(), String> {
        self.ordered = true;
        self.input(|driver, now, fx| driver.on_order(now, order, fx))
    }

    /// Gives the driver an input, and its effects to the world.
    pub(crate) fn input<R>(
        &mut self,
        input: impl FnOnce(&mut Driver, Time, &mut Effects<Response>) -> R,
    ) -> R {
        let mut fx = Effects::default();
        let result = input(&mut self.driver, self.now, &mut fx);
        self.wake = fx.wake.or(self.wake);
        if let Some(value) = fx.persist {
            self.writing = Some((self.now + TICK, value));
        }
        for (store, response) in fx.send {
            self.inspect(store, &response);
            for due in self.dues() {
                self.to_stores.push((due, store, response.clone()));
            }
        }
        result
    }

    /// When the copies of a message arrive.
    fn dues(&mut self) -> Vec<Time> {
        let mut dues = Vec::new();
        if !self.random.chance(self.trouble.loss) {
            dues.push(self.now + Duration(self.random.below(TICK.0)));
        }
        if self.random.chance(self.trouble.again) {
            dues.push(self.now + TICK * self.random.between(1, 30));
        }
        dues
    }

    fn say(&mut self, store: u64, payload: request::Payload) {
        let request = Request { store_id: store, payload: Some(payload) };
        for due in self.dues() {
            self.to_driver.push((due, store, request.clone()));
        }
    }

    /// Lets time pass.
    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.tick();
        }
    }

    fn tick(&mut self) {
        self.now += TICK;
        if self.random.chance(self.trouble.crash) {
            self.crash();
        }
        if let Some((due, value)) = self.writing.clone()
            && due <= self.now
        {
            (self.durable, self.writing) = (Some(value), None);
            self.input(|driver, now, fx| driver.on_durable(now, fx));
        }
        self.live();
        for (_, store, request) in due(&mut self.to_driver, self.now) {
            self.input(|driver, now, fx| driver.on_request(now, store, request, fx));
        }
        if self.wake.is_some_and(|wake| wake <= self.now) {
            self.wake = None;
            self.input(|driver, now, fx| driver.on_timer(now, fx));
        }
        for (_, store, response) in due(&mut self.to_stores, self.now) {
            self.carry_out(store, &response);
        }
    }

    /// Leaders change, members catch up, and everybody tells of itself.
    fn live(&mut self) {
        for group in self.groups.values_mut() {
            let elected = self.random.chance(self.trouble.election);
            if elected || self.dead.contains(&group.leader.store_id) {
                group.elect(&self.dead, self.random.bits());
            }
            group.pass(self.now, &mut self.done);
        }
        if self.now.0.is_multiple_of(self.config().region_heartbeat.0) {
            for id in self.groups.keys().copied().collect::<Vec<_>>() {
                self.tell(id);
            }
        }
        if self.now.0.is_multiple_of(self.config().store_heartbeat.0) {
            for store in self.living() {
                self.say(store, request::Payload::StoreHeartbeat(StoreHeartbeatRequest { stats: None }));
            }
        }
    }

    /// The stores that are not gone for good.
    fn living(&self) -> Vec<u64> {
        (1..=self.scenario.cluster.stores).filter(|store| !self.dead.contains(store)).collect()
    }

    /// A region's leader tells of it, if it lives.
    pub(crate) fn tell(&mut self, id: u64) {
        let heartbeat = self.heartbeat(id);
        let store = self.groups[&id].leader.store_id;
        if !self.dead.contains(&store) {
            self.say(store, request::Payload::RegionHeartbeat(heartbeat));
        }
    }

    /// What a region's leader tells now.
    pub(crate) fn heartbeat(&self, id: u64) -> RegionHeartbeatRequest {
        let group = &self.groups[&id];
        let lags = |peer: &&Peer| group.lags(peer) || self.dead.contains(&peer.store_id);
        RegionHeartbeatRequest {
            region: Some(group.region.clone()),
            leader: Some(group.leader),
            pending_peers: group.region.peers.iter().filter(lags).copied().collect(),
            approximate_size: u64::from(group.bounds().1 - group.bounds().0),
            term: group.term,
        }
    }

    /// What must hold of everything that the driver sends.
    fn inspect(&mut self, store: u64, response: &Response) {
        match response.payload.as_ref().unwrap() {
            response::Payload::AskSplit(answer) => {
                for id in answer.new_peer_ids.iter().chain([&answer.new_region_id]) {
                    assert!(*id >= FIRST_ID);
                    assert_eq!(self.given.insert(*id, (0, 0, 0)), None, "id {id} was given out before");
                }
            }
            response::Payload::RegionHeartbeat(order) => {
                let group = &self.groups[&order.region_id];
                let (meant, is) = (order.region_epoch.unwrap(), group.epoch());
                assert!(
                    meant.version <= is.version && meant.conf_ver <= is.conf_ver,
                    "an epoch that never was"
                );
                assert_eq!(order.target_peer.unwrap().store_id, store);
                for change in changes_of(order).unwrap_or_default() {
                    let peer = change.peer.unwrap();
                    let wanted = (order.region_id, peer.store_id, meant.conf_ver);
                    if change.change_type() != ConfChangeType::RemoveNode && !group.has_had(peer.id) {
                        assert!(peer.id >= FIRST_ID, "{order:?}");
                        let before = *self.given.entry(peer.id).or_insert(wanted);
                        assert_eq!(before, wanted, "id {} was given out before", peer.id);
                    }
                }
                let told = Driver::order(response).map(|(region, _)| region);
                assert_eq!(
                    told,
                    is_order(order).then_some(order.region_id),
                    "what transcripts show: {order:?}"
                );
                self.orders += u64::from(is_order(order));
            }
            response::Payload::StoreHeartbeat(_) | response::Payload::GetRegion(_) => {}
        }
    }

    fn carry_out(&mut self, store: u64, response: &Response) {
        match response.payload.as_ref().unwrap() {
            response::Payload::AskSplit(answer) => self.split(store, answer),
            response::Payload::RegionHeartbeat(order) => {
                let group = &self.groups[&order.region_id];
                let meant = order.target_peer == Some(group.leader) && group.leader.store_id == store;
                let now = order.region_epoch == Some(group.epoch()) && !self.dead.contains(&store);
                if meant && now && is_order(order) && !self.random.chance(self.trouble.refusal) {
                    self.obey(order);
                    self.tell(order.region_id);
                }
            }
            response::Payload::StoreHeartbeat(_) | response::Payload::GetRegion(_) => {}
        }
    }

    fn obey(&mut self, order: &RegionHeartbeatResponse) {
        let ready = self.now + TICK * self.random.between(1, 40);
        let changes = changes_of(order);
        self.check_votes(order.region_id, changes.as_deref().unwrap_or_default());
        let group = self.groups.get_mut(&order.region_id).unwrap();
        if let Some(changes) = changes {
            let transition = order.change_peer_v2.as_ref().map(|change| change.transition());
            match (changes.is_empty(), group.is_joint()) {
                (true, true) => group.leave(&mut self.done),
                (false, false) => {
                    group.change(&changes, transition.unwrap_or_default(), (self.now, ready), &mut self.done);
                }
                // No such change is possible.
                (true, false) | (false, true) => {}
            }
        } else if let Some(transfer) = &order.transfer_leader {
            let to = transfer.peer.expect("a transfer names the replica");
            assert_eq!(group.peer(to.store_id).map(|peer| peer.id), Some(to.id));
            group.transfer(to.store_id, &mut self.done);
        } else if let Some(split) = &order.split_region {
            let (start, end) = group.bounds();
            let middle = start + (end - start) / 2;
            let at = number(&split.split_key, middle);
            if start < at && at < end {
                let ask = AskSplitRequest { region: Some(group.region.clone()), split_key: key(at) };
                let leader = group.leader.store_id;
                self.say(leader, request::Payload::AskSplit(ask));
            }
        }
    }

    /// What the driver's own orders must not do.
    fn check_votes(&self, id: u64, changes: &[ChangePeer]) {
        if self.ordered {
            return;
        }
        let group = &self.groups[&id];
        let keeps_up = |store: &u64| {
            group.peer(*store).is_some_and(|peer| !group.lags(&peer)) && !self.dead.contains(store)
        };
        let (mut after, before) = (group.voters(), group.voters());
        for change in changes {
            let store = change.peer.unwrap().store_id;
            after.retain(|other| *other != store);
            if change.change_type() == ConfChangeType::AddNode {
                assert!(
                    group.peer(store).is_none() || keeps_up(&store),
                    "a vote for one that lags: {changes:?}"
                );
                after.push(store);
            }
        }
        let lost: Vec<u64> = before.into_iter().filter(|store| !after.contains(store)).collect();
        if !lost.is_empty() {
            let healthy = after.iter().filter(|store| keeps_up(store)).count();
            let needed = if lost.iter().any(keeps_up) { self.wanted() } else { after.len() / 2 + 1 };
            assert!(after.len() >= self.wanted(), "too few voters: {changes:?} of {:?}", group.region);
            assert!(healthy >= needed, "too few keep up: {changes:?} of {:?}", group.region);
        }
    }

    /// A leader has the ids for a split.
    fn split(&mut self, store: u64, answer: &AskSplitResponse) {
        let group = self.groups.get_mut(&answer.region_id).unwrap();
        if group.leader.store_id != store {
            return;
        }
        if let Some(right) = group.split(answer) {
            self.groups.insert(answer.new_region_id, right);
            self.done.split += 1;
            self.tell(answer.region_id);
            self.tell(answer.new_region_id);
        }
    }

    /// How many voters each store has, and how many leaders.
    pub(crate) fn loads(&self) -> (BTreeMap<u64, usize>, BTreeMap<u64, usize>) {
        let mut loads = (BTreeMap::new(), BTreeMap::new());
        for store in self.living() {
            let voters = self.groups.values().filter(|group| group.voters().contains(&store)).count();
            let leads = self.groups.values().filter(|group| group.leader.store_id == store).count();
            loads.0.insert(store, voters);
            loads.1.insert(store, leads);
        }
        loads
    }
}

/// The changes of members that an answer orders, if it does.
pub(crate) fn changes_of(order: &RegionHeartbeatResponse) -> Option<Vec<ChangePeer>> {
    match (&order.change_peer, &order.change_peer_v2) {
        (Some(change), _) => Some(vec![*change]),
        (None, Some(changes)) => Some(changes.changes.clone()),
        (None, None) => None,
    }
}

/// Whether an answer orders anything.
pub(crate) fn is_order(order: &RegionHeartbeatResponse) -> bool {
    changes_of(order).is_some() || order.transfer_leader.is_some() || order.split_region.is_some()
}

/// Takes out what is due, in the order of its time.
fn due<T>(queue: &mut Vec<(Time, u64, T)>, now: Time) -> Vec<(Time, u64, T)> {
    queue.sort_by_key(|(due, ..)| *due);
    let count = queue.partition_point(|(due, ..)| *due <= now);
    queue.drain(..count).collect()
}

/// A driver's settings with a mode.
pub(crate) fn config(mode: PlacementMode) -> PlacementConfig {
    PlacementConfig { mode, ..PlacementConfig::default() }
}

/// A change of the region that holds the first key.
pub(crate) fn change(add: &[u64], learn: &[u64], remove: &[u64]) -> Order {
    change_by(Transition::Auto, add, learn, remove)
}

/// The same, by this way.
pub(crate) fn change_by(transition: Transition, add: &[u64], learn: &[u64], remove: &[u64]) -> Order {
    let (add, learn, remove) = (add.to_vec(), learn.to_vec(), remove.to_vec());
    let change = MemberChange::Members { add, learn, remove, transition, first_id: 0 };
    Order::Change { key: Bytes::new(), change }
}
