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
//! A crash keeps everything synced and, of each database by itself, a prefix of the unsynced writes:
//! none, all, one drawn at random, or all but a few ([`Loss`]), each database alike or not ([`Losses`]). Batches are
//! atomic: a write is kept whole or not at all.
//!
//! # How
//! One persistent map holds what is visible; unsynced changes keep the values they replaced. A crash
//! rolls back from the newest, and a sync forgets the oldest. Cloning a disk costs as much as it has unsynced
//! changes, whatever else is on it.

use std::collections::VecDeque;
use std::ops::Bound;

use bytes::Bytes;
use im::OrdMap;

use crate::key::Key;
use crate::latency::Latency;
use crate::random::Stream;
use crate::time::Duration;
use crate::trace::TraceHasher;

/// Which database of a disk: 0, 1, ...
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct DbId(pub u8);

/// Numbers the writes of one database: 1, 2, ... over all incarnations of its process.
pub type WriteSeq = u64;

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskModel {
    /// From the start of a sync to its completion.
    pub sync: Latency,
    /// What a task takes beside the moving of its bytes.
    pub task: Latency,
    /// How many bytes a task moves in a second; 0 counts as 1.
    pub bytes_per_second: u64,
}

impl Default for DiskModel {
    /// One millisecond a sync, a fast solid-state disk with a file system in between. Background work goes at
    /// 100 MiB a second, as where it is held back for the sake of what clients wait for.
    fn default() -> DiskModel {
        let millisecond = Latency::Constant(Duration::millis(1));
        DiskModel { sync: millisecond, task: millisecond, bytes_per_second: 100 << 20 }
    }
}

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

impl DiskModel {
    /// The time to move so many bytes.
    fn moving(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * SECOND / u128::from(self.bytes_per_second.max(1));
        Duration(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// What a crash takes of a database's unsynced writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Loss {
    /// A suffix drawn at random: any number of the newest writes.
    #[default]
    Random,
    /// All of them.
    Unsynced,
    /// None: a process that dies while its machine goes on. What it finds when it starts again is durable, as
    /// database engines see to when they are opened.
    Nothing,
    /// So many of the newest ones, or all where they are fewer.
    Newest(u64),
}

impl Loss {
    /// How many of `pending` unsynced writes are kept.
    fn kept(self, pending: u64, stream: &mut Stream) -> u64 {
        match self {
            Loss::Random => stream.between(0, pending),
            Loss::Unsynced => 0,
            Loss::Nothing => pending,
            Loss::Newest(lost) => pending.saturating_sub(lost),
        }
    }

    /// A number of its own, for the trace hash.
    fn number(self) -> u64 {
        match self {
            Loss::Random => 0,
            Loss::Unsynced => 1,
            Loss::Nothing => 2,
            Loss::Newest(lost) => lost.saturating_add(3),
        }
    }
}

/// What a crash takes of a machine's databases.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Losses {
    others: Loss,
    own: Vec<(DbId, Loss)>,
}

impl Losses {
    /// The same kind of loss for every database.
    #[must_use]
    pub const fn all(loss: Loss) -> Losses {
        Losses { others: loss, own: Vec::new() }
    }

    /// These, but for one database.
    #[must_use]
    pub fn with(mut self, db: DbId, loss: Loss) -> Losses {
        self.own.retain(|(own, _)| *own != db);
        self.own.push((db, loss));
        self
    }

    /// What one database loses.
    #[must_use]
    pub fn of(&self, db: DbId) -> Loss {
        self.own.iter().find(|(own, _)| *own == db).map_or(self.others, |(_, loss)| *loss)
    }
}

impl From<Loss> for Losses {
    fn from(loss: Loss) -> Losses {
        Losses::all(loss)
    }
}

/// One key's change that is not durable yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The write it belongs to.
    pub seq: WriteSeq,
    /// The key.
    pub key: Key,
    /// What the write put there; `None` deletes.
    pub new: Option<Bytes>,
    /// What was there before.
    pub old: Option<Bytes>,
}

/// One machine's databases.
#[derive(Clone, Debug)]
pub struct Disk {
    databases: Vec<Database>,
    model: DiskModel,
    /// Of syncs and losses.
    stream: Stream,
    /// Of tasks, so that those shift nothing else.
    tasks: Stream,
}

