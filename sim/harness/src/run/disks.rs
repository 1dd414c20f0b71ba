//! Steps that happen to disks: they get slow, full or unreliable, stall, fail, rot.

use raftsim_kernel::{Change, DbId, DiskAccess, DiskFailure, DiskModel};

use super::Run;
use crate::node::node_of;
use crate::report::Finding;
use crate::scenario::ast::{
    Action, Bytes, Check, Database, DiskChange, DiskConfig, DiskOperation, FaultKind, RecordKind, Target,
};
use crate::system::{FIRST_REGION, System};

impl<S: System> Run<S> {
    /// What happens to disks.
    pub(super) fn disturb_disks(&mut self, action: &Action) -> Result<(), Finding> {
        match action {
            Action::Disk(change) => {
                for store in self.stores(FIRST_REGION, &change.targets)? {
                    self.change_disk(store, change);
                }
            }
            Action::HealDisk { targets } => {
                for store in self.stores(FIRST_REGION, targets)? {
                    self.heal_disk(store);
                }
            }
            Action::Fail { targets, what, db, count } => {
                let what = match what {
                    DiskOperation::Sync => DiskAccess::Sync,
                    DiskOperation::Write => DiskAccess::Write,
                    DiskOperation::Read => DiskAccess::Read,
                };
                let failure = DiskFailure { db: db.map(database::<S>), what, count: *count };
                for store in self.stores(FIRST_REGION, targets)? {
                    self.world.fail_disk(node_of(store), failure);
                }
            }
            Action::Rot { targets, what, of } => self.rot(targets, *what, of.as_deref())?,
            _ => {}
        }
        Ok(())
    }

    /// Some of how a disk behaves changes.
    fn change_disk(&mut self, store: u64, change: &DiskChange) {
        let node = node_of(store);
        let old = *self.world.disk(node).model();
        self.world.set_disk_model(
            node,
            DiskModel {
                sync: change.sync.unwrap_or(old.sync),
                task: change.task.unwrap_or(old.task),
                bytes_per_second: change.throughput.map_or(old.bytes_per_second, Bytes::get),
                read: change.read.unwrap_or(old.read),
                write: change.write.unwrap_or(old.write),
                capacity: change.capacity.map_or(old.capacity, bound),
                bad: change.bad.unwrap_or(old.bad),
                write_error: change.write_errors.unwrap_or(old.write_error),
                sync_error: change.sync_errors.unwrap_or(old.sync_error),
            },
        );
        if let Some(stalled) = change.stalled {
            self.world.stall_disk(node, stalled);
        }
    }

    /// A disk is as the file has it. What has rotted stays so.
    pub(super) fn heal_disk(&mut self, store: u64) {
        let node = node_of(store);
        self.world.set_disk_model(node, disk_model(&self.scenario.disk));
        self.world.stall_disk(node, false);
        self.world.clear_disk_failures(node);
    }

    /// The newest record of a kind rots on each of these stores, where the budget allows it.
    fn rot(&mut self, targets: &[Target], what: RecordKind, of: Option<&str>) -> Result<(), Finding> {
        let region = self.region(of);
        for store in self.stores(region, targets)? {
            let Some((db, key)) = self.newest_record(store, region, what) else {
                let message = format!("store {store} has no {what} of region {region} that could rot");
                return Err(self.finding(Check::Expectation, message));
            };
            if self.allows("rotten", store) {
                self.world.rot(node_of(store), db, &key);
                self.standing_mut(store).rotten.push((db, key));
            }
        }
        Ok(())
    }

    /// Where the newest record of a kind of a region stands on a store's disk: that with the highest key, which of a log
    /// is the last entry.
    fn newest_record(&self, store: u64, region: u64, what: RecordKind) -> Option<(DbId, Vec<u8>)> {
        let disk = self.world.disk(node_of(store));
        let range = self.newest(region).map(|view| view.range);
        let databases = (0..).map(DbId).take(S::DATABASES.len());
        let records = databases.flat_map(|db| disk.range(db, b"", None).map(move |pair| (db, pair)));
        let wanted = records.filter(|(db, (key, value))| {
            let change = Change { seq: 0, key: (*key).clone(), old: None, new: Some((*value).clone()) };
            S::record(*db, &change).is_some_and(|(of, kind)| {
                let in_range = || Some(range?.contains(S::data_key(key.as_bytes())?));
                kind == what && (of == region || of == 0 && in_range().unwrap_or(false))
            })
        });
        wanted.last().map(|(db, (key, _))| (db, key.as_bytes().to_vec()))
    }

    /// How many faults of a kind have happened so far.
    pub(super) fn faults(&self, of: FaultKind) -> u64 {
        let faults = self.world.faults();
        match of {
            FaultKind::Lost => faults.lost,
            FaultKind::Doubled => faults.doubled,
            FaultKind::Overtook => faults.overtook,
            FaultKind::Clogged => faults.clogged,
            FaultKind::Corrupted => faults.corrupted,
            FaultKind::QueueFull => faults.dropped_by_queue,
            FaultKind::Torn => faults.torn,
            FaultKind::SyncFailed => faults.sync_failed,
            FaultKind::IoError => faults.io_errors,
            FaultKind::DiskFull => faults.full,
            FaultKind::RottenRead => faults.rotten_reads,
            FaultKind::Withheld => self.withheld,
        }
    }
}

/// How a disk behaves at the start.
pub(super) fn disk_model(config: &DiskConfig) -> DiskModel {
    DiskModel {
        sync: config.sync,
        task: config.task,
        bytes_per_second: config.throughput.get(),
        read: config.read,
        write: config.write,
        capacity: bound(config.capacity),
        ..DiskModel::default()
    }
}

/// A bound as the kernel has it, to which 0 is none.
pub(super) fn bound(bytes: Bytes) -> u64 {
    if bytes == Bytes::UNBOUNDED { 0 } else { bytes.get() }
}

/// The number of a database; of a system with a single one, of that.
fn database<S: System>(which: Database) -> DbId {
    let name = match which {
        Database::Raft => "raft",
        Database::Kv => "kv",
        Database::Snapshots => "snapshots",
    };
    let databases = (0..).map(DbId).zip(S::DATABASES);
    databases.into_iter().find(|(_, other)| **other == name).map_or(S::LOG_DB, |(db, _)| db)
}
