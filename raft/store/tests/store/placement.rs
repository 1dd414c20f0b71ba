//! What a store tells the placement driver, and what it does with the answers.

use crate::common::{Cluster, REGION, config, put};
use raftstore::proto::eraftpb::{ConfChangeTransition, ConfChangeType};
use raftstore::proto::metapb::{Peer, Region, RegionEpoch};
use raftstore::proto::schedulerpb::{
    ChangePeer, ChangePeerV2, GetRegionResponse, RegionHeartbeatRequest, RegionHeartbeatResponse, Response,
    SplitRegion, TransferLeader, request, response,
};
use raftstore::{Config, Db, Placement};

fn settings() -> Config {
    Config {
        placement: Some(Placement { store_heartbeat_ticks: 20, region_heartbeat_ticks: 5 }),
        split_check_interval_ticks: 10,
        region_max_size: 600,
        region_split_size: 300,
        leader_missing_ticks: 30,
        ..config(0)
    }
}

fn led(spares: u64) -> Cluster {
    let mut cluster = Cluster::led_with_spares(3, spares, settings());
    cluster.run(2_000);
    asked(&mut cluster, 1);
    cluster
}

fn asked(cluster: &mut Cluster, id: u64) -> Vec<request::Payload> {
    let env = &mut cluster.nodes.get_mut(&id).unwrap().env;
    let told = env.asked.drain(..).inspect(|request| assert_eq!(request.store_id, id));
    told.map(|request| request.payload.unwrap()).collect()
}

fn region_heartbeats(cluster: &mut Cluster, id: u64) -> Vec<RegionHeartbeatRequest> {
    let of_region =
        |payload| if let request::Payload::RegionHeartbeat(beat) = payload { Some(beat) } else { None };
    asked(cluster, id).into_iter().filter_map(of_region).collect()
}

fn tell(cluster: &mut Cluster, id: u64, payload: response::Payload) {
    let response = Response { payload: Some(payload) };
    cluster.with(id, |store, env, now| store.on_placement(env, now, response));
}

/// An order for the leader of the first region, on store 1, without content.
fn order(cluster: &Cluster) -> RegionHeartbeatResponse {
    let peer = cluster.nodes[&1].peer();
    RegionHeartbeatResponse {
        region_id: REGION,
        region_epoch: peer.region().region_epoch,
        target_peer: Some(Peer { id: peer.peer_id(), store_id: 1, role: 0 }),
        ..RegionHeartbeatResponse::default()
    }
}

