//! The driver among stores: what becomes of regions, and that it comes to rest.

use bytes::Bytes;
use proptest::prelude::*;
use raft_proto::metapb::RegionEpoch;
use raftsim_harness::scenario::{PlacementMode, Transition};
use raftsim_harness::system::{MemberChange, Order, Placement};
use raftsim_kernel::{Duration, Ppm};

use super::model::{END, Group, Model, Trouble, change, change_by, config, key};

/// A cluster of this many stores and regions, each with so many replicas on neighbouring stores.
fn cluster(seed: u64, stores: u64, placed: &[(u64, u64)], mode: PlacementMode) -> Model {
    let mut model = Model::new(seed, stores, config(mode));
    let width = (END) / u32::try_from(placed.len()).unwrap();
    for (place, (first, replicas)) in (0u32..).zip(placed) {
        let end = if place as usize + 1 == placed.len() { END } else { (place + 1) * width };
        let on: Vec<u64> = (0..*replicas.min(&stores)).map(|n| (first + n) % stores + 1).collect();
        let id = u64::from(place) + 1;
        model.groups.insert(id, Group::new(id, (place * width, end), &on));
    }
    model
}

/// Whether nothing is left to do for a balancing driver.
fn assert_balanced(model: &Model) {
    for group in model.groups.values() {
        assert_eq!(group.voters().len(), model.wanted(), "{group:#?}");
        assert!(group.learners().is_empty() && !group.is_joint(), "{group:#?}");
    }
    let (voters, leaders) = model.loads();
    assert!(voters.values().max().unwrap() - voters.values().min().unwrap() <= 1, "{voters:?}");
    for group in model.groups.values() {
        let least = group.voters().iter().map(|store| leaders[store]).min().unwrap();
        assert!(leaders[&group.leader.store_id] <= least + 1, "{leaders:?} {group:#?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn balance_comes_to_rest_from_any_start(
        seed: u64,
        stores in 1..6u64,
        placed in prop::collection::vec((0..5u64, 1..6u64), 1..20),
        troubled: bool,
    ) {
        let mut model = cluster(seed, stores, &placed, PlacementMode::Balance);
        if troubled {
            model.trouble = Trouble::all();
            model.run(Duration::secs(60));
            model.trouble = Trouble::default();
        }
        model.run(Duration::secs(300));
        assert_balanced(&model);
        let orders = model.orders;
        model.run(Duration::secs(30));
        prop_assert_eq!(model.orders, orders, "it goes on");
    }

    #[test]
    fn churn_keeps_to_the_rules(
        seed: u64,
        stores in 3..7u64,
        placed in prop::collection::vec((0..5u64, 3..4u64), 1..6),
    ) {
        let mut model = cluster(seed, stores, &placed, PlacementMode::Churn);
        model.trouble = Trouble::all();
        model.run(Duration::secs(120));
        prop_assert!(model.orders > 0);
        // It comes to rest when told to, whatever was under way.
        model.trouble = Trouble::default();
        model.driver.quiet();
        model.run(Duration::secs(90));
        let orders = model.orders;
        model.run(Duration::secs(30));
        prop_assert_eq!(model.orders, orders, "it goes on");
        prop_assert!(model.groups.values().all(|group| !group.is_joint()));
    }
}

#[test]
fn churn_does_everything_there_is() {
    let mut model = cluster(7, 5, &[(0, 3), (1, 3), (2, 3)], PlacementMode::Churn);
    model.run(Duration::secs(600));
    let done = model.done;
    let counts =
        [done.added, done.learned, done.promoted, done.removed, done.joint, done.transferred, done.split];
    assert!(counts.iter().all(|count| *count > 0), "{done:?}");
    assert!(done.abdicated > 0, "leaders are removed directly, too: {done:?}");
    assert!(done.abdicated * 2 < done.removed, "but seldom: {done:?}");
}

#[test]
fn replicas_of_a_dead_store_are_replaced() {
    let mut model = cluster(3, 5, &[(0, 3), (1, 3), (2, 3), (3, 3)], PlacementMode::Balance);
    model.run(Duration::secs(60));
    assert_balanced(&model);
    model.dead.insert(2);
    model.run(Duration::secs(9));
    assert!(
        model.groups.values().any(|group| group.voters().contains(&2)),
        "it has not given the store up yet"
    );
    model.run(Duration::secs(120));
    assert!(model.groups.values().all(|group| !group.voters().contains(&2)));
    assert_balanced(&model);
    // A new life does not take stores for dead that it has not heard of yet.
    let orders = model.orders;
    model.crash();
    model.run(Duration::secs(30));
    assert_eq!(model.orders, orders);
}

#[test]
fn a_vote_is_taken_away_only_while_others_keep_up() {
    let mut model = cluster(3, 5, &[(0, 4)], PlacementMode::Balance);
    // One voter is too many, and its removal is ordered in vain.
    model.trouble.refusal = Ppm::ALWAYS;
    model.run(Duration::secs(10));
    assert!(model.orders > 0);
    let group = model.groups.get_mut(&1).unwrap();
    let kept = group.leader.store_id;
    group.fall_behind(kept % 4 + 1, model.now + Duration::secs(20));
    group.fall_behind((kept + 1) % 4 + 1, model.now + Duration::secs(20));
    model.run(Duration::secs(2));
    let orders = model.orders;
    // The model asserts that nothing bad is carried out from here on.
    model.trouble.refusal = Ppm::ZERO;
    model.run(Duration::secs(5));
    assert_eq!((model.orders, model.groups[&1].voters().len()), (orders, 4));
    model.run(Duration::secs(60));
    assert_eq!(model.groups[&1].voters().len(), 3);
}

#[test]
fn without_a_place_for_another_replica_a_dead_one_stays() {
    let mut model = cluster(3, 3, &[(0, 3)], PlacementMode::Balance);
    model.run(Duration::secs(10));
    model.dead.insert(2);
    model.run(Duration::secs(60));
    assert_eq!(model.groups[&1].voters().len(), 3);
}

fn sorted(mut stores: Vec<u64>) -> Vec<u64> {
    stores.sort_unstable();
    stores
}

#[test]
fn orders_are_carried_out_and_nothing_else_is() {
    let mut model = cluster(11, 5, &[(0, 2), (1, 3)], PlacementMode::Manual);
    model.trouble = Trouble { crash: Ppm::ZERO, ..Trouble::all() };
    model.run(Duration::secs(30));
    assert_eq!(model.orders, 0);
    let whole = |model: &mut Model, order: Order| {
        assert_eq!(model.order(&order), Ok(()));
        model.run(Duration::secs(25));
    };
    whole(&mut model, change(&[3], &[4], &[]));
    assert_eq!((sorted(model.groups[&1].voters()), model.groups[&1].learners()), (vec![1, 2, 3], vec![4]));
    whole(&mut model, change(&[4], &[], &[1, 2]));
    assert_eq!(sorted(model.groups[&1].voters()), [3, 4]);
    assert!(model.done.joint >= 2 && !model.groups[&1].is_joint());
    model.trouble.election = Ppm::ZERO;
    let to = if model.groups[&1].leader.store_id == 3 { 4 } else { 3 };
    whole(&mut model, Order::Transfer { key: key(5), to });
    assert_eq!(model.groups[&1].leader.store_id, to);
    whole(&mut model, Order::Split { key: key(100) });
    assert_eq!(model.groups[&1].region.end_key, key(100));
    assert!(model.groups.values().any(|group| group.region.start_key == key(100)));
    let orders = model.orders;
    model.run(Duration::secs(30));
    assert_eq!(model.orders, orders, "nothing is ordered twice");
    assert_eq!(model.groups[&2].epoch(), RegionEpoch { conf_ver: 1, version: 1 });
}

#[test]
fn a_joint_configuration_lasts_as_long_as_ordered() {
    let mut model = cluster(5, 4, &[(0, 2)], PlacementMode::Manual);
    model.run(Duration::secs(2));
    assert_eq!(model.order(&change_by(Transition::Implicit, &[3], &[], &[])), Ok(()));
    model.run(Duration::secs(5));
    assert_eq!((model.done.joint, model.done.left), (1, 1));
    assert_eq!(model.order(&change_by(Transition::Explicit, &[4], &[], &[1])), Ok(()));
    model.run(Duration::secs(60));
    assert!(model.groups[&1].is_joint());
    assert_eq!(sorted(model.groups[&1].voters()), [2, 3, 4]);
    let leave = Order::Change { key: Bytes::new(), change: MemberChange::Leave };
    assert_eq!(model.order(&leave), Ok(()));
    model.run(Duration::secs(5));
    assert_eq!((model.done.joint, model.done.left), (2, 2));
    assert!(!model.groups[&1].is_joint());
}

#[test]
fn an_order_that_waits_blocks_no_other() {
    let mut model = cluster(5, 4, &[(0, 3)], PlacementMode::Manual);
    model.run(Duration::secs(2));
    assert_eq!(model.order(&change_by(Transition::Explicit, &[], &[3], &[])), Ok(()));
    model.run(Duration::secs(5));
    assert!(model.groups[&1].is_joint());
    // A joint configuration has to be left before the next change.
    assert_eq!(model.order(&change(&[4], &[], &[])), Ok(()));
    let leave = Order::Change { key: Bytes::new(), change: MemberChange::Leave };
    assert_eq!(model.order(&leave), Ok(()));
    model.run(Duration::secs(10));
    assert_eq!((sorted(model.groups[&1].voters()), model.groups[&1].learners()), (vec![1, 2, 4], vec![3]));
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let mut model = cluster(1, 3, &[(0, 2)], PlacementMode::Manual);
    model.run(Duration::secs(2));
    assert!(model.order(&change(&[9], &[], &[])).is_err(), "there is no such store");
    assert!(model.order(&change(&[3], &[3], &[])).is_err(), "twice");
    model.run(Duration::secs(5));
    assert_eq!(model.orders, 0);
}

#[test]
fn one_order_at_a_time_and_the_same_one_once() {
    let mut model = cluster(1, 4, &[(0, 2)], PlacementMode::Manual);
    model.run(Duration::secs(2));
    // No leader hears of it.
    model.trouble.loss = Ppm::ALWAYS;
    assert_eq!(model.order(&change(&[3], &[], &[])), Ok(()));
    assert_eq!(model.order(&change(&[4], &[], &[])), Ok(()));
    assert_eq!(model.order(&change(&[3], &[], &[])), Ok(()));
    model.trouble.loss = Ppm::ZERO;
    model.run(Duration::secs(5));
    assert_eq!(sorted(model.groups[&1].voters()), [1, 2, 3, 4]);
    assert_eq!(model.done.added, 2);
}
