//! The driver on its own: what it gives out, what it knows, and what it says to whom.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;
use raft_proto::metapb::{Peer, Region, RegionEpoch};
use raft_proto::schedulerpb::{
    AskSplitRequest, GetRegionByIdRequest, GetRegionResponse, RegionHeartbeatRequest,
    RegionHeartbeatResponse, Request, Response, request, response,
};
use raftsim_harness::scenario::{ClusterConfig, PlacementMode, Scenario};
use raftsim_harness::system::raftstore::Driver;
use raftsim_harness::system::{Effects, Placement};
use raftsim_kernel::Time;

use super::model::{END, FIRST_ID, change, changes_of, config, is_order, key};

const ALL: (u32, u32) = (0, END);

/// A driver on its own, that has just booted.
fn driver(mode: PlacementMode) -> Driver {
    let mut scenario = Scenario::new("");
    scenario.cluster = ClusterConfig::of(5);
    scenario.placement = Some(config(mode));
    Driver::new(&scenario).unwrap()
}

fn boot(driver: &mut Driver, stored: Option<Bytes>) -> Option<Bytes> {
    let mut fx = Effects::default();
    driver.on_start(Time::ZERO, stored, 0, &mut fx);
    fx.persist
}

fn peer(id: u64, store_id: u64) -> Peer {
    Peer { id, store_id, role: 0 }
}

fn region(id: u64, (start, end): (u32, u32), version: u64, conf_ver: u64, stores: &[u64]) -> Region {
    Region {
        id,
        start_key: key(start),
        end_key: key(end),
        region_epoch: Some(RegionEpoch { conf_ver, version }),
        peers: stores.iter().map(|store| peer(id * 10 + store, *store)).collect(),
    }
}

/// Says something, and gives the answers.
fn say(driver: &mut Driver, store: u64, payload: request::Payload) -> Vec<(u64, response::Payload)> {
    let mut fx = Effects::default();
    let request = Request { store_id: store, payload: Some(payload) };
    driver.on_request(Time::ZERO, store, request, &mut fx);
    fx.send.into_iter().map(|(to, Response { payload })| (to, payload.unwrap())).collect()
}

/// The leader on a store tells of its region; gives the answer.
fn heartbeat(driver: &mut Driver, store: u64, term: u64, region: &Region) -> Option<RegionHeartbeatResponse> {
    let leader = region.peers.iter().find(|peer| peer.store_id == store).copied();
    let heartbeat =
        RegionHeartbeatRequest { region: Some(region.clone()), leader, term, ..Default::default() };
    let mut answers = say(driver, store, request::Payload::RegionHeartbeat(heartbeat));
    assert!(answers.len() <= 1);
    let (to, answer) = answers.pop()?;
    assert_eq!(to, store);
    match answer {
        response::Payload::RegionHeartbeat(answer) => Some(answer),
        other => panic!("{other:?}"),
    }
}

/// The region that a driver knows by this id, and its leader's store.
fn known(driver: &mut Driver, id: u64) -> Option<(Region, u64)> {
    let mut answers = say(driver, 1, request::Payload::GetRegionById(GetRegionByIdRequest { region_id: id }));
    match answers.pop() {
        Some((1, response::Payload::GetRegion(GetRegionResponse { region, leader }))) => {
            region.map(|region| (region, leader.unwrap().store_id))
        }
        None => None,
        other => panic!("{other:?}"),
    }
}

/// The ids that a split gets.
fn ask(driver: &mut Driver, region: &Region) -> Vec<u64> {
    let ask = AskSplitRequest { region: Some(region.clone()), split_key: key(5) };
    ids(say(driver, 1, request::Payload::AskSplit(ask)))
}

fn ids(answers: Vec<(u64, response::Payload)>) -> Vec<u64> {
    let ids = answers.into_iter().flat_map(|(_, answer)| match answer {
        response::Payload::AskSplit(answer) => [vec![answer.new_region_id], answer.new_peer_ids].concat(),
        _ => Vec::new(),
    });
    ids.collect()
}

#[test]
fn no_id_is_given_out_before_its_block_is_durable() {
    let mut driver = driver(PlacementMode::Manual);
    let block = boot(&mut driver, None);
    assert!(block.is_some());
    heartbeat(&mut driver, 1, 7, &region(1, ALL, 1, 1, &[1, 2, 3]));
    assert_eq!(ask(&mut driver, &region(1, ALL, 1, 1, &[1, 2, 3])), Vec::<u64>::new());
    let mut fx = Effects::default();
    driver.on_durable(Time::ZERO, &mut fx);
    let answers = fx.send.into_iter().map(|(to, Response { payload })| (to, payload.unwrap())).collect();
    assert_eq!(ids(answers), [FIRST_ID, FIRST_ID + 1, FIRST_ID + 2, FIRST_ID + 3]);
}

