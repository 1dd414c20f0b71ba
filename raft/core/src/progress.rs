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

    /// Whether the peer is known to follow, so that appends may leave optimistically.
    pub fn is_replicating(&self) -> bool {
        matches!(self.state, ProgressState::Replicate(_))
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

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: usize = 2;

    fn probing(next: u64) -> Progress {
        Progress::new(next)
    }

    fn replicating(matched: u64) -> Progress {
        let mut progress = Progress::new(matched + 1);
        assert!(progress.on_accepted(matched));
        progress
    }

    fn inflight(progress: &Progress) -> usize {
        match progress.state() {
            ProgressState::Replicate(inflights) => inflights.len(),
            ProgressState::Probe { .. } => panic!("{progress:?} is probing"),
        }
    }

    #[test]
    fn a_probe_waits_for_its_answer_or_a_heartbeat_s() {
        let mut progress = probing(5);
        assert!(!progress.is_paused(WINDOW));
        progress.on_sent(3);
        assert_eq!((progress.is_paused(WINDOW), progress.next()), (true, 5));
        progress.on_heartbeat_response();
        assert!(!progress.is_paused(WINDOW));
    }

    #[test]
    fn an_accepted_probe_starts_replication_after_what_matched() {
        let mut progress = probing(5);
        progress.on_sent(3);
        assert!(progress.on_accepted(7));
        assert!(progress.is_replicating() && !progress.is_paused(WINDOW));
        assert_eq!((progress.matched(), progress.next()), (7, 8));
    }

    #[test]
    fn replication_runs_ahead_up_to_the_window() {
        let mut progress = replicating(3);
        progress.on_sent(2);
        assert_eq!((progress.matched(), progress.next()), (3, 6));
        // An empty append takes no place.
        progress.on_sent(0);
        assert_eq!((inflight(&progress), progress.is_paused(WINDOW)), (1, false));
        progress.on_sent(1);
        assert_eq!((progress.next(), progress.is_paused(WINDOW)), (7, true));
    }

    #[test]
    fn an_answer_frees_all_places_up_to_its_index() {
        let mut progress = replicating(3);
        for _ in 0..3 {
            progress.on_sent(2);
        }
        assert!(progress.on_accepted(7));
        assert_eq!((progress.matched(), progress.next(), inflight(&progress)), (7, 10, 1));
        // The older answer, coming later.
        assert!(!progress.on_accepted(5));
        assert_eq!((progress.matched(), inflight(&progress)), (7, 1));
        assert!(progress.on_accepted(9));
        assert_eq!(inflight(&progress), 0);
    }

    #[test]
    fn a_rejection_while_replicating_probes_after_what_matched() {
        let mut progress = replicating(3);
        progress.on_sent(4);
        assert!(progress.on_rejected(7, 3));
        assert_eq!(progress.state(), &ProgressState::Probe { paused: false });
        assert_eq!((progress.matched(), progress.next()), (3, 4));
    }

    #[test]
    fn an_old_rejection_changes_nothing() {
        let mut progress = replicating(3);
        progress.on_sent(1);
        let before = progress.clone();
        assert!(!progress.on_rejected(3, 0));
        assert_eq!(progress, before);

        let mut progress = probing(5);
        progress.on_sent(1);
        let before = progress.clone();
        assert!(!progress.on_rejected(3, 0));
        assert_eq!(progress, before);
    }

    #[test]
    fn a_rejected_probe_goes_on_after_the_hint_but_never_back_behind_what_matched() {
        for (hint, next) in [(0, 4), (5, 6), (8, 9), (20, 9)] {
            let mut progress = replicating(3);
            assert!(progress.on_rejected(9, 0));
            // As if an answer had moved the probe to 10.
            progress.next = 10;
            progress.on_sent(1);
            assert!(progress.on_rejected(9, hint));
            assert_eq!((progress.next(), progress.is_paused(WINDOW)), (next, false), "hint {hint}");
        }
    }

    #[test]
    fn an_old_acceptance_does_not_end_a_probe() {
        let mut progress = replicating(5);
        progress.on_sent(3);
        assert!(progress.on_rejected(8, 5));
        progress.on_sent(1);
        assert!(!progress.on_accepted(4));
        assert_eq!(progress.state(), &ProgressState::Probe { paused: true });
        assert!(progress.on_accepted(6));
        assert_eq!((progress.matched(), progress.next()), (6, 7));
    }
}
