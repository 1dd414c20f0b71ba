//! Latencies: distributions of spans of virtual time.
//!
//! Each prints what it parses: `"5ms"`, `"1ms..10ms"`, `"1ms + exp 4ms"`, `"1ms + tail 4ms"`.

use std::fmt;
use std::str::FromStr;

use crate::random::Stream;
use crate::time::{Duration, ParseUnitError};
use crate::trace::TraceHasher;

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
    /// `"1ms + tail 4ms"`: a minimum plus a rest with a heavy tail. Half of the rests are below 0.42 means, one in
    /// a hundred is above nine means, one in ten thousand above 99, and none above 1,000: see [`Stream::tail`].
    Tail {
        /// The shortest.
        min: Duration,
        /// The mean of the rest; positive.
        mean: Duration,
    },
}

impl Latency {
    /// No time at all.
    pub const ZERO: Latency = Latency::Constant(Duration::ZERO);

    /// Draws one span. Draws nothing from the stream where there is no choice.
    pub fn draw(&self, stream: &mut Stream) -> Duration {
        match *self {
            Latency::Constant(always) => always,
            Latency::Uniform { min, max } => Duration(stream.between(min.0, max.0)),
            Latency::Exponential { min, mean } => min + stream.exponential(mean),
            Latency::Tail { min, mean } => min + stream.tail(mean),
        }
    }

    /// Folds it into the trace hash.
    pub(crate) fn digest(self, hash: &mut TraceHasher) {
        let (shape, first, second) = match self {
            Latency::Constant(always) => (0, always, Duration::ZERO),
            Latency::Uniform { min, max } => (1, min, max),
            Latency::Exponential { min, mean } => (2, min, mean),
            Latency::Tail { min, mean } => (3, min, mean),
        };
        [shape, first.as_nanos(), second.as_nanos()].into_iter().for_each(|word| hash.word(word));
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Latency::Constant(always) => write!(f, "{always}"),
            Latency::Uniform { min, max } => write!(f, "{min}..{max}"),
            Latency::Exponential { min, mean } => write!(f, "{min} + exp {mean}"),
            Latency::Tail { min, mean } => write!(f, "{min} + tail {mean}"),
        }
    }
}

impl FromStr for Latency {
    type Err = ParseUnitError;

    /// A range of one value is that value, and a rest of mean zero is none: one spelling each.
    fn from_str(text: &str) -> Result<Latency, ParseUnitError> {
        let wrong = || {
            ParseUnitError(format!(
                "expected a latency such as \"5ms\", \"1ms..10ms\", \"1ms + exp 4ms\" or \"1ms + tail 4ms\", found {text:?}"
            ))
        };
        let duration = |part: &str| part.parse::<Duration>().map_err(|_| wrong());
        if let Some((min, max)) = text.split_once("..") {
            let (min, max) = (duration(min)?, duration(max)?);
            match min.cmp(&max) {
                std::cmp::Ordering::Less => Ok(Latency::Uniform { min, max }),
                std::cmp::Ordering::Equal => Ok(Latency::Constant(min)),
                std::cmp::Ordering::Greater => Err(ParseUnitError(format!(
                    "expected a range from low to high, found {text:?}: {max} is less than {min}"
                ))),
            }
        } else if let Some((min, rest)) = text.split_once('+') {
            let (shape, mean) = rest.trim_start().split_once(' ').unwrap_or_default();
            let (min, mean) = (duration(min)?, duration(mean)?);
            match shape {
                "exp" | "tail" if mean == Duration::ZERO => Ok(Latency::Constant(min)),
                "exp" => Ok(Latency::Exponential { min, mean }),
                "tail" => Ok(Latency::Tail { min, mean }),
                _ => Err(wrong()),
            }
        } else {
            duration(text).map(Latency::Constant)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_have_four_shapes() {
        let ms = Duration::millis;
        for (text, latency) in [
            ("5ms", Latency::Constant(ms(5))),
            ("1ms..10ms", Latency::Uniform { min: ms(1), max: ms(10) }),
            ("1ms + exp 4ms", Latency::Exponential { min: ms(1), mean: ms(4) }),
            ("1ms + tail 4ms", Latency::Tail { min: ms(1), mean: ms(4) }),
        ] {
            assert_eq!(text.parse(), Ok(latency));
            assert_eq!(latency.to_string(), text);
        }
        assert_eq!("1ms+exp 4ms".parse::<Latency>(), "1ms + exp 4ms".parse::<Latency>());
        assert_eq!("2ms..2ms".parse(), Ok(Latency::Constant(ms(2))));
        assert_eq!("2ms + exp 0s".parse(), Ok(Latency::Constant(ms(2))));
        assert_eq!("2ms + tail 0s".parse(), Ok(Latency::Constant(ms(2))));
        for text in
            ["", "5", "5ms..", "..5ms", "10ms..1ms", "1ms + 4ms", "1ms + exp", "1ms + tail", "exp 4ms"]
        {
            assert!(text.parse::<Latency>().is_err(), "{text:?} must not parse");
        }
        for text in ["1ms..2ms..3ms", "1ms + expo 4ms", "1ms + 4ms exp", "1ms + exptail 4ms"] {
            assert!(text.parse::<Latency>().is_err(), "{text:?} must not parse");
        }
    }
}
