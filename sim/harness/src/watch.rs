//! The observer of a cluster: feeds the checks, keeps the history, counts.
//!
//! What the checks hear of a store comes from its disk and its messages; the few numbers that only the
//! running replica knows (role, commit, applied) are read from it after each event, for the regions that
//! the event touched.

use std::borrow::Cow;
use std::collections::VecDeque;

use raft_proto::eraftpb;
use raftsim_kernel::{Cause, Change, DbId, Fate, Happened, NodeId, Observer, Outgoing, Time, WriteSeq};

use crate::check::{Checks, DiskWrite, Role, Site, Violation, Voters};
use crate::client::{ClientNode, Report};
use crate::history::{History, OpId, Outcome};
use crate::message::Wire;
use crate::node::{Node, store_of};
use crate::record::Record;
use crate::scenario::ast::Check;
use crate::system::{LogWrite, Members, PeerMessage, ReplicaView, Session, System};

/// What the observer knows of one store's machine.
#[derive(Clone, Debug, Default)]
struct Machine {
    /// The replicas that it ever had, as (region, replica id).
    replicas: Vec<(u64, u64)>,
    /// The newest write to the log's database that was seen.
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
    Synced(DbId, WriteSeq),
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

    /// The last index of the log that a machine has of a region, up or down; `None` if the checks know of none.
    #[must_use]
    pub fn last_index(&self, node: NodeId, region: u64) -> Option<u64> {
        let machine = self.machines.get(node.0 as usize)?;
        let (_, replica) = machine.replicas.iter().rev().find(|(of, _)| *of == region)?;
        self.checks.last_index(region, *replica)
    }

    /// Takes the record out of a run that is over.
    pub(crate) fn take_record(&mut self) -> Option<Record> {
        self.record.take().map(|record| *record)
    }

    fn client<C: Session>(&mut self, time: Time, client: &ClientNode<C>) {
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

    fn store<S: System>(&mut self, what: &Happened<'_, Node<S>>, system: &S) {
        if self.stopped.is_none()
            && let Some(failure) = system.failure()
        {
            let store = store_of(what.node);
            self.stopped = Some(Violation {
                check: Check::StoreStopped,
                time: what.time,
                store: Some(store),
                region: None,
                message: format!("store {store} stopped: {failure}"),
            });
        }
        if let Now::Synced(db, up_to) = self.now
            && db == S::LOG_DB
        {
            self.synced(what, up_to);
        }
        let written = what.disk.written(S::LOG_DB);
        let seen = std::mem::replace(&mut self.machines[what.node.0 as usize].seen, written);
        let changes = (seen != written).then(|| what.disk.changes_since(S::LOG_DB, seen));
        let mut effects = Effects::<S, _>::new(changes, what.sent);
        for view in system.touched() {
            self.replica(what, system, &view, &mut effects);
        }
        // A store serves one replica after the other, so nothing of those that it has is left.
        debug_assert!(effects.rest_is_of(|region| system.replica(region).is_none()));
    }

    /// What an event did to one replica: its writes, its messages, and what it is now.
    fn replica<'a, S: System>(
        &mut self,
        what: &Happened<'_, Node<S>>,
        system: &S,
        view: &ReplicaView<'_>,
        effects: &mut Effects<'a, S, impl Iterator<Item = &'a Change>>,
    ) {
        let ReplicaView { region, id: replica, state, .. } = *view;
        let machine = &mut self.machines[what.node.0 as usize];
        let site = Site { time: what.time, node: what.node, region, replica };
        let mut facts = self.checks.at(site);
        let restored = facts.has_restored(view.snapshots);
        // Where the log starts decides what follows it, so that comes first. It is durable with what was written first.
        let mut start = (facts.truncated() != state.truncated).then(|| {
            let index = state.truncated;
            DiskWrite::Start { index, term: view.truncated_term, restored }
        });
        let mut number = effects.next_write_number(region);
        while let Some((seq, write)) = effects.next_write(region) {
            machine.wrote(seq, region, replica);
            // But an entry that was compacted in the event that wrote it was there before.
            let compacted = matches!(write, DiskWrite::Entry(entry) if entry.index <= state.truncated);
            if compacted && !restored {
                number = seq;
            } else if let Some(start) = start.take() {
                facts.wrote(number, start, &state);
            }
            facts.wrote(seq, write, &state);
        }
        if let Some(start) = start {
            facts.wrote(number, start, &state);
        }
        while let Some(message) = effects.next_message(region) {
            facts.sent(&message);
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
            record.state(what.time, what.node, before, &state, system.store_of(region, state.leader));
            record.replica(what.time, what.node, system, view);
        }
        if before.is_none() && !machine.replicas.contains(&(region, replica)) {
            machine.replicas.push((region, replica));
        }
        let Members { voters, outgoing, .. } = view.members;
        facts.state(&state, Voters { incoming: voters, outgoing });
    }

