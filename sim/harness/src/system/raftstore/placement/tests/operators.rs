//! An operator against what its region's leader tells.

use raft_proto::eraftpb::ConfChangeTransition;
use raft_proto::metapb::PeerRole;
use raft_proto::schedulerpb::ChangePeer;

use super::super::cluster::{Cluster, Known};
use super::super::ids::Ids;
use super::super::operator::{Action, Change, Operator, Step, Verdict, learn, remove, vote};
use super::*;

/// What is known of region 1 with these voters, led from the first one.
fn known(conf_ver: u64, stores: &[u64]) -> Known {
    tell(heartbeat(&region(1, ("a", "z"), (3, conf_ver), stores), stores[0], 5))
}

fn tell(heartbeat: RegionHeartbeatRequest) -> Known {
    let mut cluster = Cluster::new(Time::ZERO, Duration::secs(10));
    let store = heartbeat.leader.unwrap().store_id;
    Known::clone(&cluster.region_heartbeat(at(1), store, heartbeat).unwrap())
}

fn with(mut known: Known, change: impl FnOnce(&mut Known)) -> Known {
    change(&mut known);
    known
}

fn careful(changes: Vec<ChangePeer>) -> Operator {
    Operator::own([Step::Change(Change::careful(changes, 3))])
}

fn change(changes: Vec<ChangePeer>) -> Verdict {
    Verdict::Order(Action::Change(changes, ConfChangeTransition::Auto))
}

fn as_told(changes: Vec<ChangePeer>, transition: ConfChangeTransition) -> Operator {
    Operator::own([Step::Change(Change::as_told(changes, transition))])
}

fn ordered_change(verdict: &Verdict) -> Option<usize> {
    match verdict {
        Verdict::Order(Action::Change(changes, _)) => Some(changes.len()),
        _ => None,
    }
}

#[test]
fn a_change_is_repeated_until_the_epoch_shows_it() {
    let mut operator = careful(vec![vote(104, 4)]);
    let before = known(7, &[1, 2, 3]);
    for _ in 0..3 {
        assert_eq!(operator.advance(&before), change(vec![vote(104, 4)]));
    }
    assert_eq!(operator.advance(&known(8, &[1, 2, 3, 4])), Verdict::Done);
}

#[test]
fn a_change_that_another_one_overtook_ends() {
    let mut operator = careful(vec![vote(104, 4)]);
    assert!(ordered_change(&operator.advance(&known(7, &[1, 2, 3]))).is_some());
    assert_eq!(operator.advance(&known(8, &[1, 2])), Verdict::Impossible);
}

#[test]
fn a_joint_configuration_is_waited_out() {
    let mut operator = careful(vec![vote(104, 4), remove(&peer(102, 2))]);
    let learner =
        |known: &mut Known| known.region.peers.push(Peer { role: PeerRole::Learner as i32, ..peer(104, 4) });
    assert_eq!(ordered_change(&operator.advance(&with(known(7, &[1, 2, 3]), learner))), Some(2));
    let joint = with(known(8, &[1, 2, 3, 4]), |known| {
        known.region.peers[1].role = PeerRole::LeavingVoter as i32;
        known.region.peers[3].role = PeerRole::IncomingVoter as i32;
    });
    assert_eq!(operator.advance(&joint), Verdict::Wait);
    assert_eq!(operator.advance(&known(9, &[1, 3, 4])), Verdict::Done);
}

#[test]
fn a_joint_configuration_stays_where_that_is_wanted() {
    let swap = || vec![vote(104, 4), remove(&peer(102, 2))];
    let mut operator = as_told(swap(), ConfChangeTransition::Explicit);
    let order = Verdict::Order(Action::Change(swap(), ConfChangeTransition::Explicit));
    assert_eq!(operator.advance(&known(7, &[1, 2, 3])), order);
    let joint = with(known(8, &[1, 2, 3, 4]), |known| {
        known.region.peers[1].role = PeerRole::LeavingVoter as i32;
        known.region.peers[3].role = PeerRole::IncomingVoter as i32;
    });
    assert_eq!(operator.advance(&joint), Verdict::Done);
}

#[test]
fn no_store_gets_a_second_replica() {
    let mut operator = careful(vec![vote(999, 2)]);
    assert_eq!(operator.advance(&known(7, &[1, 2, 3])), Verdict::Impossible);
}

#[test]
fn votes_are_not_taken_while_they_are_needed() {
    let mut operator = careful(vec![remove(&peer(104, 4))]);
    let lagging = with(known(7, &[1, 2, 3, 4]), |known| known.pending = vec![102]);
    assert_eq!(operator.advance(&lagging), Verdict::Wait, "2 of the 3 that stay keep up");
    let gone = with(known(7, &[1, 2, 3, 4]), |known| known.pending = vec![104]);
    assert_eq!(ordered_change(&operator.advance(&gone)), Some(1));

    // What is ordered from outside is done as told.
    let mut told = as_told(vec![remove(&peer(102, 2))], ConfChangeTransition::Auto);
    assert_eq!(ordered_change(&told.advance(&known(7, &[1, 2]))), Some(1));
}

