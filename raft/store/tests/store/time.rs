//! When a store wants to be woken, and what it does then.

use crate::common::{Cluster, MS, REGION, put};
use proptest::prelude::*;
use raft::Role;
use raftstore::Db;

const START: u64 = 1_000 * MS;

fn deadline(cluster: &Cluster, id: u64) -> u64 {
    cluster.nodes[&id].store().next_deadline().expect("a deadline")
}

#[test]
fn a_follower_sleeps_until_its_election_timeout() {
    let mut cluster = Cluster::new(3);
    for id in 1..=3 {
        // From 10 ticks of 100 ms, and less than twice that.
        let sleep = deadline(&cluster, id) - START;
        assert!((1_000 * MS..2_000 * MS).contains(&sleep) && sleep.is_multiple_of(100 * MS), "{sleep}");
    }
    let first = deadline(&cluster, 1);
    cluster.now = first - 1;
    cluster.with(1, |store, env, now| store.on_timer(env, now));
    assert_eq!(cluster.nodes[&1].peer().raft().role(), Role::Follower);
    assert_eq!(deadline(&cluster, 1), first);
    cluster.now = first;
    cluster.with(1, |store, env, now| store.on_timer(env, now));
    assert_eq!(cluster.nodes[&1].peer().raft().role(), Role::Candidate);
    assert!(deadline(&cluster, 1) >= first + 1_000 * MS);
}

#[test]
fn replicas_do_not_time_out_together() {
    let deadlines = |seed| {
        let cluster = Cluster::new(5);
        let mut deadlines = Vec::new();
        for (id, node) in &cluster.nodes {
            let config = raftstore::Config { seed, ..raftstore::Config::new(*id) };
            let store = raftstore::Store::open(&mut node.env.clone(), config, 0).unwrap();
            deadlines.push(store.next_deadline().unwrap());
        }
        deadlines
    };
    assert_eq!(deadlines(1), deadlines(1));
    let ties = (0..20).filter(|seed| deadlines(*seed).iter().min() == deadlines(*seed).iter().max()).count();
    assert_eq!(ties, 0);
    assert_ne!(deadlines(1), deadlines(2));
}

#[test]
fn a_leader_wakes_for_heartbeats_alone() {
    let mut cluster = Cluster::led(3);
    cluster.run(1_000);
    let mut heartbeats = Vec::new();
    while heartbeats.len() < 5 {
        cluster.now = deadline(&cluster, 1);
        cluster.with(1, |store, env, now| store.on_timer(env, now));
        if !cluster.nodes[&1].env.sent.is_empty() {
            heartbeats.push(cluster.now);
        }
        cluster.settle();
    }
    assert!(heartbeats.windows(2).all(|pair| pair[1] - pair[0] == 200 * MS), "{heartbeats:?}");
}

#[test]
fn followers_that_hear_from_their_leader_stay_followers() {
    let mut cluster = Cluster::led(3);
    cluster.run(60_000);
    assert_eq!(cluster.leaders(), [1]);
    assert_eq!(cluster.nodes[&1].peer().raft().term(), 6);
    // Each heartbeat moves the timeout on, also where the timer still stands at the old time.
    cluster.isolated.insert(1);
    cluster.run(4_000);
    assert!(cluster.leaders().iter().any(|id| *id != 1));
}

#[test]
fn ticks_that_come_late_are_not_made_up_for() {
    let mut cluster = Cluster::new(3);
    // The process was stopped for an hour: one election, not a thousand.
    cluster.now += 3_600_000 * MS;
    cluster.with(1, |store, env, now| store.on_timer(env, now));
    assert_eq!(cluster.nodes[&1].peer().raft().term(), 6);
    assert!(deadline(&cluster, 1) >= cluster.now + 900 * MS);
}

#[test]
fn a_message_finds_the_clock_up_to_date() {
    let mut cluster = Cluster::new(3);
    let due = deadline(&cluster, 2);
    // The timer is late; what comes in before it sees the timeout all the same.
    cluster.now = due + MS;
    let request = cluster.request(2, vec![put("k", "v")]);
    assert!(cluster.reply(request).is_some());
    assert_eq!(cluster.nodes[&2].peer().raft().role(), Role::Candidate);
}

#[test]
fn a_clock_that_goes_back_does_no_harm() {
    let mut cluster = Cluster::led(3);
    cluster.run(500);
    let left = deadline(&cluster, 2) - cluster.now;
    cluster.now = 0;
    cluster.with(2, |store, env, now| store.on_timer(env, now));
    // As much is left as at the last heartbeat: what passed between that and the jump nobody knows.
    assert!((left..left + 200 * MS).contains(&deadline(&cluster, 2)));
    assert_eq!(cluster.nodes[&2].peer().raft().role(), Role::Follower);
}

