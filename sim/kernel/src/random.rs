//! The one door for randomness: ChaCha8 streams derived from the seed by label.
//!
//! Every part of a world draws from a stream of its own ("network of 2", "disk of 1", "ties" ...), so
//! drawing more in one place shifts nothing elsewhere: a run keeps its shape while code around it
//! changes. A stream can begin with a recorded tape of decisions, say the bytes of a coverage-guided
//! fuzzer, and goes on with ChaCha8 when the tape ends; who draws does not notice.

use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use twox_hash::XxHash3_64;

use crate::time::{Duration, Ppm};

/// A stream of random decisions.
#[derive(Clone, Debug)]
pub struct Stream {
    rng: ChaCha8Rng,
    /// Decisions to hand out before the generator's own, and how many of them are gone.
    tape: Option<(Arc<[u64]>, usize)>,
}

impl Stream {
    /// The stream called `label` of the run with this seed.
    ///
    /// The key is the seed followed by three XXH3 hashes of the label, so streams of different labels or
    /// seeds have nothing in common.
    #[must_use]
    pub fn derive(seed: u64, label: &str) -> Stream {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        for (part, salt) in key[8..].chunks_exact_mut(8).zip(1..) {
            part.copy_from_slice(&XxHash3_64::oneshot_with_seed(salt, label.as_bytes()).to_le_bytes());
        }
        Stream { rng: ChaCha8Rng::from_seed(key), tape: None }
    }

    /// The same stream, with the decisions of `tape` before its own.
    #[must_use]
    pub fn with_tape(self, tape: Arc<[u64]>) -> Stream {
        Stream { tape: Some((tape, 0)), ..self }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        if let Some((tape, used)) = &mut self.tape {
            if let Some(&value) = tape.get(*used) {
                *used += 1;
                return value;
            }
            self.tape = None;
        }
        self.rng.next_u64()
    }

    /// 32 random bits, for half the price.
    pub fn half_bits(&mut self) -> u32 {
        // A decision of a tape is a whole one; its low half counts.
        if self.tape.is_some() { self.bits() as u32 } else { self.rng.next_u32() }
    }

    /// A number in `0..n`; 0 where `n` is 0. The bias of the widening multiplication is under n / 2^64.
    pub fn below(&mut self, n: u64) -> u64 {
        u64::try_from((u128::from(self.bits()) * u128::from(n)) >> 64).unwrap_or(0)
    }

    /// A number in `low..=high`; `low` where `high` is not greater. Draws nothing where there is no choice.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        if high <= low { low } else { low + self.below((high - low).saturating_add(1)) }
    }

    /// True with this probability. Draws nothing for never and always.
    pub fn chance(&mut self, probability: Ppm) -> bool {
        match probability {
            Ppm::ZERO => false,
            Ppm::ALWAYS => true,
            p => self.below(1_000_000) < u64::from(p.parts()),
        }
    }

    /// A span from the exponential distribution with this mean, by inversion in integers: mean * -ln(u).
    pub fn exponential(&mut self, mean: Duration) -> Duration {
        // -ln(u) = ln 2 * -log2(u), with log2 in 16.16 fixed point.
        const LN_2: u128 = 45_426; // ln 2 * 2^16
        let log2 = u128::from(minus_log2(self.bits() | 1));
        Duration(u64::try_from((u128::from(mean.0) * log2 * LN_2) >> 32).unwrap_or(u64::MAX))
    }

    /// A span with a heavy tail: the Lomax distribution (Pareto's, moved to begin at zero) with shape 2 and this mean, by
    /// inversion in integers: mean * (1 / sqrt(u) - 1). Its variance is infinite, so it is cut off at 1,000 means, which
    /// costs it a thousandth of its mean.
    pub fn tail(&mut self, mean: Duration) -> Duration {
        // u is 64 random bits over 2^64, so 1 / sqrt(u) is 2^32 / sqrt(bits).
        let root = u128::from((self.bits() | 1).isqrt());
        let rest = ((u128::from(mean.0) << 32) / root).saturating_sub(mean.0.into());
        let end = u128::from(mean.0) * u128::from(TAIL_END);
        Duration(u64::try_from(rest.min(end)).unwrap_or(u64::MAX))
    }
}

/// Where the heavy tail ends, in means.
const TAIL_END: u64 = 1_000;

/// `-log2(u / 2^64)` in 16.16 fixed point: the integer part counts leading zeros, each further bit
/// comes from squaring the mantissa.
fn minus_log2(u: u64) -> u64 {
    let zeros = u.leading_zeros();
    let mut mantissa = u128::from(u << zeros) >> 32; // in [2^31, 2^32), stands for [1, 2)
    let mut fraction = 0;
    for bit in (0..16).rev() {
        mantissa = (mantissa * mantissa) >> 31;
        if mantissa >= 1 << 32 {
            mantissa >>= 1;
            fraction |= 1 << bit;
        }
    }
    (u64::from(zeros + 1) << 16) - fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_seeds_separate_streams() {
        let draw = |seed, label| Stream::derive(seed, label).bits();
        assert_eq!(draw(1, "network"), draw(1, "network"));
        assert_ne!(draw(1, "network"), draw(1, "disk"));
        assert_ne!(draw(1, "network"), draw(2, "network"));
    }

    #[test]
    fn a_stream_is_the_same_in_every_version() {
        // Seeds kept in files mean what they meant: these numbers never change.
        let mut stream = Stream::derive(0x5eed, "network of 1");
        assert_eq!(
            [stream.bits(), stream.bits(), stream.below(1_000), stream.between(10, 20)],
            [GOLDEN[0], GOLDEN[1], GOLDEN[2], GOLDEN[3]]
        );
    }
    const GOLDEN: [u64; 4] = [15_101_684_633_804_936_444, 1_869_331_870_948_627_603, 671, 20];

    #[test]
    fn a_tape_comes_first_and_shifts_nothing() {
        let plain = Stream::derive(1, "x");
        let mut taped = plain.clone().with_tape(Arc::from([5, 6]));
        let mut plain = plain;
        assert_eq!([taped.bits(), taped.bits()], [5, 6]);
        assert_eq!(taped.bits(), plain.bits());
    }

    #[test]
    fn distributions_have_their_shape() {
        let mut stream = Stream::derive(3, "shape");
        let n = 100_000;
        let mean = (0..n).map(|_| stream.exponential(Duration::millis(4)).0).sum::<u64>() / n;
        assert!((3_950_000..4_050_000).contains(&mean), "exponential mean {mean}");
        let tails: Vec<u64> = (0..n).map(|_| stream.tail(Duration::millis(4)).0).collect();
        let mean = tails.iter().sum::<u64>() / n;
        assert!((3_800_000..4_200_000).contains(&mean), "mean {mean} of the heavy tail");
        let above = |means: u64| tails.iter().filter(|span| **span > means * 4_000_000).count();
        // P(rest > k means) = 1 / (1 + k)^2.
        assert!((24_500..25_500).contains(&above(1)) && (900..1_100).contains(&above(9)), "{}", above(9));
        assert!(above(99) > 0 && above(1_000) == 0);
        let hits = (0..n).filter(|_| stream.chance(Ppm::percent(5))).count();
        assert!((4_700..5_300).contains(&hits), "5% hit {hits} times of {n}");
        assert!((0..n).all(|_| (3..=9).contains(&stream.between(3, 9))));
        assert_eq!((stream.between(4, 4), stream.below(0)), (4, 0));
    }
}
