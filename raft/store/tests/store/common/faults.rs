//! What can go wrong with the databases in memory.

use std::cell::Cell;
use std::collections::BTreeSet;

use raftstore::{Db, EngineError};

use super::disk::Ops;

/// A kind of engine call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Read,
    Write,
    Sync,
}

/// How a machine's databases misbehave.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Writes to this database fail.
    pub broken: Option<Db>,
    /// All databases together have room for so many bytes.
    pub capacity: Option<usize>,
    /// The engine call with this number fails, counted from 0.
    pub fails_at: Option<u64>,
    /// Engine calls so far, and the kind of the one that failed.
    pub calls: Cell<u64>,
    pub failed: Cell<Option<Operation>>,
    /// Values that fail their checksums.
    pub rotten: BTreeSet<(Db, Vec<u8>)>,
}

impl Faults {
    pub(super) fn operation(&self, operation: Operation) -> Result<(), EngineError> {
        let number = self.calls.replace(self.calls.get() + 1);
        if self.fails_at == Some(number) {
            self.failed.set(Some(operation));
            return Err(EngineError::Io("it was its turn".into()));
        }
        Ok(())
    }

    pub(super) fn intact(&self, db: Db, key: &[u8]) -> Result<(), EngineError> {
        if !self.rotten.is_empty() && self.rotten.contains(&(db, key.to_vec())) {
            return Err(EngineError::Corrupt(format!("{db:?} {:?}", raftstore::keys::decode(key)).into()));
        }
        Ok(())
    }

    /// What is written anew is whole.
    pub(super) fn overwrite(&mut self, db: Db, ops: &Ops) {
        if !self.rotten.is_empty() {
            for (key, _) in ops {
                self.rotten.remove(&(db, key.to_vec()));
            }
        }
    }
}
