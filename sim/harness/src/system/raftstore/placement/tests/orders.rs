//! Orders of a scenario, the requests of stores, and what goes back to them.

use raft_proto::metapb::PeerRole;
use raft_proto::schedulerpb::AskSplitRequest;

use super::model::Model;
use super::*;
use crate::scenario::Transition;
use crate::system::{MemberChange, Order};

/// These stores become voters, learners, or leave.
fn change(add: &[u64], learn: &[u64], remove: &[u64]) -> Order {
    let [add, learn, remove] = [add, learn, remove].map(<[u64]>::to_vec);
    let change = MemberChange::Members { add, learn, remove, transition: Transition::Auto, first_id: 0 };
    Order::Change { key: "k".into(), change }
}

fn give(driver: &mut Driver, now: u64, order: &Order) -> Vec<String> {
    let mut fx = Effects::default();
    driver.on_order(at(now), order, &mut fx).unwrap();
    words(&fx.send)
}

#[test]
fn an_order_goes_out_at_once_and_with_each_heartbeat_until_it_is_done() {
    let mut driver = driver(PlacementMode::Manual, 4);
    let before = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    let sent = driver.hear(at(1), 1, heartbeat(&before, 1, 5));
    assert!(matches!(&sent[..], [(1, response)] if is_confirmation(response)), "{sent:?}");
    let order = ["1: region 1: add 1000 on 4, remove 102 on 2"];
    assert_eq!(give(&mut driver, 2, &change(&[4], &[], &[2])), order);
    assert_eq!(words(&driver.hear(at(3), 1, heartbeat(&before, 1, 5))), order);
    // Another leader gets it then; one that is deposed does not any more.
    let order = ["3: region 1: add 1000 on 4, remove 102 on 2"];
    assert_eq!(words(&driver.hear(at(4), 3, heartbeat(&before, 3, 6))), order);
    assert_eq!(driver.hear(at(5), 1, heartbeat(&before, 1, 5)), []);
    let mut after = region(1, ("", ""), (1, 3), &[1, 3]);
    after.peers.push(peer(1000, 4));
    let sent = driver.hear(at(6), 3, heartbeat(&after, 3, 6));
    assert!(matches!(&sent[..], [(3, response)] if is_confirmation(response)), "{sent:?}");
}

#[test]
fn an_order_names_the_leader_and_the_epoch_that_it_is_for() {
    let mut driver = driver(PlacementMode::Manual, 4);
    let known = region(1, ("", ""), (2, 7), &[1, 2, 3]);
    driver.hear(at(1), 2, heartbeat(&known, 2, 5));
    let mut fx = Effects::default();
    driver.on_order(at(2), &Order::Transfer { key: "k".into(), to: 3 }, &mut fx).unwrap();
    let [(2, Response { payload: Some(response::Payload::RegionHeartbeat(order)) })] = &fx.send[..] else {
        panic!()
    };
    let header = (order.region_id, order.region_epoch, order.target_peer);
    assert_eq!(header, (1, known.region_epoch, Some(peer(102, 2))));
    assert_eq!(order.transfer_leader.unwrap().peer, Some(peer(103, 3)));
}

#[test]
fn a_region_has_one_operator_at_a_time_and_orders_keep_their_order() {
    let mut driver = driver(PlacementMode::Manual, 5);
    let three = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    driver.hear(at(1), 1, heartbeat(&three, 1, 5));
    assert_eq!(give(&mut driver, 2, &change(&[4], &[], &[])), ["1: region 1: add 1000 on 4"]);
    assert_eq!(give(&mut driver, 3, &change(&[], &[], &[2])), [""; 0]);
    assert_eq!(give(&mut driver, 4, &Order::Transfer { key: "k".into(), to: 4 }), [""; 0]);
    assert_eq!(words(&driver.hear(at(5), 1, heartbeat(&three, 1, 5))), ["1: region 1: add 1000 on 4"]);
    let mut four = region(1, ("", ""), (1, 2), &[1, 2, 3]);
    four.peers.push(peer(1000, 4));
    assert_eq!(words(&driver.hear(at(6), 1, heartbeat(&four, 1, 5))), ["1: region 1: remove 102 on 2"]);
    let mut again = region(1, ("", ""), (1, 3), &[1, 3]);
    again.peers.push(peer(1000, 4));
    assert_eq!(words(&driver.hear(at(7), 1, heartbeat(&again, 1, 5))), ["1: region 1: transfer to 4"]);
}

#[test]
fn parts_change_by_the_replicas_that_are_there() {
    let mut driver = driver(PlacementMode::Manual, 5);
    let mut members = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    members.peers[2].role = PeerRole::Learner as i32;
    driver.hear(at(1), 1, heartbeat(&members, 1, 5));
    // 3 is promoted, 2 demoted, 4 comes to learn, 5 is not there to be removed.
    let order = change(&[1, 3], &[2, 4], &[5]);
    assert_eq!(give(&mut driver, 2, &order), ["1: region 1: add 103 on 3, learn 102 on 2, learn 1000 on 4"]);
}

