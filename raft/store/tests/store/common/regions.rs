//! Regions of a cluster: who leads them, and how they are split and moved about.

use std::collections::BTreeSet;

use raftstore::proto::eraftpb::{ConfChangeTransition, ConfChangeType};
use raftstore::proto::metapb::{Peer, PeerRole, Region};
use raftstore::proto::raft_cmdpb::{
    self, ChangePeerRequest, ChangePeerV2Request, RaftCmdRequest, RaftRequestHeader, Request, SplitRequest,
    request::Command,
};
use raftstore::proto::schedulerpb::{
    AskSplitRequest, AskSplitResponse, GetRegionResponse, Response, request, response,
};
use raftstore::validate::RequestError;
use raftstore::{RequestId, keys};

use super::Cluster;
use super::disk::MemEnv;

/// The regions that the databases have anything of.
pub fn all(env: &MemEnv) -> BTreeSet<u64> {
    let of = |key: &Vec<u8>| match keys::decode(key)? {
        keys::Key::RaftLog { region, .. }
        | keys::Key::RaftState { region }
        | keys::Key::ApplyState { region }
        | keys::Key::RegionState { region }
        | keys::Key::Birth { region }
        | keys::Key::SnapshotRecord { region } => Some(region),
        _ => None,
    };
    env.raft.visible.keys().chain(env.kv.visible.keys()).filter_map(of).collect()
}

/// Whether a region holds a key.
pub fn holds(region: &Region, key: &str) -> bool {
    *region.start_key <= *key.as_bytes() && (region.end_key.is_empty() || *key.as_bytes() < *region.end_key)
}

pub fn add(peer: Peer) -> ChangePeerRequest {
    let kind = match peer.role() {
        PeerRole::Learner => ConfChangeType::AddLearnerNode,
        _ => ConfChangeType::AddNode,
    };
    ChangePeerRequest { change_type: kind as i32, peer: Some(peer) }
}

pub fn remove(peer: Peer) -> ChangePeerRequest {
    ChangePeerRequest { change_type: ConfChangeType::RemoveNode as i32, peer: Some(peer) }
}

impl Cluster {
    pub fn peer(&self, id: u64, region: u64) -> Option<&raftstore::Peer> {
        self.nodes[&id].store.as_ref()?.peer(region)
    }

    /// All replicas of running stores.
    pub fn peers(&self) -> impl Iterator<Item = (u64, &raftstore::Peer)> {
        let peers =
            |store: &'_ raftstore::Store| -> Vec<_> { store.peers().map(|peer| peer.region().id).collect() };
        let of_node = move |(id, node): (&u64, &super::Node)| {
            node.store
                .as_ref()
                .map(peers)
                .unwrap_or_default()
                .into_iter()
                .map(|region| (*id, region))
                .collect::<Vec<_>>()
        };
        let all: Vec<(u64, u64)> = self.nodes.iter().flat_map(of_node).collect();
        all.into_iter().filter_map(|(id, region)| Some((id, self.peer(id, region)?)))
    }

    /// The store whose replica leads a region, in the newest term.
    pub fn leader_of(&self, region: u64) -> Option<u64> {
        let leaders = self.peers().filter(|(_, peer)| peer.region().id == region && peer.raft().is_leader());
        leaders.max_by_key(|(_, peer)| peer.raft().term()).map(|(id, _)| id)
    }

    /// The region that holds a key, as who leads it knows it.
    pub fn region_of(&self, key: &str) -> u64 {
        let holders = self.peers().filter(|(_, peer)| peer.is_initialized() && holds(peer.region(), key));
        let newest = holders.max_by_key(|(_, peer)| {
            let epoch = peer.region().region_epoch.unwrap();
            (epoch.version, epoch.conf_ver)
        });
        newest.map(|(_, peer)| peer.region().id).expect("somebody holds the key")
    }

    /// The region as its leader knows it.
    pub fn region_at_leader(&self, region: u64) -> Region {
        let leader = self.leader_of(region).expect("a leader");
        self.peer(leader, region).unwrap().region().clone()
    }

    /// The header of a request that the replica on a store should accept.
    pub fn header_of(&self, id: u64, region: u64) -> Option<RaftRequestHeader> {
        let peer = self.peer(id, region)?;
        let region_epoch = peer.region().region_epoch;
        let peer = Some(Peer { id: peer.peer_id(), store_id: id, role: 0 });
        Some(RaftRequestHeader { region_id: region, peer, region_epoch, ..Default::default() })
    }

    /// Sends commands to the replica on a store.
    pub fn request_to(&mut self, id: u64, region: u64, commands: Vec<Command>) -> RequestId {
        let header = self.header_of(id, region);
        let requests = commands.into_iter().map(|command| Request { command: Some(command) }).collect();
        self.raw_request(id, RaftCmdRequest { header, requests, admin_request: None })
    }

