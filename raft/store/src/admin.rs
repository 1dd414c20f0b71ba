//! What admin commands make of a region. Pure: a region and a command in, regions out, the same on
//! every replica.

use std::collections::BTreeSet;

use bytes::Bytes;
use raft::eraftpb::{ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState};
use raft_proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raft_proto::raft_cmdpb::{
    AdminRequest, ChangePeerRequest, ChangePeerV2Request, RaftCmdRequest, SplitRequest, admin_request,
};

use crate::ranges::holds;
use crate::validate::RequestError;

/// Whether a region counts by two memberships at once.
pub(crate) fn is_joint(region: &Region) -> bool {
    use PeerRole::{DemotingVoter, IncomingVoter, LeavingVoter};
    region.peers.iter().any(|peer| matches!(peer.role(), DemotingVoter | IncomingVoter | LeavingVoter))
}

/// The membership, as raft knows it.
pub(crate) fn conf_state(region: &Region, auto_leave: bool) -> ConfState {
    use PeerRole::{DemotingVoter, IncomingVoter, Learner, LeavingVoter, Voter};
    let ids = |roles: &[PeerRole]| -> Vec<u64> {
        region.peers.iter().filter(|peer| roles.contains(&peer.role())).map(|peer| peer.id).collect()
    };
    let outgoing = if is_joint(region) { ids(&[Voter, DemotingVoter, LeavingVoter]) } else { Vec::new() };
    ConfState {
        voters: ids(&[Voter, IncomingVoter]),
        learners: ids(&[Learner]),
        voters_outgoing: outgoing,
        learners_next: ids(&[DemotingVoter]),
        auto_leave,
    }
}

/// Whether two memberships are the same, in whatever order.
pub(crate) fn same_members(one: &ConfState, other: &ConfState) -> bool {
    let sorted = |conf: &ConfState| {
        let ConfState { voters, learners, voters_outgoing, learners_next, auto_leave } = conf.clone();
        let mut parts = [voters, learners, voters_outgoing, learners_next];
        parts.iter_mut().for_each(|part| part.sort_unstable());
        (parts, auto_leave)
    };
    sorted(one) == sorted(other)
}

/// The membership changes of a request; `None` if it is another one.
pub(crate) fn changes_of(admin: &AdminRequest) -> Option<ChangePeerV2Request> {
    match &admin.command {
        Some(admin_request::Command::ChangePeer(change)) => {
            Some(ChangePeerV2Request { changes: vec![*change], ..ChangePeerV2Request::default() })
        }
        Some(admin_request::Command::ChangePeerV2(change)) => Some(change.clone()),
        _ => None,
    }
}

/// A membership change as raft wants it: ids alone. The request travels along, for the stores.
///
/// A region shows that it is joint by the roles of its peers. A joint membership of two equal halves would show in none, so
/// changes that leave the voters as they are never go through one, whatever was asked for.
pub(crate) fn conf_change(changes: &ChangePeerV2Request, region: &Region, request: Bytes) -> ConfChangeV2 {
    let single = |change: &ChangePeerRequest| ConfChangeSingle {
        change_type: change.change_type,
        node_id: change.peer.map_or(0, |peer| peer.id),
    };
    let transition =
        if keeps_voters(changes, region) { ConfChangeTransition::Auto as i32 } else { changes.transition };
    ConfChangeV2 { transition, changes: changes.changes.iter().map(single).collect(), context: request }
}

/// Whether the same peers vote after these changes. None at all leave a joint membership.
fn keeps_voters(changes: &ChangePeerV2Request, region: &Region) -> bool {
    let votes = |peer: &&Peer| matches!(peer.role(), PeerRole::Voter | PeerRole::IncomingVoter);
    let before: BTreeSet<u64> = region.peers.iter().filter(votes).map(|peer| peer.id).collect();
    let mut after = before.clone();
    for change in &changes.changes {
        let id = change.peer.map_or(0, |peer| peer.id);
        match change.change_type() {
            ConfChangeType::AddNode => after.insert(id),
            ConfChangeType::AddLearnerNode | ConfChangeType::RemoveNode => after.remove(&id),
        };
    }
    !changes.changes.is_empty() && before == after
}

/// Whether the changes make sense for the region: raft sees ids and not stores.
pub(crate) fn check_changes(changes: &ChangePeerV2Request, region: &Region) -> Result<(), RequestError> {
    let nonsense = |why: &'static str| Err(RequestError::BadChange { region_id: region.id, why });
    // Nothing at all means to leave a joint membership.
    if changes.changes.is_empty() && changes.transition != ConfChangeTransition::Auto as i32 {
        return nonsense("nothing to change");
    }
    for change in &changes.changes {
        let Some(peer) = change.peer.filter(|peer| peer.id != 0 && peer.store_id != 0) else {
            return nonsense("a change without a peer");
        };
        let removes = change.change_type() == ConfChangeType::RemoveNode;
        match region.peers.iter().find(|member| member.id == peer.id) {
            Some(member) if member.store_id != peer.store_id => {
                return nonsense("the peer is on another store");
            }
            None if removes => return nonsense("the peer is no member"),
            _ => {}
        }
        // Two replicas on a store would share its keys in both databases.
        let crowded = |other: &&Peer| other.store_id == peer.store_id && other.id != peer.id;
        let added = changes.changes.iter().filter_map(|change| change.peer);
        if !removes
            && (region.peers.iter().find(crowded).is_some()
                || added.into_iter().any(|other| crowded(&&other)))
        {
            return nonsense("the store has another replica of the region");
        }
    }
    Ok(())
}

