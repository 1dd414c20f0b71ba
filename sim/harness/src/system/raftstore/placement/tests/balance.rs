//! Balance: from wherever it begins, the cluster comes to equal shares, and then stays as it is.

use std::collections::BTreeMap;

use proptest::prelude::*;
use raft_proto::metapb::PeerRole;
use raft_proto::schedulerpb::StoreStats;

use super::model::Model;
use super::*;
use crate::scenario::Transition;
use crate::system::{MemberChange, Order};

const WANTED: usize = 3;

/// Goes on until nothing was carried out for 70 rounds, longer than any operator lives; at most 800 rounds.
fn settle(model: &mut Model) {
    let mut still = (model.done, 0);
    for _ in 0..800 {
        model.round();
        model.sync();
        still = if still.0 == model.done { (still.0, still.1 + 1) } else { (model.done, 0) };
        if still.1 == 70 {
            return;
        }
    }
    panic!("no rest: {:?} {:?}", model.done, model.groups);
}

/// Every region is complete, and shares are equal. Regions in which a quorum is gone cannot be helped.
fn check(model: &Model, lost: &[u64]) {
    let mut shares: BTreeMap<u64, (usize, usize)> = model.up.iter().map(|store| (*store, (0, 0))).collect();
    for (id, group) in model.groups.iter().filter(|(id, _)| !lost.contains(id)) {
        let peers = &group.region.peers;
        let live = peers.iter().filter(|peer| model.up.contains(&peer.store_id)).count();
        assert_eq!(live, WANTED.min(model.up.len()), "region {id}: {group:?}");
        // A dead store's replica stays only where there is no other store for it.
        assert!(
            peers.len() <= WANTED && peers.iter().all(|peer| peer.role() == PeerRole::Voter),
            "{group:?}"
        );
        for peer in peers {
            if let Some(share) = shares.get_mut(&peer.store_id) {
                share.0 += 1;
                share.1 += usize::from(peer.store_id == group.leader);
            }
        }
    }
    if model.up.len() < WANTED || !lost.is_empty() {
        return;
    }
    let replicas = || shares.values().map(|share| share.0);
    assert!(replicas().max() <= replicas().min().map(|least| least + 1), "replicas: {shares:?}");
    for group in model.groups.values() {
        for peer in group.region.peers.iter().filter(|peer| model.up.contains(&peer.store_id)) {
            assert!(
                shares[&group.leader].1 <= shares[&peer.store_id].1 + 1,
                "leaders: {shares:?}, {group:?}"
            );
        }
    }
}

