use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use raft_proto::errorpb::{self, EpochNotMatch, KeyNotInRegion, NotLeader, RegionNotFound, StaleCommand};
use raft_proto::metapb::{PeerRole, RegionEpoch};
use raft_proto::raft_cmdpb::{
    GetResponse, PutResponse, RaftResponseHeader, Response, ScanPair, request::Command as C,
};

use super::*;

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The replica with the id `id` on store `id % 10`.
fn peer(id: u64) -> Peer {
    Peer { id, store_id: id % 10, role: 0 }
}

fn region(id: u64, start: &str, end: &str, version: u64, peers: &[u64]) -> Region {
    Region {
        id,
        start_key: bytes(start),
        end_key: bytes(end),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version }),
        peers: peers.iter().map(|id| peer(*id)).collect(),
    }
}

/// It knows three regions, on the stores 1 to 3.
fn session() -> RegionSession {
    let mut session = RegionSession::new(region(1, "", "g", 3, &[11, 12, 13]));
    session.cache.learn(&[region(2, "g", "p", 3, &[21, 22, 23])]);
    session.cache.learn(&[region(3, "p", "", 3, &[31, 32, 33])]);
    session
}

fn get(key: &str) -> Request {
    Request::Get { key: bytes(key) }
}

fn put(key: &str) -> Request {
    Request::Put { key: bytes(key), value: bytes("v") }
}

fn scan(start: &str, end: &str, limit: u32) -> Request {
    Request::Scan { start: bytes(start), end: bytes(end), limit }
}

fn refusal(reason: Option<Reason>) -> RaftCmdResponse {
    let error = Some(errorpb::Error { message: String::new(), reason });
    let header = RaftResponseHeader { error, ..RaftResponseHeader::default() };
    RaftCmdResponse { header: Some(header), ..RaftCmdResponse::default() }
}

fn epoch_not_match(current_regions: &[Region]) -> RaftCmdResponse {
    refusal(Some(Reason::EpochNotMatch(EpochNotMatch { current_regions: current_regions.to_vec() })))
}

fn not_leader(leader: Option<Peer>) -> RaftCmdResponse {
    refusal(Some(Reason::NotLeader(NotLeader { region_id: 1, leader })))
}

fn result(result: response::Result) -> RaftCmdResponse {
    RaftCmdResponse { responses: vec![Response { result: Some(result) }], ..RaftCmdResponse::default() }
}

fn found(value: &str) -> RaftCmdResponse {
    result(response::Result::Get(GetResponse { value: Some(bytes(value)) }))
}

fn pairs(keys: &[&str]) -> RaftCmdResponse {
    let pairs = keys.iter().map(|key| ScanPair { key: bytes(key), value: bytes("v") }).collect();
    result(response::Result::Scan(ScanResponse { pairs }))
}

/// The stores that it gives for a request, each in vain, until it has none.
fn stores(session: &RegionSession, request: &Request) -> Vec<u64> {
    let mut session = session.clone();
    let mut stores = Vec::new();
    while let Some(store) = session.store(request) {
        stores.push(store);
        session.in_vain(store, request);
    }
    stores
}

/// The region and the replica that a request names.
fn names(request: &RaftCmdRequest) -> (u64, u64, u64) {
    let header = request.header.expect("every request has one");
    let peer = header.peer.expect("every request names its store");
    (header.region_id, peer.id, peer.store_id)
}

/// The range and the limit that a request scans.
fn range(request: &RaftCmdRequest) -> (Bytes, Bytes, u32) {
    match request.requests[0].command.clone() {
        Some(C::Scan(scan)) => (scan.start_key, scan.end_key, scan.limit),
        other => panic!("{other:?} is no scan"),
    }
}

/// Asks, and is answered.
fn ask(
    session: &mut RegionSession,
    store: u64,
    request: &Request,
    reply: &RaftCmdResponse,
) -> (RaftCmdRequest, Answer) {
    let sent = session.request(store, request);
    (sent, session.read(store, request, reply))
}

#[test]
fn a_request_names_the_region_of_its_key_and_the_replica_of_its_store() {
    let mut session = session();
    assert_eq!(names(&session.request(2, &get("a"))), (1, 12, 2));
    assert_eq!(names(&session.request(3, &put("g"))), (2, 23, 3));
    let sent = session.request(1, &put("z"));
    assert_eq!(names(&sent), (3, 31, 1));
    assert_eq!(sent.header.and_then(|header| header.region_epoch).map(|epoch| epoch.version), Some(3));
}

