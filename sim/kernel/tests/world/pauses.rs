//! Machines that stand still.

use raftsim_kernel::world::Fate;
use raftsim_kernel::{Happened, Observer};

use super::*;

fn b(world: &World<Scribe, ()>) -> &Scribe {
    world.process(B).expect("it is up")
}

#[test]
fn what_is_due_in_a_pause_happens_in_order_at_its_end() {
    let mut world = ten_ms();
    world.input(A, Order::Send(1)); // due at 10 ms
    world.input(B, Order::Timer(Duration::millis(20), 7));
    world.input(B, Order::Task(8, 0)); // due at 1 ms
    world.input(B, Order::Write("k")); // due at 1 ms as well
    world.input(B, Order::Timer(Duration::millis(60), 9));
    world.pause(B);
    world.run_until(ms(25));
    world.input(A, Order::Send(2)); // due at 35 ms
    world.run_until(ms(50));
    assert!(world.is_paused(B) && b(&world).order.is_empty());
    assert_eq!(world.pending(), 1, "the timer at 60 ms");
    world.resume(B);
    assert_eq!(world.next_time(), Some(ms(50)));
    world.run_until(ms(50));
    assert!(["ksmtm", "skmtm"].contains(&b(&world).order.as_str()), "{}", b(&world).order);
    assert_eq!(b(&world).heard, [(ms(50), 1), (ms(50), 2)]);
    assert_eq!((b(&world).timers.as_slice(), b(&world).synced.as_slice()), (&[7][..], &[1][..]));
    world.run_until(ms(60));
    assert_eq!(b(&world).timers, [7, 9], "what is due later comes when it is due");
}

#[test]
fn a_long_backlog_keeps_its_order() {
    let mut world = ten_ms();
    world.pause(B);
    for n in 0..500 {
        world.input(A, Order::Send(n));
        world.run_until(Time(world.now().0 + 1));
    }
    world.run_until(ms(20));
    world.resume(B);
    // Interrupted half way, the rest waits again and keeps its place.
    (0..200).for_each(|_| assert!(world.step()));
    world.pause(B);
    world.run_until(ms(30));
    world.resume(B);
    world.run_until(ms(30));
    assert_eq!(heard(&world), (0..500).collect::<Vec<_>>());
}

/// Where events happened.
#[derive(Clone, Default)]
struct Places(Vec<NodeId>);

impl Observer<Scribe> for Places {
    fn happened(&mut self, what: &Happened<'_, Scribe>) {
        self.0.push(what.node);
    }
}

#[test]
fn a_backlog_comes_before_what_else_is_due() {
    let mut world = World::new(1, Places::default());
    for _ in 0..2 {
        let node = world.add(1);
        world.start(node, Scribe::default());
    }
    for token in 0..8 {
        world.input(A, Order::Timer(Duration::millis(50), token));
        world.input(B, Order::Timer(Duration::millis(10), token));
    }
    world.pause(B);
    world.run_until(ms(49));
    world.advance_to(ms(50));
    world.observer_mut().0.clear();
    world.resume(B);
    world.run_until(ms(50));
    assert_eq!(world.observer().0, [[B; 8], [A; 8]].concat());
}

#[test]
fn others_go_on_and_nobody_talks_to_a_paused_machine() {
    let mut world = ten_ms();
    world.pause(B);
    world.pause(B); // once is enough
    assert!(!world.input(B, Order::Send(1)));
    world.input(A, Order::Timer(Duration::millis(1), 3));
    world.run_until(ms(5));
    assert_eq!(world.process(A).expect("it is up").timers, [3]);
    assert!(world.is_up(B));
    world.resume(B);
    world.resume(B); // nor does it go on twice
    assert!(!world.is_paused(B) && world.input(B, Order::Timer(Duration::ZERO, 1)));
}

#[test]
fn what_arrived_is_read_though_the_link_is_cut_later() {
    let mut world = ten_ms();
    world.input(A, Order::Send(1));
    world.pause(B);
    world.run_until(ms(15));
    world.input(A, Order::Send(2));
    world.network_mut().set_cut(A, B, true);
    world.run_until(ms(40));
    world.resume(B);
    world.run_until(ms(40));
    assert_eq!(heard(&world), [1], "the second came to a cut link");
}

/// Counts messages that nobody took.
#[derive(Clone, Default)]
struct Undelivered(u64);

impl Observer<Scribe> for Undelivered {
    fn routed(&mut self, _: Time, _: NodeId, _: NodeId, _: &Note, fate: Fate) {
        self.0 += u64::from(fate == Fate::Undelivered);
    }
}

#[test]
fn a_crash_ends_a_pause_and_takes_what_waited() {
    let mut world = World::new(1, Undelivered::default());
    for _ in 0..2 {
        let node = world.add(1);
        world.start(node, Scribe::default());
    }
    world.input(A, Order::Send(1));
    world.input(B, Order::Timer(Duration::millis(1), 1));
    world.input(B, Order::Write("lost"));
    world.pause(B);
    world.run_until(ms(20));
    world.crash(B, Loss::Unsynced);
    assert!(!world.is_paused(B) && world.disk(B).get(DB, b"lost").is_none(), "the sync had not completed");
    world.start(B, Scribe::default());
    world.resume(B);
    world.run_until(ms(40));
    let b = world.process(B).expect("it is up");
    assert_eq!((b.order.as_str(), world.observer().0), ("", 1));
    world.input(A, Order::Send(2));
    world.run_until(ms(60));
    assert_eq!(world.process(B).expect("it is up").order, "m", "the next life is not paused");
}

#[test]
fn a_crash_just_after_a_pause_takes_what_was_not_read_yet() {
    let mut world = ten_ms();
    world.input(A, Order::Send(1));
    world.pause(B);
    world.run_until(ms(20));
    world.resume(B);
    world.crash(B, Loss::Nothing);
    world.start(B, Scribe::default());
    world.run_until(ms(40));
    assert_eq!(b(&world).order, "");
}

#[test]
fn the_clock_goes_on_in_a_pause() {
    let mut world = ten_ms();
    world.pause(B);
    world.run_until(ms(30));
    world.resume(B);
    world.input(B, Order::Timer(Duration::millis(5), 1));
    world.run_until(Time(ms(35).0 - 1));
    assert_eq!(b(&world).timers, []);
    world.run_until(ms(35));
    assert_eq!(b(&world).timers, [1]);
    assert_eq!(world.clock(B).at(world.now()), ms(35));
}

#[test]
fn the_hash_sees_pauses_and_a_clone_pauses_alike() {
    let mut world = ten_ms();
    let awake = world.trace_hash();
    world.pause(B);
    let paused = world.trace_hash();
    world.resume(B);
    assert!(paused != awake && world.trace_hash() != paused && world.trace_hash() != awake);
    let mut world = ten_ms();
    world.input(A, Order::Send(1));
    world.pause(B);
    world.run_until(ms(20));
    let mut clone = world.clone();
    world.resume(B);
    world.run_until(ms(30));
    assert_eq!((heard(&world).len(), heard(&clone).len()), (1, 0));
    clone.resume(B);
    clone.run_until(ms(30));
    assert_eq!(world.trace_hash(), clone.trace_hash());
}