    fn synced<S: System>(&mut self, what: &Happened<'_, Node<S>>, up_to: WriteSeq) {
        let machine = &mut self.machines[what.node.0 as usize];
        while let Some((region, replica)) = machine.next_synced(up_to) {
            let site = Site { time: what.time, node: what.node, region, replica };
            self.checks.at(site).synced(up_to);
        }
    }

    /// What a disk holds after a crash is all durable.
    fn crashed<S: System>(&mut self, what: &Happened<'_, Node<S>>) {
        let machine = &mut self.machines[what.node.0 as usize];
        for &(region, replica) in &machine.replicas {
            let site = Site { time: what.time, node: what.node, region, replica };
            self.checks.at(site).reset(S::on_disk(what.disk, region));
        }
        machine.seen = what.disk.written(S::LOG_DB);
        machine.unsynced.clear();
        self.changes += 1;
    }
}

impl<S: System> Observer<Node<S>> for Watch {
    fn happening(&mut self, time: Time, node: NodeId, cause: &Cause<'_, Node<S>>) {
        self.now = match cause {
            Cause::Synced { db, up_to } => Now::Synced(*db, *up_to),
            _ => Now::Other,
        };
        if let Some(record) = &mut self.record {
            record.cause(time, node, cause);
        }
    }

    fn happened(&mut self, what: &Happened<'_, Node<S>>) {
        match what.process {
            Some(Node::Client(client)) => self.client(what.time, client),
            // With the checks off nobody looks at what changed: any event may matter to the steps.
            Some(Node::Store(_)) | None if self.checks.is_disabled() => self.changes += 1,
            Some(Node::Store(store)) => self.store(what, &store.system),
            None if (what.node.0 as usize) < self.stores => self.crashed(what),
            None => {}
        }
    }

    fn routed(&mut self, time: Time, from: NodeId, to: NodeId, message: &Wire<S>, fate: Fate) {
        if let Some(record) = &mut self.record {
            record.routed(time, from, to, message, fate);
        }
    }
}

/// What an event did: first all that concerns one replica, then all that concerns the next.
struct Effects<'a, S: System, C> {
    /// `None` where nothing was written.
    changes: Option<C>,
    /// The next write of a replica, and its number.
    write: Option<(WriteSeq, LogWrite)>,
    sent: &'a [Outgoing<Wire<S>>],
}

fn log_write<S: System>(change: &Change) -> Option<(WriteSeq, LogWrite)> {
    S::log_write(change).map(|write| (change.seq, write))
}

impl<'a, S: System, C: Iterator<Item = &'a Change>> Effects<'a, S, C> {
    fn new(mut changes: Option<C>, sent: &'a [Outgoing<Wire<S>>]) -> Effects<'a, S, C> {
        let write = changes.as_mut().and_then(|changes| changes.find_map(log_write::<S>));
        Effects { changes, write, sent }
    }

    /// The number of the next write, if it is of this region; 0 if there is none.
    fn next_write_number(&self, region: u64) -> WriteSeq {
        self.write.filter(|(_, write)| write.region == region).map_or(0, |(seq, _)| seq)
    }

    /// The next write, if it is of this region.
    #[inline]
    fn next_write(&mut self, region: u64) -> Option<(WriteSeq, DiskWrite)> {
        let (seq, LogWrite { write, .. }) = self.write.take_if(|(_, write)| write.region == region)?;
        self.write = self.changes.as_mut().and_then(|changes| changes.find_map(log_write::<S>));
        Some((seq, write))
    }

    /// The next message between replicas, if it is of this region.
    #[inline]
    fn next_message(&mut self, region: u64) -> Option<Cow<'a, eraftpb::Message>> {
        while let Some((first, rest)) = self.sent.split_first() {
            if let Wire::Peer(message) = &first.message {
                if message.region() != region {
                    return None;
                }
                self.sent = rest;
                if let Some(message) = message.raft() {
                    return Some(message);
                }
                continue;
            }
            self.sent = rest;
        }
        None
    }

    /// Whether all that was not asked for is of such regions.
    fn rest_is_of(&mut self, region: impl Fn(u64) -> bool) -> bool {
        let of = |outgoing: &Outgoing<Wire<S>>| match &outgoing.message {
            Wire::Peer(message) => region(message.region()),
            _ => true,
        };
        let later = self.changes.iter_mut().flatten().filter_map(log_write::<S>);
        self.write.take().into_iter().chain(later).all(|(_, write)| region(write.region))
            && self.sent.iter().all(of)
    }
}
