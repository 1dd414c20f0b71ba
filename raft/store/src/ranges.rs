//! Which region holds which keys on this store.
//!
//! Every replica that holds data, or is about to, claims its range here, so the claims are disjoint: two
//! replicas that wrote to the same keys would destroy each other's data. A replica made by a message claims
//! nothing before its snapshot comes.
//!
//! What a replica gives up is nobody's at first, and can be claimed again when that is durable: a crash could bring
//! the replica back, and find another one's data in its place.

use std::ops::Bound;

use bytes::Bytes;
use im::OrdMap;
use raft_proto::metapb::Region;

/// Whose keys are those that a replica has given up, while that is not durable.
const NOBODY: u64 = 0;

/// Claims, by their first key.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges {
    by_start: OrdMap<Bytes, Claim>,
}

/// A claim: up to `end`, or without end where that is empty.
#[derive(Clone, Debug)]
struct Claim {
    end: Bytes,
    region: u64,
}

/// Whether a range that ends at `end` reaches past `key`.
fn passes(end: &[u8], key: &[u8]) -> bool {
    end.is_empty() || key < end
}

/// Whether a region holds a key.
pub(crate) fn holds(region: &Region, key: &[u8]) -> bool {
    *region.start_key <= *key && passes(&region.end_key, key)
}

impl Ranges {
    /// A region claims its range.
    ///
    /// # Panics
    /// Where another one has claimed a part of it: data would be lost.
    pub(crate) fn claim(&mut self, region: &Region) {
        if let Some(other) = self.overlapping(&region.start_key, &region.end_key).find(|id| *id != region.id)
        {
            panic!("region {} claims keys of region {other}", region.id);
        }
        let claim = Claim { end: region.end_key.clone(), region: region.id };
        self.by_start.insert(region.start_key.clone(), claim);
    }

    /// A region gives its claim up.
    pub(crate) fn release(&mut self, region: &Region) {
        if self.by_start.get(&region.start_key).is_some_and(|claim| claim.region == region.id) {
            self.by_start.remove(&region.start_key);
        }
    }

    /// A region gives its claim up, and nobody may have the keys yet: see [`free`](Ranges::free), which wants to be
    /// told where the claim begins and ends. `None` if there was no such claim.
    pub(crate) fn abandon(&mut self, region: &Region) -> Option<(Bytes, Bytes)> {
        let claim = self.by_start.get_mut(&region.start_key).filter(|claim| claim.region == region.id)?;
        claim.region = NOBODY;
        Some((region.start_key.clone(), claim.end.clone()))
    }

    /// Keys that have no replica here any more: as if one had claimed and abandoned them.
    pub(crate) fn withhold(&mut self, start: &Bytes, end: &Bytes) {
        let nobody =
            Region { id: NOBODY, start_key: start.clone(), end_key: end.clone(), ..Region::default() };
        self.claim(&nobody);
    }

    /// That the keys from `start` on were given up is durable.
    pub(crate) fn free(&mut self, start: &Bytes) {
        if self.by_start.get(start).is_some_and(|claim| claim.region == NOBODY) {
            self.by_start.remove(start);
        }
    }

    /// The regions with a claim to any key of `start..end`, in the order of their keys.
    pub(crate) fn overlapping<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
    ) -> impl Iterator<Item = u64> + 'a {
        self.claims(start, end).map(|(_, claim)| claim.region)
    }

    fn claims<'a>(
        &'a self,
        start: &'a [u8],
        end: &'a [u8],
    ) -> impl Iterator<Item = (&'a Bytes, &'a Claim)> + 'a {
        let first = Bytes::copy_from_slice(start);
        let before = self.by_start.get_prev(&first).filter(|(_, claim)| passes(&claim.end, start));
        let later = self.by_start.range((Bound::Excluded(first), Bound::Unbounded));
        before.into_iter().chain(later.take_while(move |(key, _)| passes(end, key)))
    }

    /// The region with a claim to `key`.
    pub(crate) fn holding(&self, key: &[u8]) -> Option<u64> {
        let (_, claim) = self.by_start.get_prev(&Bytes::copy_from_slice(key))?;
        passes(&claim.end, key).then_some(claim.region)
    }

    /// Whether a region has claimed just its range.
    pub(crate) fn is_claimed_by(&self, region: &Region) -> bool {
        let claim = self.by_start.get(&region.start_key);
        claim.is_some_and(|claim| claim.region == region.id && claim.end == region.end_key)
    }

    /// The parts of `start..end` that nobody has claimed.
    pub(crate) fn unclaimed(&self, start: &Bytes, end: &Bytes) -> Vec<(Bytes, Bytes)> {
        let mut gaps = Vec::new();
        let mut from = start.clone();
        for (first, claim) in self.claims(start, end) {
            if from < *first {
                gaps.push((from, first.clone()));
            }
            from = claim.end.clone();
            if from.is_empty() {
                return gaps;
            }
        }
        if passes(end, &from) {
            gaps.push((from, end.clone()));
        }
        gaps
    }
}

#[cfg(test)]
mod tests;