/// For each region which stores vote (at least one) and which learn.
fn members(stores: u64) -> impl Strategy<Value = Vec<(Vec<u64>, Vec<u64>)>> {
    let roles = prop::collection::vec(0..3u8, usize::try_from(stores).unwrap());
    let of_role =
        |roles: &[u8], role| (1u64..).zip(roles).filter(|(_, r)| **r == role).map(|(s, _)| s).collect();
    let region = roles.prop_map(move |roles| {
        let (mut voters, learners): (Vec<u64>, Vec<u64>) = (of_role(&roles, 0), of_role(&roles, 1));
        if voters.is_empty() {
            voters.extend((1..=stores).find(|store| !learners.contains(store)));
        }
        if voters.is_empty() { (vec![1], Vec::new()) } else { (voters, learners) }
    });
    prop::collection::vec(region, 1..=20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_cluster_comes_to_balance_and_to_rest(
        (stores, members, dead) in (1..=5u64).prop_flat_map(|stores| {
            (Just(stores), members(stores), prop::option::weighted(0.4, 1..=stores))
        }),
        crashes in prop::collection::vec((1..40usize, any::<bool>()), 0..3),
    ) {
        let mut model = Model::new(PlacementMode::Balance, stores, &members);
        let dead = dead.filter(|_| stores > 1);
        // Nobody can lead where the majority was on the dead store.
        let is_lost = |voters: &[u64]| dead.is_some_and(|dead| voters.contains(&dead) && voters.len() <= 2);
        let lost: Vec<u64> = (1u64..).zip(&members).filter(|(_, (voters, _))| is_lost(voters)).map(|(id, _)| id).collect();
        if let Some(dead) = dead {
            model.up.remove(&dead);
        }
        // The driver goes and comes in the middle of it.
        for (rounds, kept) in crashes {
            for _ in 0..rounds {
                model.round();
            }
            model.sync();
            model.round();
            model.crash(kept);
        }
        settle(&mut model);
        check(&model, &lost);
    }
}

#[test]
fn a_dead_stores_replicas_are_replaced_and_a_returning_one_gets_its_share() {
    let members = vec![(vec![1, 2, 3], vec![]); 8];
    let mut model = Model::new(PlacementMode::Balance, 4, &members);
    settle(&mut model);
    check(&model, &[]);
    model.up.remove(&2);
    // 10 s of silence, and the time to replace them.
    for _ in 0..20 {
        model.round();
        model.sync();
    }
    assert!((1..=8).any(|region| model.voters(region).contains(&2)), "not before it counts as dead");
    settle(&mut model);
    assert!((1..=8).all(|region| model.voters(region) == [1, 3, 4]), "{:?}", model.groups);
    model.up.insert(2);
    settle(&mut model);
    check(&model, &[]);
}

#[test]
fn a_replica_goes_only_after_its_successor_keeps_up() {
    // The model itself checks that no change leaves fewer than three voters that keep up; here is the way in full.
    let mut model =
        Model::new(PlacementMode::Balance, 4, &[(vec![1, 2, 3], vec![]), (vec![1, 2, 3], vec![])]);
    let mut seen = Vec::new();
    for _ in 0..60 {
        model.round();
        model.sync();
        let now: Vec<(u64, i32)> =
            model.groups[&1].region.peers.iter().map(|peer| (peer.store_id, peer.role)).collect();
        if seen.last() != Some(&now) {
            seen.push(now);
        }
    }
    let (voter, learner) = (PeerRole::Voter as i32, PeerRole::Learner as i32);
    let (incoming, leaving) = (PeerRole::IncomingVoter as i32, PeerRole::LeavingVoter as i32);
    let gone = (1..=3)
        .find(|store| !model.voters(1).contains(store))
        .expect("one of the two regions moves: the first");
    let rest = |role: i32| (1..=3).map(move |store| (store, if store == gone { role } else { voter }));
    let way: Vec<Vec<(u64, i32)>> = vec![
        rest(voter).collect(),
        rest(voter).chain([(4, learner)]).collect(),
        rest(leaving).chain([(4, incoming)]).collect(),
        rest(voter).filter(|(store, _)| *store != gone).chain([(4, voter)]).collect(),
    ];
    assert_eq!(seen, way);
}

#[test]
fn a_driver_that_was_told_to_be_quiet_is() {
    // Before anything began, and when operators are under way.
    for rounds in [5, 8] {
        let mut model = Model::new(PlacementMode::Balance, 3, &vec![(vec![1], vec![]); 4]);
        for _ in 0..rounds {
            model.round();
            model.sync();
        }
        assert_eq!(model.done.changes > 0, rounds == 8);
        model.driver.quiet();
        let mut fx = Effects::default();
        model.driver.clone().on_timer(model.now, &mut fx);
        assert_eq!((fx.send, fx.wake), (Vec::new(), None));
        let done = model.done;
        for _ in 0..50 {
            model.round();
            model.sync();
        }
        assert_eq!(model.done, done);
        let change = MemberChange::Members {
            add: vec![2, 3],
            learn: Vec::new(),
            remove: Vec::new(),
            transition: Transition::Auto,
            first_id: 0,
        };
        model.order(&Order::Change { key: "a".into(), change }).unwrap();
        model.round();
        assert_eq!(model.voters(4), [1, 2, 3], "orders are still carried out");
    }
}

/// What a driver for balance begins when one region tells this, of a cluster of four live stores.
fn begun(heartbeat: RegionHeartbeatRequest) -> Vec<String> {
    let mut driver = driver(PlacementMode::Balance, 4);
    driver.hear_stores(at(4_000), 1..=4);
    driver.hear(at(4_000), 1, heartbeat);
    let mut fx = Effects::default();
    driver.on_timer(at(4_000), &mut fx);
    words(&fx.send)
}

#[test]
fn a_learner_that_is_on_its_way_is_waited_for() {
    let mut three = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    three.peers[2].role = PeerRole::Learner as i32;
    assert_eq!(begun(heartbeat(&three, 1, 5)), ["1: region 1: add 103 on 3"]);
    let behind = RegionHeartbeatRequest { pending_peers: vec![three.peers[2]], ..heartbeat(&three, 1, 5) };
    assert_eq!(begun(behind), [""; 0], "not even the leader: there is nobody better");
}

/// A store's heartbeat after it has lost its disk.
fn hear_of_loss(driver: &mut Driver, now: Time, store: u64, replica_floor: u64) {
    let stats = Some(StoreStats { store_id: store, replica_floor, ..StoreStats::default() });
    let heartbeat = request::Payload::StoreHeartbeat(StoreHeartbeatRequest { stats });
    driver.on_request(now, store, ask(store, heartbeat), &mut Effects::default());
}

/// What a driver orders region 1 of its own accord, once a second from one moment to another, in a cluster where these stores live
/// and a region's leader on store 1 tells this.
fn ordered(
    driver: &mut Driver,
    seconds: std::ops::Range<u64>,
    live: &[u64],
    heartbeat: &RegionHeartbeatRequest,
) -> Vec<String> {
    let mut sent = Vec::new();
    for second in seconds {
        let now = at(second * 1_000);
        driver.hear_stores(now, live.iter().copied());
        sent.extend(driver.hear(now, 1, heartbeat.clone()));
        let mut fx = Effects::default();
        driver.on_timer(now, &mut fx);
        sent.extend(fx.send);
    }
    let mut words = words(&sent);
    words.retain(|words| words.contains("region 1:"));
    words.dedup();
    words
}

#[test]
fn a_replica_that_was_lost_with_a_disk_goes_and_another_comes_on_the_same_store() {
    let mut driver = driver(PlacementMode::Balance, 3);
    let three = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    let behind = RegionHeartbeatRequest { pending_peers: vec![three.peers[2]], ..heartbeat(&three, 1, 5) };
    assert_eq!(ordered(&mut driver, 4..8, &[1, 2, 3], &behind), [""; 0], "it may come back");
    hear_of_loss(&mut driver, at(8_000), 3, 103);
    assert_eq!(ordered(&mut driver, 8..9, &[1, 2, 3], &behind), ["1: region 1: remove 103 on 3"]);
    let two = heartbeat(&region(1, ("", ""), (1, 2), &[1, 2]), 1, 5);
    assert_eq!(ordered(&mut driver, 9..11, &[1, 2, 3], &two), ["1: region 1: learn 1000 on 3"]);
    // What came after the loss is as good as any other.
    let mut whole = region(1, ("", ""), (1, 4), &[1, 2, 3]);
    whole.peers[2].id = 1_000;
    assert_eq!(ordered(&mut driver, 11..20, &[1, 2, 3], &heartbeat(&whole, 1, 5)), [""; 0]);
}

#[test]
fn a_lost_replica_whose_fellows_do_not_keep_up_stays() {
    let mut driver = driver(PlacementMode::Balance, 3);
    let three = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    hear_of_loss(&mut driver, at(4_000), 3, 103);
    let pending_peers = three.peers[1..].to_vec();
    let behind = RegionHeartbeatRequest { pending_peers, ..heartbeat(&three, 1, 5) };
    // To take the vote from it is all the same to a quorum: two of three are needed, and two of two.
    assert_eq!(ordered(&mut driver, 4..5, &[1, 2, 3], &behind), ["1: region 1: remove 103 on 3"]);
}

#[test]
fn a_move_gives_way_to_repair_when_a_store_dies() {
    // Two regions on three of four stores: one of them begins to move a replica to the fourth.
    let begin = |driver: &mut Driver| {
        let two = [region(1, ("", "m"), (1, 1), &[1, 2, 3]), region(2, ("m", ""), (1, 1), &[1, 2, 3])];
        driver.hear_stores(at(4_000), 1..=4);
        two.iter().for_each(|region| drop(driver.hear(at(4_000), 1, heartbeat(region, 1, 5))));
        let mut fx = Effects::default();
        driver.on_timer(at(4_000), &mut fx);
        assert_eq!(words(&fx.send)[0], "1: region 1: learn 1000 on 4");
        let mut region = region(1, ("", "m"), (1, 2), &[1, 2, 3, 4]);
        (region.peers[3].id, region.peers[3].role) = (1_000, PeerRole::Learner as i32);
        RegionHeartbeatRequest { pending_peers: vec![region.peers[3]], ..heartbeat(&region, 1, 5) }
    };
    // The store that it goes to dies: what it left there goes as soon as that is known, and not only when time is up.
    let mut driver = driver(PlacementMode::Balance, 4);
    let moving = begin(&mut driver);
    assert_eq!(ordered(&mut driver, 5..14, &[1, 2, 3], &moving), [""; 0]);
    assert_eq!(ordered(&mut driver, 14..17, &[1, 2, 3], &moving), ["1: region 1: remove 1000 on 4"]);
}

#[test]
fn nothing_is_decided_before_the_cluster_had_time_to_tell_of_itself() {
    let mut driver = driver(PlacementMode::Balance, 3);
    let mut fx = Effects::default();
    driver.hear_stores(at(100), 1..=3);
    driver.hear(at(100), 1, heartbeat(&region(1, ("", ""), (1, 1), &[1]), 1, 5));
    driver.on_timer(at(2_900), &mut fx);
    assert_eq!(fx.send, []);
    driver.on_timer(at(3_000), &mut fx);
    assert_eq!(words(&fx.send), ["1: region 1: learn 1000 on 2"]);
}

#[test]
fn regions_that_fell_silent_do_not_keep_the_others_waiting() {
    let mut driver = driver(PlacementMode::Balance, 3);
    let cuts = ["", "b", "c", "d", "e", "f", ""];
    let lonely = |id: usize| region(id as u64, (cuts[id - 1], cuts[id]), (1, 1), &[1]);
    let mut tick = |millis, regions: std::ops::RangeInclusive<usize>| {
        driver.hear_stores(at(millis), 1..=3);
        for id in regions {
            driver.hear(at(millis), 1, heartbeat(&lonely(id), 1, 5));
        }
        let mut fx = Effects::default();
        driver.on_timer(at(millis), &mut fx);
        words(&fx.send).len()
    };
    assert_eq!(tick(4_000, 1..=6), 4, "four operators at a time");
    assert_eq!(tick(33_000, 5..=5), 0, "which may take 30 s");
    // Those four are given up, and 1..=4 and 6 told nothing for 5 s: begin nothing there.
    assert_eq!(tick(34_000, 5..=5), 1);
}
