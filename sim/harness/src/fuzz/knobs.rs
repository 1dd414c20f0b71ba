//! The configuration of a run, at sane and at hostile values.
//!
//! Hostile is what production would never choose and an implementation must bear: messages of one entry, windows of one
//! append, logs and regions cut to almost nothing, snapshots in pieces of a few bytes. All stays within what the
//! documentation of each knob demands; those that trade safety or progress away are left alone:
//!
//! - `step-down-on-removal = false` needs an operator who stops a removed leader;
//! - `validate-conf-changes = false` needs a judge of every change;
//! - a log of fewer bytes than the entry that cuts it (`log-gc-size-limit`) is cut for ever;
//! - a lease (`read-index = "lease"`) gets a margin for as much as clocks may drift apart: see [`Tolerance`].

use raftsim_kernel::{Duration, Latency, Ppm};

use super::dice::Dice;
use super::draft::Draft;
use super::profile::Profile;
use super::setting::Setting;
use crate::scenario::{
    BareConfig, Bytes, Churn, ClientConfig, ClusterConfig, DiskConfig, Keyword, Limits, PlacementConfig,
    PlacementMode, RaftConfig, RaftstoreConfig, ReadIndexMode, ReadPath, Scenario, System,
};

/// Draws the tables of configuration.
pub(super) fn draw(draft: &mut Draft, setting: &Setting, profile: &Profile, seed: u64) {
    let scenario = &mut draft.scenario;
    let hostile = if setting.hostile { profile.hostile } else { Ppm::ZERO };
    let knobs = |aspect| Knobs { dice: Dice::of(seed, aspect), hostile };
    scenario.system = setting.system;
    scenario.cluster = cluster(setting);
    scenario.raft = raft(&mut knobs("raft"), setting, profile);
    scenario.network.latency = latency(&mut knobs("latency"), setting);
    scenario.network.wire = knobs("wire").dice.percent(25);
    scenario.disk = disk(&mut knobs("disk"), setting);
    scenario.client = client(&mut knobs("client"), setting, scenario);
    scenario.limits = Limits { events: 5_000_000, time: Duration::secs(3600) };
    match setting.system {
        System::Raftstore => {
            scenario.raftstore = raftstore(&mut knobs("raftstore"), setting);
            scenario.placement = placement(&mut knobs("placement"), setting);
        }
        System::Raft => bare(&mut knobs("bare"), scenario),
    }
    draft.clocks = Tolerance::of(&scenario.raft);
}

/// The dice of a table, and how likely one of its knobs is hostile.
struct Knobs {
    dice: Dice,
    hostile: Ppm,
}

impl Knobs {
    /// One of the values that make sense, or one of those that hurt.
    fn knob<T: Clone>(&mut self, sane: &[T], hostile: &[T]) -> T {
        // Both are drawn, so that a knob does not depend on those before it.
        let (sane, pain) = (self.dice.pick(sane), self.dice.pick(hostile));
        if self.dice.chance(self.hostile) { pain } else { sane }
    }
}

fn cluster(setting: &Setting) -> ClusterConfig {
    let all = setting.voters.len() as u64 == setting.stores;
    ClusterConfig {
        stores: setting.stores,
        voters: (!all).then(|| setting.voters.clone()),
        learners: setting.learners.clone(),
    }
}

fn raft(knobs: &mut Knobs, setting: &Setting, profile: &Profile) -> RaftConfig {
    let ticks = setting.election_ticks;
    let heartbeat_ticks = knobs.knob(&[(ticks / 5).max(1)], &[1, (ticks - 1).min(ticks / 2 + 1).max(1)]);
    let bytes = |list: &[u64]| list.iter().map(|n| Bytes::new(*n)).collect::<Vec<_>>();
    let unbounded = [Bytes::UNBOUNDED];
    let both = knobs.dice.weighted(&[
        (6, (true, true)),
        (1, (true, false)),
        (2, (false, true)),
        (2, (false, false)),
    ]);
    let (pre_vote, check_quorum) = both;
    let lease = knobs.dice.chance(profile.leases) && check_quorum && ticks >= 5;
    let margin = knobs.dice.small(0, ticks.saturating_sub(RaftConfig::LEASE_OVERHEAD).min(ticks / 2));
    RaftConfig {
        tick: setting.tick,
        election_ticks: ticks,
        heartbeat_ticks,
        max_inflight: knobs.knob(&[256, 64], &[1, 2, 4]),
        max_message_size: knobs.knob(&[Bytes::mib(1)], &bytes(&[1, 64, 300])),
        max_inflight_size: knobs.knob(&unbounded, &bytes(&[1, 200, 1_000])),
        max_committed_size: knobs.knob(&unbounded, &bytes(&[1, 100])),
        max_uncommitted_size: knobs.knob(&unbounded, &bytes(&[1, 300, 2_000])),
        pre_vote,
        check_quorum,
        read_index: if lease { ReadIndexMode::Lease } else { ReadIndexMode::Safe },
        lease_margin: if lease { margin } else { RaftConfig::default().lease_margin },
        ..RaftConfig::default()
    }
}

