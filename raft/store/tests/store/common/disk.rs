//! Databases in memory that lose what was not synced, and an environment made of three of them.

use std::collections::{BTreeMap, VecDeque};

use prost::Message;

use super::faults::{Faults, Operation};
use raftstore::proto::raft_cmdpb::RaftCmdResponse;
use raftstore::proto::raft_serverpb::{RaftLocalState, RaftMessage, StoreMessage, store_message::Payload};
use raftstore::proto::schedulerpb;
use raftstore::{
    Background, Db, Engine, EngineError, PlacementClient, Read, Replies, RequestId, Task, TaskId, TaskOutput,
    Transport, WriteBatch, WriteSeq, keys,
};

type Pairs = BTreeMap<Vec<u8>, bytes::Bytes>;
pub type Ops = Vec<(bytes::Bytes, Option<bytes::Bytes>)>;

/// One database: what reads see, what a crash keeps, and the writes between the two.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub visible: Pairs,
    pub durable: Pairs,
    unsynced: VecDeque<(WriteSeq, Ops)>,
    pub written: WriteSeq,
    /// The last write that an unfinished sync covers.
    syncing: Option<WriteSeq>,
}

fn replay(pairs: &mut Pairs, ops: &Ops) {
    for (key, value) in ops {
        match value {
            Some(value) => pairs.insert(key.to_vec(), value.clone()),
            None => pairs.remove(&key.to_vec()),
        };
    }
}

impl Disk {
    /// The number of writes that a crash may lose.
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The writes up to that one are durable.
    pub fn make_durable(&mut self, up_to: WriteSeq) {
        while self.unsynced.front().is_some_and(|(seq, _)| *seq <= up_to) {
            let (_, ops) = self.unsynced.pop_front().unwrap();
            replay(&mut self.durable, &ops);
        }
    }

    /// The machine stops. What was synced stays, and the first `keep` of the other writes.
    pub fn crash(&mut self, keep: usize) {
        for (_, ops) in self.unsynced.drain(..).take(keep) {
            replay(&mut self.durable, &ops);
        }
        *self = Disk { visible: self.durable.clone(), durable: self.durable.clone(), ..Disk::default() };
    }
}

/// What one store sees of the world.
#[derive(Clone, Debug, Default)]
pub struct MemEnv {
    pub raft: Disk,
    pub kv: Disk,
    pub snapshots: Disk,
    /// Raft messages not yet taken away, in order.
    pub sent: VecDeque<RaftMessage>,
    /// Pieces of snapshots and what is answered to them, in order, and the store that each is for.
    pub transfers: VecDeque<(u64, StoreMessage)>,
    /// What the placement driver was told or asked.
    pub asked: VecDeque<schedulerpb::Request>,
    /// Tasks that are done and not handed in yet, in the order in which they began.
    pub tasks: VecDeque<(TaskId, Result<TaskOutput, EngineError>)>,
    pub replies: BTreeMap<RequestId, RaftCmdResponse>,
    pub faults: Faults,
}

impl MemEnv {
    pub fn disk(&self, db: Db) -> &Disk {
        match db {
            Db::Raft => &self.raft,
            Db::Kv => &self.kv,
            Db::Snapshots => &self.snapshots,
        }
    }

    /// How much it has done so far: writes, and what it has said.
    pub fn effects(&self) -> [u64; 4] {
        let written = self.raft.written + self.kv.written + self.snapshots.written;
        [written, self.sent.len() as u64, self.transfers.len() as u64, self.replies.len() as u64]
    }

    /// What a message promises is durable when it leaves: an accepted log, or a vote.
    fn check_promise(&self, message: &RaftMessage) {
        use raftstore::proto::eraftpb::MessageType;
        let Some(raft) = message.message.as_ref().filter(|raft| !raft.reject) else { return };
        let state = self.raft.durable.get(&keys::raft_state(message.region_id)[..]);
        let state = state.map(|state| RaftLocalState::decode(state.clone()).unwrap()).unwrap_or_default();
        let hard = state.hard_state.unwrap_or_default();
        let kept = match raft.msg_type() {
            MessageType::MsgAppendResponse => hard.term >= raft.term && state.last_index >= raft.index,
            MessageType::MsgRequestVoteResponse => {
                hard.term > raft.term || hard.term == raft.term && hard.vote == raft.to
            }
            _ => return,
        };
        assert!(kept, "{raft:?} leaves with {state:?} durable");
    }

