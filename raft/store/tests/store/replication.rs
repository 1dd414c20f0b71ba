//! Three stores, and what each may say when.

use crate::common::{Cluster, REGION, append, envelope, first_region, get, put};
use raft::Role;
use raftstore::proto::eraftpb::{Entry, Message, MessageType};
use raftstore::proto::errorpb::{StaleCommand, error::Reason};
use raftstore::proto::metapb::Peer;
use raftstore::proto::raft_cmdpb::{GetResponse, response::Result as Answer};
use raftstore::proto::raft_serverpb::RaftMessage;
use raftstore::validate::RequestError;
use raftstore::{Db, EngineError, StoreError, keys};

fn value(value: &'static str) -> Answer {
    Answer::Get(GetResponse { value: Some(value.into()) })
}

/// The kinds of the messages that a store has sent and nobody took away.
fn sent(cluster: &Cluster, id: u64) -> Vec<MessageType> {
    cluster.nodes[&id].env.sent.iter().map(|message| message.message.as_ref().unwrap().msg_type()).collect()
}

#[test]
fn what_is_acknowledged_is_everywhere() {
    let mut cluster = Cluster::led(3);
    cluster.execute(1, vec![put("a", "1"), append("b", "2")]);
    cluster.execute(1, vec![append("b", "3")]);
    assert_eq!(cluster.execute(1, vec![get("a"), get("b")]), [value("1"), value("23")]);
    cluster.run(1_000);
    for id in 1..=3 {
        assert_eq!(cluster.value(id, "a").as_deref(), Some("1"));
        assert_eq!(cluster.value(id, "b").as_deref(), Some("23"));
    }
    let applied = |id| cluster.nodes[&id].peer().storage().applied_index();
    assert_eq!((applied(1), applied(2), applied(3)), (9, 9, 9));
}

#[test]
fn a_vote_leaves_after_it_is_durable() {
    let mut cluster = Cluster::new(3);
    cluster.campaign(1);
    // A candidate's own vote is a promise too.
    assert_eq!(sent(&cluster, 1), []);
    cluster.finish_sync(1, Db::Raft);
    assert_eq!(sent(&cluster, 1), [MessageType::MsgRequestVote; 2]);
    cluster.deliver_from(1);
    for id in [2, 3] {
        assert_eq!(cluster.nodes[&id].peer().raft().vote(), Some(10));
        assert_eq!(sent(&cluster, id), []);
    }
    cluster.finish_sync(2, Db::Raft);
    assert_eq!(sent(&cluster, 2), [MessageType::MsgRequestVoteResponse]);
    let state = &cluster.nodes[&2].env.raft.durable[&keys::raft_state(REGION)[..]];
    assert_eq!(*state, cluster.nodes[&2].env.raft.visible[&keys::raft_state(REGION)[..]]);
}

#[test]
fn entries_are_sent_at_once_and_accepted_when_durable() {
    let mut cluster = Cluster::led(3);
    let request = cluster.request(1, vec![put("k", "v")]);
    // The leader's disk and the followers' work side by side.
    assert_eq!(sent(&cluster, 1), [MessageType::MsgAppend; 2]);
    cluster.deliver_from(1);
    assert_eq!((sent(&cluster, 2), sent(&cluster, 3)), (vec![], vec![]));
    cluster.finish_sync(2, Db::Raft);
    assert_eq!(sent(&cluster, 2), [MessageType::MsgAppendResponse]);
    // One acknowledgement, and the leader's own entry not durable: no quorum.
    cluster.deliver_from(2);
    assert_eq!(cluster.reply(request), None);
    assert_eq!(cluster.nodes[&1].peer().raft().commit(), 6);
    cluster.finish_sync(1, Db::Raft);
    assert!(cluster.reply(request).is_some());
    assert_eq!(cluster.value(1, "k").as_deref(), Some("v"));
}

#[test]
fn two_followers_commit_without_the_leaders_disk() {
    let mut cluster = Cluster::led(3);
    cluster.stalled.insert(1);
    let request = cluster.request(1, vec![put("k", "v")]);
    cluster.settle();
    // Committed by the others' disks, but the leader applies what is durable at home.
    assert_eq!(cluster.nodes[&1].peer().raft().commit(), 7);
    assert_eq!(cluster.reply(request), None);
    cluster.stalled.clear();
    cluster.settle();
    assert!(cluster.reply(request).is_some());
}

