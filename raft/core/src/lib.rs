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
mod election;
mod error;
mod jitter;
mod log;
mod progress;
mod quorum;
mod raft;
mod raw_node;
mod ready;
mod replication;
mod storage;
mod tracker;
mod writes;

pub use config::Config;
pub use error::{ConfigError, Error, StorageError};
pub use progress::{Inflights, Progress, ProgressState};
pub use raft_proto::eraftpb;
pub use raw_node::RawNode;
pub use ready::{EntryId, Ready, Role, SoftState};
pub use storage::{MemStorage, RaftState, Storage};
