//! How replicas come and go.

use crate::common::convergence::data;
use crate::common::regions::{add, remove};
use crate::common::{Cluster, REGION, config, envelope, put, put_cf};
use raft::Role;
use raftstore::keys::{self, Key};
use raftstore::proto::eraftpb::{ConfChangeTransition, HardState, MessageType};
use raftstore::proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use raftstore::proto::raft_cmdpb::{AdminRequest, ChangePeerRequest, RaftCmdRequest, admin_request};
use raftstore::proto::raft_serverpb::{PeerState, RaftLocalState, RaftMessage, RegionLocalState};
use raftstore::validate::RequestError;
use raftstore::{Config, Db, Read};

fn settings() -> Config {
    Config { snapshot_chunk_size: 100, snapshot_timeout_ticks: 20, leader_missing_ticks: 30, ..config(0) }
}

/// Three members and a spare store, with some data.
fn four() -> Cluster {
    let mut cluster = Cluster::led_with_spares(3, 1, settings());
    cluster.execute(1, vec![put("a", "1"), put("z", "1"), put_cf("lock", "b", "1")]);
    cluster.run(2_000);
    cluster
}

fn state(cluster: &Cluster, id: u64, region: u64) -> Option<RegionLocalState> {
    let state = cluster.nodes[&id].env.get(Db::Kv, &keys::region_state(region)).unwrap()?;
    Some(prost::Message::decode(state).unwrap())
}

/// The raft state of a region's replica, past or present.
fn raft_state(cluster: &Cluster, id: u64, region: u64) -> RaftLocalState {
    let state = cluster.nodes[&id].env.get(Db::Raft, &keys::raft_state(region)).unwrap();
    state.map(|state| prost::Message::decode(state).unwrap()).unwrap_or_default()
}

/// What a store has of a region, beside its tombstone and what was promised.
fn remains(cluster: &Cluster, id: u64, region: u64) -> Vec<Key> {
    let env = &cluster.nodes[&id].env;
    let of_region = |key: &Key| match *key {
        Key::RaftState { region: of } => of == region && raft_state(cluster, id, region).last_index > 0,
        Key::RaftLog { region: of, .. }
        | Key::ApplyState { region: of }
        | Key::SnapshotRecord { region: of }
        | Key::Birth { region: of } => of == region,
        _ => false,
    };
    let all = env.raft.visible.keys().chain(env.kv.visible.keys());
    all.filter_map(|key| keys::decode(key)).filter(of_region).collect()
}

fn roles(region: &Region) -> Vec<(u64, PeerRole)> {
    region.peers.iter().map(|peer| (peer.store_id, peer.role())).collect()
}

fn conf_ver(cluster: &Cluster) -> u64 {
    cluster.region_at_leader(REGION).region_epoch.unwrap().conf_ver
}

/// The last message of a kind from one store to another, as it was sent while `act` went on.
fn overheard(
    cluster: &mut Cluster,
    from: u64,
    to: u64,
    kind: MessageType,
    act: impl FnOnce(&mut Cluster),
) -> RaftMessage {
    act(cluster);
    let sent = cluster.nodes[&from].env.sent.iter().filter(|message| {
        message.to_peer.unwrap().store_id == to
            && message.message.as_ref().is_some_and(|inner| inner.msg_type() == kind)
    });
    sent.last().expect("such a message").clone()
}

/// A heartbeat of the first region's leader, on store 1, to another store.
fn heartbeat(cluster: &mut Cluster, to: u64) -> RaftMessage {
    overheard(cluster, 1, to, MessageType::MsgHeartbeat, |cluster| {
        cluster.now += 300 * crate::common::MS;
        cluster.with(1, |store, env, now| store.on_timer(env, now));
    })
}

#[test]
fn a_replica_that_is_added_gets_the_data_and_one_that_is_removed_loses_it() {
    let mut cluster = four();
    let id = cluster.add_peer(REGION, 4);
    cluster.converge(20);
    assert_eq!((cluster.peer(4, REGION).unwrap().peer_id(), conf_ver(&cluster)), (id, 2));
    assert_eq!(cluster.value(4, "a").as_deref(), Some("1"));
    cluster.remove_peer(REGION, 4);
    cluster.converge(20);
    assert!(cluster.peer(4, REGION).is_none());
    assert_eq!((remains(&cluster, 4, REGION), cluster.value(4, "a")), (vec![], None));
    let tombstone = state(&cluster, 4, REGION).unwrap();
    assert_eq!((tombstone.state(), tombstone.peer_id, conf_ver(&cluster)), (PeerState::Tombstone, id, 3));
    assert!(tombstone.removed_at.is_some());
}

