//! Clocks that drift: what a process sees, when its timers run out, and what else stays as it was.

use raftsim_kernel::{
    Context, DbId, Drift, Duration, Happened, Kind, Loss, Message, NodeId, Observer, Process, Time,
    TraceHasher, World, WriteSeq,
};

#[derive(Clone, Debug)]
struct Never;

impl Message for Never {
    fn kind(&self) -> Kind {
        Kind::new(0)
    }
    fn digest(&self, _: &mut TraceHasher) {}
}

/// Ticks every 10 ms of its own time, and writes down when that was, by its own clock.
#[derive(Clone, Debug, Default)]
struct Ticker {
    ticks: Vec<Time>,
    alarms: Vec<(u64, Time)>,
}

const TICK: u64 = 0;
const PERIOD: Duration = Duration::millis(10);

impl Process for Ticker {
    type Message = Never;
    /// Set a timer of so many milliseconds.
    type Input = u64;
    fn on_start(&mut self, cx: &mut Context<'_, Never>) {
        cx.set_timer(PERIOD, TICK);
    }
    fn on_message(&mut self, _: NodeId, _: Never, _: &mut Context<'_, Never>) {}
    fn on_timer(&mut self, token: u64, cx: &mut Context<'_, Never>) {
        if token == TICK {
            self.ticks.push(cx.now());
            cx.set_timer(PERIOD, TICK);
        } else {
            self.alarms.push((token, cx.now()));
        }
    }
    fn on_task(&mut self, _: u64, _: &mut Context<'_, Never>) {}
    fn on_synced(&mut self, _: DbId, _: WriteSeq, _: &mut Context<'_, Never>) {}
    fn on_sync_failed(&mut self, _: DbId, _: &mut Context<'_, Never>) {}
    fn on_input(&mut self, millis: u64, cx: &mut Context<'_, Never>) {
        cx.set_timer(Duration::millis(millis), millis);
    }
}

/// The true times of events, by machine.
#[derive(Clone, Debug, Default)]
struct TrueTimes(Vec<(NodeId, Time)>);

impl Observer<Ticker> for TrueTimes {
    fn happened(&mut self, what: &Happened<'_, Ticker>) {
        self.0.push((what.node, what.time));
    }
}

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);

fn world() -> World<Ticker, TrueTimes> {
    let mut world = World::new(1, TrueTimes::default());
    for _ in 0..2 {
        let node = world.add(1);
        world.start(node, Ticker::default());
    }
    world
}

fn ms(n: u64) -> Time {
    Time::ZERO + Duration::millis(n)
}

fn percent(n: i32) -> Drift {
    Drift::new(n * 10_000).expect("less than 100%")
}

fn ticks(world: &World<Ticker, TrueTimes>, node: NodeId) -> usize {
    world.process(node).expect("up").ticks.len()
}

fn alarms(world: &World<Ticker, TrueTimes>, node: NodeId) -> Vec<(u64, Time)> {
    world.process(node).expect("up").alarms.clone()
}

#[test]
fn a_fast_machine_ticks_more_often_and_a_slow_one_less() {
    let mut world = world();
    world.set_drift(A, percent(25));
    world.set_drift(B, percent(-25));
    world.run_until(ms(1_000_000));
    assert_eq!((ticks(&world, A), ticks(&world, B)), (125_000, 75_000));
    // Each by its own clock in time, to within the nanosecond that rounding takes.
    for node in [A, B] {
        let late = (1..).zip(&world.process(node).unwrap().ticks).map(|(n, at)| at.since(ms(10 * n)));
        assert!(late.max().unwrap() <= Duration::micros(125), "a nanosecond a tick at most");
    }
    assert_eq!(world.clock(A).at(world.now()), ms(1_250_000));
}

#[test]
fn timers_that_are_set_follow_the_clock() {
    for (drift, at) in [(50, 240), (-50, 400), (0, 280)] {
        let mut world = world();
        world.input(A, 280);
        world.run_until(ms(160));
        world.set_drift(A, percent(drift));
        assert_eq!(world.clock(A).at(world.now()), ms(160), "no jump");
        // 120 ms of its own time are left.
        world.run_until(Time(ms(at).0 - 1));
        assert_eq!(alarms(&world, A), []);
        world.run_until(ms(at));
        assert_eq!(alarms(&world, A), [(280, ms(280))], "drift {drift}");
    }
}

#[test]
fn a_timer_may_be_moved_many_times() {
    let mut world = world();
    world.input(A, 700);
    for step in 0..100 {
        world.run_until(ms(5 * (step + 1)));
        world.set_drift(A, percent([40, -40, 70][step as usize % 3]));
    }
    world.run_until(ms(2_000));
    assert_eq!(alarms(&world, A).len(), 1);
    let (_, at) = alarms(&world, A)[0];
    assert!(at >= ms(700) && at.since(ms(700)) <= Duration::nanos(140), "{at}");
}

#[test]
fn other_machines_and_their_timers_are_untouched() {
    let times = |drift: bool| {
        let mut world = world();
        world.input(B, 35);
        world.run_until(ms(12));
        if drift {
            world.set_drift(A, percent(50));
        }
        world.run_until(ms(1_000));
        let of_b = |(node, time): &(NodeId, Time)| (*node == B).then_some(*time);
        (world.observer().0.iter().filter_map(of_b).collect::<Vec<_>>(), alarms(&world, B))
    };
    assert_eq!(times(true), times(false));
    assert_eq!(times(true).1, [(35, ms(35))]);
}

#[test]
fn observers_see_true_time() {
    let mut world = world();
    world.set_drift(A, percent(-50));
    world.run_until(ms(25));
    assert_eq!(world.observer().0[2..], [(B, ms(10)), (A, ms(20)), (B, ms(20))]);
}

#[test]
fn a_machine_that_restarts_has_the_clock_it_had() {
    let mut world = world();
    world.set_drift(A, percent(50));
    world.run_until(ms(100));
    world.crash(A, Loss::Nothing);
    world.run_until(ms(200));
    world.start(A, Ticker::default());
    assert_eq!((world.clock(A).drift(), world.clock(A).at(world.now())), (percent(50), ms(300)));
    world.run_until(ms(207));
    assert_eq!(world.process(A).unwrap().ticks, [ms(310)], "10 ms of its own after the start");
}

#[test]
fn a_clock_that_was_mended_keeps_what_it_drifted() {
    let mut world = world();
    world.set_drift(A, percent(50));
    world.run_until(ms(100));
    world.set_drift(A, Drift::ZERO);
    world.run_until(ms(200));
    assert_eq!(world.clock(A).at(world.now()), ms(250));
    world.input(A, 30);
    world.run_until(ms(230));
    assert_eq!(alarms(&world, A), [(30, ms(280))]);
}

#[test]
fn the_hash_tells_drifts_apart_and_no_change_is_no_event() {
    let hash = |drifts: &[Drift]| {
        let mut world = world();
        drifts.iter().for_each(|drift| world.set_drift(A, *drift));
        (world.trace_hash(), world.events())
    };
    assert_eq!(hash(&[Drift::ZERO]), hash(&[]));
    assert_eq!(hash(&[percent(1), percent(1)]), hash(&[percent(1)]));
    assert_ne!(hash(&[percent(1)]).0, hash(&[]).0);
    assert_ne!(hash(&[percent(1)]).0, hash(&[percent(-1)]).0);
    assert_eq!(hash(&[percent(1)]).1, hash(&[]).1 + 1);
}

#[test]
fn a_clone_drifts_alike_and_alone() {
    let mut world = world();
    world.set_drift(A, percent(30));
    world.run_until(ms(55));
    let mut same = world.clone();
    let mut other = world.clone();
    other.set_drift(A, percent(-30));
    for world in [&mut world, &mut same, &mut other] {
        world.run_until(ms(1_000));
    }
    assert_eq!(world.trace_hash(), same.trace_hash());
    assert_eq!(world.observer().0, same.observer().0);
    assert!(ticks(&other, A) < ticks(&world, A));
    assert_eq!(ticks(&other, B), ticks(&world, B));
}

#[test]
fn jumps_show_and_move_no_timer() {
    let mut world = world();
    world.input(A, 50);
    world.run_until(ms(25));
    world.jump_clock(A, true, Duration::secs(1));
    assert_eq!(world.clock(A).at(world.now()), ms(1_025));
    world.run_until(ms(35));
    world.jump_clock(A, false, Duration::millis(1_020));
    world.run_until(ms(60));
    assert_eq!(alarms(&world, A), [(50, ms(30))], "50 ms after it was set, which shows as 30");
    assert_eq!(world.process(A).expect("up").ticks, [10, 20, 1_030, 20, 30, 40].map(ms));
    assert_eq!((world.clock(A).offset(), world.clock(B).offset()), (-20_000_000, 0));
}

#[test]
fn no_clock_shows_less_than_zero_and_an_offset_is_a_jump_at_the_start() {
    let mut world = world();
    world.jump_clock(A, true, Duration::secs(5));
    world.run_until(ms(15));
    assert_eq!(world.process(A).expect("up").ticks, [ms(5_010)]);
    world.jump_clock(A, false, Duration::secs(500));
    assert_eq!(world.clock(A).at(world.now()), Time::ZERO);
    world.run_until(ms(20));
    assert_eq!(world.clock(A).at(world.now()), ms(5), "it goes on from there");
    world.jump_clock(A, true, Duration(u64::MAX));
    assert!(world.clock(A).at(world.now()) > ms(1_000_000_000));
}

#[test]
fn a_clock_jumps_and_drifts() {
    let mut world = world();
    world.set_drift(A, percent(50));
    world.run_until(ms(100));
    world.jump_clock(A, true, Duration::millis(30));
    world.input(A, 300);
    world.set_drift(A, percent(-50));
    world.run_until(ms(200));
    assert_eq!(world.clock(A).at(world.now()), ms(150 + 30 + 50));
    world.run_until(ms(700));
    assert_eq!(alarms(&world, A), [(300, ms(480))]);
}

#[test]
fn the_hash_sees_jumps() {
    let hash = |forward, millis| {
        let mut world = world();
        world.jump_clock(A, forward, Duration::millis(millis));
        world.trace_hash()
    };
    assert_eq!(hash(true, 0), world().trace_hash());
    assert!(
        hash(true, 5) != hash(false, 5) && hash(true, 5) != hash(true, 6) && hash(true, 5) != hash(true, 0)
    );
}
