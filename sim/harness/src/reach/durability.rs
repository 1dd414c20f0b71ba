//! Situations of crashes: what they took, and when they came.

use raftsim_kernel::{Duration, NodeId, Time};

use super::{Reach, ReachSet, situations, snapshots};
use crate::check::{OnDisk, Role};

/// A store that crashes so soon after it started has had no time to settle.
const SOON: Duration = Duration::secs(1);

situations! { from super::regions::END;
    VOTE_LOST, "vote-lost", "a crash took a vote that was not durable";
    TERM_LOST, "term-lost", "a crash took a term that was not durable";
    ENTRIES_LOST, "entries-lost", "a crash took log entries that were not durable";
    APPLIED_LOST, "applied-lost", "a crash took what had been applied, and the log replayed it";
    LEADER_CRASHED, "leader-crashed", "a leader crashed";
    LEADER_CRASHED_WITH_A_TAIL, "leader-crashed-with-tail", "a leader crashed with entries that were not committed";
    CANDIDATE_CRASHED, "candidate-crashed", "a candidate crashed";
    CRASHED_IN_JOINT, "crashed-in-joint", "a store crashed in a joint configuration";
    CRASHED_SOON, "crashed-soon", "a store crashed within a second of its start";
    MAJORITY_DOWN, "majority-down", "a majority of the stores was down at once";
    ALL_DOWN, "all-down", "all stores were down at once";
    CAME_BACK_TO_A_NEW_LEADER, "came-back-to-new-leader", "a store that led came back when another one led";
}

impl Reach {
    /// A store started.
    pub(crate) fn started(&mut self, node: NodeId, time: Time) {
        let store = &mut self.stores[node.0 as usize];
        store.started = Some(time);
        store.lives += 1;
        let earlier = store.lives - 1;
        let bit = 1u64.checked_shl(node.0).unwrap_or(0);
        let replaced = |(leader, _): (NodeId, u32)| leader != node;
        let came_back = self
            .regions
            .iter()
            .any(|(_, region)| region.leaders & bit != 0 && region.leader.is_some_and(replaced));
        self.met_if(earlier > 0 && came_back, CAME_BACK_TO_A_NEW_LEADER);
    }

    /// A store crashed. `on_disk` tells what is left of a region's replica there.
    pub(crate) fn crashed(&mut self, node: NodeId, time: Time, on_disk: impl Fn(u64) -> OnDisk) {
        let store = &self.stores[node.0 as usize];
        let Some(started) = store.started else { return };
        let mut met = ReachSet::default();
        let mut note = |is_so: bool, situation| {
            if is_so {
                met.insert(situation);
            }
        };
        note(time.since(started) < SOON && store.lives > 1, CRASHED_SOON);
        note(store.receiving(time).is_some(), snapshots::RECEIVER_CRASHED);
        for (region, seen) in store.replicas() {
            let (state, left) = (&seen.state, on_disk(region));
            note(seen.applying, snapshots::CRASHED_WHILE_APPLYING);
            note(seen.joint, CRASHED_IN_JOINT);
            note(seen.leads(), LEADER_CRASHED);
            note(seen.leads() && state.last > state.commit, LEADER_CRASHED_WITH_A_TAIL);
            note(state.role == Role::Candidate, CANDIDATE_CRASHED);
            note(left.hard.term < state.term, TERM_LOST);
            note(state.vote != 0 && (left.hard.term, left.hard.vote) != (state.term, state.vote), VOTE_LOST);
            note(left.log.last() < state.last, ENTRIES_LOST);
            note(left.applied < state.applied, APPLIED_LOST);
        }
        let mut receiving = self.stores.iter().filter_map(|store| store.receiving(time));
        note(receiving.any(|(_, from)| from == node), snapshots::SENDER_CRASHED);
        self.set = self.set.union(met);
        self.stores[node.0 as usize].ends();
        let down = self.stores.iter().filter(|store| store.started.is_none()).count();
        self.met_if(down * 2 > self.stores.len(), MAJORITY_DOWN);
        self.met_if(down == self.stores.len() && down > 1, ALL_DOWN);
    }
}
