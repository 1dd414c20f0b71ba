//! The store's side of the conversation with the placement driver: heartbeats go out, orders come in.
//!
//! The driver advises; the region decides. An order names the epoch that it is meant for, and is refused, when
//! it is proposed or when it is applied, if the region has moved on. Nothing waits for the driver but splits by
//! size, which need new ids.

use bytes::Bytes;
use raft_proto::metapb::Region;
use raft_proto::raft_cmdpb::{ChangePeerRequest, ChangePeerV2Request, SplitRequest, admin_request};
use raft_proto::schedulerpb::{
    AskSplitRequest, AskSplitResponse, GetRegionByIdRequest, GetRegionResponse, RegionHeartbeatRequest,
    RegionHeartbeatResponse, Request, Response, StoreHeartbeatRequest, StoreStats, request, response,
};

use super::Store;
use crate::admin::is_older;
use crate::engine::Env;
use crate::error::StoreError;
use crate::peer::Peer;
use crate::timers::NEVER;
use crate::validate::RequestError;

impl Store {
    fn ask(&self, env: &mut impl Env, payload: request::Payload) {
        if self.config.placement.is_some() {
            env.ask(Request { store_id: self.config.store_id, payload: Some(payload) });
        }
    }

    /// Says that the store is there, when it is time.
    pub(super) fn on_placement_time(&mut self, env: &mut impl Env, tick: u64) {
        let Some(placement) = self.config.placement.filter(|_| self.heartbeat <= tick) else { return };
        self.heartbeat = tick.saturating_add(placement.store_heartbeat_ticks.max(1));
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let applying = self.peers.values().filter(|peer| peer.is_restoring()).count();
        let stats = StoreStats {
            store_id: self.config.store_id,
            region_count: count(self.peers.len()),
            sending_snap_count: count(self.outgoing.len()),
            receiving_snap_count: count(self.incoming.len()),
            applying_snap_count: count(applying),
            replica_floor: self.config.replica_floor,
            ..StoreStats::default()
        };
        self.ask(env, request::Payload::StoreHeartbeat(StoreHeartbeatRequest { stats: Some(stats) }));
    }

    /// The first heartbeat of a store that opens leaves with its first input.
    pub(super) fn first_heartbeat(config: &crate::config::Config) -> u64 {
        if config.placement.is_some() { 1 } else { NEVER }
    }

    /// Tells how a region is that is led here.
    pub(super) fn send_region_heartbeat(&mut self, env: &mut impl Env, region: u64) {
        let Some(peer) = self.peer(region).filter(|peer| peer.raft().is_leader()) else { return };
        // What is not durable yet is told when it is: the driver may tell others that they were removed.
        if self.config.placement.is_none() || !peer.is_settled() {
            return;
        }
        let heartbeat = RegionHeartbeatRequest {
            region: Some(peer.region().clone()),
            leader: Some(peer.meta()),
            pending_peers: peer.pending_peers(),
            approximate_size: peer.approximate_size(),
            term: peer.raft().term(),
        };
        self.ask(env, request::Payload::RegionHeartbeat(heartbeat));
    }

    /// Asks whether the replica of a region is still wanted.
    pub(super) fn ask_placement_for(&mut self, env: &mut impl Env, region_id: u64) {
        self.ask(env, request::Payload::GetRegionById(GetRegionByIdRequest { region_id }));
    }

