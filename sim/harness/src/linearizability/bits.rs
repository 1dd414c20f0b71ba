//! A set of small integers as words of bits; up to 256 of them without an allocation.

use smallvec::{SmallVec, smallvec};

/// A set of integers below a size fixed when it is made.
#[derive(Clone, Debug)]
pub(super) struct Bits(SmallVec<[u64; 4]>);

impl Bits {
    /// The empty set that can hold the integers below `size`.
    pub(super) fn new(size: usize) -> Self {
        Bits(smallvec![0; size.div_ceil(64)])
    }

    pub(super) fn contains(&self, bit: u32) -> bool {
        self.0[bit as usize / 64] >> (bit % 64) & 1 == 1
    }

    pub(super) fn insert(&mut self, bit: u32) {
        self.0[bit as usize / 64] |= 1 << (bit % 64);
    }

    pub(super) fn remove(&mut self, bit: u32) {
        self.0[bit as usize / 64] &= !(1 << (bit % 64));
    }

    /// The words, 64 integers each.
    pub(super) fn words(&self) -> &[u64] {
        &self.0
    }
}

/// Whether every member of `a` is one of `b`, both given as words of the same number.
pub(super) fn is_subset(a: &[u64], b: &[u64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a & !b == 0)
}
