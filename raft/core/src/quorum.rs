//! Majority arithmetic, and nothing else: it knows neither logs nor messages.
//!
//! Sort what every voter has acknowledged; the value at the place where a majority stands at or above it
//! is what the group has agreed on (thesis 3.5, 3.6.2). The answers for a group without voters are the
//! neutral ones, so that a joint configuration (thesis 4.3) is the minimum of its two halves.

use smallvec::SmallVec;

/// Where an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VoteResult {
    /// Either side may still win.
    Pending,
    /// A majority granted.
    Won,
    /// A majority can no longer grant.
    Lost,
}

/// The least number of voters that any two such sets have one in common.
pub(crate) fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

/// The highest index that a majority has reached, given the index of each voter; `u64::MAX` for none.
pub(crate) fn committed(matched: impl Iterator<Item = u64>) -> u64 {
    // On the stack up to seven voters: this runs on every acknowledgement.
    let mut sorted: SmallVec<[u64; 7]> = matched.collect();
    sorted.sort_unstable();
    match sorted.len() {
        0 => u64::MAX,
        voters => sorted[voters - majority(voters)],
    }
}

/// Counts votes; `None` is a voter that did not answer yet. Without voters everybody agrees.
pub(crate) fn vote_result(votes: impl Iterator<Item = Option<bool>>) -> VoteResult {
    let (mut voters, mut granted, mut missing) = (0, 0, 0);
    for vote in votes {
        voters += 1;
        granted += usize::from(vote == Some(true));
        missing += usize::from(vote.is_none());
    }
    if voters == 0 || granted >= majority(voters) {
        VoteResult::Won
    } else if granted + missing >= majority(voters) {
        VoteResult::Pending
    } else {
        VoteResult::Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_voters_the_answers_are_neutral() {
        assert_eq!(committed(std::iter::empty()), u64::MAX);
        assert_eq!(vote_result(std::iter::empty()), VoteResult::Won);
    }

    /// Every subset of the voters that is more than half of them.
    fn majorities(voters: usize) -> impl Iterator<Item = u32> {
        (0..1u32 << voters).filter(move |set| 2 * set.count_ones() as usize > voters)
    }

    proptest! {
        #[test]
        fn committed_is_what_some_majority_has_reached_in_full(
            matched in proptest::collection::vec(0u64..12, 1..9),
        ) {
            let reached = |set: u32| {
                (0..matched.len()).filter(|voter| set >> voter & 1 == 1).map(|voter| matched[voter]).min()
            };
            let expected = majorities(matched.len()).filter_map(reached).max();
            prop_assert_eq!(Some(committed(matched.iter().copied())), expected);
        }

        #[test]
        fn an_election_is_decided_when_no_missing_vote_can_turn_it(
            votes in proptest::collection::vec(proptest::option::of(any::<bool>()), 1..9),
        ) {
            let wins = |missing: bool| {
                majorities(votes.len()).any(|set| {
                    (0..votes.len()).all(|voter| set >> voter & 1 == 0 || votes[voter].unwrap_or(missing))
                })
            };
            let expected = match (wins(false), wins(true)) {
                (true, _) => VoteResult::Won,
                (false, true) => VoteResult::Pending,
                (false, false) => VoteResult::Lost,
            };
            prop_assert_eq!(vote_result(votes.iter().copied()), expected);
        }
    }
}
