//! The observer of a cluster: feeds the checks, keeps the history, counts.
//!
//! What the checks hear of a store comes from its disk and its messages; the few numbers that only the
//! running replica knows (role, commit, applied) are read from it after each event, for the regions that
//! the event touched.

mod decode;

use std::collections::VecDeque;

use raftsim_kernel::{Cause, DbId, Fate, Happened, NodeId, Observer, Time, WriteSeq};
use raftstore::{Peer, Store};

use crate::check::{Checks, DiskWrite, ReplicaState, Role, Site};
use crate::client::{ClientNode, Report};
use crate::history::{History, OpId, Outcome};
use crate::message::{Wire, raft_message};
use crate::node::Node;
use crate::record::Record;
use crate::store_node::{RAFT_DB, StoreNode};

/// What the observer knows of one store's machine.
#[derive(Clone, Debug, Default)]
struct Machine {
    /// The replicas that it ever had, as (region, replica id).
    replicas: Vec<(u64, u64)>,
    /// The newest write to the raft database that was seen.
    seen: WriteSeq,
    /// Who waits for that database to be synced, in the order of the writes.
    unsynced: VecDeque<Unsynced>,
}

/// Writes of one replica with no other's in between.
#[derive(Clone, Copy, Debug)]
struct Unsynced {
    first: WriteSeq,
    last: WriteSeq,
    region: u64,
    replica: u64,
}

impl Machine {
    fn wrote(&mut self, seq: WriteSeq, region: u64, replica: u64) {
        match self.unsynced.back_mut() {
            Some(back) if (back.region, back.replica) == (region, replica) => back.last = seq,
            _ => self.unsynced.push_back(Unsynced { first: seq, last: seq, region, replica }),
        }
    }

    /// The next replica with a write that is durable now.
    fn next_synced(&mut self, up_to: WriteSeq) -> Option<(u64, u64)> {
        let front = self.unsynced.front_mut().filter(|front| front.first <= up_to)?;
        let Unsynced { last, region, replica, .. } = *front;
        front.first = up_to + 1;
        if last <= up_to {
            self.unsynced.pop_front();
        }
        Some((region, replica))
    }
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
                    self.counters.ops += u64::from(!matches!(outcome, Outcome::Failed | Outcome::Unknown));
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
        if let Now::Synced(RAFT_DB, up_to) = self.now {
            self.synced(what, up_to);
        }
        // The state of the replica that was looked at last: most events are about one.
        let mut known = None;
        if what.disk.written(RAFT_DB) != self.machines[what.node.0 as usize].seen {
            self.wrote(what, store, &mut known);
        }
        for outgoing in what.sent {
            let Wire::Raft(message) = &outgoing.message else { continue };
            if let (Some(inner), Some(from)) = (raft_message(message), message.from_peer) {
                self.checks.at(site(what, message.region_id, from.id)).sent(inner);
            }
        }
        if self.now == Now::Start {
            for peer in store.peers() {
                self.touched(what, &Seen::of(peer));
            }
        } else {
            for region in store.touched() {
                if let Some(seen) = look(store, *region, &mut known) {
                    self.touched(what, &seen);
                }
            }
        }
    }

    fn touched(&mut self, what: &Happened<'_, Node>, seen: &Seen<'_>) {
        let (region, replica, state) = (seen.region, seen.peer.peer_id(), &seen.state);
        let mut facts = self.checks.at(site(what, region, replica));
        let before = facts.last_state();
        if before == Some(state) {
            return;
        }
        self.changes += 1;
        let led = |s: &ReplicaState| s.role == Role::Leader;
        if led(state) && before.is_none_or(|b| !led(b) || b.term != state.term) {
            self.counters.elections += 1;
        }
        if let Some(record) = &mut self.record {
            record.state(what.time, what.node, region, before, state);
        }
        if before.is_none() {
            let replicas = &mut self.machines[what.node.0 as usize].replicas;
            if !replicas.contains(&(region, replica)) {
                replicas.push((region, replica));
            }
        }
        if facts.truncated() != state.truncated {
            facts.wrote(0, seen.start(), state);
        }
        facts.state(state, seen.peer.raft().voters());
    }

    fn wrote<'a>(&mut self, what: &Happened<'_, Node>, store: &'a Store, known: &mut Option<Seen<'a>>) {
        let machine = &mut self.machines[what.node.0 as usize];
        for change in what.disk.changes_since(RAFT_DB, machine.seen) {
            let Some((region, write)) = decode::raft_write(change) else { continue };
            let Some(seen) = look(store, region, known) else { continue };
            let replica = seen.peer.peer_id();
            machine.wrote(change.seq, region, replica);
            let mut facts = self.checks.at(site(what, region, replica));
            // Where the log starts decides what a removed entry means, so that comes first.
            if facts.truncated() != seen.state.truncated {
                facts.wrote(change.seq, seen.start(), &seen.state);
            }
            facts.wrote(change.seq, write, &seen.state);
        }
        machine.seen = what.disk.written(RAFT_DB);
    }

    fn synced(&mut self, what: &Happened<'_, Node>, up_to: WriteSeq) {
        let machine = &mut self.machines[what.node.0 as usize];
        while let Some((region, replica)) = machine.next_synced(up_to) {
            self.checks.at(site(what, region, replica)).synced(up_to);
        }
    }

    /// What a disk holds after a crash is all durable.
    fn crashed(&mut self, what: &Happened<'_, Node>) {
        let machine = &mut self.machines[what.node.0 as usize];
        for &(region, replica) in &machine.replicas {
            self.checks.at(site(what, region, replica)).reset(decode::on_disk(what.disk, region));
        }
        machine.seen = what.disk.written(RAFT_DB);
        machine.unsynced.clear();
        self.changes += 1;
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

/// A replica after an event.
#[derive(Clone, Copy)]
struct Seen<'a> {
    region: u64,
    peer: &'a Peer,
    state: ReplicaState,
}

impl<'a> Seen<'a> {
    fn of(peer: &'a Peer) -> Seen<'a> {
        Seen { region: peer.region().id, peer, state: replica_state(peer) }
    }

    /// Where its log starts.
    fn start(&self) -> DiskWrite {
        let start = self.peer.raft().truncated();
        DiskWrite::Start { index: start.index, term: start.term }
    }
}

/// A region's replica on a store. `known` is the one that was looked at before.
fn look<'a>(store: &'a Store, region: u64, known: &mut Option<Seen<'a>>) -> Option<Seen<'a>> {
    if known.is_none_or(|seen| seen.region != region) {
        *known = store.peer(region).map(Seen::of);
    }
    *known
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

