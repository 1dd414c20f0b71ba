//! Messages in words, and in the trace hash.

use std::collections::BTreeSet;

use raft_proto::schedulerpb::{
    AskSplitRequest, AskSplitResponse, ChangePeerV2, GetRegionByIdRequest, GetRegionResponse,
    RegionHeartbeatResponse, SplitRegion, StoreHeartbeatResponse, StoreStats, TransferLeader,
};
use raftsim_kernel::TraceHasher;

use super::super::operator::{learn, remove, vote};
use super::*;
use crate::system::Payload;

fn digest(payload: &impl Payload) -> u64 {
    let mut hash = TraceHasher::default();
    payload.digest(&mut hash);
    hash.value()
}

#[test]
fn requests_say_what_they_say() {
    use request::Payload as P;
    let region = region(7, ("a", "m"), (3, 4), &[1, 2, 3]);
    let pending = RegionHeartbeatRequest {
        pending_peers: vec![peer(102, 2), peer(103, 3)],
        ..heartbeat(&region, 1, 5)
    };
    let stats = Some(StoreStats { region_count: 3, ..StoreStats::default() });
    let said = [
        (P::StoreHeartbeat(StoreHeartbeatRequest { stats }), "store heartbeat, 3 regions"),
        (P::RegionHeartbeat(heartbeat(&region, 1, 5)), "leads region 7 v3 c4 t5"),
        (P::RegionHeartbeat(pending), "leads region 7 v3 c4 t5 pending 102 103"),
        (
            P::AskSplit(AskSplitRequest { region: Some(region), split_key: "k5".into() }),
            "ids to split region 7 v3 c4 at k5?",
        ),
        (P::GetRegionById(GetRegionByIdRequest { region_id: 7 }), "region 7?"),
    ];
    let mut digests = BTreeSet::new();
    for (payload, words) in said {
        let request = ask(1, payload);
        assert_eq!(request.describe(), words);
        assert!(digests.insert(digest(&request)), "{words} has the digest of another");
    }
}

#[test]
fn answers_say_what_they_order() {
    use response::Payload as P;
    let about =
        RegionHeartbeatResponse { region_id: 7, target_peer: Some(peer(101, 1)), ..Default::default() };
    let change = |changes| RegionHeartbeatResponse {
        change_peer_v2: Some(ChangePeerV2 { changes, transition: 0 }),
        ..about.clone()
    };
    let transfer = TransferLeader { peer: Some(peer(102, 2)) };
    let split = |split_key: &'static str| RegionHeartbeatResponse {
        split_region: Some(SplitRegion { split_key: split_key.into() }),
        ..about.clone()
    };
    let may =
        AskSplitResponse { new_region_id: 1000, region_id: 7, split_key: "k5".into(), ..Default::default() };
    let region = GetRegionResponse { region: Some(region(7, ("", ""), (3, 4), &[1])), leader: None };
    let swap = vec![vote(1004, 4), learn(103, 3), remove(&peer(102, 2))];
    let said = [
        (P::StoreHeartbeat(StoreHeartbeatResponse {}), "store heartbeat ack"),
        (P::RegionHeartbeat(about.clone()), "region 7 heartbeat ack"),
        (P::RegionHeartbeat(change(swap)), "region 7: add 1004 on 4, learn 103 on 3, remove 102 on 2"),
        (P::RegionHeartbeat(change(Vec::new())), "region 7: leave joint"),
        (
            P::RegionHeartbeat(RegionHeartbeatResponse { transfer_leader: Some(transfer), ..about.clone() }),
            "region 7: transfer to 2",
        ),
        (P::RegionHeartbeat(split("")), "region 7: split"),
        (P::RegionHeartbeat(split("k5")), "region 7: split at k5"),
        (P::AskSplit(may), "region 7 may split at k5 into 1000"),
        (P::GetRegion(region), "region 7 v3 c4"),
    ];
    let mut digests = BTreeSet::new();
    for (payload, words) in said {
        let response = Response { payload: Some(payload) };
        assert_eq!(response.describe(), words);
        assert!(digests.insert(digest(&response)), "{words} has the digest of another");
    }
}
