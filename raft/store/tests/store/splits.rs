//! How one region becomes two.

use crate::common::regions::remove;
use crate::common::{Cluster, REGION, config, envelope, get, put, scan};
use raftstore::keys::{self, Key};
use raftstore::proto::eraftpb::{ConfChangeTransition, Message, MessageType};
use raftstore::proto::errorpb::error::Reason;
use raftstore::proto::metapb::{Peer, RegionEpoch};
use raftstore::proto::raft_cmdpb::{
    GetResponse, RaftCmdRequest, Request, ScanPair, ScanResponse, SplitRequest, response::Result as Answer,
};
use raftstore::proto::raft_serverpb::{RaftMessage, StoreMessage, store_message::Payload};
use raftstore::validate::RequestError;
use raftstore::{Config, Db};

fn settings() -> Config {
    Config { snapshot_timeout_ticks: 20, leader_missing_ticks: 30, ..config(0) }
}

fn with_data(spares: u64) -> Cluster {
    let mut cluster = Cluster::led_with_spares(3, spares, settings());
    cluster.execute(1, vec![put("a", "left"), put("z", "right")]);
    cluster.run(2_000);
    cluster
}

fn has(cluster: &Cluster, id: u64, wanted: Key) -> bool {
    let env = &cluster.nodes[&id].env;
    env.raft.visible.keys().chain(env.kv.visible.keys()).any(|key| keys::decode(key) == Some(wanted))
}

fn value(value: &'static str) -> Answer {
    Answer::Get(GetResponse { value: Some(value.into()) })
}

#[test]
fn both_halves_start_with_what_the_whole_had() {
    let mut cluster = with_data(0);
    let right = cluster.split("m");
    let epoch = Some(RegionEpoch { conf_ver: 1, version: 2 });
    for id in 1..=3 {
        let [left, right] = [REGION, right].map(|region| cluster.peer(id, region).unwrap().region().clone());
        assert_eq!((&*left.start_key, &*left.end_key, left.region_epoch), (&b""[..], &b"m"[..], epoch));
        assert_eq!((&*right.start_key, &*right.end_key, right.region_epoch), (&b"m"[..], &b""[..], epoch));
        let stores = |region: &raftstore::proto::metapb::Region| -> Vec<u64> {
            region.peers.iter().map(|peer| peer.store_id).collect()
        };
        assert_eq!(stores(&left), stores(&right));
        let raft = cluster.peer(id, right.id).unwrap().raft();
        assert_eq!((raft.truncated().index, raft.truncated().term), (5, 5));
    }
    // Who led the whole leads both, without waiting for a timeout.
    assert_eq!((cluster.leader_of(REGION), cluster.leader_of(right)), (Some(1), Some(1)));
    assert_eq!(cluster.execute_at("z", vec![get("z")]), [value("right")]);
    assert_eq!(cluster.execute_at("a", vec![get("a")]), [value("left")]);
    // A scan ends where its region does.
    cluster.execute_at("z", vec![put("y", "new")]);
    let pairs = vec![ScanPair { key: "a".into(), value: "left".into() }];
    assert_eq!(cluster.execute_at("a", vec![scan("", "", 0)]), [Answer::Scan(ScanResponse { pairs })]);
    cluster.converge(10);
}

#[test]
fn requests_that_know_the_whole_learn_of_the_halves() {
    let mut cluster = with_data(0);
    let old = cluster.header(1);
    let right = cluster.split("m");
    let requests = vec![Request { command: Some(get("z")) }];
    let request = cluster.raw_request(1, RaftCmdRequest { header: Some(old), requests, admin_request: None });
    let Reason::EpochNotMatch(mismatch) = cluster.refusal(request) else {
        panic!("{:?}", cluster.refusal(request))
    };
    let regions: Vec<u64> = mismatch.current_regions.iter().map(|region| region.id).collect();
    assert_eq!(regions, [REGION, right], "the region that was named, and the one with the key");
    // With the right epoch, the key is not there.
    let request = cluster.request(1, vec![get("z")]);
    let Reason::KeyNotInRegion(outside) = cluster.refusal(request) else { panic!() };
    assert_eq!((outside.region_id, &*outside.end_key), (REGION, &b"m"[..]));
    // Who knows nothing is shown the way.
    let requests = vec![Request { command: Some(get("z")) }];
    let request = cluster.raw_request(2, RaftCmdRequest { header: None, requests, admin_request: None });
    let Reason::EpochNotMatch(shown) = cluster.refusal(request) else { panic!() };
    assert_eq!(shown.current_regions, [cluster.peer(2, right).unwrap().region().clone()]);
}