#[derive(Clone, Debug, Default)]
struct Database {
    visible: OrdMap<Key, Bytes>,
    unsynced: VecDeque<Change>,
    /// The newest write.
    written: WriteSeq,
    /// The newest durable write.
    durable: WriteSeq,
    /// The newest write that the last crash left.
    kept: WriteSeq,
    /// The newest write that the trace hash has seen.
    digested: WriteSeq,
    /// The sync under way covers writes up to this one.
    syncing: Option<WriteSeq>,
    /// Somebody asked for a sync while one was under way.
    sync_again: bool,
}

impl Disk {
    pub(crate) fn new(databases: u8, stream: Stream, tasks: Stream) -> Disk {
        let databases = (0..databases).map(|_| Database::default()).collect();
        Disk { databases, model: DiskModel::default(), stream, tasks }
    }

    pub(crate) fn set_model(&mut self, model: DiskModel) {
        self.model = model;
    }

    /// The value of a key, written or not yet synced.
    #[must_use]
    pub fn get(&self, db: DbId, key: &[u8]) -> Option<&Bytes> {
        self.database(db).visible.get(&Key::from(key))
    }

    /// The value that a key would have if the machine lost power now and lost all it could.
    #[must_use]
    pub fn durable_get(&self, db: DbId, key: &[u8]) -> Option<&Bytes> {
        let database = self.database(db);
        match database.unsynced.iter().find(|change| *change.key == *key) {
            Some(change) => change.old.as_ref(),
            None => database.visible.get(&Key::from(key)),
        }
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
        let database = &mut self.databases[db.0 as usize];
        database.written += 1;
        let seq = database.written;
        for (key, new) in batch {
            let key = Key::from(key.as_ref());
            let old = match &new {
                Some(value) => database.visible.insert(key.clone(), value.clone()),
                None => database.visible.remove(&key),
            };
            database.unsynced.push_back(Change { seq, key, new, old });
        }
        seq
    }

    /// The newest write of a database.
    #[must_use]
    pub fn written(&self, db: DbId) -> WriteSeq {
        self.database(db).written
    }

    /// The newest durable write of a database.
    #[must_use]
    pub fn durable(&self, db: DbId) -> WriteSeq {
        self.database(db).durable
    }

    /// The newest write of a database that the last crash left: those after it that were not durable are lost.
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

    /// The sync under way is done: what it covers is durable. Returns the newest durable write, and
    /// whether another sync was asked for meanwhile.
    pub(crate) fn complete_sync(&mut self, db: DbId) -> (WriteSeq, bool) {
        let database = &mut self.databases[db.0 as usize];
        let covered = database.syncing.take().unwrap_or(database.durable);
        while database.unsynced.front().is_some_and(|change| change.seq <= covered) {
            database.unsynced.pop_front();
        }
        database.durable = covered;
        (covered, std::mem::take(&mut database.sync_again))
    }

    /// The machine loses power. What is left is durable.
    pub(crate) fn crash(&mut self, losses: &Losses) {
        for (db, database) in (0..).map(DbId).zip(&mut self.databases) {
            let pending = database.written - database.durable;
            let kept = losses.of(db).kept(pending, &mut self.stream);
            database.crash(database.durable + kept);
        }
    }
}

impl Database {
    /// Found from the newest on: who asks wants the few changes of the last event.
    #[inline]
    fn changes_since(&self, seq: WriteSeq) -> impl Iterator<Item = &Change> {
        let newer = self.unsynced.iter().rev().take_while(|change| change.seq > seq).count();
        self.unsynced.range(self.unsynced.len() - newer..)
    }

    fn crash(&mut self, keep: WriteSeq) {
        self.kept = keep;
        while let Some(change) = self.unsynced.pop_back_if(|change| change.seq > keep) {
            match change.old {
                Some(value) => self.visible.insert(change.key, value),
                None => self.visible.remove(&change.key),
            };
        }
        self.unsynced.clear();
        // Numbers are not used again, so a late look at an old number cannot be mistaken.
        self.durable = self.written;
        self.digested = self.written;
        self.syncing = None;
        self.sync_again = false;
    }
}

#[cfg(test)]
mod tests;
