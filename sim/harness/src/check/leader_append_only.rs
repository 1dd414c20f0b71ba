//! Leader append-only (thesis, figure 3.2): a leader never overwrites or deletes entries of its own log.

use super::ledger::Replica;
use super::{Invariant, LogEntry, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LeaderAppendOnly;

impl LeaderAppendOnly {
    fn check(replica: &Replica, index: u64, now: Option<&ReplicaState>) -> Verdict {
        let leads = |state: Option<&ReplicaState>| state.is_some_and(|s| s.role == Role::Leader).then(|| state.map(|s| s.term));
        // A leader before and after the event, of one term: no follower's append came in between.
        let before = leads(replica.state.as_ref());
        if before.is_none() || before != leads(now) || index > replica.visible.last() {
            return Ok(());
        }
        let term = now.map_or(0, |now| now.term);
        Err(format!(
            "replica {} leads term {term} and removed or rewrote index {index} of its own log, which ends at {}",
            replica.id,
            replica.visible.last()
        ))
    }
}

impl Invariant for LeaderAppendOnly {
    const NAME: Check = Check::LeaderAppendOnly;

    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, now: Option<&ReplicaState>) -> Verdict {
        LeaderAppendOnly::check(replica, entry.index, now)
    }

    fn log_truncated(&mut self, replica: &Replica, index: u64, now: Option<&ReplicaState>) -> Verdict {
        LeaderAppendOnly::check(replica, index, now)
    }
}
