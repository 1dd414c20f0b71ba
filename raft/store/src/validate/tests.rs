//! Each check with what passes it and what does not.

use raft_proto::metapb::RegionEpoch;
use raft_proto::raft_cmdpb::{
    ChangePeerRequest, ChangePeerV2Request, CompactLogRequest, GetRequest, PutRequest, ScanRequest,
    SnapRequest, SplitRequest, TransferLeaderRequest,
};

use super::*;

fn region() -> Region {
    Region {
        id: 7,
        start_key: "b".into(),
        end_key: "m".into(),
        region_epoch: Some(RegionEpoch { conf_ver: 3, version: 4 }),
        peers: vec![Peer { id: 70, store_id: 1, role: 0 }],
    }
}

fn request(command: Command) -> RaftCmdRequest {
    RaftCmdRequest {
        header: Some(RaftRequestHeader {
            region_epoch: region().region_epoch,
            ..RaftRequestHeader::default()
        }),
        requests: vec![Request { command: Some(command) }],
        admin_request: None,
    }
}

fn get(key: &'static str) -> RaftCmdRequest {
    request(Command::Get(GetRequest { cf: String::new(), key: key.into() }))
}

fn scan(start: &'static str, end: &'static str) -> RaftCmdRequest {
    let (start_key, end_key) = (start.into(), end.into());
    request(Command::Scan(ScanRequest { start_key, end_key, ..ScanRequest::default() }))
}

fn admin(command: admin_request::Command, conf_ver: u64, version: u64) -> RaftCmdRequest {
    RaftCmdRequest {
        header: Some(RaftRequestHeader {
            region_epoch: Some(RegionEpoch { conf_ver, version }),
            ..RaftRequestHeader::default()
        }),
        requests: Vec::new(),
        admin_request: Some(AdminRequest { command: Some(command) }),
    }
}

fn check(request: &RaftCmdRequest) -> Result<(), RequestError> {
    check_commands(request, &region())
}

#[test]
fn keys_must_be_in_the_region() {
    for good in ["b", "c", "lzz"] {
        assert_eq!(check(&get(good)), Ok(()), "{good}");
    }
    for bad in ["", "a", "m", "z"] {
        let expected = RequestError::KeyNotInRegion(Box::new(errorpb::KeyNotInRegion {
            key: bad.into(),
            region_id: 7,
            start_key: "b".into(),
            end_key: "m".into(),
        }));
        assert_eq!(check(&get(bad)), Err(expected), "{bad}");
    }
}

#[test]
fn a_region_without_bounds_has_every_key() {
    let everything = Region { start_key: "".into(), end_key: "".into(), ..region() };
    for key in ["", "a", "zzz"] {
        assert_eq!(check_commands(&get(key), &everything), Ok(()));
    }
    assert_eq!(check_commands(&scan("", "zzz"), &everything), Ok(()));
}

#[test]
fn scans_must_end_in_the_region() {
    for (start, end) in [("b", ""), ("b", "m"), ("c", "d"), ("d", "c")] {
        assert_eq!(check(&scan(start, end)), Ok(()), "{start}..{end}");
    }
    for (start, end) in [("a", "c"), ("b", "ma"), ("m", ""), ("", "")] {
        let refused = check(&scan(start, end));
        assert!(matches!(refused, Err(RequestError::KeyNotInRegion(_))), "{start}..{end}: {refused:?}");
    }
}

#[test]
fn one_bad_command_refuses_all() {
    let mut both = get("c");
    both.requests.extend(get("z").requests);
    assert!(matches!(check(&both), Err(RequestError::KeyNotInRegion(_))));
}

#[test]
fn commands_must_exist() {
    let put = PutRequest { cf: "raft".into(), key: "c".into(), value: "".into() };
    let unknown = RequestError::UnknownColumnFamily("raft".into());
    assert_eq!(check(&request(Command::Put(put))), Err(unknown));
    assert_eq!(check(&request(Command::Snap(SnapRequest {}))), Err(RequestError::Unsupported("Snap")));
    let none = RaftCmdRequest { requests: Vec::new(), ..get("c") };
    assert_eq!(check(&none), Err(RequestError::NoCommand));
    let unknown = RaftCmdRequest { requests: vec![Request { command: None }], ..get("c") };
    assert_eq!(check(&unknown), Err(RequestError::NoCommand));
}