/// How wrong clocks may be.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tolerance {
    /// By how many parts of a million they may run faster or slower.
    pub(super) drift: u32,
    /// How often clocks may jump, all together.
    pub(super) jumps: u64,
}

impl Tolerance {
    /// What leases bear. With a margin of `m` of `E` ticks, rates may be off by a share `d` for which
    /// `(E - 1 - m) / (E - 1) <= (1 - d) / (1 + d)` ([`raft::ReadMode::Lease`]), so `d <= m / (2 (E - 1) - m)`. Half of
    /// the margin is for rates, the other half for jumps, each of which costs a tick at most. Without leases nothing
    /// depends on clocks, and 10% is more than any is off.
    pub(super) fn of(raft: &RaftConfig) -> Tolerance {
        const MOST: Tolerance = Tolerance { drift: 100_000, jumps: u64::MAX };
        if raft.read_index != ReadIndexMode::Lease {
            return MOST;
        }
        let (half, whole) = (raft.lease_margin / 2, raft.election_ticks - 1);
        let parts = 1_000_000 * half / (2 * whole - half);
        Tolerance { drift: (parts / 10 * 10).min(MOST.drift), jumps: u64::from(raft.lease_margin - half) }
    }
}

/// Links from those of a rack to those of a continent. Even there a message and its answer take less than an election
/// timeout, without which no leader stays one (thesis, section 3.9).
fn latency(knobs: &mut Knobs, setting: &Setting) -> Latency {
    let of = |thousandths: u64| Duration(setting.pulse().0 / 1_000 * thousandths);
    let sane = [
        Latency::Uniform { min: of(1), max: of(10) },
        Latency::Constant(of(5)),
        Latency::Exponential { min: of(1), mean: of(4) },
        Latency::Uniform { min: of(5), max: of(30) },
    ];
    let hostile = [
        Latency::Constant(Duration::micros(50)),
        Latency::Exponential { min: of(1), mean: of(20) },
        Latency::Uniform { min: of(10), max: of(100) },
    ];
    knobs.knob(&sane, &hostile)
}

fn disk(knobs: &mut Knobs, setting: &Setting) -> DiskConfig {
    let of = |thousandths: u64| Duration(setting.pulse().0 / 1_000 * thousandths);
    let sane = [Latency::Constant(of(1)), Latency::Exponential { min: of(1), mean: of(4) }];
    let hostile = [
        Latency::Constant(Duration::micros(1)),
        Latency::Exponential { min: of(1), mean: of(20) },
        Latency::Uniform { min: of(1), max: of(100) },
    ];
    DiskConfig {
        sync: knobs.knob(&sane, &hostile),
        task: knobs.knob(&sane, &hostile),
        // All data in about two election timeouts.
        throughput: knobs
            .knob(&[Bytes::mib(100)], &[Bytes::new(setting.bulk() * 500_000 / (setting.pulse().0 / 1_000))]),
        ..DiskConfig::default()
    }
}

/// Clients are patient enough for a cluster that is well: one that gives up before an answer can be there, and asks again,
/// only makes the log longer. In the worst case each of them waits for all others.
fn client(knobs: &mut Knobs, setting: &Setting, scenario: &Scenario) -> ClientConfig {
    let of = |percent: u64| Duration(setting.pulse().0 / 100 * percent);
    let round = slowest(scenario.network.latency) * 2 + slowest(scenario.disk.sync) * 2;
    let turns = if scenario.raft.max_inflight < 10 { 4 + u64::from(setting.clients) } else { 4 };
    ClientConfig {
        timeout: knobs.knob(&[of(50), of(100), of(200)], &[of(15), of(500)]).max(round * turns),
        backoff: knobs.knob(&[of(2), of(5)], &[of(1), of(50)]),
    }
}

