//! A group of replicas, the messages between them, and how each action is performed.
//!
//! Everything goes through [`World::call`], so the oracle sees each replica after each call.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry, EntryType, Message,
    MessageType,
};
use raft::{EntryId, Error, RawNode, Ready, Role, SnapshotStatus, conf_change_of};

use crate::action::{Action, Edit, Group, LEADER, Lazy, Who};
use crate::coverage::Situation;
use crate::oracle::Oracle;
use crate::replica::{Job, Machine, Replica, describe};

/// More messages than that are not under way at once: the oldest are lost.
const POOL: usize = 150;

pub(crate) struct World {
    pub(crate) replicas: Vec<Replica>,
    pub(crate) oracle: Oracle,
    pub(crate) group: Group,
    /// Under way, in the order they were sent.
    pub(crate) pool: Vec<Message>,
    pub(crate) cuts: BTreeSet<(u64, u64)>,
    /// Replicas that do nothing any more.
    pub(crate) stopped: BTreeSet<u64>,
    /// What the transport has to tell (leader, peer) of a snapshot.
    pub(crate) reports: BTreeMap<(u64, u64), SnapshotStatus>,
    /// Whose tick is next, if clocks run at the same rate.
    next_tick: usize,
    proposals: u64,
    /// Who was told to campaign, and the term in which it did.
    forced: BTreeSet<(u64, u64)>,
    transcript: Option<Vec<String>>,
}

impl World {
    pub(crate) fn new(group: &Group, with_transcript: bool) -> World {
        let replicas: Vec<Replica> = (1..=u64::from(group.replicas)).map(|id| Replica::fresh(id, group)).collect();
        World {
            oracle: Oracle::new(&replicas),
            replicas,
            group: group.clone(),
            pool: Vec::new(),
            cuts: BTreeSet::new(),
            stopped: BTreeSet::new(),
            reports: BTreeMap::new(),
            next_tick: 0,
            proposals: 0,
            forced: BTreeSet::new(),
            transcript: with_transcript.then(Vec::new),
        }
    }

    pub(crate) fn take_transcript(&mut self) -> Vec<String> {
        self.transcript.take().unwrap_or_default()
    }

