//! A placement driver that gives out numbers, and what its machine owes it.

use std::collections::BTreeSet;

use bytes::Bytes;
use raftsim_harness::node::{Node, NodeInput, PlacementInput};
use raftsim_harness::scenario::ast::Overrides;
use raftsim_harness::scenario::{self, Scenario};
use raftsim_harness::system::{Effects, Life, Order, Payload, Placement, System};
use raftsim_kernel::{Duration, Loss, NodeId, Time, TraceHasher, World};

use super::{NOTHING, Store};

/// A message: who asks, or the number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number(pub(super) u64);

impl Payload for Number {
    fn digest(&self, hash: &mut TraceHasher) {
        hash.word(self.0);
    }

    fn describe(&self) -> String {
        format!("number {}", self.0)
    }

    fn to_wire(&self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }

    fn from_wire(bytes: &[u8]) -> Option<Number> {
        bytes.try_into().ok().map(u64::from_be_bytes).map(Number)
    }
}

/// The driver. A number leaves when it is durable that it was given.
#[derive(Clone, Debug, Default)]
pub(super) struct Notary {
    given: u64,
    waiting: Vec<(u64, Number)>,
    woken: Vec<Time>,
    is_quiet: bool,
}

const PERIOD: Duration = Duration::millis(100);
const HALF: Duration = Duration::millis(50);
const QUARTER: Duration = Duration::millis(25);

impl Placement for Notary {
    type Request = Number;
    type Response = Number;

    fn new(_: &Scenario) -> Option<Notary> {
        None // only this file's clusters have one
    }

    fn on_start(&mut self, now: Time, stored: Option<Bytes>, _: u64, effects: &mut Effects<Number>) {
        self.given = stored.map_or(0, |bytes| super::number(&bytes));
        effects.wake = Some(now + PERIOD);
    }

    fn on_request(&mut self, _: Time, store: u64, asks: Number, effects: &mut Effects<Number>) {
        assert_eq!(store, asks.0, "the machine knows who asks");
        self.given += 1;
        self.waiting.push((store, Number(self.given)));
        effects.persist = Some(Bytes::copy_from_slice(&self.given.to_be_bytes()));
    }

    fn on_timer(&mut self, now: Time, effects: &mut Effects<Number>) {
        self.woken.push(now);
        effects.wake = Some(now + PERIOD);
    }

    fn on_durable(&mut self, _: Time, effects: &mut Effects<Number>) {
        effects.send.append(&mut self.waiting);
    }

    fn on_order(&mut self, now: Time, order: &Order, effects: &mut Effects<Number>) -> Result<(), String> {
        let Order::Transfer { to, .. } = order else { return Err("that is not what it does".to_owned()) };
        effects.send.push((*to, Number(0)));
        effects.wake = Some(now + HALF * *to); // another time than it was
        Ok(())
    }

    fn quiet(&mut self) {
        self.is_quiet = true;
    }
}

type Cluster = World<Node<Store<NOTHING>>, ()>;

const STORES: [NodeId; 2] = [NodeId(0), NodeId(1)];
const DRIVER: NodeId = NodeId(2);

fn start(world: &mut Cluster) {
    let scenario = scenario::parse("about = \"none\"\nsteps = [{ wait = \"1s\" }]").expect("a scenario");
    world.start(DRIVER, Node::placement(Notary::default()));
    for (store, node) in (1..).zip(STORES) {
        let life = Life { floor: 0, overrides: &Overrides::default() };
        world.start(node, Node::store(Store::new(&scenario, store, &life), Some(DRIVER)));
    }
}

fn cluster(seed: u64) -> Cluster {
    let mut world = World::new(seed, ());
    (0..3).for_each(|_| _ = world.add(1));
    start(&mut world);
    world
}

fn numbers(world: &Cluster, node: NodeId) -> Vec<u64> {
    let store = world.process(node).and_then(Node::as_store);
    store.map(|store| store.system.numbers.clone()).unwrap_or_default()
}

fn notary(world: &Cluster) -> &Notary {
    &world.process(DRIVER).and_then(Node::as_placement).expect("it is up").driver
}

#[test]
fn no_number_is_given_twice_whatever_a_crash_takes() {
    for seed in 0..50 {
        let (mut world, mut seen) = (cluster(seed), BTreeSet::new());
        for _ in 0..4 {
            // Some time after a message or two, so that crashes hit every moment between asking and giving.
            let crash = world.now() + Duration::millis(10) + Duration(seed * 300_000);
            world.run_until(crash);
            for node in STORES {
                let given = numbers(&world, node);
                assert!(given.iter().all(|number| seen.insert(*number)), "seed {seed}: {given:?}");
                world.crash(node, Loss::Nothing);
            }
            world.crash(DRIVER, Loss::Unsynced);
            start(&mut world);
        }
        world.run_until(world.now() + Duration::millis(500));
        assert!(numbers(&world, STORES[0]).len() > 10, "it goes on");
    }
}

#[test]
fn it_is_woken_when_it_wishes() {
    let mut world = cluster(1);
    world.run_until(Time::ZERO + PERIOD * 2 + HALF);
    let order = Order::Transfer { key: Bytes::new(), to: 1 };
    assert!(world.input(DRIVER, NodeInput::Placement(PlacementInput::Order(order))));
    world.run_until(Time::ZERO + PERIOD * 3 + HALF);
    // At 250 ms it wished for 300 ms, as it had before.
    let due = [1, 2, 3].map(|n| Time::ZERO + PERIOD * n);
    assert_eq!(notary(&world).woken, due);
    assert!(numbers(&world, STORES[0]).contains(&0), "the order was carried out");
}

#[test]
fn a_wish_replaces_the_one_before_earlier_or_later() {
    for to in [1, 2] {
        let mut world = cluster(1);
        world.run_until(Time::ZERO + QUARTER);
        let order = Order::Transfer { key: Bytes::new(), to };
        world.input(DRIVER, NodeInput::Placement(PlacementInput::Order(order)));
        world.run_until(Time::ZERO + PERIOD + HALF);
        assert_eq!(notary(&world).woken, [Time::ZERO + QUARTER + HALF * to], "and not at 100 ms");
    }
}

#[test]
fn orders_are_answered_and_quiet_is_heard() {
    let mut world = cluster(1);
    let order = Order::Split { key: Bytes::new() };
    world.input(DRIVER, NodeInput::Placement(PlacementInput::Order(order)));
    world.input(DRIVER, NodeInput::Placement(PlacementInput::Quiet));
    let machine = world.process(DRIVER).and_then(Node::as_placement).expect("it is up");
    assert_eq!(machine.answered, Err("that is not what it does".to_owned()));
    assert!(machine.driver.is_quiet);
}