#[test]
fn a_store_that_is_no_member_is_asked_what_it_has() {
    let mut session = session();
    assert_eq!(names(&session.request(7, &get("a"))), (0, 0, 7));
    let moved = region(1, "", "g", 4, &[17, 12, 13]);
    assert_eq!(ask(&mut session, 7, &get("a"), &epoch_not_match(&[moved])).1, Answer::Learned);
    assert_eq!(names(&session.request(7, &get("a"))), (1, 17, 7));
}

#[test]
fn a_split_is_learned_with_both_halves_and_both_are_asked_where_the_leader_was() {
    let mut session = session();
    ask(&mut session, 2, &get("a"), &found("v"));
    let halves = [region(1, "", "d", 4, &[11, 12, 13]), region(4, "d", "g", 4, &[41, 42, 43])];
    assert_eq!(ask(&mut session, 2, &put("e"), &epoch_not_match(&halves)).1, Answer::Learned);
    assert_eq!(stores(&session, &put("a")), [2, 3, 1]);
    assert_eq!(stores(&session, &put("e")), [2, 3, 1]);
    assert_eq!(names(&session.request(2, &put("e"))), (4, 42, 2));
    assert_eq!(names(&session.request(2, &put("g"))), (2, 22, 2), "others are as before");
}

#[test]
fn what_is_old_is_no_news() {
    let mut session = session();
    let old = region(1, "", "", 2, &[18, 19]);
    assert_eq!(ask(&mut session, 2, &get("a"), &epoch_not_match(&[old])).1, Answer::Refused);
    let same = region(1, "", "g", 3, &[11, 12, 13]);
    assert_eq!(ask(&mut session, 2, &get("a"), &epoch_not_match(&[same])).1, Answer::Refused);
    assert_eq!(names(&session.request(2, &get("a"))), (1, 12, 2));
    let empty = region(1, "", "g", 9, &[]);
    assert_eq!(ask(&mut session, 2, &get("a"), &epoch_not_match(&[empty])).1, Answer::Refused);
}

#[test]
fn of_one_region_the_later_membership_counts() {
    let mut session = session();
    let mut moved = region(1, "", "g", 3, &[11, 12, 14]);
    moved.region_epoch = Some(RegionEpoch { conf_ver: 2, version: 3 });
    assert_eq!(ask(&mut session, 1, &get("a"), &epoch_not_match(&[moved])).1, Answer::Learned);
    assert_eq!(stores(&session, &get("a")), [1, 2, 4]);
}

#[test]
fn half_of_a_region_leaves_the_other_half_unknown() {
    let mut session = session();
    let right = region(4, "d", "g", 4, &[41, 42, 43]);
    assert_eq!(ask(&mut session, 1, &get("e"), &epoch_not_match(&[right])).1, Answer::Learned);
    assert!(session.store(&get("a")).is_none());
    assert_eq!(names(&session.request(1, &get("a"))), (0, 0, 1));
}

#[test]
fn leaders_are_asked_first_and_learners_last() {
    let mut session = session();
    let mut with_learner = region(1, "", "g", 4, &[11, 12, 13, 14]);
    with_learner.peers[0].role = PeerRole::Learner as i32;
    session.cache.learn(&[with_learner]);
    assert_eq!(stores(&session, &get("a")), [2, 3, 4, 1]);
    let (_, answer) = ask(&mut session, 2, &put("a"), &not_leader(Some(peer(13))));
    assert_eq!(answer, Answer::NotLeader { leader: Some(3) });
    assert_eq!(stores(&session, &get("a")), [3, 4, 2, 1]);
    // It does not lead either, and knows nobody.
    ask(&mut session, 3, &put("a"), &not_leader(None));
    assert_eq!(stores(&session, &get("a")), [2, 3, 4, 1]);
    assert_eq!(stores(&session, &get("h")), [1, 2, 3], "another region has another leader");
}

#[test]
fn a_leader_that_is_younger_than_what_the_client_knows_is_named_right() {
    let mut session = session();
    ask(&mut session, 2, &put("a"), &not_leader(Some(peer(19))));
    assert_eq!(stores(&session, &put("a")), [9, 1, 2, 3]);
    assert_eq!(names(&session.request(9, &put("a"))), (1, 19, 9));
    // The replica on store 1 is another one now.
    ask(&mut session, 2, &put("a"), &not_leader(Some(Peer { id: 91, store_id: 1, role: 0 })));
    assert_eq!(names(&session.request(1, &put("a"))), (1, 91, 1));
}

