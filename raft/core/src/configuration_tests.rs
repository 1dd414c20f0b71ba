//! Membership changes told as stories, one step a line, and their promises over random histories.
//!
//! The stories cover the behaviours of etcd's `confchange` tests of the same names.

use std::collections::BTreeSet;

use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// `v1 l2 r3`: add voter 1, add learner 2, remove 3.
fn changes(text: &str) -> Vec<ConfChangeSingle> {
    let change = |word: &str| {
        let (kind, id) = word.split_at(1);
        let change_type = match kind {
            "v" => ConfChangeType::AddNode,
            "l" => ConfChangeType::AddLearnerNode,
            "r" => ConfChangeType::RemoveNode,
            other => panic!("not a change: {other}"),
        };
        ConfChangeSingle { change_type: change_type as i32, node_id: id.parse().expect("an id") }
    };
    text.split_whitespace().map(change).collect()
}

fn v2(transition: ConfChangeTransition, text: &str) -> ConfChangeV2 {
    ConfChangeV2 { transition: transition as i32, changes: changes(text), ..ConfChangeV2::default() }
}

/// `simple`, `joint`, `joint-auto` (with changes) and `leave`.
fn step(at: &Configuration, command: &str) -> Result<Configuration, ConfChangeError> {
    let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
    match verb {
        "simple" => at.simple(&changes(rest)),
        "joint" => at.enter_joint(&changes(rest), false),
        "joint-auto" => at.enter_joint(&changes(rest), true),
        "leave" => at.leave_joint(),
        other => panic!("not a step: {other}"),
    }
}

/// From the empty configuration: each step, and the configuration or the error that it leads to. A refused
/// step leaves the configuration as it was.
fn story(steps: &[(&str, &str)]) {
    let mut at = Configuration::default();
    for (line, (command, expected)) in steps.iter().enumerate() {
        let result = step(&at, command);
        let shown = result.as_ref().map_or_else(ToString::to_string, ToString::to_string);
        assert_eq!(shown, *expected, "step {line}: {command}");
        if let Ok(next) = result {
            assert_eq!(next.check(), Ok(()), "step {line}: {command}");
            at = next;
        }
    }
}

const ALREADY: &str = "the configuration is joint already";
const NOT_JOINT: &str = "the configuration is not joint";
const NO_VOTERS: &str = "no voters are left";
const TWO: &str = "2 voters change at once without a joint configuration";

#[test]
fn joint_autoleave() {
    story(&[
        ("simple v1", "(1)"),
        ("joint-auto v2 v3", "(1 2 3)&&(1) auto_leave"),
        // It cannot be entered twice, nor its flag be changed that way.
        ("joint-auto v4", ALREADY),
        ("joint", ALREADY),
        ("leave", "(1 2 3)"),
        ("leave", NOT_JOINT),
    ]);
}

#[test]
fn joint_idempotency() {
    // In one change the last word about a member counts, and repeating it does nothing.
    story(&[
        ("simple v1", "(1)"),
        ("joint r1 r2 r9 v2 v3 v4 v2 v3 v4 l2 l2 r4 r4 l1 l1", "(3)&&(1) learners=(2) learners_next=(1)"),
        ("leave", "(3) learners=(1 2)"),
    ]);
}

#[test]
fn joint_learners_next() {
    story(&[
        ("simple v1", "(1)"),
        ("joint v2 l1", "(2)&&(1) learners_next=(1)"),
        ("leave", "(2) learners=(1)"),
        // A learner is promoted at once; a removed voter keeps its vote until the end; a demoted one that is
        // promoted or removed in the same change waits for nothing.
        ("joint v1", "(1 2)&&(2)"),
        ("leave", "(1 2)"),
        ("joint r2", "(1)&&(1 2)"),
        ("leave", "(1)"),
        ("simple v2", "(1 2)"),
        ("joint l2 v2", "(1 2)&&(1 2)"),
        ("leave", "(1 2)"),
        ("joint l2 r2", "(1)&&(1 2)"),
        ("leave", "(1)"),
    ]);
}

#[test]
fn joint_safety() {
    story(&[
        ("leave", NOT_JOINT),
        // A group without voters has no outgoing half to come from.
        ("joint", NO_VOTERS),
        ("joint v1", NO_VOTERS),
        ("simple v1", "(1)"),
        ("leave", NOT_JOINT),
        // Without changes it is pointless and safe.
        ("joint", "(1)&&(1)"),
        ("leave", "(1)"),
        ("joint r1", NO_VOTERS),
        ("joint l1", NO_VOTERS),
        ("joint v2 v3 v4", "(1 2 3 4)&&(1)"),
        ("joint", ALREADY),
        ("joint v1", ALREADY),
        ("simple", ALREADY),
        ("simple v1", ALREADY),
        ("leave", "(1 2 3 4)"),
        ("leave", NOT_JOINT),
        // All voters but one are replaced at once.
        ("joint r1 r2 r3 v5", "(4 5)&&(1 2 3 4)"),
        ("leave", "(4 5)"),
    ]);
}

