//! Order within a replica: truncated <= applied <= commit <= last, a log without gaps, terms that never
//! fall along it, and none above the replica's own.
//!
//! The last index that a replica claims must be the last one that it wrote. Nothing is said of what is
//! durable: a replica may apply what others have made durable before its own copy is. One that is moving a snapshot into
//! its database has applied what it had applied before, which is less than the snapshot that its log follows.

use super::ledger::{Ledger, Replica};
use super::{Invariant, LogEntry, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LogOrder;

impl LogOrder {
    fn check(replica: &Replica, now: &ReplicaState) -> Verdict {
        let id = replica.id;
        let ReplicaState { truncated, applied, commit, last, .. } = *now;
        let applied_start = truncated <= applied || (replica.restoring && truncated <= commit);
        if !(applied_start && applied <= commit && commit <= last) {
            return Err(format!(
                "replica {id} breaks truncated <= applied <= commit <= last: {truncated}, {applied}, {commit}, {last}"
            ));
        }
        let written = replica.visible.last();
        if written != last {
            return Err(format!(
                "replica {id} says that its log ends at {last}, but what it wrote ends at {written}"
            ));
        }
        Ok(())
    }
}

impl Invariant for LogOrder {
    const NAME: Check = Check::LogOrder;

    #[inline]
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, now: &ReplicaState) -> Verdict {
        let (id, LogEntry { index, term, .. }) = (replica.id, entry);
        match replica.visible.term_at(index.wrapping_sub(1)) {
            None => Err(format!(
                "replica {id} writes index {index} into a log that has {} to {}",
                replica.visible.truncated() + 1,
                replica.visible.last()
            )),
            Some(before) if before > term => Err(format!(
                "replica {id} writes index {index} of term {term} after an entry of term {before}"
            )),
            Some(_) if term > now.term => {
                Err(format!("replica {id} is in term {} and writes index {index} of term {term}", now.term))
            }
            Some(_) => Ok(()),
        }
    }

    fn started(&mut self, _: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        LogOrder::check(replica, now)
    }

    #[inline]
    fn changed(&mut self, _: &Ledger, replica: &Replica, _: &ReplicaState, now: &ReplicaState) -> Verdict {
        LogOrder::check(replica, now)
    }
}
