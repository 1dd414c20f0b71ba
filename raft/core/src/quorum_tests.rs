//! Majority and joint arithmetic: by hand, against the definition, and over every small configuration.
//! Sets of voters are bit masks here.

use super::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use VoteResult::{Lost, Pending, Won};

/// `y`, `n` and `_`: granted, refused, not answered yet.
fn votes(text: &str) -> impl Iterator<Item = Option<bool>> {
    text.chars().map(|vote| match vote {
        'y' => Some(true),
        'n' => Some(false),
        '_' => None,
        other => panic!("not a vote: {other}"),
    })
}

#[test]
fn without_voters_the_answers_are_neutral() {
    assert_eq!(committed(std::iter::empty()), u64::MAX);
    assert_eq!(vote_result(std::iter::empty()), Won);
}

#[test]
fn a_majority_commits() {
    let cases: [(&[u64], u64); 12] = [
        // Alone, and with one who has nothing.
        (&[0], 0),
        (&[12], 12),
        (&[12, 0], 0),
        (&[12, 5], 5),
        // Three: the one in the middle, whatever the order.
        (&[100, 101, 0], 100),
        (&[0, 101, 100], 100),
        (&[100, 100, 0], 100),
        (&[101, 103, 103], 103),
        // Four need three.
        (&[101, 104, 103, 103], 103),
        (&[7, 7, 1, 1], 1),
        // Five need three.
        (&[101, 104, 103, 103, 0], 103),
        (&[9, 8, 0, 0, 0], 0),
    ];
    for (matched, expected) in cases {
        assert_eq!(committed(matched.iter().copied()), expected, "{matched:?}");
    }
}

#[test]
fn a_majority_elects() {
    let cases = [
        ("_", Pending),
        ("y", Won),
        ("n", Lost),
        // With two voters one refusal is enough, and both grants are needed.
        ("y_", Pending),
        ("n_", Lost),
        ("yn", Lost),
        ("yy", Won),
        ("y__", Pending),
        ("n__", Pending),
        ("yn_", Pending),
        ("yy_", Won),
        ("nn_", Lost),
        ("yyn", Won),
        ("nyn", Lost),
        // An even split of an even group decides against the candidate.
        ("nn__", Lost),
        ("yynn", Lost),
        ("yyn_", Pending),
        ("yyyn", Won),
        ("yynn_", Pending),
        ("yyy__", Won),
        ("nnn__", Lost),
    ];
    for (text, expected) in cases {
        assert_eq!(vote_result(votes(text)), expected, "{text}");
    }
}

#[test]
fn a_joint_configuration_commits_what_both_halves_have() {
    let cases: [(&[u64], &[u64], u64); 9] = [
        // Without an outgoing half it is a plain majority; without voters nothing holds back.
        (&[100, 101, 99], &[], 100),
        (&[], &[], u64::MAX),
        // The same voters twice change nothing.
        (&[100, 101, 99], &[100, 101, 99], 100),
        // Disjoint halves: the slower one decides, on either side.
        (&[100, 101, 99], &[5, 6, 7], 6),
        (&[5, 6, 7], &[100, 101, 99], 6),
        (&[13], &[100], 13),
        (&[13], &[0], 0),
        // One voter for another, (1 2 4)&&(1 2 3): the new one alone cannot replace the old one.
        (&[10, 3, 10], &[10, 3, 0], 3),
        (&[10, 3, 0], &[10, 3, 9], 3),
    ];
    for (incoming, outgoing, expected) in cases {
        let result = joint_committed(incoming.iter().copied(), outgoing.iter().copied());
        assert_eq!(result, expected, "{incoming:?} {outgoing:?}");
    }
}

#[test]
fn a_joint_configuration_elects_with_both_halves() {
    let cases = [
        ("", "", Won),
        ("yy_", "", Won),
        ("y__", "", Pending),
        ("nn_", "", Lost),
        ("y", "y", Won),
        ("y", "_", Pending),
        ("_", "y", Pending),
        ("_", "_", Pending),
        // One half is enough to lose, even while the other is open or won.
        ("y", "n", Lost),
        ("n", "y", Lost),
        ("_", "n", Lost),
        ("nn_", "___", Lost),
        ("yyy", "nn_", Lost),
        ("yy_", "yn_", Pending),
        ("yyn", "_yy", Won),
    ];
    for (incoming, outgoing, expected) in cases {
        let result = joint_vote_result(votes(incoming), votes(outgoing));
        assert_eq!(result, expected, "{incoming:?} {outgoing:?}");
    }
}

