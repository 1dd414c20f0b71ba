//! What clients are told.

use crate::common::{Cluster, REGION, append, compare_and_set, delete, first_region, get, put, scan};
use raftstore::proto::errorpb::{
    self, EpochNotMatch, KeyNotInRegion, NotLeader, RegionNotFound, StaleCommand, StoreNotMatch,
    error::Reason,
};
use raftstore::proto::metapb::{Peer, RegionEpoch};
use raftstore::proto::raft_cmdpb::{
    AdminRequest, AppendResponse, CompareAndSetResponse, DeleteResponse, GetRequest, GetResponse, PutRequest,
    PutResponse, RaftCmdRequest, RaftRequestHeader, Request, ScanPair, ScanResponse, request::Command,
    response::Result as Answer,
};

fn value(value: &'static str) -> Answer {
    Answer::Get(GetResponse { value: Some(value.into()) })
}

const NOTHING: Answer = Answer::Get(GetResponse { value: None });

fn pairs(pairs: &[(&'static str, &'static str)]) -> Answer {
    let pairs = pairs.iter().map(|&(key, value)| ScanPair { key: key.into(), value: value.into() });
    Answer::Scan(ScanResponse { pairs: pairs.collect() })
}

fn swapped(succeeded: bool, previous: Option<&'static str>) -> Answer {
    Answer::CompareAndSet(CompareAndSetResponse { succeeded, previous: previous.map(Into::into) })
}

/// The refusal of a request whose header is like the right one for store 1, but for one thing.
fn refused(cluster: &mut Cluster, change: impl FnOnce(&mut RaftRequestHeader)) -> errorpb::Error {
    let mut header = cluster.header(1);
    change(&mut header);
    let requests = vec![Request { command: Some(get("k")) }];
    let before = cluster.nodes[&1].env.raft.written;
    let id = cluster.raw_request(1, RaftCmdRequest { header: Some(header), requests, admin_request: None });
    assert_eq!(cluster.nodes[&1].env.raft.written, before, "nothing is proposed");
    cluster.reply(id).expect("an answer at once").header.clone().unwrap().error.expect("a refusal")
}

#[test]
fn every_command_does_what_it_says() {
    let mut cluster = Cluster::led(1);
    let done = cluster.execute(1, vec![put("a", "1"), put("b", ""), append("c", "x")]);
    let appended = Answer::Append(AppendResponse {});
    assert_eq!(done, [Answer::Put(PutResponse {}), Answer::Put(PutResponse {}), appended.clone()]);
    // An empty value is a value.
    assert_eq!(cluster.execute(1, vec![get("a"), get("b"), get("z")]), [value("1"), value(""), NOTHING]);
    assert_eq!(cluster.execute(1, vec![append("c", "y"), get("c")]), [appended, value("xy")]);
    assert_eq!(cluster.execute(1, vec![delete("a"), get("a")]), [Answer::Delete(DeleteResponse {}), NOTHING]);
    assert_eq!(cluster.execute(1, vec![compare_and_set("a", Some("1"), "2")]), [swapped(false, None)]);
    assert_eq!(cluster.execute(1, vec![compare_and_set("a", None, "2")]), [swapped(true, None)]);
    assert_eq!(cluster.execute(1, vec![compare_and_set("a", None, "3")]), [swapped(false, Some("2"))]);
    assert_eq!(cluster.execute(1, vec![compare_and_set("b", Some(""), "3")]), [swapped(true, Some(""))]);
    assert_eq!(cluster.execute(1, vec![scan("", "", 0)]), [pairs(&[("a", "2"), ("b", "3"), ("c", "xy")])]);
    assert_eq!(cluster.execute(1, vec![scan("b", "c", 0)]), [pairs(&[("b", "3")])]);
    assert_eq!(cluster.execute(1, vec![scan("a", "", 2)]), [pairs(&[("a", "2"), ("b", "3")])]);
    assert_eq!(cluster.execute(1, vec![scan("c", "a", 0)]), [pairs(&[])]);
}

