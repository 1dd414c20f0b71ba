//! The line of a link with a bandwidth: one message after the other.
//!
//! # Promise
//! A message leaves when what was sent before it on its link has left and its own bytes have been put on the line; its
//! latency begins then. What waits for the line waits in a queue of so many bytes, the message that is being put on the line
//! counting with what is left of it. A message that does not fit is lost, as in a router that drops from the tail. A line
//! that is idle takes any message, however large.

use super::LinkModel;
use crate::time::{Duration, Time};

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

/// The line of one link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    /// When all that was sent has left.
    free: Time,
}

impl Line {
    pub(super) const IDLE: Line = Line { free: Time::ZERO };

    /// When a message of so many bytes that is sent now has left; `None` where the queue has no room for it.
    pub(super) fn send(&mut self, now: Time, model: &LinkModel, size: u64) -> Option<Time> {
        let rate = u128::from(model.bytes_per_second.max(1));
        let left = u128::from(self.free.since(now).as_nanos());
        // Rounded up: what is left of a byte takes the place of one.
        let queued = (left * rate).div_ceil(SECOND);
        if model.queue != 0 && left > 0 && queued + u128::from(size) > u128::from(model.queue) {
            return None;
        }
        // Rounded up: a line is never faster than its rate.
        let span = (u128::from(size) * SECOND).div_ceil(rate);
        self.free = self.free.max(now) + Duration(u64::try_from(span).unwrap_or(u64::MAX));
        Some(self.free)
    }
}
