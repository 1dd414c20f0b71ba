//! A disk against the obvious model, and each promise by itself.

use super::*;
use crate::latency::Latency;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

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
    FailSync,
    Rot(u8),
    Crash(Loss),
}

fn step() -> impl Strategy<Value = Step> {
    let batch = prop::collection::vec((0u8..6, prop::option::of(any::<u8>())), 1..4);
    prop_oneof![
        6 => batch.prop_map(Step::Write),
        2 => Just(Step::BeginSync),
        2 => Just(Step::CompleteSync),
        1 => Just(Step::FailSync),
        1 => (0u8..6).prop_map(Step::Rot),
        1 => loss().prop_map(Step::Crash),
    ]
}

fn loss() -> impl Strategy<Value = Loss> {
    prop_oneof![
        Just(Loss::Random),
        Just(Loss::Unsynced),
        Just(Loss::Nothing),
        (0u64..4).prop_map(Loss::Newest)
    ]
}

fn disk(databases: u8, seed: u64) -> Disk {
    Disk::new(databases, |label| Stream::derive(seed, label))
}

/// What a key has in the model: its value, and a number that no other value has.
type Versions = BTreeMap<Vec<u8>, (Vec<u8>, u64)>;

fn values(state: &Versions) -> Model {
    state.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect()
}

/// The obvious model: the state after each write, kept whole.
#[derive(Default)]
struct Obvious {
    /// The first is durable, the last is visible.
    states: Vec<Versions>,
    versions: u64,
    rotten: BTreeSet<u64>,
    /// The sync under way covers this one.
    covered: Option<usize>,
    poisoned: bool,
}

impl Obvious {
    fn visible(&self) -> &Versions {
        self.states.last().expect("never empty")
    }

    fn write(&mut self, batch: &[(u8, Option<u8>)]) {
        let mut next = self.visible().clone();
        for (key, value) in batch {
            self.versions += 1;
            match value {
                Some(v) => next.insert(vec![*key], (vec![*v], self.versions)),
                None => next.remove(&vec![*key]),
            };
        }
        self.states.push(next);
    }

    /// Which state is left by a crash that left this much; the newest of those that look the same.
    fn crash(&mut self, loss: Loss, left: &Model) -> Result<(), TestCaseError> {
        let last = self.states.len() - 1;
        let kept = match loss {
            _ if self.poisoned => 0,
            Loss::Unsynced => 0,
            Loss::Nothing => last,
            Loss::Newest(lost) => last.saturating_sub(lost as usize),
            Loss::Random => match self.states.iter().rposition(|state| values(state) == *left) {
                Some(kept) => kept,
                None => return Err(TestCaseError::fail(format!("{left:?} is no prefix"))),
            },
        };
        prop_assert_eq!(left, &values(&self.states[kept]));
        self.states = vec![self.states.swap_remove(kept)];
        (self.covered, self.poisoned) = (None, false);
        Ok(())
    }
}

proptest! {
    #[test]
    fn a_crash_keeps_the_synced_and_a_prefix_of_the_rest(steps in prop::collection::vec(step(), 0..60), seed: u64) {
        let mut disk = disk(1, seed);
        let mut model = Obvious { states: vec![Versions::new()], ..Obvious::default() };
        for step in steps {
            match step {
                Step::Write(batch) => {
                    model.write(&batch);
                    let batch = batch.iter().map(|(k, v)| (Bytes::from(vec![*k]), v.map(|v| Bytes::from(vec![v]))));
                    prop_assert!(disk.try_write(DB, batch).is_ok());
                }
                Step::BeginSync => {
                    if disk.begin_sync(DB).is_some() { model.covered = Some(model.states.len() - 1); }
                }
                Step::CompleteSync => if let Some(covered) = model.covered.take() {
                    prop_assert!(disk.complete_sync(DB).told.is_some());
                    if !model.poisoned { model.states.drain(..covered); }
                },
                Step::FailSync => if model.covered.take().is_some() {
                    disk.order_failure(DiskFailure { db: None, what: DiskAccess::Sync, count: 1 });
                    prop_assert_eq!(disk.complete_sync(DB).told.is_none(), !model.poisoned, "only the first is told of");
                    disk.forgive();
                    model.poisoned = true;
                },
                Step::Rot(key) => {
                    let version = model.visible().get(&vec![key]).map(|(_, version)| *version);
                    prop_assert_eq!(disk.rot(DB, &[key]), version.is_some());
                    model.rotten.extend(version);
                }
                Step::Crash(loss) => {
                    disk.crash(&loss.into());
                    // Which of two states that look the same was left is not to be seen, but by rot.
                    if matches!(loss, Loss::Random) && !model.rotten.is_empty() { break; }
                    model.crash(loss, &contents(&disk))?;
                }
            }
            prop_assert_eq!(contents(&disk), values(model.visible()));
            for key in 0u8..6 {
                let durable = disk.durable_get(DB, &[key]).map(|v| v.to_vec());
                prop_assert_eq!(durable.as_ref(), model.states[0].get(&vec![key]).map(|(value, _)| value));
                let rotten = model.visible().get(&vec![key]).is_some_and(|(_, version)| model.rotten.contains(version));
                let read = disk.try_get(DB, &[key]).map(drop);
                prop_assert_eq!(read, if rotten { Err(DiskFault::Corrupt) } else { Ok(()) }, "key {}", key);
            }
        }
    }

    /// Of a torn batch some first changes are left, and nothing of what came after it.
    #[test]
    fn a_torn_batch_is_a_prefix(
        batches in prop::collection::vec(prop::collection::vec((0u8..6, prop::option::of(any::<u8>())), 1..5), 1..6),
        kept in 0usize..6, seed: u64,
    ) {
        let mut disk = disk(1, seed);
        disk.set_torn(DB, true);
        disk.set_model(DiskModel { capacity: 1_000, ..DiskModel::default() }); // so that the room is counted
        for batch in &batches {
            disk.write(DB, batch.iter().map(|(k, v)| ([*k], v.map(|v| Bytes::from(vec![v])))));
        }
        let kept = kept.min(batches.len());
        disk.crash(&Loss::Newest((batches.len() - kept) as u64).into());
        let mut state = Model::new();
        let change = |state: &mut Model, (key, value): (u8, Option<u8>)| {
            match value {
                Some(v) => state.insert(vec![key], vec![v]),
                None => state.remove(&vec![key]),
            };
        };
        batches[..kept].iter().flatten().for_each(|pair| change(&mut state, *pair));
        let mut possible = vec![state.clone()];
        if let Some(torn) = batches.get(kept) {
            for pair in &torn[..torn.len() - 1] {
                change(&mut state, *pair);
                possible.push(state.clone());
            }
        }
        prop_assert!(possible.contains(&contents(&disk)), "{:?} is none of {:?}", contents(&disk), possible);
        prop_assert_eq!(disk.damage_used(), disk.used());
    }
}