#[test]
fn a_store_says_that_it_is_there_and_what_it_leads() {
    let mut cluster = led(1);
    for id in 1..=4 {
        asked(&mut cluster, id);
    }
    cluster.run(4_000);
    let (mut stores, mut regions) = (0, 0);
    for payload in asked(&mut cluster, 1) {
        match payload {
            request::Payload::StoreHeartbeat(beat) => {
                let stats = beat.stats.unwrap();
                assert_eq!((stats.store_id, stats.region_count), (1, 1));
                stores += 1;
            }
            request::Payload::RegionHeartbeat(beat) => {
                assert_eq!(beat.region.unwrap(), *cluster.nodes[&1].peer().region());
                assert_eq!((beat.leader.unwrap().id, beat.term, beat.pending_peers.len()), (10, 6, 0));
                regions += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((stores, regions), (2, 8));
    // Who leads nothing tells of no region.
    assert!(region_heartbeats(&mut cluster, 2).is_empty() && region_heartbeats(&mut cluster, 4).is_empty());
}

#[test]
fn what_changes_is_told_when_it_is_durable() {
    let mut cluster = led(1);
    cluster.stalled_dbs.insert((1, Db::Kv));
    let peer = cluster.member(REGION, 3);
    cluster.change(REGION, vec![crate::common::regions::remove(peer)]);
    cluster.run(2_000);
    assert_eq!(region_heartbeats(&mut cluster, 1), [], "a crash may take it back");
    cluster.stalled_dbs.clear();
    cluster.settle();
    let told = region_heartbeats(&mut cluster, 1);
    assert_eq!(told[0].region.as_ref().unwrap(), cluster.nodes[&1].peer().region());
    assert_eq!(told[0].region.as_ref().unwrap().peers.len(), 2);
}

#[test]
fn a_new_leader_says_so_at_once() {
    let mut cluster = led(0);
    cluster.with(1, |store, env, now| store.transfer_leader(env, now, REGION, 2).unwrap());
    cluster.settle();
    assert_eq!(region_heartbeats(&mut cluster, 2)[0].leader.unwrap().store_id, 2);
}

#[test]
fn who_lags_behind_is_told_of() {
    let mut cluster = led(1);
    cluster.isolated.insert(4);
    let id = cluster.add_peer(REGION, 4);
    asked(&mut cluster, 1);
    cluster.run(1_000);
    let pending = region_heartbeats(&mut cluster, 1).pop().unwrap().pending_peers;
    assert_eq!(pending.iter().map(|peer| peer.id).collect::<Vec<_>>(), [id]);
    cluster.isolated.clear();
    cluster.run(3_000);
    assert!(region_heartbeats(&mut cluster, 1).pop().unwrap().pending_peers.is_empty());
}

#[test]
fn orders_are_carried_out() {
    let mut cluster = led(1);
    let id = cluster.allocate();
    let peer = Some(Peer { id, store_id: 4, role: 0 });
    let change = ChangePeer { peer, change_type: ConfChangeType::AddNode as i32 };
    let add = RegionHeartbeatResponse { change_peer: Some(change), ..order(&cluster) };
    tell(&mut cluster, 1, response::Payload::RegionHeartbeat(add.clone()));
    cluster.converge(20);
    assert_eq!(cluster.member(REGION, 4).id, id);

    let leave = ChangePeer { peer, change_type: ConfChangeType::RemoveNode as i32 };
    let demote = ChangePeer {
        peer: Some(cluster.member(REGION, 3)),
        change_type: ConfChangeType::AddLearnerNode as i32,
    };
    let both = ChangePeerV2 { changes: vec![leave, demote], transition: ConfChangeTransition::Auto as i32 };
    let both = RegionHeartbeatResponse { change_peer_v2: Some(both), ..order(&cluster) };
    tell(&mut cluster, 1, response::Payload::RegionHeartbeat(both));
    cluster.converge(20);
    assert_eq!(
        cluster.region_at_leader(REGION).peers.iter().map(|peer| peer.role).collect::<Vec<_>>(),
        [0, 0, 1]
    );

    let transfer = TransferLeader { peer: Some(cluster.member(REGION, 2)) };
    let transfer = RegionHeartbeatResponse { transfer_leader: Some(transfer), ..order(&cluster) };
    tell(&mut cluster, 1, response::Payload::RegionHeartbeat(transfer));
    cluster.settle();
    assert_eq!(cluster.leaders(), [2]);
}

#[test]
fn orders_for_another_epoch_or_leader_are_not() {
    let mut cluster = led(1);
    let id = cluster.allocate();
    let peer = Some(Peer { id, store_id: 4, role: 0 });
    let change = ChangePeer { peer, change_type: ConfChangeType::AddNode as i32 };
    let good = RegionHeartbeatResponse { change_peer: Some(change), ..order(&cluster) };
    let bad = [
        RegionHeartbeatResponse {
            region_epoch: Some(RegionEpoch { conf_ver: 0, version: 1 }),
            ..good.clone()
        },
        RegionHeartbeatResponse {
            region_epoch: Some(RegionEpoch { conf_ver: 1, version: 2 }),
            ..good.clone()
        },
        RegionHeartbeatResponse { target_peer: Some(cluster.member(REGION, 2)), ..good.clone() },
        RegionHeartbeatResponse { target_peer: None, ..good.clone() },
        RegionHeartbeatResponse { region_id: 7, ..good.clone() },
    ];
    for order in bad {
        tell(&mut cluster, 1, response::Payload::RegionHeartbeat(order.clone()));
        cluster.settle();
        assert_eq!(cluster.region_at_leader(REGION).peers.len(), 3, "{order:?}");
    }
    // A follower does not carry out the order of a leader.
    tell(&mut cluster, 2, response::Payload::RegionHeartbeat(good));
    cluster.settle();
    assert_eq!(cluster.region_at_leader(REGION).peers.len(), 3);
}

/// The split that the store asks the ids for.
fn ask_of_split(cluster: &mut Cluster, id: u64) -> Option<raftstore::proto::schedulerpb::AskSplitRequest> {
    let split = |payload| if let request::Payload::AskSplit(ask) = payload { Some(ask) } else { None };
    asked(cluster, id).into_iter().find_map(split)
}

#[test]
fn a_region_that_has_grown_too_large_is_split() {
    let mut cluster = led(0);
    // Each pair takes 10 bytes of key and 90 of value: with 5 of them there is time.
    let value = "v".repeat(90);
    for number in 0..5 {
        cluster.execute(1, vec![put(&format!("k{number}"), &value)]);
    }
    cluster.run(3_000);
    assert_eq!(ask_of_split(&mut cluster, 1), None);
    assert_eq!(cluster.nodes[&1].peer().approximate_size(), 500);
    for number in 5..8 {
        cluster.execute(1, vec![put(&format!("k{number}"), &value)]);
    }
    cluster.run(3_000);
    let ask = ask_of_split(&mut cluster, 1).expect("a question for ids");
    // The left half keeps three pairs.
    assert_eq!(
        (&*ask.split_key, ask.region.as_ref().unwrap()),
        (&b"k3"[..], cluster.nodes[&1].peer().region())
    );
    let ids = cluster.split_ids(ask);
    // An answer that is too old does nothing.
    let old = RegionEpoch { conf_ver: 0, version: 1 };
    let late = raftstore::proto::schedulerpb::AskSplitResponse { region_epoch: Some(old), ..ids.clone() };
    tell(&mut cluster, 1, response::Payload::AskSplit(late));
    cluster.settle();
    assert_eq!(cluster.nodes[&1].store().peers().count(), 1);
    tell(&mut cluster, 1, response::Payload::AskSplit(ids.clone()));
    cluster.converge(10);
    assert_eq!(cluster.region_of("k3"), ids.new_region_id);
    assert_eq!(cluster.region_of("k2"), REGION);
    // Now neither half is too large.
    cluster.run(5_000);
    assert_eq!(ask_of_split(&mut cluster, 1), None);
}

#[test]
fn a_split_that_is_ordered_is_in_the_middle_or_where_it_says() {
    let mut cluster = led(0);
    for number in 0..4 {
        cluster.execute(1, vec![put(&format!("k{number}"), "v")]);
    }
    for (key, expected) in [("", "k2"), ("k1", "k1")] {
        let split = SplitRegion { split_key: key.into() };
        let split = RegionHeartbeatResponse { split_region: Some(split), ..order(&cluster) };
        tell(&mut cluster, 1, response::Payload::RegionHeartbeat(split));
        cluster.settle();
        assert_eq!(&*ask_of_split(&mut cluster, 1).unwrap().split_key, expected.as_bytes());
    }
}

#[test]
fn a_replica_that_the_driver_knows_to_be_removed_goes() {
    let mut cluster = led(0);
    let region = cluster.nodes[&3].peer().region().clone();
    let without = Region { peers: region.peers[..2].to_vec(), ..region.clone() };
    let newer = Some(RegionEpoch { conf_ver: 2, version: 1 });
    let older = Some(RegionEpoch { conf_ver: 0, version: 1 });
    for (told, goes) in [
        (Region { region_epoch: older, ..without.clone() }, false),
        (without.clone(), false),
        (Region { region_epoch: newer, ..region }, false),
        (Region { region_epoch: newer, ..without }, true),
    ] {
        let answer = GetRegionResponse { region: Some(told), leader: None };
        tell(&mut cluster, 3, response::Payload::GetRegion(answer));
        assert_eq!(cluster.peer(3, REGION).is_none(), goes);
    }
}

#[test]
fn who_hears_of_no_leader_asks_whether_it_is_wanted() {
    let mut cluster = led(0);
    cluster.isolated.insert(3);
    asked(&mut cluster, 3);
    cluster.run(2_500);
    let asks = |cluster: &mut Cluster| {
        let ask = |payload: &request::Payload| matches!(payload, request::Payload::GetRegionById(get) if get.region_id == REGION);
        asked(cluster, 3).iter().filter(|payload| ask(payload)).count()
    };
    assert_eq!(asks(&mut cluster), 0);
    cluster.run(7_000);
    assert_eq!(asks(&mut cluster), 3, "every three seconds");
    // Who hears of one does not.
    cluster.isolated.clear();
    cluster.run(2_000);
    asks(&mut cluster);
    cluster.run(10_000);
    assert_eq!(asks(&mut cluster), 0);
}

#[test]
fn without_a_driver_nobody_is_told_anything() {
    let mut cluster = Cluster::led_with_spares(3, 0, Config { placement: None, ..settings() });
    cluster.execute(1, vec![put("k", &"v".repeat(1_000))]);
    cluster.isolated.insert(3);
    cluster.run(10_000);
    assert!((1..=3).all(|id| cluster.nodes[&id].env.asked.is_empty()));
}
