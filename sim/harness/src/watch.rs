//! The observer of a cluster: feeds the checks, keeps the history, counts.
//!
//! What the checks hear of a store comes from its disk and its messages; the few numbers that only the
//! running replica knows (role, commit, applied) are read from it after each event, for the regions that
//! the event touched.

use std::collections::VecDeque;

use prost::Message as _;
use raft_proto::eraftpb::Entry;
use raft_proto::raft_serverpb::{RaftApplyState, RaftLocalState};
use raftsim_kernel::{Cause, Change, DbId, Disk, Fate, Happened, NodeId, Observer, Time, WriteSeq};
use raftstore::keys::{self, Key};
use raftstore::{Peer, Store};

use crate::check::{Checks, DiskWrite, HardState, LogEntry, LogTerms, OnDisk, ReplicaState, Role, Site};
use crate::client::{ClientNode, Report};
use crate::history::{History, OpId};
use crate::message::{Wire, raft_message};
use crate::node::Node;
use crate::record::Record;
use crate::store_node::{KV_DB, RAFT_DB, StoreNode};

/// What the observer knows of one store's machine.
#[derive(Clone, Debug, Default)]
struct Machine {
    /// The replicas that it has, as (region, replica id).
    replicas: Vec<(u64, u64)>,
    /// The newest write seen, a database each.
    seen: [WriteSeq; 2],
    /// Writes that are not durable: number, region, replica.
    unsynced: [VecDeque<(WriteSeq, u64, u64)>; 2],
}

/// What kind of event is being handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Now {
    Start,
    Synced(DbId, WriteSeq),
    Crash,
    Other,
}

/// How a run went so far, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Leaders elected.
    pub elections: u64,
    /// Client operations that succeeded.
    pub ops: u64,
    /// Attempts at client operations.
    pub attempts: u64,
}

/// The observer.
#[derive(Clone, Debug)]
pub struct Watch {
    stores: usize,
    machines: Vec<Machine>,
    checks: Checks,
    history: History,
    /// The open call of each client.
    open: Vec<Option<OpId>>,
    counters: Counters,
    now: Now,
    /// Grows whenever a replica's state or a client's job changed: conditions need a new look.
    changes: u64,
    record: Option<Box<Record>>,
}

impl Watch {
    /// An observer of so many stores and clients.
    #[must_use]
    pub fn new(stores: usize, clients: usize, checks: Checks, record: Option<Record>) -> Watch {
        Watch {
            stores,
            machines: vec![Machine::default(); stores],
            checks,
            history: History::new(),
            open: vec![None; clients],
            counters: Counters::default(),
            now: Now::Other,
            changes: 0,
            record: record.map(Box::new),
        }
    }

    /// The checks.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// What clients called and were told.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The history, to add final reads.
    #[must_use]
    pub fn history_mut(&mut self) -> &mut History {
        &mut self.history
    }

    /// The numbers.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Grows with every change of a replica's state and every answer to a client.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The record of what happened, if one is kept.
    #[must_use]
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// The record, to add what the scenario does.
    #[must_use]
    pub fn record_mut(&mut self) -> Option<&mut Record> {
        self.record.as_deref_mut()
    }

    fn client(&mut self, time: Time, client: &ClientNode) {
        let number = client.number();
        let slot = usize::try_from(number).unwrap_or(usize::MAX);
        for report in client.reports() {
            match report {
                Report::Call(request) => {
                    self.counters.attempts += 1;
                    self.open[slot] = Some(self.history.call(number, time, request.clone()));
                }
                Report::Return(outcome) => {
                    if let Some(op) = self.open[slot].take() {
                        self.history.ret(op, time, outcome.clone());
                    }
                }
            }
        }
        if !client.reports().is_empty() {
            self.changes += 1;
            // A job ends with a return that no further call follows, or with a call of the next one; either
            // way the client counts it.
        }
    }