#[test]
fn refusals_without_news() {
    let mut session = session();
    let not_found = refusal(Some(Reason::RegionNotFound(RegionNotFound { region_id: 1 })));
    ask(&mut session, 2, &put("a"), &found("v"));
    assert_eq!(ask(&mut session, 2, &put("a"), &not_found).1, Answer::Refused);
    assert_eq!(stores(&session, &put("a")), [1, 2, 3], "store 2 leads it no more");
    let stale = refusal(Some(Reason::StaleCommand(StaleCommand {})));
    assert_eq!(ask(&mut session, 2, &put("a"), &stale).1, Answer::Refused);
    assert_eq!(stores(&session, &put("a")).len(), 3);
}

#[test]
fn a_region_that_does_not_hold_the_key_is_forgotten() {
    let mut session = session();
    let wrong = refusal(Some(Reason::KeyNotInRegion(KeyNotInRegion::default())));
    assert_eq!(ask(&mut session, 2, &put("a"), &wrong).1, Answer::Learned);
    assert!(session.store(&put("a")).is_none());
    assert!(session.store(&put("g")).is_some());
}

#[test]
fn after_an_error_without_a_reason_nothing_is_known_of_the_command_or_the_region() {
    let mut session = session();
    assert_eq!(ask(&mut session, 2, &put("h"), &refusal(None)).1, Answer::Unknown);
    assert!(session.store(&put("h")).is_none());
    assert_eq!(names(&session.request(2, &put("h"))), (0, 0, 2));
}

#[test]
fn a_scan_goes_over_regions_and_a_split_on_the_way() {
    let mut session = session();
    let all = scan("b", "x", 0);
    session.begin();
    let (sent, answer) = ask(&mut session, 1, &all, &pairs(&["b", "f"]));
    assert_eq!((names(&sent).0, range(&sent), answer), (1, (bytes("b"), bytes("g"), 0), Answer::More));
    let halves = [region(2, "g", "k", 4, &[21, 22, 23]), region(4, "k", "p", 4, &[41, 42, 43])];
    let (sent, answer) = ask(&mut session, 1, &all, &epoch_not_match(&halves));
    assert_eq!((names(&sent).0, range(&sent), answer), (2, (bytes("g"), bytes("p"), 0), Answer::Learned));
    let (sent, answer) = ask(&mut session, 1, &all, &pairs(&["g"]));
    assert_eq!((names(&sent).0, range(&sent), answer), (2, (bytes("g"), bytes("k"), 0), Answer::More));
    let (sent, answer) = ask(&mut session, 1, &all, &pairs(&[]));
    assert_eq!((names(&sent).0, range(&sent), answer), (4, (bytes("k"), bytes("p"), 0), Answer::More));
    let (sent, answer) = ask(&mut session, 1, &all, &pairs(&["q"]));
    assert_eq!((names(&sent).0, range(&sent)), (3, (bytes("p"), bytes("x"), 0)));
    let Answer::Done(Outcome::Pairs(found)) = answer else { panic!("{answer:?}") };
    let keys: Vec<_> = found.into_iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["b", "f", "g", "q"].map(bytes));
}

#[test]
fn a_scan_of_everything_ends_at_the_last_region() {
    let mut session = session();
    let all = scan("", "", 0);
    assert_eq!(ask(&mut session, 1, &all, &pairs(&[])).1, Answer::More);
    assert_eq!(ask(&mut session, 1, &all, &pairs(&[])).1, Answer::More);
    let (sent, answer) = ask(&mut session, 1, &all, &pairs(&["z"]));
    assert_eq!(range(&sent), (bytes("p"), Bytes::new(), 0));
    assert_eq!(answer, Answer::Done(Outcome::Pairs(vec![(bytes("z"), bytes("v"))])));
}

#[test]
fn a_scan_ends_at_its_end_also_where_a_region_does() {
    let mut session = session();
    let (sent, answer) = ask(&mut session, 1, &scan("a", "g", 0), &pairs(&["a"]));
    assert_eq!(range(&sent).1, bytes("g"));
    assert_eq!(answer, Answer::Done(Outcome::Pairs(vec![(bytes("a"), bytes("v"))])));
}

