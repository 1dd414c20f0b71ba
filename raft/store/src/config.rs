//! The settings of a store.

use raft::ReadMode;
use raft_proto::metapb;

/// The settings of a store. Durations of protocol timers are in ticks, and a tick is
/// [`tick_interval_ns`](Config::tick_interval_ns) long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This store's id, unique in the cluster. Not 0.
    pub store_id: u64,
    /// The cluster that the store belongs to. It refuses databases of another one.
    pub cluster_id: u64,
    /// Where the store begins with empty databases because it lost what it had: the highest replica id that was given out
    /// by then. It takes up no replica with an id up to that one, since what those have promised is lost; they are removed
    /// from their regions, and new ones take their places. Written down by [`Store::bootstrap`](crate::Store::bootstrap);
    /// after that, what is written counts. 0 for a new store.
    pub replica_floor: u64,
    /// Decides the jitter of every replica's election timeouts.
    pub seed: u64,
    /// The length of a tick in nanoseconds.
    pub tick_interval_ns: u64,
    /// A follower campaigns after so many ticks without its leader, or up to twice as many.
    pub election_ticks: u32,
    /// A leader sends heartbeats every so many ticks.
    pub heartbeat_ticks: u32,
    /// Bytes of entries in one append.
    pub max_size_per_message: u64,
    /// Appends on their way to one follower.
    pub max_inflight_messages: usize,
    /// Bytes of entry data on their way to one follower.
    pub max_inflight_bytes: u64,
    /// Bytes of committed entries that are applied in one go.
    pub max_committed_size_per_ready: u64,
    /// Bytes of a leader's uncommitted entries; beyond, it refuses proposals.
    pub max_uncommitted_size: u64,
    /// Ask whether an election could be won before starting one.
    pub pre_vote: bool,
    /// A leader that a quorum does not answer steps down, and voters that hear from a leader ignore candidates.
    pub check_quorum: bool,
    /// A leader that was removed from its region steps down.
    pub step_down_on_removal: bool,
    /// Of replicas with equal logs, those on a store with a higher priority win elections.
    pub election_priority: i64,
    /// Applied data is synced after at most so many ticks. It can be replayed from the log, so this
    /// bounds only how long a restart takes.
    pub kv_sync_interval_ticks: u64,
    /// How requests that only read are served.
    pub reads: Reads,
    /// A leader looks every so many ticks whether its log can be compacted.
    pub log_gc_interval_ticks: u64,
    /// Compact only if at least so many entries go.
    pub log_gc_threshold: u64,
    /// With more applied entries than that in the log, slow followers are no longer waited for: they will need a snapshot.
    pub log_gc_count_limit: u64,
    /// The same in bytes of entries.
    pub log_gc_size_limit: u64,
    /// A leader looks every so many ticks whether its region has grown too large.
    pub split_check_interval_ticks: u64,
    /// A region with more bytes than that is split.
    pub region_max_size: u64,
    /// The left part of a split keeps about so many bytes.
    pub region_split_size: u64,
    /// Bytes of a snapshot in one message.
    pub snapshot_chunk_size: u64,
    /// Chunks on their way to one receiver.
    pub snapshot_window: u32,
    /// Snapshots that are made or sent at the same time.
    pub max_snapshots_sent: usize,
    /// Snapshots that are received or applied at the same time.
    pub max_snapshots_received: usize,
    /// A transfer in which so many ticks nothing comes is given up.
    pub snapshot_timeout_ticks: u64,
    /// Bytes of a snapshot that are written to the kv database in one batch.
    pub snapshot_batch_size: u64,
    /// There is a placement driver: heartbeats to it every so many ticks, of the store and of each region that it leads.
    pub placement: Option<Placement>,
    /// A replica that has not heard of a leader for so many ticks asks the placement driver whether it is still wanted.
    pub leader_missing_ticks: u64,
}

/// How requests that only read are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// As commands in the log.
    Log,
    /// At a read index (thesis 6.4), confirmed by a round of heartbeats.
    Index,
    /// At a read index, without a round while the leader's lease holds. Needs `check_quorum`.
    Lease {
        /// How many ticks early a lease ends, for clocks that do not run alike: see
        /// [`ReadMode::Lease`].
        margin_ticks: u32,
    },
}

/// How often to write to the placement driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Ticks between heartbeats of the store.
    pub store_heartbeat_ticks: u64,
    /// Ticks between heartbeats of a region; changes are told at once.
    pub region_heartbeat_ticks: u64,
}

/// Settings that no store can run with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A setting that must be positive is 0.
    #[error("{0} must not be 0")]
    Zero(&'static str),
    /// A leader that sends fewer heartbeats than followers have patience for.
    #[error("election_ticks ({election_ticks}) must be more than heartbeat_ticks ({heartbeat_ticks})")]
    ElectionTooShort {
        /// The election timeout.
        election_ticks: u32,
        /// The heartbeat interval.
        heartbeat_ticks: u32,
    },
}

