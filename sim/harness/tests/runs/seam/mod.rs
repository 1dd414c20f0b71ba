//! A system from outside of the crate, as small as one can be: store 1 keeps all data, and the others send clients to it.
//!
//! In the terms of Raft it is a group of one voter. It writes each put as an entry of a log and answers when that is
//! durable; at a boot it enters a new term and begins it with an empty entry, as a leader does.
//!
//! Beside it a placement driver as small as one can be: a notary that gives out numbers, none twice.

mod notary;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use raft_proto::eraftpb::Message;
use raftsim_harness::history::{Outcome, Request};
use raftsim_harness::report::Verdict;
use raftsim_harness::run::{Options, Run};
use raftsim_harness::scenario::{self, Check, Scenario};
use raftsim_harness::system::{
    Answer, DiskWrite, FIRST_REGION, HardState, Life, LogEntry, LogTerms, LogWrite, Members, OnDisk,
    Operator, PlainSession, RecordKind, RegionRange, ReplicaState, ReplicaView, RequestId, Role,
    StoreContext, System,
};
use raftsim_kernel::{Change, DbId, Disk, WriteSeq};

use notary::{Notary, Number};

const DB: DbId = DbId(0);
/// The store with the data.
const PRIMARY: u64 = 1;
/// The key of the term; entries stand under their indexes.
const TERM: &[u8] = b"term";

/// What is wrong with a store.
const NOTHING: u8 = 0;
/// It answers before what it says is durable.
const HASTY: u8 = 1;
/// It is in a joint configuration, and leaves it when it is told to.
const JOINT: u8 = 2;
/// It is in one that it should leave by itself, and does not.
const STUCK: u8 = 3;

/// A store.
#[derive(Clone, Debug)]
struct Store<const FLAW: u8> {
    store: u64,
    term: u64,
    /// Its term is durable, so it serves.
    leads: bool,
    /// A sync failed: it says no more.
    failed: bool,
    last: u64,
    commit: u64,
    data: BTreeMap<Bytes, Bytes>,
    /// Entries that are not durable: the number of the write, and what to do then.
    pending: VecDeque<(WriteSeq, Option<RequestId>)>,
    /// What the notary gave it.
    numbers: Vec<u64>,
}

type Cx<'a, 'b, const FLAW: u8> = StoreContext<'a, 'b, Store<FLAW>>;