#[test]
fn simple_idempotency() {
    story(&[
        ("simple v1", "(1)"),
        ("simple v1", "(1)"),
        ("simple v2", "(1 2)"),
        ("simple l1", "(2) learners=(1)"),
        ("simple l1", "(2) learners=(1)"),
        ("simple r1", "(2)"),
        ("simple r1", "(2)"),
        ("simple v3", "(2 3)"),
        ("simple r3", "(2)"),
        ("simple r3", "(2)"),
        ("simple r4", "(2)"),
    ]);
}

#[test]
fn simple_promote_demote() {
    story(&[
        ("simple v1", "(1)"),
        ("simple v2", "(1 2)"),
        ("simple v3", "(1 2 3)"),
        // There and back again is no change.
        ("simple l1 v1", "(1 2 3)"),
        ("simple l2", "(1 3) learners=(2)"),
        ("simple v2 l2", "(1 3) learners=(2)"),
        // One goes, another comes: two voters.
        ("simple v2 l1", TWO),
        ("simple v2", "(1 2 3)"),
    ]);
}

#[test]
fn simple_safety() {
    story(&[
        ("simple l1", NO_VOTERS),
        ("simple", NO_VOTERS),
        ("simple v1", "(1)"),
        ("simple v2 l3", "(1 2) learners=(3)"),
        ("simple r1 v5", TWO),
        ("simple r1 r2", NO_VOTERS),
        ("simple v3 v4", TWO),
        ("simple l1 v5", TWO),
        ("simple l1 l2", NO_VOTERS),
        ("simple l2 l3 l4 l5", "(1) learners=(2 3 4 5)"),
        ("simple r1", NO_VOTERS),
        ("simple r2 r3 r4 r5", "(1)"),
    ]);
}

#[test]
fn update() {
    // Adding a member in the role that it has, say to tell others of a new address, changes nothing.
    story(&[
        ("simple v1", "(1)"),
        ("simple v2", "(1 2)"),
        ("simple l3", "(1 2) learners=(3)"),
        ("simple v1 v2 l3", "(1 2) learners=(3)"),
        ("joint v1 l3", "(1 2)&&(1 2) learners=(3)"),
    ]);
}

#[test]
fn zero() {
    story(&[("simple v1 r0 v0 l0", "(1)"), ("simple v0", "(1)"), ("joint r0 v2 l0", "(1 2)&&(1)")]);
}

#[test]
fn the_transition_and_the_number_of_changes_choose_the_way() {
    use ConfChangeTransition::{Auto, Explicit, Implicit};
    let start = step(&Configuration::default(), "simple v1").expect("the first voter");
    let cases = [
        (v2(Auto, "v2"), Ok("(1 2)")),
        (v2(Auto, "l2 l3"), Ok("(1) learners=(2 3)")),
        (v2(Auto, "r1 v1 l3"), Ok("(1) learners=(3)")),
        (v2(Implicit, "l2"), Ok("(1)&&(1) learners=(2) auto_leave")),
        (v2(Auto, "v2 l3"), Ok("(1 2)&&(1) learners=(3) auto_leave")),
        (v2(Implicit, "v2"), Ok("(1 2)&&(1) auto_leave")),
        (v2(Explicit, "v2"), Ok("(1 2)&&(1)")),
        // Only the automatic transition without changes means "leave".
        (v2(Auto, ""), Err(ConfChangeError::NotJoint)),
        (v2(Implicit, ""), Ok("(1)&&(1) auto_leave")),
        (v2(Explicit, ""), Ok("(1)&&(1)")),
        (from_v1(ConfChange { node_id: 2, ..ConfChange::default() }), Ok("(1 2)")),
        (from_v1(ConfChange::default()), Ok("(1)")),
    ];
    for (change, expected) in cases {
        let result = start.apply(&change);
        assert_eq!(result.map(|next| next.to_string()), expected.map(String::from), "{change:?}");
    }
    let joint = start.apply(&v2(Explicit, "v2 v3")).expect("two voters more");
    assert_eq!(joint.apply(&v2(Auto, "v4")), Err(ConfChangeError::AlreadyJoint));
    assert_eq!(joint.apply(&v2(Explicit, "")), Err(ConfChangeError::AlreadyJoint));
    let leave = ConfChangeV2 { context: "why".into(), ..ConfChangeV2::default() };
    assert_eq!(joint.apply(&leave).map(|next| next.to_string()), Ok("(1 2 3)".into()));
}

