//! One timer for a deadline that moves.
//!
//! Timers of the kernel cannot be taken back, and a deadline may move with every event. So there is one timer at a time:
//! an earlier deadline sets another, and one that moved away is found out when the timer runs out. A follower that hears
//! from its leader sets no timer for each heartbeat.
//!
//! Deadlines are local times, timers count spans, and a clock that jumps parts the two: set back, a timer runs out before
//! its deadline; set forward, after it. So a jump costs at most the span of one timer that is set: an alarm never stays
//! without a timer, and jumps do not multiply them.

use raftsim_kernel::{Duration, Time};

/// The timer of a deadline.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarm {
    /// When the timer that counts will run out, as the clock stood when it was set.
    armed: Option<Time>,
    /// Timers that have not run out, those included that an earlier deadline has replaced.
    under_way: u32,
    /// The time that it was told last.
    seen: Time,
    /// The time went backwards, and no timer has run out since.
    set_back: bool,
}

impl Alarm {
    /// Sees to it that there is a timer at `deadline` or before. Gives the span of the timer to set, if one is needed.
    #[must_use]
    #[inline]
    pub fn arm(&mut self, now: Time, deadline: Time) -> Option<Duration> {
        self.look(now);
        if self.armed.is_some_and(|armed| armed <= deadline) {
            return None;
        }
        self.armed = Some(deadline);
        self.under_way += 1;
        Some(deadline.since(now))
    }

    /// A timer ran out. False for one that an earlier deadline has replaced: to arm another for it would double the
    /// timers.
    #[must_use]
    pub fn rings(&mut self, now: Time) -> bool {
        self.look(now);
        self.under_way = self.under_way.saturating_sub(1);
        // The last one counts, however early: nothing else would ring. So does the first after the clock was set back.
        let rings = self.under_way == 0 || self.set_back || self.armed.is_none_or(|armed| armed <= now);
        if rings {
            self.armed = None;
            self.set_back = false;
        }
        rings
    }

    /// Takes in the time. Where it went backwards, no deadline of before is worth waiting for.
    fn look(&mut self, now: Time) {
        if now < self.seen {
            self.armed = None;
            self.set_back = true;
        }
        self.seen = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An owner that wants to be woken every `period`, on a clock that jumps; true time and the timers that are set.
    struct Owner {
        alarm: Alarm,
        /// True time, and what the clock is ahead of it.
        time: u64,
        ahead: u64,
        timers: Vec<u64>,
        rung: Vec<u64>,
    }

    const PERIOD: u64 = 100;

    impl Owner {
        fn now(&self) -> Time {
            Time(self.time + self.ahead)
        }

        fn arm(&mut self) {
            // One that re-anchors what it waits for, as stores do.
            if let Some(span) = self.alarm.arm(self.now(), self.now() + Duration(PERIOD)) {
                self.timers.push(self.time + span.0);
            }
        }

        /// Lets true time pass; each timer that rings wakes the owner.
        fn run(&mut self, span: u64) {
            let end = self.time + span;
            while let Some(next) = self.timers.iter().copied().min().filter(|next| *next <= end) {
                self.timers
                    .swap_remove(self.timers.iter().position(|timer| *timer == next).expect("it is there"));
                self.time = next;
                if self.alarm.rings(self.now()) {
                    self.rung.push(next);
                    self.arm();
                }
            }
            self.time = end;
        }
    }

    proptest! {
        /// Never without a timer, never many; and a period goes by without a ring only for each jump in it.
        #[test]
        fn jumps_cost_a_period(jumps in prop::collection::vec((0u64..1_000, 0u64..2_000, any::<bool>()), 0..30)) {
            let ahead = 1_000_000;
            let mut owner =
                Owner { alarm: Alarm::default(), time: 0, ahead, timers: Vec::new(), rung: vec![0] };
            owner.arm();
            let count = jumps.len();
            let mut times = Vec::new();
            for (span, by, forward) in jumps {
                owner.run(span);
                times.push(owner.time);
                owner.ahead = if forward { owner.ahead + by } else { owner.ahead - by };
                if by % 2 == 0 {
                    owner.arm();
                }
                prop_assert!(!owner.timers.is_empty() && owner.timers.len() <= 2 + count);
            }
            let quiet = owner.time;
            owner.run(50 * PERIOD);
            for pair in owner.rung.windows(2) {
                let jumps = times.iter().filter(|time| (pair[0]..=pair[1]).contains(time)).count() as u64;
                prop_assert!(pair[1] - pair[0] <= (1 + jumps) * PERIOD, "no ring in {pair:?}, {jumps} jumps");
            }
            let after = owner.rung.iter().filter(|rung| **rung > quiet + 2 * PERIOD).count();
            prop_assert!(after <= 50, "{after} rings in 48 periods");
        }
    }

    #[test]
    fn a_timer_that_was_replaced_does_not_ring() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.arm(Time(0), Time(100)), Some(Duration(100)));
        assert_eq!(alarm.arm(Time(10), Time(50)), Some(Duration(40)));
        assert_eq!(alarm.arm(Time(10), Time(70)), None);
        assert!(alarm.rings(Time(50)));
        assert_eq!(alarm.arm(Time(50), Time(150)), Some(Duration(100)));
        assert!(!alarm.rings(Time(100)) && alarm.rings(Time(150)));
    }

    #[test]
    fn a_clock_set_back_leaves_no_alarm_dead() {
        let mut alarm = Alarm::default();
        assert_eq!(alarm.arm(Time(1_000), Time(1_100)), Some(Duration(100)));
        assert!(alarm.rings(Time(600)), "the one timer there is");
        assert_eq!(alarm.arm(Time(600), Time(700)), Some(Duration(100)));
    }
}