/// What a latency hardly ever exceeds.
fn slowest(latency: Latency) -> Duration {
    match latency {
        Latency::Constant(always) => always,
        Latency::Uniform { max, .. } => max,
        Latency::Exponential { min, mean } => min + mean * 4,
        Latency::Tail { min, mean } => min + mean * 10,
    }
}

fn raftstore(knobs: &mut Knobs, setting: &Setting) -> RaftstoreConfig {
    let of = |percent: u64| Duration(setting.pulse().0 / 100 * percent);
    let sizes = |list: &[u64]| list.iter().map(|n| Bytes::new(*n)).collect::<Vec<_>>();
    // So many pieces of all data: snapshots are to take a while, not for ever.
    let parts = |list: &[u64]| list.iter().map(|n| Bytes::new(setting.bulk() / n + 1)).collect::<Vec<_>>();
    let defaults = RaftstoreConfig::default();
    let (most, split) = knobs.knob(&[(1_000_000, 600_000), (2_000, 1_000)], &[(300, 200), (700, 300)]);
    let reads = knobs.dice.weighted(&[(3, ReadPath::Index), (2, ReadPath::Log)]);
    RaftstoreConfig {
        kv_sync_interval: knobs.knob(&[of(20), of(100)], &[of(1), of(400)]),
        reads,
        // Logs are cut short in most runs, so that snapshots are needed.
        log_gc_interval: knobs.knob(&[of(30), of(100), of(300)], &[of(1), of(10)]),
        log_gc_threshold: knobs.knob(&[5, 20], &[1, 2]),
        log_gc_count_limit: knobs.knob(&[20, 50, 200], &[1, 5]),
        log_gc_size_limit: knobs.knob(&[defaults.log_gc_size_limit], &sizes(&[300, 2_000])),
        split_check_interval: knobs.knob(&[of(100), of(300)], &[of(10)]),
        region_max_size: Bytes::new(most),
        region_split_size: Bytes::new(split),
        snapshot_chunk_size: knobs.knob(&parts(&[2, 10]), &parts(&[30, 80])),
        snapshot_window: knobs.knob(&[4, 2], &[1, 16]),
        max_snapshots_sent: knobs.knob(&[4, 2], &[1]),
        max_snapshots_received: knobs.knob(&[4, 2], &[1]),
        snapshot_timeout: knobs.knob(&[of(300)], &[of(100), of(1_000)]),
        snapshot_batch_size: knobs.knob(&parts(&[1, 10]), &parts(&[80])),
        leader_missing: knobs.knob(&[of(500), of(1_000)], &[of(250)]),
    }
}

fn placement(knobs: &mut Knobs, setting: &Setting) -> Option<PlacementConfig> {
    let mode = setting.placement?;
    let of = |percent: u64| Duration(setting.pulse().0 / 100 * percent);
    let replicas = knobs.knob(&[3], &[1, 2, 4, 5]).min(setting.stores);
    let churn: Vec<Churn> = Churn::ALL.iter().copied().filter(|_| knobs.dice.percent(70)).collect();
    let churn = if mode == PlacementMode::Churn && !churn.is_empty() { churn } else { Churn::ALL.to_vec() };
    Some(PlacementConfig {
        mode,
        replicas,
        interval: knobs.knob(&[of(30), of(60)], &[of(5), of(200)]),
        store_heartbeat: knobs.knob(&[of(100)], &[of(30), of(300)]),
        region_heartbeat: knobs.knob(&[of(50)], &[of(10), of(200)]),
        churn,
    })
}

fn bare(knobs: &mut Knobs, scenario: &mut Scenario) {
    scenario.raft.apply_unpersisted = knobs.dice.percent(30);
    scenario.bare = BareConfig {
        reads: knobs.dice.weighted(&[(3, ReadPath::Index), (2, ReadPath::Log)]),
        log_limit: knobs.knob(&[20, 50, 1_000], &[1, 5]),
    };
}
