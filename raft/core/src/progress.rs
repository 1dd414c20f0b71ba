//! What a leader knows of one peer's log, and how fast it may send.
//!
//! A peer starts in `Probe`: one append at a time, until an answer tells where the logs agree. From
//! then on it is in `Replicate`: appends leave optimistically, up to a window of unanswered ones. A
//! rejection, meaning that something was lost or reordered, sends it back to `Probe`.
//!
//! Promise: `matched < next`, and `matched` never falls during a leadership.

use std::collections::VecDeque;

/// A leader's view of one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    matched: u64,
    next: u64,
    state: ProgressState,
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
}

/// The last index of each append that was sent and not answered yet, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflights {
    last_indexes: VecDeque<u64>,
}

impl Inflights {
    /// How many appends are unanswered.
    pub fn len(&self) -> usize {
        self.last_indexes.len()
    }

    /// Whether every append was answered.
    pub fn is_empty(&self) -> bool {
        self.last_indexes.is_empty()
    }

    /// An answer up to `index` answers every append that ends there or before: they are cumulative.
    fn free_to(&mut self, index: u64) {
        while self.last_indexes.front().is_some_and(|&last| last <= index) {
            self.last_indexes.pop_front();
        }
    }
}

impl Progress {
    /// Nothing known; start looking at `next`.
    pub(crate) fn new(next: u64) -> Progress {
        assert!(next > 0, "the first index there can be is 1");
        Progress { matched: 0, next, state: ProgressState::Probe { paused: false } }
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

    /// Whether no append with entries may be sent now, given the size of the window.
    pub fn is_paused(&self, max_inflight: usize) -> bool {
        match &self.state {
            ProgressState::Probe { paused } => *paused,
            ProgressState::Replicate(inflights) => inflights.len() >= max_inflight,
        }
    }

    /// The leader's own log: durable up to `persisted`, ending at `last`.
    pub(crate) fn update_own(&mut self, persisted: u64, last: u64) {
        self.matched = persisted;
        self.next = last + 1;
    }

    /// An append with `count` entries from `next` on was sent.
    pub(crate) fn on_sent(&mut self, count: u64) {
        match &mut self.state {
            ProgressState::Probe { paused } => *paused = true,
            ProgressState::Replicate(inflights) if count > 0 => {
                self.next += count;
                inflights.last_indexes.push_back(self.next - 1);
            }
            ProgressState::Replicate(_) => {}
        }
    }

    /// The peer's log matches up to `index`. True if that says anything new.
    pub(crate) fn on_accepted(&mut self, index: u64) -> bool {
        let advanced = index > self.matched;
        if advanced {
            self.matched = index;
            self.next = self.next.max(index + 1);
        }
        match &mut self.state {
            // An answer that does not reach `matched` is an old one and proves nothing about the probe.
            ProgressState::Probe { .. } if index >= self.matched => {
                self.next = self.matched + 1;
                self.state = ProgressState::Replicate(Inflights::default());
                true
            }
            ProgressState::Probe { .. } => false,
            ProgressState::Replicate(inflights) => {
                inflights.free_to(index);
                advanced
            }
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
                self.next = self.matched + 1;
                self.state = ProgressState::Probe { paused: false };
            }
            ProgressState::Probe { .. } => {
                if rejected != self.next - 1 {
                    return false;
                }
                self.next = rejected.min(hint + 1).max(self.matched + 1);
                self.state = ProgressState::Probe { paused: false };
            }
        }
        true
    }

    /// The peer answered a heartbeat, so it can be reached: probe again.
    pub(crate) fn on_heartbeat_response(&mut self) {
        if let ProgressState::Probe { paused } = &mut self.state {
            *paused = false;
        }
    }
}
