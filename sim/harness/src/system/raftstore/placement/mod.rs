//! The placement driver of raftstore: it gives out ids, and orders regions' leaders to move replicas and leadership and to
//! split. A small PD, and pure.
//!
//! Promises:
//! - **An id is given out once**, whatever crashes (`ids`).
//! - **What is known is the newest** that any leader told, however late or doubled it comes (`cluster`).
//! - **A region has one operator at a time.** It is repeated at each heartbeat of the region until what the leader tells shows
//!   it done, or that it cannot be done, or it has taken too long (`operator`). Each order names the leader and the epoch
//!   that it is for, so one that comes late does nothing.
//! - **What it does by itself is careful**, in every mode: no store gets two replicas of a region, and as many voters as
//!   wanted keep up after each change. Orders of a scenario are carried out as they are.
//!
//! By mode it does nothing by itself, strives for `balance`, or for the opposite, `churn`. In each it carries out `orders`.
//! It persists where its block of ids ends and nothing else: regions and stores tell it the rest again.

mod balance;
mod churn;
mod cluster;
mod ids;
mod operator;
mod orders;
mod payload;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use raft_proto::metapb::Peer;
use raft_proto::schedulerpb::{
    AskSplitRequest, AskSplitResponse, ChangePeerV2, GetRegionResponse, RegionHeartbeatRequest,
    RegionHeartbeatResponse, Request, Response, SplitRegion, StoreHeartbeatResponse, TransferLeader, request,
    response,
};
use raftsim_kernel::{Duration, Stream, Time};

use crate::scenario::{PlacementConfig, PlacementMode, Scenario};
use crate::system::{Effects, Order, Placement};
use cluster::{Cluster, Known};
use ids::Ids;
use operator::{Action, Operator, Verdict};
use orders::{Begin, Orders};

/// Operators of the driver's own that are under way at a time, at most.
const OWN_OPERATORS: usize = 4;
/// How long an operator for balance may take: long enough for a snapshot on a slow network.
const BALANCE_PATIENCE: Duration = Duration::secs(30);
/// How long one may take that only moves leadership: a second, or the heir is in trouble. A leader serves nobody while it
/// hands over, so to insist on a dead heir keeps clients from the region.
const TRANSFER_PATIENCE: Duration = Duration::secs(3);
/// How long one for churn may take. Some are impossible, like the split of a region with one key.
const CHURN_PATIENCE: Duration = Duration::secs(10);
/// Heartbeats of a store or a region that have to be missing before it counts as gone.
const MISSED_HEARTBEATS: u64 = 10;

type Fx = Effects<Response>;

/// The driver.
#[derive(Clone, Debug)]
pub struct Driver {
    settings: Arc<Settings>,
    ids: Ids,
    cluster: Cluster,
    /// What is under way, by region.
    operators: BTreeMap<u64, Operator>,
    orders: Orders,
    /// Leaders that want ids for a split, with their stores, until there are some.
    asks: VecDeque<(u64, AskSplitRequest)>,
    random: Stream,
    /// Whether it does nothing by itself any more.
    quiet: bool,
}

/// What does not change.
#[derive(Debug)]
struct Settings {
    config: PlacementConfig,
    /// How many stores the cluster has.
    stores: u64,
}

/// What decisions are made from.
struct View<'a> {
    driver: &'a Driver,
    now: Time,
}

impl Placement for Driver {
    type Request = Request;
    type Response = Response;

    fn new(scenario: &Scenario) -> Option<Driver> {
        let config = scenario.placement.clone()?;
        Some(Driver {
            cluster: Cluster::new(Time::ZERO, config.store_heartbeat * MISSED_HEARTBEATS),
            settings: Arc::new(Settings { config, stores: scenario.cluster.stores }),
            ids: Ids::open(None),
            operators: BTreeMap::new(),
            orders: Orders::default(),
            asks: VecDeque::new(),
            random: Stream::derive(0, "placement"),
            quiet: false,
        })
    }