/// What happens to a driver that gives out ids.
#[derive(Clone, Copy, Debug)]
enum Event {
    Ask {
        region: u64,
        peers: u64,
    },
    Durable,
    /// With what was being written kept, or not.
    Crash {
        kept: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (1..4u64, 1..12u64).prop_map(|(region, peers)| Event::Ask { region, peers }),
        2 => Just(Event::Durable),
        1 => any::<bool>().prop_map(|kept| Event::Crash { kept }),
    ]
}

proptest! {
    #[test]
    fn an_id_is_given_out_once_whatever_crashes(events in prop::collection::vec(event(), 1..200)) {
        let mut given = BTreeSet::new();
        let mut driver = driver(PlacementMode::Manual);
        let mut durable = None;
        let mut writing = boot(&mut driver, None);
        for event in events {
            let mut fx = Effects::default();
            match event {
                Event::Ask { region: id, peers } => {
                    let stores: Vec<u64> = (1..=peers).collect();
                    // Of keys that are a region's own, so that none is taken for an old state of another.
                    let range = (u32::try_from(id).unwrap() * 100, u32::try_from(id).unwrap() * 100 + 100);
                    let region = region(id, range, 1, 1, &stores);
                    let ask = AskSplitRequest { region: Some(region.clone()), split_key: key(5) };
                    let told = RegionHeartbeatRequest {
                        leader: Some(region.peers[0]),
                        region: Some(region),
                        term: 1,
                        ..RegionHeartbeatRequest::default()
                    };
                    let told = Request {
                        store_id: 1,
                        payload: Some(request::Payload::RegionHeartbeat(told)),
                    };
                    driver.on_request(Time::ZERO, 1, told, &mut fx);
                    let request = Request { store_id: 1, payload: Some(request::Payload::AskSplit(ask)) };
                    driver.on_request(Time::ZERO, 1, request, &mut fx);
                }
                Event::Durable => {
                    if let Some(value) = writing.take() {
                        durable = Some(value);
                        driver.on_durable(Time::ZERO, &mut fx);
                    }
                }
                Event::Crash { kept } => {
                    if let (true, Some(value)) = (kept, writing.take()) {
                        durable = Some(value);
                    }
                    driver = self::driver(PlacementMode::Manual);
                    driver.on_start(Time::ZERO, durable.clone(), 0, &mut fx);
                    writing = None;
                }
            }
            if let Some(value) = fx.persist {
                prop_assert!(writing.is_none(), "two values on their way");
                writing = Some(value);
            }
            let answers = fx.send.into_iter().map(|(to, Response { payload })| (to, payload.unwrap()));
            for id in ids(answers.collect()) {
                prop_assert!(id >= FIRST_ID);
                prop_assert!(given.insert(id), "{id} twice");
            }
        }
    }
}

#[test]
fn old_heartbeats_change_nothing() {
    let mut driver = driver(PlacementMode::Manual);
    boot(&mut driver, None);
    let first = region(1, ALL, 1, 4, &[1, 2, 3]);
    assert!(heartbeat(&mut driver, 2, 7, &first).is_some());
    // A deposed leader; a membership and a range of before.
    assert_eq!(heartbeat(&mut driver, 1, 6, &first), None);
    assert_eq!(heartbeat(&mut driver, 1, 8, &region(1, ALL, 1, 3, &[1, 2])), None);
    assert_eq!(known(&mut driver, 1), Some((first, 2)));
    let left = region(1, (0, 100), 2, 4, &[1, 2, 3]);
    let right = region(7, (100, END), 2, 4, &[1, 2, 3]);
    assert!(heartbeat(&mut driver, 3, 8, &left).is_some());
    assert_eq!(heartbeat(&mut driver, 1, 9, &region(1, ALL, 1, 4, &[1, 2, 3])), None);
    assert!(heartbeat(&mut driver, 1, 6, &right).is_some());
    assert_eq!(known(&mut driver, 1), Some((left, 3)));
    assert_eq!(known(&mut driver, 7), Some((right, 1)));
}

