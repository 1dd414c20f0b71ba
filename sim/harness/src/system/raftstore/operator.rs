//! What operators command, in the store's words.

use raft_proto::eraftpb::{ConfChangeTransition, ConfChangeType};
use raft_proto::metapb::{Peer, PeerRole, Region};
use raft_proto::raft_cmdpb::{ChangePeerRequest, ChangePeerV2Request, SplitRequest};
use raftstore::Store;

use super::{Operator, outside::Env};
use crate::scenario::Transition;
use crate::system::MemberChange;

/// Commands the replica of a region.
///
/// # Errors
/// Why it does not take the command.
pub(super) fn command(
    store: &mut Store,
    env: &mut Env<'_, '_, '_>,
    now: u64,
    region_id: u64,
    command: &Operator,
) -> Result<(), String> {
    let region = store.peer(region_id).map(|peer| peer.region().clone());
    let region = region.ok_or_else(|| format!("it has no replica of region {region_id}"))?;
    let answer = match command {
        Operator::Campaign => {
            store.campaign(env, now, region_id);
            Ok(())
        }
        Operator::Transfer { to } => store.transfer_leader(env, now, region_id, *to),
        Operator::Change(change) => store.change_peers(env, now, region_id, &change_peers(&region, change)?),
        Operator::Split { key, new_region, first_peer } => {
            let peers = region.peers.len() as u64;
            let split = SplitRequest {
                split_key: key.clone(),
                new_region_id: *new_region,
                new_peer_ids: (*first_peer..first_peer + peers).collect(),
            };
            store.split(env, now, region_id, &split)
        }
        Operator::Compact => store.compact(env, now, region_id),
        Operator::ForgetLeader | Operator::RequestSnapshot => {
            return Err("raftstore has no such command".to_owned());
        }
    };
    answer.map_err(|error| error.to_string())
}

/// A change of members as a request: stores that have a replica keep its id, the others get new ones.
fn change_peers(region: &Region, change: &MemberChange) -> Result<ChangePeerV2Request, String> {
    let MemberChange::Members { add, learn, remove, transition, first_id } = change else {
        return Ok(ChangePeerV2Request::default());
    };
    let id_on = |store: u64| region.peers.iter().find(|peer| peer.store_id == store).map(|peer| peer.id);
    let mut unused = *first_id..;
    let mut join = |store: u64, kind: ConfChangeType, role: PeerRole| {
        let id = id_on(store).or_else(|| unused.next()).unwrap_or(u64::MAX);
        single(kind, Peer { id, store_id: store, role: role as i32 })
    };
    let mut changes = Vec::with_capacity(add.len() + learn.len() + remove.len());
    changes.extend(add.iter().map(|store| join(*store, ConfChangeType::AddNode, PeerRole::Voter)));
    changes.extend(learn.iter().map(|store| join(*store, ConfChangeType::AddLearnerNode, PeerRole::Learner)));
    for store in remove {
        let peer = region.peers.iter().find(|peer| peer.store_id == *store);
        let peer = peer.ok_or_else(|| format!("store {store} has no replica of region {}", region.id))?;
        changes.push(single(ConfChangeType::RemoveNode, *peer));
    }
    let transition = match transition {
        Transition::Auto => ConfChangeTransition::Auto,
        Transition::Implicit => ConfChangeTransition::Implicit,
        Transition::Explicit => ConfChangeTransition::Explicit,
    };
    Ok(ChangePeerV2Request { changes, transition: transition as i32 })
}

fn single(kind: ConfChangeType, peer: Peer) -> ChangePeerRequest {
    ChangePeerRequest { change_type: kind as i32, peer: Some(peer) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region() -> Region {
        let peers = (1..=3).map(|store| Peer { id: 100 + store, store_id: store, role: 0 }).collect();
        Region { id: 7, peers, ..Region::default() }
    }

    #[test]
    fn new_replicas_have_new_ids_and_members_keep_theirs() {
        let change = MemberChange::Members {
            add: vec![4, 2],
            learn: vec![5],
            remove: vec![1],
            transition: Transition::Explicit,
            first_id: 1_000,
        };
        let request = change_peers(&region(), &change).expect("a change");
        assert_eq!(request.transition(), ConfChangeTransition::Explicit);
        let changes: Vec<_> =
            request.changes.iter().map(|change| (change.change_type(), change.peer)).collect();
        let peer = |id, store_id, role: PeerRole| Some(Peer { id, store_id, role: role as i32 });
        let expected = [
            (ConfChangeType::AddNode, peer(1_000, 4, PeerRole::Voter)),
            (ConfChangeType::AddNode, peer(102, 2, PeerRole::Voter)),
            (ConfChangeType::AddLearnerNode, peer(1_001, 5, PeerRole::Learner)),
            (ConfChangeType::RemoveNode, peer(101, 1, PeerRole::Voter)),
        ];
        assert_eq!(changes, expected);
    }

    #[test]
    fn leaving_is_a_change_of_nobody() {
        assert_eq!(change_peers(&region(), &MemberChange::Leave), Ok(ChangePeerV2Request::default()));
    }

    #[test]
    fn who_is_no_member_cannot_be_removed() {
        let (add, learn, remove) = (Vec::new(), Vec::new(), vec![9]);
        let change =
            MemberChange::Members { add, learn, remove, transition: Transition::Auto, first_id: 1_000 };
        let refused = change_peers(&region(), &change);
        assert_eq!(refused, Err("store 9 has no replica of region 7".to_owned()));
    }
}
