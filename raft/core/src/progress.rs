//! What a leader knows of one peer's log, and how fast it may send.
//!
//! A peer starts in `Probe`: one append at a time, until an answer tells where the logs agree. From
//! then on it is in `Replicate`: appends leave optimistically, up to a window of unanswered ones. A
//! rejection, meaning that something was lost or reordered, sends it back to `Probe`. A peer that misses
//! what is truncated away here is sent a snapshot and left alone until its fate is known: `Snapshot`.
//!
//! ```text
//!               accepted                    rejected, unreachable
//!   Probe ------------------> Replicate -----------------------------> Probe
//!     |                           |
//!     +-- snapshot sent --> Snapshot -- accepted, connects to the log --> Replicate
//!                                 +---- reported finished or failed ----> Probe
//! ```
//!
//! Promise: `matched < next`, and `matched` never falls during a leadership.

use std::collections::VecDeque;

use crate::config::Config;

/// A leader's view of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    matched: u64,
    next: u64,
    state: ProgressState,
    /// The highest commit that an append since the last loss has told the peer.
    sent_commit: u64,
    /// Heard from since quorums were last checked.
    active: bool,
    /// The newest round of heartbeats that the peer answered.
    acked_round: u64,
    /// The peer asked for a snapshot at this index or later.
    requested_snapshot: Option<u64>,
    /// A snapshot is wished for on behalf of this peer, which showed life.
    awaits_snapshot: bool,
}

/// How appends to a peer are paced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// Where the logs agree is not known: send one append, then wait.
    Probe {
        /// One append was sent and neither it nor a heartbeat was answered since.
        paused: bool,
    },
    /// The logs agree up to `matched`, and what was sent since is assumed to arrive.
    Replicate(Inflights),
    /// A snapshot is on its way; no append is sent.
    Snapshot {
        /// The snapshot's index.
        pending: u64,
    },
}

/// The appends that were sent and not answered yet, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflights {
    /// Last index and bytes of data of each.
    appends: VecDeque<(u64, u64)>,
    bytes: u64,
}

impl Inflights {
    /// How many appends are unanswered.
    pub fn len(&self) -> usize {
        self.appends.len()
    }

    /// Whether every append was answered.
    pub fn is_empty(&self) -> bool {
        self.appends.is_empty()
    }

    /// Bytes of entry data in unanswered appends.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    fn is_full(&self, config: &Config) -> bool {
        self.len() >= config.max_inflight_messages || self.bytes >= config.max_inflight_bytes
    }

    fn add(&mut self, last_index: u64, bytes: u64) {
        self.appends.push_back((last_index, bytes));
        self.bytes += bytes;
    }

    /// An answer up to `index` answers every append that ends there or before: they are cumulative.
    fn free_to(&mut self, index: u64) {
        while let Some((_, bytes)) = self.appends.pop_front_if(|(last, _)| *last <= index) {
            self.bytes -= bytes;
        }
    }
}

impl Progress {
    /// Nothing known; start looking at `next`.
    pub(crate) fn new(next: u64) -> Progress {
        assert!(next > 0, "the first index there can be is 1");
        Progress {
            matched: 0,
            next,
            state: ProgressState::Probe { paused: false },
            sent_commit: 0,
            active: false,
            acked_round: 0,
            requested_snapshot: None,
            awaits_snapshot: false,
        }
    }

    /// The highest index up to which the peer's durable log is known to equal the leader's.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// The first index of the next append.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// How appends to the peer are paced.
    pub fn state(&self) -> &ProgressState {
        &self.state
    }

    /// Whether the peer was heard from since the leader last looked for a quorum.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// Whether no append with entries may be sent now, given the bounds of the window.
    pub(crate) fn is_paused(&self, config: &Config) -> bool {
        match &self.state {
            ProgressState::Probe { paused } => *paused,
            ProgressState::Replicate(inflights) => inflights.is_full(config),
            ProgressState::Snapshot { .. } => true,
        }
    }

    /// Whether an append without entries would tell the peer something, given the leader's commit: a probe
    /// asks where the logs agree, other appends tell how far they are committed.
    pub(crate) fn needs_empty_append(&self, commit: u64) -> bool {
        match self.state {
            ProgressState::Probe { paused } => !paused,
            ProgressState::Replicate(_) => commit > self.sent_commit,
            ProgressState::Snapshot { .. } => false,
        }
    }

    /// Whether the peer is known to follow, so that appends may leave optimistically.
    pub fn is_replicating(&self) -> bool {
        matches!(self.state, ProgressState::Replicate(_))
    }

    /// Whether a snapshot is on its way to the peer.
    pub fn is_receiving_snapshot(&self) -> bool {
        matches!(self.state, ProgressState::Snapshot { .. })
    }

    /// The index of the snapshot that is on its way to the peer, if one is.
    pub fn pending_snapshot(&self) -> Option<u64> {
        match self.state {
            ProgressState::Snapshot { pending } => Some(pending),
            _ => None,
        }
    }

    pub(crate) fn acked_round(&self) -> u64 {
        self.acked_round
    }

    /// The index of the snapshot that the peer asked for at least.
    pub(crate) fn requested_snapshot(&self) -> Option<u64> {
        self.requested_snapshot
    }