#[test]
fn a_request_has_a_bounded_number_of_commands() {
    let mut many = get("c");
    many.requests = vec![many.requests[0].clone(); MAX_COMMANDS];
    assert_eq!(check(&many), Ok(()));
    many.requests.push(many.requests[0].clone());
    assert_eq!(check(&many), Err(RequestError::TooManyCommands(MAX_COMMANDS + 1)));
}

#[test]
fn each_kind_of_command_has_its_part_of_the_epoch() {
    use admin_request::Command::{ChangePeer, ChangePeerV2, CompactLog, Split, TransferLeader};
    let peer = Some(Peer { id: 80, store_id: 2, role: 0 });
    let change = ChangePeerRequest { peer, ..ChangePeerRequest::default() };
    let changes = ChangePeerV2Request { changes: vec![change], transition: 0 };
    let split = SplitRequest { split_key: "f".into(), new_region_id: 8, new_peer_ids: vec![80] };
    let commands = [
        (ChangePeer(change), [true, false]),
        (ChangePeerV2(changes), [true, false]),
        (Split(split), [true, true]),
        (TransferLeader(TransferLeaderRequest::default()), [true, true]),
        (CompactLog(CompactLogRequest::default()), [false, false]),
    ];
    for (command, [by_conf_ver, by_version]) in commands {
        let refusal = |mismatch: bool| match mismatch {
            true => Err(RequestError::EpochNotMatch { regions: vec![region()] }),
            false => Ok(()),
        };
        assert_eq!(check(&admin(command.clone(), 3, 4)), Ok(()), "{command:?}");
        assert_eq!(check(&admin(command.clone(), 2, 4)), refusal(by_conf_ver), "{command:?}");
        assert_eq!(check(&admin(command.clone(), 3, 5)), refusal(by_version), "{command:?}");
    }
    let with_epoch = |conf_ver, version| {
        let mut get = get("c");
        get.header.as_mut().unwrap().region_epoch = Some(RegionEpoch { conf_ver, version });
        check(&get).is_ok()
    };
    assert!(with_epoch(3, 4) && with_epoch(2, 4) && !with_epoch(3, 3) && !with_epoch(3, 5));
    assert!(check(&RaftCmdRequest { header: None, ..get("c") }).is_err());
}

#[test]
fn a_sender_may_be_one_term_behind() {
    let region = region();
    let replica = Replica { region: &region, peer_id: 70, term: 8, is_leader: true, leader: None };
    let request = get("c");
    let check = |term| {
        let header = RaftRequestHeader { peer: Some(region.peers[0]), term, ..request.header.unwrap() };
        check_proposal(&header, &request, &replica, false)
    };
    for term in [0, 7, 8, 9, u64::MAX] {
        assert_eq!(check(term), Ok(()), "{term}");
    }
    assert_eq!(check(6), Err(RequestError::StaleCommand));
    assert_eq!(check(1), Err(RequestError::StaleCommand));
}

#[test]
fn every_refusal_has_its_words_and_reason() {
    let error: errorpb::Error = RequestError::NotLeader { region_id: 7, leader: None }.into();
    assert_eq!(error.message, "not the leader of region 7");
    assert_eq!(error.reason, Some(Reason::NotLeader(errorpb::NotLeader { region_id: 7, leader: None })));
    let error: errorpb::Error = RequestError::EpochNotMatch { regions: vec![region()] }.into();
    let current_regions = vec![region()];
    assert_eq!(error.reason, Some(Reason::EpochNotMatch(errorpb::EpochNotMatch { current_regions })));
    let error: errorpb::Error = RequestError::Unsupported("Split").into();
    assert_eq!((error.message.as_str(), error.reason), ("Split is not supported by this version", None));
}
