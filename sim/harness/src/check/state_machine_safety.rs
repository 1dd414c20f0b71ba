//! State machine safety (thesis, figure 3.2): no two replicas commit, and so apply, different entries at one index.

use super::ledger::{Ledger, Replica};
use super::{Invariant, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct StateMachineSafety;

impl StateMachineSafety {
    /// By log matching the highest index that both know decides for all below; it is compared first, and
    /// on a difference the lowest differing index is named.
    fn check(ledger: &Ledger, replica: &Replica, from: u64, now: &ReplicaState) -> Verdict {
        let top = now.commit.min(ledger.committed_last());
        let differs = |index: u64| match (ledger.committed_term(index), replica.visible.term_at(index)) {
            (Some(committed), Some(own)) => committed != own,
            _ => false,
        };
        if top <= from || !differs(top) {
            return Ok(());
        }
        let index = (from + 1..=top).find(|index| differs(*index)).unwrap_or(top);
        let term = |term: Option<u64>| term.map_or("?".to_owned(), |term| term.to_string());
        Err(format!(
            "replica {} commits index {index} with the entry of term {}, but the entry of term {} is committed there",
            replica.id,
            term(replica.visible.term_at(index)),
            term(ledger.committed_term(index))
        ))
    }
}

impl Invariant for StateMachineSafety {
    const NAME: Check = Check::StateMachineSafety;

    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        StateMachineSafety::check(ledger, replica, now.truncated, now)
    }

    fn changed(&mut self, ledger: &Ledger, replica: &Replica, before: &ReplicaState, now: &ReplicaState) -> Verdict {
        if now.commit == before.commit {
            return Ok(());
        }
        StateMachineSafety::check(ledger, replica, before.commit, now)
    }
}
