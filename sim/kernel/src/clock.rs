//! A machine's clock: local time as a function of true time.
//!
//! A clock has a rate, and shows a time. The rate can change, and the clock can be set.
//!
//! The rate is exact: a clock whose drift was changed a thousand times shows what its rates add up
//! to, rounded down once. A change of drift does not make it jump, and it goes on while its machine is down.
//! Setting it ([`World::jump_clock`](crate::World::jump_clock)) makes it show so much more or less from then on, but never
//! less than zero; a jump at the start of a run is an offset. It may run backwards only there.
//!
//! Timers count spans, as those of a monotonic clock do: of the rate, and not of what is shown, so that no jump moves
//! them. A timer runs out at the first nanosecond of true time at
//! which the clock has advanced by its span: never early, and later by at most one local nanosecond
//! for each change of drift while it was set, because the queue keeps true times and not deadlines.
//!
//! Local time is what a process sees ([`Context::now`](crate::Context::now)) and what its timers count. All
//! else is true time: the network, the disk and its tasks, observers, and whoever drives the [`World`](crate::World).
//!
//! # What is not covered
//! A clock that is slewed, that is set by and by, is one whose drift is changed twice. A process sees one clock, which can
//! jump: there is no second, monotonic one for it to read.

use crate::time::{Drift, Duration, Time};

/// Parts of a nanosecond in which rates are exact.
const PARTS: u64 = 1_000_000;

/// A clock that has run for `local` at the true time `since`, and goes on from there at a rate of 1 + `drift`. It shows
/// that and what it was set forward.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clock {
    since: Time,
    local: Time,
    /// What of the next local nanosecond had passed at `since`, in millionths: less than all of it.
    fraction: u32,
    drift: Drift,
    /// How far it was set forward; negative where it was set back.
    offset: i64,
}

impl Clock {
    /// How fast it runs.
    #[must_use]
    pub const fn drift(&self) -> Drift {
        self.drift
    }

    /// How far it has been set forward in all; negative where it was set back.
    #[must_use]
    pub const fn offset(&self) -> i64 {
        self.offset
    }

    /// What it shows at a true time, which is not before the last change of its drift.
    #[inline]
    #[must_use]
    pub fn at(&self, time: Time) -> Time {
        Time(self.run(time).0.saturating_add_signed(self.offset))
    }

    /// What it would show if it had never been set.
    #[inline]
    pub(crate) fn run(&self, time: Time) -> Time {
        let passed = time.since(self.since);
        if self.drift == Drift::ZERO { self.local + passed } else { self.local + self.drifted(passed).0 }
    }

    /// The first true time, from the last change of its drift on, at which it would show `local` or later if it had never
    /// been set.
    #[inline]
    pub(crate) fn when(&self, local: Time) -> Time {
        let remaining = local.since(self.local);
        if self.drift == Drift::ZERO {
            return self.since + remaining;
        }
        let parts = u128::from(remaining.as_nanos()) * u128::from(PARTS);
        let passed = parts.saturating_sub(self.fraction.into()).div_ceil(self.rate().into());
        self.since + Duration(u64::try_from(passed).unwrap_or(u64::MAX))
    }

    /// The true time at which it has advanced by `span` since the true time `now`.
    #[inline]
    pub(crate) fn after(&self, now: Time, span: Duration) -> Time {
        // What a slow clock shows now it may have shown before already.
        if self.drift == Drift::ZERO { now + span } else { self.when(self.run(now) + span).max(now) }
    }

    /// From `time` on it runs at this rate.
    pub(crate) fn set_drift(&mut self, time: Time, drift: Drift) {
        let (passed, fraction) = self.drifted(time.since(self.since));
        *self = Clock { since: time, local: self.local + passed, fraction, drift, ..*self };
    }

