//! Membership changes come one at a time, and neighbouring configurations share a quorum (thesis, chapter 4).
//!
//! - A leader appends no change while an earlier one of its log is not committed, the one that leaves a joint
//!   configuration included: two that overlap may add up to configurations without a common quorum.
//! - Nor before an entry of its own term is committed. Otherwise the change of a deposed leader may come
//!   back and overlap (Ongaro, "bug in single-server membership changes", raft-dev, 2015).
//! - From one configuration to the next, at most one voter comes or goes, or the next is joint and comes from
//!   the present one, or the present one is joint and the next is what it leads to.
//! - A configuration is a function of the log: who has applied the same changes counts the same voters. That
//!   covers what the rule before cannot see: a boot, a snapshot, several changes in one event.
//!
//! A leader that leaves the judgement of changes to whoever applies them breaks the first two: then this check
//! is to be left out.
//!
//! # What is not covered
//! Learners: they are in no quorum. That a change does what it says: the check does not read entries.
//! Changes that were in a log before anybody looked. Neighbours where one event applies several changes.

use im::{OrdMap, OrdSet};

use super::ledger::{Ledger, Members, Replica};
use super::{Invariant, LogEntry, ReplicaState, Role, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct ConfChange {
    /// Index and term of every change that any log ever held.
    changes: OrdSet<(u64, u64)>,
    /// The highest index among them.
    newest: u64,
    /// The voters after the change at an index, as the first replica had them; at 0 those before any change.
    after: OrdMap<u64, Members>,
}

impl Invariant for ConfChange {
    const NAME: Check = Check::ConfChange;

    #[inline]
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, now: &ReplicaState) -> Verdict {
        if entry.conf_change { self.change_written(replica, entry, now) } else { Ok(()) }
    }

    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        if replica.restoring { Ok(()) } else { self.same_as_others(ledger, replica, now.applied) }
    }

    #[inline]
    fn changed(
        &mut self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        // The membership of a snapshot counts once its data is there.
        if replica.restoring
            || !replica.restored
                && replica.members_before.is_none()
                && (now.applied == before.applied || before.applied >= self.newest)
        {
            return Ok(());
        }
        self.applied(ledger, replica, before, now)
    }
}

impl ConfChange {
    #[cold]
    fn change_written(&mut self, replica: &Replica, entry: LogEntry, now: &ReplicaState) -> Verdict {
        let LogEntry { index, term, .. } = entry;
        let pending =
            self.newest_in(None, replica, index.saturating_sub(1)).filter(|index| *index > now.commit);
        self.changes.insert((index, term));
        self.newest = self.newest.max(index);
        // The leader of a term makes its entries, and nobody else.
        let leads = |state: &ReplicaState| state.role == Role::Leader && state.term == term;
        if !leads(now) && !replica.state.as_ref().is_some_and(leads) {
            return Ok(());
        }
        let id = replica.id;
        if let Some(pending) = pending {
            return Err(format!(
                "replica {id} leads term {term} and appends a membership change at index {index}, while the \
                 one at index {pending} is not committed: its commit is {}",
                now.commit
            ));
        }
        match replica.visible.term_at(now.commit) {
            Some(committed) if committed == term => Ok(()),
            committed => Err(format!(
                "replica {id} leads term {term} and appends a membership change at index {index}, but no \
                 entry of its own term is committed: its commit is {}, of term {}",
                now.commit,
                committed.unwrap_or_default()
            )),
        }
    }

    fn applied(
        &mut self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        if let Some(old) = &replica.members_before
            && !old.incoming.is_empty()
            && !replica.restored
            && !self.several_applied(ledger, replica, before, now)
            && !are_neighbours(old, &replica.members)
        {
            return Err(format!(
                "replica {} goes from voters {old} to {} with index {}: they need not share a quorum",
                replica.id, replica.members, now.applied
            ));
        }
        self.same_as_others(ledger, replica, now.applied)
    }

    /// Whether more than one change was applied in an event, or nobody knows.
    fn several_applied(
        &self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> bool {
        let newest_up_to = |index| self.newest_in(Some(ledger), replica, index);
        let previous = newest_up_to(now.applied).and_then(|last| newest_up_to(last.saturating_sub(1)));
        previous.is_none_or(|index| index > before.applied)
    }

    /// Who has applied the same changes counts the same voters.
    fn same_as_others(&mut self, ledger: &Ledger, replica: &Replica, applied: u64) -> Verdict {
        let members = &replica.members;
        // One without voters is a replica that has not been told of its group yet.
        if members.incoming.is_empty() {
            return Ok(());
        }
        let Some(change) = self.newest_in(Some(ledger), replica, applied) else { return Ok(()) };
        let first = self.after.entry(change).or_insert_with(|| members.clone());
        if first == members {
            return Ok(());
        }
        let last_change = match change {
            0 => "before any membership change".to_owned(),
            change => format!("after the membership change at index {change}"),
        };
        Err(format!(
            "replica {} has applied index {applied} and counts voters {members}, \
             but {last_change} they are {first}",
            replica.id
        ))
    }

    /// The index of the newest change up to `up_to` in a replica's log and in what stands before its start:
    /// 0 if there is none, `None` if that is not known.
    fn newest_in(&self, ledger: Option<&Ledger>, replica: &Replica, up_to: u64) -> Option<u64> {
        for &(index, term) in self.changes.range(..=(up_to, u64::MAX)).rev() {
            let own = replica.visible.term_at(index);
            let there = own.or_else(|| ledger?.committed.term_at(index))?;
            if there == term {
                return Some(index);
            }
        }
        Some(0)
    }
}

/// Whether every quorum of the one meets every quorum of the other, as the thesis makes sure of.
fn are_neighbours(old: &Members, new: &Members) -> bool {
    let missing =
        |from: &Members, to: &Members| from.incoming.iter().filter(|id| !to.incoming.contains(id)).count();
    match (old.is_joint(), new.is_joint()) {
        (false, false) => missing(old, new) + missing(new, old) <= 1,
        (false, true) => new.outgoing == old.incoming,
        (true, false) => new.incoming == old.incoming,
        (true, true) => false,
    }
}
