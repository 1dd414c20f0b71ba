//! What one store holds of the regions: the replicas that live there, the ranges of those that are initialised, digests of
//! their data, and who was destroyed.
//!
//! Memory of the checks `regions` and `data-digest`, kept here once for both. What a crash may take back (a tombstone, an
//! epoch) is kept with the number of its write until that is durable.

use std::collections::VecDeque;
use std::fmt;

use bytes::Bytes;
use im::OrdMap;
use smallvec::SmallVec;

use super::{Verdict, data_digest, regions};
use crate::system::RegionRange;

/// The two numbers by which newer knowledge of a region is told from older.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Epoch {
    pub(crate) conf_ver: u64,
    pub(crate) version: u64,
}

impl Epoch {
    pub(crate) fn of(range: &RegionRange<'_>) -> Epoch {
        Epoch { conf_ver: range.conf_ver, version: range.version }
    }

    /// Whether one of the numbers is lower than in `other`.
    pub(crate) fn is_behind(self, other: Epoch) -> bool {
        self.conf_ver < other.conf_ver || self.version < other.version
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "conf_ver {} version {}", self.conf_ver, self.version)
    }
}

/// A replica on a store, as of the last event that changed it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Held {
    pub(crate) replica: u64,
    /// False while the store is down, and once the replica is destroyed.
    pub(crate) lives: bool,
    pub(crate) start: Bytes,
    pub(crate) end: Bytes,
    pub(crate) epoch: Epoch,
    /// What a crash cannot take below.
    pub(crate) durable_epoch: Epoch,
    pub(crate) initialized: bool,
    pub(crate) applying: bool,
    snapshots: u64,
    /// Of all data in the range, if there is any to be seen.
    digest: u64,
    /// The applied index and the digest that were judged last.
    judged: Option<(u64, u64)>,
}

impl Held {
    fn is(&self, replica: u64, range: &RegionRange<'_>, snapshots: u64) -> bool {
        (self.lives, self.replica, self.snapshots) == (true, replica, snapshots)
            && self.epoch == Epoch::of(range)
            && (self.initialized, self.applying) == (range.initialized, range.applying)
            && self.start == range.start
            && self.end == range.end
    }

    /// Of a replica whose store is down.
    fn down(replica: u64, durable_epoch: Epoch) -> Held {
        Held { replica, durable_epoch, ..Held::default() }
    }
}

/// The highest replica of a region that was destroyed on the store: also if a crash takes that back, and for good.
#[derive(Clone, Copy, Debug, Default)]
struct Buried {
    seen: u64,
    durable: u64,
}

/// A write that a crash may take back.
#[derive(Clone, Copy, Debug)]
enum Pending {
    Tombstone { region: u64, replica: u64 },
    Epoch { region: u64, replica: u64, epoch: Epoch },
}

/// What an event made of a replica's range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Noticed {
    /// Something of it changed.
    pub changed: bool,
    /// A replica that lived here without data has the region's data from now on.
    pub born: bool,
    /// Its data is no longer what it was before plus what was written: it must be looked at as a whole.
    pub other_data: bool,
    /// A replica without data made place for it, which needs no tombstone.
    pub displaced: Option<u64>,
}

/// A replica of a region.
pub(crate) type Of = (u64, u64);

/// What one store holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Holdings {
    held: OrdMap<u64, Held>,
    /// End and region of each range by its start.
    ranges: OrdMap<Bytes, (Bytes, u64)>,
    buried: OrdMap<u64, Buried>,
    /// In the order of the writes.
    unsynced: VecDeque<(u64, Pending)>,
    /// Regions whose range is not among the others yet. None between events.
    unsettled: SmallVec<[u64; 2]>,
}

impl Holdings {
    /// The newest replica of a region that lives here, or lived when the store went down.
    pub(crate) fn replica(&self, region: u64) -> Option<u64> {
        self.held.get(&region).map(|held| held.replica)
    }

    /// The highest replica of a region that was destroyed here; 0 if none was.
    pub(crate) fn buried(&self, region: u64) -> u64 {
        self.buried.get(&region).map_or(0, |buried| buried.seen)
    }

    /// All of them.
    pub(crate) fn replicas(&self) -> impl Iterator<Item = Of> {
        self.held.iter().map(|(region, held)| (*region, held.replica))
    }

    /// A replica and its range after an event. Old ranges go at once, new ones come with [`settle`](Self::settle), so
    /// that the order in which the replicas of an event are told does not matter.
    #[inline]
    pub(crate) fn tell(
        &mut self,
        (region, replica): Of,
        range: &RegionRange<'_>,
        snapshots: u64,
        noticed: &mut Noticed,
    ) -> Verdict {
        match self.held.get(&region) {
            Some(held) if held.is(replica, range, snapshots) => Ok(()),
            _ => self.change((region, replica), range, snapshots, noticed),
        }
    }

