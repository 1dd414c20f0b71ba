//! Scenarios: the tables of configuration, and steps that fit them.

use super::steps::steps;
use super::values::*;
use proptest::collection::vec;
use proptest::prelude::*;
use raftsim_harness::scenario::*;
use raftsim_kernel::Ppm;

fn raft(system: System) -> BoxedStrategy<RaftConfig> {
    let numbers = (positive(), 2..u32::MAX, 1..u32::MAX, bound(), bound(), bound(), bound());
    let flags = any::<[bool; 5]>();
    let priorities = prop_oneof![Just(Vec::new()), vec(any::<i64>(), MAX_STORES as usize)];
    let lease = (any::<bool>(), any::<u32>());
    let changed =
        (numbers, flags, priorities, lease).prop_map(move |(numbers, flags, priorities, (lease, margin))| {
            let (tick, election_ticks, max_inflight, message, inflight, committed, uncommitted) = numbers;
            let [pre_vote, check_quorum, step_down, unpersisted, validate] = flags;
            let common = RaftConfig {
                tick,
                election_ticks,
                heartbeat_ticks: election_ticks - 1,
                max_inflight,
                max_message_size: message,
                max_inflight_size: inflight,
                max_committed_size: committed,
                max_uncommitted_size: uncommitted,
                pre_vote,
                check_quorum,
                step_down_on_removal: step_down,
                priorities,
                ..RaftConfig::default()
            };
            // The longest margin that leaves time for a lease.
            let longest = election_ticks.checked_sub(RaftConfig::LEASE_OVERHEAD);
            let leased = match longest.filter(|_| lease) {
                Some(longest) => RaftConfig {
                    read_index: ReadIndexMode::Lease,
                    check_quorum: true,
                    lease_margin: margin.min(longest),
                    ..common
                },
                None => RaftConfig { lease_margin: margin, ..common },
            };
            match system {
                System::Raftstore => leased,
                System::Raft => {
                    RaftConfig { apply_unpersisted: unpersisted, validate_conf_changes: validate, ..leased }
                }
            }
        });
    prop_oneof![Just(RaftConfig::default()), changed].boxed()
}

/// So many stores, each a voter, a learner or neither, in any order.
fn cluster() -> BoxedStrategy<ClusterConfig> {
    let all = (STORES..=MAX_STORES).prop_map(ClusterConfig::of).boxed();
    let shuffled =
        (STORES..=MAX_STORES).prop_flat_map(|n| Just((1..=n).collect::<Vec<u64>>()).prop_shuffle());
    let some = (shuffled, 1..=STORES as usize, 0..MAX_STORES as usize, any::<bool>()).prop_map(
        |(mut voters, number, learn, said)| {
            let stores = voters.len() as u64;
            let mut learners = voters.split_off(number);
            learners.truncate(learn);
            ClusterConfig { stores, voters: said.then_some(voters), learners }
        },
    );
    prop_oneof![all, some].boxed()
}

pub(crate) fn scenario() -> impl Strategy<Value = Scenario> {
    word().prop_flat_map(scenario_of)
}

/// Some knobs of the store, the others as by default.
fn raftstore() -> impl Strategy<Value = RaftstoreConfig> {
    let times = (positive(), positive(), positive(), positive(), positive());
    let sizes = (bound(), bound(), bound(), 1..u64::MAX, any::<u64>());
    let numbers = (count(), count(), 1..=u32::MAX, 1..=u32::MAX, 1..=u32::MAX);
    (word(), times, sizes, numbers).prop_map(|(reads, times, sizes, numbers)| {
        let (kv_sync_interval, log_gc_interval, split_check_interval, snapshot_timeout, leader_missing) =
            times;
        let (log_gc_size_limit, snapshot_chunk_size, snapshot_batch_size, split, more) = sizes;
        let (log_gc_threshold, log_gc_count_limit, snapshot_window, sent, received) = numbers;
        RaftstoreConfig {
            kv_sync_interval,
            reads,
            log_gc_interval,
            log_gc_threshold,
            log_gc_count_limit,
            log_gc_size_limit,
            split_check_interval,
            // What is split off is smaller than what is split.
            region_max_size: Bytes::new(split.saturating_add(more.max(1))),
            region_split_size: Bytes::new(split),
            snapshot_chunk_size,
            snapshot_window,
            max_snapshots_sent: sent,
            max_snapshots_received: received,
            snapshot_timeout,
            snapshot_batch_size,
            leader_missing,
        }
    })
}

