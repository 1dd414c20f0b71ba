//! One vote a term (thesis, section 3.4): the durable vote of a term is given once and never changes, across crashes too.

use super::ledger::Replica;
use super::{HardState, Invariant, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct VoteOnce;

impl Invariant for VoteOnce {
    const NAME: Check = Check::VoteOnce;

    fn hard_state_durable(&mut self, replica: &Replica, hard: HardState) -> Verdict {
        let before = replica.durable;
        if hard.term < before.term {
            return Err(format!(
                "the durable term of replica {} fell from {} to {}",
                replica.id, before.term, hard.term
            ));
        }
        if hard.term == before.term && before.vote != 0 && hard.vote != before.vote {
            return Err(format!(
                "replica {} voted for {} in term {} and then made {} durable as its vote",
                replica.id, before.vote, hard.term, hard.vote
            ));
        }
        Ok(())
    }
}
