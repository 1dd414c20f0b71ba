//! A store's settings as its scenario has them, and the region that a cluster begins with.

use raft_proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raftsim_kernel::Duration;
use raftstore::{Config, Placement, Reads};

use crate::scenario::{ReadIndexMode, ReadPath, Scenario};
use crate::system::{FIRST_REGION, Life, priority};

/// The first region's replica on store `n` has the id `PEER_BASE + n`: never a store's id, so that code
/// which takes one for the other shows.
const PEER_BASE: u64 = 100;

/// The region that holds every key, with a peer on each store that the scenario names.
pub(super) fn first_region(scenario: &Scenario) -> Region {
    let peer =
        |role: PeerRole| move |store: u64| Peer { id: PEER_BASE + store, store_id: store, role: role as i32 };
    let voters = scenario.cluster.initial_voters().into_iter().map(peer(PeerRole::Voter));
    let learners = scenario.cluster.initial_learners().into_iter().map(peer(PeerRole::Learner));
    let mut peers: Vec<Peer> = voters.chain(learners).collect();
    peers.sort_unstable_by_key(|peer| peer.store_id);
    Region {
        id: FIRST_REGION,
        start_key: Default::default(),
        end_key: Default::default(),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers,
    }
}

/// The settings of a store; `seed` is each life's own.
pub(super) fn config(scenario: &Scenario, store: u64, life: &Life<'_>) -> Config {
    let (raft, knobs) = life.knobs(scenario);
    // A span that is no whole number of ticks is rounded up.
    let ticks = |span: Duration| span.0.div_ceil(raft.tick.0.max(1)).max(1);
    let placement = scenario.placement.as_ref().map(|placement| Placement {
        store_heartbeat_ticks: ticks(placement.store_heartbeat),
        region_heartbeat_ticks: ticks(placement.region_heartbeat),
    });
    Config {
        replica_floor: life.floor,
        tick_interval_ns: raft.tick.0,
        election_ticks: raft.election_ticks,
        heartbeat_ticks: raft.heartbeat_ticks,
        max_size_per_message: raft.max_message_size.get(),
        max_inflight_messages: raft.max_inflight as usize,
        max_inflight_bytes: raft.max_inflight_size.get(),
        max_committed_size_per_ready: raft.max_committed_size.get(),
        max_uncommitted_size: raft.max_uncommitted_size.get(),
        pre_vote: raft.pre_vote,
        check_quorum: raft.check_quorum,
        step_down_on_removal: raft.step_down_on_removal,
        election_priority: priority(&raft, store),
        kv_sync_interval_ticks: ticks(knobs.kv_sync_interval),
        reads: match (knobs.reads, raft.read_index) {
            (ReadPath::Log, _) => Reads::Log,
            (ReadPath::Index, ReadIndexMode::Safe) => Reads::Index,
            (ReadPath::Index, ReadIndexMode::Lease) => Reads::Lease { margin_ticks: raft.lease_margin },
        },
        log_gc_interval_ticks: ticks(knobs.log_gc_interval),
        log_gc_threshold: knobs.log_gc_threshold,
        log_gc_count_limit: knobs.log_gc_count_limit,
        log_gc_size_limit: knobs.log_gc_size_limit.get(),
        split_check_interval_ticks: ticks(knobs.split_check_interval),
        region_max_size: knobs.region_max_size.get(),
        region_split_size: knobs.region_split_size.get(),
        snapshot_chunk_size: knobs.snapshot_chunk_size.get(),
        snapshot_window: knobs.snapshot_window,
        max_snapshots_sent: knobs.max_snapshots_sent as usize,
        max_snapshots_received: knobs.max_snapshots_received as usize,
        snapshot_timeout_ticks: ticks(knobs.snapshot_timeout),
        snapshot_batch_size: knobs.snapshot_batch_size.get(),
        placement,
        leader_missing_ticks: ticks(knobs.leader_missing),
        ..Config::new(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;
    use crate::scenario::ast::Overrides;

    fn parse(tables: &str) -> Scenario {
        scenario::parse(&format!("about = \"Settings.\"\nsteps = [{{ wait = \"1s\" }}]\n{tables}"))
            .expect("a scenario")
    }

    fn first_life(scenario: &Scenario, store: u64) -> Config {
        config(scenario, store, &Life { floor: 0, overrides: &Overrides::default() })
    }

    #[test]
    fn the_defaults_are_the_stores_own() {
        assert_eq!(first_life(&parse(""), 2), Config::new(2));
    }

    #[test]
    fn spans_are_rounded_up_to_ticks() {
        let scenario = parse(
            "raft = { tick = \"30ms\" }\nraftstore = { log-gc-interval = \"100ms\", leader-missing = \"1ms\" }",
        );
        let config = first_life(&scenario, 1);
        assert_eq!((config.log_gc_interval_ticks, config.leader_missing_ticks), (4, 1));
    }

    #[test]
    fn only_stores_that_are_named_have_a_peer() {
        let region = first_region(&parse("cluster = { stores = 5, voters = [4, 1], learners = [2] }"));
        let peers: Vec<_> = region.peers.iter().map(|peer| (peer.store_id, peer.id, peer.role())).collect();
        let (voter, learner) = (PeerRole::Voter, PeerRole::Learner);
        assert_eq!(peers, [(1, 101, voter), (2, 102, learner), (4, 104, voter)]);
    }
}
