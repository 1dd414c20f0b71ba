//! The receiving end by itself: order, limits, time, restarts.

use raft_proto::raft_serverpb::SnapshotVerdict::{self, Accepted, Busy, Receiving, Refused};

use super::*;
use crate::snapshot::Outgoing;
use crate::snapshot::test_support::{
    FROM, TO, acks, answers, body_of, chunks, config, data_of, snapshot_of, stored,
};
use crate::testing::MapEngine;

/// The five chunks of a snapshot of `region`, sent by a leader of `term`.
fn chunks_of(region: u64, term: u64) -> Vec<SnapshotChunk> {
    let mut env = MapEngine::default();
    let mut outgoing = Outgoing::new(&Config { snapshot_window: 9, ..config(1) });
    let body = body();
    outgoing.start(&mut env, 0, snapshot_of(region, TO, term, 9, &body), body).unwrap();
    let mut sent = chunks(&mut env);
    let key = sent[0].key.unwrap();
    outgoing.on_ack(&mut env, 0, ack(key, 1, Receiving, FROM));
    sent.extend(chunks(&mut env));
    assert_eq!(sent.len(), 5);
    sent
}

fn body() -> Body {
    body_of(&["c", "d", "e", "f", "g"])
}

fn opened() -> (Incoming, MapEngine) {
    let mut env = MapEngine::default();
    (Incoming::open(&mut env, &config(2), &[]).unwrap(), env)
}

/// What the receiver answers to a chunk.
fn give(
    incoming: &mut Incoming,
    env: &mut MapEngine,
    tick: u64,
    chunk: &SnapshotChunk,
) -> Vec<(u32, SnapshotVerdict)> {
    incoming.on_chunk(env, tick, chunk.clone()).unwrap();
    answers(env)
}

/// All chunks of a snapshot are here and durable.
fn offered(incoming: &mut Incoming, env: &mut MapEngine, region: u64) -> Received {
    for chunk in chunks_of(region, 3) {
        incoming.on_chunk(env, 0, chunk).unwrap();
    }
    env.sent.clear();
    let mut received = incoming.on_synced(env.writes);
    assert_eq!(received.len(), 1);
    received.remove(0)
}

#[test]
fn chunks_are_kept_until_all_are_durable() {
    let (mut incoming, mut env) = opened();
    let all = chunks_of(7, 3);
    for (chunk, received) in all.iter().zip(1..) {
        assert_eq!(env.syncs, []);
        assert_eq!(give(&mut incoming, &mut env, 0, chunk), [(received, Receiving)]);
    }
    assert_eq!(env.syncs, [Db::Snapshots]);
    assert_eq!(incoming.on_synced(env.writes - 1), []);
    let key = all[0].key.unwrap();
    let message = all[0].message.clone().unwrap();
    assert_eq!(incoming.on_synced(env.writes), [Received { key, message, from: FROM }]);
    assert_eq!(incoming.on_synced(env.writes), []);
    assert_eq!(load(&env, &key, &data_of(&body())), Ok(body()));
    // The sender asks what has become of it.
    assert_eq!(give(&mut incoming, &mut env, 1, &all[4]), [(5, Receiving)]);
    incoming.finish(&mut env, 1, key, Accepted).unwrap();
    assert_eq!(env.sent[0].0, FROM.store_id);
    let answer = acks(&mut env);
    assert_eq!(answer, [ack(key, 5, Accepted, FROM)]);
    assert_eq!((incoming.len(), stored(&env).len()), (0, 5));
    incoming.remove(&mut env, key).unwrap();
    assert_eq!(stored(&env).len(), 0);
}

#[test]
fn chunks_within_the_window_may_come_in_any_order_and_twice() {
    let (mut incoming, mut env) = opened();
    let all = chunks_of(7, 3);
    let order = [(0, 1), (3, 1), (2, 1), (3, 1), (1, 4), (0, 4), (4, 5), (4, 5)];
    for (number, received) in order {
        assert_eq!(give(&mut incoming, &mut env, 0, &all[number]), [(received, Receiving)], "{number}");
    }
    assert_eq!((env.writes, env.syncs.len()), (5, 1), "each is written once");
    assert_eq!(incoming.on_synced(env.writes).len(), 1);
    assert_eq!(load(&env, &all[0].key.unwrap(), &data_of(&body())), Ok(body()));
}

