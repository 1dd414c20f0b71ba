//! Replicas with disks, and a network between them that delivers in order, at once, unless told not to.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use raft::eraftpb::{
    ConfChangeSingle, ConfChangeType, ConfChangeV2, ConfState, Entry, EntryType, HardState, Message,
    MessageType, Snapshot, SnapshotMetadata,
};
use raft::{Config, EntryId, MemStorage, RawNode, ReadState, Ready, Role, conf_change_of};

pub const ELECTION_TICKS: u32 = 10;

/// What a replica starts from.
#[derive(Clone)]
pub struct Setup {
    pub config: Config,
    disk: MemStorage,
    hard_state: HardState,
}

impl Setup {
    /// A fresh replica; heartbeats every tick.
    pub fn new(id: u64, voters: &[u64]) -> Setup {
        Setup::starting_at(id, voters, EntryId::default())
    }

    /// A fresh replica of a group whose log starts after `truncated`.
    pub fn starting_at(id: u64, voters: &[u64], truncated: EntryId) -> Setup {
        Setup::of_group(id, ConfState { voters: voters.to_vec(), ..ConfState::default() }, truncated)
    }

    /// A fresh replica of a group with these members whose log starts after `truncated`.
    pub fn of_group(id: u64, conf_state: ConfState, truncated: EntryId) -> Setup {
        let config =
            Config { election_ticks: ELECTION_TICKS, heartbeat_ticks: 1, seed: id, ..Config::new(id) };
        let hard_state = HardState { term: truncated.term, vote: 0, commit: truncated.index };
        Setup { config, disk: MemStorage::with_conf_state(conf_state, truncated), hard_state }
    }

    /// Changes the configuration.
    pub fn with(mut self, change: impl FnOnce(&mut Config)) -> Setup {
        change(&mut self.config);
        self
    }

    /// A log of empty entries with these terms, and the last of them as current term.
    pub fn log(mut self, terms: &[u64]) -> Setup {
        self.disk.append(&entries(1, terms));
        self.hard_state.term = terms.last().copied().unwrap_or(0);
        self
    }

    pub fn term(mut self, term: u64) -> Setup {
        self.hard_state.term = term;
        self
    }

    pub fn vote(mut self, vote: u64) -> Setup {
        self.hard_state.vote = vote;
        self
    }

    pub fn commit(mut self, commit: u64) -> Setup {
        self.hard_state.commit = commit;
        self
    }

    pub fn build(mut self) -> Node {
        self.disk.set_hard_state(self.hard_state);
        let raw = RawNode::new(&self.config, &self.disk).unwrap();
        Node {
            raw,
            disk: self.disk,
            applied: Vec::new(),
            restored: Vec::new(),
            reads: Vec::new(),
            makes_snapshots: true,
            wants_snapshot: false,
        }
    }
}

/// A replica and its disk, which writes synchronously.
pub struct Node {
    pub raw: RawNode,
    pub disk: MemStorage,
    /// Everything handed out to be applied.
    pub applied: Vec<Entry>,
    /// The snapshots that replaced the state machine.
    pub restored: Vec<Snapshot>,
    /// What became of reads.
    pub reads: Vec<ReadState>,
    /// Whether a wish for a snapshot is fulfilled at once.
    pub makes_snapshots: bool,
    /// The last batch wanted a snapshot.
    pub wants_snapshot: bool,
}

impl Node {
    pub fn new(id: u64, voters: &[u64]) -> Node {
        Setup::new(id, voters).build()
    }

    /// A fresh replica 1 of `1..=size`, brought into a role of term 1: follower of 2, candidate, or leader
    /// with nothing acknowledged yet.
    pub fn in_role(role: Role, size: u64) -> Node {
        Node::new(1, &ids(size)).into_role(role)
    }

    /// Enters the next term in this role, by the votes of everybody or by a heartbeat from 2.
    pub fn into_role(mut self, role: Role) -> Node {
        match role {
            Role::Follower => {
                self.step(message(MessageType::MsgHeartbeat, 2, 1, self.raw.term() + 1));
            }
            Role::PreCandidate | Role::Candidate => {
                self.raw.campaign();
                self.work();
            }
            Role::Leader => {
                self.raw.campaign();
                for request in self.work() {
                    let granted =
                        message(MessageType::MsgRequestVoteResponse, request.to, request.from, request.term);
                    self.raw.step(granted).unwrap();
                }
            }
        }
        self.work();
        assert_eq!(self.raw.role(), role);
        self
    }

