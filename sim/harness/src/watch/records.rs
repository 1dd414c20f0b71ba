//! Counts the records that stores write, for scenarios that stop a store between two of its writes.
//!
//! Only runs with such a scenario pay for it.

use std::collections::VecDeque;

use im::OrdMap;
use raftsim_kernel::{DbId, Disk, Happened, NodeId, WriteSeq};

use crate::node::Node;
use crate::system::{RecordKind, System};

/// Whose records: machine, kind, region.
type Of = (NodeId, RecordKind, u64);

/// One database of one machine.
#[derive(Clone, Debug, Default)]
struct Database {
    /// The newest write that was seen.
    seen: WriteSeq,
    /// What a crash may take back, in the order of the writes.
    unsynced: VecDeque<(WriteSeq, RecordKind, u64)>,
}

/// How many records of each kind every store wrote.
#[derive(Clone, Debug, Default)]
pub(super) struct Records {
    databases: OrdMap<(NodeId, u8), Database>,
    written: OrdMap<Of, u64>,
    durable: OrdMap<Of, u64>,
}

impl Records {
    /// What an event wrote. True if that was anything.
    pub(super) fn wrote<S: System>(&mut self, what: &Happened<'_, Node<S>>) -> bool {
        let mut any = false;
        for db in 0..what.disk.databases() {
            let written = what.disk.written(DbId(db));
            let database = self.databases.entry((what.node, db)).or_default();
            let seen = std::mem::replace(&mut database.seen, written);
            if seen == written {
                continue;
            }
            for change in what.disk.changes_since(DbId(db), seen) {
                let Some((region, kind)) = S::record(DbId(db), change) else { continue };
                database.unsynced.push_back((change.seq, kind, region));
                *self.written.entry((what.node, kind, region)).or_default() += 1;
                any = true;
            }
        }
        any
    }

    /// A database's writes up to `up_to` are durable. True if that was anything.
    pub(super) fn synced(&mut self, node: NodeId, db: DbId, up_to: WriteSeq) -> bool {
        let Some(database) = self.databases.get_mut(&(node, db.0)) else { return false };
        let mut any = false;
        while let Some((_, kind, region)) = database.unsynced.pop_front_if(|(seq, ..)| *seq <= up_to) {
            *self.durable.entry((node, kind, region)).or_default() += 1;
            any = true;
        }
        any
    }

    /// The machine is down: what its disk kept is durable, and what it lost was never written.
    pub(super) fn crashed(&mut self, node: NodeId, disk: &Disk) {
        for db in (0..disk.databases()).map(DbId) {
            self.synced(node, db, disk.kept(db));
            if let Some(database) = self.databases.get_mut(&(node, db.0)) {
                // A wait for durable records would otherwise count from those that nothing will ever make durable.
                for (_, kind, region) in database.unsynced.drain(..) {
                    if let Some(written) = self.written.get_mut(&(node, kind, region)) {
                        *written -= 1;
                    }
                }
                database.seen = disk.written(db);
            }
        }
    }

    /// How many records a store wrote, or made durable: of one region, or of any.
    pub(super) fn count(&self, node: NodeId, kind: RecordKind, region: Option<u64>, durable: bool) -> u64 {
        let counts = if durable { &self.durable } else { &self.written };
        match region {
            Some(region) => counts.get(&(node, kind, region)).copied().unwrap_or(0),
            None => counts.range((node, kind, 0)..=(node, kind, u64::MAX)).map(|(_, count)| count).sum(),
        }
    }
}
