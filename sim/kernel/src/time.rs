//! Virtual time: instants and spans in whole nanoseconds, probabilities and drifts in parts per million.
//!
//! Integers only, so that a run computes the same on every machine. Each type prints in the unit a
//! person would write and parses what it prints: `"1.203s"`, `"250ms"`, `"0.5%"`.

use std::fmt;
use std::ops::{Add, AddAssign, Mul, Sub};
use std::str::FromStr;

/// An instant: nanoseconds of virtual time since the start of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

/// A span of virtual time in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Duration(pub u64);

/// A probability in parts per million.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ppm(u32);

/// How much faster than time a clock runs, in parts per million: slower where negative. Less than 100% either
/// way, so that a clock never stands still.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Drift(i32);

/// Why a text is not a time, a duration, a probability or a drift. Its message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseUnitError(pub(crate) String);

/// Units from large to small, with their nanoseconds. `µs` is read too, and never printed.
const UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

impl Time {
    /// The start of the run.
    pub const ZERO: Time = Time(0);
    /// Later than any event.
    pub const MAX: Time = Time(u64::MAX);

    /// The span from `earlier` to here; zero where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Time) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl Duration {
    /// No time at all.
    pub const ZERO: Duration = Duration(0);

    /// A span of whole nanoseconds.
    #[must_use]
    pub const fn nanos(n: u64) -> Duration {
        Duration(n)
    }

    /// A span of whole microseconds.
    #[must_use]
    pub const fn micros(n: u64) -> Duration {
        Duration(n * 1_000)
    }

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn millis(n: u64) -> Duration {
        Duration(n * 1_000_000)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn secs(n: u64) -> Duration {
        Duration(n * 1_000_000_000)
    }

    /// The length in nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }
}

impl Ppm {
    /// Never.
    pub const ZERO: Ppm = Ppm(0);
    /// Always: one million parts.
    pub const ALWAYS: Ppm = Ppm(1_000_000);

    /// `parts` of a million, `None` above one million.
    #[must_use]
    pub const fn new(parts: u32) -> Option<Ppm> {
        if parts <= 1_000_000 { Some(Ppm(parts)) } else { None }
    }

    /// Whole percents; more than 100 count as 100.
    #[must_use]
    pub const fn percent(percent: u32) -> Ppm {
        if percent >= 100 { Ppm::ALWAYS } else { Ppm(percent * 10_000) }
    }

    /// The parts of a million, 0 to 1,000,000.
    #[must_use]
    pub const fn parts(self) -> u32 {
        self.0
    }
}

impl Drift {
    /// As fast as time.
    pub const ZERO: Drift = Drift(0);

    /// `parts` of a million, `None` at one million and beyond, either way.
    #[must_use]
    pub const fn new(parts: i32) -> Option<Drift> {
        if parts.unsigned_abs() < 1_000_000 { Some(Drift(parts)) } else { None }
    }

    /// The parts of a million, -999,999 to 999,999.
    #[must_use]
    pub const fn parts(self) -> i32 {
        self.0
    }
}

impl Add<Duration> for Time {
    type Output = Time;
    /// Saturates at [`Time::MAX`], which no run reaches.
    fn add(self, span: Duration) -> Time {
        Time(self.0.saturating_add(span.0))
    }
}

impl AddAssign<Duration> for Time {
    fn add_assign(&mut self, span: Duration) {
        *self = *self + span;
    }
}

impl Add for Duration {
    type Output = Duration;
    fn add(self, other: Duration) -> Duration {
        Duration(self.0.saturating_add(other.0))
    }
}

impl Sub for Duration {
    type Output = Duration;
    fn sub(self, other: Duration) -> Duration {
        Duration(self.0.saturating_sub(other.0))
    }
}

impl Mul<u64> for Duration {
    type Output = Duration;
    fn mul(self, times: u64) -> Duration {
        Duration(self.0.saturating_mul(times))
    }
}

/// Writes `nanos` in the largest unit in which it is at least one, with the digits it needs.
fn write_nanos(nanos: u64, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    // Minutes and hours only where they are whole: "1.5s" reads well, "1.025m" does not.
    let fits = |&&(unit, size): &&(&str, u64)| {
        nanos >= size && (nanos.is_multiple_of(size) || !matches!(unit, "h" | "m"))
    };
    let (unit, size) = UNITS.iter().find(fits).copied().unwrap_or(("s", 1_000_000_000));
    let text = decimal(nanos, size);
    f.pad(&format!("{text}{unit}"))
}

/// `value / size` as a decimal without trailing zeros; `size` is a power of ten or divides `value`.
fn decimal(value: u64, size: u64) -> String {
    let (whole, mut rest) = (value / size, value % size);
    let mut text = whole.to_string();
    if rest > 0 {
        text.push('.');
        let mut place = size;
        while rest > 0 {
            place /= 10;
            text.push(char::from(b'0' + u8::try_from(rest / place).unwrap_or(9)));
            rest %= place;
        }
    }
    text
}

/// Reads `digits[.digits]` times `size`; `None` where it is no number, not whole in the end, or too large.
fn scaled(number: &str, size: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 18 {
        return None;
    }
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let parts = u128::from(size) * fraction.parse::<u128>().ok()?;
    if !parts.is_multiple_of(scale) {
        return None;
    }
    let total = whole.parse::<u128>().ok()?.checked_mul(u128::from(size))? + parts / scale;
    u64::try_from(total).ok()
}

fn parse_nanos(text: &str, what: &str) -> Result<u64, ParseUnitError> {
    let error = || ParseUnitError(format!("expected {what} such as \"250ms\" or \"1.5s\", found {text:?}"));
    let text_trimmed = text.trim();
    let split = text_trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).ok_or_else(error)?;
    let (number, unit) = text_trimmed.split_at(split);
    let unit = if unit == "µs" { "us" } else { unit.trim_start() };
    let (_, size) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(error)?;
    scaled(number, *size).ok_or_else(error)
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_nanos(self.0, f)
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_nanos(self.0, f)
    }
}

impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", decimal(u64::from(self.0), 10_000)))
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        f.pad(&format!("{sign}{}%", decimal(u64::from(self.0.unsigned_abs()), 10_000)))
    }
}

impl FromStr for Time {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Time, ParseUnitError> {
        parse_nanos(text, "a time").map(Time)
    }
}

impl FromStr for Duration {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Duration, ParseUnitError> {
        parse_nanos(text, "a duration").map(Duration)
    }
}

/// Reads a share in percent or parts per million, in whole parts.
fn parse_parts(text: &str) -> Option<u64> {
    if let Some(number) = text.strip_suffix('%') {
        scaled(number.trim_end(), 10_000)
    } else {
        scaled(text.strip_suffix("ppm")?.trim_end(), 1)
    }
}

impl FromStr for Ppm {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Ppm, ParseUnitError> {
        let error =
            || ParseUnitError(format!("expected a share such as \"0.5%\" or \"100ppm\", found {text:?}"));
        let parts = parse_parts(text.trim());
        parts.and_then(|p| u32::try_from(p).ok()).and_then(Ppm::new).ok_or_else(error)
    }
}

impl FromStr for Drift {
    type Err = ParseUnitError;
    fn from_str(text: &str) -> Result<Drift, ParseUnitError> {
        let error = || {
            ParseUnitError(format!(
                "expected a drift of less than 100% such as \"5%\" or \"-300ppm\", found {text:?}"
            ))
        };
        let trimmed = text.trim();
        let (sign, size) = match trimmed.strip_prefix('-') {
            Some(size) => (-1, size),
            None => (1, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let parts = parse_parts(size).and_then(|p| i32::try_from(p).ok());
        parts.and_then(|p| Drift::new(sign * p)).ok_or_else(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prints_the_unit_a_person_would_write() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5us"),
            (250_000_000, "250ms"),
            (1_203_000_000, "1.203s"),
            (90_000_000_000, "90s"),
            (120_000_000_000, "2m"),
            (3_600_000_000_000, "1h"),
        ] {
            assert_eq!(Duration(nanos).to_string(), text);
        }
        assert_eq!(Ppm::percent(1).to_string(), "1%");
        assert_eq!(Ppm::new(5_000).map(|p| p.to_string()).as_deref(), Some("0.5%"));
        assert_eq!(Drift::new(50_000).map(|d| d.to_string()).as_deref(), Some("5%"));
        assert_eq!(Drift::new(-300).map(|d| d.to_string()).as_deref(), Some("-0.03%"));
        assert_eq!(Drift::ZERO.to_string(), "0%");
    }

    #[test]
    fn refuses_what_is_no_unit() {
        for text in ["", "5", "ms", "1.ms", ".5s", "1.5ns", "-1s", "5 parsecs", "99999999999h", "1e3s"] {
            assert!(text.parse::<Duration>().is_err(), "{text:?} must not parse");
        }
        for text in ["", "5", "101%", "0.00001%", "-1%"] {
            assert!(text.parse::<Ppm>().is_err(), "{text:?} must not parse");
        }
        for text in ["", "5", "100%", "-1000000ppm", "--1%", "+-1%", "-", "0.5ppm", "99999999999ppm"] {
            assert!(text.parse::<Drift>().is_err(), "{text:?} must not parse");
        }
    }

    #[test]
    fn a_drift_is_read_in_either_unit_and_with_either_sign() {
        for (text, parts) in
            [("5%", 50_000), ("+5%", 50_000), ("-300ppm", -300), ("-0.03 %", -300), ("-0%", 0)]
        {
            assert_eq!(text.parse::<Drift>().map(Drift::parts), Ok(parts), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn parses_what_it_prints(nanos: u64, parts in 0u32..=1_000_000, drift in -999_999i32..=999_999) {
            prop_assert_eq!(Duration(nanos).to_string().parse(), Ok(Duration(nanos)));
            prop_assert_eq!(Time(nanos).to_string().parse(), Ok(Time(nanos)));
            let ppm = Ppm::new(parts).expect("in range");
            prop_assert_eq!(ppm.to_string().parse(), Ok(ppm));
            let drift = Drift::new(drift).expect("in range");
            prop_assert_eq!(drift.to_string().parse(), Ok(drift));
        }
    }
}