#[test]
fn orders_wait_for_what_they_need() {
    // For ids to be durable, and for a region that holds the key.
    let mut driver = Driver::new(&scenario(PlacementMode::Manual, 4)).unwrap();
    driver.on_start(Time::ZERO, None, 1, &mut Effects::default());
    assert_eq!(give(&mut driver, 1, &change(&[4], &[], &[])), [""; 0]);
    driver.hear(at(2), 1, heartbeat(&region(1, ("", "c"), (2, 1), &[1]), 1, 5));
    let three = region(2, ("c", ""), (2, 1), &[1, 2, 3]);
    assert_eq!(words(&driver.hear(at(3), 2, heartbeat(&three, 2, 5))), [""; 0]);
    // What needs no ids does not overtake.
    assert_eq!(give(&mut driver, 3, &Order::Transfer { key: "k".into(), to: 3 }), [""; 0]);
    let mut fx = Effects::default();
    driver.on_durable(at(4), &mut fx);
    assert_eq!(words(&fx.send), ["2: region 2: add 1000 on 4"]);
}

#[test]
fn an_order_that_makes_no_sense_yet_lets_others_pass() {
    let mut driver = driver(PlacementMode::Manual, 4);
    let mut three = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    driver.hear(at(1), 1, heartbeat(&three, 1, 5));
    assert_eq!(give(&mut driver, 2, &Order::Transfer { key: "k".into(), to: 4 }), [""; 0]);
    assert_eq!(give(&mut driver, 3, &change(&[4], &[], &[])), ["1: region 1: add 1000 on 4"]);
    three.peers.push(peer(1000, 4));
    three.region_epoch.as_mut().unwrap().conf_ver = 2;
    assert_eq!(words(&driver.hear(at(4), 1, heartbeat(&three, 1, 5))), ["1: region 1: transfer to 4"]);
    driver.hear(at(5), 4, heartbeat(&three, 4, 6));

    three.region_epoch.as_mut().unwrap().conf_ver = 3;
    three.peers[0].role = PeerRole::LeavingVoter as i32;
    driver.hear(at(6), 4, heartbeat(&three, 4, 6));
    assert_eq!(give(&mut driver, 7, &change(&[], &[], &[2])), [""; 0], "the configuration is joint");
    let leave = Order::Change { key: "k".into(), change: MemberChange::Leave };
    assert_eq!(give(&mut driver, 8, &leave), ["4: region 1: leave joint"]);
    three.peers.remove(0);
    three.region_epoch.as_mut().unwrap().conf_ver = 4;
    assert_eq!(words(&driver.hear(at(9), 4, heartbeat(&three, 4, 6))), ["4: region 1: remove 102 on 2"]);
}

#[test]
fn what_is_so_already_is_not_ordered() {
    let mut driver = driver(PlacementMode::Manual, 4);
    driver.hear(at(1), 1, heartbeat(&region(1, ("k", ""), (2, 1), &[1, 2, 3]), 1, 5));
    let key = || bytes::Bytes::from("k");
    let leave = Order::Change { key: key(), change: MemberChange::Leave };
    for order in [
        change(&[1, 2], &[], &[4]),
        leave,
        Order::Transfer { key: key(), to: 1 },
        Order::Split { key: key() },
    ] {
        assert_eq!(give(&mut driver, 2, &order), [""; 0], "{order:?}");
    }
    assert_eq!(
        give(&mut driver, 3, &change(&[], &[], &[3])),
        ["1: region 1: remove 103 on 3"],
        "none of them is in the way"
    );
}

#[test]
fn orders_that_make_no_sense_are_refused() {
    let mut driver = driver(PlacementMode::Manual, 3);
    let bad = [
        change(&[4], &[], &[]),
        change(&[2], &[], &[2]),
        Order::Transfer { key: "k".into(), to: 0 },
        Order::Split { key: "".into() },
    ];
    for order in bad {
        assert!(driver.on_order(at(1), &order, &mut Effects::default()).is_err(), "{order:?}");
    }
}

#[test]
fn an_order_follows_its_key_when_the_region_is_split() {
    let mut driver = driver(PlacementMode::Manual, 4);
    driver.hear(at(1), 1, heartbeat(&region(1, ("", ""), (1, 1), &[1, 2, 3]), 1, 5));
    assert_eq!(give(&mut driver, 2, &change(&[], &[], &[3])), ["1: region 1: remove 103 on 3"]);
    assert_eq!(
        words(&driver.hear(at(3), 1, heartbeat(&region(1, ("", "c"), (2, 1), &[1, 2, 3]), 1, 5))),
        [""; 0]
    );
    let right = region(2, ("c", ""), (2, 1), &[1, 2, 3]);
    assert_eq!(words(&driver.hear(at(4), 2, heartbeat(&right, 2, 5))), ["2: region 2: remove 103 on 3"]);
}

