//! The regions of a cluster, as its running stores know them.
//!
//! Nobody in a cluster knows all regions for certain, so what a step or a check means by "the region of a key" is looked
//! up in every running store: of several answers the one with the newest epoch holds.

use std::collections::BTreeSet;

use super::Run;
use crate::report::Finding;
use crate::scenario::ast::Check;
use crate::system::{FIRST_REGION, ReplicaView, System};

/// A region that does not exist: of a key that no running store knows a region for. Looking for its leader or members
/// finds nobody, as looking for those of a region whose stores are all down.
const NO_REGION: u64 = 0;

impl<S: System> Run<S> {
    /// The region that a step is about: that of a key, or else the first, which holds the first key whatever was split:
    /// the left part of a split stays the region that it was.
    pub(super) fn region(&self, of: Option<&str>) -> u64 {
        of.map_or(FIRST_REGION, |key| self.region_of(key.as_bytes()).unwrap_or(NO_REGION))
    }

    /// The region that holds a key, by the newest epoch that a running store knows.
    pub(super) fn region_of(&self, key: &[u8]) -> Option<u64> {
        let views = self.systems().filter_map(|(_, system)| system.replica(system.region_of(key)?));
        views.max_by_key(epoch).map(|view| view.region)
    }

    /// The regions that running stores have replicas of.
    pub(super) fn regions(&self) -> BTreeSet<u64> {
        self.systems().flat_map(|(_, system)| system.replicas()).map(|view| view.region).collect()
    }

    /// How many regions have a leader.
    pub(super) fn led_regions(&self) -> u64 {
        let led = self.systems().flat_map(|(_, system)| system.replicas());
        let led = led.filter(|view| view.state.role == crate::check::Role::Leader);
        led.map(|view| view.region).collect::<BTreeSet<u64>>().len() as u64
    }

    /// A region as the replica with its newest epoch knows it.
    pub(super) fn newest(&self, region: u64) -> Option<ReplicaView<'_>> {
        let views = self.systems().filter_map(|(_, system)| system.replica(region));
        views.filter(|view| view.range.initialized).max_by_key(epoch)
    }

    /// The software of every running store; of those in the core, once there is one.
    pub(super) fn systems(&self) -> impl Iterator<Item = (u64, &S)> {
        let counts = (1..=self.scenario.cluster.stores).filter(|store| self.counts(*store));
        counts.filter_map(|store| Some((store, self.system(store)?)))
    }

    /// The first place where regions, in their newest epochs, leave keys to nobody or to two of them.
    pub(super) fn not_tiled(&self, regions: &BTreeSet<u64>) -> Option<String> {
        let mut ranges: Vec<_> = regions.iter().filter_map(|region| self.newest(*region)).collect();
        ranges.sort_unstable_by_key(|view| (view.range.start, view.region));
        let key = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        let (first, last) = (ranges.first()?, ranges.last()?);
        if !first.range.start.is_empty() {
            return Some(format!("no region holds the keys before {}", key(first.range.start)));
        }
        let joints = ranges.windows(2).find_map(|pair| match pair {
            [left, right] if left.range.end.is_empty() || left.range.end != right.range.start => {
                let (left, right) = (left.region, right.region);
                Some((left, right, pair[0].range.end, pair[1].range.start))
            }
            _ => None,
        });
        if let Some((left, right, end, start)) = joints {
            let (end, start) = (key(end), key(start));
            return Some(format!(
                "region {left} ends at {end:?}, and the next, {right}, starts at {start:?}"
            ));
        }
        let open = last.range.end.is_empty();
        (!open).then(|| format!("no region holds the keys from {} on", key(last.range.end)))
    }

    /// A finding about the region of a key, so that this one is shown with it. Says nothing where there is but one.
    pub(super) fn finding_of(&self, of: Option<&str>, check: Check, message: String) -> Finding {
        let region = of.and_then(|key| self.region_of(key.as_bytes())).filter(|_| self.has_several_regions());
        Finding { region, ..self.finding(check, message) }
    }

    /// Words about a region; which one, only where there are several.
    pub(super) fn about(&self, region: u64, words: String) -> String {
        if self.has_several_regions() { format!("region {region}: {words}") } else { words }
    }

    /// Whether there is more than one region, in no more time where there are a thousand.
    pub(super) fn has_several_regions(&self) -> bool {
        let mut regions = self.systems().flat_map(|(_, system)| system.replicas()).map(|view| view.region);
        let first = regions.next();
        regions.any(|region| Some(region) != first)
    }
}

fn epoch(view: &ReplicaView<'_>) -> (u64, u64) {
    (view.range.version, view.range.conf_ver)
}
