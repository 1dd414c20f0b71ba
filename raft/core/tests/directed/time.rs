//! Time: many ticks at once are the same as one after the other.

use crate::common::{Node, Setup, message};
use proptest::prelude::*;
use raft::Config;
use raft::Role::{self, Candidate, Follower, Leader};
use raft::eraftpb::MessageType::MsgHeartbeat;

fn node(role: Role, members: &[u64], seed: u64, heartbeat_ticks: u32) -> Node {
    let mut setup = Setup::new(1, members);
    setup.config = Config { seed, heartbeat_ticks, ..setup.config };
    let node = setup.build();
    match (members, role) {
        // Alone, it is a candidate no longer than its disk takes.
        ([1], Candidate) => node.into_role(Leader),
        _ if members.contains(&1) => node.into_role(role),
        _ => node,
    }
}

proptest! {
    #[test]
    fn tick_many_is_tick_repeated(
        role in prop_oneof![Just(Follower), Just(Candidate), Just(Leader)],
        members in prop_oneof![Just(vec![1, 2, 3]), Just(vec![1]), Just(vec![2, 3])],
        seed: u64,
        heartbeat_ticks in 1u32..9,
        steps in proptest::collection::vec((0u64..60, any::<bool>()), 1..8),
    ) {
        let (mut one, mut many) = (
            node(role, &members, seed, heartbeat_ticks),
            node(role, &members, seed, heartbeat_ticks),
        );
        for (ticks, heard) in steps {
            if heard && members.len() > 1 {
                let term = one.raw.term() + 1;
                prop_assert_eq!(one.step(message(MsgHeartbeat, 2, 1, term)), many.step(message(MsgHeartbeat, 2, 1, term)));
            }
            (0..ticks).for_each(|_| one.raw.tick());
            many.raw.tick_many(ticks);
            prop_assert_eq!(one.raw.idle_ticks(), many.raw.idle_ticks());
            prop_assert_eq!(one.raw.hard_state(), many.raw.hard_state());
            prop_assert_eq!(one.raw.role(), many.raw.role());
            prop_assert_eq!(one.work(), many.work());
        }
    }

    #[test]
    fn the_tick_after_the_idle_ones_acts_and_none_before(
        role in prop_oneof![Just(Follower), Just(Candidate), Just(Leader)],
        seed: u64,
        heartbeat_ticks in 1u32..9,
    ) {
        let mut node = node(role, &[1, 2, 3], seed, heartbeat_ticks);
        for _ in 0..node.raw.idle_ticks() {
            node.raw.tick();
            prop_assert!(!node.raw.has_ready());
        }
        node.raw.tick();
        prop_assert!(node.raw.has_ready());
    }
}
