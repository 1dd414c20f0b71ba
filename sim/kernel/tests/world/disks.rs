//! Disks that stall, fail, fill up, rot, and are lost.

use raftsim_kernel::{Cause, DiskAccess, DiskFailure, DiskModel, Faults, Observer};

use super::*;

const IO: Result<(), DiskFault> = Err(DiskFault::Io);
const FULL: Result<(), DiskFault> = Err(DiskFault::Full);
const CORRUPT: Result<(), DiskFault> = Err(DiskFault::Corrupt);

fn a(world: &World<Scribe, ()>) -> &Scribe {
    world.process(A).expect("it is up")
}

fn fail(world: &mut World<Scribe, ()>, what: DiskAccess, count: u64) {
    world.fail_disk(A, DiskFailure { db: Some(DB), what, count });
}

/// Orders, and what came of those that try something.
fn tried(
    world: &mut World<Scribe, ()>,
    orders: impl IntoIterator<Item = Order>,
) -> Vec<Result<(), DiskFault>> {
    let before = a(world).tried.len();
    orders.into_iter().for_each(|order| assert!(world.input(A, order)));
    a(world).tried[before..].to_vec()
}

fn restart(world: &mut World<Scribe, ()>, loss: Loss) {
    world.crash(A, loss);
    world.start(A, Scribe::default());
}

fn put(key: &'static str) -> Order {
    Order::Try(DB, vec![key])
}

#[test]
fn a_stalled_disk_completes_nothing_until_it_goes_on() {
    let mut world = ten_ms();
    world.input(A, Order::Write("before")); // its sync is under way
    world.stall_disk(A, true);
    world.input(A, Order::Task(1, 0));
    world.run_until(ms(50));
    world.input(A, Order::Write("in it"));
    assert!(world.disk(A).is_stalled());
    assert_eq!((a(&world).order.as_str(), world.disk(A).durable(DB)), ("", 0));
    world.stall_disk(A, false);
    world.run_until(ms(50));
    assert_eq!((a(&world).synced.as_slice(), a(&world).tasks.as_slice()), (&[1][..], &[(ms(50), 1)][..]));
    world.run_until(ms(60));
    assert_eq!(a(&world).synced, [1, 2]);
}

#[test]
fn a_crash_takes_what_a_stall_has_kept_from_the_disk() {
    let mut world = ten_ms();
    world.stall_disk(A, true);
    world.input(A, Order::Write("k"));
    world.input(A, Order::Task(1, 0));
    world.run_until(ms(50));
    restart(&mut world, Loss::Unsynced);
    world.stall_disk(A, false);
    world.run_until(ms(100));
    assert_eq!((a(&world).order.as_str(), world.disk(A).get(DB, b"k")), ("", None));
}

#[test]
fn accesses_fail_as_often_as_was_said_and_where() {
    let mut world = ten_ms();
    fail(&mut world, DiskAccess::Write, 2);
    fail(&mut world, DiskAccess::Read, 1);
    let other = Order::Try(DbId(1), vec!["k"]);
    assert_eq!(tried(&mut world, [other, put("k"), put("k"), put("k")]), [Ok(()), IO, IO, Ok(())]);
    assert_eq!(world.disk(A).written(DB), 1, "what failed has no number");
    assert_eq!(tried(&mut world, [Order::Scan, Order::Scan, Order::Read("k")]), [IO, Ok(()), Ok(())]);
    fail(&mut world, DiskAccess::Read, 9);
    world.clear_disk_failures(A);
    assert_eq!(tried(&mut world, [Order::Read("k")]), [Ok(())]);
    assert_eq!(world.faults(), Faults { io_errors: 3, ..Faults::default() });
}

/// The syncs that were seen to fail and to complete.
#[derive(Clone, Default)]
struct Syncs(Vec<Option<WriteSeq>>);

impl Observer<Scribe> for Syncs {
    fn happening(&mut self, _: Time, _: NodeId, cause: &Cause<'_, Scribe>) {
        match cause {
            Cause::SyncFailed { db: DB } => self.0.push(None),
            Cause::Synced { db: DB, up_to } => self.0.push(Some(*up_to)),
            _ => {}
        }
    }
}