fn number(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

/// Index, term, and what comes after it, of every entry on the disk.
fn entries(disk: &Disk) -> impl Iterator<Item = (u64, u64, Bytes)> {
    let all = disk.range(DB, &[], Some(TERM));
    all.map(|(index, entry)| (number(index), number(entry), entry.slice(8..)))
}

fn term_on(disk: &Disk) -> u64 {
    disk.get(DB, TERM).map_or(0, |term| number(term))
}

impl<const FLAW: u8> Store<FLAW> {
    /// Appends an entry: a key and a value with a zero between them, or nothing.
    fn append(&mut self, what: &[u8], request: Option<RequestId>, cx: &mut Cx<'_, '_, FLAW>) {
        self.last += 1;
        let entry = [&self.term.to_be_bytes(), what].concat();
        let seq = cx.disk_mut().write(DB, [(self.last.to_be_bytes(), Some(entry.into()))]);
        cx.sync(DB);
        self.pending.push_back((seq, request));
    }

    fn apply(&mut self, what: &Bytes) {
        if let Some(zero) = what.iter().position(|byte| *byte == 0) {
            self.data.insert(what.slice(..zero), what.slice(zero + 1..));
        }
    }
}

impl<const FLAW: u8> System for Store<FLAW> {
    type Message = Message;
    type Session = PlainSession;
    type Placement = Notary;

    const DATABASES: &'static [&'static str] = &["data"];
    const LOG_DB: DbId = DB;
    const DATA_DB: Option<DbId> = None;

    fn new(_: &Scenario, store: u64, _: &Life<'_>) -> Self {
        let (data, pending, numbers) = (BTreeMap::new(), VecDeque::new(), Vec::new());
        Store { store, term: 0, leads: false, failed: false, last: 0, commit: 0, data, pending, numbers }
    }

    fn session(_: &Scenario) -> PlainSession {
        PlainSession
    }

    fn on_start(&mut self, cx: &mut Cx<'_, '_, FLAW>) {
        cx.ask(Number(self.store));
        if self.store != PRIMARY {
            return;
        }
        let found: Vec<_> = entries(cx.disk()).collect();
        for (index, _, what) in found {
            self.last = index;
            self.apply(&what);
        }
        self.term = term_on(cx.disk()) + 1;
        cx.disk_mut().write(DB, [(TERM, Some(Bytes::copy_from_slice(&self.term.to_be_bytes())))]);
        cx.sync(DB);
    }

    fn on_message(&mut self, _: u64, _: Message, _: &mut Cx<'_, '_, FLAW>) {}

    fn on_request(&mut self, id: RequestId, request: Request, cx: &mut Cx<'_, '_, FLAW>) {
        match request {
            _ if self.store != PRIMARY => cx.reply(id, Answer::NotLeader { leader: Some(PRIMARY) }),
            Request::Put { key, value } if self.leads => {
                let what: Bytes = [&key[..], &[0], &value].concat().into();
                self.apply(&what);
                self.append(&what, Some(id).filter(|_| FLAW != HASTY), cx);
                if FLAW == HASTY {
                    cx.reply(id, Answer::Done(Outcome::Done));
                }
            }
            // What is not durable yet must not be shown; the client asks again.
            Request::Get { key } if self.leads && (FLAW == HASTY || self.pending.is_empty()) => {
                cx.reply(id, Answer::Done(Outcome::Value(self.data.get(&key).cloned())));
            }
            _ => cx.reply(id, Answer::Refused),
        }
    }

    fn on_timer(&mut self, _: u64, _: &mut Cx<'_, '_, FLAW>) {}

    fn on_sync_failed(&mut self, _: DbId, _: &mut Cx<'_, '_, FLAW>) {
        self.pending.clear();
        (self.leads, self.failed) = (false, true);
    }

    fn on_synced(&mut self, _: DbId, up_to: WriteSeq, cx: &mut Cx<'_, '_, FLAW>) {
        if self.failed {
            return;
        }
        if !self.leads {
            self.leads = true;
            return self.append(&[], None, cx);
        }
        while let Some((_, request)) = self.pending.pop_front_if(|(seq, _)| *seq <= up_to) {
            self.commit = self.last - self.pending.len() as u64;
            if let Some(request) = request {
                cx.reply(request, Answer::Done(Outcome::Done));
            }
        }
    }

    /// Done with a number, it wants the next one.
    fn on_task(&mut self, _: u64, cx: &mut Cx<'_, '_, FLAW>) {
        cx.ask(Number(self.store));
    }

    fn on_placement(&mut self, number: Number, cx: &mut Cx<'_, '_, FLAW>) {
        self.numbers.push(number.0);
        cx.start_task(number.0, 0);
    }

    fn on_operator(&mut self, _: u64, _: &Operator, _: &mut Cx<'_, '_, FLAW>) -> Result<(), String> {
        Err("nobody commands this store".to_owned())
    }

    fn failure(&self) -> Option<String> {
        self.failed.then(|| "a sync failed".to_owned())
    }

    fn touched(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        self.replica(FIRST_REGION).into_iter()
    }

    fn replica(&self, region: u64) -> Option<ReplicaView<'_>> {
        let state = ReplicaState {
            term: self.term,
            vote: if self.term > 0 { PRIMARY } else { 0 },
            role: if self.leads { Role::Leader } else { Role::Follower },
            leader: if self.leads { PRIMARY } else { 0 },
            commit: self.commit,
            applied: self.commit,
            truncated: 0,
            last: self.last,
        };
        let outgoing: &[u64] = if matches!(FLAW, JOINT | STUCK) { &[PRIMARY] } else { &[] };
        let members =
            Members { voters: &[PRIMARY], outgoing, auto_leave: FLAW == STUCK, ..Members::default() };
        (region == FIRST_REGION).then_some(ReplicaView {
            region,
            id: self.store,
            state,
            truncated_term: 0,
            members,
            snapshots: 0,
            range: RegionRange::whole(),
        })
    }

    fn replicas(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        self.replica(FIRST_REGION).into_iter()
    }

    fn progress(&self, _: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        self.leads.then_some((PRIMARY, self.commit, self.last + 1)).into_iter()
    }

    fn region_of(&self, _: &[u8]) -> Option<u64> {
        Some(FIRST_REGION)
    }

    fn size(&self, _: u64) -> u64 {
        self.data.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn store_of(&self, _: u64, replica: u64) -> Option<u64> {
        Some(replica)
    }

    fn log_write(change: &Change) -> Option<LogWrite> {
        let value = change.new.as_ref()?;
        let write = if *change.key == *TERM {
            DiskWrite::Hard(HardState { term: number(value), vote: PRIMARY })
        } else {
            let digest = value.iter().fold(0, |hash: u64, byte| hash.rotate_left(7) ^ u64::from(*byte));
            let (index, term) = (number(&change.key), number(value));
            DiskWrite::Entry(LogEntry { index, term, digest, conf_change: false })
        };
        Some(LogWrite { region: FIRST_REGION, write })
    }

    fn record(_: DbId, change: &Change) -> Option<(u64, RecordKind)> {
        let is_term = *change.key == *TERM;
        Some((FIRST_REGION, if is_term { RecordKind::RaftState } else { RecordKind::Log }))
    }

    fn data_key(_: &[u8]) -> Option<&[u8]> {
        None
    }

    fn on_disk(disk: &Disk, _: u64) -> OnDisk {
        let mut log = LogTerms::starting_after(0, 0);
        entries(disk).for_each(|(index, term, _)| log.put_range(index, index, term));
        let term = term_on(disk);
        let vote = if term > 0 { PRIMARY } else { 0 };
        OnDisk { hard: HardState { term, vote }, log, applied: 0 }
    }

    fn value(&self, _: &Disk, key: &[u8]) -> Option<Bytes> {
        self.data.get(key).cloned()
    }

    fn data<'a>(&'a self, _: &'a Disk) -> impl Iterator<Item = (&'a [u8], &'a Bytes)> {
        self.data.iter().map(|(key, value)| (&key[..], value))
    }

    fn audit(&self, _: &Disk, _: u64) -> Result<(), String> {
        Ok(())
    }
}