    #[cold]
    fn change(
        &mut self,
        (region, replica): Of,
        range: &RegionRange<'_>,
        snapshots: u64,
        noticed: &mut Noticed,
    ) -> Verdict {
        let before = self.held.get(&region).cloned();
        let lived = before.as_ref().filter(|held| held.lives);
        let displaced =
            lived.filter(|held| held.replica < replica && !held.initialized).map(|held| held.replica);
        let lived = lived.filter(|_| displaced.is_none());
        let verdict = match lived {
            Some(held) => regions::changes(replica, held, range),
            None => {
                let buried = self.buried.get(&region).map_or(0, |buried| buried.seen);
                let durable = before.as_ref().filter(|held| held.replica == replica);
                regions::appears(replica, durable.map(|held| held.durable_epoch), range, buried)
            }
        };
        let same = lived.filter(|held| held.replica == replica);
        let same_data = same.filter(|held| {
            (held.initialized, held.applying) == (range.initialized, range.applying)
                && held.snapshots == snapshots
                && held.start == range.start
                && held.end == range.end
        });
        *noticed = Noticed {
            changed: true,
            born: range.initialized && same.is_some_and(|held| !held.initialized),
            other_data: range.has_data() && same_data.is_none(),
            displaced,
        };
        let now = Held {
            replica,
            lives: true,
            start: Bytes::copy_from_slice(range.start),
            end: Bytes::copy_from_slice(range.end),
            epoch: Epoch::of(range),
            durable_epoch: before
                .as_ref()
                .filter(|held| held.replica == replica)
                .map_or_else(Epoch::default, |held| held.durable_epoch),
            initialized: range.initialized,
            applying: range.applying,
            snapshots,
            digest: same_data.map_or(0, |held| held.digest),
            judged: None,
        };
        if lived.is_some_and(|held| held.initialized) {
            self.take_range(region);
        }
        if now.initialized {
            self.unsettled.push(region);
        }
        self.held.insert(region, now);
        verdict
    }

    /// The ranges that are new take their place among the others.
    pub(crate) fn settle(&mut self) -> Result<(), (u64, String)> {
        let mut verdict = Ok(());
        for region in std::mem::take(&mut self.unsettled) {
            let Some(held) = self.held.get(&region).filter(|held| held.lives) else { continue };
            let (start, end) = (held.start.clone(), held.end.clone());
            let before = self.ranges.get_prev(&start).filter(|(_, (end, _))| end.is_empty() || start < *end);
            let after = self.ranges.get_next(&start).filter(|(next, _)| end.is_empty() || **next < end);
            if let Some((other, (other_end, other_region))) = before.or(after) {
                let other = regions::span(other, other_end);
                let own = regions::span(&start, &end);
                verdict = Err((region, regions::overlap(own, *other_region, other)));
                continue;
            }
            self.ranges.insert(start, (end, region));
        }
        verdict
    }

    fn take_range(&mut self, region: u64) {
        let Some(start) = self.held.get(&region).map(|held| held.start.clone()) else { return };
        if self.ranges.get(&start).is_some_and(|(_, of)| *of == region) {
            self.ranges.remove(&start);
        }
    }

    // What is recorded on disk.

    /// Write `seq` says that the region's replica here is destroyed.
    pub(crate) fn note_tombstone(&mut self, seq: u64, region: u64) {
        let Some(replica) = self.replica(region) else { return };
        let buried = self.buried.entry(region).or_default();
        buried.seen = buried.seen.max(replica);
        self.unsynced.push_back((seq, Pending::Tombstone { region, replica }));
    }

    /// Write `seq` holds the region as the replica here knows it.
    pub(crate) fn note_region(&mut self, seq: u64, region: u64) {
        let Some(&Held { replica, epoch, .. }) = self.held.get(&region).filter(|held| held.lives) else {
            return;
        };
        self.unsynced.push_back((seq, Pending::Epoch { region, replica, epoch }));
    }

    /// The region has no replica here any more: which one is gone, and whether the disk may be silent about that.
    pub(crate) fn vanish(&mut self, region: u64) -> Option<(u64, Verdict)> {
        let held = self.held.get(&region).filter(|held| held.lives)?;
        let (replica, initialized) = (held.replica, held.initialized);
        let buried = self.buried.get(&region).map_or(0, |buried| buried.seen);
        self.take_range(region);
        if let Some(held) = self.held.get_mut(&region) {
            held.lives = false;
        }
        Some((replica, regions::vanishes(replica, initialized, buried)))
    }

