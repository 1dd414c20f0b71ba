//! A world in the middle of any faults has one future, however often it is copied.

use proptest::prelude::*;
use raftsim_kernel::{DiskAccess, DiskFailure, DiskModel, Drift};

use super::*;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// One thing that somebody does to a world; the numbers say which and how.
fn disturb(world: &mut World<Scribe, ()>, what: u8, how: u64) {
    let node = NodeId((how % 2) as u32);
    let span = Latency::Exponential { min: Duration::ZERO, mean: Duration::millis(1 + how % 7) };
    let share = Ppm::percent((how % 60) as u32);
    match what {
        0 => world.set_clogged(A, B, !how.is_multiple_of(3)),
        1 => world.set_slowness(node, span),
        2 => world.stall_disk(node, !how.is_multiple_of(3)),
        3 => {
            let what = [DiskAccess::Read, DiskAccess::Write, DiskAccess::Sync][how as usize % 3];
            world.fail_disk(node, DiskFailure { db: None, what, count: how % 4 });
        }
        4 => _ = world.rot(node, DB, KEYS[how as usize % 4].as_bytes()),
        5 => world.jump_clock(node, how.is_multiple_of(3), Duration::millis(how % 50)),
        6 => world.set_drift(node, Drift::new((how % 1_000) as i32 * 500 - 250_000).expect("in range")),
        7 => {
            world.network_mut().set_default(LinkModel {
                latency: Latency::Tail { min: Duration::millis(1), mean: Duration::millis(3) },
                loss: Ppm::percent((how % 10) as u32),
                duplicate: share,
                reorder: share,
                corrupt: share,
                bytes_per_second: 1 + how % 90_000,
                queue: how % 5_000,
            });
        }
        8 => world.set_disk_model(
            node,
            DiskModel {
                sync: span,
                read: span,
                write: span,
                capacity: how % 9,
                bad: share,
                write_error: share,
                sync_error: share,
                ..DiskModel::default()
            },
        ),
        9 => world.pause(node),
        10 => world.resume(node),
        11 => {
            world.set_torn(node, DB, true);
            world.crash(node, Loss::Random);
            if how.is_multiple_of(3) {
                world.wipe(node);
            }
            world.start(node, Scribe::default());
        }
        12 => world.network_mut().set_cut(A, B, how.is_multiple_of(4)),
        _ => {
            let key = KEYS[how as usize % 4];
            let orders = [
                Order::Try(DB, vec![key, "z"]),
                Order::Sync,
                Order::Read(key),
                Order::Timer(Duration::millis(how % 20), how),
                Order::Task(how, how % 1_000),
                Order::Scan,
            ];
            world.input(node, Order::Send(how % 2_000));
            world.input(node, orders[how as usize % 6].clone());
        }
    }
}

fn seen(world: &World<Scribe, ()>) -> (u64, u64, Vec<String>) {
    let scribes = [A, B].map(|node| format!("{:?} {:?}", world.process(node), world.disk(node).faults()));
    (world.trace_hash(), world.events(), scribes.to_vec())
}

proptest! {
    #[test]
    fn a_copy_has_the_same_future(
        before in prop::collection::vec((0u8..20, any::<u64>(), 0u64..5), 1..60),
        after in prop::collection::vec((0u8..20, any::<u64>(), 0u64..5), 1..60),
        seed: u64,
    ) {
        let mut world = World::new(seed, ());
        for _ in 0..2 {
            let node = world.add(1);
            world.start(node, Scribe::default());
        }
        let go = |world: &mut World<Scribe, ()>, steps: &[(u8, u64, u64)]| {
            for (what, how, span) in steps {
                disturb(world, *what, *how);
                world.run_until(world.now() + Duration::millis(*span));
            }
        };
        go(&mut world, &before);
        let mut copy = world.clone();
        let mut again = world.clone();
        go(&mut world, &after);
        go(&mut again, &after[..after.len() / 2]); // another one's future is its own
        go(&mut copy, &after);
        prop_assert_eq!(seen(&world), seen(&copy));
        prop_assert_eq!(world.faults(), copy.faults());
    }
}
