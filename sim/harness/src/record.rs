//! A record of what happened, for people: the story of a run, or every event of it.
//!
//! A run keeps one only when asked. A finding is explained by running its seed once more with a record.
//!
//! What a replica is comes in one piece after each event, and [`Record`] finds out what of it is news: a role, a
//! commit, other members, a split, a snapshot. Where a line is about a region it says which, and transcripts show that
//! as soon as there is more than one.

mod words;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use raftsim_kernel::{Cause, DbId, Fate, NodeId, Time};

use crate::check::{ReplicaState, Role};
use crate::message::{Wire, describe};
use crate::node::{Node, NodeInput, PlacementInput};
use crate::scenario::ast::MessageKind;
use crate::system::{Placement, ReplicaView, System};
use words::{lost, ordered, told};
pub(crate) use words::{members, range};

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
    /// The placement driver.
    Placement,
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
    /// A replica has applied a split: the range that is left to it.
    Split(String),
    /// A store has a replica that it had not: its range, or nothing if it has no data yet.
    Created(String),
    /// A store has a replica no more.
    Destroyed,
    /// A leader begins to send a snapshot to this store.
    Sends(u64),
    /// A replica restored a snapshot, which ends at this index. Where its data is taken up piece by piece, that begins.
    Snapshot(u64),
    /// All data of the snapshot is there.
    Ingested,
    /// What the placement driver orders of a leader, where that is another order than before.
    Order(String),
    /// A machine came up.
    Up,
    /// A machine went down, and lost so much.
    Down(String),
    /// A machine lost its disk.
    Wiped,
    /// A sync of this database failed.
    SyncFailed(String),
    /// A store refuses to serve, for this reason.
    Stopped(String),
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
    /// The region that it is about; 0 for none.
    pub region: u64,
    /// What.
    pub what: What,
}

/// The record.
#[derive(Clone, Debug)]
pub struct Record {
    detail: Detail,
    stores: u64,
    clients: u64,
    lines: VecDeque<Line>,
    /// What is known of each replica, by machine and region.
    known: BTreeMap<(NodeId, u64), Known>,
    /// The first region that a line was about.
    first: Option<u64>,
    /// Whether a line was ever about another one.
    many: bool,
    /// The last order about each region.
    orders: BTreeMap<u64, String>,
}

/// What was last recorded of a replica.
#[derive(Clone, Debug, Default)]
struct Known {
    members: String,
    snapshots: u64,
    initialized: bool,
    applying: bool,
    end: Bytes,
    version: u64,
}