#[test]
fn neighbours_keep_their_data() {
    let mut cluster = four();
    let right = cluster.split("m");
    cluster.remove_peer(right, 3);
    cluster.converge(20);
    assert_eq!((cluster.value(3, "a").as_deref(), cluster.value(3, "z")), (Some("1"), None));
    cluster.remove_peer(REGION, 2);
    cluster.converge(20);
    assert_eq!((cluster.value(2, "a"), cluster.value(2, "z").as_deref()), (None, Some("1")));
}

#[test]
fn a_learner_has_the_data_and_no_vote_until_it_is_promoted() {
    let mut cluster = four();
    let id = cluster.allocate();
    cluster.change(REGION, vec![add(Peer { id, store_id: 4, role: PeerRole::Learner as i32 })]);
    cluster.converge(20);
    assert_eq!(cluster.member(REGION, 4).role(), PeerRole::Learner);
    assert_eq!(cluster.value(4, "a").as_deref(), Some("1"));
    assert_eq!(cluster.peer(4, REGION).unwrap().raft().voters(), [10, 20, 30]);
    cluster.change(REGION, vec![add(Peer { id, store_id: 4, role: 0 })]);
    cluster.converge(20);
    assert_eq!(cluster.member(REGION, 4).role(), PeerRole::Voter);
    assert_eq!(cluster.peer(4, REGION).unwrap().raft().voters().len(), 4);
}

#[test]
fn several_changes_at_once_go_through_a_joint_membership() {
    let mut cluster = four();
    let id = cluster.allocate();
    let [old, demoted] = [3, 2].map(|store| cluster.member(REGION, store));
    let changes = vec![
        remove(old),
        add(Peer { id, store_id: 4, role: 0 }),
        add(Peer { role: PeerRole::Learner as i32, ..demoted }),
    ];
    cluster.ask_change(1, REGION, changes, ConfChangeTransition::Explicit).unwrap();
    cluster.run(2_000);
    let joint = cluster.region_at_leader(REGION);
    let [voter, demoting, leaving, incoming] =
        [PeerRole::Voter, PeerRole::DemotingVoter, PeerRole::LeavingVoter, PeerRole::IncomingVoter];
    assert_eq!(roles(&joint), [(1, voter), (2, demoting), (3, leaving), (4, incoming)]);
    assert_eq!(conf_ver(&cluster), 4);
    // It counts twice after a restart, too, and cannot be split.
    for id in 1..=4 {
        cluster.crash(id, usize::MAX, usize::MAX);
        cluster.boot(id);
    }
    cluster.campaign(1);
    cluster.run(1_000);
    assert_eq!(cluster.region_at_leader(REGION), joint);
    assert!(matches!(cluster.ask_split(1, REGION, "m"), Err(RequestError::BadSplit { .. })));
    cluster.ask_change(1, REGION, vec![], ConfChangeTransition::Auto).unwrap();
    cluster.converge(20);
    assert_eq!(roles(&cluster.region_at_leader(REGION)), [(1, voter), (2, PeerRole::Learner), (4, voter)]);
    assert_eq!(conf_ver(&cluster), 5);
}

#[test]
fn a_joint_membership_is_left_by_itself_if_so_wished() {
    let mut cluster = four();
    let id = cluster.allocate();
    let old = cluster.member(REGION, 3);
    cluster.change(REGION, vec![remove(old), add(Peer { id, store_id: 4, role: 0 })]);
    cluster.converge(20);
    assert_eq!(roles(&cluster.region_at_leader(REGION)), [1, 2, 4].map(|store| (store, PeerRole::Voter)));
    assert_eq!(conf_ver(&cluster), 4);
}

