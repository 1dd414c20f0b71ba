//! One timer for a deadline that moves.
//!
//! Timers of the kernel cannot be taken back, and a deadline may move with every event. So there is one timer at a time:
//! an earlier deadline sets another, and one that moved away is found out when the timer runs out. A follower that hears
//! from its leader sets no timer for each heartbeat.

use raftsim_kernel::{Duration, Time};

/// The timer of a deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarm {
    /// When the timer that is set will run out.
    armed: Option<Time>,
}

impl Alarm {
    /// Sees to it that there is a timer at `deadline` or before. Gives the span of the timer to set, if one is needed.
    #[must_use]
    #[inline]
    pub fn arm(&mut self, now: Time, deadline: Time) -> Option<Duration> {
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        self.armed = Some(deadline);
        Some(deadline.since(now))
    }

    /// A timer ran out. False for one that an earlier deadline has replaced: to arm another for it would double the
    /// timers.
    #[must_use]
    pub fn rings(&mut self, now: Time) -> bool {
        let rings = self.armed.is_none_or(|armed| armed <= now);
        if rings {
            self.armed = None;
        }
        rings
    }
}
