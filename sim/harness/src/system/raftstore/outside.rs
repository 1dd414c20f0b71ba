//! The store's traits for the outside, over the simulated machine.

use bytes::Bytes;
use im::OrdMap;
use raft_proto::raft_cmdpb::RaftCmdResponse;
use raft_proto::raft_serverpb::StoreMessage;
use raft_proto::schedulerpb;
use raftsim_kernel::{Disk, DiskFault, WriteSeq};
use raftstore::{
    Background, Db, Engine, EngineError, PlacementClient, Read, Replies, Task, TaskId, TaskOutput, Transport,
    WriteBatch, keys,
};

use super::{Cx, Raftstore, RequestId, System, db_id};

/// What came of tasks whose time has not passed, by their ids.
pub(super) type Tasks = OrdMap<u64, Result<TaskOutput, EngineError>>;

/// A store's databases as an observer sees them: nothing fails.
pub(super) struct Truth<'a>(pub(super) &'a Disk);

impl Read for Truth<'_> {
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
        let _ = self.0.range(db_id(db), start, Some(end)).all(|(key, value)| visit(key, value));
        Ok(())
    }

    fn scan_keys(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), EngineError> {
        let _ = self.0.range(db_id(db), start, Some(end)).all(|(key, _)| visit(key));
        Ok(())
    }
}

/// A store's databases as the store sees them: what the disk cannot read is an error that says where.
struct DiskView<'a>(&'a Disk);

impl Read for DiskView<'_> {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let value = self.0.try_get(db_id(db), key).map_err(|fault| engine_error(db, key, fault))?;
        Ok(value.cloned())
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError> {
        for (place, pair) in self.0.try_range(db_id(db), start, Some(end)).enumerate() {
            let (key, value) = pair.map_err(|fault| {
                let unread = self.0.range(db_id(db), start, Some(end)).nth(place);
                engine_error(db, unread.map_or(start, |(key, _)| key), fault)
            })?;
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
        Truth(self.0).scan_keys(db, start, end, visit)
    }
}

/// A fault as the store has it: which database, and for a value that is damaged, which.
fn engine_error(db: Db, key: &[u8], fault: DiskFault) -> EngineError {
    let name = Raftstore::DATABASES[usize::from(db_id(db).0)];
    match fault {
        DiskFault::Io => EngineError::Io(format!("the {name} database").into()),
        DiskFault::Full => EngineError::Full,
        DiskFault::Corrupt => EngineError::Corrupt(match (keys::decode(key), keys::decode_data(key)) {
            (Some(key), _) => format!("{key:?} in the {name} database").into(),
            (None, Some((_, key))) => format!("key {} in the {name} database", key.escape_ascii()).into(),
            _ => format!("{} in the {name} database", key.escape_ascii()).into(),
        }),
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

    fn scan_keys(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), EngineError> {
        DiskView(self.cx.disk()).scan_keys(db, start, end, visit)
    }
}

impl Engine for Env<'_, '_, '_> {
    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError> {
        let written = self.cx.disk_mut().try_write(db_id(db), batch.into_ops());
        written.map_err(|fault| engine_error(db, &[], fault))
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
