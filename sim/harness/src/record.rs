//! A record of what happened, for people: the story of a run, or every event of it.
//!
//! A run keeps one only when asked. A finding is explained by running its seed once more with a record.

use std::collections::VecDeque;

use raftsim_kernel::{Cause, Fate, Loss, NodeId, Time};

use crate::check::{ReplicaState, Role};
use crate::message::{Wire, describe};
use crate::node::{Node, NodeInput};
use crate::system::{MemberChange, Operator, ReplicaView, System};

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
        /// The store whose replica it follows; `None` where that is nobody.
        leader: Option<u64>,
    },
    /// A replica's new commit index.
    Commit(u64),
    /// The membership that a replica has applied, where that is another than before.
    Members(String),
    /// A replica restored a snapshot, which ends at this index.
    Snapshot(u64),
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
    /// The membership that each store applied last, and the snapshots that it restored in this life.
    known: Vec<Known>,
}

#[derive(Clone, Debug, Default)]
struct Known {
    members: Option<String>,
    snapshots: u64,
}

impl Record {
    /// An empty record of a cluster of so many stores.
    #[must_use]
    pub fn new(detail: Detail, stores: u64) -> Record {
        let known = vec![Known::default(); usize::try_from(stores).unwrap_or(0)];
        Record { detail, stores, lines: VecDeque::new(), known }
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

    pub(crate) fn push(&mut self, time: Time, place: Place, what: What) {
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

    /// A replica's state changed. `leader` is the store of the leader that it follows.
    pub(crate) fn state(
        &mut self,
        time: Time,
        node: NodeId,
        before: Option<&ReplicaState>,
        now: &ReplicaState,
        leader: Option<u64>,
    ) {
        let place = self.place(node);
        let role = |s: &ReplicaState| (s.role, s.term, s.leader);
        if before.is_none_or(|before| role(before) != role(now)) {
            let ReplicaState { role, term, .. } = *now;
            self.push(time, place, What::Role { role, term, leader });
        }
        if before.is_some_and(|before| before.commit != now.commit) {
            self.push(time, place, What::Commit(now.commit));
        }
    }

    /// What else of a replica is news: its membership, its snapshots.
    pub(crate) fn replica<S: System>(
        &mut self,
        time: Time,
        node: NodeId,
        system: &S,
        view: &ReplicaView<'_>,
    ) {
        let place = self.place(node);
        let Some(known) = self.known.get_mut(node.0 as usize) else { return };
        let mut news = Vec::new();
        if known.snapshots < view.snapshots {
            news.push(What::Snapshot(view.state.truncated));
        }
        known.snapshots = view.snapshots;
        let members = members(system, view);
        match &known.members {
            // With what a store boots first everybody begins.
            None => known.members = Some(members),
            Some(old) if *old != members => {
                known.members = Some(members.clone());
                news.push(What::Members(members));
            }
            Some(_) => {}
        }
        news.into_iter().for_each(|what| self.push(time, place, what));
    }

    pub(crate) fn cause<S: System>(&mut self, time: Time, node: NodeId, cause: &Cause<'_, Node<S>>) {
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
                        let name = S::DATABASES.get(usize::from(db.0)).unwrap_or(&"a database");
                        format!("synced {name} to {up_to}")
                    }
                    Cause::Input(NodeInput::Operator { command, .. }) => told(command),
                    Cause::Input(NodeInput::Client(_)) => "new work".to_owned(),
                    Cause::Crash { .. } => return,
                };
                self.push(time, place, What::Event(text));
            }
        }
    }

    pub(crate) fn routed<S: System>(
        &mut self,
        time: Time,
        from: NodeId,
        to: NodeId,
        message: &Wire<S>,
        fate: Fate,
    ) {
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

fn told(command: &Operator) -> String {
    match command {
        Operator::Campaign => "told to campaign".to_owned(),
        Operator::Transfer { to } => format!("told to transfer to {to}"),
        Operator::Change(MemberChange::Leave) => "told to leave the joint configuration".to_owned(),
        Operator::Change(MemberChange::Members { add, learn, remove, .. }) => {
            let parts = [("add", add), ("learn", learn), ("remove", remove)];
            let parts = parts.iter().filter(|(_, stores)| !stores.is_empty());
            let parts = parts.map(|(word, stores)| format!(" {word} {}", numbers(stores)));
            format!("told to{}", parts.collect::<Vec<_>>().join(","))
        }
        Operator::ForgetLeader => "told to forget its leader".to_owned(),
        Operator::RequestSnapshot => "told to request a snapshot".to_owned(),
        Operator::Compact => "told to compact".to_owned(),
    }
}

fn numbers(stores: &[u64]) -> String {
    stores.iter().map(u64::to_string).collect::<Vec<_>>().join(" ")
}

/// A membership by stores: `members 1 2 3`, `members 1 2 3 -> 1 2 4 | learners 5`.
pub(crate) fn members<S: System>(system: &S, view: &ReplicaView<'_>) -> String {
    let stores = |replicas: &[u64]| {
        let stores = replicas.iter().map(|id| system.store_of(view.region, *id).unwrap_or(*id));
        numbers(&stores.collect::<Vec<_>>())
    };
    let mut text = "members ".to_owned();
    if view.members.is_joint() {
        text += &format!("{} -> ", stores(view.members.outgoing));
    }
    text += &stores(view.members.voters);
    if !view.members.learners.is_empty() {
        text += &format!(" | learners {}", stores(view.members.learners));
    }
    text
}