#[test]
fn a_learner_is_promoted_when_it_keeps_up() {
    let mut operator = careful(vec![vote(104, 4)]);
    let learner = with(known(7, &[1, 2, 4]), |known| known.region.peers[2].role = PeerRole::Learner as i32);
    assert_eq!(operator.advance(&with(learner.clone(), |known| known.pending = vec![104])), Verdict::Wait);
    assert_eq!(ordered_change(&operator.advance(&learner)), Some(1));
}

#[test]
fn a_leader_hands_over_before_it_is_removed() {
    let changes = || vec![remove(&peer(101, 1))];
    let four = known(7, &[1, 2, 3, 4]);
    assert_eq!(careful(changes()).advance(&four), Verdict::Order(Action::Transfer(peer(102, 2))));
    let lagging = with(known(7, &[1, 2, 3, 4, 5]), |known| known.pending = vec![102]);
    assert_eq!(careful(changes()).advance(&lagging), Verdict::Order(Action::Transfer(peer(103, 3))));
    let moved = with(four.clone(), |known| known.leader = peer(103, 3));
    assert_eq!(ordered_change(&careful(changes()).advance(&moved)), Some(1));
    let direct = Change::careful(changes(), 3).directly();
    assert_eq!(ordered_change(&Operator::own([Step::Change(direct)]).advance(&four)), Some(1));
}

#[test]
fn steps_follow_each_other() {
    let mut operator = Operator::own([
        Step::Change(Change::careful(vec![learn(104, 4)], 3)),
        Step::Change(Change::careful(vec![vote(104, 4)], 3)),
        Step::Transfer { to: 4 },
    ]);
    let learner =
        with(known(8, &[1, 2, 3, 4]), |known| known.region.peers[3].role = PeerRole::Learner as i32);
    assert_eq!(operator.advance(&known(7, &[1, 2, 3])), change(vec![learn(104, 4)]));
    assert_eq!(operator.advance(&learner), change(vec![vote(104, 4)]));
    assert_eq!(operator.advance(&known(9, &[1, 2, 3, 4])), Verdict::Order(Action::Transfer(peer(104, 4))));
    assert_eq!(operator.advance(&known(9, &[4, 1, 2, 3])), Verdict::Done);
}

#[test]
fn a_split_is_done_when_no_key_is_left_to_split_at() {
    let split = |key: &'static str| Operator::own([Step::Split { key: key.into(), version: 3 }]);
    let left = with(known(7, &[1]), |known| {
        known.region.end_key = "m".into();
        known.epoch.version = 4;
    });
    assert_eq!(split("m").advance(&known(7, &[1])), Verdict::Order(Action::Split("m".into())));
    assert_eq!(split("m").advance(&left), Verdict::Done);
    assert_eq!(
        split("c").advance(&left),
        Verdict::Order(Action::Split("c".into())),
        "split elsewhere meanwhile"
    );
    assert_eq!(split("a").advance(&known(7, &[1])), Verdict::Done, "it begins there");
    assert_eq!(split("").advance(&known(7, &[1])), Verdict::Order(Action::Split("".into())));
    assert_eq!(split("").advance(&left), Verdict::Done);
}

#[test]
fn a_joint_configuration_can_be_left_by_order() {
    let joint =
        with(known(8, &[1, 2, 3]), |known| known.region.peers[1].role = PeerRole::LeavingVoter as i32);
    let mut leave = Operator::own([Step::Leave]);
    assert_eq!(leave.advance(&joint), change(Vec::new()));
    assert_eq!(leave.advance(&known(9, &[1, 3])), Verdict::Done);
}

#[test]
fn a_new_replica_has_one_id_in_all_steps() {
    let mut ids = Ids::open(None);
    let mut operator = Operator::own([
        Step::Change(Change::careful(vec![learn(0, 4), learn(0, 5)], 3)),
        Step::Change(Change::careful(vec![vote(0, 5), vote(0, 4)], 3)),
    ]);
    assert!(!operator.allocate(&mut ids), "no block is durable yet");
    assert!(ids.due().is_some());
    ids.on_durable();
    assert!(operator.allocate(&mut ids));
    let first = vec![learn(1000, 4), learn(1001, 5)];
    assert_eq!(operator.advance(&known(7, &[1, 2, 3])), change(first));
    let learners = with(known(8, &[1, 2, 3]), |known| {
        for (id, store) in [(1000, 4), (1001, 5)] {
            known.region.peers.push(Peer { role: PeerRole::Learner as i32, ..peer(id, store) });
        }
    });
    let second = vec![vote(1001, 5), vote(1000, 4)];
    assert_eq!(operator.advance(&learners), change(second));
}