    fn store(&mut self, what: &Happened<'_, Node>, node: &StoreNode) {
        let Some(store) = node.store() else { return };
        let index = what.node.0 as usize;
        if self.now == Now::Start {
            self.restarted(what, store);
        }
        if let Now::Synced(db, up_to) = self.now {
            self.synced(what, db, up_to);
        }
        for db in [RAFT_DB, KV_DB] {
            if what.disk.written(db) != self.machines[index].seen[db.0 as usize] {
                self.wrote(what, store, db);
            }
        }
        for outgoing in what.sent {
            let Wire::Raft(message) = &outgoing.message else { continue };
            let (Some(inner), Some(from)) = (raft_message(message), message.from_peer) else { continue };
            self.checks.sent(site(what, message.region_id, from.id), inner);
        }
        for region in store.touched() {
            if let Some(peer) = store.peer(*region) {
                self.touched(what, *region, peer);
            }
        }
    }

    fn touched(&mut self, what: &Happened<'_, Node>, region: u64, peer: &Peer) {
        let site = site(what, region, peer.peer_id());
        let state = replica_state(peer);
        let machine = &mut self.machines[what.node.0 as usize];
        if !machine.replicas.contains(&(region, site.replica)) {
            machine.replicas.push((region, site.replica));
        }
        let before = self.checks.replica_state(region, site.replica);
        if before == Some(state) {
            return;
        }
        self.changes += 1;
        let led = |s: &ReplicaState| s.role == Role::Leader;
        if led(&state) && before.is_none_or(|b| !led(&b) || b.term != state.term) {
            self.counters.elections += 1;
        }
        if let Some(record) = &mut self.record {
            record.state(what.time, what.node, region, before.as_ref(), &state);
        }
        self.checks.state(site, &state, peer.raft().voters());
    }

    fn wrote(&mut self, what: &Happened<'_, Node>, store: &Store, db: DbId) {
        let slot = db.0 as usize;
        let machine = &mut self.machines[what.node.0 as usize];
        let mut peer: Option<(u64, u64, ReplicaState)> = None;
        for change in what.disk.changes_since(db, machine.seen[slot]) {
            let Some((region, write)) = decode(change) else { continue };
            if peer.is_none_or(|(known, ..)| known != region) {
                peer = store.peer(region).map(|peer| (region, peer.peer_id(), replica_state(peer)));
            }
            let Some((_, replica, state)) = peer else { continue };
            machine.unsynced[slot].push_back((change.seq, region, replica));
            self.checks.wrote(site(what, region, replica), slot, change.seq, write, Some(&state));
        }
        machine.seen[slot] = what.disk.written(db);
    }

    fn synced(&mut self, what: &Happened<'_, Node>, db: DbId, up_to: WriteSeq) {
        let slot = db.0 as usize;
        let queue = &mut self.machines[what.node.0 as usize].unsynced[slot];
        while let Some((seq, region, replica)) = queue.pop_front_if(|(seq, ..)| *seq <= up_to) {
            self.checks.synced(site(what, region, replica), slot, seq);
        }
    }

    /// What a disk holds after a crash is all durable; what it holds at boot too, but for what the boot itself wrote.
    fn restarted(&mut self, what: &Happened<'_, Node>, store: &Store) {
        for peer in store.peers() {
            let region = peer.region().id;
            self.checks.reset(site(what, region, peer.peer_id()), on_disk(what.disk, region));
            let machine = &mut self.machines[what.node.0 as usize];
            if !machine.replicas.contains(&(region, peer.peer_id())) {
                machine.replicas.push((region, peer.peer_id()));
            }
        }
        self.forget_writes(what);
        for peer in store.peers() {
            self.touched(what, peer.region().id, peer);
        }
    }

    fn crashed(&mut self, what: &Happened<'_, Node>) {
        for (region, replica) in std::mem::take(&mut self.machines[what.node.0 as usize].replicas) {
            self.checks.reset(site(what, region, replica), on_disk(what.disk, region));
        }
        self.forget_writes(what);
        self.changes += 1;
    }

    fn forget_writes(&mut self, what: &Happened<'_, Node>) {
        let machine = &mut self.machines[what.node.0 as usize];
        machine.seen = [what.disk.written(RAFT_DB), what.disk.written(KV_DB)];
        machine.unsynced = Default::default();
    }
}

impl Observer<Node> for Watch {
    fn happening(&mut self, time: Time, node: NodeId, cause: &Cause<'_, Node>) {
        self.now = match cause {
            Cause::Start => Now::Start,
            Cause::Synced { db, up_to } => Now::Synced(*db, *up_to),
            Cause::Crash { .. } => Now::Crash,
            _ => Now::Other,
        };
        if let Some(record) = &mut self.record {
            record.cause(time, node, cause);
        }
    }