    /// The leader's own log: durable up to `persisted`, ending at `last`.
    pub(crate) fn update_own(&mut self, persisted: u64, last: u64) {
        self.matched = persisted;
        self.next = last + 1;
    }

    /// The peer was heard from.
    pub(crate) fn set_active(&mut self) {
        self.active = true;
    }

    /// Whether the peer was heard from since the last call.
    pub(crate) fn take_active(&mut self) -> bool {
        std::mem::take(&mut self.active)
    }

    /// An append with `count` entries, `bytes` of data in all, from `next` on was sent, with this commit.
    pub(crate) fn on_sent(&mut self, count: u64, bytes: u64, commit: u64) {
        match &mut self.state {
            ProgressState::Probe { paused } => *paused = true,
            ProgressState::Replicate(inflights) if count > 0 => {
                self.next += count;
                inflights.add(self.next - 1, bytes);
            }
            ProgressState::Replicate(_) => {}
            ProgressState::Snapshot { .. } => return,
        }
        self.sent_commit = self.sent_commit.max(commit);
    }

    /// Whether a snapshot is wished for on behalf of the peer, since it needs one and showed life.
    pub(crate) fn awaits_snapshot(&self) -> bool {
        self.awaits_snapshot
    }

    /// A snapshot is wished for on behalf of the peer.
    pub(crate) fn await_snapshot(&mut self) {
        self.awaits_snapshot = true;
    }

    /// A snapshot at `index` was sent.
    pub(crate) fn on_snapshot_sent(&mut self, index: u64) {
        self.next = index.max(self.matched) + 1;
        self.sent_commit = 0;
        self.state = ProgressState::Snapshot { pending: index };
        self.requested_snapshot = None;
        self.awaits_snapshot = false;
    }

    /// The peer's log matches up to `index`; the leader's begins at `first_index`. True if that says
    /// anything new.
    pub(crate) fn on_accepted(&mut self, index: u64, first_index: u64) -> bool {
        let advanced = index > self.matched;
        if advanced {
            self.matched = index;
            self.next = self.next.max(index + 1);
        }
        match &mut self.state {
            ProgressState::Replicate(inflights) => {
                inflights.free_to(index);
                advanced
            }
            // An answer that does not reach `matched` is an old one and proves nothing about the probe.
            ProgressState::Probe { .. } if index >= self.matched => {
                self.replicate();
                true
            }
            ProgressState::Probe { .. } => false,
            // The snapshot arrived, or what makes it superfluous: the log here goes on where the peer's
            // ends. It may be another snapshot than the pending one, sent by another leader (etcd 10308).
            ProgressState::Snapshot { pending } if index >= *pending || self.matched + 1 >= first_index => {
                self.replicate();
                true
            }
            ProgressState::Snapshot { .. } => advanced,
        }
    }

    /// The peer refused the append that follows `rejected`; its log can match up to `hint` at best. False
    /// if the answer is old and says nothing.
    pub(crate) fn on_rejected(&mut self, rejected: u64, hint: u64) -> bool {
        match self.state {
            ProgressState::Replicate(_) => {
                if rejected <= self.matched {
                    return false;
                }
                self.probe_from(self.matched + 1, false);
            }
            ProgressState::Probe { .. } => {
                if rejected != self.next - 1 {
                    return false;
                }
                self.probe_from(rejected.min(hint + 1).max(self.matched + 1), false);
            }
            ProgressState::Snapshot { .. } => return false,
        }
        true
    }

    /// The peer's state machine is damaged: it wants a snapshot at `index` or later. False if one is on
    /// its way.
    pub(crate) fn on_snapshot_requested(&mut self, index: u64) -> bool {
        if let ProgressState::Snapshot { pending } = self.state
            && pending >= index
        {
            return false;
        }
        self.requested_snapshot = Some(index);
        true
    }

    /// The peer answered a heartbeat, so it can be reached: probe again.
    pub(crate) fn on_heartbeat_response(&mut self, round: u64) {
        self.acked_round = self.acked_round.max(round);
        if let ProgressState::Probe { paused } = &mut self.state {
            *paused = false;
        }
    }

    /// The caller knows what became of the snapshot on its way. Probing waits for a sign of life: an
    /// append at once would most likely overtake the work on the snapshot.
    pub(crate) fn on_snapshot_reported(&mut self, finished: bool) {
        if let ProgressState::Snapshot { pending } = self.state {
            let next = if finished { pending.max(self.matched) + 1 } else { self.matched + 1 };
            self.probe_from(next, true);
        }
    }

    /// The caller knows that what was sent last did not arrive.
    pub(crate) fn on_unreachable(&mut self) {
        if self.is_replicating() {
            self.probe_from(self.matched + 1, false);
        }
    }

    fn probe_from(&mut self, next: u64, paused: bool) {
        self.next = next;
        self.sent_commit = 0;
        self.state = ProgressState::Probe { paused };
    }

    fn replicate(&mut self) {
        self.next = self.matched + 1;
        self.state = ProgressState::Replicate(Inflights::default());
    }
}

#[cfg(test)]
#[path = "progress_tests.rs"]
mod tests;