#[test]
fn what_was_proposed_behind_a_split_is_refused_when_it_is_applied() {
    let mut cluster = with_data(0);
    cluster.ask_split(1, REGION, "m").unwrap();
    let behind = [put("a", "too late"), put("z", "too late")].map(|put| cluster.request(1, vec![put]));
    let again = cluster.ask_split(1, REGION, "t");
    cluster.settle();
    for request in behind {
        assert!(matches!(cluster.refusal(request), Reason::EpochNotMatch(_)));
    }
    assert_eq!(
        (cluster.value(2, "a").as_deref(), cluster.value(2, "z").as_deref()),
        (Some("left"), Some("right"))
    );
    // Nor was the region split a second time.
    assert!(again.is_ok());
    assert_eq!(cluster.nodes[&1].store().peers().count(), 2);
}

#[test]
fn a_split_behind_a_change_of_members_is_refused() {
    let mut cluster = with_data(0);
    let peer = cluster.member(REGION, 3);
    cluster.ask_change(1, REGION, vec![remove(peer)], ConfChangeTransition::Auto).unwrap();
    let split = cluster.ask_split(1, REGION, "m");
    assert!(split.is_ok());
    cluster.converge(20);
    assert_eq!(cluster.nodes[&1].store().peers().count(), 1);
}

#[test]
fn splits_without_sense_are_refused() {
    let mut cluster = with_data(0);
    cluster.split("m");
    let mut ask = |split: SplitRequest| {
        let mut answer = Ok(());
        cluster.with(1, |store, env, now| answer = store.split(env, now, REGION, &split));
        answer.unwrap_err()
    };
    let split = SplitRequest { split_key: "c".into(), new_region_id: 50, new_peer_ids: vec![51, 52, 53] };
    let outside = ask(SplitRequest { split_key: "m".into(), ..split.clone() });
    assert!(matches!(outside, RequestError::KeyNotInRegion(_)));
    for nonsense in [
        SplitRequest { split_key: "".into(), ..split.clone() },
        SplitRequest { new_region_id: REGION, ..split.clone() },
        SplitRequest { new_region_id: 0, ..split.clone() },
        SplitRequest { new_peer_ids: vec![51, 52], ..split.clone() },
        SplitRequest { new_peer_ids: vec![51, 0, 53], ..split.clone() },
        SplitRequest { new_peer_ids: vec![51, 52, 51], ..split },
    ] {
        assert!(matches!(ask(nonsense.clone()), RequestError::BadSplit { .. }), "{nonsense:?}");
    }
}

#[test]
fn a_new_replica_promises_nothing_before_the_split_is_durable() {
    let mut cluster = with_data(0);
    cluster.stalled_dbs.insert((2, Db::Kv));
    let right = cluster.split("m");
    cluster.run(500);
    assert!(cluster.peer(1, right).is_some() && cluster.peer(2, right).is_none());
    assert!(!has(&cluster, 2, Key::RaftState { region: right }));
    // Its keys are claimed all the same, and nobody serves them.
    assert_eq!(cluster.nodes[&2].store().region_of_key(b"z"), None);
    // The word of a candidate waits for it.
    let mut crashed = cluster.clone();
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert!(cluster.peer(2, right).is_some());
    crashed.crash(2, 0, 0);
    crashed.boot(2);
    assert_eq!(crashed.peer(2, REGION).unwrap().region().end_key, "");
    crashed.stalled_dbs.clear();
    cluster.converge(20);
    crashed.converge(20);
}

fn of_first_region_to_3(_: u64, to: u64, message: &StoreMessage) -> bool {
    to == 3 && matches!(&message.payload, Some(Payload::Raft(message)) if message.region_id == REGION)
}

#[test]
fn a_candidate_that_is_ahead_of_the_split_is_answered_when_it_comes() {
    let mut cluster = with_data(0);
    // The split is committed by 1 and 2; of the new region, 3 hears before it hears of that.
    cluster.lost = of_first_region_to_3;
    cluster.stalled_dbs.insert((2, Db::Kv));
    let right = cluster.split("m");
    cluster.run(200);
    // The candidate has its own vote, and needs one of the two.
    assert!(cluster.peer(1, right).is_some() && cluster.leader_of(right).is_none());
    assert!(cluster.peer(3, right).is_none());
    assert_eq!(cluster.peer(3, REGION).unwrap().region().end_key, "");
    cluster.lost = |_, _, _| false;
    // Another candidacy would need a timeout, which is longer than that.
    cluster.run(300);
    assert_eq!(cluster.leader_of(right), Some(1));
    cluster.stalled_dbs.clear();
    cluster.converge(20);
}

