//! Who waits for which log entry.
//!
//! A proposal has the id of the entry that it became. When an entry is applied, every proposal that is
//! ordered before it, by term and then index, is lost: in a log both only grow, so an entry of a lower
//! term can no longer come, nor one of the same term and a lower index. That holds too when the replica
//! lost its leadership and won another: the later term's proposals may have lower indexes.
//!
//! A proposal is not answered when leadership is lost: its entry may still commit, and only the
//! log can tell.

use std::collections::VecDeque;

use raft::EntryId;

use crate::engine::RequestId;

/// The proposals of one replica that are not applied yet, in order of term and index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Proposals {
    queue: VecDeque<(EntryId, RequestId)>,
}

impl Proposals {
    /// Remembers that `request` waits for `entry`.
    pub(crate) fn push(&mut self, entry: EntryId, request: RequestId) {
        if let Some(&(last, _)) = self.queue.back() {
            assert!(last < entry, "proposed {entry:?} after {last:?}");
        }
        self.queue.push_back((entry, request));
    }

    /// Takes out all of them.
    pub(crate) fn take_all(&mut self) -> Vec<RequestId> {
        self.queue.drain(..).map(|(_, request)| request).collect()
    }

    /// Takes out the next proposal that the applied `entry` decides: to be called until `None`. True:
    /// `entry` is the proposal's own. False: the proposal is lost.
    pub(crate) fn resolve(&mut self, entry: EntryId) -> Option<(RequestId, bool)> {
        let (proposed, request) = *self.queue.front().filter(|&&(proposed, _)| proposed <= entry)?;
        self.queue.pop_front();
        Some((request, proposed == entry))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(term: u64, index: u64) -> EntryId {
        EntryId { term, index }
    }

    fn resolve(proposals: &mut Proposals, entry: EntryId) -> Vec<(u64, bool)> {
        std::iter::from_fn(|| proposals.resolve(entry)).map(|(request, own)| (request.0, own)).collect()
    }

    #[test]
    fn a_match_needs_index_and_term() {
        let mut proposals = Proposals::default();
        proposals.push(id(2, 10), RequestId(1));
        proposals.push(id(2, 11), RequestId(2));
        assert_eq!(resolve(&mut proposals, id(2, 9)), []);
        assert_eq!(resolve(&mut proposals, id(2, 10)), [(1, true)]);
        // Same index, other term.
        assert_eq!(resolve(&mut proposals, id(3, 11)), [(2, false)]);
    }

    #[test]
    fn a_later_leadership_may_propose_at_lower_indexes() {
        let mut proposals = Proposals::default();
        for (entry, request) in [(id(2, 10), 1), (id(2, 11), 2), (id(2, 12), 3), (id(5, 11), 4)] {
            proposals.push(entry, RequestId(request));
        }
        assert_eq!(resolve(&mut proposals, id(2, 10)), [(1, true)]);
        // (2, 12) has a higher index, but after an entry of term 5 nothing of term 2 can follow.
        assert_eq!(resolve(&mut proposals, id(5, 11)), [(2, false), (3, false), (4, true)]);
    }

    #[test]
    #[should_panic(expected = "after")]
    fn proposals_come_in_order() {
        let mut proposals = Proposals::default();
        proposals.push(id(2, 10), RequestId(1));
        proposals.push(id(2, 10), RequestId(2));
    }
}