/// The region with the membership that raft has arrived at. Members keep their stores; new ones have those of
/// the changes. The epoch grows by as many steps as there are changes.
pub(crate) fn with_members(region: &Region, conf: &ConfState, changes: &[ChangePeerRequest]) -> Region {
    let joint = !conf.voters_outgoing.is_empty();
    let role = |id: u64| {
        let [incoming, outgoing] = [&conf.voters, &conf.voters_outgoing].map(|voters| voters.contains(&id));
        Some(match (incoming, outgoing) {
            (true, true) => PeerRole::Voter,
            (true, false) if joint => PeerRole::IncomingVoter,
            (true, false) => PeerRole::Voter,
            (false, true) if conf.learners_next.contains(&id) => PeerRole::DemotingVoter,
            (false, true) => PeerRole::LeavingVoter,
            (false, false) if conf.learners.contains(&id) => PeerRole::Learner,
            (false, false) => return None,
        })
    };
    let old = region.peers.iter().copied();
    let new = changes.iter().filter_map(|change| change.peer);
    let new = new.filter(|peer| region.peers.iter().all(|member| member.id != peer.id));
    let mut peers: Vec<Peer> = Vec::new();
    for peer in old.chain(new) {
        if let Some(role) = role(peer.id)
            && peers.iter().all(|known| known.id != peer.id)
        {
            peers.push(Peer { role: role as i32, ..peer });
        }
    }
    let epoch = region.region_epoch.unwrap_or_default();
    let steps = changes.len().max(1) as u64;
    let region_epoch = Some(RegionEpoch { conf_ver: epoch.conf_ver + steps, ..epoch });
    Region { peers, region_epoch, ..region.clone() }
}

/// Whether the region can be split so.
pub(crate) fn check_split(split: &SplitRequest, region: &Region) -> Result<(), RequestError> {
    let nonsense = |why: &'static str| Err(RequestError::BadSplit { region_id: region.id, why });
    if !holds(region, &split.split_key) {
        return Err(RequestError::key_not_in_region(&split.split_key, region));
    }
    if split.split_key == region.start_key {
        return nonsense("nothing would be left of the key");
    }
    if split.new_region_id == 0 || split.new_region_id == region.id {
        return nonsense("the new region needs an id of its own");
    }
    if split.new_peer_ids.len() != region.peers.len() || split.new_peer_ids.contains(&0) {
        return nonsense("the new region needs an id for each of its peers");
    }
    if (1..split.new_peer_ids.len())
        .any(|place| split.new_peer_ids[..place].contains(&split.new_peer_ids[place]))
    {
        return nonsense("two peers of the new region have one id");
    }
    if is_joint(region) {
        return nonsense("its membership is changing");
    }
    Ok(())
}

/// The two halves. The left one stays the region that it was, with fewer keys.
pub(crate) fn split(region: &Region, split: &SplitRequest) -> (Region, Region) {
    let epoch = region.region_epoch.unwrap_or_default();
    let region_epoch = Some(RegionEpoch { version: epoch.version + 1, ..epoch });
    let left = Region { end_key: split.split_key.clone(), region_epoch, ..region.clone() };
    let peers = region.peers.iter().zip(&split.new_peer_ids).map(|(peer, id)| Peer { id: *id, ..*peer });
    let right = Region {
        id: split.new_region_id,
        start_key: split.split_key.clone(),
        end_key: region.end_key.clone(),
        region_epoch,
        peers: peers.collect(),
    };
    (left, right)
}

/// Whether an epoch is older than another: by its version, and then by its membership. With "or" in place of
/// "then", two regions could each be older than the other (TiKV 4082).
pub(crate) fn is_older(epoch: RegionEpoch, than: RegionEpoch) -> bool {
    (epoch.version, epoch.conf_ver) < (than.version, than.conf_ver)
}

/// The request that a log entry holds.
pub(crate) fn admin(
    header: raft_proto::raft_cmdpb::RaftRequestHeader,
    command: admin_request::Command,
) -> RaftCmdRequest {
    RaftCmdRequest {
        header: Some(header),
        admin_request: Some(AdminRequest { command: Some(command) }),
        ..RaftCmdRequest::default()
    }
}

#[cfg(test)]
mod tests;
