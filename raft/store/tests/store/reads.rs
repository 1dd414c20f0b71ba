//! Reads that do not go through the log.

use crate::common::{Cluster, MS, REGION, config, get, put, scan};
use raftstore::proto::eraftpb::MessageType;
use raftstore::proto::errorpb::error::Reason;
use raftstore::proto::raft_cmdpb::{
    GetResponse, RaftCmdRequest, RaftRequestHeader, Request, ScanPair, ScanResponse,
    response::Result as Answer,
};
use raftstore::proto::raft_serverpb::{StoreMessage, store_message::Payload};
use raftstore::{Config, Reads, RequestId};

fn led(reads: Reads) -> Cluster {
    let check_quorum = matches!(reads, Reads::Lease { .. });
    let mut cluster = Cluster::with_spares(3, 0, Config { reads, check_quorum, ..config(0) });
    // After a restart, voters keep for a while what they may have promised to a lease.
    cluster.run(5_000);
    let leader = cluster.leaders()[0];
    cluster.with(leader, |store, env, now| store.transfer_leader(env, now, REGION, 1).unwrap());
    cluster.settle();
    cluster.execute(1, vec![put("k", "v")]);
    cluster.run(1_000);
    assert_eq!(cluster.leaders(), [1]);
    cluster
}

fn value(value: &'static str) -> Answer {
    Answer::Get(GetResponse { value: Some(value.into()) })
}

/// A read that any replica may serve.
fn replica_read(cluster: &mut Cluster, id: u64, key: &str) -> RequestId {
    let header = cluster.header_of(id, REGION).unwrap();
    let header = Some(RaftRequestHeader { replica_read: true, ..header });
    let requests = vec![Request { command: Some(get(key)) }];
    cluster.raw_request(id, RaftCmdRequest { header, requests, admin_request: None })
}

fn last(cluster: &Cluster) -> u64 {
    cluster.nodes[&1].peer().raft().last().index
}

fn heartbeat_answers(_: u64, _: u64, message: &StoreMessage) -> bool {
    let Some(Payload::Raft(message)) = &message.payload else { return false };
    message.message.as_ref().is_some_and(|message| message.msg_type() == MessageType::MsgHeartbeatResponse)
}

#[test]
fn a_read_leaves_no_trace_in_the_log() {
    for reads in [Reads::Index, Reads::Lease { margin_ticks: 0 }] {
        let mut cluster = led(reads);
        let before = last(&cluster);
        let pairs = vec![ScanPair { key: "k".into(), value: "v".into() }];
        let answers = [value("v"), Answer::Scan(ScanResponse { pairs })];
        assert_eq!(cluster.execute(1, vec![get("k"), scan("", "", 0)]), answers);
        assert_eq!(last(&cluster), before);
        // What writes too goes through it.
        assert_eq!(cluster.execute(1, vec![put("k", "w"), get("k")])[1], value("w"));
        assert_eq!(last(&cluster), before + 1);
    }
    let mut cluster = led(Reads::Log);
    let before = last(&cluster);
    assert_eq!(cluster.execute(1, vec![get("k")]), [value("v")]);
    assert_eq!(last(&cluster), before + 1);
}

#[test]
fn a_leader_of_the_past_serves_no_read() {
    let mut cluster = led(Reads::Index);
    cluster.isolated.insert(1);
    cluster.campaign(2);
    cluster.settle();
    cluster.execute(2, vec![put("k", "new")]);
    let request = cluster.request(1, vec![get("k")]);
    cluster.settle();
    assert_eq!(cluster.reply(request), None);
    // It is told so after an election timeout, if it hears of nobody.
    let mut alone = cluster.clone();
    alone.run(1_200);
    assert!(matches!(alone.refusal(request), Reason::StaleCommand(_)));
    cluster.isolated.clear();
    cluster.run(800);
    assert!(matches!(cluster.refusal(request), Reason::StaleCommand(_)));
}

#[test]
fn a_follower_serves_what_was_committed_when_the_read_began() {
    let mut cluster = led(Reads::Index);
    let without = cluster.request(2, vec![get("k")]);
    assert!(matches!(cluster.refusal(without), Reason::NotLeader(_)));
    cluster.isolated.insert(2);
    cluster.execute(1, vec![put("k", "new")]);
    cluster.isolated.clear();
    // The follower does not have it yet, and must wait for it.
    assert_eq!(cluster.value(2, "k").as_deref(), Some("v"));
    let request = replica_read(&mut cluster, 2, "k");
    assert_eq!(cluster.reply(request), None);
    cluster.run(500);
    assert_eq!(cluster.results(request), [value("new")]);
    // It may not write, whatever it says.
    let header =
        cluster.header_of(2, REGION).map(|header| RaftRequestHeader { replica_read: true, ..header });
    let requests = vec![Request { command: Some(put("k", "w")) }];
    let request = cluster.raw_request(2, RaftCmdRequest { header, requests, admin_request: None });
    assert!(matches!(cluster.refusal(request), Reason::NotLeader(_)));
}

#[test]
fn a_split_between_a_read_and_its_execution_is_noticed() {
    let mut cluster = led(Reads::Index);
    cluster.execute(1, vec![put("z", "v")]);
    cluster.lost = heartbeat_answers;
    let [left, right] = ["k", "z"].map(|key| cluster.request(1, vec![get(key)]));
    let new = cluster.split("m");
    assert_eq!((cluster.reply(left), cluster.reply(right)), (None, None), "nobody has confirmed them");
    // By now somebody else may have written there.
    assert!(cluster.peer(1, new).is_some());
    cluster.lost = |_, _, _| false;
    cluster.run(500);
    for request in [left, right] {
        assert!(matches!(cluster.refusal(request), Reason::EpochNotMatch(_)));
    }
}

#[test]
fn a_lease_serves_without_asking_until_it_ends() {
    let mut cluster = led(Reads::Lease { margin_ticks: 0 });
    assert!(cluster.nodes[&1].peer().raft().has_lease());
    cluster.isolated.insert(1);
    let request = cluster.request(1, vec![get("k")]);
    assert_eq!(cluster.results(request), [value("v")], "at once");
    // The others may elect a leader after an election timeout; the lease is over before that.
    cluster.now += 900 * MS;
    let request = cluster.request(1, vec![get("k")]);
    cluster.settle();
    assert!(cluster.reply(request).is_none_or(|reply| reply.responses.is_empty()));
    cluster.run(3_000);
    assert!(matches!(cluster.refusal(request), Reason::StaleCommand(_)));
}

#[test]
fn reads_of_a_replica_that_goes_are_answered() {
    let mut cluster = led(Reads::Index);
    cluster.lost = heartbeat_answers;
    let request = cluster.request(1, vec![get("k")]);
    cluster.remove_peer(REGION, 1);
    assert!(cluster.peer(1, REGION).is_none());
    assert!(matches!(cluster.refusal(request), Reason::RegionNotFound(_)));
}