#[test]
fn after_a_failed_sync_the_process_is_told_of_success_and_the_observer_of_the_truth() {
    for loss in [Loss::Unsynced, Loss::Random, Loss::Nothing, Loss::Newest(1)] {
        let mut world = World::new(1, Syncs::default());
        let node = world.add(1);
        world.start(node, Scribe::default());
        world.input(A, Order::Write("durable"));
        world.run_until(ms(5));
        world.fail_disk(A, DiskFailure { db: None, what: DiskAccess::Sync, count: 1 });
        world.input(A, Order::Write("failed"));
        world.run_until(ms(10));
        assert!(world.disk(A).is_poisoned(DB));
        world.input(A, Order::Write("later"));
        world.run_until(ms(15));
        let scribe = world.process(A).expect("up");
        assert_eq!((scribe.order.as_str(), scribe.synced.as_slice()), ("sfs", &[1, 3][..]));
        assert_eq!(world.observer().0, [Some(1), None, Some(1)]);
        assert_eq!(world.disk(A).durable(DB), 1);
        world.crash(A, loss);
        let left = |key: &str| world.disk(A).get(DB, key.as_bytes()).is_some();
        assert_eq!((left("durable"), left("failed"), left("later")), (true, false, false), "{loss:?}");
        world.start(A, Scribe::default());
        world.input(A, Order::Write("new"));
        world.run_until(ms(30));
        world.crash(A, Loss::Unsynced);
        assert!(world.disk(A).get(DB, b"new").is_some(), "the crash has ended it");
        assert_eq!(world.faults().sync_failed, 1);
    }
}

#[test]
fn a_share_of_writes_and_syncs_fails() {
    let mut world = ten_ms();
    let half = Ppm::percent(50);
    world.set_disk_model(A, DiskModel { write_error: half, ..DiskModel::default() });
    let failed =
        tried(&mut world, (0..1_000).map(|_| put("k"))).iter().filter(|result| **result == IO).count();
    assert!((430..570).contains(&failed), "{failed} of 1,000 writes");
    world.set_disk_model(A, DiskModel { sync_error: half, ..DiskModel::default() });
    for _ in 0..200 {
        world.input(A, Order::Write("k"));
        world.run_until(world.now() + Duration::millis(2));
        restart(&mut world, Loss::Nothing); // or later ones would seem to succeed
    }
    let failed = world.faults().sync_failed;
    assert!((70..130).contains(&failed), "{failed} of 200 syncs");
}

#[test]
fn a_full_disk_takes_what_makes_it_no_larger() {
    let mut world = ten_ms();
    world.input(A, put("a")); // before there is a bound: a key and a value of one byte each
    world.set_disk_model(A, DiskModel { capacity: 7, ..DiskModel::default() });
    let too_much = Order::Try(DB, vec!["b", "c", "d"]);
    assert_eq!(tried(&mut world, [too_much, put("b"), put("c"), put("d")]), [FULL, Ok(()), Ok(()), FULL]);
    assert_eq!((world.disk(A).used(), world.disk(A).get(DB, b"d")), (6, None));
    assert_eq!(tried(&mut world, [put("a"), Order::Try(DB, vec![])]), [Ok(()), Ok(())]);
    // A crash makes room, and a larger disk does.
    restart(&mut world, Loss::Newest(4));
    assert_eq!((world.disk(A).used(), tried(&mut world, [put("d")])), (2, vec![Ok(())]));
    world.set_disk_model(A, DiskModel::default());
    assert_eq!(tried(&mut world, [put("e"), put("f"), put("g")]), [Ok(()); 3]);
    assert_eq!(world.faults(), Faults { full: 2, ..Faults::default() });
}