    /// The placement driver answers, or orders something.
    pub fn on_placement(&mut self, env: &mut impl Env, now_ns: u64, response: Response) {
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            match response.payload {
                Some(response::Payload::RegionHeartbeat(order)) => store.on_order(env, tick, order),
                Some(response::Payload::AskSplit(ids)) => store.on_split_ids(env, tick, ids),
                Some(response::Payload::GetRegion(region)) => store.on_region_told(env, tick, region),
                Some(response::Payload::StoreHeartbeat(_)) | None => Ok(()),
            }
        });
    }

    fn on_order<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        order: RegionHeartbeatResponse,
    ) -> Result<(), StoreError> {
        let region = order.region_id;
        let meant = |peer: &&Peer| {
            peer.region().region_epoch == order.region_epoch
                && order.target_peer.is_some_and(|target| target.id == peer.peer_id())
        };
        if self.peer(region).filter(meant).is_none() {
            return Ok(());
        }
        if let Some(split) = order.split_region {
            if split.split_key.is_empty() {
                self.measure(env, region, true);
            } else {
                self.ask_split(env, region, split.split_key);
            }
            return Ok(());
        }
        let changes = match (order.change_peer, order.change_peer_v2) {
            (Some(change), _) => Some((vec![change], 0)),
            (None, Some(changes)) => Some((changes.changes, changes.transition)),
            (None, None) => None,
        };
        let change = changes.map(|(changes, transition)| {
            let change = |change: raft_proto::schedulerpb::ChangePeer| ChangePeerRequest {
                change_type: change.change_type,
                peer: change.peer,
            };
            ChangePeerV2Request { changes: changes.into_iter().map(change).collect(), transition }
        });
        let transfer = order.transfer_leader.and_then(|transfer| transfer.peer);
        self.with_peer(env, tick, region, |peer, _| {
            // What is refused now is ordered again, as long as it makes sense.
            let _: Result<(), RequestError> = match (change, transfer) {
                (Some(change), _) => peer.change_peers(&change),
                (None, Some(to)) => peer.transfer_leader(to.store_id),
                (None, None) => Ok(()),
            };
        })?;
        Ok(())
    }

    /// Asks for the ids of a new region.
    fn ask_split(&self, env: &mut impl Env, region: u64, split_key: Bytes) {
        let Some(peer) = self.peer(region).filter(|peer| peer.raft().is_leader()) else { return };
        let ask = AskSplitRequest { region: Some(peer.region().clone()), split_key };
        self.ask(env, request::Payload::AskSplit(ask));
    }

    fn on_split_ids<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        ids: AskSplitResponse,
    ) -> Result<(), StoreError> {
        let AskSplitResponse { new_region_id, new_peer_ids, region_id, region_epoch, split_key } = ids;
        let split = SplitRequest { split_key, new_region_id, new_peer_ids };
        self.with_peer(env, tick, region_id, |peer, _| {
            if peer.region().region_epoch == region_epoch {
                // Refused where the region has changed meanwhile; it will be measured again.
                let _ = peer.propose_admin(admin_request::Command::Split(split));
            }
        })?;
        Ok(())
    }

    /// A region's size is known.
    pub(super) fn on_measured<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        region: u64,
        size: u64,
        split_key: Option<Bytes>,
        always: bool,
    ) -> Result<(), StoreError> {
        let split_key = split_key.filter(|_| always || size > self.config.region_max_size);
        // Until the split shows, the region is measured again and again: the question may get lost, or the proposal.
        let grown = if split_key.is_some() { self.config.region_max_size } else { 0 };
        self.with_peer(env, tick, region, |peer, _| peer.set_size(size, grown))?;
        if let Some(key) = split_key {
            self.ask_split(env, region, key);
        }
        Ok(())
    }

    /// The driver tells who is a member of a region by now.
    fn on_region_told<E: Env>(
        &mut self,
        env: &mut E,
        tick: u64,
        told: GetRegionResponse,
    ) -> Result<(), StoreError> {
        let Some(region) = told.region else { return Ok(()) };
        let removed = |peer: &&Peer| is_removed(peer, &region);
        if self.peer(region.id).filter(removed).is_some() {
            return self.destroy(env, tick, region.id, None);
        }
        Ok(())
    }
}

/// Whether a region, as somebody else knows it, has moved on without this replica. One that is not in it may also
/// have been added since, and then its epoch is the newer one.
fn is_removed(peer: &Peer, region: &Region) -> bool {
    let member = region.peers.iter().any(|member| member.id == peer.peer_id());
    !member && is_older(peer.epoch(), region.region_epoch.unwrap_or_default())
}
