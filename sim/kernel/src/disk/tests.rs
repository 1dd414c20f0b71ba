//! A disk against the obvious model, and each promise by itself.

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
    Disk::new(databases, Stream::derive(seed, "disk"), Stream::derive(seed, "tasks"))
}

proptest! {
    /// Against the obvious model: the state after each write, kept whole.
    #[test]
    fn a_crash_keeps_the_synced_and_a_prefix_of_the_rest(steps in prop::collection::vec(step(), 0..60), seed: u64) {
        let mut disk = disk(1, seed);
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
                    disk.crash(&loss.into());
                    let left = contents(&disk);
                    match loss {
                        Loss::Unsynced => prop_assert_eq!(&left, &states[0]),
                        Loss::Nothing => prop_assert_eq!(Some(&left), states.last()),
                        Loss::Newest(lost) => {
                            let kept = (states.len() - 1).saturating_sub(lost as usize);
                            prop_assert_eq!(&left, &states[kept]);
                        }
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
    assert_eq!(disk.complete_sync(DB), (1, true));
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
