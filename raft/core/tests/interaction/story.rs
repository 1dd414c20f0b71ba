//! The stage of the stories: replicas whose every step is taken by the test, and a transcript of what they do.
//!
//! A replica's disk is synchronous (a batch is durable, and its entries are applied, within `ready`) or
//! asynchronous: then batches wait for [`Story::write`] and entries for [`Story::apply`], and any number of
//! them may be outstanding. Messages wait on the wire until they are delivered or lost.
//!
//! In a transcript, `send` is a message that may leave at once, `then` one that leaves when its batch and
//! those before are durable.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Display;
use std::ops::Index;

use bytes::Bytes;
use prost::Message as _;
use raft::eraftpb::{ConfChange, ConfChangeTransition, ConfState, Entry, EntryType, Message, MessageType};
use raft::{Config, EntryId, Error, MemStorage, RawNode, Ready, conf_change_of};

use crate::words::{self, of_entries, of_message};

struct Replica {
    raw: RawNode,
    disk: MemStorage,
    asynchronous: bool,
    writes: VecDeque<Ready>,
    applies: VecDeque<Vec<Entry>>,
    applied: Vec<Entry>,
}

#[derive(Default)]
pub struct Story {
    replicas: BTreeMap<u64, Replica>,
    wire: Vec<Message>,
    text: String,
    depth: usize,
    quiet: bool,
}

impl Index<u64> for Story {
    type Output = RawNode;

    fn index(&self, id: u64) -> &RawNode {
        &self.replicas[&id].raw
    }
}

/// The settings of every replica, before a story changes them.
pub fn config(id: u64) -> Config {
    Config { election_ticks: 3, heartbeat_ticks: 1, seed: id, ..Config::new(id) }
}

pub fn voters(ids: impl IntoIterator<Item = u64>) -> ConfState {
    ConfState { voters: ids.into_iter().collect(), ..ConfState::default() }
}

impl Story {
    /// Replicas `1..=size`, all of them voters, whose logs start after 1/`index`.
    pub fn of(size: u64, index: u64, change: impl Fn(&mut Config)) -> Story {
        let mut story = Story::default();
        story.group(1..=size, &voters(1..=size), index, change);
        story
    }

    /// Adds replicas of a group with these members whose logs start after 1/`index`; 0 for empty ones.
    pub fn group(
        &mut self,
        ids: impl IntoIterator<Item = u64>,
        members: &ConfState,
        index: u64,
        change: impl Fn(&mut Config),
    ) {
        let truncated = EntryId { term: u64::from(index > 0), index };
        for id in ids {
            let mut config = config(id);
            change(&mut config);
            self.start(&config, MemStorage::with_conf_state(members.clone(), truncated));
        }
    }

    /// Adds a replica that continues from a disk.
    pub fn start(&mut self, config: &Config, disk: MemStorage) {
        let raw = RawNode::new(config, &disk).unwrap();
        let EntryId { term, index } = raw.last();
        self.line(format!("start {}: {}, log up to {term}/{index}", config.id, raw.configuration()));
        let replica = Replica {
            raw,
            disk,
            asynchronous: false,
            writes: VecDeque::new(),
            applies: VecDeque::new(),
            applied: Vec::new(),
        };
        self.replicas.insert(config.id, replica);
    }

    /// Gives every replica a disk that takes its time.
    pub fn asynchronous(mut self) -> Story {
        self.replicas.values_mut().for_each(|replica| replica.asynchronous = true);
        self
    }

    // The transcript.

    pub fn text(&self) -> &str {
        &self.text
    }

    /// A sentence of the story.
    pub fn tell(&mut self, sentence: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        // Lines that fit a screen.
        let mut line = String::from("#");
        for word in sentence.split_whitespace() {
            if line.len() + word.len() > 105 {
                self.line(std::mem::replace(&mut line, "#".into()));
            }
            line = format!("{line} {word}");
        }
        self.line(line);
    }

    /// Does something without saying so.
    pub fn quietly(&mut self, act: impl FnOnce(&mut Story)) {
        let quiet = std::mem::replace(&mut self.quiet, true);
        act(self);
        self.quiet = quiet;
    }

    fn line(&mut self, what: impl Display) {
        if !self.quiet {
            self.text += &format!("{:width$}{what}\n", "", width = 2 * self.depth);
        }
    }