    pub(crate) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(transcript) = &mut self.transcript {
            transcript.push(line());
        }
    }

    // Who.

    /// The replica that leads the highest term.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leading = (0..self.replicas.len()).filter(|&at| self.raw(at).role() == Role::Leader);
        leading.filter(|&at| !self.stopped.contains(&self.raw(at).id())).max_by_key(|&at| self.raw(at).term())
    }

    fn resolve(&self, who: Who) -> Option<usize> {
        if who >= LEADER { self.leader() } else { Some(usize::from(who) % self.replicas.len()) }
    }

    pub(crate) fn raw(&self, at: usize) -> &RawNode {
        &self.replicas[at].raw
    }

    // Calls.

    /// Makes a call, and lets the oracle look at what it did.
    pub(crate) fn call<T>(&mut self, at: usize, input: impl FnOnce(&mut RawNode) -> T) -> T {
        let result = input(&mut self.replicas[at].raw);
        self.oracle.observe(&self.replicas, at);
        result
    }

    /// Makes a call, and does the work that follows from it.
    pub(crate) fn act<T>(&mut self, at: usize, input: impl FnOnce(&mut RawNode) -> T) -> T {
        let result = self.call(at, input);
        self.work(at);
        result
    }

    pub(crate) fn perform(&mut self, action: &Action) {
        self.note(|| format!("{action:?}"));
        match *action {
            Action::TickAll { ticks, at_once } => self.tick_all(ticks, at_once),
            Action::Calm { rounds } => (0..rounds).for_each(|_| self.round()),
            Action::Deliver { message } => {
                if let Some(message) = self.take_message(message) {
                    self.deliver(message);
                }
            }
            Action::DeliverSome { count } => self.deliver_some(usize::from(count)),
            Action::Drop { message } => {
                if let Some(message) = self.take_message(message) {
                    self.lose(&message);
                }
            }
            Action::Duplicate { message } => {
                if !self.pool.is_empty() {
                    self.oracle.coverage.note(Situation::Duplicated);
                    self.pool.push(self.pool[usize::from(message) % self.pool.len()].clone());
                }
            }
            Action::Heal => self.cuts.clear(),
            Action::Tick { who, .. }
            | Action::Cut { from: who, .. }
            | Action::Isolate { who }
            | Action::Propose { who, .. }
            | Action::Step { who, .. }
            | Action::Read { who }
            | Action::Change { who, .. }
            | Action::LeaveJoint { who }
            | Action::Transfer { who, .. }
            | Action::Campaign { who }
            | Action::ForgetLeader { who }
            | Action::RequestSnapshot { who }
            | Action::SetPriority { who, .. }
            | Action::Unreachable { who, .. }
            | Action::ReportSnapshot { who, .. }
            | Action::FinishSnapshot { who, .. }
            | Action::Pace { who, .. }
            | Action::TakeReady { who }
            | Action::Persist { who, .. }
            | Action::Apply { who, .. }
            | Action::Checkpoint { who }
            | Action::Compact { who, .. }
            | Action::Crash { who, .. } => {
                if let Some(at) = self.resolve(who) {
                    self.perform_on(at, action);
                }
            }
        }
    }

    fn perform_on(&mut self, at: usize, action: &Action) {
        match action {
            Action::Tick { ticks, at_once, .. } => self.tick(at, *ticks, *at_once),
            Action::Cut { to, .. } => {
                if let Some(to) = self.resolve(*to) {
                    self.cuts.insert((self.raw(at).id(), self.raw(to).id()));
                }
            }
            Action::Isolate { .. } => {
                let id = self.raw(at).id();
                let others = (1..=self.replicas.len() as u64).filter(|&other| other != id);
                others.for_each(|other| self.cuts.extend([(id, other), (other, id)]));
            }
            Action::Propose { large, .. } => {
                let data = self.data(*large);
                let result = self.act(at, |raw| raw.propose(data));
                if result == Err(Error::TooMuchUncommitted) {
                    self.oracle.coverage.note(Situation::TooMuchUncommitted);
                }
            }
            Action::Step { entries, change, .. } => self.step_proposal(at, *entries, *change),
            Action::Read { .. } => self.read(at),
            Action::Change { edits, how, .. } => {
                let change = change(edits, *how, self.replicas.len());
                let _ = self.act(at, |raw| raw.propose_conf_change(&change));
            }
            Action::LeaveJoint { .. } => {
                let _ = self.act(at, |raw| raw.propose_conf_change(&ConfChangeV2::default()));
            }
            Action::Transfer { to, .. } => {
                if let Some(to) = self.resolve(*to) {
                    let to = self.raw(to).id();
                    let _ = self.act(at, |raw| raw.transfer_leader(to));
                }
            }
            Action::Campaign { .. } => self.act(at, RawNode::campaign),
            Action::ForgetLeader { .. } => {
                let _ = self.act(at, RawNode::forget_leader);
            }
            Action::RequestSnapshot { .. } => {
                let _ = self.act(at, RawNode::request_snapshot);
            }
            Action::SetPriority { priority, .. } => self.call(at, |raw| raw.set_priority(*priority)),
            Action::Unreachable { peer, .. } => {
                if let Some(peer) = self.resolve(*peer) {
                    let peer = self.raw(peer).id();
                    self.act(at, |raw| raw.report_unreachable(peer));
                }
            }
            Action::ReportSnapshot { peer, finished, .. } => {
                if let Some(peer) = self.resolve(*peer) {
                    let (id, peer) = (self.raw(at).id(), self.raw(peer).id());
                    let made_up = if *finished { SnapshotStatus::Finished } else { SnapshotStatus::Failed };
                    let status = self.reports.remove(&(id, peer)).unwrap_or(made_up);
                    self.act(at, |raw| raw.report_snapshot(peer, status));
                }
            }
            Action::FinishSnapshot { fails, .. } => self.finish_snapshot(at, *fails),
            Action::Pace { lazy, .. } => self.pace(at, *lazy),
            Action::TakeReady { .. } => {
                self.take_ready(at);
                self.work(at);
            }
            Action::Persist { batches, .. } => {
                self.persist(at, usize::from(*batches));
                self.work(at);
            }
            Action::Apply { entries, .. } => {
                self.apply(at, usize::from(*entries));
                self.work(at);
            }
            Action::Checkpoint { .. } => self.replicas[at].checkpoint(),
            Action::Compact { keep, .. } => self.compact(at, *keep),
            Action::Crash { kept, keeps_commit, .. } => self.crash(at, usize::from(*kept), *keeps_commit),
            _ => unreachable!("{action:?} is about nobody"),
        }
    }

    // Time.

    fn tick(&mut self, at: usize, ticks: u64, at_once: bool) {
        if self.group.lease.is_some() {
            // Nobody's clock is ahead by more than a tick, ever.
            (0..ticks).for_each(|_| self.tick_next());
        } else if at_once {
            self.act(at, |raw| raw.elapse(ticks));
        } else {
            self.act(at, |raw| raw.tick_many(ticks));
        }
    }

    fn tick_next(&mut self) {
        let at = self.next_tick;
        self.next_tick = (at + 1) % self.replicas.len();
        if !self.stopped.contains(&self.raw(at).id()) {
            self.act(at, RawNode::tick);
        }
    }

    pub(crate) fn tick_all(&mut self, ticks: u64, at_once: bool) {
        if self.group.lease.is_some() && !at_once {
            (0..ticks * self.replicas.len() as u64).for_each(|_| self.tick_next());
            return;
        }
        for offset in 0..self.replicas.len() {
            let at = (self.next_tick + offset) % self.replicas.len();
            if !self.stopped.contains(&self.raw(at).id()) {
                self.act(at, |raw| if at_once { raw.elapse(ticks) } else { raw.tick_many(ticks) });
            }
        }
    }

    /// A tick for everybody and the delivery of what is not cut off.
    pub(crate) fn round(&mut self) {
        self.tick_all(1, false);
        self.deliver_some(3 * POOL);
    }

    // The network.

    fn take_message(&mut self, number: u8) -> Option<Message> {
        (!self.pool.is_empty()).then(|| self.pool.remove(usize::from(number) % self.pool.len()))
    }

    fn deliver_some(&mut self, count: usize) {
        for _ in 0..count {
            let open = |message: &Message| !self.cuts.contains(&(message.from, message.to));
            let Some(place) = self.pool.iter().position(open) else { return };
            let message = self.pool.remove(place);
            self.deliver(message);
        }
    }

    fn deliver(&mut self, message: Message) {
        self.note(|| format!("    {}", describe(&message)));
        if self.stopped.contains(&message.to) {
            return;
        }
        let (kind, at) = (message.msg_type(), message.to as usize - 1);
        if kind == MessageType::MsgSnapshot {
            self.reports.insert((message.from, message.to), SnapshotStatus::Finished);
        }
        let whole = message.snapshot.is_some() && contains(self.raw(at), &message);
        let result = self.act(at, |raw| raw.step(message));
        let raw = &self.replicas[at].raw;
        match kind {
            MessageType::MsgPropose => {
                if result.is_ok() && raw.role() == Role::Leader {
                    self.oracle.coverage.note(Situation::Forwarded);
                }
                return;
            }
            MessageType::MsgSnapshot if whole && raw.last() == raw.truncated() => {
                self.oracle.coverage.note(Situation::RequestServed);
            }
            MessageType::MsgTimeoutNow if raw.role() == Role::Candidate => {
                self.forced.insert((raw.id(), raw.term()));
            }
            _ => {}
        }
        assert_eq!(result, Ok(()));
        if raw.role() == Role::Leader && self.forced.contains(&(raw.id(), raw.term())) {
            self.oracle.coverage.note(Situation::Transferred);
        }
    }

    pub(crate) fn lose(&mut self, message: &Message) {
        if message.msg_type() == MessageType::MsgSnapshot {
            self.reports.insert((message.from, message.to), SnapshotStatus::Failed);
        }
    }

    fn send(&mut self, at: usize, messages: Vec<Message>) {
        for message in messages {
            self.oracle.check_send(&self.replicas, at, &message);
            assert!(message.to != 0 && message.to != self.raw(at).id(), "{message:?}");
            self.pool.push(message);
        }
        while self.pool.len() > POOL {
            let oldest = self.pool.remove(0);
            self.lose(&oldest);
        }
    }

    // Clients.

    pub(crate) fn data(&mut self, large: bool) -> Bytes {
        self.proposals += 1;
        let size = if large { 120 } else { 0 };
        format!("{}{}", self.proposals, "-".repeat(size)).into()
    }

    fn step_proposal(&mut self, at: usize, count: u8, edit: Option<(Edit, u8)>) {
        let mut entries: Vec<Entry> = Vec::new();
        for _ in 1..count {
            entries.push(Entry { data: self.data(false), ..Entry::default() });
        }
        entries.push(match edit {
            None => Entry { data: self.data(false), ..Entry::default() },
            Some(edit) => {
                let ConfChangeSingle { change_type, node_id } = single(edit, self.replicas.len());
                let change = ConfChange { change_type, node_id, context: Bytes::new() };
                let entry_type = EntryType::EntryConfChange as i32;
                Entry { entry_type, data: change.encode_to_vec().into(), ..Entry::default() }
            }
        });
        let id = self.raw(at).id();
        let message = Message { msg_type: MessageType::MsgPropose as i32, to: id, from: id, entries, ..Message::default() };
        let _ = self.act(at, |raw| raw.step(message));
    }

    fn read(&mut self, at: usize) {
        let leased = self.raw(at).has_lease();
        // The floor is what is committed when the read begins.
        if let Ok(id) = self.call(at, RawNode::read_index) {
            self.oracle.begin_read(at, &self.replicas[at], id);
            if leased {
                self.oracle.coverage.note(Situation::LeaseRead);
            }
        }
        self.work(at);
    }

    // The caller's work.

    fn pace(&mut self, at: usize, lazy: Lazy) {
        self.replicas[at].lazy = lazy;
        if !lazy.snapshots {
            self.finish_snapshot(at, false);
        }
        self.work(at);
    }

    /// Does whatever is not to be held back.
    pub(crate) fn work(&mut self, at: usize) {
        for batches in 0.. {
            assert!(batches < 200, "replica {} has work without end", self.raw(at).id());
            let lazy = self.replicas[at].lazy;
            if !lazy.disk {
                self.persist(at, usize::MAX);
            }
            if !lazy.apply {
                self.apply(at, usize::MAX);
            }
            if lazy.ready || !self.raw(at).has_ready() {
                break;
            }
            self.take_ready(at);
        }
    }

    fn take_ready(&mut self, at: usize) {
        if !self.raw(at).has_ready() {
            return;
        }
        let mut ready: Ready = self.call(at, RawNode::ready);
        self.oracle.check_ready(at, &self.replicas[at], &ready);
        for state in std::mem::take(&mut ready.read_states) {
            self.oracle.end_read(at, &self.replicas[at], state);
        }
        let replica = &mut self.replicas[at];
        if let Some(snapshot) = &ready.snapshot {
            // What was to be applied before is part of it, so it can be left out. Its last entry must be: to
            // report that as applied would be to report the snapshot as restored.
            let index = Machine::from_snapshot(snapshot).applied;
            let keeps = self.group.seed % 2 == 0;
            replica.jobs.retain(|job| keeps && job.index() < index);
            replica.jobs.push_back(Job::Restore(snapshot.clone()));
        }
        replica.jobs.extend(ready.committed_entries.drain(..).map(Job::Entry));
        let messages = std::mem::take(&mut ready.messages);
        let wants_snapshot = ready.wants_snapshot;
        replica.writing.push_back(ready);
        if wants_snapshot {
            let term = replica.raw.term();
            let before = replica.making.take();
            assert!(before.as_ref().is_none_or(|(asked, _)| *asked < term), "asked twice for a snapshot");
            // What was begun for an earlier leadership is as good.
            let snapshot = before.map_or_else(|| replica.snapshot(), |(_, snapshot)| snapshot);
            replica.making = Some((term, snapshot));
            if !replica.lazy.snapshots {
                self.finish_snapshot(at, false);
            }
        }
        self.send(at, messages);
    }

    pub(crate) fn finish_snapshot(&mut self, at: usize, fails: bool) {
        if let Some((_, snapshot)) = self.replicas[at].making.take() {
            match fails {
                true => self.call(at, RawNode::on_snapshot_failed),
                false => self.call(at, |raw| raw.on_snapshot(snapshot)),
            }
        }
    }

    fn persist(&mut self, at: usize, batches: usize) {
        let replica = &mut self.replicas[at];
        let (id, mut newest) = (replica.raw.id(), None);
        let mut sent = Vec::new();
        for _ in 0..batches.min(replica.writing.len()) {
            let replica = &mut self.replicas[at];
            let Some(ready) = replica.writing.pop_front() else { break };
            let before = replica.disk.hard_state();
            replica.disk.write(&ready);
            self.oracle.check_write(id, before, &replica.disk);
            for message in &ready.persisted_messages {
                self.oracle.check_send(&self.replicas, at, message);
            }
            newest = Some(ready.number);
            sent.extend(ready.persisted_messages);
        }
        if let Some(number) = newest {
            self.call(at, |raw| raw.on_persisted(number));
            self.pool.extend(sent);
        }
    }

    /// Does jobs on the state machine, and reports the last one.
    fn apply(&mut self, at: usize, jobs: usize) {
        let id = self.raw(at).id();
        for _ in 0..jobs.min(self.replicas[at].jobs.len()) {
            let Some(job) = self.replicas[at].jobs.pop_front() else { break };
            match job {
                Job::Restore(snapshot) => {
                    self.replicas[at].machine = Machine::from_snapshot(&snapshot);
                    let index = self.replicas[at].machine.applied;
                    self.oracle.restored(at, index);
                    self.oracle.check_applied(id, &self.replicas[at].machine);
                    self.call(at, |raw| raw.on_applied(index));
                    let superseded = self.raw(at).truncated().index > index;
                    assert!(superseded || self.raw(at).conf_state() == self.replicas[at].machine.conf_state);
                }
                Job::Entry(entry) => self.apply_entry(at, &entry),
            }
        }
        let applied = self.replicas[at].machine.applied;
        if applied > self.raw(at).applied() {
            self.call(at, |raw| raw.on_applied(applied));
        }
    }

    fn apply_entry(&mut self, at: usize, entry: &Entry) {
        if entry.entry_type() != EntryType::EntryNormal {
            let change = conf_change_of(entry).expect("a valid change");
            let conf_state = self.call(at, |raw| raw.apply_conf_change(&change)).expect("the leader checked it");
            self.replicas[at].machine.conf_state = conf_state;
        }
        let machine = &mut self.replicas[at].machine;
        machine.apply(entry);
        let id = self.replicas[at].raw.id();
        self.oracle.check_applied(id, &self.replicas[at].machine);
    }

    fn compact(&mut self, at: usize, keep: u64) {
        let index = self.raw(at).applied().saturating_sub(keep);
        if index <= self.raw(at).truncated().index {
            return;
        }
        self.oracle.coverage.note(Situation::Compacted);
        self.replicas[at].checkpoint();
        self.act(at, |raw| raw.compact(index));
        self.replicas[at].compact_disk(index);
    }

    fn crash(&mut self, at: usize, kept: usize, keeps_commit: bool) {
        let replica = &mut self.replicas[at];
        let before = replica.disk.hard_state();
        let lost = replica.crash(kept, keeps_commit);
        self.oracle.check_write(replica.raw.id(), before, &replica.disk);
        self.oracle.restarted(at, &self.replicas[at]);
        self.oracle.coverage.note(Situation::Restarted);
        if lost {
            self.oracle.coverage.note(Situation::UnsyncedLost);
        }
        self.work(at);
    }

    /// The entry that a client of the leader gets, if it takes one.
    pub(crate) fn propose_marker(&mut self, at: usize) -> Option<EntryId> {
        let data = self.data(false);
        self.act(at, |raw| raw.propose(data)).ok()
    }
}

/// Whether a replica has all that a snapshot stands for.
fn contains(raw: &RawNode, message: &Message) -> bool {
    let metadata = message.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
    metadata.is_some_and(|metadata| raw.term_at(metadata.index) == Some(metadata.term))
}

fn single((edit, replica): (Edit, u8), replicas: usize) -> ConfChangeSingle {
    let change_type = match edit {
        Edit::Voter => ConfChangeType::AddNode,
        Edit::Learner => ConfChangeType::AddLearnerNode,
        Edit::Remove => ConfChangeType::RemoveNode,
    };
    ConfChangeSingle { change_type: change_type as i32, node_id: u64::from(replica) % replicas as u64 + 1 }
}

fn change(edits: &[(Edit, u8)], how: ConfChangeTransition, replicas: usize) -> ConfChangeV2 {
    let changes = edits.iter().map(|&edit| single(edit, replicas)).collect();
    ConfChangeV2 { transition: how as i32, changes, context: Bytes::new() }
}
