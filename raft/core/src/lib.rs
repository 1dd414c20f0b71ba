//! Raft consensus as a state machine without I/O: no clock, no thread, no socket, no disk.
//!
//! A [`RawNode`] is one replica of one group. Inputs are calls: time passes ([`RawNode::tick`]), a message
//! arrives ([`RawNode::step`]), a client wants something replicated ([`RawNode::propose`]), a write is
//! durable ([`RawNode::on_persisted`]). Effects come out as [`Ready`] batches: state and entries to write,
//! messages to send now, messages to send once the batch is durable, entries to apply.
//!
//! The algorithm is that of Ongaro's thesis, with the durability rules spelled out: a replica's own vote
//! and its own entries count from the moment they are durable, and nothing that promises durability
//! leaves before it is given.
//!
//! ```
//! use raft::{Config, MemStorage, RawNode, Role};
//!
//! // A group of one. It elects itself, but not before its vote is durable.
//! let mut disk = MemStorage::new(&[1]);
//! let mut node = RawNode::new(&Config::new(1), &disk)?;
//! node.campaign();
//! assert_eq!(node.role(), Role::Candidate);
//!
//! let mut applied = Vec::new();
//! let mut proposed = false;
//! while node.has_ready() {
//!     let ready = node.ready();
//!     disk.save(&ready); // and sync, if `ready.must_sync`
//!     node.advance(&ready);
//!     applied.extend(ready.committed_entries);
//!     if node.is_leader() && !proposed {
//!         node.propose("hello".into())?;
//!         proposed = true;
//!     }
//! }
//!
//! // The empty entry of the new leader, then ours.
//! let data: Vec<&[u8]> = applied.iter().map(|entry| &entry.data[..]).collect();
//! assert_eq!(data, [&b""[..], b"hello"]);
//! # Ok::<(), raft::Error>(())
//! ```

mod config;
mod configuration;
mod election;
mod error;
mod jitter;
mod log;
mod membership;
mod progress;
mod quorum;
mod raft;
mod raw_node;
mod reads;
mod ready;
mod replication;
mod snapshot;
mod storage;
mod tracker;
mod transfer;
mod writes;

pub use config::{Config, ReadMode};
pub use configuration::{ConfChangeError, Configuration};
pub use error::{ConfigError, Error, StorageError};
pub use membership::conf_change_of;
pub use progress::{Inflights, Progress, ProgressState};
pub use raft_proto::eraftpb;
pub use raw_node::RawNode;
pub use reads::{ReadId, ReadState};
pub use ready::{EntryId, Ready, Role, SoftState};
pub use snapshot::SnapshotStatus;
pub use storage::{MemStorage, RaftState, Storage};
