//! Machines that are slow, and machines whose disks are.

use proptest::prelude::*;
use raftsim_kernel::DiskModel;

use super::*;

fn constant(millis: u64) -> Latency {
    Latency::Constant(Duration::millis(millis))
}

#[test]
fn each_event_keeps_a_slow_machine_busy() {
    let mut world = ten_ms();
    world.set_slowness(B, constant(3));
    (0..4).for_each(|n| assert!(world.input(A, Order::Send(n)))); // due at 10 ms
    world.run_until(ms(11));
    assert!(world.is_busy(B) && !world.is_busy(A));
    world.run_until(ms(100));
    let times = world.process(B).expect("up").heard.iter().map(|(time, _)| time.0 / 1_000_000);
    assert_eq!(times.collect::<Vec<_>>(), [10, 13, 16, 19]);
    assert_eq!(heard(&world), [0, 1, 2, 3]);
    assert!(!world.is_busy(B));
    world.set_slowness(B, Latency::ZERO);
    (4..8).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(111));
    assert_eq!(heard(&world).len(), 8, "as fast as it was");
}

#[test]
fn effects_leave_at_once_and_words_from_outside_do_not_wait() {
    let mut world = ten_ms();
    world.set_slowness(A, constant(50));
    (0..3).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.input(A, Order::Timer(Duration::millis(1), 7));
    world.run_until(ms(11));
    assert_eq!(heard(&world), [0, 1, 2]);
    world.run_until(Time(ms(200).0 - 1));
    assert_eq!(world.process(A).expect("up").timers, [], "four words of 50 ms each");
    world.run_until(ms(200));
    assert_eq!(world.process(A).expect("up").timers, [7]);
}

#[test]
fn a_disk_that_takes_time_keeps_its_machine_busy() {
    let mut world = ten_ms();
    world.set_disk_model(A, DiskModel { read: constant(2), write: constant(30), ..DiskModel::default() });
    world.input(A, Order::Timer(Duration::ZERO, 1));
    world.input(A, Order::Read("k"));
    world.input(A, Order::Scan);
    world.input(A, Order::Try(DB, vec!["k", "l"]));
    world.input(A, Order::Write("no process of this world: it costs nothing"));
    world.run_until(Time(ms(34).0 - 1));
    assert_eq!(world.process(A).expect("up").timers, []);
    world.run_until(ms(34));
    assert_eq!(world.process(A).expect("up").timers, [1]);
    world.set_disk_model(A, DiskModel::default());
    world.input(A, Order::Try(DB, vec!["k"]));
    assert!(!world.is_busy(A));
}

#[test]
fn a_busy_machine_can_be_paused_and_crash() {
    let mut world = ten_ms();
    world.set_slowness(B, constant(5));
    (0..3).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(12)); // busy until 15 ms
    world.pause(B);
    world.run_until(ms(30));
    assert_eq!(heard(&world), [0]);
    assert!(!world.is_busy(B), "what it did last is done");
    world.resume(B);
    world.run_until(ms(31)); // busy until 35 ms
    assert_eq!(heard(&world), [0, 1]);
    world.pause(B);
    world.resume(B);
    world.run_until(ms(34));
    assert_eq!(heard(&world), [0, 1], "no pause makes it faster");
    world.crash(B, Loss::Nothing);
    world.start(B, Scribe::default()); // slow as ever, busy until 39 ms
    world.input(A, Order::Send(9));
    world.run_until(ms(38));
    assert!(world.is_busy(B));
    world.run_until(ms(50));
    assert_eq!(heard(&world), [9], "what waited is gone");
}

#[test]
fn other_machines_are_untouched() {
    let heard_by_b = |slow: bool| {
        let mut world = world(Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) });
        if slow {
            world.set_slowness(A, Latency::Uniform { min: Duration::millis(1), max: Duration::millis(3) });
        }
        (0..30).for_each(|n| assert!(world.input(A, Order::Send(n))));
        world.run_until(ms(500));
        world.process(B).expect("up").heard.clone()
    };
    assert_eq!(heard_by_b(true), heard_by_b(false));
}

proptest! {
    /// Whatever keeps a machine from going on, for how long and how often: it misses nothing, does all in order, and never
    /// two things within one busy span.
    #[test]
    fn a_slow_machine_does_all_in_order(slowness in 0u64..8, steps in prop::collection::vec((0u8..4, 0u64..9), 1..60), seed: u64) {
        let mut world = World::new(seed, ());
        for _ in 0..2 {
            let node = world.add(0);
            world.start(node, Scribe::default());
        }
        world.set_slowness(B, constant(slowness));
        let mut sent = 0;
        for (what, span) in steps {
            match what {
                0 => world.pause(B),
                1 => world.resume(B),
                _ => { world.input(A, Order::Send(sent)); sent += 1; }
            }
            world.run_until(world.now() + Duration::millis(span));
        }
        world.resume(B);
        world.run_until(world.now() + Duration::secs(2));
        prop_assert_eq!(heard(&world), (0..sent).collect::<Vec<_>>());
        let times: Vec<Time> = world.process(B).expect("up").heard.iter().map(|(time, _)| *time).collect();
        prop_assert!(times.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::millis(slowness)));
        prop_assert!(!world.is_busy(B) && world.next_time().is_none());
    }
}
