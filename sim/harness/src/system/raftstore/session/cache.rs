//! What a client believes of the regions: their ranges, their replicas, and whom to ask first.
//!
//! Regions that it knows never overlap: one that a store tells of takes the place of all older ones in its range, and
//! is ignored where one of them is newer. What a store tells was true once. So of two regions with a key in common
//! the one with the higher version is the later one, and of the same region the one with the higher `conf_ver`.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use im::OrdMap;
use raft_proto::metapb::{Peer, PeerRole, Region};
use smallvec::SmallVec;

/// A region and whom to ask.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) region: Arc<Region>,
    /// Whom to ask first.
    first: Option<First>,
    /// Stores that were asked in vain since the region was learned or served a request.
    asked: SmallVec<[u64; 4]>,
}

#[derive(Clone, Copy, Debug)]
struct First {
    peer: Peer,
    /// It leads, and not only serves reads.
    leads: bool,
}

impl Entry {
    /// The replica on a store. One that a leader was said to be may be younger than what is known of the region.
    pub(super) fn peer_on(&self, store: u64) -> Option<Peer> {
        let first = self.first.map(|first| first.peer);
        first.into_iter().chain(self.region.peers.iter().copied()).find(|peer| peer.store_id == store)
    }

    /// Whether the replica on a store is the leader, by all that is known.
    pub(super) fn leads(&self, store: u64) -> bool {
        self.first.is_some_and(|first| first.leads && first.peer.store_id == store)
    }

    /// Whom to ask next: who is likely to serve, then voters, then learners, which never lead; nobody twice.
    fn store(&self) -> Option<u64> {
        let first = self.first.map(|first| first.peer.store_id);
        let mut peers: Vec<&Peer> = self.region.peers.iter().collect();
        // In a circle behind the first.
        let is_before = |store: u64| first.is_some_and(|first| store < first);
        let is_learner = |peer: &Peer| peer.role == PeerRole::Learner as i32;
        peers.sort_by_key(|peer| (is_learner(peer), is_before(peer.store_id), peer.store_id));
        let mut stores = first.into_iter().chain(peers.into_iter().map(|peer| peer.store_id));
        stores.find(|store| !self.asked.contains(store))
    }
}

/// The regions that a client knows, by the keys with which they begin.
#[derive(Clone, Debug, Default)]
pub(super) struct Cache {
    entries: OrdMap<Bytes, Entry>,
}

impl Cache {
    /// What is known of the region that holds a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Entry> {
        let (_, entry) =
            self.entries.range::<_, [u8]>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        let end = &entry.region.end_key;
        (end.is_empty() || key < end.as_ref()).then_some(entry)
    }

    /// Whom to ask next for a key; nobody, if its region is not known.
    pub(super) fn store(&self, key: &[u8]) -> Option<u64> {
        self.get(key).and_then(Entry::store)
    }

    /// The regions, in order.
    #[cfg(test)]
    pub(super) fn regions(&self) -> impl Iterator<Item = &Region> {
        self.entries.values().map(|entry| &*entry.region)
    }

    /// A store tells of regions. False if none of them is news.
    pub(super) fn learn(&mut self, regions: &[Region]) -> bool {
        let before = self.clone();
        regions.iter().filter(|region| self.learn_one(region, &before)).count() > 0
    }

    fn learn_one(&mut self, region: &Region, before: &Cache) -> bool {
        let is_newer_than = |entry: &Entry| is_newer(region, &entry.region);
        if region.id == 0 || region.peers.is_empty() || !self.overlapping(region).all(is_newer_than) {
            return false;
        }
        // Both halves of a region that was split have their leader on one store, at first.
        let first = before.overlapping(region).find_map(|entry| {
            let First { peer, leads } = entry.first?;
            let peer = *region.peers.iter().find(|of| of.store_id == peer.store_id)?;
            Some(First { peer, leads: leads && entry.region.id == region.id })
        });
        let older: Vec<Bytes> =
            self.overlapping(region).map(|entry| entry.region.start_key.clone()).collect();
        for start in older {
            self.entries.remove(&start);
        }
        let entry = Entry { region: Arc::new(region.clone()), first, asked: SmallVec::new() };
        self.entries.insert(region.start_key.clone(), entry);
        true
    }

    fn overlapping<'a>(&'a self, region: &'a Region) -> impl Iterator<Item = &'a Entry> {
        self.entries.values().filter(|entry| overlap(&entry.region, region))
    }

    /// Nothing is known any more of the region that holds a key.
    pub(super) fn forget(&mut self, key: &[u8]) {
        let start = self.get(key).map(|entry| entry.region.start_key.clone());
        start.and_then(|start| self.entries.remove(&start));
    }

    /// A replica of the key's region does not serve, and says who may.
    pub(super) fn not_leader(&mut self, key: &[u8], store: u64, leader: Option<Peer>) {
        let leader = leader.filter(|leader| leader.store_id != store);
        self.change(key, |entry| match leader {
            Some(peer) => entry.first = Some(First { peer, leads: true }),
            None => entry.first = entry.first.filter(|first| first.peer.store_id != store),
        });
    }

    /// A replica of the key's region served a request: as its leader, or perhaps as any other.
    pub(super) fn served(&mut self, key: &[u8], peer: Peer, leads: bool) {
        self.change(key, |entry| {
            entry.asked.clear();
            if leads || entry.first.is_none() {
                entry.first = Some(First { peer, leads });
            }
        });
    }

    /// A store did not serve what was asked for. When all have been asked, they are not the ones that matter.
    pub(super) fn in_vain(&mut self, key: &[u8], store: u64) {
        self.change(key, |entry| {
            if !entry.asked.contains(&store) {
                entry.asked.push(store);
            }
        });
        if self.store(key).is_none() {
            self.forget(key);
        }
    }

    fn change(&mut self, key: &[u8], change: impl FnOnce(&mut Entry)) {
        let Some(mut entry) = self.get(key).cloned() else { return };
        change(&mut entry);
        self.entries.insert(entry.region.start_key.clone(), entry);
    }
}

fn overlap(one: &Region, other: &Region) -> bool {
    let begins_before_end = |a: &Region, b: &Region| b.end_key.is_empty() || a.start_key < b.end_key;
    begins_before_end(one, other) && begins_before_end(other, one)
}

/// Whether `told` is a later state than `known`, with which it overlaps.
fn is_newer(told: &Region, known: &Region) -> bool {
    let (a, b) = (told.region_epoch.unwrap_or_default(), known.region_epoch.unwrap_or_default());
    // Of different regions `conf_ver` says nothing.
    a.version > b.version || told.id == known.id && a.version == b.version && a.conf_ver > b.conf_ver
}