#[test]
fn changes_without_sense_are_refused() {
    let mut cluster = four();
    let id = cluster.allocate();
    let stranger = Peer { id, store_id: 4, role: 0 };
    let moved = Peer { store_id: 4, ..cluster.member(REGION, 2) };
    let second = Peer { id, store_id: 2, role: 0 };
    let twins = [stranger, Peer { id: id + 1, ..stranger }];
    let cases = [
        (vec![remove(stranger)], "the peer is no member"),
        (vec![add(moved)], "the peer is on another store"),
        (vec![add(second)], "the store has another replica of the region"),
        (twins.map(add).to_vec(), "the store has another replica of the region"),
        (vec![ChangePeerRequest::default()], "a change without a peer"),
    ];
    for (changes, why) in cases {
        let refused = cluster.ask_change(1, REGION, changes, ConfChangeTransition::Auto);
        assert_eq!(refused, Err(RequestError::BadChange { region_id: REGION, why }));
    }
    let follower = cluster.ask_change(2, REGION, vec![add(stranger)], ConfChangeTransition::Auto);
    assert!(matches!(follower, Err(RequestError::NotLeader { leader: Some(_), .. })), "{follower:?}");
    assert_eq!(conf_ver(&cluster), 1);
}

#[test]
fn a_change_that_comes_twice_is_made_once() {
    let mut cluster = four();
    let peer = cluster.member(REGION, 3);
    let header = cluster.header_of(1, REGION);
    let request = RaftCmdRequest {
        header,
        requests: vec![],
        admin_request: Some(AdminRequest { command: Some(admin_request::Command::ChangePeer(remove(peer))) }),
    };
    let first = cluster.raw_request(1, request.clone());
    // While the first one is under way, and when it is done.
    let second = cluster.raw_request(1, request.clone());
    cluster.settle();
    let third = cluster.raw_request(1, request);
    cluster.settle();
    assert_eq!(cluster.reply(first).unwrap().header.as_ref().unwrap().error, None);
    use raftstore::proto::errorpb::error::Reason;
    assert!(matches!(cluster.refusal(second), Reason::StaleCommand(_)));
    assert!(matches!(cluster.refusal(third), Reason::EpochNotMatch(_)));
    assert_eq!(conf_ver(&cluster), 2);
}

#[test]
fn a_replica_is_made_by_a_first_message_and_knows_nothing() {
    let mut cluster = four();
    cluster.isolated.insert(4);
    cluster.add_peer(REGION, 4);
    let message = heartbeat(&mut cluster, 4);
    let mut others = vec![message.clone(); 2];
    // Only a heartbeat for one that has nothing, or a candidate, makes one.
    others[0].message.as_mut().unwrap().commit = 6;
    others[1].message.as_mut().unwrap().set_msg_type(MessageType::MsgAppend);
    for other in others {
        cluster.with(4, |store, env, now| store.on_message(env, now, envelope(other)));
        assert!(cluster.peer(4, REGION).is_none());
    }
    cluster.with(4, |store, env, now| store.on_message(env, now, envelope(message)));
    let peer = cluster.peer(4, REGION).unwrap();
    assert!(!peer.is_initialized() && peer.raft().last().index == 0);
    assert_eq!(cluster.nodes[&4].store().region_of_key(b"a"), None);
    assert_eq!(state(&cluster, 4, REGION), None);
}

#[test]
fn old_messages_do_not_bring_a_removed_replica_back() {
    let mut cluster = four();
    cluster.add_peer(REGION, 4);
    cluster.converge(20);
    let mut old = heartbeat(&mut cluster, 4);
    old.message.as_mut().unwrap().commit = 0;
    cluster.remove_peer(REGION, 4);
    for _ in 0..2 {
        cluster.with(4, |store, env, now| store.on_message(env, now, envelope(old.clone())));
        assert!(cluster.peer(4, REGION).is_none());
        // Nor after a restart.
        cluster.crash_keeping(4, [0, 0, 0]);
        cluster.boot(4);
    }
    // But a newer one may live here.
    let id = cluster.add_peer(REGION, 4);
    cluster.converge(20);
    assert_eq!(cluster.peer(4, REGION).unwrap().peer_id(), id);
    // To which old messages mean nothing.
    let term = cluster.peer(4, REGION).unwrap().raft().term();
    old.message.as_mut().unwrap().term = term + 5;
    cluster.with(4, |store, env, now| store.on_message(env, now, envelope(old)));
    assert_eq!(cluster.peer(4, REGION).unwrap().raft().term(), term);
}