    fn on_start(&mut self, now: Time, stored: Option<Bytes>, seed: u64, fx: &mut Fx) {
        self.ids = Ids::open(stored.as_ref());
        self.random = Stream::derive(seed, "placement");
        self.cluster = Cluster::new(now, self.settings.config.store_heartbeat * MISSED_HEARTBEATS);
        self.wake(now, fx);
        self.persist(fx);
    }

    fn on_request(&mut self, now: Time, store: u64, request: Request, fx: &mut Fx) {
        use request::Payload as P;
        match request.payload {
            Some(P::StoreHeartbeat(heartbeat)) => {
                let floor = heartbeat.stats.map_or(0, |stats| stats.replica_floor);
                self.cluster.store_heartbeat(now, store, floor);
                send(fx, store, response::Payload::StoreHeartbeat(StoreHeartbeatResponse {}));
            }
            Some(P::RegionHeartbeat(heartbeat)) => self.region_heartbeat(now, store, heartbeat, fx),
            Some(P::AskSplit(ask)) => {
                // The newest of a store's asks for a region counts.
                let region = |ask: &AskSplitRequest| ask.region.as_ref().map(|region| region.id);
                self.asks.retain(|(from, other)| *from != store || region(other) != region(&ask));
                self.asks.push_back((store, ask));
                self.answer_asks(fx);
            }
            Some(P::GetRegionById(get)) => {
                // What is not known says nothing about whether it exists.
                if let Some(known) = self.cluster.region(get.region_id) {
                    let (region, leader) = (Some(known.region.clone()), Some(known.leader));
                    send(fx, store, response::Payload::GetRegion(GetRegionResponse { region, leader }));
                }
            }
            None => {}
        }
        self.persist(fx);
    }

    fn on_timer(&mut self, now: Time, fx: &mut Fx) {
        let cluster = &self.cluster;
        self.operators.retain(|region, operator| {
            now < operator.deadline
                && !cluster.region(*region).is_some_and(|known| is_in_vain(cluster, now, known, operator))
        });
        self.start_orders(now, fx);
        self.start_own(now, fx);
        self.wake(now, fx);
        self.persist(fx);
    }

    fn on_durable(&mut self, now: Time, fx: &mut Fx) {
        self.ids.on_durable();
        self.answer_asks(fx);
        self.start_orders(now, fx);
        self.persist(fx);
    }

    fn on_order(&mut self, now: Time, order: &Order, fx: &mut Fx) -> Result<(), String> {
        orders::check(order, self.settings.stores)?;
        self.orders.push(now, order.clone());
        self.start_orders(now, fx);
        self.persist(fx);
        Ok(())
    }

    fn order(response: &Response) -> Option<(u64, String)> {
        payload::order(response)
    }

    fn last_id(&self) -> u64 {
        self.ids.last()
    }

    fn quiet(&mut self) {
        self.quiet = true;
        self.operators.retain(|_, operator| operator.order.is_some());
    }
}

impl Driver {
    /// The first id that a driver gives out: above all that a cluster starts with.
    pub const FIRST_ID: u64 = ids::FIRST_ID;

    /// The next block of ids is written down where one is needed.
    fn persist(&mut self, fx: &mut Fx) {
        if let Some(end) = self.ids.due() {
            fx.persist = Some(end);
        }
    }

    /// Asks for the timer, where there is something to do by itself.
    fn wake(&self, now: Time, fx: &mut Fx) {
        if !self.quiet && self.settings.config.mode != PlacementMode::Manual {
            fx.wake = Some(now + self.settings.config.interval);
        }
    }

