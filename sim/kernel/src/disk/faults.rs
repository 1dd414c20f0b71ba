//! What can go wrong between a process and its disk, and how a process hears of it.
//!
//! A disk without damage is asked as before: one look at a flag.

use std::cell::Cell;

use bytes::Bytes;
use twox_hash::XxHash3_64;

use super::{DbId, Disk, DiskModel, WriteSeq};
use crate::key::Key;
use crate::random::Stream;
use crate::time::{Duration, Ppm};

/// Why a disk did not do what it was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskFault {
    /// The device reports an error.
    #[error("input/output error")]
    Io,
    /// There is no room.
    #[error("no space left on device")]
    Full,
    /// What is stored there fails its checksum.
    #[error("checksum mismatch")]
    Corrupt,
}

/// What a process asks of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskAccess {
    /// To read a value or a range.
    Read,
    /// To write a batch.
    Write,
    /// To make durable what was written.
    Sync,
}

/// The next so many accesses of a kind fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DiskFailure {
    /// Only those of this database.
    pub db: Option<DbId>,
    /// Of this kind.
    pub what: DiskAccess,
    /// So many.
    pub count: u64,
}

/// What processes met on a disk, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskFaults {
    /// Batches of which a crash left a part.
    pub torn: u64,
    /// Syncs that failed.
    pub sync_failed: u64,
    /// Reads and writes that the device failed.
    pub io_errors: u64,
    /// Writes for which there was no room.
    pub full: u64,
    /// Reads of a value that fails its checksum.
    pub rotten_reads: u64,
}

/// A failure that was ordered, and how many accesses it has still to meet.
#[derive(Clone, Debug)]
struct Ordered {
    db: Option<DbId>,
    what: DiskAccess,
    left: Cell<u64>,
}

/// All that is wrong with a disk, and what it has led to. Reading counts, and whoever reads only looks at the disk: so
/// what reading changes is in cells, which belong to this value alone and are copied with it.
#[derive(Clone, Debug)]
pub(super) struct Damage {
    /// Whether a read or a write may come to anything but what it should, or costs time.
    fragile: bool,
    /// Of errors, of torn batches, and of what reads and writes take.
    stream: Stream,
    /// Decides which sectors are bad.
    salt: u64,
    ordered: Vec<Ordered>,
    stalled: bool,
    /// Reads of this event.
    reads: Cell<u64>,
    /// Writes of this event.
    writes: u64,
    /// Bytes of keys and values, kept while there is a bound.
    used: u64,
    seen: Cell<DiskFaults>,
}

impl Damage {
    pub(super) fn new(mut stream: Stream) -> Damage {
        Damage {
            fragile: false,
            salt: stream.bits(),
            stream,
            ordered: Vec::new(),
            stalled: false,
            reads: Cell::new(0),
            writes: 0,
            used: 0,
            seen: Cell::default(),
        }
    }

    fn count(&self, add: impl FnOnce(&mut DiskFaults)) {
        let mut seen = self.seen.get();
        add(&mut seen);
        self.seen.set(seen);
    }

    /// Whether an access fails because somebody ordered it.
    fn fails(&self, db: DbId, what: DiskAccess) -> bool {
        let meant = |order: &&Ordered| order.what == what && order.db.is_none_or(|own| own == db);
        let order = self.ordered.iter().filter(meant).find(|order| order.left.get() > 0);
        if let Some(order) = order {
            order.left.set(order.left.get() - 1);
        }
        order.is_some()
    }

    pub(super) fn fails_sync(&mut self, db: DbId, model: &DiskModel) -> bool {
        let fails = self.fails(db, DiskAccess::Sync) || self.stream.chance(model.sync_error);
        if fails {
            self.count(|seen| seen.sync_failed += 1);
        }
        fails
    }

    /// How many of so many changes of a batch a crash leaves, though it takes the batch.
    pub(super) fn tear(&mut self, changes: usize) -> usize {
        let most = changes.saturating_sub(1) as u64;
        let left = self.stream.between(0, most);
        if left > 0 {
            self.count(|seen| seen.torn += 1);
        }
        usize::try_from(left).expect("no more than there are changes")
    }

    /// Whether a key lies on a bad sector: the same key always or never, for one share of them.
    fn is_bad(&self, db: DbId, key: &[u8], share: Ppm) -> bool {
        let place = XxHash3_64::oneshot_with_seed(self.salt ^ u64::from(db.0), key);
        place % 1_000_000 < u64::from(share.parts())
    }
}

