//! Monotone: term, commit and applied never go backwards within a life, and a restart starts from what is durable.

use super::ledger::{Ledger, Replica};
use super::{Invariant, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct Monotone;

impl Invariant for Monotone {
    const NAME: Check = Check::Monotone;

    fn started(&mut self, _: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        let id = replica.id;
        if now.term < replica.durable.term {
            return Err(format!(
                "replica {id} restarted in term {}, but its disk holds term {}",
                now.term, replica.durable.term
            ));
        }
        if now.applied < replica.durable_applied {
            return Err(format!(
                "replica {id} restarted with applied index {}, but its disk holds the effects of {}",
                now.applied, replica.durable_applied
            ));
        }
        Ok(())
    }

    #[inline]
    fn changed(
        &mut self,
        _: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        let same_term = now.term == before.term;
        if now.term >= before.term
            && now.commit >= before.commit
            && now.applied >= before.applied
            && (!same_term || now.vote == before.vote || before.vote == 0)
        {
            return Ok(());
        }
        Err(went_back(replica.id, before, now))
    }
}

#[cold]
fn went_back(id: u64, before: &ReplicaState, now: &ReplicaState) -> String {
    let numbers = [
        ("term", before.term, now.term),
        ("commit", before.commit, now.commit),
        ("applied index", before.applied, now.applied),
    ];
    match numbers.into_iter().find(|(_, before, now)| now < before) {
        Some((what, before, now)) => format!("the {what} of replica {id} fell from {before} to {now}"),
        None => {
            format!("replica {id} changed its vote in term {} from {} to {}", now.term, before.vote, now.vote)
        }
    }
}
