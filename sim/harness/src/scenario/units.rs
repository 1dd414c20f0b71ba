//! Sizes, and the kernel's latencies: values of a scenario that are a small language of their own.
//!
//! Each prints what it parses, in the unit a person would write.

pub use raftsim_kernel::Latency;
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
}
