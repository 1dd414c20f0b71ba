//! Sizes, spans with a sign, and the kernel's latencies: values of a scenario that are a small language of their own.
//!
//! Each prints what it parses, in the unit a person would write.

pub use raftsim_kernel::Latency;

use raftsim_kernel::Duration;
use std::fmt;
use std::str::FromStr;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// Why a text is not a size. Its message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

/// Units from large to small, with their bytes.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// How [`Bytes::UNBOUNDED`] is written.
const NO_BOUND: &str = "unbounded";

impl Bytes {
    /// A size of `n` bytes.
    #[must_use]
    pub const fn new(n: u64) -> Bytes {
        Bytes(n)
    }

    /// A size of `n` times 1,048,576 bytes.
    #[must_use]
    pub const fn mib(n: u64) -> Bytes {
        Bytes(n << 20)
    }

    /// No bound: the largest number. Written `"unbounded"`.
    pub const UNBOUNDED: Bytes = Bytes(u64::MAX);

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Bytes::UNBOUNDED {
            return f.pad(NO_BOUND);
        }
        let whole = |(_, size): &&(&str, u64)| self.0 >= *size && self.0.is_multiple_of(*size);
        let (unit, size) = SIZES.iter().find(whole).copied().unwrap_or(("B", 1));
        f.pad(&format!("{}{unit}", self.0 / size))
    }
}

impl FromStr for Bytes {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<Bytes, UnitError> {
        let error = || UnitError(format!("expected a size such as \"64KiB\" or \"100B\", found {text:?}"));
        let trimmed = text.trim();
        if trimmed == NO_BOUND {
            return Ok(Bytes::UNBOUNDED);
        }
        let split = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = trimmed.split_at(split);
        let (_, size) = SIZES.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(error)?;
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(*size)).map(Bytes).ok_or_else(error)
    }
}

/// A span of time forwards, or backwards where negative: `"2s"`, `"-300ms"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignedDuration {
    /// Whether it goes forwards.
    pub forward: bool,
    /// How far.
    pub by: Duration,
}

impl fmt::Display for SignedDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.forward { "" } else { "-" }, self.by)
    }
}

impl FromStr for SignedDuration {
    type Err = UnitError;

    fn from_str(text: &str) -> Result<SignedDuration, UnitError> {
        let trimmed = text.trim();
        let (forward, span) = match trimmed.strip_prefix('-') {
            Some(span) => (false, span),
            None => (true, trimmed.strip_prefix('+').unwrap_or(trimmed)),
        };
        let error = |_| UnitError(format!("expected a span such as \"2s\" or \"-300ms\", found {text:?}"));
        span.parse().map(|by| SignedDuration { forward, by }).map_err(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_print_in_their_largest_whole_unit() {
        for (bytes, text) in
            [(0, "0B"), (100, "100B"), (1 << 16, "64KiB"), (1 << 20, "1MiB"), (1 << 31, "2GiB")]
        {
            assert_eq!(Bytes::new(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Bytes::new(bytes)));
        }
        assert_eq!(Bytes::UNBOUNDED.to_string(), "unbounded");
        assert_eq!("unbounded".parse(), Ok(Bytes::UNBOUNDED));
        for text in ["", "5", "MiB", "1MB", "1.5KiB", "-1B", "99999999999999GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text:?} must not parse");
        }
    }

    #[test]
    fn spans_have_a_sign() {
        for (text, forward, by) in
            [("2s", true, 2_000), ("-300ms", false, 300), ("+1m", true, 60_000), (" -1s ", false, 1_000)]
        {
            assert_eq!(text.parse(), Ok(SignedDuration { forward, by: Duration::millis(by) }), "{text:?}");
        }
        assert_eq!(SignedDuration { forward: false, by: Duration::millis(300) }.to_string(), "-300ms");
        for text in ["", "-", "--1s", "+-1s", "- ", "5", "s"] {
            assert!(text.parse::<SignedDuration>().is_err(), "{text:?} must not parse");
        }
    }
}