#[test]
fn only_the_empty_change_leaves_a_joint_configuration() {
    use ConfChangeTransition::{Auto, Explicit, Implicit};
    assert!(leaves_joint(&v2(Auto, "")));
    assert!(leaves_joint(&ConfChangeV2 { context: "why".into(), ..ConfChangeV2::default() }));
    for change in [v2(Implicit, ""), v2(Explicit, ""), v2(Auto, "v0"), from_v1(ConfChange::default())] {
        assert!(!leaves_joint(&change), "{change:?}");
    }
}

#[test]
fn a_change_of_the_older_form_keeps_all_it_says() {
    let old =
        ConfChange { change_type: ConfChangeType::RemoveNode as i32, node_id: 7, context: "store 3".into() };
    let expected = ConfChangeV2 { context: "store 3".into(), ..v2(ConfChangeTransition::Auto, "r7") };
    assert_eq!(from_v1(old), expected);
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    let start = step(&Configuration::default(), "simple v1").expect("the first voter");
    let single = |change_type, node_id| ConfChangeV2 {
        changes: vec![ConfChangeSingle { change_type, node_id }],
        ..ConfChangeV2::default()
    };
    assert_eq!(start.apply(&single(9, 2)), Err(ConfChangeError::UnknownType(9)));
    // The id 0 is looked at first, as in etcd.
    assert_eq!(start.apply(&single(9, 0)), Ok(start.clone()));
    let transition = ConfChangeV2 { transition: 4, ..single(0, 2) };
    assert_eq!(start.apply(&transition), Err(ConfChangeError::UnknownTransition(4)));
}

#[test]
fn the_roles_in_a_joint_configuration() {
    let at = Configuration::from_conf_state(&ConfState {
        voters: vec![9, 2, 1],
        voters_outgoing: vec![3, 1, 4],
        learners: vec![5],
        learners_next: vec![4],
        auto_leave: true,
    })
    .expect("a configuration");
    assert_eq!(at.to_string(), "(1 2 9)&&(1 3 4) learners=(5) learners_next=(4) auto_leave");
    assert!(at.is_joint() && at.auto_leave());
    assert_eq!((at.voters(), at.outgoing()), (&[1, 2, 9][..], &[1, 3, 4][..]));
    assert_eq!((at.learners(), at.learners_next()), (&[5][..], &[4][..]));
    assert_eq!(at.members().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 9]);
    let those = |is: fn(&Configuration, u64) -> bool| (0..=10).filter(|&id| is(&at, id)).collect::<Vec<_>>();
    assert_eq!(those(Configuration::is_voter), [1, 2, 3, 4, 9]);
    assert_eq!(those(Configuration::is_learner), [5]);
    assert_eq!(those(Configuration::contains), [1, 2, 3, 4, 5, 9]);
}

#[test]
fn a_stored_configuration_is_checked() {
    let state = |voters: &[u64], outgoing: &[u64], learners: &[u64], next: &[u64], auto_leave| ConfState {
        voters: voters.to_vec(),
        voters_outgoing: outgoing.to_vec(),
        learners: learners.to_vec(),
        learners_next: next.to_vec(),
        auto_leave,
    };
    let broken = [
        (state(&[1, 2], &[], &[2], &[], false), "a learner is a voter too: (1 2) learners=(2)"),
        (state(&[1], &[2], &[2], &[], false), "a learner is a voter too: (1)&&(2) learners=(2)"),
        (
            state(&[1], &[1], &[], &[1], false),
            "a learner-to-be is an incoming voter: (1)&&(1) learners_next=(1)",
        ),
        (
            state(&[1], &[2], &[], &[3], false),
            "a learner-to-be is no outgoing voter: (1)&&(2) learners_next=(3)",
        ),
        (state(&[1], &[], &[], &[2], false), "a learner-to-be is no outgoing voter: (1) learners_next=(2)"),
        (state(&[1], &[], &[], &[], true), "auto_leave without an outgoing half: (1) auto_leave"),
        (state(&[], &[], &[1], &[], false), "members, but no voters: () learners=(1)"),
        (state(&[], &[1], &[], &[], false), "members, but no voters: ()&&(1)"),
        (state(&[1, 0], &[], &[], &[], false), "voters holds the id 0"),
        (state(&[1], &[1], &[0], &[], false), "learners holds the id 0"),
        (state(&[1], &[3, 1, 3], &[], &[], false), "voters_outgoing holds 3 twice"),
    ];
    for (state, reason) in broken {
        let expected = Err(ConfChangeError::Invalid(reason.into()));
        assert_eq!(Configuration::from_conf_state(&state), expected, "{state:?}");
    }
    // A replica that was not told its group yet.
    assert_eq!(Configuration::from_conf_state(&ConfState::default()), Ok(Configuration::default()));
}

