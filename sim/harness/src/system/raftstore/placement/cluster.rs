//! What the driver knows of the cluster: which stores live, and what leaders last told of their regions.
//!
//! All of it comes from heartbeats, so a restarted driver knows it again after a while. Heartbeats may be old, overtake each
//! other, and come from a leader that is none any more. So what is told of a region is held against what is known:
//!
//! - **The same region**: the higher epoch counts (first version, then conf_ver), and of equal ones the higher term.
//! - **Other regions with keys in common**: a split gives both halves a version that no region with those keys had before. So
//!   the higher version tells of the later time: a region that overlaps one with a version as high is from before a split,
//!   and one that is accepted drives out all that it overlaps.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use im::OrdMap;
use raft_proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raft_proto::schedulerpb::RegionHeartbeatRequest;
use raftsim_kernel::{Duration, Time};

/// A region as its leader last told of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Known {
    /// Its range, members and epoch.
    pub(super) region: Region,
    pub(super) epoch: RegionEpoch,
    pub(super) leader: Peer,
    /// In which the leader leads.
    pub(super) term: u64,
    /// Ids of the replicas that do not keep up.
    pub(super) pending: Vec<u64>,
    /// Bytes, about.
    pub(super) size: u64,
    /// When it was told.
    pub(super) heard: Time,
}

/// The cluster.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    /// When this life of the driver began.
    started: Time,
    /// A store that is silent for longer is dead.
    patience: Duration,
    /// The last heartbeat of each store.
    stores: BTreeMap<u64, Time>,
    /// Of stores that lost their disks: replicas up to this id are lost with them.
    floors: BTreeMap<u64, u64>,
    regions: OrdMap<u64, Arc<Known>>,
    /// The same regions, by their first keys. Their ranges do not overlap.
    starts: OrdMap<Bytes, u64>,
}

