//! Disks: databases that forget in a crash what was not synced.
//!
//! # Promise
//! A disk holds a few databases, each an ordered map of byte strings with a sync point of its own.
//! - A write is a batch of puts and deletes. It is visible to its process at once.
//! - It is durable when a sync that began after it has completed; a sync takes virtual time.
//!   One sync a database runs at a time; what is asked for meanwhile is answered by one further sync,
//!   as a group commit does.
//! - Syncs of different databases are independent: a crash may keep a later write of one and lose an
//!   earlier write of the other.
//! - Work in the background ([`Context::start_task`](crate::Context::start_task)) takes a latency of its own and the time
//!   to move its bytes. Tasks do not wait for each other, nor for syncs.
//!
//! # Faults
//! - A crash keeps everything synced and, of each database by itself, a prefix of the unsynced writes:
//!   none, all, one drawn at random, or all but a few ([`Loss`]), each database alike or not ([`Losses`]). Batches are
//!   atomic: a write is kept whole or not at all.
//! - Torn batches, of databases that promise no atomic ones ([`World::set_torn`](crate::World::set_torn)): of the first
//!   batch that a crash takes some changes may be left, the first ones, in their order.
//! - A stalled disk ([`World::stall_disk`](crate::World::stall_disk)): no sync and no task completes until it goes on.
//! - Reads and writes that fail ([`DiskFault`]), and syncs, some at random ([`DiskModel`]) and some by command
//!   ([`World::fail_disk`](crate::World::fail_disk)). A write that failed has changed nothing.
//! - A failed sync means on this disk what it means on Linux, where the kernel takes pages that it could not write for
//!   clean: the writes it was for are lost with the next crash, and those after them too, though later syncs report
//!   success. That is so whatever the crash is said to take, [`Loss::Nothing`] included: an engine that opens its files
//!   anew finds what is on the platter. Whoever goes on after a failed sync has promised what the next crash will take.
//!   (Rebello et al., "Can Applications Recover from fsync Failures?", 2020.)
//! - A full disk: what would make it larger fails, what shrinks it does not.
//! - Bad sectors: a share of all keys cannot be read. Bit rot ([`World::rot`](crate::World::rot)): one stored value fails
//!   its checksum until another is written over it, and again where a crash takes that one back.
//! - Reads and writes that take time keep their machine busy: what is due for it waits until they are done.
//! - A disk that is lost ([`World::wipe`](crate::World::wipe)).
//!
//! Faults are met by who asks with [`Disk::try_get`], [`Disk::try_range`] and [`Disk::try_write`]: processes. `get`,
//! `range` and `write` see the truth, and are for observers and for processes of a simpler world.
//!
//! Not covered: silent corruption (whatever is damaged is noticed when it is read), writes that go to another place than
//! they should, and a sync that lies without having failed before.
//!
//! # How
//! One persistent map holds what is visible; unsynced changes keep the values they replaced. A crash
//! rolls back from the newest, and a sync forgets the oldest. Cloning a disk costs as much as it has unsynced
//! changes, whatever else is on it.

mod database;
mod faults;
mod loss;
mod model;

use std::ops::Bound;

use bytes::Bytes;

pub use database::Change;
pub use faults::{DiskAccess, DiskFailure, DiskFault, DiskFaults, Pairs};
pub use loss::{Loss, Losses};
pub use model::DiskModel;

use crate::key::Key;
use crate::random::Stream;
use crate::time::Duration;
use crate::trace::TraceHasher;
use database::Database;
use faults::Damage;

/// Which database of a disk: 0, 1, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DbId(pub u8);

/// Numbers the writes of one database: 1, 2, ... over all incarnations of its process.
pub type WriteSeq = u64;

/// One machine's databases.
#[derive(Clone, Debug)]
pub struct Disk {
    databases: Vec<Database>,
    model: DiskModel,
    /// Of syncs and losses.
    stream: Stream,
    /// Of tasks, so that those shift nothing else.
    tasks: Stream,
    damage: Damage,
}

/// What a sync that is over comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SyncEnd {
    /// Up to which write its process is told that all is durable; `None` where it is told of a failure.
    pub(crate) told: Option<WriteSeq>,
    /// Another sync was asked for meanwhile.
    pub(crate) again: bool,
}

impl Disk {
    /// An empty disk. `stream` gives the streams of its random decisions by their labels.
    pub(crate) fn new(databases: u8, stream: impl Fn(&str) -> Stream) -> Disk {
        Disk {
            databases: (0..databases).map(|_| Database::default()).collect(),
            model: DiskModel::default(),
            stream: stream("disk"),
            tasks: stream("tasks"),
            damage: Damage::new(stream("disk faults")),
        }
    }

    /// The value of a key, written or not yet synced.
    #[must_use]
    pub fn get(&self, db: DbId, key: &[u8]) -> Option<&Bytes> {
        self.database(db).visible.get(&Key::from(key))
    }

    /// The value that a key would have if the machine lost power now and lost all it could.
    #[must_use]
    pub fn durable_get(&self, db: DbId, key: &[u8]) -> Option<&Bytes> {
        self.database(db).durable_get(key)
    }

