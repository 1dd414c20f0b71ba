//! The tables of what only raftstore has: the store's own knobs, and the placement driver.

use crate::scenario::ast::{Bytes, Churn, Keyword, PlacementMode, ReadPath};
use raftsim_kernel::Duration;

/// `raftstore`: the knobs of the store. It counts times in ticks; what is no whole number of them is rounded up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftstoreConfig {
    /// Time between two syncs of the kv database; positive.
    pub kv_sync_interval: Duration,
    /// Which way reads take.
    pub reads: ReadPath,
    /// Time between two looks of a leader at whether its log can be compacted; positive.
    pub log_gc_interval: Duration,
    /// Fewest entries that are worth a compaction; positive.
    pub log_gc_threshold: u64,
    /// Applied entries in a log beyond which slow followers are no longer waited for; positive.
    pub log_gc_count_limit: u64,
    /// The same in bytes of entries; positive.
    pub log_gc_size_limit: Bytes,
    /// Time between two looks of a leader at whether its region has grown too large; positive.
    pub split_check_interval: Duration,
    /// A region with more bytes than that is split; positive.
    pub region_max_size: Bytes,
    /// The left part of such a split keeps about so many bytes; positive and below `region_max_size`.
    pub region_split_size: Bytes,
    /// Bytes of a snapshot in one message; positive.
    pub snapshot_chunk_size: Bytes,
    /// Chunks that may be under way to one receiver; positive.
    pub snapshot_window: u32,
    /// Snapshots that a store makes or sends at a time; positive.
    pub max_snapshots_sent: u32,
    /// Snapshots that a store receives or applies at a time; positive.
    pub max_snapshots_received: u32,
    /// Time without a chunk or an answer after which a transfer is given up; positive.
    pub snapshot_timeout: Duration,
    /// Bytes of a snapshot that are applied in one write; positive.
    pub snapshot_batch_size: Bytes,
    /// Time without a leader after which a replica asks the placement driver whether it is still wanted; positive.
    pub leader_missing: Duration,
}

impl Default for RaftstoreConfig {
    fn default() -> RaftstoreConfig {
        RaftstoreConfig {
            kv_sync_interval: Duration::secs(1),
            reads: ReadPath::Log,
            log_gc_interval: Duration::secs(10),
            log_gc_threshold: 50,
            log_gc_count_limit: 128_000,
            log_gc_size_limit: Bytes::mib(72),
            split_check_interval: Duration::secs(10),
            region_max_size: Bytes::mib(144),
            region_split_size: Bytes::mib(96),
            snapshot_chunk_size: Bytes::mib(1),
            snapshot_window: 4,
            max_snapshots_sent: 4,
            max_snapshots_received: 4,
            snapshot_timeout: Duration::secs(10),
            snapshot_batch_size: Bytes::mib(1),
            leader_missing: Duration::secs(60),
        }
    }
}

/// `placement`: the placement driver, which gives out ids and decides where replicas are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementConfig {
    /// What it does by itself.
    pub mode: PlacementMode,
    /// How many replicas a region is to have; positive.
    pub replicas: u64,
    /// Time between two of its decisions; positive.
    pub interval: Duration,
    /// Time between two heartbeats of a store to it; positive.
    pub store_heartbeat: Duration,
    /// Time between two heartbeats of a region to it; positive.
    pub region_heartbeat: Duration,
    /// What it does in the mode `churn`, none twice and not empty; in other modes all, which says nothing.
    pub churn: Vec<Churn>,
}

impl Default for PlacementConfig {
    fn default() -> PlacementConfig {
        PlacementConfig {
            mode: PlacementMode::Balance,
            replicas: 3,
            interval: Duration::millis(500),
            store_heartbeat: Duration::secs(1),
            region_heartbeat: Duration::millis(500),
            churn: Churn::ALL.to_vec(),
        }
    }
}