#[test]
fn the_last_chunk_may_come_before_others() {
    let (mut incoming, mut env) = opened();
    let all = chunks_of(7, 3);
    for number in [0, 1, 4, 3] {
        give(&mut incoming, &mut env, 0, &all[number]);
    }
    assert_eq!((incoming.on_synced(env.writes), env.syncs.len()), (vec![], 0));
    assert_eq!(give(&mut incoming, &mut env, 0, &all[2]), [(5, Receiving)]);
    // Behind the last one there is nothing.
    let behind = SnapshotChunk { number: 5, ..all[1].clone() };
    assert_eq!(give(&mut incoming, &mut env, 0, &behind), [(5, Receiving)]);
    assert_eq!((stored(&env).len(), incoming.on_synced(env.writes).len()), (5, 1));
}

#[test]
fn what_is_beyond_the_window_is_dropped() {
    let (mut incoming, mut env) = opened();
    let all = chunks_of(7, 3);
    give(&mut incoming, &mut env, 0, &all[0]);
    assert_eq!(give(&mut incoming, &mut env, 0, &all[4]), [(1, Receiving)]);
    assert_eq!(stored(&env).len(), 1);
}

#[test]
fn a_damaged_chunk_is_a_lost_one() {
    let (mut incoming, mut env) = opened();
    let all = chunks_of(7, 3);
    for chunk in &all[..2] {
        let damaged = SnapshotChunk { data: "damaged!".into(), ..chunk.clone() };
        assert_eq!(give(&mut incoming, &mut env, 0, &damaged), []);
        assert_eq!(give(&mut incoming, &mut env, 0, chunk), [(chunk.number + 1, Receiving)]);
    }
}

#[test]
fn a_first_chunk_must_say_what_it_begins() {
    let (mut incoming, mut env) = opened();
    let first = chunks_of(7, 3).remove(0);
    let silent = SnapshotChunk { message: None, ..first.clone() };
    assert_eq!(give(&mut incoming, &mut env, 0, &silent), [(0, Refused)]);
    let other = SnapshotChunk { message: chunks_of(8, 3)[0].message.clone(), ..first.clone() };
    assert_eq!(give(&mut incoming, &mut env, 0, &other), [(0, Refused)]);
    let mut no_snapshot = first.clone();
    no_snapshot.message.as_mut().unwrap().message.as_mut().unwrap().snapshot = None;
    assert_eq!(give(&mut incoming, &mut env, 0, &no_snapshot), [(0, Refused)]);
    let nameless = SnapshotChunk { key: None, ..first };
    assert_eq!(give(&mut incoming, &mut env, 0, &nameless), []);
    assert_eq!((incoming.len(), env.writes), (0, 0));
}

#[test]
fn a_later_chunk_of_a_forgotten_transfer_tells_the_sender() {
    let (mut incoming, mut env) = opened();
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(7, 3)[2]), [(0, Busy)]);
}

#[test]
fn too_many_are_told_to_come_later() {
    let (mut incoming, mut env) = opened();
    let key = offered(&mut incoming, &mut env, 1).key;
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(2, 3)[0]), [(1, Receiving)]);
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(3, 3)[0]), [(0, Busy)]);
    // A newer one of the same region needs no more room.
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(2, 4)[0]), [(1, Receiving)]);
    // What is accepted takes its room until it is removed.
    incoming.finish(&mut env, 0, key, Accepted).unwrap();
    env.sent.clear();
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(3, 3)[0]), [(0, Busy)]);
    incoming.remove(&mut env, key).unwrap();
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(3, 3)[0]), [(1, Receiving)]);
    assert_eq!(incoming.len(), 2);
}