fn members(set: u32) -> impl Iterator<Item = usize> {
    (0..u32::BITS as usize).filter(move |voter| set >> voter & 1 == 1)
}

/// The definition: more than half of `half`. An empty half wants nobody.
fn has_majority(set: u32, half: u32) -> bool {
    half == 0 || 2 * (set & half).count_ones() > half.count_ones()
}

/// Every set of voters that contains a majority of each half.
fn quorums(voters: usize, halves: [u32; 2]) -> impl Iterator<Item = u32> {
    (0..1u32 << voters).filter(move |&set| halves.iter().all(|&half| has_majority(set, half)))
}

fn grants(set: u32, half: u32) -> impl Iterator<Item = Option<bool>> {
    members(half).map(move |voter| (set >> voter & 1 == 1).then_some(true))
}

/// As the code under test sees it: with the votes of `set` alone the election is won.
fn wins(set: u32, halves: [u32; 2]) -> bool {
    joint_vote_result(grants(set, halves[0]), grants(set, halves[1])) == Won
}

const VOTERS: usize = 5;

#[test]
fn a_joint_quorum_meets_every_joint_quorum_and_every_majority_of_each_half() {
    let all = 1u32 << VOTERS;
    for incoming in 1..all {
        // An outgoing half of 0 is the plain configuration.
        for outgoing in 0..all {
            let winning: Vec<u32> = (0..all).filter(|&set| wins(set, [incoming, outgoing])).collect();
            assert!(!winning.is_empty());
            let majorities = |half: u32| (0..all).filter(move |&set| half != 0 && has_majority(set, half));
            for &set in &winning {
                for other in winning.iter().copied().chain(majorities(incoming)).chain(majorities(outgoing)) {
                    assert_ne!(set & other, 0, "{set:b} and {other:b} in {incoming:b} && {outgoing:b}");
                }
            }
        }
    }
}

/// Two halves of which the incoming one has voters, and a value for each voter.
fn joint<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = ([u32; 2], Vec<T>)> {
    let half = |from| from..1u32 << 7;
    ((half(1), half(0)), vec(value, 7))
        .prop_map(|((incoming, outgoing), values)| ([incoming, outgoing], values))
}

proptest! {
    #[test]
    fn committed_is_what_some_majority_has_reached_in_full(matched in vec(0u64..12, 1..9)) {
        let all = (1 << matched.len()) - 1;
        let reached = |set: u32| members(set).map(|voter| matched[voter]).min();
        let expected = quorums(matched.len(), [all, 0]).filter_map(reached).max();
        prop_assert_eq!(Some(committed(matched.iter().copied())), expected);
    }

    #[test]
    fn joint_committed_is_what_some_joint_quorum_has_reached_in_full((halves, matched) in joint(0u64..12)) {
        let reached = |set: u32| members(set).map(|voter| matched[voter]).min();
        let expected = quorums(matched.len(), halves).filter_map(reached).max();
        let of = |half| members(half).map(|voter| matched[voter]);
        prop_assert_eq!(Some(joint_committed(of(halves[0]), of(halves[1]))), expected);
    }

    #[test]
    fn an_election_is_decided_when_no_missing_vote_can_turn_it(
        votes in vec(option::of(any::<bool>()), 1..9),
    ) {
        let expected = decided(&votes, [(1 << votes.len()) - 1, 0]);
        prop_assert_eq!(vote_result(votes.iter().copied()), expected);
    }

    #[test]
    fn a_joint_election_is_decided_when_no_missing_vote_can_turn_it(
        (halves, votes) in joint(option::of(any::<bool>())),
    ) {
        let of = |half| members(half).map(|voter| votes[voter]);
        let result = joint_vote_result(of(halves[0]), of(halves[1]));
        prop_assert_eq!(result, decided(&votes, halves));
    }
}

/// The definition: won if it is with every missing vote refused, lost if it is with every one granted.
fn decided(votes: &[Option<bool>], halves: [u32; 2]) -> VoteResult {
    let wins = |missing: bool| {
        quorums(votes.len(), halves).any(|set| members(set).all(|voter| votes[voter].unwrap_or(missing)))
    };
    match (wins(false), wins(true)) {
        (true, _) => Won,
        (false, true) => Pending,
        (false, false) => Lost,
    }
}
