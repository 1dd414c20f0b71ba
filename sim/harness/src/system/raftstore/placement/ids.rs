//! Numbers for new regions and replicas: none is given out twice, whatever crashes.
//!
//! Numbers come in blocks, as from PD's allocator. Where a block ends is written down, and only when that is durable are its
//! numbers given out. After a crash the driver goes on where the last block that it finds ends: what was left of that one
//! is lost, and nothing of it comes again.

use std::ops::Range;

use bytes::Bytes;

/// The first number that a driver gives out: above all that a cluster starts with.
pub(super) const FIRST_ID: u64 = 1000;
/// How many numbers a block has, unless more are asked for at once.
const BLOCK: u64 = 64;
/// With fewer numbers left, the next block is written down ahead of need.
const RESERVE: u64 = BLOCK / 2;

/// The numbers.
#[derive(Clone, Debug)]
pub(super) struct Ids {
    /// The next number to give out; at most `end`.
    next: u64,
    /// All numbers below are covered by what is durable.
    end: u64,
    /// The end that was written down and is not durable yet.
    writing: Option<u64>,
    /// The most that was asked for in vain since the last block.
    wanted: u64,
}

impl Ids {
    /// After a start: `stored` is what an earlier life wrote down last.
    pub(super) fn open(stored: Option<&Bytes>) -> Ids {
        let end = stored.map_or(FIRST_ID, |stored| {
            let end = stored.as_ref().try_into().expect("only `due` makes such values, of eight bytes");
            u64::from_be_bytes(end)
        });
        Ids { next: end, end, writing: None, wanted: 0 }
    }

    /// So many fresh numbers, or none where they have to wait for a block.
    pub(super) fn take(&mut self, count: u64) -> Option<Range<u64>> {
        if self.end - self.next < count {
            self.wanted = self.wanted.max(count);
            return None;
        }
        let first = self.next;
        self.next += count;
        Some(first..self.next)
    }

    /// The greatest number that may have been given out.
    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }

    /// What is to be written down now, if a new block is needed: one at a time.
    pub(super) fn due(&mut self) -> Option<Bytes> {
        if self.writing.is_some() || self.end - self.next >= RESERVE.max(self.wanted) {
            return None;
        }
        let end = self.end + BLOCK.max(self.wanted);
        self.writing = Some(end);
        Some(Bytes::copy_from_slice(&end.to_be_bytes()))
    }

    /// What was written down is durable.
    pub(super) fn on_durable(&mut self) {
        if let Some(end) = self.writing.take() {
            self.end = end;
            self.wanted = 0;
        }
    }
}