impl Known {
    /// What a heartbeat tells; `None` where it makes no sense.
    fn read(now: Time, heartbeat: RegionHeartbeatRequest) -> Option<Known> {
        let RegionHeartbeatRequest { region, leader, pending_peers, approximate_size, term } = heartbeat;
        let region = region?;
        Some(Known {
            epoch: region.region_epoch?,
            leader: leader?,
            term,
            pending: pending_peers.into_iter().map(|peer| peer.id).collect(),
            size: approximate_size,
            heard: now,
            region,
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.region.id
    }

    /// Whether the region is in a joint configuration.
    pub(super) fn is_joint(&self) -> bool {
        self.region.peers.iter().any(|peer| !matches!(peer.role(), PeerRole::Voter | PeerRole::Learner))
    }

    pub(super) fn peer_on(&self, store: u64) -> Option<&Peer> {
        self.region.peers.iter().find(|peer| peer.store_id == store)
    }

    pub(super) fn peer(&self, id: u64) -> Option<&Peer> {
        self.region.peers.iter().find(|peer| peer.id == id)
    }

    /// The voters, where the configuration is not joint.
    pub(super) fn voters(&self) -> impl Iterator<Item = &Peer> {
        self.region.peers.iter().filter(|peer| peer.role() == PeerRole::Voter)
    }

    pub(super) fn learners(&self) -> impl Iterator<Item = &Peer> {
        self.region.peers.iter().filter(|peer| peer.role() == PeerRole::Learner)
    }

    /// Whether a replica has, as far as its leader knows, all that it needs to follow.
    pub(super) fn keeps_up(&self, peer: u64) -> bool {
        !self.pending.contains(&peer)
    }

    /// Whether a key is in the region's range.
    pub(super) fn holds(&self, key: &[u8]) -> bool {
        key >= &self.region.start_key[..] && before_end(key, &self.region.end_key)
    }

    /// Whether the region could be split here: the key is in its range and not its first.
    pub(super) fn holds_inside(&self, key: &[u8]) -> bool {
        self.holds(key) && key != &self.region.start_key[..]
    }

    /// `(version, conf_ver)`: what orders the states of one region.
    fn generation(&self) -> (u64, u64) {
        (self.epoch.version, self.epoch.conf_ver)
    }
}

/// Whether a key is before the end of a range; an empty end is none.
fn before_end(key: &[u8], end: &[u8]) -> bool {
    end.is_empty() || key < end
}

impl Cluster {
    /// Nothing is known yet. A store that is silent for longer than `patience` is dead.
    pub(super) fn new(started: Time, patience: Duration) -> Cluster {
        Cluster {
            started,
            patience,
            stores: BTreeMap::new(),
            floors: BTreeMap::new(),
            regions: OrdMap::new(),
            starts: OrdMap::new(),
        }
    }

    /// A store says that it lives, and which of its replicas do not. It may lose its disk more than once.
    pub(super) fn store_heartbeat(&mut self, now: Time, store: u64, replica_floor: u64) {
        self.stores.insert(store, now);
        if replica_floor > 0 {
            let floor = self.floors.entry(store).or_default();
            *floor = replica_floor.max(*floor);
        }
    }

    /// Whether a replica was on a disk that its store has lost.
    pub(super) fn is_lost(&self, peer: &Peer) -> bool {
        self.floors.get(&peer.store_id).is_some_and(|floor| peer.id <= *floor)
    }

    /// A store says that it leads a region. What is known of that region then, or `None` if this is no news: it is old, of a
    /// deposed leader, or makes no sense.
    pub(super) fn region_heartbeat(
        &mut self,
        now: Time,
        store: u64,
        heartbeat: RegionHeartbeatRequest,
    ) -> Option<Arc<Known>> {
        let told = Known::read(now, heartbeat).filter(|told| told.leader.store_id == store)?;
        let told = Arc::new(told);
        if let Some(known) = self.regions.get(&told.id())
            && (told.generation(), told.term) < (known.generation(), known.term)
        {
            return None;
        }
        let overlapped = self.overlapping(&told.region);
        let newer =
            |id: &u64| self.regions.get(id).is_some_and(|other| other.epoch.version >= told.epoch.version);
        if overlapped.iter().any(newer) {
            return None;
        }
        for id in overlapped.into_iter().chain([told.id()]) {
            if let Some(gone) = self.regions.remove(&id) {
                self.starts.remove(&gone.region.start_key);
            }
        }
        self.starts.insert(told.region.start_key.clone(), told.id());
        self.regions.insert(told.id(), Arc::clone(&told));
        Some(told)
    }

    /// The other known regions that have keys in common with one.
    fn overlapping(&self, region: &Region) -> Vec<u64> {
        let (start, end) = (&region.start_key[..], &region.end_key[..]);
        let before = self.starts.get_prev(start).filter(|(_, id)| {
            self.regions.get(*id).is_some_and(|other| before_end(start, &other.region.end_key))
        });
        let to = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(end) };
        // A range that is none has nothing in common with any.
        let inside = before_end(start, end)
            .then(|| self.starts.range::<_, [u8]>((Bound::Excluded(start), to)))
            .into_iter()
            .flatten();
        before.into_iter().chain(inside).map(|(_, id)| *id).filter(|id| *id != region.id).collect()
    }

    pub(super) fn region(&self, id: u64) -> Option<&Arc<Known>> {
        self.regions.get(&id)
    }

    /// The region that holds a key.
    pub(super) fn region_of(&self, key: &[u8]) -> Option<&Arc<Known>> {
        let (_, id) = self.starts.get_prev(key)?;
        self.regions.get(id).filter(|known| known.holds(key))
    }

    /// All regions, by id.
    pub(super) fn regions(&self) -> impl Iterator<Item = &Arc<Known>> {
        self.regions.values()
    }

    pub(super) fn region_count(&self) -> usize {
        self.regions.len()
    }

    /// Whether so much time is over that every store and leader that lives should have told of itself.
    pub(super) fn is_acquainted(&self, now: Time, grace: Duration) -> bool {
        now.since(self.started) >= grace
    }

    /// Whether a store was silent for too long. One that was not heard of in this life has the driver's start for its last
    /// sign: the driver may have been away, not the store.
    pub(super) fn is_dead(&self, now: Time, store: u64) -> bool {
        let last = self.stores.get(&store).copied().unwrap_or(self.started);
        now.since(last) > self.patience
    }

    /// The stores that live for certain, ascending.
    pub(super) fn live_stores(&self, now: Time) -> impl Iterator<Item = u64> {
        self.stores.keys().copied().filter(move |store| !self.is_dead(now, *store))
    }
}