#[test]
fn a_random_crash_can_keep_any_prefix() {
    let mut kept = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut disk = disk(1, seed);
        for value in 0u8..3 {
            disk.write(DB, vec![("k", Some(vec![value].into()))]);
        }
        disk.crash(&Loss::Random.into());
        kept.insert(disk.get(DB, b"k").map(|v| v[0]));
    }
    assert_eq!(kept.into_iter().collect::<Vec<_>>(), [None, Some(0), Some(1), Some(2)]);
}

#[test]
fn a_sync_covers_what_was_written_before_it_began() {
    let mut disk = disk(2, 1);
    disk.write(DB, vec![("a", Some("1".into()))]);
    assert!(disk.begin_sync(DB).is_some());
    disk.write(DB, vec![("b", Some("2".into()))]);
    assert!(disk.begin_sync(DB).is_none(), "one at a time");
    assert_eq!(disk.complete_sync(DB), SyncEnd { told: Some(1), again: true });
    disk.crash(&Loss::Unsynced.into());
    assert_eq!((disk.get(DB, b"a").is_some(), disk.get(DB, b"b").is_some()), (true, false));
}

#[test]
fn databases_have_separate_sync_points() {
    let mut disk = disk(2, 1);
    for db in [DbId(0), DbId(1)] {
        disk.write(db, vec![("k", Some("v".into()))]);
    }
    disk.begin_sync(DbId(1));
    disk.complete_sync(DbId(1));
    disk.crash(&Loss::Unsynced.into());
    assert_eq!((disk.get(DbId(0), b"k"), disk.get(DbId(1), b"k").is_some()), (None, true));
}

#[test]
fn each_database_loses_what_is_said_of_it() {
    let mut disk = disk(3, 1);
    for db in [DbId(0), DbId(1), DbId(2)] {
        for value in ["1", "2", "3"] {
            disk.write(db, vec![("k", Some(value.into()))]);
        }
    }
    let losses = Losses::all(Loss::Nothing).with(DbId(1), Loss::Unsynced).with(DbId(2), Loss::Random);
    let losses = losses.with(DbId(2), Loss::Newest(1)); // the later word holds
    disk.crash(&losses);
    let left = [DbId(0), DbId(1), DbId(2)].map(|db| disk.get(db, b"k").map(|value| &value[..]));
    assert_eq!(left, [Some(&b"3"[..]), None, Some(b"2")]);
}

#[test]
fn a_task_takes_its_latency_and_the_time_of_its_bytes() {
    let mut disk = disk(1, 1);
    let task = Latency::Constant(Duration::millis(3));
    disk.set_model(DiskModel { task, bytes_per_second: 1_000, ..DiskModel::default() });
    assert_eq!(disk.task_time(0), Duration::millis(3));
    assert_eq!(disk.task_time(500), Duration::millis(503));
    assert_eq!(disk.task_time(u64::MAX), Duration(u64::MAX), "no overflow");
}

#[test]
fn tasks_shift_no_sync() {
    let varied = Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) };
    let syncs = |tasks| {
        let mut disk = disk(1, 1);
        disk.set_model(DiskModel { sync: varied, task: varied, ..DiskModel::default() });
        (0..tasks).for_each(|_| _ = disk.task_time(1));
        disk.begin_sync(DB)
    };
    assert_eq!(syncs(0), syncs(5));
}

#[test]
fn ranges_of_every_shape() {
    let mut disk = disk(1, 1);
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
