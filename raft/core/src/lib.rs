//! Raft consensus as a state machine without I/O.

mod config;
mod error;
mod progress;
mod raw_node;
mod ready;
mod storage;

pub use config::Config;
pub use error::{ConfigError, Error, StorageError};
pub use progress::{Inflights, Progress, ProgressState};
pub use raft_proto::eraftpb;
pub use raw_node::RawNode;
pub use ready::{EntryId, Ready, Role, SoftState};
pub use storage::{MemStorage, RaftState, Storage};