#[test]
fn applied_data_is_synced_within_the_interval() {
    let mut cluster = Cluster::led(1);
    cluster.run(5_000);
    assert_eq!(cluster.nodes[&1].env.kv.unsynced(), 0);
    let start = cluster.now;
    cluster.request(1, vec![put("k", "v")]);
    cluster.finish_sync(1, Db::Raft);
    cluster.request(1, vec![put("l", "v")]);
    cluster.finish_sync(1, Db::Raft);
    assert_eq!(cluster.nodes[&1].env.kv.unsynced(), 2);
    cluster.run(800);
    assert_eq!(cluster.nodes[&1].env.kv.unsynced(), 2);
    cluster.run(200);
    assert_eq!(cluster.nodes[&1].env.kv.unsynced(), 0);
    // Nothing is written any more, so nothing is synced.
    cluster.with(1, |_, env, _| assert_eq!(env.finish_sync(Db::Kv), None));
    cluster.run(5_000);
    assert!(cluster.now > start && !cluster.finish_sync(1, Db::Kv));
}

#[test]
fn an_input_names_the_regions_it_touched() {
    let mut cluster = Cluster::new(1);
    cluster.campaign(1);
    assert_eq!(cluster.nodes[&1].store().touched(), [REGION]);
    cluster.with(1, |store, env, now| store.campaign(env, now, 99));
    assert!(cluster.nodes[&1].store().touched().is_empty());
    cluster.finish_sync(1, Db::Raft);
    assert_eq!(cluster.nodes[&1].store().touched(), [REGION]);
    cluster.with(1, |store, env, now| store.on_synced(env, now, Db::Kv, 1));
    assert!(cluster.nodes[&1].store().touched().is_empty());
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Jump { store: u64, by: i64 },
    Pass { ms: u64 },
    Put,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let ms = i64::try_from(MS).expect("small");
    // Most are about as long as timeouts; some are as long as it gets.
    let by = prop_oneof![
        6 => -5_000 * ms..5_000 * ms,
        1 => prop::sample::select(vec![i64::MIN / 4, i64::MAX / 4, 3_600_000 * ms, -3_600_000 * ms]),
    ];
    let event = prop_oneof![
        4 => (1u64..=3, by).prop_map(|(store, by)| Event::Jump { store, by }),
        4 => (0u64..3_000).prop_map(|ms| Event::Pass { ms }),
        2 => Just(Event::Put),
    ];
    prop::collection::vec(event, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Clocks that leap and go back: no store panics, stops, or campaigns more than once for one event; what was
    /// acknowledged stays; and a region whose clocks go on has a leader after two election timeouts more than usual.
    #[test]
    fn clocks_that_jump_do_no_harm(events in events(), pre_vote in any::<bool>()) {
        let config = raftstore::Config { pre_vote, check_quorum: pre_vote, ..crate::common::config(0) };
        let mut cluster = Cluster::led_with_spares(3, 0, config);
        let mut acknowledged = String::new();
        for (number, event) in events.into_iter().enumerate() {
            match event {
                Event::Jump { store, by } => {
                    let before = cluster.nodes[&store].peer().raft().term();
                    cluster.jump(store, by);
                    cluster.with(store, |store, env, now| store.on_timer(env, now));
                    let after = cluster.nodes[&store].peer().raft().term();
                    prop_assert!(after <= before + 1, "from term {before} to {after} by a jump of {by}");
                }
                Event::Pass { ms } => cluster.run(ms),
                Event::Put => {
                    if let Some(leader) = cluster.leader_of(REGION) {
                        let suffix = format!("<{number};");
                        let request = cluster.request(leader, vec![crate::common::append("k", &suffix)]);
                        cluster.settle();
                        let header = cluster.reply(request).and_then(|reply| reply.header.clone());
                        if header.is_some_and(|header| header.error.is_none()) {
                            acknowledged.push_str(&suffix);
                        }
                    }
                }
            }
        }
        for (id, node) in &cluster.nodes {
            prop_assert!(node.store().failed().is_none() && node.store().next_deadline().is_some(), "store {id}");
        }
        // No timer was set for longer than an election timeout of twice 10 ticks.
        cluster.run(10_000);
        prop_assert_eq!(cluster.leaders().len(), 1);
        cluster.converge(10);
        let value = cluster.value(1, "k").unwrap_or_default();
        for suffix in acknowledged.split_inclusive(';') {
            prop_assert_eq!(value.matches(suffix).count(), 1, "{} in {}", suffix, value);
        }
    }
}

#[test]
fn a_clock_that_goes_back_delays_nothing_by_more_than_was_left() {
    let mut cluster = Cluster::new(3);
    let sleep = deadline(&cluster, 1) - cluster.now;
    for id in 1..=3 {
        cluster.jump(id, -i64::try_from(START).expect("small"));
    }
    // The timers that were set run out as they would have; the clocks say that nothing is due yet.
    cluster.run(sleep / MS);
    for id in 1..=3 {
        let left = deadline(&cluster, id).saturating_sub(cluster.now - START);
        assert!(left <= 2_000 * MS, "store {id} sleeps for {left}");
    }
    cluster.run(5_000);
    assert_eq!(cluster.leaders().len(), 1);
}