#[test]
fn promises_leave_in_order_once_each_is_durable() {
    let mut cluster = Cluster::led(3);
    cluster.stalled.extend([2]);
    for suffix in ["1", "2", "3"] {
        cluster.request(1, vec![append("k", suffix)]);
        cluster.deliver_from(1);
    }
    // Three writes wait; the disk tells of the first, then of all.
    assert_eq!(sent(&cluster, 2), []);
    let written = cluster.nodes[&2].env.raft.written;
    let indexes = |cluster: &Cluster| -> Vec<u64> {
        cluster.nodes[&2].env.sent.iter().map(|message| message.message.as_ref().unwrap().index).collect()
    };
    let durable = |cluster: &mut Cluster, up_to| {
        cluster.with(2, |store, env, now| {
            env.raft.make_durable(up_to);
            store.on_synced(env, now, Db::Raft, up_to);
        });
    };
    durable(&mut cluster, written - 2);
    assert_eq!(indexes(&cluster), [7]);
    durable(&mut cluster, written - 2);
    assert_eq!(indexes(&cluster), [7]);
    durable(&mut cluster, written);
    assert_eq!(indexes(&cluster), [7, 8, 9]);
}

#[test]
fn an_answer_without_a_write_waits_for_the_writes_before_it() {
    let mut cluster = Cluster::led(3);
    cluster.stalled.insert(2);
    cluster.request(1, vec![put("k", "v")]);
    // The same append once more changes nothing on disk, but its answer speaks for what is not durable yet.
    let again = cluster.nodes[&1].env.sent.clone();
    cluster.deliver_from(1);
    cluster.nodes.get_mut(&1).unwrap().env.sent = again;
    cluster.deliver_from(1);
    assert_eq!(sent(&cluster, 2), []);
    cluster.finish_sync(2, Db::Raft);
    assert_eq!(sent(&cluster, 2), [MessageType::MsgAppendResponse; 2]);
}

#[test]
fn an_answer_that_promises_nothing_waits_for_no_write() {
    let mut cluster = Cluster::led(3);
    cluster.stalled.insert(2);
    cluster.request(1, vec![put("k", "v")]);
    cluster.deliver_from(1);
    cluster.now += 200 * crate::common::MS;
    cluster.with(1, |store, env, now| store.on_timer(env, now));
    assert!(sent(&cluster, 1).contains(&MessageType::MsgHeartbeat));
    cluster.deliver_from(1);
    assert_eq!(sent(&cluster, 2), [MessageType::MsgHeartbeatResponse]);
}

#[test]
fn leadership_is_handed_over() {
    let mut cluster = Cluster::led(3);
    // A follower passes the wish on.
    cluster.with(3, |store, env, now| store.transfer_leader(env, now, REGION, 2).unwrap());
    cluster.settle();
    assert_eq!(cluster.leaders(), [2]);
    cluster.with(2, |store, env, now| {
        let nowhere = store.transfer_leader(env, now, REGION, 9);
        assert_eq!(nowhere, Err(RequestError::NoPeer { region_id: REGION, store_id: 9 }));
        let no_region = store.transfer_leader(env, now, REGION + 1, 3);
        assert_eq!(no_region, Err(RequestError::RegionNotFound { region_id: REGION + 1 }));
    });
    cluster.settle();
    assert_eq!(cluster.leaders(), [2]);
}

#[test]
fn a_proposal_that_lost_its_place_is_stale() {
    let mut cluster = Cluster::led(3);
    cluster.isolated.insert(1);
    let lost = cluster.request(1, vec![append("k", "lost")]);
    let lost_too = cluster.request(1, vec![append("k", "lost too")]);
    cluster.campaign(2);
    cluster.settle();
    assert_eq!(cluster.leaders(), [1, 2]);
    cluster.execute(2, vec![append("k", "kept")]);
    assert_eq!(cluster.reply(lost), None);
    cluster.isolated.clear();
    cluster.run(3_000);
    assert_eq!(cluster.leaders(), [2]);
    assert_eq!(cluster.refusal(lost), Reason::StaleCommand(StaleCommand {}));
    assert_eq!(cluster.refusal(lost_too), Reason::StaleCommand(StaleCommand {}));
    assert_eq!(cluster.value(1, "k").as_deref(), Some("kept"));
}

