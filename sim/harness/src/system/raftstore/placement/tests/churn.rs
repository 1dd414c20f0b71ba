//! Churn: much happens, and nothing that a careful driver would not do. The model checks each order that is carried out.

use proptest::prelude::*;
use raft_proto::metapb::PeerRole;

use super::model::{Done, Model};
use super::*;
use crate::scenario::Churn;

#[derive(Clone, Debug)]
enum Event {
    Rounds(usize),
    Down(u64),
    Up(u64),
    Crash(bool),
    /// Something that was told arrives once more.
    Again(prop::sample::Index),
    /// A replica falls behind.
    Lags(prop::sample::Index),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (1..12usize).prop_map(Event::Rounds),
        1 => (1..=5u64).prop_map(Event::Down),
        2 => (1..=5u64).prop_map(Event::Up),
        1 => any::<bool>().prop_map(Event::Crash),
        4 => any::<prop::sample::Index>().prop_map(Event::Again),
        2 => any::<prop::sample::Index>().prop_map(Event::Lags),
    ];
    prop::collection::vec(event, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_order_breaks_a_rule(stores in 3..=5u64, events in events()) {
        let mut model = Model::new(PlacementMode::Churn, stores, &[(vec![1, 2, 3], vec![]), (vec![2], vec![3])]);
        for event in events {
            match event {
                Event::Rounds(rounds) => (0..rounds).for_each(|_| { model.round(); model.sync(); }),
                Event::Down(store) => drop(model.up.remove(&store)),
                Event::Up(store) => drop((store <= stores).then(|| model.up.insert(store))),
                Event::Crash(kept) => model.crash(kept),
                Event::Again(place) if !model.told.is_empty() => {
                    let (store, heartbeat) = place.get(&model.told).clone();
                    model.tell(store, heartbeat);
                }
                Event::Again(_) => {}
                Event::Lags(place) => {
                    let group = model.groups.values_mut().next().unwrap();
                    let leader = group.leader;
                    let peer = place.get(&group.region.peers);
                    if peer.store_id != leader {
                        group.lagging.insert(peer.id);
                    }
                }
            }
        }
    }
}

/// What a driver for one kind of churn begins when one region tells this.
fn begun(kind: Churn, heartbeat: RegionHeartbeatRequest) -> Vec<String> {
    let mut scenario = scenario(PlacementMode::Churn, 3);
    scenario.placement.as_mut().unwrap().churn = vec![kind];
    let mut driver = Driver::new(&scenario).unwrap();
    driver.on_start(Time::ZERO, None, 3, &mut Effects::default());
    driver.hear_stores(at(4_000), 1..=3);
    driver.hear(at(4_000), 1, heartbeat);
    let mut fx = Effects::default();
    driver.on_timer(at(4_000), &mut fx);
    words(&fx.send)
}

#[test]
fn an_empty_region_is_not_split() {
    let told = heartbeat(&region(1, ("", ""), (1, 1), &[1, 2, 3]), 1, 5);
    let empty = RegionHeartbeatRequest { approximate_size: 0, ..told.clone() };
    assert_eq!(begun(Churn::Splits, empty), [""; 0]);
    assert_eq!(begun(Churn::Splits, told), ["1: region 1: split"]);
}

#[test]
fn nothing_begins_in_a_joint_configuration() {
    let mut members = region(1, ("", ""), (1, 1), &[1, 2]);
    assert_eq!(begun(Churn::Leaders, heartbeat(&members, 1, 5)), ["1: region 1: transfer to 2"]);
    members.peers.push(Peer { role: PeerRole::LeavingVoter as i32, ..peer(103, 3) });
    assert_eq!(begun(Churn::Leaders, heartbeat(&members, 1, 5)), [""; 0]);
}

/// What 500 rounds of one driver did.
fn churned(kinds: &[Churn]) -> (Done, Model) {
    let mut model = Model::new(PlacementMode::Churn, 5, &[(vec![1, 2, 3], vec![])]);
    model.driver = Driver::new(&{
        let mut scenario = scenario(PlacementMode::Churn, 5);
        scenario.placement.as_mut().unwrap().churn = kinds.to_vec();
        scenario
    })
    .unwrap();
    model.driver.on_start(Time::ZERO, None, 3, &mut Effects::default());
    model.driver.on_durable(Time::ZERO, &mut Effects::default());
    for _ in 0..500 {
        model.round();
        model.driver.on_durable(model.now, &mut Effects::default());
    }
    (model.done, model)
}

#[test]
fn everything_happens() {
    let (done, model) = churned(&[Churn::Peers, Churn::Leaders, Churn::Splits]);
    assert!(done.changes > 40 && done.joint > 10 && done.transfers > 20 && done.direct > 0, "{done:?}");
    assert_eq!(model.groups.len(), 24, "splits stop at some time");
}

#[test]
fn only_what_was_asked_for_happens() {
    let (leaders, _) = churned(&[Churn::Leaders]);
    assert_eq!(leaders, Done { transfers: leaders.transfers, ..Done::default() });
    let (splits, _) = churned(&[Churn::Splits]);
    assert_eq!(splits, Done { splits: 23, ..Done::default() });
    let (peers, _) = churned(&[Churn::Peers]);
    assert!(peers.changes > 40 && peers.splits == 0, "{peers:?}");
}

#[test]
fn two_drivers_with_one_seed_do_the_same_and_with_another_something_else() {
    let orders = |seed| {
        let mut driver = Driver::new(&scenario(PlacementMode::Churn, 5)).unwrap();
        driver.on_start(Time::ZERO, None, seed, &mut Effects::default());
        driver.on_durable(Time::ZERO, &mut Effects::default());
        let mut all = Vec::new();
        for round in 1..40 {
            let now = at(500 * round);
            driver.hear_stores(now, 1..=5);
            let mut fx = Effects::default();
            all.extend(words(&driver.hear(
                now,
                1,
                heartbeat(&region(1, ("", ""), (1, 1), &[1, 2, 3]), 1, 5),
            )));
            driver.on_timer(now, &mut fx);
            all.extend(words(&fx.send));
        }
        all
    };
    assert_eq!(orders(1), orders(1));
    assert_ne!(orders(1), orders(2));
}
