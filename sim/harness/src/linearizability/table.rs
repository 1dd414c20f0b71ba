//! A hash index: from a hash to the numbers of the items that have it.
//!
//! The items live elsewhere, and the caller says which of those with the right hash is the right one, so an
//! accidental equality of hashes costs time and never truth. Nothing iterates over it, and the hash is the
//! caller's own: no randomness enters. (`std`'s maps have random keys, and an ordered map would compare whole
//! sets at each of its levels.)

/// Open addressing with linear probing; at most half full.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    /// A hash and an item's number plus one; a zero marks a free slot. The length is zero or a power of two.
    slots: Vec<(u64, u32)>,
    len: usize,
}

impl Table {
    /// The item with this hash that `same` accepts.
    pub(super) fn find(&self, hash: u64, mut same: impl FnMut(u32) -> bool) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let mask = self.slots.len() - 1;
        let mut at = spread(hash) & mask;
        loop {
            match self.slots[at] {
                (_, 0) => return None,
                (found, item) if found == hash && same(item - 1) => return Some(item - 1),
                _ => at = (at + 1) & mask,
            }
        }
    }

    /// Adds an item that is not there yet.
    pub(super) fn insert(&mut self, hash: u64, item: u32) {
        if self.len * 2 >= self.slots.len() {
            let bigger = vec![(0, 0); (self.slots.len() * 2).max(32)];
            for (hash, item) in std::mem::replace(&mut self.slots, bigger) {
                if item != 0 {
                    self.occupy(hash, item);
                }
            }
        }
        self.occupy(hash, item + 1);
        self.len += 1;
    }

    fn occupy(&mut self, hash: u64, item: u32) {
        let mask = self.slots.len() - 1;
        let mut at = spread(hash) & mask;
        while self.slots[at].1 != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = (hash, item);
    }
}

/// Brings the high bits of a hash to the low ones, which choose the slot.
fn spread(hash: u64) -> usize {
    mix(hash) as usize
}

/// The finalizer of SplitMix64: a bijection in which each bit of the input changes about half of the
/// output's.
pub(super) fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
