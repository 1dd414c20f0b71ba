//! Situations of logs and their replication.

use raftsim_kernel::NodeId;
use smallvec::SmallVec;

use super::{Reach, Step, situations};
use crate::check::LogEntry;

/// So many entries are many.
pub(super) const MANY: u64 = 20;

situations! { from super::elections::END;
    ENTRY_OVERWRITTEN, "entry-overwritten", "a new leader's entries took the place of others";
    CHANGE_OVERWRITTEN, "change-overwritten", "a membership change was overwritten before it was committed";
    MANY_UNCOMMITTED, "many-uncommitted", "a leader had twenty entries that it did not know to be committed";
    CAUGHT_UP_AT_ONCE, "caught-up-at-once", "a replica's commit index rose by twenty or more at once";
    COMPACTED, "compacted", "a log was compacted";
    COMPACTED_PAST_A_FOLLOWER, "compacted-past-a-follower", "a leader's log was compacted past the end of a follower's";
    COMPACTED_WHILE_ONE_WAS_DOWN, "compacted-while-one-was-down", "a log was compacted while a store with a replica was down";
    APPEND_REFUSED, "append-refused", "a follower refused an append that did not fit its log";
    OLD_TERM_HEARD, "old-term-heard", "a message of an earlier term arrived";
    DEPOSED_LEADER_HEARD, "deposed-leader-heard", "an append or heartbeat of a deposed leader arrived";
}

pub(super) fn replica(reach: &mut Reach, step: &Step) {
    let (now, state) = (&step.now, &step.now.state);
    reach.met_if(now.leads() && state.last - state.commit >= MANY, MANY_UNCOMMITTED);
    let Some(before) = step.before else { return };
    reach.met_if(!step.restored() && state.commit >= before.state.commit + MANY, CAUGHT_UP_AT_ONCE);
    if state.truncated > before.state.truncated && !step.restored() {
        reach.met(COMPACTED);
        if now.leads() {
            let others: SmallVec<[_; 8]> = reach.others(step).collect();
            for (place, other) in others {
                let down = reach.stores[place].started.is_none();
                reach.met_if(down, COMPACTED_WHILE_ONE_WAS_DOWN);
                reach.met_if(
                    other.initialized && other.state.last < state.truncated,
                    COMPACTED_PAST_A_FOLLOWER,
                );
            }
        }
    }
}

/// A replica wrote an entry.
#[inline]
pub(super) fn entry(reach: &mut Reach, node: NodeId, region: u64, entry: &LogEntry) {
    let Some(seen) = reach.stores[node.0 as usize].replica_mut(region) else { return };
    let overwrites = entry.index <= seen.state.last && entry.index > seen.state.truncated;
    let change = overwrites && entry.index <= seen.change;
    if entry.conf_change {
        seen.change = entry.index;
    } else if change {
        seen.change = 0;
    }
    if overwrites {
        reach.met(ENTRY_OVERWRITTEN);
        reach.met_if(change, CHANGE_OVERWRITTEN);
    }
}

/// A replica removed an entry.
pub(super) fn removed(reach: &mut Reach, node: NodeId, region: u64, index: u64) {
    let Some(seen) = reach.stores[node.0 as usize].replica_mut(region) else { return };
    // What compaction takes away was committed.
    if index <= seen.state.commit {
        return;
    }
    let change = index <= seen.change;
    if change {
        seen.change = 0;
    }
    reach.met(ENTRY_OVERWRITTEN);
    reach.met_if(change, CHANGE_OVERWRITTEN);
}
