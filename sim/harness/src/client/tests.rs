use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;

use super::walk::MAX_HINTS;
use super::*;
use crate::system::PlainSession;
use crate::system::raftstore::RegionSession;

mod cluster;

use cluster::{Cluster, Event, first_region};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn put(key: &str) -> Request {
    Request::Put { key: bytes(key), value: bytes("v") }
}

fn scan(start: &str, end: &str) -> Request {
    Request::Scan { start: bytes(start), end: bytes(end), limit: 0 }
}

fn job(request: &Request, via: Option<u64>) -> ClientInput {
    ClientInput::Submit(Job { request: request.clone(), via })
}

/// A client, what it asks now, and the virtual time.
struct Tried<C: Session> {
    client: ClientNode<C>,
    asked: Option<(u64, u64, C::Request)>,
    now: Time,
    /// All that it reported.
    reports: Vec<Report>,
}

impl<C: Session> Tried<C> {
    fn new(stores: u64, session: C) -> Tried<C> {
        let client = ClientNode::new(1, stores, ClientConfig::default(), session, 1);
        Tried { client, asked: None, now: Time(0), reports: Vec::new() }
    }

    fn take(&mut self, input: ClientInput) {
        let effects = self.client.take(input, self.now);
        self.see(effects);
    }

    fn see(&mut self, effects: Effects<C::Request>) {
        self.reports.extend_from_slice(self.client.reports());
        if effects.send.is_some() {
            self.asked = effects.send;
        }
    }

    /// The store that it asks; it waits for its backoff to end, if it must.
    fn store(&mut self) -> u64 {
        while self.asked.is_none() {
            assert!(!self.client.is_idle(), "it has nothing to ask");
            self.wait(ClientConfig::default().backoff);
        }
        self.asked.as_ref().map_or(0, |(store, ..)| *store)
    }

    fn wait(&mut self, span: Duration) {
        self.now += span;
        let effects = self.client.tick(self.now);
        self.see(effects);
    }

    fn answer(&mut self, reply: &C::Reply) {
        let (_, id, _) = self.asked.take().expect("it asks");
        let effects = self.client.hear(id, reply, self.now);
        self.see(effects);
    }

    /// No answer comes.
    fn lose(&mut self) {
        self.asked = None;
        self.wait(ClientConfig::default().timeout);
    }

    /// What became of its calls.
    fn returns(&self) -> Vec<Outcome> {
        let returns = self.reports.iter().filter_map(|report| match report {
            Report::Return(outcome) => Some(outcome.clone()),
            Report::Call(_) => None,
        });
        returns.collect()
    }

    /// Calls and returns take turns.
    fn is_consistent(&self) -> bool {
        self.reports.iter().enumerate().all(|(at, report)| (at % 2 == 0) == matches!(report, Report::Call(_)))
    }
}

const DONE: Answer = Answer::Done(Outcome::Done);

fn not_leader(leader: u64) -> Answer {
    Answer::NotLeader { leader: (leader != 0).then_some(leader) }
}

/// The stores that a client asks that is answered so, each with whether it asked at once.
fn asked(stores: u64, via: Option<u64>, answers: &[Answer]) -> Vec<(u64, bool)> {
    let mut tried = Tried::new(stores, PlainSession);
    tried.take(job(&put("k"), via));
    let mut asked = Vec::new();
    for answer in answers {
        let at_once = tried.asked.is_some();
        asked.push((tried.store(), at_once));
        tried.answer(answer);
    }
    assert!(tried.is_consistent());
    asked
}

#[test]
fn a_client_asks_one_store_after_the_other() {
    let answers = [not_leader(0), Answer::Refused, Answer::Unknown, DONE];
    assert_eq!(asked(3, None, &answers), [(1, true), (2, false), (3, false), (1, false)]);
}

#[test]
fn hints_are_followed_at_once_but_only_so_many() {
    let circle = [not_leader(2), not_leader(3), not_leader(2), not_leader(3), not_leader(2), DONE];
    let stores = asked(4, None, &circle);
    assert_eq!(stores, [(1, true), (2, true), (3, true), (2, false), (3, true), (2, true)]);
    let follows = stores.iter().skip(1).take_while(|(_, at_once)| *at_once).count();
    assert_eq!(follows, MAX_HINTS as usize);
}

#[test]
fn hints_in_a_circle_do_not_keep_a_client_from_the_other_stores() {
    let circle = vec![[not_leader(1), not_leader(2)]; 10].concat();
    let stores = asked(5, None, &circle);
    for store in 1..=5 {
        assert!(stores.iter().any(|(asked, _)| *asked == store), "{stores:?}");
    }
}

#[test]
fn a_store_that_names_itself_is_no_hint() {
    assert_eq!(asked(2, None, &[not_leader(1), DONE]), [(1, true), (2, false)]);
}

