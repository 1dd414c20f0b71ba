//! What stores and the placement driver say to each other: for the trace hash, and for people.

use prost::Message;
use raft_proto::eraftpb::ConfChangeType;
use raft_proto::metapb::{Region, RegionEpoch};
use raft_proto::schedulerpb::{
    ChangePeer, GetRegionResponse, RegionHeartbeatRequest, RegionHeartbeatResponse, Request, Response,
    request, response,
};
use raftsim_kernel::TraceHasher;

use crate::system::Payload;

impl Payload for Request {
    fn digest(&self, hash: &mut TraceHasher) {
        hash.bytes(&self.encode_to_vec());
    }

    fn describe(&self) -> String {
        use request::Payload as P;
        match &self.payload {
            Some(P::StoreHeartbeat(heartbeat)) => {
                let regions = heartbeat.stats.as_ref().map_or(0, |stats| stats.region_count);
                format!("store heartbeat, {regions} regions")
            }
            Some(P::RegionHeartbeat(heartbeat)) => region_heartbeat(heartbeat),
            Some(P::AskSplit(ask)) => {
                format!("ids to split {} at {}?", name(ask.region.as_ref()), text(&ask.split_key))
            }
            Some(P::GetRegionById(get)) => format!("region {}?", get.region_id),
            None => "nothing".to_owned(),
        }
    }

    fn to_wire(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        prost::Message::decode(bytes).ok()
    }
}

impl Payload for Response {
    fn digest(&self, hash: &mut TraceHasher) {
        hash.bytes(&self.encode_to_vec());
    }

    fn describe(&self) -> String {
        use response::Payload as P;
        match &self.payload {
            Some(P::StoreHeartbeat(_)) => "store heartbeat ack".to_owned(),
            Some(P::RegionHeartbeat(heartbeat)) => match order(self) {
                Some((region, order)) => format!("region {region}: {order}"),
                None => format!("region {} heartbeat ack", heartbeat.region_id),
            },
            Some(P::AskSplit(ask)) => {
                let at = text(&ask.split_key);
                format!("region {} may split at {at} into {}", ask.region_id, ask.new_region_id)
            }
            Some(P::GetRegion(GetRegionResponse { region, .. })) => name(region.as_ref()),
            None => "nothing".to_owned(),
        }
    }

    fn to_wire(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        prost::Message::decode(bytes).ok()
    }
}

/// The order in an answer, in a few words, and the region that it is about.
pub(super) fn order(response: &Response) -> Option<(u64, String)> {
    let Some(response::Payload::RegionHeartbeat(heartbeat)) = &response.payload else { return None };
    let RegionHeartbeatResponse { change_peer, transfer_leader, split_region, change_peer_v2, .. } =
        heartbeat;
    let words = if let Some(change) = change_peer_v2 {
        changes(&change.changes)
    } else if let Some(change) = change_peer {
        changes(std::slice::from_ref(change))
    } else if let Some(transfer) = transfer_leader {
        format!("transfer to {}", transfer.peer.unwrap_or_default().store_id)
    } else {
        match &split_region.as_ref()?.split_key[..] {
            [] => "split".to_owned(),
            key => format!("split at {}", text(key)),
        }
    };
    Some((heartbeat.region_id, words))
}

fn changes(changes: &[ChangePeer]) -> String {
    if changes.is_empty() {
        return "leave joint".to_owned();
    }
    let one = |change: &ChangePeer| {
        let peer = change.peer.unwrap_or_default();
        let verb = match change.change_type() {
            ConfChangeType::AddNode => "add",
            ConfChangeType::AddLearnerNode => "learn",
            ConfChangeType::RemoveNode => "remove",
        };
        format!("{verb} {} on {}", peer.id, peer.store_id)
    };
    changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn region_heartbeat(heartbeat: &RegionHeartbeatRequest) -> String {
    let pending = heartbeat.pending_peers.iter().map(|peer| peer.id.to_string()).collect::<Vec<_>>();
    let pending = if pending.is_empty() { String::new() } else { format!(" pending {}", pending.join(" ")) };
    format!("leads {} t{}{pending}", name(heartbeat.region.as_ref()), heartbeat.term)
}

/// A region and its epoch.
fn name(region: Option<&Region>) -> String {
    let Some(region) = region else { return "no region".to_owned() };
    let RegionEpoch { conf_ver, version } = region.region_epoch.unwrap_or_default();
    format!("region {} v{version} c{conf_ver}", region.id)
}

fn text(key: &[u8]) -> String {
    key.escape_ascii().to_string()
}