#[test]
fn a_newer_snapshot_takes_the_place_of_one_that_is_coming() {
    let (mut incoming, mut env) = opened();
    let (old, new) = (chunks_of(7, 3), chunks_of(7, 4));
    give(&mut incoming, &mut env, 0, &old[0]);
    give(&mut incoming, &mut env, 0, &old[1]);
    assert_eq!(give(&mut incoming, &mut env, 0, &new[0]), [(1, Receiving)]);
    assert_eq!(stored(&env), [chunk_key(new[0].key.unwrap(), 0).to_vec()]);
    for number in [0, 2] {
        assert_eq!(give(&mut incoming, &mut env, 0, &old[number]), [(0, Refused)]);
    }
    for chunk in &new[1..] {
        give(&mut incoming, &mut env, 0, chunk);
    }
    assert_eq!(incoming.on_synced(env.writes)[0].key, new[0].key.unwrap());
}

/// Raft may have it already, and its record may be on the way to the disk.
#[test]
fn nothing_takes_the_place_of_an_offered_snapshot() {
    let (mut incoming, mut env) = opened();
    let key = offered(&mut incoming, &mut env, 7).key;
    let newer = chunks_of(7, 4).remove(0);
    assert_eq!(give(&mut incoming, &mut env, 0, &newer), []);
    assert_eq!(load(&env, &key, &data_of(&body())), Ok(body()));
    incoming.finish(&mut env, 0, key, Refused).unwrap();
    assert_eq!(answers(&mut env), [(5, Refused)]);
    assert_eq!(stored(&env).len(), 0);
    assert_eq!(give(&mut incoming, &mut env, 0, &newer), [(1, Receiving)]);
}

#[test]
fn a_verdict_is_repeated_to_a_sender_that_asks_again() {
    for verdict in [Accepted, Refused, Busy] {
        let (mut incoming, mut env) = opened();
        let key = offered(&mut incoming, &mut env, 7).key;
        incoming.finish(&mut env, 0, key, verdict).unwrap();
        assert_eq!(answers(&mut env), [(5, verdict)]);
        for chunk in chunks_of(7, 3) {
            assert_eq!(give(&mut incoming, &mut env, 1, &chunk), [(5, verdict)]);
        }
        // A second verdict is none.
        incoming.finish(&mut env, 1, key, Accepted).unwrap();
        assert_eq!((incoming.len(), answers(&mut env)), (0, vec![]));
        // What is older is stale.
        assert_eq!(give(&mut incoming, &mut env, 1, &chunks_of(7, 2)[0]), [(0, Refused)]);
    }
}

#[test]
fn verdicts_are_forgotten() {
    let (mut incoming, mut env) = opened();
    let key = offered(&mut incoming, &mut env, 1).key;
    incoming.finish(&mut env, 0, key, Refused).unwrap();
    let later = offered(&mut incoming, &mut env, 2).key;
    incoming.finish(&mut env, 40, later, Refused).unwrap();
    env.sent.clear();
    assert_eq!(give(&mut incoming, &mut env, 40, &chunks_of(1, 3)[0]), [(1, Receiving)]);
    assert_eq!(give(&mut incoming, &mut env, 40, &chunks_of(2, 3)[0]), [(5, Refused)]);
}

#[test]
fn what_stops_coming_is_given_up() {
    let (mut incoming, mut env) = opened();
    let all = chunks_of(7, 3);
    give(&mut incoming, &mut env, 0, &all[0]);
    give(&mut incoming, &mut env, 5, &all[1]);
    // Nothing new.
    give(&mut incoming, &mut env, 9, &all[1]);
    assert_eq!(incoming.next_due(), 45);
    incoming.on_tick(&mut env, 44).unwrap();
    assert_eq!((incoming.len(), stored(&env).len()), (1, 2));
    incoming.on_tick(&mut env, 45).unwrap();
    assert_eq!((incoming.len(), stored(&env).len(), incoming.next_due()), (0, 0, NEVER));
}

#[test]
fn a_slow_disk_is_waited_for() {
    let (mut incoming, mut env) = opened();
    for chunk in chunks_of(7, 3) {
        give(&mut incoming, &mut env, 0, &chunk);
    }
    assert_eq!(incoming.next_due(), NEVER);
    incoming.on_tick(&mut env, 1000).unwrap();
    assert_eq!(incoming.on_synced(env.writes).len(), 1);
    incoming.on_tick(&mut env, 2000).unwrap();
    assert_eq!(incoming.len(), 1);
}