#[test]
fn commands_of_one_request_see_each_other() {
    let mut cluster = Cluster::led(1);
    cluster.execute(1, vec![put("a", "old"), put("c", "old")]);
    let commands = vec![
        put("a", "1"),
        append("a", "2"),
        append("a", "3"),
        get("a"),
        delete("c"),
        put("b", "new"),
        scan("", "", 0),
        compare_and_set("c", None, "4"),
        get("c"),
    ];
    let answers = cluster.execute(1, commands);
    assert_eq!(answers[3], value("123"));
    assert_eq!(answers[6], pairs(&[("a", "123"), ("b", "new")]));
    assert_eq!(answers[7..], [swapped(true, None), value("4")]);
    assert_eq!(cluster.value(1, "a").as_deref(), Some("123"));
}

#[test]
fn column_families_are_apart() {
    let mut cluster = Cluster::led(1);
    let put =
        |cf: &str| Command::Put(PutRequest { cf: cf.into(), key: "k".into(), value: cf.to_owned().into() });
    let get = |cf: &str| Command::Get(GetRequest { cf: cf.into(), key: "k".into() });
    cluster.execute(1, ["default", "write", "lock"].map(put).into());
    let answers = cluster.execute(1, ["", "default", "write", "lock"].map(get).into());
    assert_eq!(answers, ["default", "default", "write", "lock"].map(value));
    assert_eq!(cluster.execute(1, vec![scan("", "", 0)]), [pairs(&[("k", "default")])]);
}

#[test]
fn a_response_has_the_term() {
    let mut cluster = Cluster::led(3);
    let ok = cluster.request(1, vec![get("k")]);
    let refused = cluster.request(2, vec![get("k")]);
    cluster.settle();
    for request in [ok, refused] {
        assert_eq!(cluster.reply(request).unwrap().header.as_ref().unwrap().current_term, 6);
    }
}

#[test]
fn a_request_for_another_store_is_refused() {
    let mut cluster = Cluster::led(3);
    let error = refused(&mut cluster, |header| header.peer = Some(Peer { id: 10, store_id: 2, role: 0 }));
    let (request_store_id, actual_store_id) = (2, 1);
    assert_eq!(
        error.reason,
        Some(Reason::StoreNotMatch(StoreNotMatch { request_store_id, actual_store_id }))
    );
    let error = refused(&mut cluster, |header| header.peer = None);
    let (request_store_id, actual_store_id) = (0, 1);
    assert_eq!(
        error.reason,
        Some(Reason::StoreNotMatch(StoreNotMatch { request_store_id, actual_store_id }))
    );
}

#[test]
fn a_request_for_an_unknown_region_is_refused() {
    let mut cluster = Cluster::led(3);
    let error = refused(&mut cluster, |header| header.region_id = 8);
    assert_eq!(error.reason, Some(Reason::RegionNotFound(RegionNotFound { region_id: 8 })));
    assert!(cluster.nodes[&1].store().touched().is_empty());
}

#[test]
fn a_follower_names_its_leader() {
    let mut cluster = Cluster::new(3);
    let early = cluster.request(2, vec![get("k")]);
    let unknown = Reason::NotLeader(NotLeader { region_id: REGION, leader: None });
    assert_eq!(cluster.refusal(early), unknown);
    cluster.campaign(1);
    cluster.settle();
    let late = cluster.request(2, vec![get("k")]);
    let leader = Some(Peer { id: 10, store_id: 1, role: 0 });
    assert_eq!(cluster.refusal(late), Reason::NotLeader(NotLeader { region_id: REGION, leader }));
}

