//! The store's traits for the outside, over the simulated machine.

use bytes::Bytes;
use im::OrdMap;
use raft_proto::raft_cmdpb::RaftCmdResponse;
use raft_proto::raft_serverpb::StoreMessage;
use raft_proto::schedulerpb;
use raftsim_kernel::{Disk, WriteSeq};
use raftstore::{
    Background, Db, Engine, EngineError, PlacementClient, Read, Replies, Task, TaskId, TaskOutput, Transport,
    WriteBatch,
};

use super::{Cx, RequestId, db_id};

/// What came of tasks whose time has not passed, by their ids.
pub(super) type Tasks = OrdMap<u64, Result<TaskOutput, EngineError>>;

/// A store's databases, to read.
pub(super) struct DiskView<'a>(pub(super) &'a Disk);

impl Read for DiskView<'_> {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.0.get(db_id(db), key).cloned())
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError> {
        for (key, value) in self.0.range(db_id(db), start, Some(end)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }
}

/// The simulated outside of a store.
pub(super) struct Env<'e, 'a, 'b> {
    cx: &'e mut Cx<'a, 'b>,
    tasks: &'e mut Tasks,
}

impl<'e, 'a, 'b> Env<'e, 'a, 'b> {
    pub(super) fn new(cx: &'e mut Cx<'a, 'b>, tasks: &'e mut Tasks) -> Env<'e, 'a, 'b> {
        Env { cx, tasks }
    }
}

impl Read for Env<'_, '_, '_> {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        DiskView(self.cx.disk()).get(db, key)
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError> {
        DiskView(self.cx.disk()).scan(db, start, end, visit)
    }
}

impl Engine for Env<'_, '_, '_> {
    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError> {
        Ok(self.cx.disk_mut().write(db_id(db), batch.into_ops()))
    }

    fn sync(&mut self, db: Db) -> Result<(), EngineError> {
        self.cx.sync(db_id(db));
        Ok(())
    }
}

impl Transport for Env<'_, '_, '_> {
    #[inline]
    fn send(&mut self, store_id: u64, message: StoreMessage) {
        self.cx.send(store_id, message);
    }
}

impl PlacementClient for Env<'_, '_, '_> {
    fn ask(&mut self, request: schedulerpb::Request) {
        self.cx.ask(request);
    }
}

/// A task is done at once, on the databases as they are; only its result takes its time.
impl Background for Env<'_, '_, '_> {
    fn start(&mut self, TaskId(id): TaskId, task: Task) {
        let (output, bytes) = match task.run(&DiskView(self.cx.disk())) {
            Ok((output, bytes)) => (Ok(output), bytes),
            Err(error) => (Err(error), 0),
        };
        self.tasks.insert(id, output);
        self.cx.start_task(id, bytes);
    }
}

impl Replies for Env<'_, '_, '_> {
    fn reply(&mut self, request: raftstore::RequestId, response: RaftCmdResponse) {
        self.cx.reply(RequestId(request.0), response);
    }
}
