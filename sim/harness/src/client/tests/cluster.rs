//! A cluster as a client sees it: which store tells of which regions, and who leads them. No Raft.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft_proto::errorpb::{self, EpochNotMatch, NotLeader, RegionNotFound, error::Reason};
use raft_proto::metapb::{Peer, Region, RegionEpoch};
use raft_proto::raft_cmdpb::{
    GetResponse, PutResponse, RaftCmdRequest, RaftCmdResponse, RaftRequestHeader, RaftResponseHeader,
    Response, ScanPair, ScanResponse, request::Command, response::Result as Done,
};

/// What happens to regions; each to the one that holds `key`.
#[derive(Clone, Debug)]
pub(super) enum Event {
    Split {
        key: u8,
    },
    /// One of its replicas leads it from now on.
    Lead {
        key: u8,
        by: u64,
    },
    /// Its leader's replica moves to another store, which leads it. The old one forgets it, or stays with what it knew.
    Move {
        key: u8,
        to: u64,
        stale: bool,
    },
}

/// A replica on a store, as that store sees its region.
#[derive(Clone, Debug)]
struct Replica {
    store: u64,
    region: Region,
    /// The leader, as far as it knows.
    leader: Peer,
    /// It left the region, and was not told.
    stale: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Cluster {
    stores: u64,
    replicas: Vec<Replica>,
    next_id: u64,
    /// The keys that were written.
    pub(super) data: BTreeSet<Bytes>,
    /// How many requests were executed.
    pub(super) executed: u64,
}

/// The region of all keys.
pub(super) fn first_region(stores: &[u64]) -> Region {
    Region {
        id: 1,
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers: stores.iter().map(|store| Peer { id: 100 + store, store_id: *store, role: 0 }).collect(),
        ..Region::default()
    }
}

fn holds(region: &Region, key: &[u8]) -> bool {
    *region.start_key <= *key && (region.end_key.is_empty() || *key < *region.end_key)
}

impl Cluster {
    pub(super) fn new(stores: u64, of: &[u64]) -> Cluster {
        let region = first_region(of);
        let leader = region.peers[0];
        let replica = |store: &u64| Replica { store: *store, region: region.clone(), leader, stale: false };
        let replicas = of.iter().map(replica).collect();
        Cluster { stores, replicas, next_id: 1000, data: BTreeSet::new(), executed: 0 }
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// The region that holds a key, and its leader.
    fn present(&self, key: u8) -> (Region, Peer) {
        let present = self.replicas.iter().find(|replica| !replica.stale && holds(&replica.region, &[key]));
        let replica = present.expect("each key has a region with replicas");
        (replica.region.clone(), replica.leader)
    }

    pub(super) fn happen(&mut self, event: &Event) {
        match event {
            Event::Split { key } => self.split(*key),
            Event::Lead { key, by } => {
                let (region, _) = self.present(*key);
                let leader = region.peers[(*by % region.peers.len() as u64) as usize];
                self.put(&region, leader);
            }
            Event::Move { key, to, stale } => self.move_leader(*key, *to % self.stores + 1, *stale),
        }
    }

    fn split(&mut self, key: u8) {
        let (mut left, leader) = self.present(key);
        let key = Bytes::copy_from_slice(&[key]);
        if left.start_key == key {
            return;
        }
        if let Some(epoch) = &mut left.region_epoch {
            epoch.version += 1;
        }
        let mut right = Region { id: self.id(), start_key: key.clone(), ..left.clone() };
        left.end_key = key;
        for peer in &mut right.peers {
            peer.id = self.id();
        }
        let right_leader = right.peers.iter().find(|peer| peer.store_id == leader.store_id).copied();
        self.put(&left, leader);
        self.put(&right, right_leader.unwrap_or_default());
    }

    fn move_leader(&mut self, key: u8, to: u64, stale: bool) {
        let (mut region, leader) = self.present(key);
        if region.peers.iter().any(|peer| peer.store_id == to) {
            return;
        }
        let peer = Peer { id: self.id(), store_id: to, role: 0 };
        region.peers.retain(|peer| peer.id != leader.id);
        region.peers.push(peer);
        if let Some(epoch) = &mut region.region_epoch {
            epoch.conf_ver += 1;
        }
        let gone = |replica: &Replica| replica.store == leader.store_id && replica.region.id == region.id;
        if stale {
            self.replicas.iter_mut().filter(|replica| gone(replica)).for_each(|replica| replica.stale = true);
        } else {
            self.replicas.retain(|replica| !gone(replica));
        }
        self.put(&region, peer);
    }

    /// All members of a region know it like this. What a store has of older regions in that range is gone.
    fn put(&mut self, region: &Region, leader: Peer) {
        for peer in &region.peers {
            let overlaps = |of: &Region| holds(region, &of.start_key) || holds(of, &region.start_key);
            let store = peer.store_id;
            self.replicas.retain(|replica| replica.store != store || !overlaps(&replica.region));
            self.replicas.push(Replica { store, region: region.clone(), leader, stale: false });
        }
    }

    /// What a store answers.
    pub(super) fn reply(&mut self, store: u64, request: &RaftCmdRequest) -> RaftCmdResponse {
        let header = request.header.expect("every request has a header");
        let command = request.requests[0].command.clone().expect("every request has a command");
        assert_eq!(header.peer.map(|peer| peer.store_id), Some(store));
        match self.refusal(store, &header, &command) {
            None => self.execute(command),
            Some(reason) => {
                let error = Some(errorpb::Error { message: String::new(), reason });
                let header = Some(RaftResponseHeader { error, ..RaftResponseHeader::default() });
                RaftCmdResponse { header, ..RaftCmdResponse::default() }
            }
        }
    }

    fn refusal(&self, store: u64, header: &RaftRequestHeader, command: &Command) -> Option<Option<Reason>> {
        let of_store = || self.replicas.iter().filter(move |replica| replica.store == store);
        let tell = |wanted: &dyn Fn(&Region) -> bool| {
            let regions = of_store().map(|replica| replica.region.clone());
            let current_regions: Vec<Region> = regions.filter(|region| wanted(region)).collect();
            let not_found = RegionNotFound { region_id: header.region_id };
            Some(Some(if current_regions.is_empty() {
                Reason::RegionNotFound(not_found)
            } else {
                Reason::EpochNotMatch(EpochNotMatch { current_regions })
            }))
        };
        let (key, end) = range(command);
        let Some(replica) = of_store().find(|replica| replica.region.id == header.region_id) else {
            return tell(&|region| header.region_id == 0 && holds(region, &key));
        };
        let reads = matches!(command, Command::Get(_) | Command::Scan(_));
        if replica.stale || replica.leader.store_id != store && !(reads && header.replica_read) {
            let (region_id, leader) = (header.region_id, Some(replica.leader));
            return Some(Some(Reason::NotLeader(NotLeader { region_id, leader })));
        }
        let peer = replica.region.peers.iter().find(|peer| peer.store_id == store);
        if peer.map(|peer| peer.id) != header.peer.map(|peer| peer.id) {
            return Some(None);
        }
        let version = |epoch: Option<RegionEpoch>| epoch.unwrap_or_default().version;
        if version(header.region_epoch) != version(replica.region.region_epoch) {
            let reaches = |region: &Region| end.is_empty() || region.start_key < end;
            return tell(&|region| holds(region, &key) || *key < *region.start_key && reaches(region));
        }
        let ends_here = replica.region.end_key.is_empty() || !end.is_empty() && end <= replica.region.end_key;
        assert!(holds(&replica.region, &key) && ends_here, "{command:?} in {replica:?}");
        None
    }

    fn execute(&mut self, command: Command) -> RaftCmdResponse {
        self.executed += 1;
        let value = Bytes::from_static(b"v");
        let result = match command {
            Command::Put(put) => {
                self.data.insert(put.key);
                Done::Put(PutResponse {})
            }
            Command::Get(get) => Done::Get(GetResponse { value: self.data.get(&get.key).map(|_| value) }),
            Command::Scan(scan) => {
                let keys = self
                    .data
                    .range(scan.start_key..)
                    .take_while(|key| scan.end_key.is_empty() || **key < scan.end_key);
                let pairs = keys.map(|key| ScanPair { key: key.clone(), value: value.clone() }).collect();
                Done::Scan(ScanResponse { pairs })
            }
            other => panic!("nobody sends {other:?}"),
        };
        RaftCmdResponse { responses: vec![Response { result: Some(result) }], ..RaftCmdResponse::default() }
    }
}

/// The keys that a command is about.
fn range(command: &Command) -> (Bytes, Bytes) {
    // One key is a range that ends right behind it.
    let one = |key: &Bytes| (key.clone(), Bytes::from([&key[..], b"\0"].concat()));
    match command {
        Command::Put(put) => one(&put.key),
        Command::Get(get) => one(&get.key),
        Command::Scan(scan) => (scan.start_key.clone(), scan.end_key.clone()),
        other => panic!("nobody sends {other:?}"),
    }
}
