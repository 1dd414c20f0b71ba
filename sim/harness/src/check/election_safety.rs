//! Election safety (thesis, figure 3.2): at most one leader is elected in a term.
//!
//! Over all time, not only at one moment: a second leader of a term is a violation even if the first one
//! is long gone.

use im::OrdMap;

use super::ledger::{Ledger, Replica};
use super::{Invariant, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct ElectionSafety {
    leader_of: OrdMap<u64, u64>,
}

impl Invariant for ElectionSafety {
    const NAME: Check = Check::ElectionSafety;

    fn changed(&mut self, _: &Ledger, replica: &Replica, before: &ReplicaState, now: &ReplicaState) -> Verdict {
        if now.role != Role::Leader || (before.role == Role::Leader && before.term == now.term) {
            return Ok(());
        }
        let leader = *self.leader_of.entry(now.term).or_insert(replica.id);
        if leader == replica.id {
            return Ok(());
        }
        Err(format!("replicas {leader} and {} were both elected leader in term {}", replica.id, now.term))
    }
}