/// Pairs of a range, each as it can be read. The first one that cannot is the last.
#[derive(Debug)]
pub struct Pairs<'a, I> {
    disk: &'a Disk,
    db: DbId,
    /// The range itself cannot be read.
    refused: Option<DiskFault>,
    over: bool,
    pairs: I,
}

impl<'a, I: Iterator<Item = (&'a Key, &'a Bytes)>> Iterator for Pairs<'a, I> {
    type Item = Result<(&'a Key, &'a Bytes), DiskFault>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.disk.damage.fragile {
            return self.pairs.next().map(Ok);
        }
        if self.over {
            return None;
        }
        let item = match self.refused {
            Some(fault) => Err(fault),
            None => {
                let (key, value) = self.pairs.next()?;
                self.disk.check(self.db, key).map(|()| (key, value))
            }
        };
        self.over = item.is_err();
        Some(item)
    }
}

impl Disk {
    /// The value of a key, as [`get`](Disk::get), where the disk can read it.
    ///
    /// # Errors
    /// [`DiskFault::Io`] where the read fails, or something is stored there on a bad sector. [`DiskFault::Corrupt`] where what
    /// is stored there is rotten.
    #[inline]
    pub fn try_get(&self, db: DbId, key: &[u8]) -> Result<Option<&Bytes>, DiskFault> {
        let value = self.get(db, key);
        if self.damage.fragile {
            self.begin_read(db)?;
            if value.is_some() {
                self.check(db, &Key::from(key))?;
            }
        }
        Ok(value)
    }

