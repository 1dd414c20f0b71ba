//! What the driver believes: the newest, in whatever order it hears.

use bytes::Bytes;
use proptest::prelude::*;
use raft_proto::metapb::Region;
use raft_proto::schedulerpb::{GetRegionByIdRequest, request, response};

use super::super::cluster::Cluster;
use super::*;

fn cluster() -> Cluster {
    Cluster::new(Time::ZERO, Duration::secs(10))
}

fn told(cluster: &mut Cluster, region: &Region, leader: u64, term: u64) -> bool {
    cluster.region_heartbeat(at(1), leader, heartbeat(region, leader, term)).is_some()
}

#[test]
fn the_higher_epoch_counts_and_then_the_higher_term() {
    let mut cluster = cluster();
    assert!(told(&mut cluster, &region(1, ("", ""), (2, 5), &[1, 2, 3]), 1, 7));
    for (epoch, leader, term, fresh) in [
        ((1, 9), 2, 9, false), // before a split
        ((2, 4), 2, 9, false), // before a change of members
        ((2, 5), 2, 6, false), // a deposed leader
        ((2, 5), 1, 7, true),  // the same again
        ((2, 5), 2, 8, true),
        ((2, 6), 3, 7, true), // has applied more, whoever leads
        ((3, 1), 1, 1, true),
    ] {
        let region = region(1, ("", ""), epoch, &[1, 2, 3]);
        assert_eq!(told(&mut cluster, &region, leader, term), fresh, "{epoch:?} t{term}");
        let known = cluster.region(1).unwrap();
        let is_this =
            (known.epoch, known.leader.store_id, known.term) == (region.region_epoch.unwrap(), leader, term);
        assert_eq!(is_this, fresh, "{epoch:?} t{term}");
    }
}

#[test]
fn what_makes_no_sense_is_not_believed() {
    let mut cluster = cluster();
    let region = region(1, ("", ""), (1, 1), &[1, 2]);
    let good = heartbeat(&region, 1, 1);
    let epochless = Region { region_epoch: None, ..region };
    let bad = [
        RegionHeartbeatRequest { region: None, ..good.clone() },
        RegionHeartbeatRequest { leader: None, ..good.clone() },
        RegionHeartbeatRequest { region: Some(epochless), ..good.clone() },
    ];
    for heartbeat in bad {
        assert_eq!(cluster.region_heartbeat(at(1), 1, heartbeat), None);
    }
    assert_eq!(cluster.region_heartbeat(at(1), 2, good.clone()), None, "the leader is on another store");
    assert!(cluster.region_heartbeat(at(1), 1, good).is_some());
}

#[test]
fn after_a_split_the_range_belongs_to_the_higher_version() {
    let whole = region(1, ("", ""), (1, 1), &[1, 2, 3]);
    let left = region(1, ("", "m"), (2, 1), &[1, 2, 3]);
    let right = region(2, ("m", ""), (2, 1), &[1, 2, 3]);

    let mut cluster = cluster();
    assert!(told(&mut cluster, &whole, 1, 5));
    assert!(told(&mut cluster, &right, 1, 5));
    assert_eq!(cluster.region(1), None, "the right half drives out the whole");
    assert!(!told(&mut cluster, &whole, 1, 9), "which does not come back");
    assert!(told(&mut cluster, &left, 1, 5));
    assert!(!told(&mut cluster, &whole, 1, 9));
    let owner = |key: &[u8]| cluster.region_of(key).map(|known| known.id());
    assert_eq!([owner(b""), owner(b"a"), owner(b"m"), owner(b"z")], [Some(1), Some(1), Some(2), Some(2)]);
}

/// All states that regions went through when the whole range was split again and again, and their members changed.
fn history(cuts: &[(u8, bool)]) -> Vec<Region> {
    let mut now = vec![region(1, ("", ""), (1, 1), &[1, 2, 3])];
    let mut all = now.clone();
    for (place, (cut, split)) in cuts.iter().enumerate() {
        let key = Bytes::copy_from_slice(&[*cut]);
        let holds =
            |region: &Region| region.start_key < key && (region.end_key.is_empty() || key < region.end_key);
        let Some(found) = now.iter_mut().find(|region| holds(region)) else { continue };
        let epoch = found.region_epoch.as_mut().unwrap();
        if *split {
            epoch.version += 1;
            let right = Region { id: 2 + place as u64, start_key: key.clone(), ..found.clone() };
            found.end_key = key;
            all.extend([found.clone(), right.clone()]);
            now.push(right);
        } else {
            epoch.conf_ver += 1;
            all.push(found.clone());
        }
    }
    all
}

proptest! {
    #[test]
    fn heartbeats_in_any_order_lead_to_the_newest(
        cuts in prop::collection::vec((1..40u8, prop::bool::weighted(0.7)), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let all = history(&cuts);
        let mut cluster = cluster();
        for place in order {
            told(&mut cluster, place.get(&all), 1, 1);
            // What is known never overlaps.
            let mut known: Vec<_> = cluster.regions().map(|known| known.region.clone()).collect();
            known.sort_by(|a, b| a.start_key.cmp(&b.start_key));
            for pair in known.windows(2) {
                prop_assert!(!pair[0].end_key.is_empty() && pair[0].end_key <= pair[1].start_key, "{:?}", pair);
            }
        }
        // Each region's leader tells once more: then all is known as it is.
        let mut last = std::collections::BTreeMap::new();
        for region in &all {
            last.insert(region.id, region.clone());
        }
        for region in last.values() {
            prop_assert!(told(&mut cluster, region, 1, 1), "{:?}", region);
        }
        let known: Vec<_> = cluster.regions().map(|known| known.region.clone()).collect();
        prop_assert_eq!(known, last.into_values().collect::<Vec<_>>());
    }
}

#[test]
fn a_silent_store_dies_and_lives_again() {
    let mut cluster = Cluster::new(at(2_000), Duration::secs(10));
    cluster.store_heartbeat(at(3_000), 1, 0);
    assert!(!cluster.is_dead(at(13_000), 1));
    assert!(cluster.is_dead(at(13_001), 1));
    assert!(!cluster.is_dead(at(12_000), 2), "it may live: the driver has only just begun to listen");
    assert!(cluster.is_dead(at(12_001), 2));
    assert_eq!(cluster.live_stores(at(9_000)).collect::<Vec<_>>(), [1], "but not for certain");
    cluster.store_heartbeat(at(20_000), 1, 0);
    assert!(!cluster.is_dead(at(20_001), 1));
}

#[test]
fn a_stale_replica_is_told_the_newest_region() {
    let mut driver = driver(PlacementMode::Manual, 4);
    let newest = region(1, ("", ""), (1, 6), &[2, 3, 4]);
    driver.hear(at(1), 2, heartbeat(&newest, 2, 4));
    driver.hear(at(2), 1, heartbeat(&region(1, ("", ""), (1, 5), &[1, 2, 3]), 1, 9));
    let mut get = |region_id| {
        let mut fx = Effects::default();
        let get = request::Payload::GetRegionById(GetRegionByIdRequest { region_id });
        driver.on_request(at(3), 1, ask(1, get), &mut fx);
        fx.send
    };
    let [(1, Response { payload: Some(response::Payload::GetRegion(answer)) })] = &get(1)[..] else {
        panic!()
    };
    assert_eq!((answer.region.as_ref(), answer.leader), (Some(&newest), Some(peer(102, 2))));
    assert_eq!(get(7), [], "nothing is known of it, not that it is gone");
}