#[test]
fn a_proposal_may_commit_after_its_leader_fell() {
    let mut cluster = Cluster::led(3);
    let request = cluster.request(1, vec![append("k", "v")]);
    cluster.deliver_from(1);
    cluster.isolated.insert(1);
    cluster.settle();
    cluster.campaign(2);
    cluster.settle();
    assert_eq!(cluster.value(2, "k").as_deref(), Some("v"));
    assert_eq!(cluster.reply(request), None);
    cluster.isolated.clear();
    cluster.run(3_000);
    assert_eq!(cluster.nodes[&1].peer().raft().role(), Role::Follower);
    assert_eq!(cluster.results(request).len(), 1);
    assert_eq!(cluster.value(1, "k").as_deref(), Some("v"));
}

#[test]
fn messages_for_others_are_dropped() {
    let mut cluster = Cluster::new(3);
    cluster.campaign(1);
    cluster.finish_sync(1, Db::Raft);
    let good = cluster.nodes[&1].env.sent[0].clone();
    assert_eq!(good.to_peer, Some(Peer { id: 20, store_id: 2, role: 0 }));
    let mut cases = vec![good.clone(); 8];
    cases[0].to_peer = Some(Peer { id: 20, store_id: 3, role: 0 });
    cases[1].to_peer = Some(Peer { id: 19, store_id: 2, role: 0 });
    cases[2].region_id = 2;
    cases[3].to_peer = None;
    cases[4].message = None;
    cases[5].message.as_mut().unwrap().to = 21;
    cases[6].from_peer = None;
    cases[7].from_peer = Some(Peer { id: 30, store_id: 3, role: 0 });
    for bad in cases {
        cluster.with(2, |store, env, now| store.on_message(env, now, envelope(bad.clone())));
        assert_eq!(cluster.nodes[&2].peer().raft().term(), 5, "{bad:?}");
    }
    cluster.with(2, |store, env, now| store.on_message(env, now, envelope(good)));
    assert_eq!(cluster.nodes[&2].peer().raft().term(), 6);
}

#[test]
fn nobody_else_makes_a_replica_campaign_beat_or_propose() {
    let mut cluster = Cluster::led(3);
    let (leader, other) = (Peer { id: 10, store_id: 1, role: 0 }, Peer { id: 20, store_id: 2, role: 0 });
    let mut send = |kind: MessageType, from: Peer, to: Peer| {
        let entries = vec![Entry { data: "x".into(), ..Entry::default() }];
        let message =
            Message { msg_type: kind as i32, from: from.id, to: to.id, entries, ..Message::default() };
        let (from_peer, to_peer) = (Some(from), Some(to));
        let message = RaftMessage {
            region_id: REGION,
            from_peer,
            to_peer,
            message: Some(message),
            ..Default::default()
        };
        cluster.with(to.store_id, |store, env, now| store.on_message(env, now, envelope(message)));
        assert_eq!(sent(&cluster, to.store_id), [], "{kind:?}");
        let raft = cluster.nodes[&to.store_id].peer().raft();
        assert_eq!((raft.term(), raft.last().index), (6, 6), "{kind:?}");
    };
    // Even one that claims to be the replica itself.
    for from in [leader, other] {
        send(MessageType::MsgHup, from, other);
        send(MessageType::MsgBeat, from, leader);
        send(MessageType::MsgPropose, from, leader);
    }
}

#[test]
fn messages_say_who_speaks_of_which_region() {
    let mut cluster = Cluster::led(3);
    cluster.request(1, vec![put("k", "v")]);
    let message = &cluster.nodes[&1].env.sent[1];
    assert_eq!(message.region_id, REGION);
    assert_eq!(message.from_peer, Some(Peer { id: 10, store_id: 1, role: 0 }));
    assert_eq!(message.to_peer, Some(Peer { id: 30, store_id: 3, role: 0 }));
    assert_eq!(message.region_epoch, first_region(3).region_epoch);
    assert!(!message.is_tombstone);
}