#[test]
fn a_range_of_before_a_split_is_dropped_whatever_comes_first() {
    let mut driver = driver(PlacementMode::Manual);
    boot(&mut driver, None);
    let before = region(1, ALL, 1, 4, &[1, 2, 3]);
    assert!(heartbeat(&mut driver, 1, 7, &before).is_some());
    // The right half is heard of before the left one.
    let right = region(7, (100, END), 2, 4, &[1, 2, 3]);
    assert!(heartbeat(&mut driver, 2, 6, &right).is_some());
    assert_eq!(heartbeat(&mut driver, 1, 7, &before), None, "its keys are another region's");
    assert_eq!(known(&mut driver, 7), Some((right, 2)));
    let left = region(1, (0, 100), 2, 4, &[1, 2, 3]);
    assert!(heartbeat(&mut driver, 1, 7, &left).is_some());
    assert_eq!(known(&mut driver, 1), Some((left, 1)));
}

#[test]
fn only_the_newest_epoch_gets_ids_for_a_split() {
    let mut driver = driver(PlacementMode::Manual);
    boot(&mut driver, None);
    driver.on_durable(Time::ZERO, &mut Effects::default());
    let now = region(1, (0, 100), 2, 4, &[1, 2, 3]);
    heartbeat(&mut driver, 1, 7, &now);
    assert_eq!(ask(&mut driver, &region(1, ALL, 1, 4, &[1, 2, 3])), Vec::<u64>::new());
    assert_eq!(ask(&mut driver, &region(1, (0, 100), 2, 3, &[1, 2])), Vec::<u64>::new());
    assert_eq!(ask(&mut driver, &now).len(), 4);
}

#[test]
fn a_restarted_driver_knows_nothing_until_it_is_told() {
    let mut driver = driver(PlacementMode::Manual);
    boot(&mut driver, None);
    let first = region(1, ALL, 1, 1, &[1, 2, 3]);
    heartbeat(&mut driver, 1, 7, &first);
    boot(&mut driver, None);
    assert_eq!(known(&mut driver, 1), None);
    assert!(heartbeat(&mut driver, 2, 6, &first).is_some());
    assert_eq!(known(&mut driver, 1), Some((first, 2)));
}

#[test]
fn an_order_is_repeated_until_the_epoch_shows_it_done() {
    let mut driver = driver(PlacementMode::Manual);
    boot(&mut driver, None);
    driver.on_durable(Time::ZERO, &mut Effects::default());
    let before = region(1, ALL, 1, 1, &[1, 2, 3]);
    heartbeat(&mut driver, 1, 7, &before);
    assert_eq!(driver.on_order(Time::ZERO, &change(&[4], &[], &[]), &mut Effects::default()), Ok(()));
    let first = heartbeat(&mut driver, 1, 7, &before).unwrap();
    assert!(is_order(&first));
    assert_eq!(heartbeat(&mut driver, 1, 7, &before).unwrap(), first, "with the same id");
    // A new leader hears of it too, and is named.
    let other = heartbeat(&mut driver, 2, 8, &before).unwrap();
    assert_eq!(other.target_peer, Some(peer(12, 2)));
    assert_eq!(changes_of(&other), changes_of(&first));
    let mut after = region(1, ALL, 1, 2, &[1, 2, 3]);
    after.peers.push(changes_of(&first).unwrap()[0].peer.unwrap());
    assert!(!is_order(&heartbeat(&mut driver, 2, 8, &after).unwrap()));
    assert!(!is_order(&heartbeat(&mut driver, 2, 8, &after).unwrap()));
}

#[test]
fn an_order_that_another_change_overtook_is_given_up() {
    let mut driver = driver(PlacementMode::Manual);
    boot(&mut driver, None);
    driver.on_durable(Time::ZERO, &mut Effects::default());
    heartbeat(&mut driver, 1, 7, &region(1, ALL, 1, 1, &[1, 2, 3]));
    assert_eq!(driver.on_order(Time::ZERO, &change(&[4], &[], &[]), &mut Effects::default()), Ok(()));
    let id = |answer: Option<RegionHeartbeatResponse>| {
        changes_of(&answer.unwrap()).map(|changes| changes[0].peer.unwrap().id)
    };
    let before = id(heartbeat(&mut driver, 1, 7, &region(1, ALL, 1, 1, &[1, 2, 3])));
    // The replica may have been added and removed again since: its id must not come back.
    let after = id(heartbeat(&mut driver, 1, 7, &region(1, ALL, 1, 3, &[1, 2, 3])));
    assert!(before.is_some() && after != before);
}