#[test]
fn a_job_for_one_store_goes_to_no_other() {
    let answers = [not_leader(1), Answer::Refused, Answer::Unknown, DONE];
    assert_eq!(asked(3, Some(2), &answers), [(2, true), (2, false), (2, false), (2, false)]);
}

#[test]
fn a_client_stays_where_it_was_served() {
    let mut tried = Tried::new(3, PlainSession);
    tried.take(job(&put("k"), None));
    tried.answer(&not_leader(3));
    tried.answer(&DONE);
    tried.take(job(&put("k"), Some(2)));
    tried.answer(&DONE);
    tried.take(job(&put("k"), None));
    assert_eq!(tried.store(), 3, "the detour to store 2 was not its own idea");
}

#[test]
fn without_an_answer_the_outcome_is_unknown_and_the_next_store_is_asked_at_once() {
    let mut tried = Tried::new(3, PlainSession);
    tried.take(job(&put("k"), None));
    let late = tried.asked.clone().expect("it asks");
    tried.lose();
    assert_eq!(tried.returns(), [Outcome::Unknown]);
    assert_eq!(tried.asked.as_ref().map(|(store, ..)| *store), Some(2));
    let effects = tried.client.hear(late.1, &DONE, tried.now);
    tried.see(effects);
    assert_eq!(tried.returns(), [Outcome::Unknown], "what comes late is not heard");
    assert!(tried.asked.is_some());
    tried.answer(&DONE);
    assert_eq!(tried.returns(), [Outcome::Unknown, Outcome::Done]);
    assert!(tried.client.is_idle() && tried.is_consistent());
}

#[test]
fn what_was_learned_is_tried_at_once_for_a_while() {
    let at_once: Vec<bool> =
        asked(3, None, &vec![Answer::Learned; 12]).into_iter().map(|(_, at_once)| at_once).collect();
    assert_eq!(at_once[..6], [true, true, true, true, true, false]);
    assert_eq!(at_once[6..11], [true, true, true, true, false]);
}

#[test]
fn the_stores_of_a_region_are_asked_before_all_others() {
    let mut tried = Tried::new(9, RegionSession::new(first_region(&[3, 4, 5])));
    tried.take(job(&put("k"), None));
    let mut stores = Vec::new();
    for _ in 0..5 {
        stores.push(tried.store());
        tried.lose();
    }
    assert_eq!(stores, [3, 4, 5, 1, 2]);
}

/// Three regions, each led by another store, and a client that knows of one.
fn three_regions() -> (Cluster, Tried<RegionSession>) {
    let mut cluster = Cluster::new(5, &[1, 2, 3]);
    for key in ["h", "p"] {
        cluster.happen(&Event::Split { key: key.as_bytes()[0] });
    }
    cluster.happen(&Event::Lead { key: b'h', by: 1 });
    cluster.happen(&Event::Lead { key: b'p', by: 2 });
    let session = RegionSession::new(first_region(&[1, 2, 3]));
    (cluster, Tried::new(5, session))
}

impl Tried<RegionSession> {
    /// The cluster answers.
    fn turn(&mut self, cluster: &mut Cluster) {
        self.store();
        let (store, _, request) = self.asked.clone().expect("it asks");
        let reply = cluster.reply(store, &request);
        self.answer(&reply);
    }
}

#[test]
fn a_scan_over_regions_is_one_operation() {
    let (mut cluster, mut tried) = three_regions();
    for key in ["a", "m", "z"] {
        tried.take(job(&put(key), None));
        while !tried.client.is_idle() {
            tried.turn(&mut cluster);
        }
    }
    tried.reports.clear();
    tried.take(job(&scan("a", ""), None));
    while !tried.client.is_idle() {
        tried.turn(&mut cluster);
    }
    let found = ["a", "m", "z"].map(|key| (bytes(key), bytes("v"))).to_vec();
    let expected = [Report::Call(scan("a", "")), Report::Return(Outcome::Pairs(found))];
    assert_eq!(tried.reports, expected);
}

#[test]
fn a_scan_goes_on_behind_a_split_and_a_change_of_leader() {
    let (mut cluster, mut tried) = three_regions();
    tried.take(job(&scan("a", ""), None));
    while cluster.executed == 0 {
        tried.turn(&mut cluster);
    }
    tried.reports.clear();
    cluster.happen(&Event::Split { key: b'k' });
    cluster.happen(&Event::Lead { key: b'k', by: 2 });
    cluster.happen(&Event::Lead { key: b'p', by: 1 });
    while !tried.client.is_idle() {
        tried.turn(&mut cluster);
    }
    assert_eq!(tried.reports, [Report::Return(Outcome::Pairs(Vec::new()))], "all of it in one operation");
    assert_eq!(cluster.executed, 4, "and nothing is read twice");
}