#[test]
fn who_is_unknown_is_answered_where_it_wrote_from() {
    // A candidate that the region, as this replica knows it, does not have: added while it was away.
    let mut cluster = Cluster::new(3);
    cluster.campaign(1);
    cluster.finish_sync(1, Db::Raft);
    let mut message = cluster.nodes[&1].env.sent[0].clone();
    let stranger = Peer { id: 40, store_id: 4, role: 0 };
    message.from_peer = Some(stranger);
    message.message.as_mut().unwrap().from = 40;
    cluster.with(2, |store, env, now| store.on_message(env, now, envelope(message)));
    cluster.finish_sync(2, Db::Raft);
    assert_eq!(cluster.nodes[&2].env.sent[0].to_peer, Some(stranger));
}

#[test]
fn many_strangers_do_not_pile_up() {
    let mut cluster = Cluster::new(3);
    cluster.stalled.insert(2);
    for id in 40..=45 {
        let stranger = Peer { id, store_id: id, role: 0 };
        let request = Message {
            msg_type: MessageType::MsgRequestVote as i32,
            from: id,
            to: 20,
            term: 6,
            index: 5,
            log_term: 5,
            ..Message::default()
        };
        let message = RaftMessage {
            region_id: REGION,
            from_peer: Some(stranger),
            to_peer: Some(Peer { id: 20, store_id: 2, role: 0 }),
            region_epoch: first_region(3).region_epoch,
            message: Some(request),
            ..RaftMessage::default()
        };
        cluster.with(2, |store, env, now| store.on_message(env, now, envelope(message)));
    }
    cluster.finish_sync(2, Db::Raft);
    // The first two were forgotten before their answers could leave: lost, as if on the way.
    let answered: Vec<u64> =
        cluster.nodes[&2].env.sent.iter().map(|message| message.to_peer.unwrap().id).collect();
    assert_eq!(answered, [42, 43, 44, 45]);
}

#[test]
fn a_broken_database_stops_the_store() {
    for db in [Db::Raft, Db::Kv] {
        let mut cluster = Cluster::led(3);
        cluster.nodes.get_mut(&1).unwrap().env.faults.broken = Some(db);
        let request = cluster.request(1, vec![put("k", "v")]);
        cluster.settle();
        let store = cluster.nodes[&1].store();
        assert_eq!(store.failed(), Some(&StoreError::Engine(EngineError::Full)));
        assert_eq!(store.next_deadline(), None);
        // No answer then, and none to anything else from now on.
        cluster.nodes.get_mut(&1).unwrap().env.faults.broken = None;
        let after = cluster.request(1, vec![get("k")]);
        cluster.settle();
        assert_eq!((cluster.reply(request), cluster.reply(after)), (None, None));
        // The others carry on.
        cluster.run(5_000);
        let leader = *cluster.leaders().iter().find(|id| **id != 1).expect("another leader");
        assert_eq!(cluster.execute(leader, vec![put("k", "w"), get("k")])[1], value("w"));
    }
}

#[test]
fn a_failed_write_lets_no_promise_leave() {
    let mut cluster = Cluster::led(3);
    cluster.nodes.get_mut(&2).unwrap().env.faults.broken = Some(Db::Raft);
    cluster.request(1, vec![put("k", "v")]);
    cluster.deliver_from(1);
    cluster.finish_sync(2, Db::Raft);
    assert_eq!(sent(&cluster, 2), []);
    assert!(cluster.nodes[&2].store().failed().is_some());
}

#[test]
fn a_failed_sync_stops_the_store() {
    let mut cluster = Cluster::led(3);
    cluster.request(1, vec![put("k", "v")]);
    cluster.deliver_from(1);
    let error = EngineError::Io("device gone".into());
    cluster.with(2, |store, _, _| store.on_sync_failed(error.clone()));
    assert_eq!(cluster.nodes[&2].store().failed(), Some(&StoreError::Engine(error)));
    cluster.finish_sync(2, Db::Raft);
    assert_eq!(sent(&cluster, 2), []);
}
