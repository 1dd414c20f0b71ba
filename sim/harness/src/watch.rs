//! The observer of a cluster: feeds the checks, keeps the history, counts.
//!
//! What the checks hear of a store comes from its disk and its messages; the few numbers that only the
//! running replica knows (role, commit, applied) are read from it after each event, for the regions that
//! the event touched.

mod decode;

use std::collections::VecDeque;

use raft_proto::eraftpb;
use raftsim_kernel::{Cause, Change, DbId, Fate, Happened, NodeId, Observer, Outgoing, Time, WriteSeq};
use raftstore::Peer;

use crate::check::{Checks, DiskWrite, ReplicaState, Role, Site, Violation};
use crate::client::{ClientNode, Report};
use crate::history::{History, OpId, Outcome};
use crate::message::{Wire, raft_message};
use crate::node::Node;
use crate::record::Record;
use crate::scenario::ast::Check;
use crate::store_node::{RAFT_DB, StoreNode};
use decode::RaftWrite;

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
    /// Grows whenever a replica's state changed: conditions need a new look.
    changes: u64,
    /// Grows with every event of a client.
    answers: u64,
    /// The first store that stopped.
    stopped: Option<Violation>,
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
            answers: 0,
            stopped: None,
            record: record.map(Box::new),
        }
    }

    /// The first violation that any check saw.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.stopped.as_ref().or(self.checks.violation())
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

    /// Grows with every change of a replica's state.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// Grows with every event of a client: calls, answers, timeouts.
    #[must_use]
    pub fn answers(&self) -> u64 {
        self.answers
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
        self.answers += 1;
    }

    fn store(&mut self, what: &Happened<'_, Node>, node: &StoreNode) {
        if self.stopped.is_none()
            && let Some(failure) = node.failure()
        {
            self.stopped = Some(Violation {
                check: Check::StoreStopped,
                time: what.time,
                store: Some(u64::from(what.node.0) + 1),
                region: None,
                message: format!("store {} stopped: {failure}", what.node.0 + 1),
            });
        }
        let Some(store) = node.store() else { return };
        if let Now::Synced(RAFT_DB, up_to) = self.now {
            self.synced(what, up_to);
        }
        let written = what.disk.written(RAFT_DB);
        let seen = std::mem::replace(&mut self.machines[what.node.0 as usize].seen, written);
        let changes = (seen != written).then(|| what.disk.changes_since(RAFT_DB, seen));
        let mut effects = Effects::new(changes, what.sent);
        if self.now == Now::Start {
            for peer in store.peers() {
                self.replica(what, peer, &mut effects);
            }
        } else {
            for region in store.touched() {
                if let Some(peer) = store.peer(*region) {
                    self.replica(what, peer, &mut effects);
                }
            }
        }
        // A store serves one replica after the other, so nothing of those that it has is left.
        debug_assert!(effects.rest_is_of(|region| store.peer(region).is_none()));
    }

    /// What an event did to one replica: its writes, its messages, and what it is now.
    fn replica<'a>(
        &mut self,
        what: &Happened<'_, Node>,
        peer: &Peer,
        effects: &mut Effects<'a, impl Iterator<Item = &'a Change>>,
    ) {
        let (region, replica, state) = (peer.region().id, peer.peer_id(), replica_state(peer));
        let machine = &mut self.machines[what.node.0 as usize];
        let site = Site { time: what.time, node: what.node, region, replica };
        let mut facts = self.checks.at(site);
        // Where the log starts decides what a removed entry means, so that comes first.
        if facts.truncated() != state.truncated {
            let start = peer.raft().truncated();
            facts.wrote(0, DiskWrite::Start { index: start.index, term: start.term }, &state);
        }
        while let Some(RaftWrite { seq, write, .. }) = effects.next_write(region) {
            machine.wrote(seq, region, replica);
            facts.wrote(seq, write, &state);
        }
        while let Some(message) = effects.next_message(region) {
            facts.sent(message);
        }
        let before = facts.last_state();
        if before == Some(&state) {
            return;
        }
        self.changes += 1;
        if state.role == Role::Leader && before.is_none_or(|before| state.takes_office_after(before)) {
            self.counters.elections += 1;
        }
        if let Some(record) = &mut self.record {
            record.state(what.time, what.node, region, before, &state);
        }
        if before.is_none() && !machine.replicas.contains(&(region, replica)) {
            machine.replicas.push((region, replica));
        }
        facts.state(&state, peer.raft().voters());
    }

    fn synced(&mut self, what: &Happened<'_, Node>, up_to: WriteSeq) {
        let machine = &mut self.machines[what.node.0 as usize];
        while let Some((region, replica)) = machine.next_synced(up_to) {
            let site = Site { time: what.time, node: what.node, region, replica };
            self.checks.at(site).synced(up_to);
        }
    }

    /// What a disk holds after a crash is all durable.
    fn crashed(&mut self, what: &Happened<'_, Node>) {
        let machine = &mut self.machines[what.node.0 as usize];
        for &(region, replica) in &machine.replicas {
            let site = Site { time: what.time, node: what.node, region, replica };
            self.checks.at(site).reset(decode::on_disk(what.disk, region));
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
            // With the checks off nobody looks at what changed: any event may matter to the steps.
            Some(Node::Store(_)) | None if self.checks.is_disabled() => self.changes += 1,
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

/// What an event did: first all that concerns one replica, then all that concerns the next.
struct Effects<'a, C> {
    /// `None` where nothing was written.
    changes: Option<C>,
    write: Option<RaftWrite>,
    sent: &'a [Outgoing<Wire>],
}

impl<'a, C: Iterator<Item = &'a Change>> Effects<'a, C> {
    fn new(mut changes: Option<C>, sent: &'a [Outgoing<Wire>]) -> Effects<'a, C> {
        let write = changes.as_mut().and_then(|changes| changes.find_map(decode::raft_write));
        Effects { changes, write, sent }
    }

    /// The next write, if it is of this region.
    #[inline]
    fn next_write(&mut self, region: u64) -> Option<RaftWrite> {
        let write = self.write.take_if(|write| write.region == region)?;
        self.write = self.changes.as_mut().and_then(|changes| changes.find_map(decode::raft_write));
        Some(write)
    }

    /// The next message between replicas, if it is of this region.
    #[inline]
    fn next_message(&mut self, region: u64) -> Option<&'a eraftpb::Message> {
        while let Some((first, rest)) = self.sent.split_first() {
            if let Wire::Raft(message) = &first.message {
                if message.region_id != region {
                    return None;
                }
                self.sent = rest;
                return raft_message(message);
            }
            self.sent = rest;
        }
        None
    }

    /// Whether all that was not asked for is of such regions.
    fn rest_is_of(&mut self, region: impl Fn(u64) -> bool) -> bool {
        let of = |outgoing: &Outgoing<Wire>| match &outgoing.message {
            Wire::Raft(message) => region(message.region_id),
            _ => true,
        };
        let later = self.changes.iter_mut().flatten().filter_map(decode::raft_write);
        self.write.take().into_iter().chain(later).all(|write| region(write.region))
            && self.sent.iter().all(of)
    }
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
            raft::Role::PreCandidate | raft::Role::Candidate => Role::Candidate,
            raft::Role::Leader => Role::Leader,
        },
        leader: raft.leader().unwrap_or(0),
        commit: raft.commit(),
        applied: raft.applied(),
        truncated: raft.truncated().index,
        last: raft.last().index,
    }
}