    fn refused<T>(&mut self, what: impl Display, result: Result<T, Error>) -> Result<T, Error> {
        match &result {
            Ok(_) => self.line(what),
            Err(error) => self.line(format!("{what}: refused, {error}")),
        }
        result
    }

    // Inputs.

    fn raw(&mut self, id: u64) -> &mut RawNode {
        &mut self.replicas.get_mut(&id).unwrap().raw
    }

    pub fn campaign(&mut self, id: u64) {
        let before = self[id].term();
        self.raw(id).campaign();
        let raw = &self[id];
        let result = format!("{:?} in term {}", raw.role(), raw.term());
        let note = if raw.term() == before && !raw.has_ready() { ": nothing happens" } else { "" };
        self.line(format!("campaign {id}{note} ({result})"));
    }

    pub fn tick(&mut self, id: u64, ticks: u32) {
        self.line(format!("tick {id} x{ticks}"));
        (0..ticks).for_each(|_| self.raw(id).tick());
    }

    pub fn propose(&mut self, id: u64, data: &'static str) -> Result<EntryId, Error> {
        let result = self.raw(id).propose(data.into());
        self.refused(format!("propose {id} {data:?}"), result)
    }

    pub fn change(
        &mut self,
        id: u64,
        change: &str,
        transition: ConfChangeTransition,
    ) -> Result<EntryId, Error> {
        let change = words::change(change, transition);
        let result = self.raw(id).propose_conf_change(&change);
        self.refused(format!("propose {id} change({})", words::of_change(&change)), result)
    }

    /// Proposes a change in the old form, which has room for one replica.
    pub fn change_v1(&mut self, id: u64, change: &str) -> Result<(), Error> {
        let single = words::change(change, ConfChangeTransition::Auto).changes[0];
        let data =
            ConfChange { change_type: single.change_type, node_id: single.node_id, context: Bytes::new() };
        let entry = Entry {
            entry_type: EntryType::EntryConfChange as i32,
            data: data.encode_to_vec().into(),
            ..Entry::default()
        };
        let msg_type = MessageType::MsgPropose as i32;
        let result = self.raw(id).step(Message { msg_type, entries: vec![entry], ..Message::default() });
        self.refused(format!("propose {id} change({change}), in the old form"), result)
    }

    pub fn transfer(&mut self, id: u64, to: u64) -> Result<(), Error> {
        let result = self.raw(id).transfer_leader(to);
        self.refused(format!("transfer {id} to {to}"), result)
    }

    pub fn forget_leader(&mut self, id: u64) -> Result<(), Error> {
        let result = self.raw(id).forget_leader();
        self.refused(format!("forget-leader {id}"), result)
    }

    pub fn report_unreachable(&mut self, id: u64, peer: u64) {
        self.line(format!("report-unreachable {id}: {peer}"));
        self.raw(id).report_unreachable(peer);
    }

    pub fn compact(&mut self, id: u64, index: u64) {
        self.line(format!("compact {id} to {index}"));
        self.raw(id).compact(index);
        self.replicas.get_mut(&id).unwrap().disk.compact(index);
    }

    /// Sends a snapshot behind the leader's back.
    pub fn send_snapshot(&mut self, from: u64, to: u64) {
        let snapshot = Some(Box::new(self.snapshot_of(from)));
        let msg_type = MessageType::MsgSnapshot as i32;
        let term = self[from].term();
        let message = Message { msg_type, from, to, term, snapshot, ..Message::default() };
        self.line(format!("send-snapshot {}", of_message(&message)));
        self.wire.push(message);
    }

    fn snapshot_of(&self, id: u64) -> raft::eraftpb::Snapshot {
        let Replica { raw, disk, .. } = &self.replicas[&id];
        disk.snapshot(raw.applied(), raw.conf_state(), Bytes::new()).unwrap()
    }

    // Work.