#[test]
fn who_was_removed_and_did_not_hear_of_it_is_told() {
    for learner in [false, true] {
        let mut cluster = four();
        let id = cluster.allocate();
        cluster.change(REGION, vec![add(Peer { id, store_id: 4, role: i32::from(learner) })]);
        cluster.converge(20);
        cluster.isolated.insert(4);
        cluster.remove_peer(REGION, 4);
        cluster.run(3_000);
        assert!(cluster.peer(4, REGION).is_some());
        cluster.isolated.clear();
        // A voter is told when it campaigns, a learner when it asks.
        cluster.converge(20);
        let tombstone = state(&cluster, 4, REGION).unwrap();
        assert_eq!((tombstone.state(), tombstone.removed_at), (PeerState::Tombstone, None));
        assert_eq!(remains(&cluster, 4, REGION), []);
    }
}

#[test]
fn a_leader_that_was_left_alone_is_told_by_the_dead() {
    // Without a quorum it leads on in its old term, and all that it leads are gone.
    let mut cluster = four();
    cluster.isolated.insert(1);
    cluster.campaign(2);
    cluster.settle();
    let [first, third] = [1, 3].map(|store| cluster.member(REGION, store));
    cluster.add_peer(REGION, 4);
    cluster.run(3_000);
    cluster.change(REGION, vec![remove(first)]);
    cluster.change(REGION, vec![remove(third)]);
    cluster.with(2, |store, env, now| store.transfer_leader(env, now, REGION, 4).unwrap());
    cluster.settle();
    cluster.remove_peer(REGION, 2);
    cluster.run(3_000);
    assert_eq!(cluster.leaders(), [1, 4]);
    cluster.isolated.clear();
    cluster.converge(10);
    assert_eq!(cluster.leaders(), [4]);
}

#[test]
fn a_newer_replica_takes_the_place_of_one_that_did_not_hear_of_its_removal() {
    let mut cluster = four();
    cluster.isolated.insert(3);
    cluster.remove_peer(REGION, 3);
    let id = cluster.add_peer(REGION, 3);
    cluster.run(2_000);
    assert_eq!(cluster.peer(3, REGION).unwrap().peer_id(), 30);
    cluster.isolated.clear();
    cluster.converge(30);
    assert_eq!(cluster.peer(3, REGION).unwrap().peer_id(), id);
}

#[test]
fn nobody_is_told_of_a_removal_that_may_be_forgotten() {
    // Of two, the leader removes the other one, and its kv database is slow.
    let mut cluster = Cluster::led_with_spares(2, 0, Config { leader_missing_ticks: 3, ..settings() });
    cluster.run(2_000);
    cluster.stalled_dbs.insert((1, Db::Kv));
    let peer = cluster.member(REGION, 2);
    cluster.ask_change(1, REGION, vec![remove(peer)], ConfChangeTransition::Auto).unwrap();
    cluster.deliver_from(1);
    cluster.finish_sync(2, Db::Raft);
    cluster.deliver_from(2);
    cluster.finish_sync(1, Db::Raft);
    assert_eq!(cluster.region_at_leader(REGION).peers.len(), 1);
    // The other one does not hear that this is committed, and asks. It gets no answer.
    cluster.nodes.get_mut(&1).unwrap().env.sent.clear();
    cluster.run(700);
    assert!(cluster.peer(2, REGION).is_some());
    // The leader forgets it all. It cannot be elected without the other one.
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    cluster.stalled_dbs.clear();
    cluster.converge(30);
}

#[test]
fn a_newer_replica_does_not_come_before_the_removal_of_the_older_one_is_certain() {
    // Of two, the leader removes the other one and adds one anew in its place, and its kv database is slow.
    let mut cluster = Cluster::led_with_spares(2, 0, settings());
    cluster.run(2_000);
    cluster.stalled_dbs.insert((1, Db::Kv));
    let peer = cluster.member(REGION, 2);
    cluster.ask_change(1, REGION, vec![remove(peer)], ConfChangeTransition::Auto).unwrap();
    cluster.deliver_from(1);
    cluster.finish_sync(2, Db::Raft);
    cluster.deliver_from(2);
    cluster.finish_sync(1, Db::Raft);
    cluster.nodes.get_mut(&1).unwrap().env.sent.clear();
    cluster.add_peer(REGION, 2);
    cluster.run(500);
    assert_eq!(cluster.peer(2, REGION).unwrap().peer_id(), peer.id);
    // The leader forgets both, and needs the vote of the one that it had removed.
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    cluster.stalled_dbs.clear();
    cluster.converge(30);
}