/// Puts and gets over a bad network, and crashes that lose what was not synced.
const STORY: &str = r#"
    about   = "The primary crashes under load."
    network = { latency = "1ms..5ms", reorder = "10%" }
    disk    = { sync = "5ms" }
    steps   = [
        { wait = "leader", on = 1 },
        { load = "3s", clients = 4, keys = 1000, mix = { put = 1, get = 1 } },
        { after = "700ms", crash = 1, losing = "unsynced" },
        { after = "100ms", restart = 1 },
        { wait = "leader" },
        { after = "700ms", crash = 1, losing = "unsynced" },
        { after = "100ms", restart = 1 },
        { wait = "load" },
    ]"#;

fn verdicts<S: System>() -> Vec<Verdict> {
    let scenario = Arc::new(scenario::parse(STORY).expect("a scenario"));
    let run = |seed| Run::<S>::new(Arc::clone(&scenario), seed, Options::default()).finish();
    (0..20).map(|seed| run(seed).verdict).collect()
}

#[test]
fn a_system_from_outside_runs_and_is_judged() {
    for (seed, verdict) in verdicts::<Store<NOTHING>>().into_iter().enumerate() {
        assert_eq!(verdict, Verdict::Clean, "seed {seed}");
    }
}

#[test]
fn one_that_forgets_what_it_promised_is_found_out() {
    let found = verdicts::<Store<HASTY>>().into_iter().filter(
        |verdict| matches!(verdict, Verdict::Finding(finding) if finding.check == Check::Linearizability),
    );
    assert!(found.count() > 10, "most crashes lose an answered put");
}

#[test]
fn a_joint_configuration_that_should_be_left_is_no_rest() {
    for verdict in verdicts::<Store<STUCK>>() {
        let Verdict::Finding(finding) = verdict else { panic!("{verdict:?}") };
        assert_eq!(finding.check, Check::Liveness, "{}", finding.message);
        assert!(finding.message.contains("has not left its joint configuration"), "{}", finding.message);
    }
    assert!(verdicts::<Store<JOINT>>().iter().all(|verdict| *verdict == Verdict::Clean));
}
