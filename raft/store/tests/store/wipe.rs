//! A store that lost its databases: it comes back as a new one under its old number, takes up no replica that may have
//! been there before, and vouches for none.

use crate::common::{Cluster, REGION, config, envelope, put};
use raftstore::proto::eraftpb::{Message, MessageType};
use raftstore::proto::metapb::{Peer, RegionEpoch};
use raftstore::proto::raft_serverpb::{
    RaftMessage, SnapshotAck, SnapshotChunk, SnapshotKey, SnapshotVerdict, StoreIdent, StoreMessage,
    store_message::Payload,
};
use raftstore::{Config, Db, Read, keys};

/// Three stores, of which the third has just lost its databases.
fn wiped() -> Cluster {
    let mut cluster = Cluster::led_with_spares(3, 0, Config { pre_vote: true, ..config(0) });
    cluster.execute(1, vec![put("k", "v")]);
    cluster.run(2_000);
    cluster.wipe(3);
    cluster
}

fn floor(cluster: &Cluster) -> u64 {
    cluster.nodes[&3].store().config().replica_floor
}

/// A message of the replica on store 2 to one on store 3.
fn message(to: u64, message: Option<Message>) -> StoreMessage {
    let (from_peer, to_peer) = (Peer { id: 20, store_id: 2, role: 0 }, Peer { id: to, store_id: 3, role: 0 });
    let message = message.map(|message| Message { from: 20, to, ..message });
    envelope(RaftMessage {
        region_id: REGION,
        from_peer: Some(from_peer),
        to_peer: Some(to_peer),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        message,
        ..RaftMessage::default()
    })
}

fn raft(kind: MessageType, term: u64) -> Option<Message> {
    Some(Message { msg_type: kind as i32, term, index: 100, log_term: 100, ..Message::default() })
}

/// What store 3 says to a message.
fn answers(cluster: &mut Cluster, message: StoreMessage) -> Vec<Message> {
    cluster.with(3, |store, env, now| store.on_message(env, now, message));
    let sent = cluster.nodes.get_mut(&3).unwrap().env.sent.drain(..);
    sent.map(|message| message.message.unwrap()).collect()
}

#[test]
fn it_begins_without_replicas_and_remembers_since_when() {
    let mut cluster = wiped();
    assert_eq!(cluster.nodes[&3].store().peers().count(), 0);
    let floor = floor(&cluster);
    assert!(floor >= 30);
    // What is written down counts, whatever a later boot says: ids are given out meanwhile.
    cluster.run(1_000);
    cluster.crash(3, 0, 0);
    let ident = cluster.nodes[&3].env.get(Db::Kv, &keys::STORE_IDENT).unwrap().unwrap();
    let ident = <StoreIdent as prost::Message>::decode(ident).unwrap();
    assert_eq!(ident, StoreIdent { cluster_id: 1, store_id: 3, replica_floor: floor });
    for config in [config(3), Config { replica_floor: floor + 500, ..config(3) }] {
        let env = &mut cluster.nodes[&3].env.clone();
        raftstore::Store::bootstrap(env, &config, &cluster.region()).unwrap();
        let store = raftstore::Store::open(env, config, 0).unwrap();
        assert_eq!((store.config().replica_floor, store.peers().count()), (floor, 0));
    }
}

#[test]
fn it_never_votes_for_a_replica_that_it_lost() {
    let mut cluster = wiped();
    for (kind, answer, term) in [
        (MessageType::MsgRequestVote, MessageType::MsgRequestVoteResponse, 9),
        // A refused pre-vote names no term that nobody is in.
        (MessageType::MsgRequestPreVote, MessageType::MsgRequestPreVoteResponse, 8),
    ] {
        let answers = answers(&mut cluster, message(30, raft(kind, 9)));
        let [refusal] = &answers[..] else { panic!("{answers:?}") };
        assert_eq!((refusal.msg_type(), refusal.reject, refusal.term), (answer, true, term));
        assert_eq!((refusal.from, refusal.to, refusal.commit), (30, 20, 0));
    }
    assert_eq!(cluster.nodes[&3].store().peers().count(), 0);
    assert_eq!(cluster.nodes[&3].env.raft.written, 0, "and has nothing to remember");
}

