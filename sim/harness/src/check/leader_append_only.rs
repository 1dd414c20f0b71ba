//! Leader append-only (thesis, figure 3.2): a leader never overwrites or deletes entries of its own log.
//!
//! Compaction takes entries from the log's start, and is none of this check's business. A snapshot in the
//! place of the log is.

use super::ledger::Replica;
use super::{Invariant, LogEntry, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LeaderAppendOnly;

impl LeaderAppendOnly {
    /// Whether it was leader before and after the event, of one term: no follower's append came in between.
    fn leads(replica: &Replica, now: &ReplicaState) -> bool {
        now.role == Role::Leader && !replica.state.is_none_or(|before| now.takes_office_after(&before))
    }

    fn check(replica: &Replica, index: u64, now: &ReplicaState) -> Verdict {
        if index > replica.visible.last() || !LeaderAppendOnly::leads(replica, now) {
            return Ok(());
        }
        Err(format!(
            "replica {} leads term {} and removed or rewrote index {index} of its own log, which ends at {}",
            replica.id,
            now.term,
            replica.visible.last()
        ))
    }
}

impl Invariant for LeaderAppendOnly {
    const NAME: Check = Check::LeaderAppendOnly;

    #[inline]
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, now: &ReplicaState) -> Verdict {
        LeaderAppendOnly::check(replica, entry.index, now)
    }

    fn log_truncated(&mut self, replica: &Replica, index: u64, now: &ReplicaState) -> Verdict {
        LeaderAppendOnly::check(replica, index, now)
    }

    fn log_replaced(&mut self, replica: &Replica, index: u64, now: &ReplicaState) -> Verdict {
        if !LeaderAppendOnly::leads(replica, now) {
            return Ok(());
        }
        Err(format!(
            "replica {} leads term {} and replaced its own log by a snapshot up to index {index}",
            replica.id, now.term
        ))
    }
}
