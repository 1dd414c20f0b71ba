//! Majority arithmetic, and nothing else: it knows neither logs nor messages.
//!
//! Sort what every voter has acknowledged; the value at the place where a majority stands at or above it
//! is what the group has agreed on (thesis 3.5, 3.6.2). The answers for a group without voters are the
//! neutral ones, so a plain configuration is a joint one (thesis 4.3) whose outgoing half is empty.

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

/// The highest index that both halves of a joint configuration have committed (thesis 4.3). An empty
/// outgoing half, which is no joint configuration, does not count.
pub(crate) fn joint_committed(
    incoming: impl Iterator<Item = u64>,
    outgoing: impl Iterator<Item = u64>,
) -> u64 {
    committed(incoming).min(committed(outgoing))
}

/// Where an election stands that both halves of a joint configuration must grant.
pub(crate) fn joint_vote_result(
    incoming: impl Iterator<Item = Option<bool>>,
    outgoing: impl Iterator<Item = Option<bool>>,
) -> VoteResult {
    match (vote_result(incoming), vote_result(outgoing)) {
        (VoteResult::Lost, _) | (_, VoteResult::Lost) => VoteResult::Lost,
        (VoteResult::Won, VoteResult::Won) => VoteResult::Won,
        _ => VoteResult::Pending,
    }
}

#[cfg(test)]
#[path = "quorum_tests.rs"]
mod tests;
