//! Random election timeouts: the only random decisions of a replica.
//!
//! The numbers are those of one ChaCha8 stream. What is kept is not the generator with its 256 bytes of
//! buffer but the seed and a position, because a store holds thousands of replicas, copies of the whole
//! state are taken often, and a number is needed only once an election.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

#[derive(Clone, Debug)]
pub(crate) struct Jitter {
    seed: u64,
    /// How many 32-bit words of the stream were used.
    position: u64,
}

impl Jitter {
    pub(crate) fn new(seed: u64) -> Jitter {
        Jitter { seed, position: 0 }
    }

    /// A number in `0..bound`, each equally likely.
    ///
    /// The high half of `word * bound` is in range; the words whose low half is below `2^32 mod bound`
    /// are the surplus that would favour some results, and are drawn again (Lemire 2019).
    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed);
        stream.set_word_pos(u128::from(self.position));
        let surplus = bound.wrapping_neg() % bound;
        loop {
            self.position += 1;
            let product = u64::from(stream.next_u32()) * u64::from(bound);
            if product as u32 >= surplus {
                return (product >> 32) as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_continue_one_stream() {
        let mut stream = ChaCha8Rng::seed_from_u64(42);
        let mut jitter = Jitter::new(42);
        // A power of two has no surplus, so each draw takes one word and keeps its high bits.
        for _ in 0..200 {
            assert_eq!(jitter.below(1 << 16), stream.next_u32() >> 16);
        }
    }

    #[test]
    fn every_value_is_drawn_about_equally_often() {
        let mut jitter = Jitter::new(7);
        let mut counts = [0u32; 10];
        for _ in 0..10_000 {
            counts[jitter.below(10) as usize] += 1;
        }
        assert!(counts.iter().all(|count| (850..1150).contains(count)), "{counts:?}");
    }
}