    /// Takes one batch; with a synchronous disk, everything in it is done.
    pub fn ready(&mut self, id: u64) -> Ready {
        let ready = self.raw(id).ready();
        self.line(format!("ready {id}"));
        self.depth += 1;
        self.describe(&ready);
        let replica = self.replicas.get_mut(&id).unwrap();
        self.wire.extend_from_slice(&ready.messages);
        replica.writes.push_back(ready.clone());
        if !ready.committed_entries.is_empty() {
            replica.applies.push_back(ready.committed_entries.clone());
        }
        if !self.replicas[&id].asynchronous {
            // Which goes without saying.
            self.quietly(|story| story.write(id));
            self.apply(id);
        }
        if ready.wants_snapshot {
            let snapshot = self.snapshot_of(id);
            self.line(format!("makes a snapshot: {}", words::of_snapshot(&snapshot)));
            self.raw(id).on_snapshot(snapshot);
        }
        self.depth -= 1;
        ready
    }

    fn describe(&mut self, ready: &Ready) {
        if let Some(soft_state) = ready.soft_state {
            self.line(words::of_soft_state(soft_state));
        }
        let mut written: Vec<String> = Vec::new();
        if let Some(state) = ready.hard_state {
            written.push(format!("term {} vote {} commit {}", state.term, state.vote, state.commit));
        }
        if let Some(snapshot) = &ready.snapshot {
            written.push(format!("snapshot {}", words::of_snapshot(snapshot)));
        }
        if !ready.entries.is_empty() {
            written.push(format!("[{}]", of_entries(&ready.entries)));
        }
        if !written.is_empty() {
            let sync = if ready.must_sync { ", sync" } else { "" };
            self.line(format!("write {}{sync}", written.join(" and ")));
        }
        ready.messages.iter().for_each(|message| self.line(format!("send {}", of_message(message))));
        ready
            .persisted_messages
            .iter()
            .for_each(|message| self.line(format!("then {}", of_message(message))));
        if !ready.committed_entries.is_empty() {
            self.line(format!("apply [{}]", of_entries(&ready.committed_entries)));
        }
    }

    /// The oldest batch that is not durable becomes so.
    pub fn write(&mut self, id: u64) {
        let replica = self.replicas.get_mut(&id).unwrap();
        let ready = replica.writes.pop_front().unwrap();
        replica.disk.save(&ready);
        replica.raw.on_persisted(ready.number);
        if let Some(snapshot) = &ready.snapshot {
            replica.raw.on_applied(snapshot.metadata.as_ref().unwrap().index);
        }
        let (persisted, last) = (replica.raw.persisted(), replica.raw.last().index);
        self.line(format!("write {id}: batch {} is durable, log up to {persisted} of {last}", ready.number));
        self.depth += 1;
        for message in ready.persisted_messages {
            self.line(format!("send {}", of_message(&message)));
            self.wire.push(message);
        }
        self.depth -= 1;
    }

    /// The oldest committed entries that are not applied are.
    pub fn apply(&mut self, id: u64) {
        let replica = self.replicas.get_mut(&id).unwrap();
        let Some(entries) = replica.applies.pop_front() else { return };
        let asynchronous = replica.asynchronous;
        if asynchronous {
            self.line(format!("apply {id}: [{}]", of_entries(&entries)));
        }
        for entry in entries {
            let replica = self.replicas.get_mut(&id).unwrap();
            let mut outcome = None;
            if entry.entry_type() != EntryType::EntryNormal {
                let change = conf_change_of(&entry).unwrap();
                outcome = Some(match replica.raw.apply_conf_change(&change) {
                    Ok(_) => format!("members {}", replica.raw.configuration()),
                    Err(error) => format!("no change: {error}"),
                });
            }
            replica.raw.on_applied(entry.index);
            replica.disk.set_conf_state(replica.raw.conf_state());
            replica.applied.push(entry);
            outcome.into_iter().for_each(|outcome| self.line(outcome));
        }
    }

    // The wire.

    /// Delivers what is on its way to a replica.
    pub fn deliver(&mut self, id: u64) {
        self.deliver_those(id, |_| true);
    }

    /// Delivers what is on its way to a replica and of this kind.
    pub fn deliver_kind(&mut self, id: u64, kind: MessageType) {
        self.deliver_those(id, |message| words::kind(message) == kind);
    }

    fn deliver_those(&mut self, id: u64, wanted: impl Fn(&Message) -> bool) {
        self.line(format!("deliver {id}"));
        self.depth += 1;
        for message in self.take(|message| message.to == id && wanted(message)) {
            self.line(of_message(&message));
            let result = self.raw(id).step(message);
            assert_eq!(result, Ok(()));
        }
        self.depth -= 1;
    }

