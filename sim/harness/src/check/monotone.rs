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
            return Err(format!("replica {id} restarted in term {}, but its disk holds term {}", now.term, replica.durable.term));
        }
        if now.applied < replica.durable_applied {
            return Err(format!(
                "replica {id} restarted with applied index {}, but its disk holds the effects of {}",
                now.applied, replica.durable_applied
            ));
        }
        Ok(())
    }

    fn changed(
        &mut self,
        _: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        for (what, before, now) in
            [("term", before.term, now.term), ("commit", before.commit, now.commit), ("applied", before.applied, now.applied)]
        {
            if now < before {
                return Err(format!("{what} of replica {} fell from {before} to {now}", replica.id));
            }
        }
        if now.term == before.term && before.vote != 0 && now.vote != before.vote {
            return Err(format!("replica {} changed its vote in term {} from {} to {}", replica.id, now.term, before.vote, now.vote));
        }
        Ok(())
    }
}
