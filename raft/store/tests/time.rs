//! When a store wants to be woken, and what it does then.

mod common;

use common::{Cluster, MS, REGION, put};
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
    let before = deadline(&cluster, 2);
    cluster.now = 0;
    cluster.with(2, |store, env, now| store.on_timer(env, now));
    assert_eq!(deadline(&cluster, 2), before);
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