    fn happened(&mut self, what: &Happened<'_, Node>) {
        match what.process {
            Some(Node::Client(client)) => self.client(what.time, client),
            Some(Node::Store(_)) | None if self.checks.is_disabled() => self.unchecked(what),
            Some(Node::Store(store)) => self.store(what, store),
            None if (what.node.0 as usize) < self.stores => self.crashed(what),
            None => {}
        }
    }

    fn routed(&mut self, time: Time, from: NodeId, to: NodeId, message: &Wire, fate: Fate) {
        if let Some(record) = &mut self.record {
            record.routed(time, from, to, message, fate);
        }
    }
}

impl Watch {
    /// With the checks off only the steps of a scenario look on: any event may matter to them.
    fn unchecked(&mut self, _: &Happened<'_, Node>) {
        self.changes += 1;
    }
}

fn site(what: &Happened<'_, Node>, region: u64, replica: u64) -> Site {
    Site { time: what.time, node: what.node, region, replica }
}

/// A replica as the checks see it.
#[must_use]
pub fn replica_state(peer: &Peer) -> ReplicaState {
    let raft = peer.raft();
    ReplicaState {
        term: raft.term(),
        vote: raft.vote().unwrap_or(0),
        role: match raft.role() {
            raft::Role::Follower => Role::Follower,
            raft::Role::Candidate => Role::Candidate,
            raft::Role::Leader => Role::Leader,
        },
        leader: raft.leader().unwrap_or(0),
        commit: raft.commit(),
        applied: raft.applied(),
        truncated: raft.truncated().index,
        last: raft.last().index,
    }
}

/// What a change of a raftstore database means to the checks.
fn decode(change: &Change) -> Option<(u64, DiskWrite)> {
    match (keys::decode(&change.key)?, &change.new) {
        (Key::RaftLog { region, index }, None) => Some((region, DiskWrite::Truncate(index))),
        (Key::RaftLog { region, index }, Some(value)) => Some((region, DiskWrite::Entry(log_entry(index, value)?))),
        (Key::RaftState { region }, Some(value)) => {
            let hard = RaftLocalState::decode(value.as_ref()).ok()?.hard_state.unwrap_or_default();
            Some((region, DiskWrite::Hard(HardState { term: hard.term, vote: hard.vote })))
        }
        (Key::ApplyState { region }, Some(value)) => {
            let state = RaftApplyState::decode(value.as_ref()).ok()?;
            Some((region, DiskWrite::Applied(state.applied_index)))
        }
        _ => None,
    }
}

fn log_entry(index: u64, value: &bytes::Bytes) -> Option<LogEntry> {
    let entry = Entry::decode(value.clone()).ok()?;
    Some(LogEntry { index, term: entry.term, digest: LogEntry::digest(entry.entry_type(), &entry.data) })
}

/// Reads what a disk holds of a region's replica.
fn on_disk(disk: &Disk, region: u64) -> OnDisk {
    let raft_state = disk.get(RAFT_DB, &keys::raft_state(region)).cloned().unwrap_or_default();
    let apply_state = disk.get(KV_DB, &keys::apply_state(region)).cloned().unwrap_or_default();
    // What does not decode reads as nothing; the store refuses it on its own.
    let hard = RaftLocalState::decode(raft_state).unwrap_or_default().hard_state.unwrap_or_default();
    let apply = RaftApplyState::decode(apply_state).unwrap_or_default();
    let truncated = apply.truncated_state.unwrap_or_default();
    let mut log = LogTerms::starting_after(truncated.index, truncated.term);
    let (start, end) = (keys::raft_log(region, truncated.index + 1), keys::raft_log(region, u64::MAX));
    for (key, value) in disk.range(RAFT_DB, &start, Some(&end)) {
        if let Some(Key::RaftLog { index, .. }) = keys::decode(key)
            && let Some(entry) = log_entry(index, value)
        {
            log.put(index, entry.term);
        }
    }
    OnDisk { hard: HardState { term: hard.term, vote: hard.vote }, log, applied: apply.applied_index }
}