#[test]
fn a_tombstone_counts_if_it_is_of_a_newer_epoch() {
    let mut cluster = four();
    let region = cluster.region_at_leader(REGION);
    let tombstone = |conf_ver| RaftMessage {
        region_id: REGION,
        from_peer: Some(region.peers[0]),
        to_peer: Some(region.peers[2]),
        region_epoch: Some(RegionEpoch { conf_ver, version: 1 }),
        is_tombstone: true,
        ..RaftMessage::default()
    };
    for (conf_ver, goes) in [(0, false), (1, false), (2, true)] {
        cluster.with(3, |store, env, now| store.on_message(env, now, envelope(tombstone(conf_ver))));
        assert_eq!(cluster.peer(3, REGION).is_none(), goes, "{conf_ver}");
    }
}

#[test]
fn a_member_that_forgot_that_it_added_a_replica_does_not_bury_it() {
    let mut cluster = Cluster::led_with_spares(1, 1, Config { leader_missing_ticks: 3, ..settings() });
    cluster.run(2_000);
    cluster.stalled_dbs.insert((1, Db::Kv));
    cluster.lost = |_, to, message| {
        use raftstore::proto::raft_serverpb::store_message::Payload;
        to == 2 && matches!(message.payload, Some(Payload::Chunk(_)))
    };
    let id = cluster.add_peer(REGION, 2);
    cluster.run(300);
    assert!(cluster.peer(2, REGION).is_some_and(|peer| !peer.is_initialized()));
    cluster.crash(1, 0, 0);
    cluster.boot(1);
    assert_eq!(cluster.peer(1, REGION).unwrap().region().peers.len(), 1);
    // The new one asks whether it is wanted before the old one leads and hears it again.
    cluster.run(600);
    cluster.stalled_dbs.clear();
    cluster.lost = |_, _, _| false;
    cluster.converge(30);
    assert_eq!(cluster.peer(2, REGION).unwrap().peer_id(), id);
}

/// Of two, the leader removes itself; the other one has the entry, and does not hear that it is committed.
fn leader_that_left() -> Cluster {
    let mut cluster = Cluster::led_with_spares(2, 0, settings());
    cluster.run(2_000);
    let peer = cluster.member(REGION, 1);
    cluster.ask_change(1, REGION, vec![remove(peer)], ConfChangeTransition::Auto).unwrap();
    cluster.deliver_from(1);
    cluster.finish_sync(2, Db::Raft);
    cluster.deliver_from(2);
    cluster.finish_sync(1, Db::Raft);
    assert!(cluster.peer(1, REGION).is_none(), "it applied its removal");
    cluster.nodes.get_mut(&1).unwrap().env.sent.clear();
    assert_eq!(cluster.peer(2, REGION).unwrap().region().peers.len(), 2);
    cluster
}

#[test]
fn the_tombstone_of_a_leader_that_left_tells_that_it_may_go() {
    let mut cluster = leader_that_left();
    cluster.converge(30);
    assert_eq!(cluster.leaders(), [2]);
    assert_eq!(roles(&cluster.region_at_leader(REGION)), [(2, PeerRole::Voter)]);
}

#[test]
fn a_removal_is_carried_on_with_wherever_a_crash_cuts_it() {
    let at_once = leader_that_left();
    let mut all = at_once.clone();
    let mut crashes = 0;
    for step in 0..8 {
        let env = &all.nodes[&1].env;
        for raft in 0..=env.raft.unsynced() {
            for kv in 0..=env.kv.unsynced() {
                let mut cluster = all.clone();
                cluster.crash(1, raft, kv);
                cluster.boot(1);
                cluster.converge(40);
                assert_eq!(
                    roles(&cluster.region_at_leader(REGION)),
                    [(2, PeerRole::Voter)],
                    "{step}: {raft}, {kv}"
                );
                assert_eq!((remains(&cluster, 1, REGION), cluster.value(1, "a")), (vec![], None));
                crashes += 1;
            }
        }
        let _ = all.finish_sync(1, Db::Kv) || all.finish_sync(1, Db::Raft) || all.finish_task(1);
    }
    assert!(crashes > 10, "{crashes}");
}

