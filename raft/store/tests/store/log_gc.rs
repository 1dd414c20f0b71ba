//! How logs get shorter.

use crate::common::{Cluster, REGION, config, put};
use raftstore::{Config, Db, keys};

/// A log is worth compacting with 5 entries, and too long with 20.
fn settings() -> Config {
    Config { log_gc_interval_ticks: 10, log_gc_threshold: 5, log_gc_count_limit: 20, ..config(0) }
}

fn truncated(cluster: &Cluster, id: u64) -> u64 {
    cluster.nodes[&id].peer().storage().truncated().index
}

/// The indexes of the entries that a store has of the first region.
fn log_on_disk(cluster: &Cluster, id: u64) -> Vec<u64> {
    let index = |key: &Vec<u8>| match keys::decode(key) {
        Some(keys::Key::RaftLog { region: REGION, index }) => Some(index),
        _ => None,
    };
    cluster.nodes[&id].env.raft.visible.keys().filter_map(index).collect()
}

fn write(cluster: &mut Cluster, entries: usize) {
    for number in 0..entries {
        cluster.execute(1, vec![put(&format!("k{number}"), "v")]);
    }
}

#[test]
fn a_log_is_compacted_everywhere_once_it_is_worth_it() {
    let mut cluster = Cluster::led_with_spares(3, 0, settings());
    write(&mut cluster, 3);
    cluster.run(5_000);
    // Four entries, with the leader's first.
    assert_eq!((truncated(&cluster, 1), log_on_disk(&cluster, 1)), (5, vec![6, 7, 8, 9]));
    write(&mut cluster, 1);
    cluster.run(5_000);
    for id in 1..=3 {
        // The entry that says so is all that is left.
        assert_eq!((truncated(&cluster, id), log_on_disk(&cluster, id)), (10, vec![11]), "{id}");
        assert_eq!(cluster.nodes[&id].peer().raft().truncated().index, 10);
    }
}

#[test]
fn a_slow_follower_is_waited_for_until_the_log_is_too_long() {
    let mut cluster = Cluster::led_with_spares(3, 0, settings());
    cluster.isolated.insert(3);
    write(&mut cluster, 12);
    cluster.run(5_000);
    assert_eq!(truncated(&cluster, 1), 5, "store 3 still needs what it misses");
    write(&mut cluster, 12);
    cluster.run(5_000);
    assert!(truncated(&cluster, 1) > cluster.nodes[&3].peer().raft().last().index);
    cluster.isolated.clear();
    cluster.converge(20);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 1);
}

#[test]
fn a_follower_that_comes_back_in_time_needs_no_snapshot() {
    let mut cluster = Cluster::led_with_spares(3, 0, settings());
    cluster.isolated.insert(3);
    write(&mut cluster, 12);
    cluster.run(5_000);
    cluster.isolated.clear();
    cluster.converge(20);
    assert_eq!(cluster.nodes[&3].peer().snapshots(), 0);
    assert_eq!(truncated(&cluster, 3), truncated(&cluster, 1));
    assert!(truncated(&cluster, 1) > 12);
}

#[test]
fn a_log_is_too_long_by_its_bytes_too() {
    let settings = Config { log_gc_count_limit: 1_000, log_gc_size_limit: 10_000, ..settings() };
    let mut cluster = Cluster::led_with_spares(3, 0, settings);
    cluster.isolated.insert(3);
    let value = "v".repeat(1_000);
    for _ in 0..8 {
        cluster.execute(1, vec![put("k", &value)]);
    }
    cluster.run(5_000);
    assert_eq!(truncated(&cluster, 1), 5);
    for _ in 0..4 {
        cluster.execute(1, vec![put("k", &value)]);
    }
    cluster.run(5_000);
    assert!(truncated(&cluster, 1) > cluster.nodes[&3].peer().raft().last().index);
}

#[test]
fn entries_go_when_the_word_that_they_are_not_needed_is_durable() {
    let mut cluster = Cluster::led_with_spares(3, 0, settings());
    write(&mut cluster, 3);
    cluster.run(2_000);
    cluster.stalled_dbs.insert((1, Db::Kv));
    cluster.compact(REGION);
    assert_eq!((truncated(&cluster, 1), truncated(&cluster, 2)), (9, 9));
    assert_eq!(log_on_disk(&cluster, 2), [10]);
    // Store 1 would find neither them nor the word after a crash.
    assert_eq!(log_on_disk(&cluster, 1), [6, 7, 8, 9, 10]);
    assert_eq!(cluster.nodes[&1].peer().raft().truncated().index, 5);
    let mut crashed = cluster.clone();
    crashed.crash(1, 0, 0);
    crashed.boot(1);
    assert_eq!(truncated(&crashed, 1), 5);
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert_eq!((log_on_disk(&cluster, 1), cluster.nodes[&1].peer().raft().truncated().index), (vec![10], 9));
}

#[test]
fn a_crash_before_the_entries_are_gone_leaves_none_of_them() {
    let mut cluster = Cluster::led_with_spares(3, 0, settings());
    write(&mut cluster, 3);
    cluster.run(2_000);
    cluster.stalled.insert(1);
    // The leader applies what the others have made durable once its own disk has.
    cluster.with(1, |store, env, now| store.compact(env, now, REGION).unwrap());
    cluster.finish_sync(1, Db::Raft);
    cluster.settle();
    assert_eq!((truncated(&cluster, 1), log_on_disk(&cluster, 1)), (9, vec![10]));
    assert_eq!(cluster.nodes[&1].env.raft.unsynced(), 1, "the deletion is not durable");
    cluster.crash(1, 0, 0);
    assert_eq!(log_on_disk(&cluster, 1), [6, 7, 8, 9, 10]);
    cluster.boot(1);
    assert_eq!(log_on_disk(&cluster, 1), [10]);
    assert_eq!(cluster.nodes[&1].peer().raft().truncated().index, 9);
    cluster.stalled.clear();
    cluster.converge(20);
}

#[test]
fn what_is_not_durably_applied_stays_in_the_log() {
    let mut cluster = Cluster::led_with_spares(1, 0, settings());
    cluster.run(2_000);
    cluster.stalled_dbs.insert((1, Db::Kv));
    write(&mut cluster, 30);
    cluster.run(20_000);
    cluster.with(1, |store, env, now| store.compact(env, now, REGION).unwrap());
    cluster.settle();
    // Only what was applied and synced before may go.
    assert_eq!(truncated(&cluster, 1), 6);
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    cluster.campaign(1);
    cluster.settle();
    assert_eq!(cluster.value(1, "k29").as_deref(), Some("v"));
}

/// What asks for it is an entry too: were that worth taking away, logs of idle regions would grow for ever.
#[test]
fn a_compaction_is_no_reason_for_the_next_one() {
    let eager = Config { log_gc_interval_ticks: 1, log_gc_threshold: 1, ..settings() };
    for settings in [Config { log_gc_size_limit: 1, ..eager.clone() }, eager] {
        let mut cluster = Cluster::led_with_spares(3, 0, settings);
        write(&mut cluster, 3);
        cluster.run(5_000);
        let last = |cluster: &Cluster| cluster.nodes[&1].peer().raft().last().index;
        let before = last(&cluster);
        assert_eq!(log_on_disk(&cluster, 1).len(), 1, "it is compacted as far as it goes");
        cluster.run(5_000);
        assert_eq!(last(&cluster), before);
    }
}
