//! State machine safety (thesis, figure 3.2): no two replicas commit, and so apply, different entries at one index.
//!
//! Nor does one replica: what it knows to be committed stays in its log, or in the snapshot that takes its
//! place.

use super::ledger::{Ledger, Replica};
use super::{Invariant, LogEntry, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct StateMachineSafety;

impl StateMachineSafety {
    /// By log matching the highest index that both know decides for all below; on a difference the lowest
    /// differing index is named.
    fn check(ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        let top = now.commit.min(ledger.committed.last());
        let differs = |index: u64| match (ledger.committed.term_at(index), replica.term_at(index)) {
            (Some(committed), Some(own)) => committed != own,
            // Before the start of one of them.
            _ => false,
        };
        if !differs(top) {
            return Ok(());
        }
        let index = (replica.log_start()..top).find(|index| differs(*index)).unwrap_or(top);
        let term = |term: Option<u64>| term.unwrap_or_default();
        Err(format!(
            "replica {} commits index {index} with the entry of term {}, but the entry of term {} is committed there",
            replica.id,
            term(replica.term_at(index)),
            term(ledger.committed.term_at(index))
        ))
    }

    fn unchanged(replica: &Replica, index: u64, term: Option<u64>) -> Verdict {
        let commit = replica.state.map_or(0, |state| state.commit);
        if index > commit || term.is_some_and(|term| replica.visible.term_at(index) == Some(term)) {
            return Ok(());
        }
        let what =
            term.map_or("removes it".to_owned(), |term| format!("writes an entry of term {term} there"));
        Err(format!("replica {} has committed index {index} and {what}; its commit is {commit}", replica.id))
    }
}

impl Invariant for StateMachineSafety {
    const NAME: Check = Check::StateMachineSafety;

    #[inline]
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, _: &ReplicaState) -> Verdict {
        StateMachineSafety::unchanged(replica, entry.index, Some(entry.term))
    }

    fn log_truncated(&mut self, replica: &Replica, index: u64, _: &ReplicaState) -> Verdict {
        StateMachineSafety::unchanged(replica, index, None)
    }

    fn log_replaced(&mut self, replica: &Replica, index: u64, _: &ReplicaState) -> Verdict {
        let commit = replica.state.map_or(0, |state| state.commit);
        if index >= commit {
            return Ok(());
        }
        Err(format!(
            "replica {} has committed index {commit} and replaced its log by a snapshot up to {index}",
            replica.id
        ))
    }

    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        StateMachineSafety::check(ledger, replica, now)
    }

    #[inline]
    fn changed(
        &mut self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        if now.commit == before.commit { Ok(()) } else { StateMachineSafety::check(ledger, replica, now) }
    }
}