    /// Loses what is on its way to a replica.
    pub fn lose(&mut self, id: u64) {
        for message in self.take(|message| message.to == id) {
            self.line(format!("lost {}", of_message(&message)));
        }
    }

    fn take(&mut self, wanted: impl Fn(&Message) -> bool) -> Vec<Message> {
        let (taken, left) = std::mem::take(&mut self.wire).into_iter().partition(wanted);
        self.wire = left;
        taken
    }

    /// What is on its way to a replica.
    pub fn wire_to(&self, id: u64) -> Vec<&Message> {
        self.wire.iter().filter(|message| message.to == id).collect()
    }

    /// Works and delivers among these replicas until nothing is left.
    pub fn settle(&mut self, ids: &[u64]) {
        for _ in 0..100 {
            let mut idle = true;
            for &id in ids {
                if self[id].has_ready() {
                    self.ready(id);
                    idle = false;
                }
            }
            for &id in ids {
                if self.wire.iter().any(|message| message.to == id) {
                    self.deliver(id);
                    idle = false;
                }
            }
            for &id in ids {
                while !self.replicas[&id].writes.is_empty() {
                    self.write(id);
                    idle = false;
                }
            }
            for &id in ids {
                while !self.replicas[&id].applies.is_empty() {
                    self.apply(id);
                    idle = false;
                }
            }
            if idle {
                return;
            }
        }
        panic!("replicas {ids:?} do not settle");
    }

    pub fn settle_all(&mut self) {
        let ids: Vec<u64> = self.replicas.keys().copied().collect();
        self.settle(&ids);
    }

    /// Elects a leader without a word.
    pub fn elect(&mut self, id: u64) {
        self.quietly(|story| {
            story.campaign(id);
            story.settle_all();
        });
        assert!(self[id].is_leader());
        let (term, commit) = (self[id].term(), self[id].commit());
        self.line(format!("{id} leads term {term}, all is committed up to {commit}"));
    }

    // Looks.

    pub fn status(&mut self, leader: u64) {
        self.line(format!("status {leader}"));
        self.depth += 1;
        let lines: Vec<String> = self[leader]
            .progresses()
            .map(|(id, progress)| format!("{id}: {}", words::of_progress(id == leader, progress)))
            .collect();
        lines.into_iter().for_each(|line| self.line(line));
        self.depth -= 1;
    }

    pub fn roles(&mut self) {
        let lines: Vec<String> =
            self.replicas.iter().map(|(&id, replica)| words::of_replica(id, &replica.raw)).collect();
        self.line("roles");
        self.depth += 1;
        lines.into_iter().for_each(|line| self.line(line));
        self.depth -= 1;
    }

    /// The log in memory, and how far it is durable.
    pub fn log(&mut self, id: u64) {
        let raw = &self[id];
        let (first, last) = (raw.first_index(), raw.last().index);
        let entries: Vec<Entry> = (first..=last).map(|index| raw.entry(index).unwrap().clone()).collect();
        let persisted = raw.persisted();
        self.line(format!("log {id}: [{}] durable up to {persisted}", of_entries(&entries)));
    }

    pub fn log_terms(&self, id: u64) -> Vec<u64> {
        let raw = &self[id];
        (raw.first_index()..=raw.last().index).map(|index| raw.term_at(index).unwrap()).collect()
    }

    /// The data that a replica applied.
    pub fn applied(&self, id: u64) -> Vec<String> {
        let entries = self.replicas[&id].applied.iter();
        let entries = entries.filter(|entry| entry.entry_type() == EntryType::EntryNormal);
        entries
            .filter(|entry| !entry.data.is_empty())
            .map(|entry| String::from_utf8_lossy(&entry.data).into_owned())
            .collect()
    }

    /// The entries on a disk, as terms.
    pub fn disk_terms(&self, id: u64) -> Vec<u64> {
        use raft::Storage;
        let disk = &self.replicas[&id].disk;
        let (first, last) = (disk.first_index().unwrap(), disk.last_index().unwrap());
        (first..=last).map(|index| disk.term(index).unwrap()).collect()
    }
}
