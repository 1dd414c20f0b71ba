//! Log matching (thesis, figure 3.2): entries of the same index and term are the same, and so is all before them.
//!
//! By induction it is enough that they agree on what they say and on the term before them.

use super::ledger::Replica;
use super::replica::{Canonical, CanonicalLog};
use super::{Invariant, LogEntry, ReplicaState, Verdict};
use crate::scenario::ast::Check;

#[derive(Clone, Debug, Default)]
pub(crate) struct LogMatching {
    /// Survives compaction and crashes: an entry is held to the first one ever seen at its place.
    canonical: CanonicalLog,
}

impl Invariant for LogMatching {
    const NAME: Check = Check::LogMatching;

    #[inline]
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, _: &ReplicaState) -> Verdict {
        // A gap is for log-order to report.
        let Some(previous_term) = replica.visible.term_at(entry.index.wrapping_sub(1)) else { return Ok(()) };
        let LogEntry { index, term, digest, .. } = entry;
        let seen = Canonical { term, digest, previous_term };
        let first = self.canonical.get_or_insert(index, seen);
        if first == seen {
            return Ok(());
        }
        let id = replica.id;
        Err(if first.digest != digest {
            format!(
                "replica {id} holds an entry of index {index} and term {term} that differs from an earlier one"
            )
        } else {
            format!(
                "replica {id} has an entry of index {index} and term {term} after one of term {previous_term}; \
                 elsewhere it comes after one of term {}",
                first.previous_term
            )
        })
    }
}
