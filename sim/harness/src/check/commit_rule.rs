//! The commit rule (thesis, section 3.6.2): a leader commits by counting only entries of its own term,
//! and only when a quorum of its voters holds them durably. Everybody else learns of a commit.
//!
//! Figure 3.7 of the thesis shows what goes wrong with older terms. Durable, because a quorum that can
//! forget is none (etcd issue 14370: a leader counted its own entry before it was synced). Followers may
//! learn of a commit before their own copy is durable, so only leaders are judged, and each by the voters
//! it knows of: with a configuration that takes effect when it is applied, those may differ. A joint
//! configuration needs a quorum of each of its halves (thesis, section 4.3).
//!
//! Who applies several membership changes in one event is judged by the voters before and after all of
//! them, not by those in between: a leader has at most one that is not applied (see `conf-change`).

use super::ledger::{Ledger, Members, Replica};
use super::{Invariant, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct CommitRule;

impl Invariant for CommitRule {
    const NAME: Check = Check::CommitRule;

    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        // What the log starts after was committed before anybody looked.
        if now.commit <= now.truncated { Ok(()) } else { learned(ledger, replica, now) }
    }

    #[inline]
    fn changed(
        &mut self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        // So is what a replica starts with that lived without its group's data, where nobody had it before.
        let begins = ledger.committed.last() == 0 && now.commit <= now.truncated;
        if now.commit <= before.commit || begins {
            Ok(())
        } else if now.leads_or_led(before) {
            counted(ledger, replica, now)
        } else {
            learned(ledger, replica, now)
        }
    }
}

fn learned(ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
    if now.commit <= ledger.committed.last() || ledger.committed.is_empty() {
        return Ok(());
    }
    Err(format!(
        "replica {} commits index {}, but no leader has committed more than {}",
        replica.id,
        now.commit,
        ledger.committed.last()
    ))
}

fn counted(ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
    let (index, id) = (now.commit, replica.id);
    // A commit outside of the log is for log-order to report.
    let Some(term) = replica.term_at(index) else { return Ok(()) };
    if term != now.term {
        return Err(format!(
            "replica {id} leads term {} and commits index {index} of term {term} by counting",
            now.term
        ));
    }
    // A leader that stood still, or whose answers were late, counts what another one has committed in a later term
    // since. Voters may have compacted that, or be gone with their logs; it is committed all the same.
    let by_then = ledger.committed.before_term(now.term + 1).map_or(0, |(last, _)| last);
    if by_then < index && ledger.committed.term_at(index) == Some(term) {
        return Ok(());
    }
    // Otherwise nobody can have compacted it: this leader is the first that commits an entry of its term.
    let holds = |voter: &&u64| {
        ledger.replica(**voter).is_some_and(|voter| voter.durable_log.term_at(index) == Some(term))
    };
    let durable = |voters: &[u64]| voters.iter().filter(holds).count();
    let fails = |voters: &&[u64]| durable(voters) < quorum(voters);
    // An event that applies a configuration commits before it, after it, or both.
    let ruled = |members: &Members| !members.halves().any(|voters| fails(&voters));
    if ruled(&replica.members) || replica.members_before.as_ref().is_some_and(ruled) {
        return Ok(());
    }
    let voters = replica.members.halves().find(fails).unwrap_or(&[]);
    let joint = if replica.members.is_joint() {
        format!(" of one half of {}", replica.members)
    } else {
        String::new()
    };
    Err(format!(
        "replica {id} leads term {term} and commits index {index}, which is durable on {} of {} voters{joint}; \
         a quorum is {}",
        durable(voters),
        voters.len(),
        quorum(voters)
    ))
}

fn quorum(voters: &[u64]) -> usize {
    voters.len() / 2 + 1
}
