//! Order within a replica: truncated <= applied <= commit <= last, a log without gaps, terms that never fall along it.
//!
//! The last index that a replica claims must be the last one that it wrote.

use super::ledger::{Ledger, Replica};
use super::{Invariant, LogEntry, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LogOrder;

impl LogOrder {
    fn check(replica: &Replica, now: &ReplicaState) -> Verdict {
        let id = replica.id;
        let ReplicaState { truncated, applied, commit, last, .. } = *now;
        if !(truncated <= applied && applied <= commit && commit <= last) {
            return Err(format!(
                "replica {id} breaks truncated <= applied <= commit <= last: {truncated}, {applied}, {commit}, {last}"
            ));
        }
        let written = replica.visible.last();
        if written != last {
            return Err(format!("replica {id} says that its log ends at {last}, but what it wrote ends at {written}"));
        }
        Ok(())
    }
}

impl Invariant for LogOrder {
    const NAME: Check = Check::LogOrder;

    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, _: Option<&ReplicaState>) -> Verdict {
        let (id, index) = (replica.id, entry.index);
        match replica.visible.term_at(index - 1) {
            None => Err(format!("replica {id} writes index {index} into a log that ends at {}", replica.visible.last())),
            Some(before) if before > entry.term => {
                Err(format!("replica {id} writes index {index} of term {} after an entry of term {before}", entry.term))
            }
            Some(_) => Ok(()),
        }
    }

    fn started(&mut self, _: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        LogOrder::check(replica, now)
    }

    fn changed(&mut self, _: &Ledger, replica: &Replica, _: &ReplicaState, now: &ReplicaState) -> Verdict {
        LogOrder::check(replica, now)
    }
}
