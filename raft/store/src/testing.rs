//! The simplest environment there is, for unit tests: what is written stays, what is sent is kept, nobody answers.

use std::collections::BTreeMap;

use bytes::Bytes;

use raft_proto::raft_cmdpb::RaftCmdResponse;
use raft_proto::raft_serverpb::StoreMessage;
use raft_proto::schedulerpb;

use crate::engine::{Db, Engine, PlacementClient, Read, Replies, RequestId, Transport, WriteBatch, WriteSeq};
use crate::error::EngineError;
use crate::task::{Background, Task, TaskId};

/// The databases in memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct MapEngine {
    pairs: BTreeMap<(Db, Bytes), Bytes>,
    pub(crate) writes: WriteSeq,
    /// The databases whose syncs were asked for.
    pub(crate) syncs: Vec<Db>,
    pub(crate) replies: Vec<(RequestId, RaftCmdResponse)>,
    /// What was sent, and to which stores.
    pub(crate) sent: Vec<(u64, StoreMessage)>,
    /// Reads fail.
    pub(crate) unreadable: bool,
    /// The value at this key fails its checksum.
    pub(crate) rotten: Option<Bytes>,
}

impl Read for MapEngine {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        self.readable(key)?;
        Ok(self.pairs.get(&(db, Bytes::copy_from_slice(key))).cloned())
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError> {
        self.readable(&[])?;
        let in_range = |key: &Bytes| start <= key && key < end;
        for ((_, key), value) in self.pairs.iter().filter(|((of, key), _)| *of == db && in_range(key)) {
            self.readable(key)?;
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn scan_keys(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), EngineError> {
        self.readable(&[])?;
        let keys = self.pairs.keys().filter(|(of, key)| *of == db && start <= key && key < end);
        let _ = keys.map(|(_, key)| key).all(|key| visit(key));
        Ok(())
    }
}

impl MapEngine {
    /// A key at which a database would be read.
    fn readable(&self, key: &[u8]) -> Result<(), EngineError> {
        if self.unreadable {
            return Err(EngineError::Io("unreadable".into()));
        }
        if self.rotten.as_deref().is_some_and(|rotten| rotten == key) {
            return Err(EngineError::Corrupt("rotten".into()));
        }
        Ok(())
    }
}

impl Engine for MapEngine {
    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError> {
        for (key, value) in batch.into_ops() {
            match value {
                Some(value) => self.pairs.insert((db, key), value),
                None => self.pairs.remove(&(db, key)),
            };
        }
        self.writes += 1;
        Ok(self.writes)
    }

    fn sync(&mut self, db: Db) -> Result<(), EngineError> {
        self.syncs.push(db);
        Ok(())
    }
}

impl Transport for MapEngine {
    fn send(&mut self, store_id: u64, message: StoreMessage) {
        self.sent.push((store_id, message));
    }
}

impl Replies for MapEngine {
    fn reply(&mut self, request: RequestId, response: RaftCmdResponse) {
        self.replies.push((request, response));
    }
}

impl PlacementClient for MapEngine {
    fn ask(&mut self, _request: schedulerpb::Request) {}
}

impl Background for MapEngine {
    fn start(&mut self, _id: TaskId, _task: Task) {}
}