/// Of no more replicas than there are stores in any generated cluster.
fn placement() -> impl Strategy<Value = PlacementConfig> {
    let churn =
        (Just(Churn::ALL.to_vec()).prop_shuffle(), 1..=Churn::ALL.len()).prop_map(|(mut all, some)| {
            all.truncate(some);
            all
        });
    (word(), 1..=STORES, positive(), positive(), positive(), churn).prop_map(
        |(mode, replicas, interval, store_heartbeat, region_heartbeat, churn)| {
            let default = PlacementConfig::default();
            let churn = if mode == PlacementMode::Churn { churn } else { default.churn };
            PlacementConfig { mode, replicas, interval, store_heartbeat, region_heartbeat, churn }
        },
    )
}

/// Links whose queues are bounded only where their bandwidth is.
fn network() -> impl Strategy<Value = NetworkConfig> {
    let shares = (share(), share(), share(), share());
    (latency(), shares, bound(), bound(), any::<bool>()).prop_map(
        |(latency, shares, bandwidth, queue, wire)| {
            let (loss, duplicate, reorder, corrupt) = shares;
            let queue = if bandwidth == Bytes::UNBOUNDED { bandwidth } else { queue };
            NetworkConfig { latency, loss, duplicate, reorder, corrupt, bandwidth, queue, wire }
        },
    )
}

fn scenario_of(system: System) -> impl Strategy<Value = Scenario> {
    let about = text().prop_filter("empty", |about| !about.trim().is_empty());
    let network = prop_oneof![Just(NetworkConfig::default()), network()];
    let disk = (latency(), latency(), bound(), latency(), latency(), bound()).prop_map(
        |(sync, task, throughput, read, write, capacity)| DiskConfig {
            sync,
            task,
            throughput,
            read,
            write,
            capacity,
        },
    );
    let disk = prop_oneof![Just(DiskConfig::default()), disk];
    let clocks = (duration(), drift()).prop_map(|(offset, drift)| ClocksConfig {
        offset,
        drift: Ppm::new(drift.parts().unsigned_abs()).expect("less than a million"),
    });
    let process = latency().prop_map(|slowness| ProcessConfig { slowness });
    let machines = (network.boxed(), disk.boxed(), clocks, process);
    let bare = (word(), count()).prop_map(|(reads, log_limit)| BareConfig { reads, log_limit });
    let store = prop_oneof![Just(RaftstoreConfig::default()), raftstore()];
    let rest = (positive(), duration(), count(), positive());
    let top = (about, 0..=MAX_SEED, word(), any::<bool>(), word(), cluster(), raft(system));
    let own = (bare, store.boxed(), placement().boxed());
    let knobs = (top.boxed(), own).prop_flat_map(move |(top, own)| {
        let steps = steps(system, top.6.clone(), own.1.clone());
        (Just(top), Just(own), steps)
    });
    (knobs.boxed(), machines.boxed(), rest).prop_map(
        move |((top, own, steps), (network, disk, clocks, process), rest)| {
            let (about, seed, ending, drawn, budget, cluster, mut raft) = top;
            // As many as stores, or none.
            raft.priorities.truncate(cluster.stores as usize);
            let core = cluster.initial_voters();
            let majority = core.len() / 2 + 1;
            let core: Vec<u64> = core.into_iter().rev().take(majority).collect();
            let (timeout, backoff, events, span) = rest;
            let scenario = Scenario {
                seed,
                ending,
                core: (ending == Ending::Freeze && !drawn).then_some(core),
                budget,
                system,
                cluster,
                raft,
                network,
                disk,
                clocks,
                process,
                client: ClientConfig { timeout, backoff },
                limits: Limits { events, time: span },
                steps,
                ..Scenario::new(about)
            };
            let (bare, raftstore, placement) = own;
            match system {
                System::Raftstore => Scenario { raftstore, placement: Some(placement), ..scenario },
                System::Raft => Scenario { bare, ..scenario },
            }
        },
    )
}
