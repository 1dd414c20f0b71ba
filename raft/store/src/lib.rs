//! A multi-Raft key-value store as a state machine without I/O, in the shape of TinyKV's and TiKV's
//! raftstore.
//!
//! A [`Store`] hosts one [`Peer`] for each region that it has a replica of. Inputs are its methods
//! (a message came, a client asks, a timer fired, a sync is done); effects go out through an [`Env`]
//! (write, sync, send, reply). It reads no clock, file or socket, and the same inputs give the same
//! effects. The simulator implements [`Env`] over models; a server would over an engine and sockets.
//!
//! The way of a command:
//!
//! ```text
//! on_request -> validate -> propose -> ready -> write to the raft database -> sync
//!                                        |                                     |
//!                    appends leave at once <-                        on_synced -> promises leave
//!                                                                              |
//!                               reply <- write to the kv database <- apply <- committed
//! ```
//!
//! - [`engine`]: the traits that the outside implements, and [`WriteBatch`].
//! - [`keys`]: the layout of the databases.
//! - [`Store`]: peers by region, bootstrap and restart; `timers`: when it next has something to do.
//! - [`Peer`]: one replica: the ready loop, and what waits for a sync.
//! - [`PeerStorage`]: the durable side of a replica: log, hard state, apply state.
//! - [`validate`]: what is wrong with a request, before it is proposed and again when it is applied.
//! - `apply`, `overlay`, `proposals`: from a committed entry to data and a response. `reads`: those that bypass the log.
//! - `admin`, `ranges`: what commands make of regions, and which keys are whose on this store.
//! - `snapshot`, `restore`: how a region's data travels, and how it becomes data again.
//! - [`task`]: work that takes time beside the store's own. [`frame`]: messages as bytes, with a checksum.

mod admin;
mod apply;
mod bootstrap;
pub mod config;
pub mod engine;
pub mod error;
pub mod frame;
pub mod keys;
mod overlay;
mod peer;
mod peer_storage;
mod proposals;
mod ranges;
mod reads;
mod restore;
mod snapshot;
mod store;
pub mod task;
#[cfg(test)]
mod testing;
mod timers;
pub mod validate;

pub use config::{Config, ConfigError, Placement, Reads};
pub use engine::{
    Db, Engine, Env, PlacementClient, Read, Replies, RequestId, Transport, WriteBatch, WriteSeq,
};
pub use error::{EngineError, StoreError};
pub use peer::Peer;
pub use peer_storage::{PeerStorage, RAFT_INIT_LOG_INDEX, RAFT_INIT_LOG_TERM};
pub use raft_proto as proto;
pub use snapshot::Body;
pub use store::Store;
pub use task::{Background, Task, TaskId, TaskOutput};
