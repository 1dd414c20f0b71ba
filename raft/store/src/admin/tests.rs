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
