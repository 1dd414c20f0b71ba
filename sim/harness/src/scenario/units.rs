//! Latencies and sizes: the values of a scenario that are a small language of their own.
//!
//! Each prints what it parses, in the unit a person would write.

use raftsim_kernel::Duration;
use std::fmt;
use std::str::FromStr;

/// How long something takes, drawn anew each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// `"5ms"`: always the same.
    Constant(Duration),
    /// `"1ms..10ms"`: any value of the range is as likely, both ends included.
    Uniform {
        /// The shortest.
        min: Duration,
        /// The longest; greater than `min`.
        max: Duration,
    },
    /// `"1ms + exp 4ms"`: a minimum plus an exponentially distributed rest, so that some take far longer.
    Exponential {
        /// The shortest.
        min: Duration,
        /// The mean of the rest; positive.
        mean: Duration,
    },
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(u64);

/// Why a text is not a latency or a size. Its message says what would be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnitError(String);

/// Units from large to small, with their bytes.
const SIZES: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

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

    /// The number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        let split = trimmed.find(|c: char| !c.is_ascii_digit()).ok_or_else(error)?;
        let (number, unit) = trimmed.split_at(split);
        let (_, size) = SIZES.iter().find(|(name, _)| *name == unit.trim_start()).ok_or_else(error)?;
        number.parse::<u64>().ok().and_then(|n| n.checked_mul(*size)).map(Bytes).ok_or_else(error)
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Latency::Constant(always) => write!(f, "{always}"),
            Latency::Uniform { min, max } => write!(f, "{min}..{max}"),
            Latency::Exponential { min, mean } => write!(f, "{min} + exp {mean}"),
        }
    }
}

impl FromStr for Latency {
    type Err = UnitError;

    /// A range of one value is that value, and an exponential rest of mean zero is none: one spelling each.
    fn from_str(text: &str) -> Result<Latency, UnitError> {
        let duration = |part: &str| {
            part.parse::<Duration>().map_err(|_| {
                UnitError(format!(
                    "expected a latency such as \"5ms\", \"1ms..10ms\" or \"1ms + exp 4ms\", found {text:?}"
                ))
            })
        };
        if let Some((min, max)) = text.split_once("..") {
            let (min, max) = (duration(min)?, duration(max)?);
            match min.cmp(&max) {
                std::cmp::Ordering::Less => Ok(Latency::Uniform { min, max }),
                std::cmp::Ordering::Equal => Ok(Latency::Constant(min)),
                std::cmp::Ordering::Greater => Err(UnitError(format!(
                    "expected a range from low to high, found {text:?}: {max} is less than {min}"
                ))),
            }
        } else if let Some((min, rest)) = text.split_once('+') {
            let mean = rest.trim_start().strip_prefix("exp ").unwrap_or("");
            let (min, mean) = (duration(min)?, duration(mean)?);
            if mean == Duration::ZERO {
                return Ok(Latency::Constant(min));
            }
            Ok(Latency::Exponential { min, mean })
        } else {
            duration(text).map(Latency::Constant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_three_shapes() {
        let ms = Duration::millis;
        for (text, latency) in [
            ("5ms", Latency::Constant(ms(5))),
            ("1ms..10ms", Latency::Uniform { min: ms(1), max: ms(10) }),
            ("1ms + exp 4ms", Latency::Exponential { min: ms(1), mean: ms(4) }),
        ] {
            assert_eq!(text.parse(), Ok(latency));
            assert_eq!(latency.to_string(), text);
        }
        assert_eq!("1ms+exp 4ms".parse::<Latency>(), "1ms + exp 4ms".parse::<Latency>());
        assert_eq!("2ms..2ms".parse(), Ok(Latency::Constant(ms(2))));
        assert_eq!("2ms + exp 0s".parse(), Ok(Latency::Constant(ms(2))));
        for text in ["", "5", "5ms..", "..5ms", "10ms..1ms", "1ms + 4ms", "1ms + exp", "exp 4ms", "1ms..2ms..3ms"] {
            assert!(text.parse::<Latency>().is_err(), "{text:?} must not parse");
        }
    }

    #[test]
    fn sizes_print_in_their_largest_whole_unit() {
        for (bytes, text) in [(0, "0B"), (100, "100B"), (1 << 16, "64KiB"), (1 << 20, "1MiB"), (1 << 31, "2GiB")] {
            assert_eq!(Bytes::new(bytes).to_string(), text);
            assert_eq!(text.parse(), Ok(Bytes::new(bytes)));
        }
        for text in ["", "5", "MiB", "1MB", "1.5KiB", "-1B", "99999999999999GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text:?} must not parse");
        }
    }
}
