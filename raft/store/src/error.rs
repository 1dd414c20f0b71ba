//! What can stop a store. What it answers to a client's bad request is in [`crate::validate`].

use std::borrow::Cow;

use crate::config::ConfigError;

/// A database failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The device refused to read, write or sync.
    #[error("input/output error: {0}")]
    Io(Cow<'static, str>),
    /// There is no room for a write.
    #[error("no space left on the disk")]
    Full,
    /// What was read is not what was written.
    #[error("checksum mismatch: {0}")]
    Corrupt(Cow<'static, str>),
}

/// Why a store could not start, or had to stop. A stopped store ignores all input: it cannot know any
/// more what it promised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A database failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The settings make no sense.
    #[error("bad configuration: {0}")]
    Config(#[from] ConfigError),
    /// The databases hold no store. [`Store::bootstrap`](crate::Store::bootstrap) makes one.
    #[error("the store is not bootstrapped")]
    NotBootstrapped,
    /// The databases belong to another store or cluster.
    #[error("the data is of store {store_id} of cluster {cluster_id}")]
    WrongStore {
        /// The cluster that the data is of.
        cluster_id: u64,
        /// The store that the data is of.
        store_id: u64,
    },
    /// Raft cannot start from what the databases hold.
    #[error("region {region_id}: {source}")]
    Raft {
        /// The region.
        region_id: u64,
        /// What raft says.
        source: raft::Error,
    },
    /// The databases contradict themselves or each other.
    #[error("region {region_id}: {what}")]
    Corrupt {
        /// The region that cannot be trusted; 0 where it is the store itself.
        region_id: u64,
        /// What is wrong.
        what: Cow<'static, str>,
    },
}

impl StoreError {
    pub(crate) fn corrupt(region_id: u64, what: impl Into<Cow<'static, str>>) -> StoreError {
        StoreError::Corrupt { region_id, what: what.into() }
    }
}