#[test]
fn a_log_goes_after_the_tombstone_is_durable_and_promises_stay() {
    let mut cluster = four();
    cluster.stalled_dbs.insert((3, Db::Kv));
    cluster.remove_peer(REGION, 3);
    cluster.run(1_000);
    assert_eq!(state(&cluster, 3, REGION).unwrap().state(), PeerState::Tombstone);
    assert!(remains(&cluster, 3, REGION).contains(&Key::RaftState { region: REGION }));
    let promised = raft_state(&cluster, 3, REGION).hard_state.unwrap();
    assert_eq!(cluster.value(3, "a").as_deref(), Some("1"));
    cluster.stalled_dbs.clear();
    cluster.settle();
    assert_eq!((remains(&cluster, 3, REGION), cluster.value(3, "a")), (vec![], None));
    let hard_state = Some(HardState { commit: 0, ..promised });
    assert_eq!(raft_state(&cluster, 3, REGION), RaftLocalState { hard_state, last_index: 0, last_term: 0 });
}

#[test]
fn keys_that_were_given_up_are_taken_when_that_is_durable() {
    // Store 4 has the whole, while the others have split it and left it the right half alone.
    let mut cluster = four();
    cluster.add_peer(REGION, 4);
    cluster.converge(20);
    cluster.isolated.insert(4);
    let right = cluster.split("m");
    cluster.remove_peer(REGION, 4);
    cluster.run(2_000);
    // It is told so, and its kv database is slow.
    cluster.stalled_dbs.insert((4, Db::Kv));
    cluster.isolated.clear();
    cluster.run(8_000);
    assert!(cluster.peer(4, REGION).is_none());
    let mut crashed = cluster.clone();
    crashed.finish_sync(4, Db::Raft);
    crashed.crash(4, 0, 0);
    crashed.boot(4);
    assert!(crashed.peer(4, REGION).is_some(), "it has forgotten that");
    for cluster in [&mut cluster, &mut crashed] {
        cluster.stalled_dbs.clear();
        cluster.converge(40);
        assert_eq!(cluster.peer(4, right).unwrap().snapshots(), 1);
    }
}

#[test]
fn a_replica_without_data_takes_none_with_it() {
    let mut cluster = four();
    let right = cluster.split("m");
    cluster.remove_peer(right, 3);
    cluster.converge(20);
    // It is made by a message, and removed before it has anything. What it does not know it does not clear.
    cluster.lost = |_, to, message| {
        use raftstore::proto::raft_serverpb::store_message::Payload;
        to == 3 && matches!(message.payload, Some(Payload::Chunk(_)))
    };
    cluster.add_peer(right, 3);
    cluster.run(1_000);
    assert!(cluster.peer(3, right).is_some_and(|peer| !peer.is_initialized()));
    let before = data(&cluster.nodes[&3].env, &Region::default());
    assert!(!before.is_empty());
    cluster.remove_peer(right, 3);
    cluster.converge(30);
    assert_eq!(data(&cluster.nodes[&3].env, &Region::default()), before);
}

#[test]
fn a_leader_may_remove_itself() {
    let mut cluster = four();
    let request = cluster.request(1, vec![put("k", "v")]);
    cluster.remove_peer(REGION, 1);
    cluster.converge(30);
    assert_eq!(cluster.results(request).len(), 1);
    assert!(cluster.peer(1, REGION).is_none());
    assert!(cluster.peers().any(|(_, peer)| peer.raft().role() == Role::Leader));
}

#[test]
fn who_waits_for_a_replica_that_goes_is_told_that_nobody_knows() {
    let mut cluster = four();
    cluster.isolated.insert(1);
    let request = cluster.request(1, vec![put("k", "v")]);
    cluster.campaign(2);
    cluster.settle();
    let peer = cluster.region_at_leader(REGION).peers[0];
    cluster.ask_change(2, REGION, vec![remove(peer)], ConfChangeTransition::Auto).unwrap();
    cluster.run(2_000);
    assert_eq!(cluster.reply(request), None);
    cluster.isolated.clear();
    cluster.converge(30);
    let error = cluster.reply(request).unwrap().header.clone().unwrap().error.unwrap();
    // No reason: the client has to reckon with both.
    assert_eq!(error.reason, None, "{error:?}");
}