/// The births that a crash may cut: the store, and the cluster at every step of a split on it.
fn steps_of_a_split(id: u64, mut visit: impl FnMut(&Cluster)) {
    let mut cluster = with_data(0);
    cluster.ask_split(1, REGION, "m").unwrap();
    let others: Vec<u64> = (1..=3).filter(|other| *other != id).collect();
    for _ in 0..60 {
        let done = (1..=3).any(|from| cluster.deliver_from(from))
            || others
                .iter()
                .any(|other| [Db::Raft, Db::Kv].into_iter().any(|db| cluster.finish_sync(*other, db)))
            || cluster.finish_sync(id, Db::Raft)
            || cluster.finish_sync(id, Db::Kv);
        if !done {
            break;
        }
        visit(&cluster);
    }
    assert!(cluster.peer(id, cluster.region_of("z")).is_some_and(|peer| peer.region().id != REGION));
}

#[test]
fn a_crash_at_any_moment_of_a_split_is_made_good() {
    for id in [1, 3] {
        let (mut crashes, mut births) = (0, 0);
        steps_of_a_split(id, |cluster| {
            let env = &cluster.nodes[&id].env;
            births += usize::from(
                env.kv.visible.keys().any(|key| matches!(keys::decode(key), Some(Key::Birth { .. }))),
            );
            for raft in 0..=env.raft.unsynced() {
                for kv in 0..=env.kv.unsynced() {
                    let mut crashed = cluster.clone();
                    crashed.crash(id, raft, kv);
                    crashed.boot(id);
                    crashed.converge(40);
                    // The split may be lost with its entry, if it was not committed yet. No data is.
                    for (key, value) in [("a", "left"), ("z", "right")] {
                        assert_eq!(crashed.value(id, key).as_deref(), Some(value));
                    }
                    crashes += 1;
                }
            }
        });
        assert!(crashes > 20 && births > 1, "{crashes} crashes, {births} births");
    }
}

#[test]
fn a_birth_mark_stands_for_a_raft_state_that_may_be_missing() {
    let mut cluster = with_data(0);
    cluster.stalled_dbs.insert((3, Db::Raft));
    cluster.stalled_dbs.insert((3, Db::Kv));
    let right = cluster.split("m");
    cluster.finish_sync(3, Db::Raft);
    cluster.settle();
    cluster.finish_sync(3, Db::Kv);
    assert!(
        has(&cluster, 3, Key::Birth { region: right }) && has(&cluster, 3, Key::RaftState { region: right })
    );
    cluster.crash(3, 0, 0);
    assert!(
        has(&cluster, 3, Key::Birth { region: right }) && !has(&cluster, 3, Key::RaftState { region: right })
    );
    cluster.boot(3);
    assert!(cluster.peer(3, right).is_some());
    cluster.stalled_dbs.clear();
    cluster.converge(20);
    assert!(!has(&cluster, 3, Key::Birth { region: right }));
}

fn chunks_to_4(_: u64, to: u64, message: &StoreMessage) -> bool {
    to == 4 && matches!(message.payload, Some(Payload::Chunk(_)))
}

/// Store 4 has a snapshot of the whole, from before the split, that is not durable there yet; and a replica of the right
/// half, made by a message. Until the snapshot is taken up, nothing here says that the two concern the same keys.
fn new_half_before_the_whole() -> (Cluster, u64) {
    let mut cluster = with_data(1);
    cluster.stalled_dbs.insert((4, Db::Snapshots));
    cluster.add_peer(REGION, 4);
    cluster.run(1_000);
    assert!(!cluster.nodes[&4].env.snapshots.visible.is_empty());
    cluster.lost = chunks_to_4;
    let right = cluster.split("m");
    cluster.run(1_000);
    assert!(cluster.peer(4, right).is_some_and(|peer| !peer.is_initialized()));
    (cluster, right)
}

#[test]
fn the_keys_of_a_snapshot_are_claimed_before_it_is_data() {
    let mut cluster = with_data(1);
    cluster.idle.insert(4);
    cluster.add_peer(REGION, 4);
    cluster.run(1_000);
    assert!(cluster.peer(4, REGION).unwrap().incoming_region().is_some());
    let right = cluster.split("m");
    cluster.run(3_000);
    // Its replica here comes by the split, and not by a message.
    assert!(cluster.peer(4, right).is_none());
    cluster.idle.clear();
    cluster.converge(20);
    assert_eq!(cluster.peer(4, right).unwrap().snapshots(), 0);
}