    /// The pairs of a range, as [`range`](Disk::range), as far as the disk can read them: an error, for which there are the
    /// reasons of [`try_get`](Disk::try_get), comes last.
    #[inline]
    pub fn try_range<'a>(
        &'a self,
        db: DbId,
        start: &[u8],
        end: Option<&[u8]>,
    ) -> impl Iterator<Item = Result<(&'a Key, &'a Bytes), DiskFault>> + use<'a> {
        let refused = if self.damage.fragile { self.begin_read(db).err() } else { None };
        Pairs { disk: self, db, refused, over: false, pairs: self.range(db, start, end) }
    }

    /// Writes a batch, as [`write`](Disk::write), where the disk takes it.
    ///
    /// # Errors
    /// [`DiskFault::Io`] where the write fails, [`DiskFault::Full`] where it has no room. Nothing is written then, and no number
    /// is used.
    #[inline]
    pub fn try_write(
        &mut self,
        db: DbId,
        batch: impl IntoIterator<Item = (impl AsRef<[u8]>, Option<Bytes>)>,
    ) -> Result<WriteSeq, DiskFault> {
        if !self.damage.fragile {
            return Ok(self.write(db, batch));
        }
        self.damage.writes += 1;
        if self.damage.fails(db, DiskAccess::Write) || self.damage.stream.chance(self.model.write_error) {
            self.damage.count(|seen| seen.io_errors += 1);
            return Err(DiskFault::Io);
        }
        let batch: Vec<_> = batch.into_iter().collect();
        if self.model.capacity != 0 && !self.has_room(db, &batch) {
            self.damage.count(|seen| seen.full += 1);
            return Err(DiskFault::Full);
        }
        Ok(self.write(db, batch))
    }

    /// What processes met on this disk so far.
    #[must_use]
    pub fn faults(&self) -> DiskFaults {
        self.damage.seen.get()
    }

    /// Bytes of the keys and values that are visible.
    #[must_use]
    pub fn used(&self) -> u64 {
        let pairs = self.databases.iter().flat_map(|database| &database.visible);
        pairs.map(|(key, value)| size(key, value)).sum()
    }

    /// Whether it is stalled.
    #[must_use]
    pub fn is_stalled(&self) -> bool {
        self.damage.stalled
    }

    /// Whether a sync of this database has failed since the last crash, so that none makes anything durable.
    #[must_use]
    pub fn is_poisoned(&self, db: DbId) -> bool {
        self.database(db).poisoned
    }

    /// Whether the value of a key is rotten.
    #[must_use]
    pub fn is_rotten(&self, db: DbId, key: &[u8]) -> bool {
        self.database(db).is_rotten(&Key::from(key))
    }

    #[cold]
    fn begin_read(&self, db: DbId) -> Result<(), DiskFault> {
        self.damage.reads.set(self.damage.reads.get() + 1);
        if self.damage.fails(db, DiskAccess::Read) {
            self.damage.count(|seen| seen.io_errors += 1);
            return Err(DiskFault::Io);
        }
        Ok(())
    }

    /// Whether what stands at a key can be read.
    #[cold]
    fn check(&self, db: DbId, key: &Key) -> Result<(), DiskFault> {
        if self.damage.is_bad(db, key, self.model.bad) {
            self.damage.count(|seen| seen.io_errors += 1);
            return Err(DiskFault::Io);
        }
        if self.database(db).is_rotten(key) {
            self.damage.count(|seen| seen.rotten_reads += 1);
            return Err(DiskFault::Corrupt);
        }
        Ok(())
    }

    /// Whether a batch fits. One that takes no more room than what it replaces always does. Where a batch has a key more than
    /// once, each of its puts counts.
    fn has_room(&self, db: DbId, batch: &[(impl AsRef<[u8]>, Option<Bytes>)]) -> bool {
        let (mut more, mut less) = (0u64, 0u64);
        for (key, new) in batch {
            let key = Key::from(key.as_ref());
            more += new.as_ref().map_or(0, |value| size(&key, value));
            less += self.database(db).visible.get(&key).map_or(0, |value| size(&key, value));
        }
        more <= less || (self.damage.used + more).saturating_sub(less) <= self.model.capacity
    }

    /// Keeps count of the room that a write took.
    #[cold]
    pub(super) fn count_used(&mut self, db: DbId, seq: WriteSeq) {
        let (mut more, mut less) = (0, 0);
        for change in self.databases[db.0 as usize].changes_since(seq - 1) {
            more += change.new.as_ref().map_or(0, |value| size(&change.key, value));
            less += change.old.as_ref().map_or(0, |value| size(&change.key, value));
        }
        self.damage.used = (self.damage.used + more).saturating_sub(less);
    }

    /// What is wrong has changed, or what is stored has changed other than by a write.
    pub(super) fn take_stock(&mut self) {
        if self.model.capacity != 0 {
            self.damage.used = self.used();
        }
        self.damage.ordered.retain(|order| order.left.get() > 0);
        self.damage.fragile = self.model.is_fragile()
            || !self.damage.ordered.is_empty()
            || self.databases.iter().any(|database| database.has_rot());
    }

    pub(crate) fn set_model(&mut self, model: DiskModel) {
        self.model = model;
        (self.damage.reads, self.damage.writes) = (Cell::new(0), 0);
        self.take_stock();
    }

    pub(crate) fn set_torn(&mut self, db: DbId, torn: bool) {
        self.databases[db.0 as usize].torn = torn;
    }

    pub(crate) fn set_stalled(&mut self, stalled: bool) {
        self.damage.stalled = stalled;
    }

    pub(crate) fn order_failure(&mut self, DiskFailure { db, what, count }: DiskFailure) {
        self.damage.ordered.push(Ordered { db, what, left: Cell::new(count) });
        self.take_stock();
    }

    /// No failure that was ordered will be met any more. Returns whether there was one.
    pub(crate) fn forgive(&mut self) -> bool {
        let pending = self.damage.ordered.iter().any(|order| order.left.get() > 0);
        self.damage.ordered.clear();
        self.take_stock();
        pending
    }

    /// Returns whether there is something that can rot.
    pub(crate) fn rot(&mut self, db: DbId, key: &[u8]) -> bool {
        let stands = self.databases[db.0 as usize].rot(key);
        self.take_stock();
        stands
    }

    /// Another disk, empty, stands in the place of this one.
    pub(crate) fn wipe(&mut self) {
        self.databases.iter_mut().for_each(|database| database.wipe());
        self.forgive();
    }

    /// How long this event's reads and writes keep the machine busy.
    pub(crate) fn take_time(&mut self) -> Duration {
        let (reads, writes) = (self.damage.reads.take(), std::mem::take(&mut self.damage.writes));
        let Disk { model, damage: Damage { stream, .. }, .. } = self;
        let reading = (0..reads).map(|_| model.read.draw(stream));
        let reading = reading.fold(Duration::ZERO, |sum, span| sum + span);
        let writing = (0..writes).map(|_| model.write.draw(stream));
        writing.fold(reading, |sum, span| sum + span)
    }

    #[cfg(test)]
    pub(super) fn damage_used(&self) -> u64 {
        self.damage.used
    }

    /// Whether reads and writes keep the machine busy.
    pub(crate) fn occupies(&self) -> bool {
        self.model.occupies()
    }
}

/// The room that a pair takes.
fn size(key: &Key, value: &Bytes) -> u64 {
    (key.as_bytes().len() + value.len()) as u64
}