#[test]
fn a_scan_that_must_wait_goes_on_where_it_was() {
    let (mut cluster, mut tried) = three_regions();
    tried.take(job(&scan("a", ""), None));
    while cluster.executed == 0 {
        tried.turn(&mut cluster);
    }
    tried.reports.clear();
    tried.lose();
    assert_eq!(tried.reports, [], "the call goes on");
    while !tried.client.is_idle() {
        tried.turn(&mut cluster);
    }
    assert_eq!(cluster.executed, 3, "nothing is read twice");
    assert_eq!(tried.reports, [Report::Return(Outcome::Pairs(Vec::new()))]);
}

#[test]
fn a_scan_that_has_read_nothing_yet_begins_anew() {
    let (_, mut tried) = three_regions();
    tried.take(job(&scan("a", ""), None));
    tried.lose();
    let call = Report::Call(scan("a", ""));
    assert_eq!(tried.reports, [call.clone(), Report::Return(Outcome::Unknown), call]);
}

#[test]
fn a_scan_over_many_regions_ends_though_each_keeps_it_waiting() {
    let (mut cluster, mut tried) = three_regions();
    let splits = (0..=u8::MAX).filter(|key| *key != b'h' && *key != b'p' && *key != 0);
    splits.for_each(|key| cluster.happen(&Event::Split { key }));
    tried.take(job(&scan("", ""), None));
    let mut executed = 0;
    for _ in 0..5_000 {
        if tried.client.is_idle() {
            break;
        }
        tried.turn(&mut cluster);
        if cluster.executed > executed && !tried.client.is_idle() {
            executed = cluster.executed;
            tried.store();
            tried.lose();
        }
    }
    assert!(tried.client.is_idle(), "{} parts after {executed} answers", cluster.executed);
    assert_eq!(cluster.executed, 256, "a part of each region");
}

#[derive(Clone, Debug)]
enum Happens {
    Event(Event),
    /// The client asks, and is answered.
    Turn,
    /// The client asks in vain.
    Loss,
    /// One more job.
    Job {
        key: u8,
        to: u8,
        read: bool,
    },
}

fn happens() -> impl Strategy<Value = Happens> {
    let key = b'a'..=b'z';
    prop_oneof![
        2 => key.clone().prop_map(|key| Happens::Event(Event::Split { key })),
        2 => (key.clone(), any::<u64>()).prop_map(|(key, by)| Happens::Event(Event::Lead { key, by })),
        4 => (key.clone(), any::<u64>(), any::<bool>())
            .prop_map(|(key, to, stale)| Happens::Event(Event::Move { key, to, stale })),
        6 => Just(Happens::Turn),
        1 => Just(Happens::Loss),
        2 => (key.clone(), key, any::<bool>()).prop_map(|(key, to, read)| Happens::Job { key, to, read }),
    ]
}

fn request(key: u8, to: u8, read: bool) -> Request {
    let text = |key: u8| Bytes::copy_from_slice(&[key]);
    match (read, key < to) {
        (false, _) => Request::Put { key: text(key), value: bytes("v") },
        (true, false) => Request::Get { key: text(key) },
        (true, true) => Request::Scan { start: text(key), end: text(to), limit: 0 },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Regions split, move and are led by others while a client works, or sleeps; stores that left a region tell of
    /// it as it was, and of leaders that left, too. When the cluster rests every job is done soon.
    #[test]
    fn a_client_is_never_stuck(
        first in vec(happens(), 0..60),
        replica_reads in any::<bool>(),
    ) {
        let mut cluster = Cluster::new(6, &[1, 2, 3]);
        let session = RegionSession::new(first_region(&[1, 2, 3])).with_replica_reads(replica_reads);
        let mut tried = Tried::new(6, session);
        for what in first {
            match what {
                Happens::Event(event) => cluster.happen(&event),
                Happens::Job { key, to, read } => tried.take(job(&request(key, to, read), None)),
                Happens::Turn if !tried.client.is_idle() => tried.turn(&mut cluster),
                Happens::Loss if !tried.client.is_idle() => { tried.store(); tried.lose(); }
                Happens::Turn | Happens::Loss => {}
            }
        }
        tried.take(job(&scan("a", ""), None));
        let mut turns = 0;
        while !tried.client.is_idle() {
            tried.turn(&mut cluster);
            turns += 1;
            prop_assert!(turns < 2_000, "{:?} in {cluster:?}", tried.client);
        }
        prop_assert!(tried.is_consistent());
        // What it was told is what there is.
        let Some(Report::Return(Outcome::Pairs(found))) = tried.reports.last() else { panic!("a scan was last") };
        let written: Vec<_> = cluster.data.iter().map(|key| (key.clone(), bytes("v"))).collect();
        prop_assert_eq!(found, &written);
    }
}
