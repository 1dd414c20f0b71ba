//! Drawing: one stream an aspect, and the distributions that scenarios are made of.

use raftsim_kernel::{Duration, Ppm, Stream, Time};

use super::profile::{Choice, Range, Weights};

/// The random decisions of one aspect of a scenario.
///
/// Each aspect has a stream of its own, so that another draw in one place leaves all other aspects of every seed as they
/// are.
#[derive(Clone, Debug)]
pub(super) struct Dice(Stream);

impl Dice {
    /// The dice of one aspect of the scenario of this seed.
    pub(super) fn of(seed: u64, aspect: &str) -> Dice {
        Dice(Stream::derive(seed, &format!("fuzz {aspect}")))
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: Ppm) -> bool {
        self.0.chance(probability)
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: u32) -> bool {
        self.0.chance(Ppm::percent(percent))
    }

    /// A number of this range, both ends included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.between(low, high)
    }

    /// The same in 32 bits.
    pub(super) fn small(&mut self, low: u32, high: u32) -> u32 {
        u32::try_from(self.0.between(u64::from(low), u64::from(high))).unwrap_or(high)
    }

    /// A number of a profile's range.
    pub(super) fn count(&mut self, range: Range<u64>) -> u64 {
        self.0.between(range.low, range.high)
    }

    /// A span of a profile's range.
    pub(super) fn span(&mut self, range: Range<Duration>) -> Duration {
        self.spread(range.low, range.high)
    }

    /// A span between these, in round figures: nobody wants to read nanoseconds.
    pub(super) fn spread(&mut self, low: Duration, high: Duration) -> Duration {
        round(Duration(self.0.between(low.0, high.0)))
    }

    /// A span between so many hundredths of `unit`.
    pub(super) fn part(&mut self, unit: Duration, low: u64, high: u64) -> Duration {
        self.spread(Duration(unit.0 / 100 * low), Duration(unit.0 / 100 * high))
    }

    /// A moment between these.
    pub(super) fn time(&mut self, low: Time, high: Time) -> Time {
        Time(self.spread(Duration(low.0), Duration(high.0)).0)
    }

    /// A share between so many parts of a million, each order of magnitude about as likely.
    pub(super) fn share(&mut self, low: u32, high: u32) -> Ppm {
        let doublings = (high / low.max(1)).max(1).ilog2();
        let top = low.max(1) << self.small(0, doublings);
        let parts = self.small(top, top.saturating_mul(2).min(high).max(top));
        // Two figures are enough.
        let unit = 10_u32.pow(parts.max(1).ilog10().saturating_sub(1));
        Ppm::new(parts / unit * unit).unwrap_or(Ppm::ALWAYS)
    }

    /// One of these; there is at least one.
    pub(super) fn pick<T: Clone>(&mut self, list: &[T]) -> T {
        let at = usize::try_from(self.0.below(list.len() as u64)).unwrap_or(0);
        list[at].clone()
    }

    /// One of a profile's choices.
    pub(super) fn choose<T: Choice + Copy>(&mut self, weights: &Weights<T>) -> T {
        self.weighted(weights.as_slice())
    }

    /// One of these, as likely as its weight says; at least one weight is above zero.
    pub(super) fn weighted<T: Copy>(&mut self, list: &[(u32, T)]) -> T {
        let total = list.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let mut at = self.0.below(total);
        for (weight, value) in list {
            match at.checked_sub(u64::from(*weight)) {
                Some(rest) => at = rest,
                None => return *value,
            }
        }
        list[0].1
    }

    /// So many of these in random order; all where there are not as many.
    pub(super) fn some<T: Clone>(&mut self, list: &[T], count: u64) -> Vec<T> {
        let mut rest = list.to_vec();
        let mut taken = Vec::new();
        while (taken.len() as u64) < count && !rest.is_empty() {
            let at = usize::try_from(self.0.below(rest.len() as u64)).unwrap_or(0);
            taken.push(rest.swap_remove(at));
        }
        taken
    }
}

/// Two or more significant figures of milliseconds or microseconds.
fn round(span: Duration) -> Duration {
    const MILLISECOND: u64 = 1_000_000;
    const MICROSECOND: u64 = 1_000;
    let unit = match span.0 {
        n if n >= 10 * MILLISECOND => MILLISECOND,
        n if n >= MILLISECOND => MILLISECOND / 10,
        n if n >= 10 * MICROSECOND => MICROSECOND,
        _ => 1,
    };
    Duration(span.0 / unit * unit)
}