    /// Does one batch of work and returns it.
    pub fn one_ready(&mut self) -> Ready {
        let ready = self.raw.ready();
        self.disk.save(&ready);
        self.raw.on_persisted(ready.number);
        if let Some(snapshot) = &ready.snapshot {
            self.raw.on_applied(snapshot.metadata.as_ref().unwrap().index);
            self.restored.push(snapshot.clone());
        }
        for entry in &ready.committed_entries {
            if entry.entry_type() != EntryType::EntryNormal {
                // A change that is not possible is passed over, by all replicas alike.
                let _ = self.raw.apply_conf_change(&conf_change_of(entry).unwrap());
            }
            self.raw.on_applied(entry.index);
        }
        self.disk.set_conf_state(self.raw.conf_state());
        self.applied.extend_from_slice(&ready.committed_entries);
        self.reads.extend_from_slice(&ready.read_states);
        self.wants_snapshot = ready.wants_snapshot;
        if ready.wants_snapshot && self.makes_snapshots {
            self.raw.on_snapshot(self.snapshot());
        }
        ready
    }

    /// A snapshot of what is applied.
    pub fn snapshot(&self) -> Snapshot {
        let data = Bytes::from(format!("up to {}", self.raw.applied()));
        self.disk.snapshot(self.raw.applied(), self.raw.conf_state(), data).unwrap()
    }

    /// Forgets the log up to `index`.
    pub fn compact(&mut self, index: u64) {
        self.raw.compact(index);
        self.disk.compact(index);
    }

    /// Stops and starts again from the disk, with another seed.
    pub fn restart(&mut self, config: &Config) {
        let config = Config { applied: self.raw.applied(), seed: config.seed + 1000, ..config.clone() };
        self.raw = RawNode::new(&config, &self.disk).unwrap();
    }

    /// Does all the work there is and returns the messages that may be sent.
    pub fn work(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while self.raw.has_ready() {
            let mut ready = self.one_ready();
            messages.append(&mut ready.messages);
            messages.append(&mut ready.persisted_messages);
        }
        messages
    }

    /// Takes a message and returns the ones that follow from it.
    pub fn step(&mut self, message: Message) -> Vec<Message> {
        self.raw.step(message).unwrap();
        self.work()
    }

    /// Lets the time pass that the election timeout has left.
    pub fn time_out(&mut self) {
        self.raw.tick_many(self.raw.idle_ticks() + 1);
    }

    /// (index, term) of every entry in the log.
    pub fn log(&self) -> Vec<(u64, u64)> {
        let indexes = self.raw.first_index()..=self.raw.last().index;
        indexes.map(|index| (index, self.raw.term_at(index).unwrap())).collect()
    }

    pub fn log_terms(&self) -> Vec<u64> {
        self.log().into_iter().map(|(_, term)| term).collect()
    }
}

/// Replicas `1..`; a replica that does not exist is silent.
pub struct Network {
    pub nodes: BTreeMap<u64, Node>,
    cuts: BTreeSet<(u64, u64)>,
    ignored: Vec<MessageType>,
    queue: VecDeque<Message>,
}

impl Network {
    /// Fresh replicas `1..=size`, all of them running.
    pub fn new(size: u64) -> Network {
        Network::with_silent(size, &[])
    }

    pub fn with_silent(size: u64, silent: &[u64]) -> Network {
        let running = ids(size).into_iter().filter(|id| !silent.contains(id));
        Network::of(running.map(|id| Node::new(id, &ids(size))).collect())
    }

    pub fn of(nodes: Vec<Node>) -> Network {
        let nodes = nodes.into_iter().map(|node| (node.raw.id(), node)).collect();
        Network { nodes, cuts: BTreeSet::new(), ignored: Vec::new(), queue: VecDeque::new() }
    }

    pub fn node(&self, id: u64) -> &RawNode {
        &self.nodes[&id].raw
    }

    pub fn node_mut(&mut self, id: u64) -> &mut RawNode {
        &mut self.nodes.get_mut(&id).unwrap().raw
    }

    pub fn cut(&mut self, a: u64, b: u64) {
        self.cuts.extend([(a, b), (b, a)]);
    }

    pub fn isolate(&mut self, id: u64) {
        for other in self.nodes.keys().copied().filter(|&other| other != id) {
            self.cuts.extend([(id, other), (other, id)]);
        }
    }

    pub fn ignore(&mut self, kind: MessageType) {
        self.ignored.push(kind);
    }

    pub fn recover(&mut self) {
        self.cuts.clear();
        self.ignored.clear();
    }

    /// Puts a message on its way, unless its link is cut.
    pub fn send(&mut self, message: Message) {
        let kind = MessageType::try_from(message.msg_type).unwrap();
        if !self.cuts.contains(&(message.from, message.to)) && !self.ignored.contains(&kind) {
            self.queue.push_back(message);
        }
    }