#[test]
fn a_request_for_another_peer_is_refused() {
    let mut cluster = Cluster::led(3);
    let error = refused(&mut cluster, |header| header.peer = Some(Peer { id: 11, store_id: 1, role: 0 }));
    // The one that the client knew was removed since: it shall learn the region anew.
    let current_regions = vec![first_region(3)];
    assert_eq!(error.reason, Some(Reason::EpochNotMatch(EpochNotMatch { current_regions })));
}

#[test]
fn a_request_of_a_term_long_gone_is_stale() {
    let mut cluster = Cluster::led(3);
    // The group started in term 5 and elected its leader in term 6.
    let error = refused(&mut cluster, |header| header.term = 4);
    assert_eq!(error.reason, Some(Reason::StaleCommand(StaleCommand {})));
    let mut header = cluster.header(1);
    header.term = 5;
    let requests = vec![Request { command: Some(get("k")) }];
    let id = cluster.raw_request(1, RaftCmdRequest { header: Some(header), requests, admin_request: None });
    cluster.settle();
    assert_eq!(cluster.results(id), [NOTHING]);
}

#[test]
fn another_version_of_the_region_is_answered_with_the_current_one() {
    let mut cluster = Cluster::led(3);
    let current = Some(Reason::EpochNotMatch(EpochNotMatch { current_regions: vec![first_region(3)] }));
    for version in [0, 2] {
        let epoch = RegionEpoch { conf_ver: 1, version };
        assert_eq!(refused(&mut cluster, |header| header.region_epoch = Some(epoch)).reason, current);
    }
    assert_eq!(refused(&mut cluster, |header| header.region_epoch = None).reason, current);
}

#[test]
fn requests_without_sense_are_refused_in_words() {
    let mut cluster = Cluster::led(1);
    let header = Some(cluster.header(1));
    let unknown = GetRequest { cf: "raft".into(), key: "k".into() };
    let cases = [
        (vec![], None, "the request has no command"),
        (vec![Request { command: None }], None, "the request has no command"),
        (
            vec![],
            Some(AdminRequest::default()),
            "an admin command of another version is not supported by this version",
        ),
        (vec![Request { command: Some(Command::Get(unknown)) }], None, "unknown column family \"raft\""),
    ];
    for (requests, admin, words) in cases {
        let id = cluster.raw_request(1, RaftCmdRequest { header, requests, admin_request: admin });
        let error = cluster.reply(id).unwrap().header.clone().unwrap().error.unwrap();
        assert_eq!((error.message.as_str(), error.reason), (words, None));
    }
    let id = cluster.raw_request(1, RaftCmdRequest::default());
    assert_eq!(cluster.refusal(id), Reason::RegionNotFound(RegionNotFound { region_id: 0 }));
}

#[test]
fn a_key_outside_the_region_is_refused_with_the_range() {
    // The region is given bounds as a split would.
    let mut cluster = Cluster::new(1);
    let mut region = first_region(1);
    (region.start_key, region.end_key) = ("b".into(), "m".into());
    let node = cluster.nodes.get_mut(&1).unwrap();
    let mut env = crate::common::disk::MemEnv::default();
    raftstore::Store::bootstrap(&mut env, &crate::common::config(1), &region).unwrap();
    node.store = Some(raftstore::Store::open(&mut env, crate::common::config(1), cluster.now).unwrap());
    node.env = env;
    cluster.campaign(1);
    cluster.settle();
    let outside = cluster.request(1, vec![put("c", "1"), put("z", "1")]);
    let key = Reason::KeyNotInRegion(KeyNotInRegion {
        key: "z".into(),
        region_id: REGION,
        start_key: "b".into(),
        end_key: "m".into(),
    });
    assert_eq!(cluster.refusal(outside), key);
    cluster.execute(1, vec![put("b", "1"), put("l", "2")]);
    assert_eq!(cluster.execute(1, vec![scan("b", "", 0)]), [pairs(&[("b", "1"), ("l", "2")])]);
    assert_eq!(cluster.value(1, "c"), None);
}
