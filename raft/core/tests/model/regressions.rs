//! Histories that once broke a promise, as found and reduced.

use raft::eraftpb::ConfChangeTransition::*;

use crate::action::Action::*;
use crate::action::Edit::*;
use crate::action::Sizes::*;
use crate::action::{Action, Case, Group, LEADER, Lazy, OLD_LEADER};
use crate::runner::replay;

/// Nothing is switched on.
fn group(replicas: u8, voters: u8, learners: u8) -> Group {
    Group {
        replicas,
        voters,
        learners,
        election_ticks: 4,
        heartbeat_ticks: 1,
        lease: None,
        check_quorum: 0,
        pre_vote: 0,
        apply_unpersisted: 0,
        leads_on_when_removed: 0,
        refuses_to_forward: 0,
        preferred: 0,
        sizes: Unbounded,
        seed: 0,
    }
}

fn check(group: Group, actions: Vec<Action>) {
    replay(&Case { group, actions });
}

fn slow_disk(who: u8) -> Action {
    Pace { who, lazy: Lazy { disk: true, ..Lazy::default() } }
}

/// The leader wished for a snapshot that its applied index could not satisfy, and wished again when it got one.
#[test]
fn a_requested_snapshot_is_not_made_in_vain() {
    let actions = vec![
        Campaign { who: 5 },
        Deliver { message: 0 },
        slow_disk(0),
        Tick { who: 0, ticks: 1, at_once: false },
        Calm { rounds: 1 },
        RequestSnapshot { who: 2 },
        Tick { who: 0, ticks: 1, at_once: false },
    ];
    check(Group { sizes: Tiny, ..group(4, 2, 1) }, actions);
}

/// A leader demoted itself and stepped down with the longest log. The voter that was left did not know that it
/// was alone, and asked for a vote in vain.
#[test]
fn the_last_voter_learns_that_it_is_alone() {
    let actions = vec![
        slow_disk(1),
        Tick { who: 0, ticks: 4, at_once: false },
        Change { who: LEADER, edits: vec![(Voter, 1)], how: Auto },
        Tick { who: 0, ticks: 1, at_once: false },
        Change { who: LEADER, edits: vec![(Learner, 2)], how: Auto },
        Propose { who: LEADER, large: true },
        Propose { who: LEADER, large: false },
    ];
    check(Group { sizes: Small, ..group(2, 1, 0) }, actions);
}

/// The heartbeats of a lone voter go to nobody, so no batch was taken and its round stayed open for ever.
#[test]
fn a_lone_voter_with_a_lease_answers_reads() {
    let actions = vec![Calm { rounds: 3 }, Calm { rounds: 5 }, Read { who: LEADER }];
    check(Group { lease: Some(0), sizes: Tiny, ..group(1, 1, 0) }, actions);
}

/// Who did not know yet that it had become a voter refused its vote for the sake of its priority.
#[test]
fn who_cannot_stand_does_not_insist_on_its_priority() {
    let actions = vec![
        Tick { who: 2, ticks: 4, at_once: false },
        Calm { rounds: 1 },
        TickAll { ticks: 1, at_once: false },
        Tick { who: 0, ticks: 1, at_once: false },
        Change { who: LEADER, edits: vec![(Voter, 1)], how: Auto },
        Step { who: 5, entries: 1, change: None },
        Crash { who: LEADER, kept: 0, keeps_commit: true },
        Deliver { message: 10 },
        Duplicate { message: 5 },
        Tick { who: 0, ticks: 1, at_once: false },
        Deliver { message: 8 },
        Tick { who: 0, ticks: 1, at_once: false },
        Tick { who: 0, ticks: 1, at_once: false },
    ];
    check(Group { preferred: 90, sizes: Small, ..group(2, 1, 1) }, actions);
}

/// A voter that did not know of a new one kept standing itself, always a term ahead of the new one's requests,
/// which got no answer.
#[test]
fn a_candidate_catches_up_with_a_voter_that_does_not_know_it() {
    let actions = vec![
        Pace { who: 1, lazy: Lazy { ready: false, disk: true, apply: false, snapshots: false } },
        Calm { rounds: 6 },
        Change { who: LEADER, edits: vec![(Voter, 4), (Learner, 2)], how: Auto },
        Tick { who: 0, ticks: 1, at_once: false },
        Calm { rounds: 1 },
        Crash { who: 4, kept: 0, keeps_commit: false },
        Heal,
        Tick { who: 0, ticks: 1, at_once: false },
        Calm { rounds: 1 },
        Change { who: LEADER, edits: vec![(Learner, 6)], how: Auto },
        Calm { rounds: 1 },
        TickAll { ticks: 1, at_once: false },
        Propose { who: LEADER, large: false },
        TickAll { ticks: 2, at_once: false },
        Tick { who: 0, ticks: 1, at_once: false },
        TickAll { ticks: 2, at_once: false },
        Calm { rounds: 1 },
        Tick { who: 0, ticks: 1, at_once: false },
        Tick { who: 0, ticks: 1, at_once: false },
        Tick { who: 0, ticks: 1, at_once: false },
        Crash { who: 4, kept: 0, keeps_commit: false },
        TickAll { ticks: 4, at_once: false },
    ];
    let group =
        Group { election_ticks: 5, leads_on_when_removed: 255, sizes: Tiny, seed: 71, ..group(6, 3, 1) };
    check(group, actions);
}

/// The last voter waited for a snapshot from a leader that had demoted itself, and did not stand meanwhile.
#[test]
fn the_last_voter_does_not_wait_for_a_snapshot_for_ever() {
    let actions = vec![
        Calm { rounds: 1 },
        Isolate { who: 4, rounds: 4 },
        TickAll { ticks: 2, at_once: false },
        Heal,
        Calm { rounds: 1 },
        ForgetLeader { who: 0 },
        ForgetLeader { who: 1 },
        Isolate { who: LEADER, rounds: 0 },
        Campaign { who: 0 },
        DeliverSome { count: 4 },
        Calm { rounds: 0 },
        Propose { who: LEADER, large: false },
        DeliverSome { count: 8 },
        Read { who: OLD_LEADER },
        Tick { who: 1, ticks: 1, at_once: false },
        Tick { who: 0, ticks: 1, at_once: false },
        Change { who: LEADER, edits: vec![(Learner, 4)], how: Auto },
        Calm { rounds: 1 },
        ForgetLeader { who: 2 },
        ForgetLeader { who: 3 },
        Isolate { who: LEADER, rounds: 0 },
        Campaign { who: 2 },
        DeliverSome { count: 4 },
        Calm { rounds: 0 },
        Propose { who: LEADER, large: false },
        DeliverSome { count: 8 },
        Read { who: OLD_LEADER },
        RequestSnapshot { who: 5 },
    ];
    let group = Group {
        election_ticks: 5,
        check_quorum: 255,
        pre_vote: 255,
        sizes: Tiny,
        seed: 721,
        ..group(4, 2, 1)
    };
    check(group, actions);
}
