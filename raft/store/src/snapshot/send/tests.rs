//! The sending end by itself: windows, repetitions, limits.

use raft_proto::raft_serverpb::SnapshotVerdict::{Accepted, Busy, Receiving, Refused};

use super::*;
use crate::snapshot::test_support::{TO, body_of, chunks, config, numbers, snapshot_of};
use crate::testing::MapEngine;

/// 40 bytes: five chunks of 8.
fn five_chunks() -> Body {
    body_of(&["c", "d", "e", "f", "g"])
}

/// A transfer of five chunks that began at tick 0, after its first chunk was sent.
fn begun() -> (Outgoing, MapEngine, SnapshotKey) {
    let (mut outgoing, mut env) = (Outgoing::new(&config(1)), MapEngine::default());
    let key = start(&mut outgoing, &mut env, 7, TO).unwrap();
    (outgoing, env, key)
}

fn start(
    outgoing: &mut Outgoing,
    env: &mut MapEngine,
    region: u64,
    to: Peer,
) -> Result<SnapshotKey, TooMany> {
    let body = five_chunks();
    outgoing.start(env, 0, snapshot_of(region, to, 3, 9, &body), body)?;
    Ok(chunks(env)[0].key.unwrap())
}

fn ack(key: SnapshotKey, received: u32, verdict: SnapshotVerdict) -> SnapshotAck {
    SnapshotAck { key: Some(key), received, verdict: verdict.into(), to_peer: None }
}

#[test]
fn the_first_chunk_goes_alone_and_carries_the_message() {
    let (mut outgoing, mut env) = (Outgoing::new(&config(1)), MapEngine::default());
    let body = five_chunks();
    let message = snapshot_of(7, TO, 3, 9, &body);
    outgoing.start(&mut env, 0, message.clone(), body.clone()).unwrap();
    assert_eq!(env.sent.iter().map(|(store, _)| *store).collect::<Vec<_>>(), [TO.store_id]);
    let first = chunks(&mut env).remove(0);
    let (from_peer, to_peer) = (11, 12);
    let key = SnapshotKey { region_id: 7, term: 2, index: 9, from_peer, to_peer, attempt: 3 << 32 | 1 };
    assert_eq!((first.key, first.message), (Some(key), Some(message)));

    outgoing.on_ack(&mut env, 0, ack(key, 1, Receiving));
    outgoing.on_ack(&mut env, 0, ack(key, 4, Receiving));
    let rest = chunks(&mut env);
    assert!(rest.iter().all(|chunk| chunk.message.is_none()));
    let all: Vec<u8> =
        [first.data].iter().chain(rest.iter().map(|chunk| &chunk.data)).flatten().copied().collect();
    assert_eq!(&all, body.bytes());
    let places: Vec<_> = rest.iter().map(|chunk| (chunk.number, chunk.offset, chunk.last)).collect();
    assert_eq!(places, [(1, 8, false), (2, 16, false), (3, 24, false), (4, 32, true)]);
}

#[test]
fn an_empty_body_is_one_chunk() {
    let (mut outgoing, mut env) = (Outgoing::new(&config(1)), MapEngine::default());
    let body = body_of(&[]);
    outgoing.start(&mut env, 0, snapshot_of(7, TO, 3, 9, &body), body).unwrap();
    let sent = chunks(&mut env);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].last && sent[0].data.is_empty() && sent[0].message.is_some());
}

#[test]
fn the_window_moves_with_acknowledgements() {
    let (mut outgoing, mut env, key) = begun();
    let mut sent_after = |received| {
        outgoing.on_ack(&mut env, 0, ack(key, received, Receiving));
        numbers(&mut env)
    };
    assert_eq!(sent_after(0), []);
    assert_eq!(sent_after(1), [1, 2, 3]);
    assert_eq!(sent_after(1), []);
    assert_eq!(sent_after(2), [4]);
    assert_eq!(sent_after(5), []);
    // Late ones, and what nobody sent.
    assert_eq!(sent_after(3), []);
    assert_eq!(sent_after(6), []);
}

#[test]
fn the_first_missing_chunk_is_repeated_after_longer_and_longer_times() {
    let (mut outgoing, mut env, key) = begun();
    outgoing.on_ack(&mut env, 0, ack(key, 1, Receiving));
    assert_eq!(numbers(&mut env), [1, 2, 3]);
    let mut repeated = Vec::new();
    for tick in 0..=40 {
        assert_eq!(outgoing.next_due() <= tick, [2, 6, 11, 16, 21, 26, 31, 36, 40].contains(&tick), "{tick}");
        let ended = outgoing.on_tick(&mut env, tick);
        repeated.extend(numbers(&mut env).into_iter().map(|number| (tick, number)));
        let silent = Sent { region: 7, to_peer: 12, ok: false };
        assert_eq!(ended, if tick == 40 { vec![silent] } else { vec![] });
    }
    assert_eq!(repeated, [2, 6, 11, 16, 21, 26, 31, 36].map(|tick| (tick, 1)));
    assert_eq!((outgoing.len(), outgoing.next_due()), (0, NEVER));
}

#[test]
fn progress_makes_it_patient_again() {
    let (mut outgoing, mut env, key) = begun();
    outgoing.on_tick(&mut env, 2);
    outgoing.on_tick(&mut env, 6);
    assert_eq!(outgoing.next_due(), 11);
    outgoing.on_ack(&mut env, 7, ack(key, 1, Receiving));
    assert_eq!(outgoing.next_due(), 7 + FIRST_RETRY_TICKS);
}

