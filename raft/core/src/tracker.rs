//! The members of the group, and what a candidate or leader has heard from each.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::configuration::Configuration;
use crate::progress::Progress;
use crate::quorum::{self, VoteResult};

/// Groups are small: up to this many members live inside the replica's own memory.
const INLINE: usize = 5;

/// A member of the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    id: u64,
    /// A voter of the incoming configuration, the only one unless the group is in a joint one.
    incoming: bool,
    /// A voter of the outgoing configuration.
    outgoing: bool,
}

/// Votes and progress stand at the place of their member. Votes exist only during a candidacy, progress
/// only during a leadership; otherwise they are empty.
#[derive(Clone, Debug)]
pub(crate) struct Tracker {
    configuration: Arc<Configuration>,
    /// In ascending order; learners are those that vote in neither configuration.
    members: SmallVec<[Member; INLINE]>,
    votes: SmallVec<[Option<bool>; INLINE]>,
    progress: SmallVec<[Progress; INLINE]>,
}

impl Tracker {
    pub(crate) fn new(configuration: Configuration) -> Tracker {
        let members = members(&configuration);
        Tracker {
            configuration: Arc::new(configuration),
            members,
            votes: SmallVec::new(),
            progress: SmallVec::new(),
        }
    }

    pub(crate) fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Counts by another configuration from now on. What is known of those who stay stays; nothing is known
    /// of a new member but that it could be active, or the next check for a quorum would miss it.
    pub(crate) fn reconfigure(&mut self, configuration: Configuration, next: u64) {
        let members = members(&configuration);
        let places: SmallVec<[Option<usize>; INLINE]> =
            members.iter().map(|member| self.place(member.id)).collect();
        if !self.votes.is_empty() {
            self.votes = places.iter().map(|place| place.and_then(|place| self.votes[place])).collect();
        }
        if !self.progress.is_empty() {
            let known = |place: &Option<usize>| match place {
                Some(place) => self.progress[*place].clone(),
                None => {
                    let mut progress = Progress::new(next);
                    progress.set_active();
                    progress
                }
            };
            self.progress = places.iter().map(known).collect();
        }
        self.configuration = Arc::new(configuration);
        self.members = members;
    }

    pub(crate) fn count(&self) -> usize {
        self.members.len()
    }

    /// The id of the member at a place below [`count`](Tracker::count).
    pub(crate) fn id_at(&self, place: usize) -> u64 {
        self.members[place].id
    }

    /// The place of a member. A scan, because it beats any search in so few.
    fn place(&self, id: u64) -> Option<usize> {
        self.members.iter().position(|member| member.id == id)
    }

    pub(crate) fn is_voter(&self, id: u64) -> bool {
        self.members.iter().any(|member| member.id == id && (member.incoming || member.outgoing))
    }

    pub(crate) fn contains(&self, id: u64) -> bool {
        self.place(id).is_some()
    }

    /// Forgets what belongs to the last role.
    pub(crate) fn clear(&mut self) {
        self.votes.clear();
        self.progress.clear();
    }

    /// A candidacy begins.
    pub(crate) fn start_votes(&mut self) {
        self.votes.clear();
        self.votes.resize(self.members.len(), None);
    }

    /// Counts the vote of a member; the first answer stands.
    pub(crate) fn record_vote(&mut self, id: u64, granted: bool) {
        if let Some(place) = self.place(id) {
            self.votes[place].get_or_insert(granted);
        }
    }

    pub(crate) fn vote_result(&self) -> VoteResult {
        let votes = |counts: fn(&Member) -> bool| {
            self.members
                .iter()
                .zip(&self.votes)
                .filter(move |(member, _)| counts(member))
                .map(|(_, vote)| *vote)
        };
        quorum::joint_vote_result(votes(|member| member.incoming), votes(|member| member.outgoing))
    }

    /// A leadership begins; nothing is known of anybody.
    pub(crate) fn start_progress(&mut self, next: u64) {
        self.votes.clear();
        self.progress.resize(self.members.len(), Progress::new(next));
    }

    pub(crate) fn progress(&self, id: u64) -> Option<&Progress> {
        self.progress.get(self.place(id)?)
    }

    pub(crate) fn progress_mut(&mut self, id: u64) -> Option<&mut Progress> {
        let place = self.place(id)?;
        self.progress.get_mut(place)
    }

    /// Each member and its progress; nothing unless leading.
    pub(crate) fn progresses(&self) -> impl Iterator<Item = (u64, &Progress)> {
        self.members.iter().map(|member| member.id).zip(&self.progress)
    }

    /// The highest index that a quorum holds durably.
    pub(crate) fn committed(&self) -> u64 {
        self.reached(|_, progress| progress.matched())
    }

    /// The newest round of heartbeats that a quorum has answered, `own` being the round of replica `id`.
    pub(crate) fn acked_round(&self, id: u64, own: u64) -> u64 {
        self.reached(|member, progress| if member == id { own } else { progress.acked_round() })
    }

    /// The highest number that a quorum has reached.
    fn reached(&self, number: impl Fn(u64, &Progress) -> u64 + Copy) -> u64 {
        let numbers = |counts: fn(&Member) -> bool| {
            let voters = self.members.iter().zip(&self.progress).filter(move |(member, _)| counts(member));
            voters.map(move |(member, progress)| number(member.id, progress))
        };
        if self.configuration.is_joint() {
            quorum::joint_committed(numbers(|member| member.incoming), numbers(|member| member.outgoing))
        } else {
            quorum::committed(numbers(|member| member.incoming))
        }
    }

    /// Whether a quorum, replica `id` included, was heard from since the last call.
    pub(crate) fn take_active_quorum(&mut self, id: u64) -> bool {
        self.start_votes();
        for place in 0..self.members.len() {
            let active = self.progress[place].take_active() || self.members[place].id == id;
            self.votes[place] = Some(active);
        }
        let result = self.vote_result();
        self.votes.clear();
        result == VoteResult::Won
    }
}

fn members(configuration: &Configuration) -> SmallVec<[Member; INLINE]> {
    let among = |ids: &[u64], id| ids.binary_search(&id).is_ok();
    let member = |id| Member {
        id,
        incoming: among(configuration.voters(), id),
        outgoing: among(configuration.outgoing(), id),
    };
    configuration.members().map(member).collect()
}