#[test]
fn the_parts_of_a_scan_share_its_limit() {
    let mut session = session();
    let some = scan("a", "", 3);
    let (sent, answer) = ask(&mut session, 1, &some, &pairs(&["a", "b"]));
    assert_eq!((range(&sent).2, answer), (3, Answer::More));
    let (sent, answer) = ask(&mut session, 1, &some, &pairs(&["h"]));
    assert_eq!(range(&sent).2, 1);
    assert!(matches!(answer, Answer::Done(Outcome::Pairs(found)) if found.len() == 3));
}

#[test]
fn another_call_begins_from_the_start() {
    let mut session = session();
    let all = scan("a", "", 0);
    session.begin();
    assert_eq!(ask(&mut session, 1, &all, &pairs(&["a"])).1, Answer::More);
    session.begin();
    assert_eq!(range(&session.request(1, &all)).0, bytes("a"));
    let (_, answer) = ask(&mut session, 1, &scan("a", "b", 0), &pairs(&["a"]));
    assert!(matches!(answer, Answer::Done(Outcome::Pairs(found)) if found.len() == 1));
}

#[test]
fn reads_are_for_any_replica_that_is_not_known_to_lead() {
    let mut session = session().with_replica_reads(true);
    let flag = |sent: &RaftCmdRequest| sent.header.is_some_and(|header| header.replica_read);
    let (sent, _) = ask(&mut session, 2, &get("a"), &found("v"));
    assert!(flag(&sent));
    assert_eq!(stores(&session, &get("a")), [2, 3, 1], "the one that served it is asked again");
    assert!(flag(&session.request(2, &scan("a", "b", 0))), "it need not be the leader");
    assert!(!flag(&session.request(2, &put("a"))), "a write is the leader's");
    ask(&mut session, 2, &put("a"), &not_leader(Some(peer(13))));
    assert!(!flag(&session.request(3, &get("a"))), "store 3 leads");
    let (sent, _) = ask(&mut session, 2, &get("a"), &found("v"));
    assert!(flag(&sent));
    assert_eq!(stores(&session, &get("a")), [3, 1, 2], "the leader is known all the same");
    let written = result(response::Result::Put(PutResponse {}));
    assert_eq!(ask(&mut session, 1, &put("h"), &written).1, Answer::Done(Outcome::Done));
    assert!(!flag(&session.request(1, &get("h"))), "who took a write leads");
    assert!(!flag(&self::session().request(2, &get("a"))), "not without the option");
}

/// A cluster's regions as they follow each other: splits, and changes of membership.
fn generations(steps: &[(u8, bool)]) -> Vec<Vec<Region>> {
    let mut generations = vec![vec![region(1, "", "", 1, &[11, 12, 13])]];
    for (at, split) in steps {
        let mut regions = generations.last().cloned().unwrap_or_default();
        let key = Bytes::copy_from_slice(&[b'a' + at % 26]);
        let of = regions
            .iter()
            .rposition(|region| region.start_key <= key)
            .expect("the first begins at the start");
        let next_id = regions.len() as u64 + 1;
        let left = &mut regions[of];
        let epoch = left.region_epoch.as_mut().expect("set above");
        if *split && left.start_key < key {
            epoch.version += 1;
            let right = Region { id: next_id, start_key: key.clone(), ..left.clone() };
            left.end_key = key;
            regions.insert(of + 1, right);
        } else {
            epoch.conf_ver += 1;
        }
        generations.push(regions);
    }
    generations
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever it is told, in whatever order: regions do not overlap, and the present displaces the past for good.
    #[test]
    fn the_present_displaces_the_past(
        steps in vec((any::<u8>(), any::<bool>()), 0..12),
        told in vec((any::<Index>(), any::<Index>()), 0..40),
    ) {
        let generations = generations(&steps);
        let of = |(when, which): &(Index, Index)| which.get(when.get(generations.as_slice()).as_slice());
        let past: Vec<&Region> = told.iter().map(of).collect();
        let mut cache = Cache::default();
        for region in &past {
            cache.learn(std::slice::from_ref(region));
            let known: Vec<&Region> = cache.regions().collect();
            for pair in known.windows(2) {
                let end = &pair[0].end_key;
                prop_assert!(!end.is_empty() && *end <= pair[1].start_key, "{known:?}");
            }
        }
        let present = generations.last().expect("there is a first one");
        for region in present {
            cache.learn(std::slice::from_ref(region));
        }
        for region in past {
            cache.learn(std::slice::from_ref(region));
        }
        prop_assert!(cache.regions().eq(present.iter()));
    }
}