#[test]
fn it_makes_no_replica_that_old_whoever_writes() {
    let mut cluster = wiped();
    let floor = floor(&cluster);
    let first = raft(MessageType::MsgHeartbeat, 9);
    for id in [30, floor] {
        for message in
            [message(id, first.clone()), message(id, raft(MessageType::MsgAppend, 9)), message(id, None)]
        {
            assert_eq!(answers(&mut cluster, message), []);
            assert_eq!(cluster.nodes[&3].store().peers().count(), 0);
        }
    }
    // One that was given its id later is another matter.
    let answers = answers(&mut cluster, message(floor + 1, first));
    assert_eq!(cluster.nodes[&3].store().peer(REGION).map(raftstore::Peer::peer_id), Some(floor + 1));
    assert!(answers.is_empty(), "its term is not durable yet");
}

#[test]
fn it_refuses_snapshots_for_a_replica_that_it_lost() {
    let mut cluster = wiped();
    let key = SnapshotKey { region_id: REGION, term: 6, index: 9, from_peer: 20, to_peer: 30, attempt: 1 };
    let chunk = SnapshotChunk {
        key: Some(key),
        last: true,
        from_peer: Some(Peer { id: 20, store_id: 2, role: 0 }),
        to_peer: Some(Peer { id: 30, store_id: 3, role: 0 }),
        ..SnapshotChunk::default()
    };
    let chunk = StoreMessage { payload: Some(Payload::Chunk(chunk)) };
    cluster.with(3, |store, env, now| store.on_message(env, now, chunk));
    let answers: Vec<_> = cluster.nodes[&3].env.transfers.iter().collect();
    let [(2, StoreMessage { payload: Some(Payload::Ack(ack)) })] = &answers[..] else {
        panic!("{answers:?}")
    };
    assert_eq!(*ack, SnapshotAck { key: Some(key), verdict: SnapshotVerdict::Refused as i32, ..*ack });
}

#[test]
fn its_region_goes_on_replaces_it_and_takes_it_in_again() {
    let mut cluster = wiped();
    cluster.execute(1, vec![put("k", "w")]);
    cluster.run(5_000);
    assert_eq!(cluster.leaders(), [1], "two of three");
    assert_eq!(cluster.nodes[&3].store().peers().count(), 0);
    cluster.remove_peer(REGION, 3);
    let id = cluster.add_peer(REGION, 3);
    assert!(id > floor(&cluster));
    cluster.converge(20);
    assert_eq!(cluster.value(3, "k").as_deref(), Some("w"));
    // As any other store it remembers what it promises from then on.
    cluster.crash(3, 0, 0);
    cluster.boot(3);
    cluster.converge(20);
    assert_eq!(cluster.nodes[&3].peer().peer_id(), id);
}

/// Were it to vote again, a leader could be elected that has not what was committed with its help.
#[test]
fn what_was_committed_with_its_help_is_not_lost() {
    let mut cluster = Cluster::led(3);
    // Stores 1 and 3 have the entry, 2 has not.
    cluster.isolated.insert(2);
    cluster.execute(1, vec![put("k", "v")]);
    cluster.run(1_000);
    cluster.wipe(3);
    cluster.isolated = [1].into();
    for _ in 0..20 {
        cluster.campaign(2);
        cluster.run(1_000);
        assert!(!cluster.leaders().contains(&2), "it has a vote of its own alone");
    }
    cluster.isolated.clear();
    cluster.run(20_000);
    let leader = cluster.leaders()[0];
    assert_eq!(cluster.value(leader, "k").as_deref(), Some("v"));
}

#[test]
fn a_split_that_is_that_old_makes_no_replica() {
    let mut cluster = wiped();
    // A split whose ids were given out before the databases were lost, applied by a replica that came after.
    let floor = floor(&cluster);
    cluster.remove_peer(REGION, 3);
    cluster.add_peer(REGION, 3);
    cluster.converge(20);
    let region = cluster.region_at_leader(REGION);
    let ids =
        region.peers.iter().map(|peer| if peer.store_id == 3 { floor } else { floor + 100 + peer.store_id });
    let split = raftstore::proto::raft_cmdpb::SplitRequest {
        split_key: "m".into(),
        new_region_id: floor - 1,
        new_peer_ids: ids.collect(),
    };
    cluster.with(1, |store, env, now| store.split(env, now, REGION, &split).unwrap());
    cluster.run(5_000);
    assert!(cluster.leader_of(floor - 1).is_some(), "the other two have it");
    assert!(cluster.peer(3, floor - 1).is_none());
    assert_eq!(cluster.peer(3, REGION).unwrap().region().end_key, "m");
    // And it can have a newer one.
    cluster.remove_peer(floor - 1, 3);
    cluster.add_peer(floor - 1, 3);
    cluster.converge(20);
}