#[test]
fn a_replica_that_is_gone_leaves_no_chunks() {
    let (mut incoming, mut env) = opened();
    let key = offered(&mut incoming, &mut env, 7).key;
    give(&mut incoming, &mut env, 0, &chunks_of(8, 3)[0]);
    incoming.cancel(&mut env, 7, None).unwrap();
    assert_eq!((incoming.len(), stored(&env).len()), (1, 1));
    incoming.finish(&mut env, 0, key, Accepted).unwrap();
    assert_eq!(answers(&mut env), []);
}

#[test]
fn a_replica_that_is_gone_leaves_the_chunks_that_a_record_names() {
    let (mut incoming, mut env) = opened();
    let key = offered(&mut incoming, &mut env, 7).key;
    let chunks = stored(&env).len();
    incoming.cancel(&mut env, 7, Some(key)).unwrap();
    assert_eq!((incoming.len(), stored(&env).len()), (0, chunks));
    incoming.remove(&mut env, key).unwrap();
    assert_eq!(stored(&env).len(), 0);
}

#[test]
fn a_restart_keeps_what_records_name_alone() {
    let (mut incoming, mut env) = opened();
    let kept = offered(&mut incoming, &mut env, 1).key;
    for chunk in &chunks_of(2, 3)[..3] {
        give(&mut incoming, &mut env, 0, chunk);
    }
    let mut strange = WriteBatch::new();
    strange.put(b"strange", b"");
    env.write(Db::Snapshots, strange).unwrap();
    assert_eq!(stored(&env).len(), 5 + 3 + 1);
    let mut incoming =
        Incoming::open(&mut env, &Config { max_snapshots_received: 1, ..config(2) }, &[kept]).unwrap();
    assert_eq!(stored(&env).len(), 5);
    assert_eq!(load(&env, &kept, &data_of(&body())), Ok(body()));
    assert_eq!(give(&mut incoming, &mut env, 0, &chunks_of(2, 4)[0]), [(0, Busy)]);
    incoming.remove(&mut env, kept).unwrap();
    assert_eq!(stored(&env).len(), 0);
    let writes = env.writes;
    Incoming::open(&mut env, &config(2), &[]).unwrap();
    assert_eq!(env.writes, writes, "nothing to remove, nothing to write");
}

#[test]
fn a_body_that_is_not_the_announced_one_does_not_load() {
    let (mut incoming, mut env) = opened();
    let key = offered(&mut incoming, &mut env, 7).key;
    let data = data_of(&body());
    let other = data_of(&body_of(&["c", "d", "e", "f", "h"]));
    assert_eq!(load(&env, &key, &other), Err(BodyError::Checksum(crate::keys::Cf::Default).into()));
    let longer = RaftSnapshotData { file_size: 41, ..data.clone() };
    assert_eq!(load(&env, &key, &longer), Err(BodyError::Size { expected: 41, actual: 40 }.into()));
    let nowhere = RaftSnapshotData { region: None, ..data.clone() };
    assert_eq!(load(&env, &key, &nowhere), Err(LoadError::NoRegion));
    let mut hole = WriteBatch::new();
    hole.delete(&chunk_key(key, 2));
    env.write(Db::Snapshots, hole).unwrap();
    assert_eq!(load(&env, &key, &data), Err(LoadError::Missing(2)));
    env.unreadable = true;
    assert!(matches!(load(&env, &key, &data), Err(LoadError::Engine(_))));
    // Of another attempt there is nothing, and nothing is not the body.
    env.unreadable = false;
    let other = SnapshotKey { attempt: key.attempt + 1, ..key };
    assert_eq!(load(&env, &other, &data), Err(BodyError::Size { expected: 40, actual: 0 }.into()));
}

#[test]
fn a_refusal_goes_to_the_sender() {
    let chunk = chunks_of(7, 3).remove(0);
    assert_eq!(refusal(&chunk, Refused), ack(chunk.key.unwrap(), 0, Refused, FROM));
}
