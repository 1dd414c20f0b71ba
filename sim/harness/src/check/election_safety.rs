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

impl ElectionSafety {
    fn elected(&mut self, replica: &Replica, term: u64) -> Verdict {
        let leader = *self.leader_of.entry(term).or_insert(replica.id);
        if leader == replica.id {
            return Ok(());
        }
        Err(format!("replicas {leader} and {} were both elected leader in term {term}", replica.id))
    }
}

impl Invariant for ElectionSafety {
    const NAME: Check = Check::ElectionSafety;

    fn started(&mut self, _: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        if now.role == Role::Leader { self.elected(replica, now.term) } else { Ok(()) }
    }

    #[inline]
    fn changed(
        &mut self,
        _: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        if now.takes_office_after(before) { self.elected(replica, now.term) } else { Ok(()) }
    }
}
