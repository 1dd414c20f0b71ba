//! Whether replicas that have applied the same hold the same.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::Run;
use super::steps::show;
use crate::check::ReplicaState;
use crate::node::node_of;
use crate::system::{FIRST_REGION, ReplicaView, System};

/// What clients wrote, in the order of [`System::data`].
type Pairs<'a> = Vec<(&'a [u8], &'a Bytes)>;

impl<S: System> Run<S> {
    /// What a running store holds at a key.
    pub(super) fn value_on(&self, store: u64, key: &[u8]) -> Option<Bytes> {
        self.system(store)?.value(self.world.disk(node_of(store)), key)
    }

    /// What the running member of a key's region that has applied most holds at it.
    pub(super) fn applied_value(&self, key: &str) -> Option<Bytes> {
        let states = self.states(self.region(Some(key)));
        let (store, _) = states.max_by_key(|(_, state)| state.applied)?;
        self.value_on(store, key.as_bytes())
    }

    /// The first difference between running members of a region, in words; `None` where they are equal. Looks first where
    /// it found one the last time.
    pub(super) fn replicas_differ(&mut self) -> Option<String> {
        let known = self.obstacle.and_then(|region| Some((region, self.applied_differs(region)?)));
        if let Some((region, words)) = known {
            return Some(self.about(region, words));
        }
        let regions = self.regions();
        if regions.is_empty() {
            return Some("no store runs".to_owned());
        }
        let applied = regions.iter().find_map(|region| Some((*region, self.applied_differs(*region)?)));
        self.obstacle = applied.as_ref().map(|(region, _)| *region);
        if let Some((region, words)) = applied {
            return Some(self.about(region, words));
        }
        let stores: BTreeMap<u64, _> =
            self.systems().map(|(store, _)| (store, self.by_region(store))).collect();
        let held = |store: u64, region: u64| stores[&store].get(&region).map_or(&[][..], Vec::as_slice);
        regions.into_iter().find_map(|region| {
            let mut group = self.counted(region).map(|(store, _)| store);
            let first = group.next()?;
            let left = held(first, region);
            let mut words = group.filter_map(|store| differs((first, left), (store, held(store, region))));
            words.next().map(|words| self.about(region, words))
        })
    }

    /// Every running member of a region that counts, with its replica's state.
    pub(super) fn counted(&self, region: u64) -> impl Iterator<Item = (u64, ReplicaState)> + '_ {
        self.group(region).filter(|(store, _)| self.counts(*store))
    }

    fn applied_differs(&self, region: u64) -> Option<String> {
        let mut states = self.counted(region);
        let Some((first, reference)) = states.next() else { return Some("no store runs".to_owned()) };
        let different = states.find(|(_, state)| state.applied != reference.applied);
        different.map(|(store, state)| {
            format!("store {first} has applied {}, store {store} {}", reference.applied, state.applied)
        })
    }

    /// What a store holds, by regions.
    fn by_region(&self, store: u64) -> BTreeMap<u64, Pairs<'_>> {
        let Some(system) = self.system(store) else { return BTreeMap::new() };
        let mut views: Vec<ReplicaView<'_>> =
            system.replicas().filter(|view| view.range.has_data()).collect();
        views.sort_unstable_by_key(|view| view.range.start);
        let mut pairs: BTreeMap<u64, Pairs<'_>> = BTreeMap::new();
        for (key, value) in system.data(self.world.disk(node_of(store))) {
            let region = S::data_key(key).map_or(FIRST_REGION, |key| holder(&views, key));
            pairs.entry(region).or_default().push((key, value));
        }
        pairs
    }
}

/// The region that holds a key, of replicas in the order of their ranges; 0 for none.
fn holder(views: &[ReplicaView<'_>], key: &[u8]) -> u64 {
    let after = views.partition_point(|view| view.range.start <= key);
    let view = after.checked_sub(1).and_then(|place| views.get(place));
    view.filter(|view| view.range.contains(key)).map_or(0, |view| view.region)
}

/// The first key at which two stores differ, in words.
fn differs(
    (one, left): (u64, &[(&[u8], &Bytes)]),
    (other, right): (u64, &[(&[u8], &Bytes)]),
) -> Option<String> {
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let key = match (left.get(same), right.get(same)) {
        (Some((a, _)), Some((b, _))) => a.min(b),
        (Some((key, _)), None) | (None, Some((key, _))) => key,
        (None, None) => return None,
    };
    let on = |pairs: &[(&[u8], &Bytes)]| {
        show(pairs.get(same).filter(|(found, _)| found == key).map(|(_, value)| *value))
    };
    let (a, b) = (on(left), on(right));
    Some(format!("{} is {a} on store {one} and {b} on store {other}", String::from_utf8_lossy(key)))
}