/// Ids of the random histories, so few that every set of them can be tried.
const IDS: u64 = 6;

fn single() -> impl Strategy<Value = ConfChangeSingle> {
    (0..3, 0..=IDS).prop_map(|(change_type, node_id)| ConfChangeSingle { change_type, node_id })
}

fn change() -> impl Strategy<Value = ConfChangeV2> {
    let leave = Just(ConfChangeV2::default());
    let other = (0..3, vec(single(), 0..5)).prop_map(|(transition, changes)| ConfChangeV2 {
        transition,
        changes,
        ..ConfChangeV2::default()
    });
    prop_oneof![1 => leave, 2 => other]
}

/// A configuration that is not joint, and has voters.
fn plain() -> impl Strategy<Value = Configuration> {
    (1..=IDS, vec(0..3, IDS as usize)).prop_map(|(first, roles)| {
        let with = |role| (1..=IDS).zip(&roles).filter(move |(id, r)| **r == role && *id != first);
        let mut voters: Vec<u64> = with(1).map(|(id, _)| id).collect();
        voters.push(first);
        let learners = with(2).map(|(id, _)| id).collect();
        let state = ConfState { voters, learners, ..ConfState::default() };
        Configuration::from_conf_state(&state).expect("each id has one role")
    })
}

/// Every set of ids, as a bit mask, that contains a majority of each half: the definition.
fn quorums(configuration: &Configuration) -> Vec<u32> {
    let mask = |ids: &[u64]| ids.iter().fold(0u32, |mask, id| mask | 1 << id);
    let halves = [mask(configuration.voters()), mask(configuration.outgoing())];
    let enough = |set: u32, half: u32| half == 0 || 2 * (set & half).count_ones() > half.count_ones();
    (0..2 << IDS).filter(|&set| halves.iter().all(|&half| enough(set, half))).collect()
}

proptest! {
    #[test]
    fn every_quorum_meets_those_of_the_neighbour_in_the_history(
        start in plain(),
        history in vec(change(), 1..8),
    ) {
        let mut at = start;
        for change in &history {
            let Ok(next) = at.apply(change) else { continue };
            let after = quorums(&next);
            for set in quorums(&at) {
                let apart = after.iter().find(|&&other| set & other == 0);
                prop_assert_eq!(apart, None, "{:b} in {}, then {}", set, at, next);
            }
            if !at.is_joint() && !next.is_joint() {
                prop_assert!(differing(at.voters(), next.voters()) <= 1, "{} then {}", at, next);
            }
            at = next;
        }
    }

    #[test]
    fn every_configuration_of_a_history_is_sound_and_survives_storage(
        start in plain(),
        history in vec(change(), 1..8),
    ) {
        let mut at = start;
        for change in &history {
            let Ok(next) = at.apply(change) else { continue };
            prop_assert_eq!(next.check(), Ok(()));
            prop_assert!(!next.voters().is_empty());
            let parts = [next.voters(), next.outgoing(), next.learners(), next.learners_next()];
            prop_assert!(parts.iter().all(|part| part.is_sorted_by(|a, b| a < b)), "{:?}", parts);
            let members: BTreeSet<u64> = parts.concat().into_iter().collect();
            prop_assert_eq!(next.members().collect::<Vec<_>>(), members.into_iter().collect::<Vec<_>>());
            prop_assert!((0..=IDS).all(|id| next.contains(id) == next.members().any(|member| member == id)));
            prop_assert_eq!(Configuration::from_conf_state(&next.to_conf_state()), Ok(next.clone()));
            at = next;
        }
    }

    #[test]
    fn a_joint_change_ends_where_its_changes_one_by_one_do(
        start in plain(),
        candidates in vec(single(), 0..8),
    ) {
        let (mut at, mut taken) = (start.clone(), Vec::new());
        for change in candidates {
            if let Ok(next) = at.simple(&[change]) {
                at = next;
                taken.push(change);
            }
        }
        let joint = start.enter_joint(&taken, true).expect("voters are left");
        prop_assert_eq!(joint.outgoing(), start.voters());
        prop_assert_eq!(joint.voters(), at.voters());
        prop_assert_eq!(joint.leave_joint(), Ok(at));
    }
}