#[test]
fn a_replica_that_a_message_made_is_the_one_that_the_split_brings() {
    let (mut cluster, right) = new_half_before_the_whole();
    cluster.campaign_in(2, right);
    cluster.settle();
    let promised = |cluster: &Cluster| {
        let raft = cluster.peer(4, right).unwrap().raft();
        (raft.term(), raft.vote())
    };
    let before = promised(&cluster);
    assert_eq!(before.1, Some(cluster.peer(2, right).unwrap().peer_id()));
    cluster.stalled_dbs.clear();
    cluster.settle();
    // What it promised before, it knows after.
    assert!(cluster.peer(4, right).unwrap().is_initialized());
    assert_eq!(promised(&cluster), before);
    cluster.lost = |_, _, _| false;
    cluster.converge(20);
}

#[test]
fn a_snapshot_of_keys_that_another_replica_has_is_refused() {
    let (mut cluster, right) = new_half_before_the_whole();
    // The whole is here, and is not data yet: it does not know of its split.
    cluster.idle.insert(4);
    cluster.stalled_dbs.clear();
    cluster.lost = |_, _, _| false;
    cluster.run(4_000);
    assert!(cluster.peer(4, REGION).unwrap().incoming_region().is_some());
    assert!(cluster.peer(4, right).unwrap().incoming_region().is_none());
    cluster.idle.clear();
    cluster.converge(20);
}

#[test]
fn a_split_does_not_bring_back_what_was_removed() {
    let (mut cluster, right) = new_half_before_the_whole();
    cluster.remove_peer(right, 4);
    cluster.run(6_000);
    assert!(cluster.peer(4, right).is_none());
    assert!(has(&cluster, 4, Key::RegionState { region: right }), "its tombstone");
    // All of this happens before anybody could tell it anything.
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert!(cluster.peer(4, REGION).unwrap().is_initialized() && cluster.peer(4, right).is_none());
    assert_eq!((cluster.value(4, "a").as_deref(), cluster.value(4, "z")), (Some("left"), None));
    cluster.lost = |_, _, _| false;
    cluster.converge(20);
}

#[test]
fn a_split_makes_way_for_a_newer_replica() {
    let (mut cluster, right) = new_half_before_the_whole();
    cluster.remove_peer(right, 4);
    cluster.run(6_000);
    let id = cluster.add_peer(right, 4);
    cluster.run(1_000);
    assert_eq!(cluster.peer(4, right).unwrap().peer_id(), id);
    // All of this happens before anybody could tell it anything.
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert!(cluster.peer(4, REGION).unwrap().is_initialized());
    let newer = cluster.peer(4, right).unwrap();
    assert_eq!((newer.peer_id(), newer.is_initialized()), (id, false));
    assert_eq!(cluster.value(4, "z"), None, "it has to get the data anew");
    cluster.lost = |_, _, _| false;
    cluster.converge(20);
    assert_eq!(cluster.peer(4, right).unwrap().snapshots(), 1);
}

fn chunks_and_later_regions_to_4(_: u64, to: u64, message: &StoreMessage) -> bool {
    let first = |message: &RaftMessage| message.region_id == REGION;
    to == 4 && !matches!(&message.payload, Some(Payload::Raft(message)) if first(message))
}

#[test]
fn a_split_makes_way_for_a_newer_replica_where_the_older_one_never_was() {
    let mut cluster = with_data(1);
    cluster.stalled_dbs.insert((4, Db::Snapshots));
    cluster.add_peer(REGION, 4);
    cluster.run(1_000);
    // Nothing here says that the replica which the split will bring is removed already.
    cluster.lost = chunks_and_later_regions_to_4;
    let right = cluster.split("m");
    cluster.remove_peer(right, 4);
    let id = cluster.add_peer(right, 4);
    cluster.lost = chunks_to_4;
    cluster.run(1_000);
    assert_eq!(cluster.peer(4, right).unwrap().peer_id(), id);
    assert!(!has(&cluster, 4, Key::RegionState { region: right }));
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert!(cluster.peer(4, REGION).unwrap().is_initialized());
    assert_eq!(cluster.peer(4, right).map(|peer| (peer.peer_id(), peer.is_initialized())), Some((id, false)));
    cluster.lost = |_, _, _| false;
    cluster.converge(20);
}

