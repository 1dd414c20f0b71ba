//! Messages that arrive damaged.

use raftsim_kernel::world::Fate;
use raftsim_kernel::{Faults, Observer};

use super::*;

/// What was told of damaged messages: as they were sent.
#[derive(Clone, Default)]
struct Damaged(Vec<u64>);

impl Observer<Scribe> for Damaged {
    fn routed(&mut self, _: Time, _: NodeId, _: NodeId, note: &Note, fate: Fate) {
        if fate == Fate::Corrupted {
            self.0.push(note.0);
        }
    }
}

fn corrupting() -> World<Scribe, Damaged> {
    let mut world = World::new(1, Damaged::default());
    for _ in 0..2 {
        let node = world.add(0);
        world.start(node, Scribe::default());
    }
    world.network_mut().set_default(LinkModel { corrupt: Ppm::ALWAYS, ..LinkModel::default() });
    world
}

fn b(world: &World<Scribe, Damaged>) -> Vec<u64> {
    world.process(B).expect("up").heard.iter().map(|(_, n)| *n).collect()
}

#[test]
fn a_checksum_loses_it_and_otherwise_another_message_arrives() {
    let mut world = corrupting();
    world.input(A, Order::Send(1));
    world.input(A, Order::Send(GROUP_1));
    assert_eq!(
        world.in_flight().map(|(.., note)| note.0).sum::<u64>(),
        1 + GROUP_1,
        "not seen before it arrives"
    );
    world.run_until(ms(50));
    assert_eq!(world.observer().0, [1, GROUP_1]);
    assert!(matches!(b(&world)[..], [n] if n >= DAMAGED));
    assert_eq!(world.faults(), Faults { corrupted: 2, ..Faults::default() });
}

#[test]
fn damaged_messages_meet_clogs_pauses_cuts_and_crashes() {
    let mut world = corrupting();
    world.set_clogged(A, B, true);
    (0..2).for_each(|n| assert!(world.input(A, Order::Send(n))));
    world.run_until(ms(20));
    world.pause(B);
    world.unclog_all();
    world.input(A, Order::Send(2));
    world.run_until(ms(40));
    assert_eq!(b(&world), []);
    world.resume(B);
    world.run_until(ms(40));
    assert_eq!((world.observer().0.clone(), b(&world).len()), (vec![0, 1, 2], 3));
    world.input(A, Order::Send(3));
    world.network_mut().set_cut(A, B, true);
    world.run_until(ms(60));
    world.network_mut().mend_all();
    world.input(A, Order::Send(4));
    world.crash(B, Loss::Nothing);
    world.run_until(ms(80));
    assert_eq!(world.observer().0, [0, 1, 2], "the others did not arrive");
}