    /// A leader tells of its region: it gets an order, or else a confirmation.
    fn region_heartbeat(&mut self, now: Time, store: u64, heartbeat: RegionHeartbeatRequest, fx: &mut Fx) {
        let Some(known) = self.cluster.region_heartbeat(now, store, heartbeat) else { return };
        let sent = fx.send.len();
        self.drive(now, &known, fx);
        self.start_orders(now, fx);
        let about = |response: &Response| match &response.payload {
            Some(response::Payload::RegionHeartbeat(order)) => order.region_id,
            _ => 0,
        };
        if !fx.send[sent..].iter().any(|(_, response)| about(response) == known.id()) {
            send(fx, store, response::Payload::RegionHeartbeat(header(&known)));
        }
    }

    /// Takes a region's operator further, if it has one.
    fn drive(&mut self, now: Time, known: &Known, fx: &mut Fx) {
        let Some(operator) = self.operators.get_mut(&known.id()) else { return };
        let verdict = if now < operator.deadline { operator.advance(known) } else { Verdict::Done };
        match verdict {
            Verdict::Order(action) => {
                let order = response::Payload::RegionHeartbeat(instruction(known, action));
                return send(fx, known.leader.store_id, order);
            }
            Verdict::Wait => return,
            Verdict::Done | Verdict::Impossible => {}
        }
        let ended = self.operators.remove(&known.id());
        if let Some(order) = ended.and_then(|operator| operator.order)
            && verdict == Verdict::Impossible
        {
            // It was for the region as it was. What it comes to now is another matter.
            self.orders.again(order);
        }
    }

    /// Begins the orders that can begin.
    fn start_orders(&mut self, now: Time, fx: &mut Fx) {
        loop {
            let Driver { orders, cluster, operators, ids, .. } = self;
            let begun = orders.take(now, cluster, |known, waiting| {
                if operators.contains_key(&known.id()) {
                    return Begin::Later;
                }
                let mut begin = orders::begin(waiting, known);
                if let Begin::Operator(operator) = &mut begin
                    && !operator.allocate(ids)
                {
                    return Begin::Later;
                }
                begin
            });
            match begun {
                Some((region, Begin::Operator(operator))) => self.start(now, region, operator, fx),
                Some(_) => {}
                None => return,
            }
        }
    }

    /// Begins operators of the driver's own.
    fn start_own(&mut self, now: Time, fx: &mut Fx) {
        let config = &self.settings.config;
        let grace = (config.store_heartbeat + config.region_heartbeat) * 2;
        if self.quiet || !self.cluster.is_acquainted(now, grace) {
            return;
        }
        let settings = Arc::clone(&self.settings);
        while self.operators.values().filter(|operator| operator.order.is_none()).count() < OWN_OPERATORS {
            let view = View { driver: self, now };
            let (planned, patience) = match settings.config.mode {
                PlacementMode::Manual => return,
                PlacementMode::Balance => (balance::next(&view), BALANCE_PATIENCE),
                PlacementMode::Churn => {
                    let mut random = self.random.clone();
                    let planned = churn::next(&view, &settings.config.churn, &mut random);
                    self.random = random;
                    (planned, CHURN_PATIENCE)
                }
            };
            let Some((region, mut operator)) = planned else { return };
            if !operator.allocate(&mut self.ids) {
                return;
            }
            let patience = if operator.only_transfers() { patience.min(TRANSFER_PATIENCE) } else { patience };
            operator.deadline = now + patience;
            self.start(now, region, operator, fx);
            if settings.config.mode == PlacementMode::Churn {
                return;
            }
        }
    }

    fn start(&mut self, now: Time, region: u64, operator: Operator, fx: &mut Fx) {
        self.operators.insert(region, operator);
        if let Some(known) = self.cluster.region(region).cloned() {
            self.drive(now, &known, fx);
        }
    }

