//! What must hold when nothing is wrong any more and everything has come to rest.

use std::collections::BTreeMap;

use bytes::Bytes;
use raftstore::keys::{self, Key};
use raftstore::proto::metapb::Region;

use super::Cluster;
use super::disk::MemEnv;
use super::regions::{all, holds};

/// The user data of a region in a store's kv database: database keys and values.
pub fn data(env: &MemEnv, region: &Region) -> BTreeMap<Vec<u8>, Bytes> {
    let in_range = |key: &[u8]| {
        keys::decode_data(key)
            .is_some_and(|(_, key)| holds(region, std::str::from_utf8(key).unwrap_or_default()))
    };
    env.kv
        .visible
        .iter()
        .filter(|(key, _)| in_range(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

impl Cluster {
    /// What is wrong with a cluster that should have come to rest.
    pub fn flaw(&self) -> Option<String> {
        self.stores_flaw().or_else(|| self.regions_flaw()).or_else(|| self.leftovers())
    }

    fn stores_flaw(&self) -> Option<String> {
        self.nodes.iter().find_map(|(id, node)| {
            let Some(store) = &node.store else { return Some(format!("store {id} is down")) };
            if let Some(error) = store.failed() {
                return Some(format!("store {id} stopped: {error}"));
            }
            all(&node.env).into_iter().find_map(|region| {
                store.audit(&node.env, region).err().map(|error| format!("store {id}: {error}"))
            })
        })
    }

    /// Regions tile, and their replicas are where they should be and equal.
    fn regions_flaw(&self) -> Option<String> {
        let mut regions: Vec<Region> = Vec::new();
        for (id, peer) in self.peers() {
            let region = peer.region();
            if self.leader_of(region.id).is_none() {
                return Some(format!("region {} on store {id} has no leader", region.id));
            }
            regions.push(self.region_at_leader(region.id));
        }
        regions.sort_by(|a, b| (&a.start_key, a.id).cmp(&(&b.start_key, b.id)));
        regions.dedup();
        let mut next = Bytes::new();
        for (place, region) in regions.iter().enumerate() {
            if region.start_key != next || (place > 0 && next.is_empty()) {
                return Some(format!(
                    "region {} begins at {:?}, not at {next:?}",
                    region.id, region.start_key
                ));
            }
            next.clone_from(&region.end_key);
        }
        if !next.is_empty() || regions.is_empty() {
            return Some(format!("nobody holds what follows {next:?}"));
        }
        regions.iter().find_map(|region| self.replicas_flaw(region))
    }

    fn replicas_flaw(&self, region: &Region) -> Option<String> {
        let id = region.id;
        let leader = self.leader_of(id)?;
        let expected = self.peer(leader, id)?;
        let pairs = data(&self.nodes[&leader].env, region);
        let stale = self.peers().find(|(store, peer)| {
            let same = |member: &raftstore::proto::metapb::Peer| {
                (member.id, member.store_id) == (peer.peer_id(), *store)
            };
            peer.region().id == id && !region.peers.iter().any(same)
        });
        if let Some((store, peer)) = stale {
            return Some(format!("store {store} still has peer {} of region {id}", peer.peer_id()));
        }
        region.peers.iter().find_map(|member| {
            let store = member.store_id;
            let Some(peer) = self.peer(store, id) else {
                return Some(format!("no region {id} on store {store}"));
            };
            let applied = |peer: &raftstore::Peer| peer.storage().applied_index();
            if peer.is_applying() || peer.incoming_region().is_some() || peer.region() != region {
                return Some(format!("store {store} has {:?}, not {region:?}", peer.region()));
            }
            if applied(peer) != applied(expected) {
                return Some(format!(
                    "store {store} applied {} of region {id}: {}",
                    applied(peer),
                    applied(expected)
                ));
            }
            let theirs = data(&self.nodes[&store].env, region);
            (theirs != pairs).then(|| format!("region {id} on store {store} has {theirs:?}, not {pairs:?}"))
        })
    }

    /// What nobody needs any more is not there any more.
    fn leftovers(&self) -> Option<String> {
        self.nodes.iter().find_map(|(id, node)| {
            let store = node.store();
            let held: usize = store
                .peers()
                .filter(|peer| peer.is_initialized())
                .map(|peer| data(&node.env, peer.region()).len())
                .sum();
            let there = node.env.kv.visible.keys().filter(|key| keys::decode_data(key).is_some()).count();
            if held != there {
                return Some(format!("store {id} holds {held} of {there} pairs"));
            }
            if !node.env.snapshots.visible.is_empty() {
                return Some(format!("store {id} keeps {} chunks", node.env.snapshots.visible.len()));
            }
            let local = node.env.raft.visible.keys().chain(node.env.kv.visible.keys());
            local.filter_map(|key| keys::decode(key)).find_map(|key| match key {
                Key::Birth { .. } | Key::SnapshotRecord { .. } | Key::PrepareBootstrap => {
                    Some(format!("store {id} keeps {key:?}"))
                }
                Key::RaftLog { region, index } => {
                    let truncated = store.peer(region).map(|peer| peer.storage().truncated().index);
                    let needless = truncated.is_none_or(|truncated| index <= truncated);
                    needless.then(|| format!("store {id} keeps {key:?}"))
                }
                _ => None,
            })
        })
    }

    /// Lets time pass until nothing is wrong.
    ///
    /// # Panics
    /// When something still is after so many seconds.
    pub fn converge(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.run(1_000);
            if self.flaw().is_none() {
                return;
            }
        }
        panic!("after {seconds} s: {}", self.flaw().unwrap_or_default());
    }
}
