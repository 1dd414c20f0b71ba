//! Histories that once broke a promise, as found and reduced.

use raft::eraftpb::ConfChangeTransition::*;

use crate::action::Action::*;
use crate::action::Edit::*;
use crate::action::{Case, Group, Lazy, Sizes::*};
use crate::runner::replay;

#[test]
fn tmp() {
    replay(&Case {
        group: Group {
            replicas: 6,
            voters: 3,
            learners: 1,
            election_ticks: 5,
            heartbeat_ticks: 1,
            lease: None,
            check_quorum: 0,
            pre_vote: 0,
            apply_unpersisted: 0,
            leads_on_when_removed: 255,
            refuses_to_forward: 0,
            preferred: 0,
            sizes: Tiny,
            seed: 71,
        },
        actions: vec![
            Pace { who: 1, lazy: Lazy { ready: false, disk: true, apply: false, snapshots: false } },
            Calm { rounds: 6 },
            Change { who: 100, edits: vec![(Voter, 4), (Learner, 2)], how: Auto },
            Tick { who: 0, ticks: 1, at_once: false },
            Calm { rounds: 1 },
            Crash { who: 4, kept: 0, keeps_commit: false },
            Heal,
            Tick { who: 0, ticks: 1, at_once: false },
            Calm { rounds: 1 },
            Change { who: 100, edits: vec![(Learner, 6)], how: Auto },
            Calm { rounds: 1 },
            TickAll { ticks: 1, at_once: false },
            Propose { who: 100, large: false },
            TickAll { ticks: 2, at_once: false },
            Tick { who: 0, ticks: 1, at_once: false },
            TickAll { ticks: 2, at_once: false },
            Calm { rounds: 1 },
            Tick { who: 0, ticks: 1, at_once: false },
            Tick { who: 0, ticks: 1, at_once: false },
            Tick { who: 0, ticks: 1, at_once: false },
            Crash { who: 4, kept: 0, keeps_commit: false },
            TickAll { ticks: 4, at_once: false },
        ],
    });
}
