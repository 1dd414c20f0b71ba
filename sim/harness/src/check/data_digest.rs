//! Data digest: replicas of a region that have applied the same index hold the same data, range and epoch.
//!
//! A state machine is a function of the log, so what it holds after an index must be the same wherever and whenever a
//! replica gets there: by applying entries, by a snapshot, by a split, or once more after a crash. Commands that are
//! applied twice, in another order or past the end of a region, pairs that a snapshot forgot or left lying about, show at
//! the next index that two replicas have in common, long before a client reads them.
//!
//! Data is compared by the sum of a hash of every pair: a write takes the old pair's away and adds the new one's, in
//! whatever order. A sum of 64 bits does not tell data apart that somebody built to deceive it.
//!
//! # What is not covered
//! What a replica holds between two entries that it applied in one event. Indexes further back than [`KEPT`] before the
//! newest. Replicas that are taking up a snapshot.

use bytes::Bytes;
use im::Vector;
use twox_hash::XxHash3_64;

use super::holdings::Epoch;
use super::ledger::Replica;
use super::{DataState, Invariant, Verdict, regions};
use crate::scenario::ast::Check;
use crate::system::RegionRange;

/// So many indexes of a region are remembered, the newest.
const KEPT: usize = 4096;

/// A pair's part of a digest.
#[must_use]
pub(crate) fn pair(key: &[u8], value: &[u8]) -> u64 {
    XxHash3_64::oneshot_with_seed(XxHash3_64::oneshot(key), value)
}

/// What the change of a pair adds to a digest.
#[inline]
pub(crate) fn change(key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> u64 {
    let seed = XxHash3_64::oneshot(key);
    let part = |value: Option<&[u8]>| value.map_or(0, |value| XxHash3_64::oneshot_with_seed(seed, value));
    part(new).wrapping_sub(part(old))
}

/// A range and its epoch.
#[derive(Clone, Debug)]
struct Shape {
    start: Bytes,
    end: Bytes,
    epoch: Epoch,
}

impl Shape {
    fn is(&self, range: &RegionRange<'_>) -> bool {
        self.epoch == Epoch::of(range) && self.start == range.start && self.end == range.end
    }
}

/// What the first replica that was seen at an index held there.
#[derive(Clone, Copy, Debug)]
struct Seen {
    digest: u64,
    /// The place of its shape.
    shape: u32,
    /// 0 where no replica was seen.
    replica: u64,
}

const NOBODY: Seen = Seen { digest: 0, shape: 0, replica: 0 };

#[derive(Clone, Debug, Default)]
pub(crate) struct DataDigest {
    /// The index of the first that is remembered.
    base: u64,
    /// By applied index, without gaps.
    seen: Vector<Seen>,
    /// Every shape that the region had.
    shapes: Vector<Shape>,
}

impl Invariant for DataDigest {
    const NAME: Check = Check::DataDigest;

    #[inline]
    fn data(&mut self, replica: &Replica, data: &DataState<'_>) -> Verdict {
        let shape = self.shape(&data.range);
        let now = Seen { digest: data.digest, shape, replica: replica.id };
        let Some(first) = self.first_at(data.applied, now) else { return Ok(()) };
        if (first.digest, first.shape) == (now.digest, now.shape) {
            return Ok(());
        }
        Err(self.difference(data.applied, first, now))
    }
}

impl DataDigest {
    /// The number of a shape. Mostly it is the newest.
    fn shape(&mut self, range: &RegionRange<'_>) -> u32 {
        let place = self.shapes.iter().rposition(|shape| shape.is(range)).unwrap_or_else(|| {
            let start = Bytes::copy_from_slice(range.start);
            let end = Bytes::copy_from_slice(range.end);
            self.shapes.push_back(Shape { start, end, epoch: Epoch::of(range) });
            self.shapes.len() - 1
        });
        u32::try_from(place).unwrap_or(u32::MAX)
    }

    /// What was seen first at an index, this included; `None` where that is forgotten.
    fn first_at(&mut self, applied: u64, now: Seen) -> Option<Seen> {
        let end = self.base + self.seen.len() as u64;
        if self.seen.is_empty() || applied >= end + KEPT as u64 {
            (self.base, self.seen) = (applied, Vector::unit(now));
            return Some(now);
        }
        // Nobody stopped at the indexes in between.
        for _ in end..applied {
            self.push(NOBODY);
        }
        if applied >= end {
            self.push(now);
            return Some(now);
        }
        let place = usize::try_from(applied.checked_sub(self.base)?).ok()?;
        let seen = *self.seen.get(place)?;
        if seen.replica == 0 {
            self.seen.set(place, now);
            return Some(now);
        }
        Some(seen)
    }

    fn push(&mut self, seen: Seen) {
        if self.seen.len() == KEPT {
            self.seen.pop_front();
            self.base += 1;
        }
        self.seen.push_back(seen);
    }

    #[cold]
    fn difference(&self, applied: u64, first: Seen, now: Seen) -> String {
        let who = if first.replica == now.replica {
            "it held before".to_owned()
        } else {
            format!("replica {} held there", first.replica)
        };
        let id = now.replica;
        let shape = |seen: Seen| self.shapes.get(usize::try_from(seen.shape).ok()?);
        let (Some(own), Some(other)) = (shape(now), shape(first)) else { return String::new() };
        if first.shape == now.shape {
            return format!(
                "replica {id} has applied index {applied} and holds other data in {} than {who}",
                regions::span(&own.start, &own.end)
            );
        }
        let words = |shape: &Shape| format!("{} of {}", regions::span(&shape.start, &shape.end), shape.epoch);
        format!(
            "replica {id} has applied index {applied} and holds {}, but {who} {}",
            words(own),
            words(other)
        )
    }
}
