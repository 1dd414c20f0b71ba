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
//!
//! # Faults
//! A crash keeps everything synced and, of each database by itself, a prefix of the unsynced writes:
//! none, all, or one drawn at random ([`Loss`]). Batches are atomic: a write is kept whole or not at all.
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
}

impl Default for DiskModel {
    /// One millisecond a sync, a fast solid-state disk with a file system in between.
    fn default() -> DiskModel {
        DiskModel { sync: Latency::Constant(Duration::millis(1)) }
    }
}

/// What a crash takes of each database's unsynced writes.
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
    stream: Stream,
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
    pub(crate) fn new(databases: u8, stream: Stream) -> Disk {
        let databases = (0..databases).map(|_| Database::default()).collect();
        Disk { databases, model: DiskModel::default(), stream }
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
    pub fn range(&self, db: DbId, start: &[u8], end: Option<&[u8]>) -> impl Iterator<Item = (&Key, &Bytes)> {
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

    /// The changes of writes after `seq` that are not durable, oldest first.
    pub fn changes_since(&self, db: DbId, seq: WriteSeq) -> impl Iterator<Item = &Change> {
        let unsynced = &self.database(db).unsynced;
        let first = unsynced.partition_point(|change| change.seq <= seq);
        unsynced.range(first..)
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
            let first = database.unsynced.partition_point(|change| change.seq <= database.digested);
            for change in database.unsynced.range(first..) {
                hash.bytes(&change.key);
                hash.bytes(change.new.as_deref().unwrap_or(b"\0deleted"));
            }
            database.digested = database.written;
        }
    }

    /// Folds how much a crash has kept into the trace hash.
    pub(crate) fn digest_kept(&self, hash: &mut TraceHasher) {
        self.databases.iter().for_each(|database| hash.word(database.kept));
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
    pub(crate) fn crash(&mut self, loss: Loss) {
        for database in &mut self.databases {
            let pending = database.written - database.durable;
            let kept = match loss {
                Loss::Random => self.stream.between(0, pending),
                Loss::Unsynced => 0,
                Loss::Nothing => pending,
            };
            database.crash(database.durable + kept);
        }
    }
}

impl Database {
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
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const DB: DbId = DbId(0);
    type Model = BTreeMap<Vec<u8>, Vec<u8>>;

    fn contents(disk: &Disk) -> Model {
        disk.range(DB, b"", None).map(|(k, v)| (k.to_vec(), v.to_vec())).collect()
    }

    #[derive(Clone, Debug)]
    enum Step {
        Write(Vec<(u8, Option<u8>)>),
        BeginSync,
        CompleteSync,
        Crash(Loss),
    }

    fn step() -> impl Strategy<Value = Step> {
        let batch = prop::collection::vec((0u8..6, prop::option::of(any::<u8>())), 1..4);
        prop_oneof![
            6 => batch.prop_map(Step::Write),
            2 => Just(Step::BeginSync),
            2 => Just(Step::CompleteSync),
            1 => prop_oneof![Just(Loss::Random), Just(Loss::Unsynced), Just(Loss::Nothing)].prop_map(Step::Crash),
        ]
    }

    proptest! {
        /// Against the obvious model: the state after each write, kept whole.
        #[test]
        fn a_crash_keeps_the_synced_and_a_prefix_of_the_rest(steps in prop::collection::vec(step(), 0..60), seed: u64) {
            let mut disk = Disk::new(1, Stream::derive(seed, "disk"));
            let mut states: Vec<Model> = vec![Model::new()]; // states[0] is durable, the last is visible
            let mut covered = None;
            for step in steps {
                match step {
                    Step::Write(batch) => {
                        let mut next = states.last().expect("never empty").clone();
                        for (key, value) in &batch {
                            match value {
                                Some(v) => { next.insert(vec![*key], vec![*v]); }
                                None => { next.remove(&vec![*key]); }
                            }
                        }
                        states.push(next);
                        let batch = batch.iter().map(|(k, v)| (Bytes::from(vec![*k]), v.map(|v| Bytes::from(vec![v]))));
                        disk.write(DB, batch);
                    }
                    Step::BeginSync => {
                        if disk.begin_sync(DB).is_some() { covered = Some(states.len() - 1); }
                    }
                    Step::CompleteSync => if let Some(covered) = covered.take() {
                        disk.complete_sync(DB);
                        states.drain(..covered);
                    },
                    Step::Crash(loss) => {
                        disk.crash(loss);
                        let left = contents(&disk);
                        match loss {
                            Loss::Unsynced => prop_assert_eq!(&left, &states[0]),
                            Loss::Nothing => prop_assert_eq!(Some(&left), states.last()),
                            Loss::Random => prop_assert!(states.contains(&left), "{:?} is no prefix", left),
                        }
                        states = vec![left];
                        covered = None;
                    }
                }
                prop_assert_eq!(Some(&contents(&disk)), states.last());
                for key in 0u8..6 {
                    let durable = disk.durable_get(DB, &[key]).map(|v| v.to_vec());
                    prop_assert_eq!(durable.as_ref(), states[0].get(&vec![key]));
                }
            }
        }
    }

    #[test]
    fn a_random_crash_can_keep_any_prefix() {
        let mut kept = std::collections::BTreeSet::new();
        for seed in 0..200 {
            let mut disk = Disk::new(1, Stream::derive(seed, "disk"));
            for value in 0u8..3 {
                disk.write(DB, vec![("k", Some(vec![value].into()))]);
            }
            disk.crash(Loss::Random);
            kept.insert(disk.get(DB, b"k").map(|v| v[0]));
        }
        assert_eq!(kept.into_iter().collect::<Vec<_>>(), [None, Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_began() {
        let mut disk = Disk::new(2, Stream::derive(1, "disk"));
        disk.write(DB, vec![("a", Some("1".into()))]);
        assert!(disk.begin_sync(DB).is_some());
        disk.write(DB, vec![("b", Some("2".into()))]);
        assert!(disk.begin_sync(DB).is_none(), "one at a time");
        assert_eq!(disk.complete_sync(DB), (1, true));
        disk.crash(Loss::Unsynced);
        assert_eq!((disk.get(DB, b"a").is_some(), disk.get(DB, b"b").is_some()), (true, false));
    }

    #[test]
    fn databases_have_separate_sync_points() {
        let mut disk = Disk::new(2, Stream::derive(1, "disk"));
        for db in [DbId(0), DbId(1)] {
            disk.write(db, vec![("k", Some("v".into()))]);
        }
        disk.begin_sync(DbId(1));
        disk.complete_sync(DbId(1));
        disk.crash(Loss::Unsynced);
        assert_eq!((disk.get(DbId(0), b"k"), disk.get(DbId(1), b"k").is_some()), (None, true));
    }

    #[test]
    fn ranges_of_every_shape() {
        let mut disk = Disk::new(1, Stream::derive(1, "disk"));
        disk.write(DB, ["a", "b", "c"].map(|k| (k, Some("v".into()))).to_vec());
        let keys = |start: &str, end: Option<&str>| {
            let end = end.map(str::as_bytes);
            disk.range(DB, start.as_bytes(), end)
                .map(|(k, _)| String::from_utf8_lossy(k).into_owned())
                .collect::<String>()
        };
        assert_eq!(keys("", None), "abc");
        assert_eq!(keys("b", None), "bc");
        assert_eq!(keys("a", Some("c")), "ab");
        assert_eq!(keys("b", Some("b")), "");
        assert_eq!(keys("c", Some("a")), "");
    }
}
