use super::*;

fn peer(id: u64, store_id: u64, role: PeerRole) -> Peer {
    Peer { id, store_id, role: role as i32 }
}

fn region(peers: Vec<Peer>) -> Region {
    Region {
        id: 1,
        start_key: "b".into(),
        end_key: "m".into(),
        region_epoch: Some(RegionEpoch { conf_ver: 3, version: 7 }),
        peers,
    }
}

#[test]
fn roles_and_raft_s_membership_say_the_same() {
    use PeerRole::{DemotingVoter, IncomingVoter, Learner, LeavingVoter, Voter};
    let joint = region(vec![
        peer(10, 1, Voter),
        peer(20, 2, IncomingVoter),
        peer(30, 3, DemotingVoter),
        peer(40, 4, LeavingVoter),
        peer(50, 5, Learner),
    ]);
    let conf = conf_state(&joint, true);
    assert_eq!((&conf.voters[..], &conf.voters_outgoing[..]), (&[10, 20][..], &[10, 30, 40][..]));
    assert_eq!((&conf.learners[..], &conf.learners_next[..]), (&[50][..], &[30][..]));
    assert!(conf.auto_leave);
    assert_eq!(with_members(&joint, &conf, &[]).peers, joint.peers);

    let simple = region(vec![peer(10, 1, Voter), peer(50, 5, Learner)]);
    let conf = conf_state(&simple, false);
    assert_eq!((&conf.voters[..], &conf.learners[..]), (&[10][..], &[50][..]));
    assert!(conf.voters_outgoing.is_empty());
    assert_eq!(with_members(&simple, &conf, &[]).peers, simple.peers);
}

#[test]
fn a_change_of_members_makes_the_epoch_grow_by_its_steps() {
    use PeerRole::{Learner, Voter};
    let old = region(vec![peer(10, 1, Voter), peer(20, 2, Voter)]);
    let new = ChangePeerRequest { peer: Some(peer(40, 4, Learner)), ..ChangePeerRequest::default() };
    let conf = ConfState { voters: vec![10], learners: vec![20, 40], ..ConfState::default() };
    let changed = with_members(&old, &conf, &[new, new]);
    assert_eq!(changed.peers, [peer(10, 1, Voter), peer(20, 2, Learner), peer(40, 4, Learner)]);
    assert_eq!(changed.region_epoch, Some(RegionEpoch { conf_ver: 5, version: 7 }));
    // To leave a joint membership is a step, too.
    assert_eq!(with_members(&old, &conf, &[]).region_epoch, Some(RegionEpoch { conf_ver: 4, version: 7 }));
}

#[test]
fn the_halves_of_a_split_are_the_whole() {
    let whole = region(vec![peer(10, 1, PeerRole::Voter), peer(20, 2, PeerRole::Learner)]);
    let request = SplitRequest { split_key: "g".into(), new_region_id: 9, new_peer_ids: vec![91, 92] };
    assert_eq!(check_split(&request, &whole), Ok(()));
    let (left, right) = split(&whole, &request);
    let epoch = Some(RegionEpoch { conf_ver: 3, version: 8 });
    assert_eq!(left, Region { end_key: "g".into(), region_epoch: epoch, ..whole.clone() });
    let peers = vec![peer(91, 1, PeerRole::Voter), peer(92, 2, PeerRole::Learner)];
    assert_eq!(right, Region { id: 9, start_key: "g".into(), region_epoch: epoch, peers, ..whole });
}

#[test]
fn an_epoch_is_older_by_its_version_and_then_by_its_members() {
    let epoch = |version, conf_ver| RegionEpoch { conf_ver, version };
    assert!(is_older(epoch(1, 9), epoch(2, 1)) && is_older(epoch(2, 1), epoch(2, 2)));
    // Never each older than the other.
    assert!(!is_older(epoch(2, 1), epoch(1, 9)) && !is_older(epoch(2, 2), epoch(2, 2)));
}

#[test]
fn only_a_change_of_voters_goes_through_a_joint_membership() {
    use ConfChangeTransition::{Auto, Explicit};
    use ConfChangeType::{AddLearnerNode, AddNode, RemoveNode};
    let region = region(vec![peer(10, 1, PeerRole::Voter), peer(50, 5, PeerRole::Learner)]);
    let transition = |changes: &[(ConfChangeType, u64)]| {
        let change = |(kind, id): &(ConfChangeType, u64)| ChangePeerRequest {
            change_type: *kind as i32,
            peer: Some(peer(*id, *id / 10, PeerRole::Voter)),
        };
        let changes = changes.iter().map(change).collect();
        let request = ChangePeerV2Request { changes, transition: Explicit as i32 };
        conf_change(&request, &region, Bytes::new()).transition()
    };
    // A new learner, one that goes, a voter that votes already, one that is gone for a moment.
    assert_eq!(transition(&[(AddLearnerNode, 60), (RemoveNode, 50), (AddNode, 10)]), Auto);
    assert_eq!(transition(&[(RemoveNode, 10), (AddNode, 10)]), Auto);
    assert_eq!(transition(&[(AddNode, 50)]), Explicit);
    assert_eq!(transition(&[(AddNode, 60), (RemoveNode, 10)]), Explicit);
    assert_eq!(transition(&[]), Explicit);
    let nothing = ChangePeerV2Request { changes: Vec::new(), transition: Explicit as i32 };
    assert!(check_changes(&nothing, &region).is_err());
}
