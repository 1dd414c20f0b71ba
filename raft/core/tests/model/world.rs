//! A group of replicas, the messages between them, and how each action is performed.
//!
//! Everything goes through [`World::call`], so the oracle sees each replica after each call.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, Entry, EntryType,
    Message, MessageType,
};
use raft::{EntryId, Error, ProgressState, RawNode, Role, SnapshotStatus};

use crate::action::{Action, Edit, Group, LEADER, OLD_LEADER, Who};
use crate::coverage::Situation;
use crate::oracle::Oracle;
use crate::replica::{Replica, describe};

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
        let replicas: Vec<Replica> =
            (1..=u64::from(group.replicas)).map(|id| Replica::fresh(id, group)).collect();
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

    /// The replica that leads the lowest term, of those that lead one.
    fn old_leader(&self) -> Option<usize> {
        let leading = (0..self.replicas.len()).filter(|&at| self.raw(at).role() == Role::Leader);
        leading.min_by_key(|&at| self.raw(at).term())
    }

    fn resolve(&self, who: Who) -> Option<usize> {
        match who {
            LEADER => self.leader(),
            OLD_LEADER => self.old_leader(),
            _ => Some(usize::from(who) % self.replicas.len()),
        }
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
            Action::Duplicate { message } => self.duplicate(message),
            Action::Heal => self.cuts.clear(),
            Action::Tick { who, .. }
            | Action::DeliverTo { who, .. }
            | Action::Cut { from: who, .. }
            | Action::Isolate { who, .. }
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
            Action::DeliverTo { count, .. } => self.deliver_to(at, usize::from(*count)),
            Action::Cut { to, .. } => {
                if let Some(to) = self.resolve(*to) {
                    self.cuts.insert((self.raw(at).id(), self.raw(to).id()));
                }
            }
            Action::Isolate { rounds, .. } => {
                let id = self.raw(at).id();
                let others = (1..=self.replicas.len() as u64).filter(|&other| other != id);
                others.for_each(|other| self.cuts.extend([(id, other), (other, id)]));
                (0..*rounds).for_each(|_| self.round());
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

    fn duplicate(&mut self, number: u8) {
        if self.pool.is_empty() {
            return;
        }
        self.oracle.coverage.note(Situation::Duplicated);
        // Snapshots are rare, and a second one is more than a repetition.
        let snapshot = self.pool.iter().position(|message| message.snapshot.is_some());
        let any = usize::from(number) % self.pool.len();
        let place = snapshot.filter(|_| number % 2 == 1).unwrap_or(any);
        self.pool.push(self.pool[place].clone());
    }

    fn deliver_some(&mut self, count: usize) {
        for _ in 0..count {
            let open = |message: &Message| !self.cuts.contains(&(message.from, message.to));
            let Some(place) = self.pool.iter().position(open) else { return };
            let message = self.pool.remove(place);
            self.deliver(message);
        }
    }

    fn deliver_to(&mut self, at: usize, count: usize) {
        let id = self.raw(at).id();
        for _ in 0..count {
            let Some(place) = self.pool.iter().position(|message| message.to == id) else { return };
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
        let arrived = acknowledges_snapshot(self.raw(at), &message).then_some(message.from);
        let result = self.call(at, |raw| raw.step(message));
        if let Some(peer) = arrived.and_then(|peer| self.raw(at).progress(peer)) {
            assert!(
                !matches!(peer.state(), ProgressState::Snapshot { .. }),
                "the snapshot arrived: {peer:?}"
            );
        }
        self.work(at);
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

    pub(crate) fn send(&mut self, at: usize, messages: Vec<Message>) {
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
        let message = Message {
            msg_type: MessageType::MsgPropose as i32,
            to: id,
            from: id,
            entries,
            ..Message::default()
        };
        let _ = self.act(at, |raw| raw.step(message));
    }

    fn read(&mut self, at: usize) {
        if self.raw(at).role() == Role::Leader && self.leader() != Some(at) {
            self.oracle.coverage.note(Situation::DeposedRead);
        }
        let leased = self.raw(at).has_lease();
        let Ok(id) = self.call(at, RawNode::read_index) else { return };
        self.oracle.begin_read(at, &self.replicas[at], id);
        if leased {
            self.oracle.coverage.note(Situation::LeaseRead);
        }
        self.work(at);
        let raw = self.raw(at);
        let alone = raw.voters() == [raw.id()] && !raw.configuration().is_joint();
        let knows_commit = raw.is_leader() && raw.term_at(raw.commit()) == Some(raw.term());
        if alone && knows_commit && !self.replicas[at].lazy.ready {
            assert!(!self.oracle.is_waiting(id), "{} asks nobody, and waits", raw.id());
        }
    }

    /// The entry that a client of the leader gets, if it takes one.
    pub(crate) fn propose_marker(&mut self, at: usize) -> Option<EntryId> {
        let data = self.data(false);
        self.act(at, |raw| raw.propose(data)).ok()
    }
}

/// Whether a message tells a leader that a snapshot on its way has arrived.
fn acknowledges_snapshot(raw: &RawNode, message: &Message) -> bool {
    let accepts = message.msg_type() == MessageType::MsgAppendResponse && !message.reject;
    let pending = raw.progress(message.from).is_some_and(|progress| match progress.state() {
        ProgressState::Snapshot { pending } => *pending <= message.index,
        _ => false,
    });
    accepts && pending && message.term == raw.term()
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