#[test]
fn an_order_is_given_up_after_a_long_time() {
    let mut driver = driver(PlacementMode::Manual, 4);
    let known = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    driver.hear(at(1), 1, heartbeat(&known, 1, 5));
    give(&mut driver, 0, &change(&[4], &[], &[]));
    assert_eq!(words(&driver.hear(at(599_999), 1, heartbeat(&known, 1, 5))).len(), 1);
    assert_eq!(words(&driver.hear(at(600_000), 1, heartbeat(&known, 1, 5))), [""; 0]);
    // And so is one that never began.
    give(&mut driver, 600_000, &Order::Transfer { key: "k".into(), to: 4 });
    let four = region(1, ("", ""), (1, 2), &[1, 2, 3, 4]);
    assert_eq!(words(&driver.hear(at(1_200_000), 1, heartbeat(&four, 1, 5))), [""; 0]);
}

#[test]
fn regions_are_split_where_it_is_ordered() {
    let mut model = Model::new(PlacementMode::Manual, 3, &[(vec![1, 2, 3], vec![])]);
    model.sync();
    for key in ["f", "c", "m", "c"] {
        model.order(&Order::Split { key: key.into() }).unwrap();
    }
    for _ in 0..5 {
        model.round();
    }
    let mut ranges: Vec<_> = model.groups.values().map(|group| group.region.clone()).collect();
    ranges.sort_by(|a, b| a.start_key.cmp(&b.start_key));
    let ranges: Vec<_> = ranges.iter().map(|region| (&region.start_key[..], &region.end_key[..])).collect();
    let cuts: [(&[u8], &[u8]); 4] = [(b"", b"c"), (b"c", b"f"), (b"f", b"m"), (b"m", b"")];
    assert_eq!(ranges, cuts);
}

#[test]
fn ids_for_a_split_are_given_for_the_current_epoch_alone() {
    let mut driver = driver(PlacementMode::Manual, 3);
    let current = region(1, ("", ""), (2, 3), &[1, 2, 3]);
    driver.hear(at(1), 1, heartbeat(&current, 1, 5));
    let mut asked = |store, region: Region| {
        let mut fx = Effects::default();
        let payload =
            request::Payload::AskSplit(AskSplitRequest { region: Some(region), split_key: "k".into() });
        driver.on_request(at(2), store, ask(store, payload), &mut fx);
        fx.send
    };
    assert_eq!(asked(1, region(1, ("", ""), (1, 9), &[1, 2, 3])), [], "before a split");
    assert_eq!(asked(1, region(1, ("", ""), (2, 2), &[1, 2])), [], "before a change of members");
    assert_eq!(asked(1, region(9, ("", ""), (2, 3), &[1, 2, 3])), [], "not known");
    assert_eq!(asked(2, current.clone()), [], "not the leader");
    for first in [1000, 1004] {
        let sent = asked(1, current.clone());
        let [(1, Response { payload: Some(response::Payload::AskSplit(answer)) })] = &sent[..] else {
            panic!("{sent:?}")
        };
        assert_eq!(
            (answer.new_region_id, &answer.new_peer_ids[..]),
            (first, &[first + 1, first + 2, first + 3][..])
        );
        let asked = (answer.region_id, answer.region_epoch, &answer.split_key[..]);
        assert_eq!(asked, (1, current.region_epoch, &b"k"[..]));
    }
}

#[test]
fn who_asks_for_ids_before_any_are_durable_waits() {
    let mut driver = Driver::new(&scenario(PlacementMode::Manual, 3)).unwrap();
    driver.on_start(Time::ZERO, None, 1, &mut Effects::default());
    let current = region(1, ("", ""), (2, 3), &[1, 2, 3]);
    driver.hear(at(1), 1, heartbeat(&current, 1, 5));
    let payload =
        request::Payload::AskSplit(AskSplitRequest { region: Some(current), split_key: "k".into() });
    let mut fx = Effects::default();
    // Twice, as it comes over a network. One answer is enough.
    driver.on_request(at(2), 1, ask(1, payload.clone()), &mut fx);
    driver.on_request(at(3), 1, ask(1, payload), &mut fx);
    assert_eq!(fx.send, []);
    driver.on_durable(at(4), &mut fx);
    assert!(
        matches!(&fx.send[..], [(1, Response { payload: Some(response::Payload::AskSplit(_)) })]),
        "{fx:?}"
    );
}

#[test]
fn a_restarted_driver_gives_out_other_ids() {
    let mut driver = Driver::new(&scenario(PlacementMode::Manual, 4)).unwrap();
    let mut fx = Effects::default();
    driver.on_start(Time::ZERO, None, 1, &mut fx);
    let stored = fx.persist.clone();
    driver.on_durable(Time::ZERO, &mut fx);
    let known = heartbeat(&region(1, ("", ""), (1, 1), &[1, 2, 3]), 1, 5);
    driver.hear(at(1), 1, known.clone());
    assert_eq!(give(&mut driver, 2, &change(&[4], &[], &[])), ["1: region 1: add 1000 on 4"]);

    let mut driver = Driver::new(&scenario(PlacementMode::Manual, 4)).unwrap();
    driver.on_start(at(3), stored, 2, &mut Effects::default());
    driver.on_durable(at(3), &mut Effects::default());
    assert_eq!(words(&driver.hear(at(4), 1, known)), [""; 0], "the order is forgotten");
    assert_eq!(give(&mut driver, 5, &change(&[4], &[], &[])), ["1: region 1: add 1064 on 4"]);
}