    /// At `time` somebody sets it forward, or back, but not below zero.
    pub(crate) fn jump(&mut self, time: Time, forward: bool, by: Duration) {
        let by = i64::try_from(by.as_nanos()).unwrap_or(i64::MAX);
        self.offset = if forward {
            self.offset.saturating_add(by)
        } else {
            let least = i64::try_from(self.run(time).0).map_or(i64::MIN, |run| -run);
            self.offset.saturating_sub(by).max(least)
        };
    }

    /// The local span since `since` after so much true time, and the fraction that goes beyond it.
    fn drifted(&self, passed: Duration) -> (Duration, u32) {
        let parts = u128::from(passed.as_nanos()) * u128::from(self.rate()) + u128::from(self.fraction);
        let whole = u64::try_from(parts / u128::from(PARTS)).unwrap_or(u64::MAX);
        (Duration(whole), (parts % u128::from(PARTS)) as u32) // less than a million
    }

    /// Millionths of a local nanosecond in a nanosecond: at least one, since a drift is above -100%.
    fn rate(&self) -> u64 {
        PARTS.saturating_add_signed(self.drift.parts().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drift(parts: i32) -> Drift {
        Drift::new(parts).expect("in range")
    }

    fn drifts() -> impl Strategy<Value = Drift> {
        prop_oneof![
            Just(Drift::ZERO),
            (-999_999i32..1_000_000).prop_map(drift),
            (-500i32..500).prop_map(drift)
        ]
    }

    #[test]
    fn a_year_of_drift_is_exact() {
        const YEAR: Duration = Duration::secs(365 * 86_400);
        for (parts, shown) in [(0, 31_536_000), (50_000, 33_112_800), (-250_000, 23_652_000)] {
            let mut clock = Clock::default();
            clock.set_drift(Time::ZERO, drift(parts));
            assert_eq!(clock.at(Time::ZERO + YEAR), Time::ZERO + Duration::secs(shown), "{parts} ppm");
        }
    }

    #[test]
    fn no_time_is_too_late_for_it() {
        let mut clock = Clock::default();
        clock.set_drift(Time::ZERO, drift(999_999));
        assert_eq!(clock.at(Time::MAX), Time::MAX);
        clock.set_drift(Time(7), drift(-999_999));
        assert_eq!(clock.when(Time::MAX), Time::MAX);
    }

    #[test]
    fn no_span_ends_before_it_begins() {
        let mut clock = Clock::default();
        clock.set_drift(Time::ZERO, drift(-500_000));
        let now = Time(11); // half of it: 5, as at 10
        assert_eq!((clock.when(clock.run(now)), clock.after(now, Duration::ZERO)), (Time(10), now));
        assert_eq!(clock.after(now, Duration(1)), Time(12));
    }

    proptest! {
        /// However often and whenever it was changed: the sum of rate times span, rounded down once.
        #[test]
        fn changes_lose_nothing(changes in prop::collection::vec((0u64..5_000_000, drifts()), 0..50)) {
            let (mut clock, mut now, mut parts) = (Clock::default(), Time::ZERO, 0i128);
            for (span, next) in changes {
                parts += i128::from(span) * (1_000_000 + i128::from(clock.drift().parts()));
                now += Duration(span);
                prop_assert_eq!(i128::from(clock.at(now).0), parts / 1_000_000);
                let before = clock.at(now);
                clock.set_drift(now, next);
                prop_assert_eq!(clock.at(now), before, "a change is no jump");
            }
        }

        #[test]
        fn a_deadline_is_met_and_not_early(
            first in drifts(), second in drifts(), changed in 0u64..10_000_000, span in 0u64..10_000_000,
        ) {
            let mut clock = Clock::default();
            clock.set_drift(Time::ZERO, first);
            clock.set_drift(Time(changed), second);
            let deadline = clock.at(Time(changed)) + Duration(span);
            let when = clock.when(deadline);
            prop_assert!(clock.at(when) >= deadline);
            prop_assert!(when == Time(changed) || clock.at(Time(when.0 - 1)) < deadline);
        }
    }
}
