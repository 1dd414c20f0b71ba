//! The settings of a store.

use raft_proto::metapb;

/// The settings of a store. Durations of protocol timers are in ticks, and a tick is
/// [`tick_interval_ns`](Config::tick_interval_ns) long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This store's id, unique in the cluster. Not 0.
    pub store_id: u64,
    /// The cluster that the store belongs to. It refuses databases of another one.
    pub cluster_id: u64,
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