    /// Works and delivers until nothing is left.
    pub fn settle(&mut self) {
        loop {
            let sent: Vec<Message> = self.nodes.values_mut().flat_map(Node::work).collect();
            sent.into_iter().for_each(|message| self.send(message));
            let Some(message) = self.queue.pop_front() else {
                return;
            };
            if let Some(node) = self.nodes.get_mut(&message.to) {
                node.raw.step(message).unwrap();
            }
        }
    }

    pub fn campaign(&mut self, id: u64) {
        self.node_mut(id).campaign();
        self.settle();
    }

    /// Proposes and settles.
    pub fn propose(&mut self, id: u64, data: &'static str) {
        self.node_mut(id).propose(data.into()).unwrap();
        self.settle();
    }

    /// The heartbeat interval of `id` runs out.
    pub fn beat(&mut self, id: u64) {
        self.node_mut(id).step(message(MessageType::MsgBeat, id, id, 0)).unwrap();
        self.settle();
    }
}

pub fn ids(size: u64) -> Vec<u64> {
    (1..=size).collect()
}

/// Empty entries from `first` on with these terms.
pub fn entries(first: u64, terms: &[u64]) -> Vec<Entry> {
    (first..).zip(terms).map(|(index, &term)| Entry { index, term, ..Entry::default() }).collect()
}

pub fn entry(index: u64, term: u64, data: &'static str) -> Entry {
    Entry { index, term, data: data.into(), ..Entry::default() }
}

pub fn message(kind: MessageType, from: u64, to: u64, term: u64) -> Message {
    Message { msg_type: kind as i32, from, to, term, ..Message::default() }
}

/// An append from 2 to 1 in `term`, after the entry of `previous_term` at `previous`.
pub fn append(term: u64, previous: u64, previous_term: u64, entries: Vec<Entry>, commit: u64) -> Message {
    let message = message(MessageType::MsgAppend, 2, 1, term);
    Message { index: previous, log_term: previous_term, entries, commit, ..message }
}

/// What a follower with a matching log answers.
pub fn accept(append: &Message) -> Message {
    assert_eq!(append.msg_type, MessageType::MsgAppend as i32);
    let index = append.index + append.entries.len() as u64;
    Message { index, ..message(MessageType::MsgAppendResponse, append.to, append.from, append.term) }
}

pub fn of_kind(messages: Vec<Message>, kind: MessageType) -> Vec<Message> {
    messages.into_iter().filter(|message| message.msg_type == kind as i32).collect()
}

/// Leader 1 of `size` in term 1, its empty entry committed.
pub fn settled_leader(size: u64) -> Node {
    let (mut leader, appends) = elect(Node::new(1, &ids(size)));
    for append in appends {
        leader.step(accept(&append));
    }
    assert_eq!(leader.raw.commit(), 1);
    leader
}

/// Makes replica 1 leader by everybody's vote. Returns the appends of its empty entry.
pub fn elect(mut node: Node) -> (Node, Vec<Message>) {
    node.raw.campaign();
    let mut sent = Vec::new();
    for request in node.work() {
        sent.extend(node.step(message(MessageType::MsgRequestVoteResponse, request.to, 1, request.term)));
    }
    assert_eq!(node.raw.role(), Role::Leader);
    (node, of_kind(sent, MessageType::MsgAppend))
}

/// Proposes and returns the messages that may be sent.
pub fn propose(node: &mut Node, data: &'static str) -> Vec<Message> {
    node.raw.propose(data.into()).unwrap();
    node.work()
}

/// Proposals as applied: the data of the entries that have any.
pub fn applied_data(node: &Node) -> Vec<&[u8]> {
    node.applied.iter().map(|entry| &entry.data[..]).filter(|data| !data.is_empty()).collect()
}

/// A membership change that takes the way its size asks for, such as `change(&[(AddNode, 4)])`.
pub fn change(changes: &[(ConfChangeType, u64)]) -> ConfChangeV2 {
    let single = |&(kind, node_id)| ConfChangeSingle { change_type: kind as i32, node_id };
    ConfChangeV2 { changes: changes.iter().map(single).collect(), ..ConfChangeV2::default() }
}

/// A group of these voters.
pub fn group(voters: &[u64]) -> ConfState {
    ConfState { voters: voters.to_vec(), ..ConfState::default() }
}

/// A snapshot at an index, with the term of the entry there.
pub fn snapshot(index: u64, term: u64, conf_state: ConfState) -> Snapshot {
    let metadata = SnapshotMetadata { conf_state: Some(conf_state), index, term };
    Snapshot { data: "state".into(), metadata: Some(metadata) }
}

/// A snapshot on its way from 2 to 1 in `term`.
pub fn install(term: u64, snapshot: Snapshot) -> Message {
    Message { snapshot: Some(Box::new(snapshot)), ..message(MessageType::MsgSnapshot, 2, 1, term) }
}