    /// Gives ids to the leaders that want to split, as far as there are any. A leader whose epoch is not the newest, or that
    /// told nothing of its region yet, gets none: the store asks again if it still wants to split.
    fn answer_asks(&mut self, fx: &mut Fx) {
        while let Some((store, ask)) = self.asks.pop_front() {
            let Some(region) = &ask.region else { continue };
            let current = self.cluster.region(region.id).is_some_and(|known| {
                region.region_epoch == Some(known.epoch) && known.leader.store_id == store
            });
            if !current {
                continue;
            }
            let Some(mut ids) = self.ids.take(1 + region.peers.len() as u64) else {
                self.asks.push_front((store, ask));
                return;
            };
            let answer = AskSplitResponse {
                new_region_id: ids.next().unwrap_or_default(),
                new_peer_ids: ids.collect(),
                region_id: region.id,
                region_epoch: region.region_epoch,
                split_key: ask.split_key,
            };
            send(fx, store, response::Payload::AskSplit(answer));
        }
    }
}

impl<'a> View<'a> {
    fn replicas(&self) -> usize {
        usize::try_from(self.driver.settings.config.replicas).unwrap_or(usize::MAX)
    }

    fn is_dead(&self, store: u64) -> bool {
        self.driver.cluster.is_dead(self.now, store)
    }

    /// Whether a replica may be of use: its store lives and has not lost it.
    fn lives(&self, peer: &Peer) -> bool {
        !self.is_dead(peer.store_id) && !self.is_lost(peer)
    }

    fn is_lost(&self, peer: &Peer) -> bool {
        self.driver.cluster.is_lost(peer)
    }

    fn live_stores(&self) -> impl Iterator<Item = u64> {
        self.driver.cluster.live_stores(self.now)
    }

    fn region_count(&self) -> usize {
        self.driver.cluster.region_count()
    }

    /// The regions that an operator may be begun for: nothing is under way, and the leader is there.
    fn idle(&self) -> impl Iterator<Item = &'a Known> {
        let Driver { settings, cluster, operators, .. } = self.driver;
        let patience = settings.config.region_heartbeat * MISSED_HEARTBEATS;
        let now = self.now;
        cluster.regions().map(Arc::as_ref).filter(move |known| {
            now.since(known.heard) <= patience && !known.is_joint() && !operators.contains_key(&known.id())
        })
    }

    /// Of each region, the stores that have a replica and the one that leads, once all that is under way is done.
    fn outcomes(&self) -> impl Iterator<Item = (Vec<u64>, u64)> {
        self.driver.cluster.regions().map(|known| match self.driver.operators.get(&known.id()) {
            Some(operator) => operator.outcome(known),
            None => {
                let stores = known.region.peers.iter().map(|peer| peer.store_id).collect();
                (stores, known.leader.store_id)
            }
        })
    }
}

/// Whether one of the driver's own operators waits for a store that died since, and keeps its region from repair: it puts
/// something there, or it makes a region better that has to be made whole first.
fn is_in_vain(cluster: &Cluster, now: Time, known: &Known, operator: &Operator) -> bool {
    let gone = |peer: &Peer| cluster.is_dead(now, peer.store_id) || cluster.is_lost(peer);
    operator.order.is_none()
        && (operator.targets().any(|store| cluster.is_dead(now, store))
            || operator.improves && known.region.peers.iter().any(gone))
}

fn send(fx: &mut Fx, store: u64, payload: response::Payload) {
    fx.send.push((store, Response { payload: Some(payload) }));
}

/// What every word to a leader begins with: the region, and the leader and epoch that it is for.
fn header(known: &Known) -> RegionHeartbeatResponse {
    RegionHeartbeatResponse {
        region_id: known.id(),
        region_epoch: Some(known.epoch),
        target_peer: Some(known.leader),
        ..RegionHeartbeatResponse::default()
    }
}

/// What tells a leader to do something.
fn instruction(known: &Known, action: Action) -> RegionHeartbeatResponse {
    let mut order = header(known);
    match action {
        Action::Change(changes, transition) => {
            order.change_peer_v2 = Some(ChangePeerV2 { changes, transition: transition as i32 });
        }
        Action::Transfer(peer) => order.transfer_leader = Some(TransferLeader { peer: Some(peer) }),
        Action::Split(split_key) => order.split_region = Some(SplitRegion { split_key }),
    }
    order
}
