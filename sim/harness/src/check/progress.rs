//! Progress: what a leader believes of its peers' logs is so.
//!
//! - `matched < next`: no entry is sent that is known to be there.
//! - `matched` is not above the leader's own last index, and does not fall while it leads.
//! - A peer's `matched` is durable at the peer. A leader counts its quorums by it, so this sees an answer that promised too
//!   much, or was counted for another peer or another log, before anything is committed by it.
//!
//! The last is held against what the peer made durable, and only while the peer is in no later term than the leader:
//! later leaders may replace what was not committed. A crash takes nothing durable away, so a restarted peer has what it
//! had; a snapshot takes the place of what it covers; and of a destroyed one there is what it had last.
//!
//! Where a member is removed and added again its progress starts anew, at 0. A replica in whose place another one comes
//! has another id, so that is rare: it takes a system whose replicas are named like their stores.
//!
//! # What is not covered
//! Followers that a leader has not heard of yet, and what `next` says beyond `matched`: that is no more than a guess.

use smallvec::SmallVec;

use super::ledger::{Ledger, Replica};
use super::{Invariant, PeerProgress, ReplicaState, Verdict};
use crate::scenario::ast::Check;

/// What a leader believed after the last event.
#[derive(Clone, Debug)]
struct Leadership {
    leader: u64,
    term: u64,
    applied: u64,
    matched: SmallVec<[(u64, u64); 5]>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    /// One for each replica that ever led: the last.
    leaderships: Vec<Leadership>,
}

impl Invariant for Progress {
    const NAME: Check = Check::Progress;

    fn progress(
        &mut self,
        ledger: &Ledger,
        leader: &Replica,
        now: &ReplicaState,
        peers: &[PeerProgress],
    ) -> Verdict {
        let before = self.leadership(ledger, leader.id, now.term);
        let mut same = before.matched.len() == peers.len();
        for (place, peer) in peers.iter().enumerate() {
            if peer.matched >= peer.next {
                return Err(format!(
                    "replica {} leads term {} and knows replica {} to match up to index {}, but sends {} next",
                    leader.id, now.term, peer.replica, peer.matched, peer.next
                ));
            }
            if before.matched.get(place) != Some(&(peer.replica, peer.matched)) {
                same = false;
                before.check(ledger, leader, now, peer)?;
            }
        }
        if !same {
            before.matched = peers.iter().map(|peer| (peer.replica, peer.matched)).collect();
        }
        before.applied = now.applied;
        Ok(())
    }
}

impl Progress {
    fn leadership(&mut self, ledger: &Ledger, leader: u64, term: u64) -> &mut Leadership {
        let place = self.leaderships.iter().position(|known| known.leader == leader);
        let place = place.unwrap_or_else(|| {
            self.leaderships.retain(|known| ledger.replica(known.leader).is_some());
            self.leaderships.push(Leadership { leader, term, applied: 0, matched: SmallVec::new() });
            self.leaderships.len() - 1
        });
        let known = &mut self.leaderships[place];
        if known.term != term {
            *known = Leadership { leader, term, applied: 0, matched: SmallVec::new() };
        }
        known
    }
}

impl Leadership {
    #[cold]
    fn check(&self, ledger: &Ledger, leader: &Replica, now: &ReplicaState, peer: &PeerProgress) -> Verdict {
        let PeerProgress { replica, matched, .. } = *peer;
        let believes =
            || format!("replica {} leads term {} and believes that replica {replica}", leader.id, now.term);
        if matched > now.last {
            return Err(format!(
                "{} matches up to index {matched}, but its own log ends at {}",
                believes(),
                now.last
            ));
        }
        // Removed and added again, by two changes that were applied in one event.
        let anew = matched == 0 && now.applied >= self.applied.saturating_add(2);
        let known = self.matched.iter().find(|(id, _)| *id == replica).map_or(0, |(_, matched)| *matched);
        if matched < known && !anew {
            return Err(format!("{} matches up to index {matched}; before it was {known}", believes()));
        }
        let Some(other) = ledger.replica(replica) else { return Ok(()) };
        let term = other.state.map_or(0, |state| state.term).max(other.written.term);
        if term <= now.term && matched > other.durable_log.last() {
            return Err(format!(
                "{} matches up to index {matched}, but its durable log ends at {}",
                believes(),
                other.durable_log.last()
            ));
        }
        Ok(())
    }
}