    /// All bytes of keys and values.
    pub fn bytes(&self) -> usize {
        let pairs = [&self.raft, &self.kv, &self.snapshots].into_iter().flat_map(|disk| &disk.visible);
        pairs.map(|(key, value)| key.len() + value.len()).sum()
    }

    pub fn disk_mut(&mut self, db: Db) -> &mut Disk {
        match db {
            Db::Raft => &mut self.raft,
            Db::Kv => &mut self.kv,
            Db::Snapshots => &mut self.snapshots,
        }
    }

    /// The sync that was asked for fails, if one was.
    pub fn fail_sync(&mut self, db: Db) -> bool {
        self.disk_mut(db).syncing.take().is_some()
    }

    /// Ends the sync that was asked for, if one was: up to which write.
    pub fn finish_sync(&mut self, db: Db) -> Option<WriteSeq> {
        let disk = self.disk_mut(db);
        let up_to = disk.syncing.take()?;
        disk.make_durable(up_to);
        Some(up_to)
    }

    /// The machine stops. Each database keeps so many of its unsynced writes.
    pub fn crash(&mut self, keep_raft: usize, keep_kv: usize, keep_snapshots: usize) {
        self.raft.crash(keep_raft);
        self.kv.crash(keep_kv);
        self.snapshots.crash(keep_snapshots);
        self.sent.clear();
        self.transfers.clear();
        self.asked.clear();
        self.tasks.clear();
    }
}

impl Read for MemEnv {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<bytes::Bytes>, EngineError> {
        self.faults.operation(Operation::Read)?;
        self.faults.intact(db, key)?;
        Ok(self.disk(db).visible.get(key).cloned())
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &bytes::Bytes) -> bool,
    ) -> Result<(), EngineError> {
        self.faults.operation(Operation::Read)?;
        if start < end {
            for (key, value) in self.disk(db).visible.range(start.to_vec()..end.to_vec()) {
                self.faults.intact(db, key)?;
                if !visit(key, value) {
                    break;
                }
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
        self.faults.operation(Operation::Read)?;
        if start < end {
            let mut pairs = self.disk(db).visible.range(start.to_vec()..end.to_vec());
            let _ = pairs.all(|(key, _)| visit(key));
        }
        Ok(())
    }
}

impl Engine for MemEnv {
    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError> {
        self.faults.operation(Operation::Write)?;
        if self.faults.broken == Some(db)
            || self.faults.capacity.is_some_and(|most| self.bytes() + batch.bytes() > most)
        {
            return Err(EngineError::Full);
        }
        let ops = batch.into_ops().collect::<Vec<_>>();
        self.faults.overwrite(db, &ops);
        let disk = self.disk_mut(db);
        replay(&mut disk.visible, &ops);
        disk.written += 1;
        disk.unsynced.push_back((disk.written, ops));
        Ok(disk.written)
    }

    fn sync(&mut self, db: Db) -> Result<(), EngineError> {
        self.faults.operation(Operation::Sync)?;
        let disk = self.disk_mut(db);
        disk.syncing = Some(disk.written);
        Ok(())
    }
}

impl Transport for MemEnv {
    fn send(&mut self, store_id: u64, message: StoreMessage) {
        match message.payload {
            Some(Payload::Raft(message)) => {
                assert_eq!(message.to_peer.map(|to| to.store_id), Some(store_id));
                self.check_promise(&message);
                self.sent.push_back(message);
            }
            _ => self.transfers.push_back((store_id, message)),
        }
    }
}

impl PlacementClient for MemEnv {
    fn ask(&mut self, request: schedulerpb::Request) {
        self.asked.push_back(request);
    }
}

impl Background for MemEnv {
    fn start(&mut self, id: TaskId, task: Task) {
        let output = task.run(self).map(|(output, _)| output);
        self.tasks.push_back((id, output));
    }
}

impl Replies for MemEnv {
    fn reply(&mut self, request: RequestId, response: RaftCmdResponse) {
        let twice = self.replies.insert(request, response);
        assert_eq!(twice, None, "{request:?} is answered twice");
    }
}