impl Record {
    /// An empty record of a cluster of so many stores and clients.
    #[must_use]
    pub fn new(detail: Detail, stores: u64, clients: u64) -> Record {
        Record {
            detail,
            stores,
            clients,
            lines: VecDeque::new(),
            known: BTreeMap::new(),
            first: None,
            many: false,
            orders: BTreeMap::new(),
        }
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

    /// Whether there was ever more than one region, so that a line has to say which one it is about.
    #[must_use]
    pub fn has_regions(&self) -> bool {
        self.many
    }

    fn place(&self, node: NodeId) -> Place {
        let node = u64::from(node.0);
        match node.checked_sub(self.stores) {
            None => Place::Store(node + 1),
            Some(client) if client < self.clients => Place::Client(client),
            Some(_) => Place::Placement,
        }
    }

    pub(crate) fn push(&mut self, time: Time, place: Place, region: u64, what: What) {
        if let Detail::Last(limit) = self.detail
            && self.lines.len() >= limit
        {
            self.lines.pop_front();
        }
        if region > 0 {
            self.many |= *self.first.get_or_insert(region) != region;
        }
        self.lines.push_back(Line { time, place, region, what });
    }

    /// The scenario did something.
    pub fn step(&mut self, time: Time, text: String) {
        self.push(time, Place::Scenario, 0, What::Step(text));
    }

    /// What a replica is after an event, and what it was before.
    pub(crate) fn replica<S: System>(
        &mut self,
        time: Time,
        node: NodeId,
        system: &S,
        before: Option<&ReplicaState>,
        view: &ReplicaView<'_>,
    ) {
        let region = view.region;
        let place = self.place(node);
        let (old, now) = (self.known.get(&(node, region)), Known::of(system, view));
        let mut news = Vec::new();
        match old {
            // With what a store boots first everybody begins.
            None if time == Time::ZERO => {}
            None => {
                let range = if now.initialized { range(view) } else { String::new() };
                self.push(time, place, region, What::Created(range));
            }
            Some(old) => {
                if old.snapshots < now.snapshots {
                    news.push(What::Snapshot(view.state.truncated));
                }
                if old.applying && !now.applying {
                    news.push(What::Ingested);
                }
                if old.initialized && old.version < now.version && old.end != now.end {
                    news.push(What::Split(range(view)));
                }
                if old.initialized && old.members != now.members {
                    news.push(What::Members(now.members.clone()));
                }
            }
        }
        self.known.insert((node, region), now);
        self.state(time, node, region, before, &view.state, system.store_of(region, view.state.leader));
        news.into_iter().for_each(|what| self.push(time, place, region, what));
    }

    /// A replica's state changed. `leader` is the store of the leader that it follows.
    pub(crate) fn state(
        &mut self,
        time: Time,
        node: NodeId,
        region: u64,
        before: Option<&ReplicaState>,
        now: &ReplicaState,
        leader: Option<u64>,
    ) {
        let place = self.place(node);
        let role = |s: &ReplicaState| (s.role, s.term, s.leader);
        if before.is_none_or(|before| role(before) != role(now)) {
            let ReplicaState { role, term, .. } = *now;
            self.push(time, place, region, What::Role { role, term, leader });
        }
        if before.is_some_and(|before| before.commit != now.commit) {
            self.push(time, place, region, What::Commit(now.commit));
        }
    }

    /// A running store has no replica of a region any more.
    pub(crate) fn destroyed(&mut self, time: Time, node: NodeId, region: u64) {
        if self.known.remove(&(node, region)).is_some() {
            self.push(time, self.place(node), region, What::Destroyed);
        }
    }

    /// A machine that is down lost its disk, and with it every replica.
    pub(crate) fn wiped(&mut self, time: Time, node: NodeId) {
        self.known.retain(|(on, _), _| *on != node);
        self.push(time, self.place(node), 0, What::Wiped);
    }

    /// A store refuses to serve from now on.
    pub(crate) fn stopped(&mut self, time: Time, node: NodeId, why: &str) {
        self.push(time, self.place(node), 0, What::Stopped(why.to_owned()));
    }

    pub(crate) fn cause<S: System>(&mut self, time: Time, node: NodeId, cause: &Cause<'_, Node<S>>) {
        let place = self.place(node);
        if let Cause::Message { message: Wire::FromPlacement(response), .. } = cause
            && let Some((region, order)) = <S::Placement as Placement>::order(response)
            && self.orders.get(&region) != Some(&order)
        {
            self.orders.insert(region, order.clone());
            self.push(time, place, region, What::Order(order));
        }
        match (cause, place) {
            (Cause::Start, Place::Store(_) | Place::Placement) if time > Time::ZERO => {
                self.push(time, place, 0, What::Up);
            }
            (Cause::Crash { losses }, Place::Store(_)) => {
                self.push(time, place, 0, What::Down(lost(losses, S::DATABASES)));
            }
            (Cause::Crash { .. }, _) => self.push(time, place, 0, What::Down(String::new())),
            (Cause::SyncFailed { db }, Place::Store(_)) => {
                self.push(time, place, 0, What::SyncFailed(database::<S>(*db)));
            }
            _ if self.detail == Detail::Story => {}
            _ => {
                let (region, text) = self.event(cause);
                self.push(time, place, region, What::Event(text));
            }
        }
    }

    /// An event in words, and the region that it is about.
    fn event<S: System>(&self, cause: &Cause<'_, Node<S>>) -> (u64, String) {
        match cause {
            Cause::Start => (0, "boots".to_owned()),
            Cause::Message { from, message } => {
                (region_of(message), format!("<{} {}", self.name(*from), describe(message)))
            }
            Cause::Timer { .. } => (0, "timer".to_owned()),
            Cause::Task { .. } => (0, "background work done".to_owned()),
            Cause::Synced { db, up_to } => (0, format!("synced {} to {up_to}", database::<S>(*db))),
            Cause::SyncFailed { db } => (0, format!("sync of {} failed", database::<S>(*db))),
            Cause::Input(NodeInput::Operator { region, command }) => (*region, told(command)),
            Cause::Input(NodeInput::Placement(PlacementInput::Order(order))) => (0, ordered(order)),
            Cause::Input(NodeInput::Placement(PlacementInput::Quiet)) => (0, "told to be quiet".to_owned()),
            Cause::Input(NodeInput::Client(_)) => (0, "new work".to_owned()),
            Cause::Crash { .. } => (0, "goes down".to_owned()),
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
        let (place, region) = (self.place(from), region_of(message));
        // Where a snapshot is data of a store it is no small thing to send one.
        if S::DATA_DB.is_some() && is_snapshot(message) && fate != Fate::Corrupted {
            self.push(time, place, region, What::Sends(u64::from(to.0) + 1));
        }
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
            Fate::Clogged => "clogged".to_owned(),
            Fate::Corrupted => "corrupted".to_owned(),
        };
        let text = format!(">{} {}: {fate}", self.name(to), describe(message));
        self.push(time, place, region, What::Event(text));
    }

    fn name(&self, node: NodeId) -> String {
        match self.place(node) {
            Place::Store(store) => store.to_string(),
            Place::Client(client) => format!("c{client}"),
            Place::Placement => "placement".to_owned(),
            Place::Scenario => String::new(),
        }
    }
}

impl Known {
    fn of<S: System>(system: &S, view: &ReplicaView<'_>) -> Known {
        Known {
            members: members(system, view),
            snapshots: view.snapshots,
            initialized: view.range.initialized,
            applying: view.range.applying,
            end: Bytes::copy_from_slice(view.range.end),
            version: view.range.version,
        }
    }
}

/// A database's name.
fn database<S: System>(db: DbId) -> String {
    S::DATABASES.get(usize::from(db.0)).copied().unwrap_or("a database").to_owned()
}

/// The region that a message is about; 0 for none.
fn region_of<S: System>(message: &Wire<S>) -> u64 {
    raftsim_kernel::Message::group(message)
}

fn is_snapshot<S: System>(message: &Wire<S>) -> bool {
    let kind = raftsim_kernel::Message::kind(message).bit();
    kind & crate::message::kind_bits(MessageKind::Snapshot) != 0
}
