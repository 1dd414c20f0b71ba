//! The members of the group, and what a candidate or leader has heard from each.

use smallvec::SmallVec;

use crate::progress::Progress;
use crate::quorum::{self, VoteResult};

/// Groups are small: up to this many members live inside the replica's own memory.
const INLINE: usize = 5;

/// Votes and progress stand at the place of their voter. Votes exist only during a candidacy, progress
/// only during a leadership; otherwise they are empty.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    voters: SmallVec<[u64; INLINE]>,
    votes: SmallVec<[Option<bool>; INLINE]>,
    progress: SmallVec<[Progress; INLINE]>,
}

impl Tracker {
    pub(crate) fn new(voters: &[u64]) -> Tracker {
        let mut voters = SmallVec::from_slice(voters);
        voters.sort_unstable();
        voters.dedup();
        Tracker { voters, votes: SmallVec::new(), progress: SmallVec::new() }
    }

    pub(crate) fn voters(&self) -> &[u64] {
        &self.voters
    }

    /// The place of a voter. A scan, because it beats any search in so few.
    pub(crate) fn place(&self, id: u64) -> Option<usize> {
        self.voters.iter().position(|&voter| voter == id)
    }

    /// Forgets what belongs to the last role.
    pub(crate) fn clear(&mut self) {
        self.votes.clear();
        self.progress.clear();
    }

    /// A candidacy begins.
    pub(crate) fn start_votes(&mut self) {
        self.votes.resize(self.voters.len(), None);
    }

    /// Counts the vote of a voter; the first answer stands.
    pub(crate) fn record_vote(&mut self, id: u64, granted: bool) {
        if let Some(place) = self.place(id) {
            self.votes[place].get_or_insert(granted);
        }
    }

    pub(crate) fn vote_result(&self) -> VoteResult {
        quorum::vote_result(self.votes.iter().copied())
    }

    /// A leadership begins; nothing is known of anybody.
    pub(crate) fn start_progress(&mut self, next: u64) {
        self.votes.clear();
        self.progress.resize(self.voters.len(), Progress::new(next));
    }

    pub(crate) fn progress(&self, id: u64) -> Option<&Progress> {
        self.progress.get(self.place(id)?)
    }

    pub(crate) fn progress_mut(&mut self, id: u64) -> Option<&mut Progress> {
        let place = self.place(id)?;
        self.progress.get_mut(place)
    }

    /// Each voter and its progress; nothing unless leading.
    pub(crate) fn progresses(&self) -> impl Iterator<Item = (u64, &Progress)> {
        self.voters.iter().copied().zip(&self.progress)
    }

    /// The highest index that a majority holds durably.
    pub(crate) fn committed(&self) -> u64 {
        quorum::committed(self.progress.iter().map(Progress::matched))
    }
}
