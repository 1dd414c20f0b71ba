//! A record of what happened, for people: the story of a run, or every event of it.
//!
//! A run keeps one only when asked. A finding is explained by running its seed once more with a record.

use std::collections::VecDeque;

use raft_proto::eraftpb;
use raft_proto::raft_cmdpb::{RaftCmdResponse, request};
use raftsim_kernel::{Cause, Fate, Loss, NodeId, Time};

use crate::check::{ReplicaState, Role};
use crate::message::{Wire, error, raft_message};
use crate::node::{Node, NodeInput};
use crate::store_node::RAFT_DB;

/// How much to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Steps, elections, commits, crashes: the story.
    Story,
    /// Every event and every lost message.
    Everything,
    /// Everything, but only so many of the newest lines.
    Last(usize),
}

/// Where something happened: the column of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The scenario itself; the whole width.
    Scenario,
    /// A store, from 1.
    Store(u64),
    /// A client; 0 is the scenario's own.
    Client(u64),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A step of the scenario, or a verdict on one.
    Step(String),
    /// A replica's new role, term or leader.
    Role {
        /// The role.
        role: Role,
        /// The term.
        term: u64,
        /// The leader it follows; 0 for none.
        leader: u64,
    },
    /// A replica's new commit index.
    Commit(u64),
    /// A store came up.
    Up,
    /// A store went down.
    Down(Loss),
    /// An event; only in a full record.
    Event(String),
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When.
    pub time: Time,
    /// Where.
    pub place: Place,
    /// What.
    pub what: What,
}

/// The record.
#[derive(Clone, Debug)]
pub struct Record {
    detail: Detail,
    stores: u64,
    lines: VecDeque<Line>,
}

impl Record {
    /// An empty record of a cluster of so many stores.
    #[must_use]
    pub fn new(detail: Detail, stores: u64) -> Record {
        Record { detail, stores, lines: VecDeque::new() }
    }

    /// What was recorded, oldest first.
    #[must_use]
    pub fn lines(&self) -> &VecDeque<Line> {
        &self.lines
    }

    /// How many stores there are: the number of columns.
    #[must_use]
    pub fn stores(&self) -> u64 {
        self.stores
    }

    fn place(&self, node: NodeId) -> Place {
        let node = u64::from(node.0);
        if node < self.stores { Place::Store(node + 1) } else { Place::Client(node - self.stores) }
    }

    fn push(&mut self, time: Time, place: Place, what: What) {
        if let Detail::Last(limit) = self.detail
            && self.lines.len() >= limit
        {
            self.lines.pop_front();
        }
        self.lines.push_back(Line { time, place, what });
    }

    /// The scenario did something.
    pub fn step(&mut self, time: Time, text: String) {
        self.push(time, Place::Scenario, What::Step(text));
    }

    pub(crate) fn state(
        &mut self,
        time: Time,
        node: NodeId,
        _region: u64,
        before: Option<&ReplicaState>,
        now: &ReplicaState,
    ) {
        let place = self.place(node);
        let role = |s: &ReplicaState| (s.role, s.term, s.leader);
        if before.is_none_or(|before| role(before) != role(now)) {
            let (role, term, leader) = role(now);
            self.push(time, place, What::Role { role, term, leader });
        }
        if before.is_some_and(|before| before.commit != now.commit) {
            self.push(time, place, What::Commit(now.commit));
        }
    }

    pub(crate) fn cause(&mut self, time: Time, node: NodeId, cause: &Cause<'_, Node>) {
        let place = self.place(node);
        match (cause, place) {
            (Cause::Start, Place::Store(_)) if time > Time::ZERO => self.push(time, place, What::Up),
            (Cause::Crash { loss }, _) => self.push(time, place, What::Down(*loss)),
            _ if self.detail == Detail::Story => {}
            _ => {
                let text = match cause {
                    Cause::Start => "boots".to_owned(),
                    Cause::Message { from, message } => {
                        format!("<{} {}", self.name(*from), describe(message))
                    }
                    Cause::Timer { .. } => "timer".to_owned(),
                    Cause::Synced { db, up_to } => {
                        format!("synced {} to {up_to}", if *db == RAFT_DB { "raft" } else { "kv" })
                    }
                    Cause::Input(NodeInput::Campaign { .. }) => "told to campaign".to_owned(),
                    Cause::Input(NodeInput::Client(_)) => "new work".to_owned(),
                    Cause::Crash { .. } => return,
                };
                self.push(time, place, What::Event(text));
            }
        }
    }

