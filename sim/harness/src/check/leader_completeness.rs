//! Leader completeness (thesis, figure 3.2): an entry committed in a term is in the log of every leader of a higher term.
//!
//! By log matching it is enough to compare the highest such entry. Two moments can break it: an election,
//! and an old leader that commits late, from answers that were long on their way, while a newer one leads.

use super::ledger::{Ledger, Replica};
use super::{Invariant, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LeaderCompleteness;

impl Invariant for LeaderCompleteness {
    const NAME: Check = Check::LeaderCompleteness;

    fn changed(&mut self, ledger: &Ledger, replica: &Replica, before: &ReplicaState, now: &ReplicaState) -> Verdict {
        if now.role == Role::Leader && (before.role != Role::Leader || before.term != now.term) {
            if let Some(entry) = ledger.last_committed_before(now.term) {
                complete(replica, now.term, entry.index, entry.term)?;
            }
        }
        if now.commit > before.commit && now.commit > ledger.committed_last() {
            if let Some(term) = replica.visible.term_at(now.commit) {
                for other in &ledger.replicas {
                    let Some(state) = other.state.filter(|s| s.role == Role::Leader && s.term > term) else { continue };
                    if other.id != replica.id {
                        complete(other, state.term, now.commit, term)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn complete(leader: &Replica, term: u64, index: u64, committed: u64) -> Verdict {
    if index <= leader.visible.truncated() || leader.visible.term_at(index) == Some(committed) {
        return Ok(());
    }
    let has = match leader.visible.term_at(index) {
        Some(other) => format!("holds one of term {other} there"),
        None => format!("its log ends at {}", leader.visible.last()),
    };
    Err(format!(
        "replica {} leads term {term} without the entry of index {index} and term {committed}, which is committed: {has}",
        leader.id
    ))
}