#[test]
fn when_all_is_there_the_last_chunk_asks_for_the_verdict() {
    let (mut outgoing, mut env, key) = begun();
    outgoing.on_ack(&mut env, 0, ack(key, 1, Receiving));
    outgoing.on_ack(&mut env, 0, ack(key, 4, Receiving));
    outgoing.on_ack(&mut env, 0, ack(key, 5, Receiving));
    numbers(&mut env);
    // As long as the receiver answers, it is asked, and not seldom.
    for tick in 1..100 {
        assert_eq!(outgoing.on_tick(&mut env, tick), []);
        if numbers(&mut env) == [4] {
            outgoing.on_ack(&mut env, tick, ack(key, 5, Receiving));
            assert!(outgoing.next_due() <= tick + 5);
        }
    }
    let accepted = outgoing.on_ack(&mut env, 100, ack(key, 5, Accepted));
    assert_eq!(accepted, Some(Sent { region: 7, to_peer: 12, ok: true }));
    assert_eq!(outgoing.on_ack(&mut env, 100, ack(key, 5, Accepted)), None);
}

/// A receiver that restarted, and got the first chunk again from a slow network, is not waited for.
#[test]
fn answers_of_the_past_are_no_sign_of_life() {
    let (mut outgoing, mut env, key) = begun();
    outgoing.on_ack(&mut env, 0, ack(key, 1, Receiving));
    outgoing.on_ack(&mut env, 0, ack(key, 3, Receiving));
    for tick in 1..40 {
        outgoing.on_ack(&mut env, tick, ack(key, 1, Receiving));
        assert_eq!(outgoing.on_tick(&mut env, tick), []);
    }
    assert_eq!(outgoing.on_tick(&mut env, 40), [Sent { region: 7, to_peer: 12, ok: false }]);
}

#[test]
fn a_receiver_that_does_not_want_it_ends_it() {
    for verdict in [Refused, Busy] {
        let (mut outgoing, mut env, key) = begun();
        let sent = outgoing.on_ack(&mut env, 0, ack(key, 0, verdict));
        assert_eq!(sent, Some(Sent { region: 7, to_peer: 12, ok: false }));
        assert_eq!(outgoing.len(), 0);
    }
}

/// One whose disk stands still has the first chunk, and says so whenever it is asked.
#[test]
fn a_receiver_that_answers_and_gets_no_further_is_given_up() {
    let (mut outgoing, mut env, key) = begun();
    let timeout = config(1).snapshot_timeout_ticks;
    let mut ended = None;
    for tick in 1..=timeout * (PATIENCE + 1) {
        outgoing.on_ack(&mut env, tick, ack(key, 1, Receiving));
        if let Some(sent) = outgoing.on_tick(&mut env, tick).pop() {
            ended.get_or_insert((tick, sent.ok));
        }
    }
    // Its first answer was news.
    assert_eq!(ended, Some((1 + timeout * PATIENCE, false)));
}

#[test]
fn foreign_answers_change_nothing() {
    let (mut outgoing, mut env, key) = begun();
    let strangers = [
        SnapshotKey { attempt: key.attempt + 1, ..key },
        SnapshotKey { index: 10, ..key },
        SnapshotKey { to_peer: 13, ..key },
    ];
    for stranger in strangers {
        for verdict in [Receiving, Accepted, Refused, Busy] {
            assert_eq!(outgoing.on_ack(&mut env, 0, ack(stranger, 1, verdict)), None);
        }
    }
    assert_eq!(outgoing.on_ack(&mut env, 0, SnapshotAck::default()), None);
    assert_eq!((outgoing.len(), env.sent.len()), (1, 0));
}

#[test]
fn too_many_have_to_wait_but_a_newer_one_takes_the_place_of_its_elder() {
    let (mut outgoing, mut env, key) = begun();
    start(&mut outgoing, &mut env, 8, TO).unwrap();
    assert_eq!(start(&mut outgoing, &mut env, 9, TO), Err(TooMany));
    assert_eq!(start(&mut outgoing, &mut env, 7, Peer { id: 13, ..TO }), Err(TooMany));
    let newer = start(&mut outgoing, &mut env, 7, TO).unwrap();
    assert_eq!(outgoing.len(), 2);
    assert!(newer.attempt > key.attempt);
    assert_eq!(outgoing.on_ack(&mut env, 0, ack(key, 5, Accepted)), None);
    assert!(outgoing.on_ack(&mut env, 0, ack(newer, 5, Accepted)).is_some());
    start(&mut outgoing, &mut env, 9, TO).unwrap();
}

#[test]
fn a_later_life_makes_later_attempts() {
    let (mut first, mut env, _) = begun();
    let earlier = start(&mut first, &mut env, 7, TO).unwrap();
    let mut second = Outgoing::new(&config(1));
    let body = five_chunks();
    second.start(&mut env, 0, snapshot_of(7, TO, 4, 9, &body), body).unwrap();
    assert!(chunks(&mut env)[0].key.unwrap().attempt > earlier.attempt);
}

#[test]
fn a_region_that_is_gone_sends_nothing_more() {
    let (mut outgoing, mut env, _) = begun();
    start(&mut outgoing, &mut env, 8, TO).unwrap();
    outgoing.cancel(7);
    assert_eq!(outgoing.len(), 1);
    outgoing.on_tick(&mut env, 2);
    assert!(chunks(&mut env).iter().all(|chunk| chunk.key.unwrap().region_id == 8));
}