    pub(crate) fn routed(&mut self, time: Time, from: NodeId, to: NodeId, message: &Wire, fate: Fate) {
        if self.detail == Detail::Story {
            return;
        }
        let fate = match fate {
            Fate::Arrives(_) => return,
            Fate::Lost => "lost".to_owned(),
            Fate::Dropped => "dropped".to_owned(),
            Fate::Delayed(span) => format!("delayed by {span}"),
            Fate::Held => "held".to_owned(),
            Fate::Undelivered => "undelivered".to_owned(),
        };
        let text = format!(">{} {}: {fate}", self.name(to), describe(message));
        self.push(time, self.place(from), What::Event(text));
    }

    fn name(&self, node: NodeId) -> String {
        match self.place(node) {
            Place::Store(store) => store.to_string(),
            Place::Client(client) => format!("c{client}"),
            Place::Scenario => String::new(),
        }
    }
}

/// A message in a few words.
#[must_use]
pub fn describe(message: &Wire) -> String {
    match message {
        Wire::Raft(message) => raft_message(message).map_or_else(String::new, describe_raft),
        Wire::Request { id, request } => {
            let command = request.requests.first().and_then(|request| request.command.as_ref());
            format!("#{id} {}", command.map_or_else(String::new, describe_command))
        }
        Wire::Reply { id, response } => format!("#{id} {}", describe_response(response)),
    }
}

fn describe_raft(m: &eraftpb::Message) -> String {
    use eraftpb::MessageType as T;
    let term = m.term;
    match (m.msg_type(), m.reject) {
        (T::MsgAppend, _) => match (m.entries.first(), m.entries.last()) {
            (Some(first), Some(last)) if first.index != last.index => {
                format!("append t{term} {}..{} c{}", first.index, last.index, m.commit)
            }
            (Some(only), _) => format!("append t{term} {} c{}", only.index, m.commit),
            _ => format!("append t{term} after {} c{}", m.index, m.commit),
        },
        (T::MsgAppendResponse, false) => format!("ack t{term} {}", m.index),
        (T::MsgAppendResponse, true) => format!("reject t{term} {} hint {}", m.index, m.reject_hint),
        (T::MsgRequestVote, _) => format!("vote? t{term} log {}@t{}", m.index, m.log_term),
        (T::MsgRequestVoteResponse, false) => format!("vote t{term}"),
        (T::MsgRequestVoteResponse, true) => format!("no vote t{term}"),
        (T::MsgHeartbeat, _) => format!("heartbeat t{term} c{}", m.commit),
        (T::MsgHeartbeatResponse, _) => format!("heartbeat ack t{term}"),
        (other, _) => format!("{} t{term}", other.as_str_name()),
    }
}

fn describe_command(command: &request::Command) -> String {
    use request::Command as C;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match command {
        C::Get(c) => format!("get {}", text(&c.key)),
        C::Put(c) => format!("put {}", text(&c.key)),
        C::Delete(c) => format!("delete {}", text(&c.key)),
        C::Append(c) => format!("append {}", text(&c.key)),
        C::CompareAndSet(c) => format!("cas {}", text(&c.key)),
        C::Scan(c) => format!("scan {}..{}", text(&c.start_key), text(&c.end_key)),
        C::Snap(_) => "snap".to_owned(),
    }
}

fn describe_response(response: &RaftCmdResponse) -> String {
    use raft_proto::errorpb::error::Reason;
    match error(response) {
        None => "ok".to_owned(),
        Some(error) => match &error.reason {
            Some(Reason::NotLeader(e)) => e
                .leader
                .map_or("not leader".to_owned(), |leader| format!("not leader, try {}", leader.store_id)),
            Some(Reason::RegionNotFound(_)) => "region not found".to_owned(),
            Some(Reason::KeyNotInRegion(_)) => "key not in region".to_owned(),
            Some(Reason::EpochNotMatch(_)) => "epoch not match".to_owned(),
            Some(Reason::StaleCommand(_)) => "stale command".to_owned(),
            Some(Reason::StoreNotMatch(_)) => "store not match".to_owned(),
            None => error.message.clone(),
        },
    }
}