impl Config {
    /// The defaults, for the store `store_id`.
    #[must_use]
    pub fn new(store_id: u64) -> Config {
        Config {
            store_id,
            cluster_id: 1,
            replica_floor: 0,
            seed: 0,
            tick_interval_ns: 100_000_000,
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_size_per_message: 1 << 20,
            max_inflight_messages: 256,
            max_inflight_bytes: u64::MAX,
            max_committed_size_per_ready: u64::MAX,
            max_uncommitted_size: u64::MAX,
            pre_vote: false,
            check_quorum: false,
            step_down_on_removal: true,
            election_priority: 0,
            kv_sync_interval_ticks: 10,
            reads: Reads::Log,
            log_gc_interval_ticks: 100,
            log_gc_threshold: 50,
            log_gc_count_limit: 128_000,
            log_gc_size_limit: 72 << 20,
            split_check_interval_ticks: 100,
            region_max_size: 144 << 20,
            region_split_size: 96 << 20,
            snapshot_chunk_size: 1 << 20,
            snapshot_window: 4,
            max_snapshots_sent: 4,
            max_snapshots_received: 4,
            snapshot_timeout_ticks: 100,
            snapshot_batch_size: 1 << 20,
            placement: None,
            leader_missing_ticks: 600,
        }
    }

    /// Checks the settings against each other.
    ///
    /// # Errors
    /// When a store could not run with them.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let positive = [
            ("store_id", self.store_id),
            ("cluster_id", self.cluster_id),
            ("tick_interval_ns", self.tick_interval_ns),
            ("heartbeat_ticks", u64::from(self.heartbeat_ticks)),
            ("max_size_per_message", self.max_size_per_message),
            ("max_inflight_messages", self.max_inflight_messages as u64),
            ("kv_sync_interval_ticks", self.kv_sync_interval_ticks),
            ("snapshot_batch_size", self.snapshot_batch_size),
        ];
        if let Some((name, _)) = positive.into_iter().find(|&(_, value)| value == 0) {
            return Err(ConfigError::Zero(name));
        }
        if self.election_ticks <= self.heartbeat_ticks {
            return Err(ConfigError::ElectionTooShort {
                election_ticks: self.election_ticks,
                heartbeat_ticks: self.heartbeat_ticks,
            });
        }
        Ok(())
    }

    /// The settings of the Raft group member `peer` of `region_id`, restarting from `applied`.
    pub(crate) fn raft(&self, region_id: u64, peer: &metapb::Peer, applied: u64) -> raft::Config {
        raft::Config {
            id: peer.id,
            election_ticks: self.election_ticks,
            heartbeat_ticks: self.heartbeat_ticks,
            applied,
            max_size_per_message: self.max_size_per_message,
            max_inflight_messages: self.max_inflight_messages,
            max_inflight_bytes: self.max_inflight_bytes,
            max_committed_size_per_ready: self.max_committed_size_per_ready,
            max_uncommitted_size: self.max_uncommitted_size,
            pre_vote: self.pre_vote,
            check_quorum: self.check_quorum,
            step_down_on_removal: self.step_down_on_removal,
            priority: self.election_priority,
            reads: match self.reads {
                Reads::Log | Reads::Index => ReadMode::Safe,
                Reads::Lease { margin_ticks } => ReadMode::Lease { margin_ticks },
            },
            seed: self.jitter_seed(region_id, peer.id),
            ..raft::Config::default()
        }
    }

    /// A seed of its own for each replica: each of the three numbers goes through the finalizer of
    /// SplitMix64 (Steele et al. 2014) on top of the ones before it, so that neighbours differ in about
    /// half of their bits. Were the seeds equal, replicas would time out together and split every vote.
    fn jitter_seed(&self, region_id: u64, peer_id: u64) -> u64 {
        [self.seed, region_id, peer_id].into_iter().fold(0, |seed: u64, number| {
            let mut z = (seed ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::new(1).validate(), Ok(()));
    }

    #[test]
    fn bad_settings_are_named() {
        assert_eq!(Config::new(0).validate(), Err(ConfigError::Zero("store_id")));
        let config = Config { kv_sync_interval_ticks: 0, ..Config::new(1) };
        assert_eq!(config.validate(), Err(ConfigError::Zero("kv_sync_interval_ticks")));
        let config = Config { election_ticks: 2, ..Config::new(1) };
        assert_eq!(
            config.validate(),
            Err(ConfigError::ElectionTooShort { election_ticks: 2, heartbeat_ticks: 2 })
        );
    }

    #[test]
    fn every_replica_has_its_own_jitter() {
        let mut seeds = Vec::new();
        for seed in 0..4 {
            let config = Config { seed, ..Config::new(1) };
            for region in 1..9 {
                seeds.extend((1..9).map(|peer| config.jitter_seed(region, peer)));
            }
        }
        let all = seeds.len();
        seeds.sort_unstable();
        seeds.dedup();
        assert_eq!(seeds.len(), all);
    }
}
