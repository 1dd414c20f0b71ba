//! The driver by itself, and with a small model of a cluster that carries its orders out.

mod balance;
mod churn;
mod cluster;
mod ids;
mod model;
mod operators;
mod orders;
mod payload;

use raft_proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raft_proto::schedulerpb::{
    RegionHeartbeatRequest, Request, Response, StoreHeartbeatRequest, request, response,
};
use raftsim_kernel::{Duration, Time};

use super::{Driver, Fx};
use crate::scenario::{PlacementConfig, PlacementMode, Scenario};
use crate::system::{Effects, Placement};

/// A time in milliseconds.
fn at(millis: u64) -> Time {
    Time::ZERO + Duration::millis(millis)
}

fn scenario(mode: PlacementMode, stores: u64) -> Scenario {
    let mut scenario = Scenario::new("a driver");
    scenario.cluster.stores = stores;
    scenario.placement = Some(PlacementConfig { mode, ..PlacementConfig::default() });
    scenario
}

/// A driver that has booted and has ids.
fn driver(mode: PlacementMode, stores: u64) -> Driver {
    let mut driver = Driver::new(&scenario(mode, stores)).unwrap();
    let mut fx = Effects::default();
    driver.on_start(Time::ZERO, None, 1, &mut fx);
    assert!(fx.persist.is_some() && fx.send.is_empty());
    driver.on_durable(Time::ZERO, &mut Effects::default());
    driver
}

fn peer(id: u64, store_id: u64) -> Peer {
    Peer { id, store_id, role: PeerRole::Voter as i32 }
}

/// A region with voters on stores; the one on store `n` has the id `100 + n`.
fn region(id: u64, range: (&str, &str), epoch: (u64, u64), stores: &[u64]) -> Region {
    let (version, conf_ver) = epoch;
    Region {
        id,
        start_key: range.0.to_owned().into(),
        end_key: range.1.to_owned().into(),
        region_epoch: Some(RegionEpoch { conf_ver, version }),
        peers: stores.iter().map(|store| peer(100 + store, *store)).collect(),
    }
}

/// What the leader on a store tells.
fn heartbeat(region: &Region, leader: u64, term: u64) -> RegionHeartbeatRequest {
    RegionHeartbeatRequest {
        region: Some(region.clone()),
        leader: region.peers.iter().find(|peer| peer.store_id == leader).copied(),
        pending_peers: Vec::new(),
        approximate_size: 100,
        term,
    }
}

fn ask(store_id: u64, payload: request::Payload) -> Request {
    Request { store_id, payload: Some(payload) }
}

impl Driver {
    fn hear(&mut self, now: Time, store: u64, heartbeat: RegionHeartbeatRequest) -> Vec<(u64, Response)> {
        let mut fx: Fx = Effects::default();
        self.on_request(now, store, ask(store, request::Payload::RegionHeartbeat(heartbeat)), &mut fx);
        fx.send
    }

    fn hear_stores(&mut self, now: Time, stores: impl IntoIterator<Item = u64>) {
        for store in stores {
            let heartbeat = request::Payload::StoreHeartbeat(StoreHeartbeatRequest { stats: None });
            self.on_request(now, store, ask(store, heartbeat), &mut Effects::default());
        }
    }
}

/// The orders in what was sent, in words: `2: region 1: add 1000 on 4`; a confirmation has none.
fn words(sent: &[(u64, Response)]) -> Vec<String> {
    let order = |(store, response): &(u64, Response)| {
        Driver::order(response).map(|(region, order)| format!("{store}: region {region}: {order}"))
    };
    sent.iter().filter_map(order).collect()
}

fn is_confirmation(response: &Response) -> bool {
    matches!(response.payload, Some(response::Payload::RegionHeartbeat(_)))
        && words(&[(1, response.clone())]).is_empty()
}
