//! Links that are clogged: nothing arrives, nothing is lost.

use proptest::prelude::*;
use raftsim_kernel::world::Fate;
use raftsim_kernel::{Faults, Observer};

use super::*;

fn send(world: &mut World<Scribe, ()>, notes: std::ops::Range<u64>) {
    notes.for_each(|n| assert!(world.input(A, Order::Send(n))));
}

#[test]
fn what_waited_arrives_in_order_and_at_once() {
    let mut world = ten_ms();
    send(&mut world, 0..3); // under way when the link is clogged
    world.set_clogged(A, B, true);
    world.run_until(ms(50));
    send(&mut world, 3..6);
    world.run_until(ms(90));
    assert_eq!((heard(&world), world.network().backlog()), (vec![], 6));
    assert!(world.network().is_clogged(A, B) && !world.network().is_clogged(B, A));
    assert_eq!((world.pending(), world.in_flight().count()), (0, 0));
    world.set_clogged(A, B, false);
    world.run_until(ms(90));
    let heard = &world.process(B).expect("up").heard;
    assert_eq!(*heard, (0..6).map(|n| (ms(90), n)).collect::<Vec<_>>());
    assert_eq!(world.faults(), Faults { clogged: 6, ..Faults::default() });
}

#[test]
fn a_link_that_is_clogged_again_keeps_the_rest() {
    let mut world = ten_ms();
    world.set_clogged(A, B, true);
    send(&mut world, 0..5);
    world.run_until(ms(20));
    world.unclog_all();
    assert!(world.step() && world.step());
    world.set_clogged(A, B, true);
    world.run_until(ms(30));
    assert_eq!(heard(&world), [0, 1]);
    send(&mut world, 5..6);
    world.run_until(ms(50));
    world.unclog_all();
    world.run_until(ms(50));
    assert_eq!(heard(&world), [0, 1, 2, 3, 4, 5]);
}

#[test]
fn what_arrives_with_the_backlog_comes_after_it() {
    // Ties are drawn, so that one seed in two would let the late one through first.
    for seed in 0..20 {
        let mut world = World::new(seed, ());
        for _ in 0..2 {
            let node = world.add(0);
            world.start(node, Scribe::default());
        }
        let latency = Latency::Constant(Duration::millis(10));
        world.network_mut().set_default(LinkModel { latency, ..LinkModel::default() });
        world.set_clogged(A, B, true);
        send(&mut world, 0..5);
        world.run_until(ms(20));
        send(&mut world, 5..6);
        world.run_until(Time(ms(30).0 - 1));
        world.advance_to(ms(30));
        world.unclog_all();
        world.run_until(ms(30));
        assert_eq!(heard(&world), [0, 1, 2, 3, 4, 5]);
    }
}

/// The fates of messages.
#[derive(Clone, Default)]
struct Fates(Vec<Fate>);

impl Observer<Scribe> for Fates {
    fn routed(&mut self, _: Time, _: NodeId, _: NodeId, _: &Note, fate: Fate) {
        if !matches!(fate, Fate::Arrives(_)) {
            self.0.push(fate);
        }
    }
}

#[test]
fn a_cut_beats_a_clog() {
    let mut world = World::new(1, Fates::default());
    for _ in 0..2 {
        let node = world.add(0);
        world.start(node, Scribe::default());
    }
    world.set_clogged(A, B, true);
    world.input(A, Order::Send(1));
    world.run_until(ms(20)); // it waits
    world.input(A, Order::Send(2));
    world.network_mut().set_cut(A, B, true);
    world.run_until(ms(40)); // it is lost
    world.input(A, Order::Send(3)); // lost at once
    assert_eq!(world.observer().0, [Fate::Clogged, Fate::Undelivered, Fate::Lost]);
    world.unclog_all();
    world.run_until(ms(40)); // and so is the first, since the link is cut when it could go on
    assert_eq!(world.observer().0[3..], [Fate::Undelivered]);
    world.network_mut().mend_all();
    world.input(A, Order::Send(4));
    world.run_until(ms(60));
    assert_eq!(world.process(B).expect("up").heard.len(), 1);
}

#[test]
fn machines_that_are_down_or_paused_when_it_ends() {
    let mut world = ten_ms();
    world.set_clogged(A, B, true);
    send(&mut world, 0..2);
    world.run_until(ms(20));
    world.pause(B);
    world.set_clogged(A, B, false);
    world.run_until(ms(30));
    assert_eq!(heard(&world), []);
    world.resume(B);
    world.run_until(ms(30));
    assert_eq!(heard(&world), [0, 1]);
    world.set_clogged(A, B, true);
    send(&mut world, 2..4);
    world.run_until(ms(50));
    world.crash(B, Loss::Nothing);
    world.unclog_all();
    world.run_until(ms(60));
    world.start(B, Scribe::default());
    world.run_until(ms(70));
    assert_eq!((heard(&world), world.network().backlog()), (vec![], 0));
}

#[derive(Clone, Debug)]
enum Move {
    Send,
    Clog(bool),
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        3 => Just(Move::Send),
        1 => any::<bool>().prop_map(Move::Clog),
        2 => (0u64..12).prop_map(Move::Pass),
    ];
    prop::collection::vec(one, 0..80)
}

proptest! {
    /// However often a link is clogged: everything arrives once, in order, and only while it is not.
    #[test]
    fn a_clog_loses_nothing_and_keeps_order(moves in moves(), seed: u64) {
        let mut world = World::new(seed, ());
        for _ in 0..2 {
            let node = world.add(0);
            world.start(node, Scribe::default());
        }
        let mut sent = 0;
        for step in moves {
            let before = heard(&world).len();
            match step {
                Move::Send => { send(&mut world, sent..sent + 1); sent += 1; }
                Move::Clog(clogged) => world.set_clogged(A, B, clogged),
                Move::Pass(span) => world.run_until(world.now() + Duration::millis(span)),
            }
            prop_assert!(!world.network().is_clogged(A, B) || heard(&world).len() == before);
        }
        world.unclog_all();
        world.run_until(world.now() + Duration::secs(1));
        prop_assert_eq!(heard(&world), (0..sent).collect::<Vec<_>>());
        prop_assert_eq!(world.network().backlog(), 0);
    }
}