    /// The pairs with `start <= key < end` in order. An `end` of `None` has no bound.
    pub fn range<'a>(
        &'a self,
        db: DbId,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = (&'a Key, &'a Bytes)> + use<'a> {
        // An OrdMap panics where start is beyond end.
        let empty = end.is_some_and(|end| end <= start);
        let end = match end {
            _ if empty => Bound::Excluded(Key::from(start)),
            Some(end) => Bound::Excluded(Key::from(end)),
            None => Bound::Unbounded,
        };
        let bounds = (Bound::Included(Key::from(start)), end);
        self.database(db).visible.range(bounds).take_while(move |_| !empty)
    }

    /// Writes a batch of puts (`Some`) and deletes (`None`), in order. Returns its number.
    pub fn write(
        &mut self,
        db: DbId,
        batch: impl IntoIterator<Item = (impl AsRef<[u8]>, Option<Bytes>)>,
    ) -> WriteSeq {
        let seq = self.databases[db.0 as usize].write(batch);
        if self.model.capacity != 0 {
            self.count_used(db, seq);
        }
        seq
    }

    /// The newest write of a database.
    #[must_use]
    pub fn written(&self, db: DbId) -> WriteSeq {
        self.database(db).written
    }

    /// The newest durable write of a database. This is the truth, also where a process is told otherwise.
    #[must_use]
    pub fn durable(&self, db: DbId) -> WriteSeq {
        self.database(db).durable
    }

    /// The newest write of a database that the last crash left: those after it that were not durable are lost. 0 after the
    /// disk was lost.
    #[must_use]
    pub fn kept(&self, db: DbId) -> WriteSeq {
        self.database(db).kept
    }

    /// The changes of writes after `seq` that are not durable, oldest first.
    pub fn changes_since(&self, db: DbId, seq: WriteSeq) -> impl Iterator<Item = &Change> {
        self.database(db).changes_since(seq)
    }

    /// How many databases there are.
    #[must_use]
    pub fn databases(&self) -> u8 {
        u8::try_from(self.databases.len()).unwrap_or(u8::MAX)
    }

    /// How it behaves.
    #[must_use]
    pub fn model(&self) -> &DiskModel {
        &self.model
    }

    /// Folds what was written since the last call into the trace hash.
    #[inline]
    pub(crate) fn digest_written(&mut self, hash: &mut TraceHasher) {
        for database in &mut self.databases {
            if database.digested == database.written {
                continue;
            }
            for change in database.changes_since(database.digested) {
                hash.bytes(&change.key);
                hash.bytes(change.new.as_deref().unwrap_or(b"\0deleted"));
            }
            database.digested = database.written;
        }
    }

    /// Folds what a crash was to take, and how much it has kept, into the trace hash.
    pub(crate) fn digest_crash(&self, losses: &Losses, hash: &mut TraceHasher) {
        for (db, database) in (0..).map(DbId).zip(&self.databases) {
            hash.word(losses.of(db).number());
            hash.word(database.kept);
            if database.torn_left > 0 {
                hash.word(database.torn_left as u64);
            }
        }
    }

    fn database(&self, db: DbId) -> &Database {
        &self.databases[db.0 as usize]
    }

    /// Begins a sync of all written so far and returns how long it takes; `None` where one is under way,
    /// which another will follow.
    pub(crate) fn begin_sync(&mut self, db: DbId) -> Option<Duration> {
        let database = &mut self.databases[db.0 as usize];
        if database.syncing.is_some() {
            database.sync_again = true;
            return None;
        }
        database.syncing = Some(database.written);
        Some(self.model.sync.draw(&mut self.stream))
    }

    /// How long a task takes that moves so many bytes.
    pub(crate) fn task_time(&mut self, bytes: u64) -> Duration {
        self.model.task.draw(&mut self.tasks) + self.model.moving(bytes)
    }

    /// The sync under way is over: what it covers is durable, unless it failed or one before it did.
    pub(crate) fn complete_sync(&mut self, db: DbId) -> SyncEnd {
        let database = &mut self.databases[db.0 as usize];
        let covered = database.syncing.take().unwrap_or(database.durable);
        let again = std::mem::take(&mut database.sync_again);
        if database.poisoned {
            return SyncEnd { told: Some(covered), again };
        }
        if self.damage.fails_sync(db, &self.model) {
            database.poisoned = true;
            return SyncEnd { told: None, again };
        }
        database.settle(covered);
        SyncEnd { told: Some(covered), again }
    }

    /// The machine loses power. What is left is durable.
    pub(crate) fn crash(&mut self, losses: &Losses) {
        for (db, database) in (0..).map(DbId).zip(&mut self.databases) {
            let pending = database.written - database.durable;
            let kept = losses.of(db).kept(pending, &mut self.stream);
            if database.poisoned {
                database.crash(database.durable, 0);
                continue;
            }
            let keep = database.durable + kept;
            let torn = if database.torn { self.damage.tear(database.first_lost(keep)) } else { 0 };
            database.crash(keep, torn);
        }
        self.take_stock();
    }
}

#[cfg(test)]
mod tests;