/// A vote request to the replica on store 4, in term 90, of a candidate with all that there may be in a log.
fn vote_request(cluster: &Cluster, region: u64, from_store: u64, to: u64) -> StoreMessage {
    let from = cluster.member(region, from_store);
    let vote = Message {
        msg_type: MessageType::MsgRequestVote as i32,
        from: from.id,
        to,
        term: 90,
        index: 900,
        log_term: 80,
        ..Message::default()
    };
    let epoch = cluster.region_at_leader(region).region_epoch;
    let to_peer = Some(Peer { id: to, store_id: 4, role: 0 });
    envelope(RaftMessage {
        region_id: region,
        from_peer: Some(from),
        to_peer,
        region_epoch: epoch,
        start_key: "m".into(),
        message: Some(vote),
        ..RaftMessage::default()
    })
}

/// Whether store 4 has granted a vote since it was last asked.
fn grants(cluster: &mut Cluster) -> bool {
    cluster.finish_sync(4, Db::Raft);
    let sent = cluster.nodes.get_mut(&4).unwrap().env.sent.drain(..);
    let messages = sent.filter_map(|message| message.message);
    messages.into_iter().any(|m| m.msg_type() == MessageType::MsgRequestVoteResponse && !m.reject)
}

/// The split brings an older replica, whose tombstone follows in a write of its own. A crash between the two leaves
/// the older one, with what the newer one has promised; when it goes for good, that must not go with it.
#[test]
fn a_vote_outlives_an_older_replica_that_a_crash_has_left() {
    let mut cluster = with_data(1);
    cluster.stalled_dbs.insert((4, Db::Snapshots));
    cluster.add_peer(REGION, 4);
    cluster.run(1_000);
    cluster.lost = chunks_and_later_regions_to_4;
    let right = cluster.split("m");
    let old = cluster.member(right, 4).id;
    cluster.remove_peer(right, 4);
    let new = cluster.add_peer(right, 4);
    cluster.lost = chunks_to_4;
    cluster.run(1_000);
    assert_eq!(cluster.peer(4, right).unwrap().peer_id(), new);
    let vote = vote_request(&cluster, right, 1, new);
    cluster.with(4, |store, env, now| store.on_message(env, now, vote));
    assert!(grants(&mut cluster), "to the first that asks");
    cluster.stalled_dbs = [(4, Db::Kv)].into();
    cluster.settle();
    assert!(cluster.peer(4, REGION).unwrap().is_initialized());
    cluster.isolated.insert(4);
    let mut left_by_a_crash = 0;
    for keep in 0..=cluster.nodes[&4].env.kv.unsynced() {
        let mut cluster = cluster.clone();
        cluster.stalled_dbs.clear();
        cluster.crash(4, usize::MAX, keep);
        cluster.boot(4);
        cluster.settle_store(4);
        if let Some(peer) = cluster.peer(4, right)
            && peer.peer_id() == old
        {
            left_by_a_crash += 1;
            let tombstone = RaftMessage {
                region_id: right,
                from_peer: Some(cluster.member(right, 1)),
                to_peer: Some(Peer { id: old, store_id: 4, role: 0 }),
                region_epoch: cluster.region_at_leader(right).region_epoch,
                is_tombstone: true,
                ..RaftMessage::default()
            };
            cluster.with(4, |store, env, now| store.on_message(env, now, envelope(tombstone)));
            cluster.settle_store(4);
            assert!(cluster.peer(4, right).is_none());
        }
        let other = vote_request(&cluster, right, 2, new);
        cluster.with(4, |store, env, now| store.on_message(env, now, other));
        assert!(!grants(&mut cluster), "a second vote in one term, with {keep} writes kept");
    }
    assert!(left_by_a_crash > 0);
}

#[test]
fn keys_that_a_split_leaves_to_nobody_are_taken_when_that_is_durable() {
    let (mut cluster, right) = new_half_before_the_whole();
    cluster.remove_peer(right, 4);
    cluster.run(6_000);
    cluster.add_peer(right, 4);
    cluster.lost = |_, _, _| false;
    // The whole is durable, and what the split makes of it is not.
    cluster.stalled_dbs.clear();
    cluster.stalled_dbs.insert((4, Db::Kv));
    cluster.run(4_000);
    let mut crashed = cluster.clone();
    crashed.finish_sync(4, Db::Raft);
    crashed.crash(4, 0, 0);
    crashed.boot(4);
    for cluster in [&mut cluster, &mut crashed] {
        cluster.stalled_dbs.clear();
        cluster.converge(40);
    }
}
