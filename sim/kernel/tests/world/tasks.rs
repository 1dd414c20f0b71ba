//! Work in the background.

use raftsim_kernel::{DiskModel, Drift};

use super::*;

/// Latency 5 ms, and a millisecond for every 1,000 bytes.
fn with_tasks() -> World<Scribe, ()> {
    let mut world = ten_ms();
    let task = Latency::Constant(Duration::millis(5));
    world.set_disk_model(A, DiskModel { task, bytes_per_second: 1_000_000, ..DiskModel::default() });
    world
}

fn done(world: &World<Scribe, ()>) -> Vec<(Time, u64)> {
    world.process(A).expect("it is up").tasks.clone()
}

#[test]
fn a_task_takes_its_time_and_waits_for_no_other() {
    let mut world = with_tasks();
    world.input(A, Order::Task(1, 20_000));
    world.input(A, Order::Task(2, 0));
    world.input(A, Order::Task(3, 20_000));
    world.run_until(ms(24));
    assert_eq!(done(&world), [(ms(5), 2)]);
    world.run_until(ms(25));
    let mut tokens: Vec<u64> = done(&world).iter().map(|(_, token)| *token).collect();
    tokens.sort_unstable();
    assert_eq!(tokens, [1, 2, 3]);
}

#[test]
fn a_crash_ends_tasks() {
    let mut world = with_tasks();
    world.input(A, Order::Task(1, 0));
    world.crash(A, Loss::Nothing);
    world.start(A, Scribe::default());
    world.input(A, Order::Task(2, 1_000));
    world.run_until(ms(100));
    assert_eq!(done(&world), [(ms(6), 2)]);
}

#[test]
fn a_drifting_clock_makes_no_task_faster() {
    let mut world = with_tasks();
    world.set_drift(A, Drift::new(500_000).expect("in range"));
    world.input(A, Order::Task(1, 5_000));
    world.run_until(Time(ms(10).0 - 1));
    assert_eq!(done(&world), []);
    world.set_drift(A, Drift::ZERO); // moves no task that is under way
    world.run_until(ms(10));
    assert_eq!(done(&world).len(), 1);
}

#[test]
fn the_hash_sees_tasks() {
    let hash = |token, bytes| {
        let mut world = with_tasks();
        world.input(A, Order::Write("the same input"));
        let mut world = world.clone();
        world.input(A, Order::Task(token, bytes));
        world.run_until(ms(100));
        world.trace_hash()
    };
    assert_eq!(hash(1, 0), hash(1, 0));
    assert_ne!(hash(1, 0), hash(2, 0));
    assert_ne!(hash(1, 0), hash(1, 1_000));
}
