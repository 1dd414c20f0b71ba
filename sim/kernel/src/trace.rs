//! The trace hash: one number that two runs share exactly when they did the same things in the same order.
//!
//! Every event folds into it its time, place and content, what its process wrote to disk, and what a crash
//! took. What became of a message shows when it arrives, or does not. Not a cryptographic hash: it detects accidents
//! (hash order, a clock, an address that leaked into a decision), not attackers. Its definition is part
//! of the format of golden files and never changes.

use std::hash::Hasher;

use twox_hash::XxHash3_64;

/// An odd constant with no structure: 2^64 divided by the golden ratio.
const MIX: u64 = 0x9E37_79B9_7F4A_7C15;

/// Another, of MIX's kind, from the square root of 3.
const STEP: u64 = 0xBB67_AE85_84CA_A73B;

/// Folds words and bytes into 64 bits, order counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceHasher(u64);

impl TraceHasher {
    /// Folds one word in: xor, a 64 by 64 bit multiplication, and its halves together.
    #[inline]
    pub fn word(&mut self, word: u64) {
        let product = u128::from(self.0 ^ word ^ MIX) * u128::from(MIX);
        // The truncations keep the low and the high half. The sum keeps a product of zero from sticking.
        self.0 = ((product as u64) ^ ((product >> 64) as u64).rotate_left(23)).wrapping_add(STEP);
    }

    /// Folds bytes in, their length included.
    #[inline]
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        self.word(XxHash3_64::oneshot(bytes));
    }

    /// The hash so far.
    #[must_use]
    pub fn value(self) -> u64 {
        self.0
    }
}

/// So that whatever derives `Hash` can be folded in. Integers are folded as words, whatever the machine.
impl Hasher for TraceHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        self.bytes(bytes);
    }
    fn write_u8(&mut self, n: u8) {
        self.word(n.into());
    }
    fn write_u16(&mut self, n: u16) {
        self.word(n.into());
    }
    fn write_u32(&mut self, n: u32) {
        self.word(n.into());
    }
    fn write_u64(&mut self, n: u64) {
        self.word(n);
    }
    fn write_usize(&mut self, n: usize) {
        self.word(n as u64);
    }
    // Discriminants of enums come as isize.
    fn write_isize(&mut self, n: isize) {
        self.word(n as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_content_count() {
        let hash = |words: &[u64]| {
            let mut hasher = TraceHasher::default();
            words.iter().for_each(|w| hasher.word(*w));
            hasher.value()
        };
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[0]), hash(&[0, 0]));
        assert_ne!(hash(&[MIX]), hash(&[MIX, MIX]));
        assert_eq!(hash(&[1, 2]), GOLDEN, "the definition is part of a file format");
    }
    const GOLDEN: u64 = 4_959_626_328_557_476_326;
}