    /// Sends commands to the leader of the region that holds a key, and lets the cluster rest.
    pub fn execute_at(&mut self, key: &str, commands: Vec<Command>) -> Vec<raft_cmdpb::response::Result> {
        let region = self.region_of(key);
        let leader = self.leader_of(region).expect("a leader");
        let request = self.request_to(leader, region, commands);
        self.settle();
        self.results(request)
    }

    pub fn campaign_in(&mut self, id: u64, region: u64) {
        self.with(id, |store, env, now| store.campaign(env, now, region));
    }

    /// An id that nothing had before.
    pub fn allocate(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Asks a store to split a region.
    pub fn ask_split(&mut self, id: u64, region: u64, key: &str) -> Result<u64, RequestError> {
        let new_region_id = self.allocate();
        let count = self.peer(id, region).map_or(0, |peer| peer.region().peers.len());
        let new_peer_ids = (0..count).map(|_| self.allocate()).collect();
        let split = SplitRequest { split_key: key.to_owned().into(), new_region_id, new_peer_ids };
        let mut answer = Err(RequestError::StaleCommand);
        self.with(id, |store, env, now| answer = store.split(env, now, region, &split));
        answer.map(|()| new_region_id)
    }

    /// Answers what a store has asked the placement driver, and knows all that anybody knows.
    pub fn answer(&mut self, id: u64) -> bool {
        let asked = std::mem::take(&mut self.nodes.get_mut(&id).unwrap().env.asked);
        let any = !asked.is_empty();
        for request in asked {
            let answer = match request.payload {
                Some(request::Payload::GetRegionById(get)) => self.newest(get.region_id).map(|region| {
                    response::Payload::GetRegion(GetRegionResponse { region: Some(region), leader: None })
                }),
                Some(request::Payload::AskSplit(ask)) => {
                    Some(response::Payload::AskSplit(self.split_ids(ask)))
                }
                _ => None,
            };
            let answer = Response { payload: answer };
            self.with(id, |store, env, now| store.on_placement(env, now, answer));
        }
        any
    }

    /// A region as those know it who know most of it.
    fn newest(&self, region: u64) -> Option<Region> {
        let known = self.peers().map(|(_, peer)| peer.region()).filter(|known| known.id == region);
        let known = known.filter_map(|region| Some((region.region_epoch?, region)));
        known.max_by_key(|(epoch, _)| (epoch.version, epoch.conf_ver)).map(|(_, region)| region.clone())
    }

    pub fn split_ids(&mut self, ask: AskSplitRequest) -> AskSplitResponse {
        let region = ask.region.unwrap();
        let new_region_id = self.allocate();
        AskSplitResponse {
            new_region_id,
            new_peer_ids: region.peers.iter().map(|_| self.allocate()).collect(),
            region_id: region.id,
            region_epoch: region.region_epoch,
            split_key: ask.split_key,
        }
    }

    /// Splits the region that holds a key there, and lets the cluster rest: the right one's id.
    pub fn split(&mut self, key: &str) -> u64 {
        let region = self.region_of(key);
        let leader = self.leader_of(region).expect("a leader");
        let right = self.ask_split(leader, region, key).unwrap();
        self.settle();
        right
    }

    /// Asks a store for changes of a region's members.
    pub fn ask_change(
        &mut self,
        id: u64,
        region: u64,
        changes: Vec<ChangePeerRequest>,
        transition: ConfChangeTransition,
    ) -> Result<(), RequestError> {
        let change = ChangePeerV2Request { changes, transition: transition as i32 };
        let mut answer = Err(RequestError::StaleCommand);
        self.with(id, |store, env, now| answer = store.change_peers(env, now, region, &change));
        answer
    }

    /// Changes a region's members, and lets the cluster rest.
    pub fn change(&mut self, region: u64, changes: Vec<ChangePeerRequest>) {
        let leader = self.leader_of(region).expect("a leader");
        self.ask_change(leader, region, changes, ConfChangeTransition::Auto).unwrap();
        self.settle();
    }

    /// Adds a voter: its id.
    pub fn add_peer(&mut self, region: u64, store_id: u64) -> u64 {
        let id = self.allocate();
        self.change(region, vec![add(Peer { id, store_id, role: 0 })]);
        id
    }

    /// The member of a region on a store, as the region's leader knows it.
    pub fn member(&self, region: u64, store_id: u64) -> Peer {
        let members = self.region_at_leader(region).peers;
        members.into_iter().find(|peer| peer.store_id == store_id).expect("a member on the store")
    }

    pub fn remove_peer(&mut self, region: u64, store_id: u64) {
        let peer = self.member(region, store_id);
        self.change(region, vec![remove(peer)]);
    }

    /// Compacts the log of a region as far as its leader may, all followers' logs with it.
    pub fn compact(&mut self, region: u64) {
        let leader = self.leader_of(region).expect("a leader");
        self.run(self.config.kv_sync_interval_ticks * 200);
        self.with(leader, |store, env, now| store.compact(env, now, region).unwrap());
        self.settle();
    }
}
