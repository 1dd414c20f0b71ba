//! Leader completeness (thesis, figure 3.2): an entry committed in a term is in the log of every leader of a higher term.
//!
//! By log matching it is enough to compare the highest such entry. Two moments can break it: an election,
//! and an old leader that commits late, from answers that were long on their way, while a newer one leads.
//!
//! Committed *in* a term is not *of* a term. In figure 3.7 the entry of term 2 is committed by the leader
//! of term 4, and the leader of term 3 never has it. That one need not even be deposed: the votes of term
//! 3 may reach it after all this.

use super::ledger::{Ledger, Replica};
use super::{Invariant, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LeaderCompleteness;

impl Invariant for LeaderCompleteness {
    const NAME: Check = Check::LeaderCompleteness;

    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        if now.role == Role::Leader { elected(ledger, replica, now.term) } else { Ok(()) }
    }

    #[inline]
    fn changed(
        &mut self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        if !now.leads_or_led(before) {
            return Ok(());
        }
        if now.takes_office_after(before) {
            elected(ledger, replica, now.term)?;
        }
        if now.commit > before.commit { committed(ledger, replica, now) } else { Ok(()) }
    }
}

fn elected(ledger: &Ledger, leader: &Replica, term: u64) -> Verdict {
    match ledger.committed.before_term(term) {
        Some((index, committed)) => complete(leader, term, index, committed),
        None => Ok(()),
    }
}

fn committed(ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
    let Some(term) = replica.term_at(now.commit) else { return Ok(()) };
    for other in &ledger.replicas {
        if let Some(state) = other.state
            && state.role == Role::Leader
            && state.term > now.term
        {
            complete(other, state.term, now.commit, term)?;
        }
    }
    Ok(())
}

fn complete(leader: &Replica, term: u64, index: u64, committed: u64) -> Verdict {
    let own = leader.visible.term_at(index);
    if index < leader.visible.truncated() || own == Some(committed) {
        return Ok(());
    }
    let has = match own {
        Some(other) => format!("it holds one of term {other} there"),
        None => format!("its log ends at {}", leader.visible.last()),
    };
    Err(format!(
        "replica {} leads term {term} without the entry of index {index} and term {committed}, \
         which was committed in an earlier term: {has}",
        leader.id
    ))
}
