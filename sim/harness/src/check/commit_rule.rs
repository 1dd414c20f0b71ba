//! The commit rule (thesis, section 3.6.2): a leader commits by counting only entries of its own term,
//! and only when a quorum of its voters holds them durably.
//!
//! Figure 3.7 of the thesis shows what goes wrong with older terms. Durable, because a quorum that can
//! forget is none (etcd issue 14370: a leader counted its own entry before it was synced). Followers may
//! learn of a commit before their own copy is durable, so only leaders are judged, and each by the voters
//! it knows of.

use super::ledger::{Ledger, Replica};
use super::{Invariant, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct CommitRule;

impl Invariant for CommitRule {
    const NAME: Check = Check::CommitRule;

    fn changed(&mut self, ledger: &Ledger, replica: &Replica, before: &ReplicaState, now: &ReplicaState) -> Verdict {
        if now.role != Role::Leader || now.commit <= before.commit {
            return Ok(());
        }
        let (index, id) = (now.commit, replica.id);
        let Some(term) = replica.visible.term_at(index) else { return Ok(()) };
        if term != now.term {
            return Err(format!("replica {id} leads term {} and commits index {index} of term {term} by counting", now.term));
        }
        let holds = |voter: &&u64| {
            ledger.replica(**voter).is_some_and(|r| {
                index <= r.durable_log.truncated() || r.durable_log.term_at(index) == Some(term)
            })
        };
        let durable = replica.voters.iter().filter(holds).count();
        let quorum = replica.voters.len() / 2 + 1;
        if durable >= quorum {
            return Ok(());
        }
        Err(format!(
            "replica {id} leads term {term} and commits index {index}, which is durable on {durable} of {} voters; a quorum is {quorum}",
            replica.voters.len()
        ))
    }
}