    /// What was written up to `seq` is durable. Calls `gone` for replicas that never come back.
    pub(crate) fn synced(&mut self, seq: u64, mut gone: impl FnMut(Of)) {
        while let Some((_, write)) = self.unsynced.pop_front_if(|(number, _)| *number <= seq) {
            match write {
                Pending::Epoch { region, replica, epoch } => {
                    if let Some(held) = self.held.get_mut(&region).filter(|held| held.replica == replica) {
                        held.durable_epoch = epoch;
                    }
                }
                Pending::Tombstone { region, replica } => {
                    let buried = self.buried.entry(region).or_default();
                    buried.durable = buried.durable.max(replica);
                    if self.held.get(&region).is_some_and(|held| held.replica == replica && !held.lives) {
                        self.held.remove(&region);
                    }
                    gone((region, replica));
                }
            }
        }
    }

    /// The store is down, and what was written after `kept` lost. Calls `gone` for replicas that never come back, and
    /// `replaced` for those in whose place there is an older one again, whose tombstone was lost.
    pub(crate) fn crash(&mut self, kept: u64, gone: impl FnMut(Of), mut replaced: impl FnMut(Of)) {
        let all = self.held.iter();
        self.held = all.map(|(id, held)| (*id, Held::down(held.replica, held.durable_epoch))).collect();
        self.ranges.clear();
        self.synced(kept, gone);
        while let Some((_, write)) = self.unsynced.pop_back() {
            let Pending::Tombstone { region, replica } = write else { continue };
            if let Some(buried) = self.buried.get_mut(&region) {
                buried.seen = buried.durable;
            }
            let held = self.held.entry(region).or_insert_with(|| Held::down(replica, Epoch::default()));
            if held.replica != replica {
                replaced((region, held.replica));
                *held = Held::down(replica, Epoch::default());
            }
        }
    }

    // Digests.

    /// Takes changes of data.
    pub(crate) fn tally(&mut self) -> Tally<'_> {
        Tally { holdings: self, at: None, sum: 0 }
    }

    /// All data of a region as it is.
    pub(crate) fn set_digest(&mut self, region: u64, digest: u64) {
        if let Some(held) = self.held.get_mut(&region) {
            held.digest = digest;
        }
    }

    /// The digest of a region's data, if it has not been judged at this applied index.
    #[inline]
    pub(crate) fn digest_to_judge(&mut self, region: u64, applied: u64) -> Option<u64> {
        let held = self.held.get(&region).filter(|held| held.lives && held.initialized && !held.applying)?;
        let now = (applied, held.digest);
        if held.judged == Some(now) {
            return None;
        }
        self.held.get_mut(&region)?.judged = Some(now);
        Some(now.1)
    }

    /// The region whose replica here holds a key.
    fn region_of(&self, key: &[u8]) -> Option<(&Bytes, &Bytes, u64)> {
        let (start, (end, region)) = self.ranges.get_prev(key)?;
        (end.is_empty() || *key < **end).then_some((start, end, *region))
    }
}

/// Adds up what writes make of the regions' digests. Writes mostly come one region after the other.
pub(crate) struct Tally<'a> {
    holdings: &'a mut Holdings,
    /// The range of the last key, and whose it is.
    at: Option<(Bytes, Bytes, u64)>,
    /// What the writes to it add up to.
    sum: u64,
}

impl Tally<'_> {
    /// The client's key `user_key`, which stands in the database as `key`, has another value. Data in no range is nobody's:
    /// of a snapshot on its way in, or of a replica that is destroyed.
    #[inline]
    pub(crate) fn change(&mut self, user_key: &[u8], key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) {
        let inside = |(start, end, _): &(Bytes, Bytes, u64)| {
            **start <= *user_key && (end.is_empty() || *user_key < **end)
        };
        if !self.at.as_ref().is_some_and(inside) {
            self.flush();
            let found = self.holdings.region_of(user_key);
            self.at = found.map(|(start, end, region)| (start.clone(), end.clone(), region));
        }
        if self.at.is_some() {
            self.sum = self.sum.wrapping_add(data_digest::change(key, old, new));
        }
    }

    /// No more changes.
    pub(crate) fn flush(&mut self) {
        let sum = std::mem::take(&mut self.sum);
        if let Some((_, _, region)) = &self.at
            && sum != 0
            && let Some(held) = self.holdings.held.get_mut(region)
        {
            held.digest = held.digest.wrapping_add(sum);
        }
    }
}
