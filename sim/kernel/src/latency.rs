//! Latencies: distributions of spans of virtual time.
//!
//! Each prints what it parses: `"5ms"`, `"1ms..10ms"`, `"1ms + exp 4ms"`.

use std::fmt;
use std::str::FromStr;

use crate::random::Stream;
use crate::time::{Duration, ParseUnitError};

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

impl Latency {
    /// Draws one span. Draws nothing from the stream where there is no choice.
    pub fn draw(&self, stream: &mut Stream) -> Duration {
        match *self {
            Latency::Constant(always) => always,
            Latency::Uniform { min, max } => Duration(stream.between(min.0, max.0)),
            Latency::Exponential { min, mean } => min + stream.exponential(mean),
        }
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
    type Err = ParseUnitError;

    /// A range of one value is that value, and an exponential rest of mean zero is none: one spelling each.
    fn from_str(text: &str) -> Result<Latency, ParseUnitError> {
        let duration = |part: &str| {
            part.parse::<Duration>().map_err(|_| {
                ParseUnitError(format!(
                    "expected a latency such as \"5ms\", \"1ms..10ms\" or \"1ms + exp 4ms\", found {text:?}"
                ))
            })
        };
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
        for text in
            ["", "5", "5ms..", "..5ms", "10ms..1ms", "1ms + 4ms", "1ms + exp", "exp 4ms", "1ms..2ms..3ms"]
        {
            assert!(text.parse::<Latency>().is_err(), "{text:?} must not parse");
        }
    }
}