#[test]
fn what_rots_fails_its_checksum_until_it_is_overwritten() {
    let mut world = ten_ms();
    world.input(A, Order::Write("k"));
    world.input(A, Order::Write("l"));
    world.run_until(ms(10));
    assert!(!world.rot(A, DB, b"nothing") && world.rot(A, DB, b"k"));
    let all = [Order::Read("k"), Order::Read("l"), Order::Read("nothing"), Order::Scan];
    assert_eq!(tried(&mut world, all.clone()), [CORRUPT, Ok(()), Ok(()), CORRUPT]);
    restart(&mut world, Loss::Nothing);
    assert!(
        world.disk(A).is_rotten(DB, b"k") && world.disk(A).get(DB, b"k").is_some(),
        "the truth is still seen"
    );
    world.input(A, Order::Write("k"));
    assert_eq!(tried(&mut world, all.clone()), [Ok(()); 4]);
    // The crash brings the old value back, with its rot.
    restart(&mut world, Loss::Unsynced);
    assert_eq!(tried(&mut world, all.clone()), [CORRUPT, Ok(()), Ok(()), CORRUPT]);
    world.input(A, Order::Write("k"));
    world.run_until(ms(20));
    restart(&mut world, Loss::Unsynced);
    assert_eq!(tried(&mut world, all), [Ok(()); 4]);
    assert_eq!(world.faults(), Faults { rotten_reads: 4, ..Faults::default() });
}

#[test]
fn rot_goes_with_the_write_that_it_befell() {
    let mut world = ten_ms();
    world.input(A, Order::Write("k"));
    world.run_until(ms(10));
    world.input(A, Order::Try(DB, vec!["k"])); // not durable
    world.rot(A, DB, b"k");
    assert!(world.disk(A).is_rotten(DB, b"k"));
    restart(&mut world, Loss::Unsynced);
    assert_eq!(tried(&mut world, [Order::Read("k")]), [Ok(())]);
}

#[test]
fn a_share_of_keys_lies_on_bad_sectors() {
    const KEYS: [&str; 10] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"];
    let mut bad = Vec::new();
    for seed in 0..40 {
        let mut world = World::new(seed, ());
        let node = world.add(1);
        world.start(node, Scribe::default());
        world.input(A, Order::Try(DB, KEYS.to_vec()));
        world.set_disk_model(A, DiskModel { bad: Ppm::percent(20), ..DiskModel::default() });
        let once = tried(&mut world, KEYS.map(Order::Read));
        assert_eq!(once, tried(&mut world, KEYS.map(Order::Read)), "always the same keys");
        assert_eq!(tried(&mut world, [Order::Read("z")]), [Ok(())], "there is nothing to read");
        bad.push(once.iter().filter(|result| **result == IO).count());
    }
    assert!((50..110).contains(&bad.iter().sum::<usize>()), "{bad:?} of 10 each");
    assert!(bad.iter().any(|n| *n != bad[0]), "each disk has its own");
}

#[test]
fn torn_batches_are_left_in_part() {
    let mut left = std::collections::BTreeSet::new();
    for seed in 0..100 {
        for torn in [true, false] {
            let mut world = World::new(seed, ());
            let node = world.add(1);
            world.set_torn(node, DB, torn);
            world.start(node, Scribe::default());
            world.input(A, Order::Try(DB, vec!["a", "b", "c"]));
            world.input(A, Order::Try(DB, vec!["d", "e"]));
            world.crash(A, Loss::Newest(2));
            let keys: String =
                world.disk(A).range(DB, b"", None).map(|(key, _)| key.escape_ascii().to_string()).collect();
            assert_eq!(world.faults().torn, u64::from(!keys.is_empty()));
            assert!(torn || keys.is_empty());
            left.insert(keys);
        }
    }
    assert_eq!(left.into_iter().collect::<Vec<_>>(), ["", "a", "ab"]);
}

#[test]
fn a_lost_disk_is_empty_and_its_numbers_go_on() {
    let mut world = ten_ms();
    world.input(A, Order::Write("k"));
    world.run_until(ms(10));
    world.rot(A, DB, b"k");
    fail(&mut world, DiskAccess::Write, 5);
    let before = world.trace_hash();
    world.crash(A, Loss::Nothing);
    world.wipe(A);
    assert_ne!(world.trace_hash(), before);
    world.start(A, Scribe::default());
    let disk = world.disk(A);
    assert_eq!((disk.get(DB, b"k"), disk.written(DB), disk.durable(DB), disk.kept(DB)), (None, 1, 1, 0));
    assert_eq!(tried(&mut world, [Order::Read("k"), put("k"), Order::Sync]), [Ok(()), Ok(())]);
    world.run_until(ms(20));
    assert_eq!(a(&world).synced, [2]);
}

#[test]
#[should_panic(expected = "is up and uses its disk")]
fn a_disk_in_use_cannot_be_lost() {
    ten_ms().wipe(A);
}
