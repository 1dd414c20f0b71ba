//! The seam between the harness and the code under test: what the software of a store takes in, and what a run may see
//! of it.
//!
//! A [`System`] is the software of one store. The harness puts one on each simulated machine, crashes it, partitions it,
//! sends it clients, and judges it by what it writes and sends; it knows nothing else of it. Two systems are here:
//! [`raftstore`], a store of many Raft groups over two databases, and [`bare`], one group without a store around it.
//! Others plug in the same way: a Raft of your own, or a crate that others wrote. `tests/seam.rs` has a small one.
//!
//! # What a system owes
//! - **Inputs are methods, effects go through the context.** It reads no clock, file, thread or randomness but what
//!   [`StoreContext`] gives, and the same inputs make it do the same. It is a value: a clone has the same future.
//! - **After a crash its disk is all that is left.** A new value is made by [`System::new`] and finds in
//!   [`System::on_start`] what earlier lives wrote and synced.
//! - **What it promises is durable when it leaves**: the checks hold each message to what [`System::LOG_DB`] had synced.
//! - **It tells the truth about itself**: terms, votes and entries as it writes them to disk ([`System::log_write`]), and
//!   a few numbers of each replica that an event touched ([`System::touched`]).
//!
//! # What it need not know
//! Scenarios, checks, histories, the other machines' disks. Clients speak to it through its [`Session`]; a system
//! without a protocol of its own for that takes [`PlainSession`].

mod alarm;
pub mod bare;
mod context;
pub mod raftstore;
mod session;

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

use ::raft::RawNode;
use bytes::Bytes;
use raft_proto::eraftpb;
use raftsim_kernel::{Change, DbId, Disk, Kind, TraceHasher, WriteSeq};

pub use crate::check::{DiskWrite, HardState, LogEntry, LogTerms, OnDisk, ReplicaState, Role};
use crate::message::{describe_raft, digest_raft};
use crate::scenario::{Scenario, Transition};
pub use alarm::Alarm;
pub use context::{RequestId, StoreContext};
pub use session::{Answer, PlainSession, Session};

/// The group that holds every key when a cluster starts: the one that the steps of a scenario are about.
pub const FIRST_REGION: u64 = 1;

/// The software of one store, and what a run may see of it.
pub trait System: Clone + fmt::Debug {
    /// What stores send each other.
    type Message: PeerMessage;
    /// How clients speak to stores.
    type Session: Session;

    /// The names of a store's databases, as transcripts show them; a database's number is its place here.
    const DATABASES: &'static [&'static str];
    /// The database that holds logs, terms and votes. What a message promises must be synced here.
    const LOG_DB: DbId;

    /// The software of a store that has not booted. Stores are numbered from 1.
    fn new(scenario: &Scenario, store: u64) -> Self;

    /// What a client knows of the cluster at the start.
    fn session(scenario: &Scenario) -> Self::Session;

    /// The machine booted. An empty disk is one that never ran.
    fn on_start(&mut self, cx: &mut StoreContext<'_, '_, Self>);

    /// A message of another store came. It may be old, doubled, or meant for an earlier life.
    fn on_message(&mut self, from: u64, message: Self::Message, cx: &mut StoreContext<'_, '_, Self>);

    /// A client asks. It is answered once with [`StoreContext::reply`], at any later time; or never, after which the
    /// client takes what it asked for as possibly done.
    fn on_request(
        &mut self,
        id: RequestId,
        request: <Self::Session as Session>::Request,
        cx: &mut StoreContext<'_, '_, Self>,
    );

    /// A timer set by this life ran out; also one that is no longer wanted.
    fn on_timer(&mut self, token: u64, cx: &mut StoreContext<'_, '_, Self>);

    /// Writes of database `db` up to number `up_to` are durable.
    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut StoreContext<'_, '_, Self>);

    /// An operator commands something of the replica of `region`.
    ///
    /// # Errors
    /// Why the replica does not take the command. That is an answer, not a failure of the store.
    fn on_operator(
        &mut self,
        region: u64,
        command: &Operator,
        cx: &mut StoreContext<'_, '_, Self>,
    ) -> Result<(), String>;

    /// Why the store serves nothing: it could not start, or stopped at an error. It ignores all input from then on.
    fn failure(&self) -> Option<String>;

    /// The replicas that the last event may have changed, or made send or write something, each once; after
    /// [`on_start`](System::on_start), all. What the event wrote and sent must come in the same order, one replica
    /// after the other.
    fn touched(&self) -> impl Iterator<Item = ReplicaView<'_>>;

    /// The replica of a region, if there is one that serves.
    fn replica(&self, region: u64) -> Option<ReplicaView<'_>>;

    /// The store on which a replica lives, as far as this store knows.
    fn store_of(&self, region: u64, replica: u64) -> Option<u64>;

    /// What a change of [`LOG_DB`](System::LOG_DB) means: a log entry, its removal, or a term and vote. `None` for
    /// everything else. Compaction and snapshots show in [`ReplicaState::truncated`]; they need no write here.
    fn log_write(change: &Change) -> Option<LogWrite>;

    /// What a disk holds of a region's replica, as its next life will find it.
    fn on_disk(disk: &Disk, region: u64) -> OnDisk;

    /// The value of a client's key as this store has applied it.
    fn value(&self, disk: &Disk, key: &[u8]) -> Option<Bytes>;

    /// All that clients wrote as this store has applied it, in an order that depends on nothing else. Two stores that
    /// have applied the same must give the same.
    fn data<'a>(&'a self, disk: &'a Disk) -> impl Iterator<Item = (&'a [u8], &'a Bytes)>;
}

/// What a message, a request or a reply says, for the trace hash and for people.
pub trait Payload: Clone + fmt::Debug {
    /// Folds into `hash` everything that tells it from another.
    fn digest(&self, hash: &mut TraceHasher);
    /// It in a few words.
    fn describe(&self) -> String;
}

/// A message between stores.
pub trait PeerMessage: Payload {
    /// The group that it is about.
    fn region(&self) -> u64 {
        FIRST_REGION
    }

    /// The Raft message in it, for the checks; `None` if it carries none. Borrowed where the system uses these types,
    /// made up where it has its own: kind, sender, receiver, term, index and `reject` are what counts.
    fn raft(&self) -> Option<Cow<'_, eraftpb::Message>>;

    /// Its kind, for filters: numbers below 62 are for messages between stores, and those of Raft messages are the ones
    /// that scenarios have names for.
    fn kind(&self) -> Kind {
        let kind = self.raft().map_or(0, |message| message.msg_type);
        Kind::new(u8::try_from(kind).unwrap_or(0).min(61))
    }
}

/// Bare Raft messages between stores whose replicas are numbered as they are.
impl PeerMessage for eraftpb::Message {
    fn raft(&self) -> Option<Cow<'_, eraftpb::Message>> {
        Some(Cow::Borrowed(self))
    }
}

impl Payload for eraftpb::Message {
    fn digest(&self, hash: &mut TraceHasher) {
        digest_raft(self, hash);
    }

    fn describe(&self) -> String {
        describe_raft(self)
    }
}

/// A change of a replica's log or promises, as one of its writes made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogWrite {
    /// Whose.
    pub region: u64,
    /// What.
    pub write: DiskWrite,
}

/// A replica as a run sees it after an event.
#[derive(Clone, Copy, Debug)]
pub struct ReplicaView<'a> {
    /// The group that it is a member of.
    pub region: u64,
    /// Its id, by which Raft messages name it.
    pub id: u64,
    /// What it is and how far it came.
    pub state: ReplicaState,
    /// The term of the entry at `state.truncated`.
    pub truncated_term: u64,
    /// The membership that it has applied.
    pub members: Members<'a>,
    /// How many snapshots it has restored since its store booted. It grows in the event in which the log's start moves to
    /// the snapshot's end: by that a snapshot is told from compaction.
    pub snapshots: u64,
}

/// A membership, by the ids of replicas, ascending.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Members<'a> {
    /// The voters; of a joint configuration the incoming ones.
    pub voters: &'a [u64],
    /// The outgoing voters of a joint configuration; empty unless there is one.
    pub outgoing: &'a [u64],
    /// Those that only learn.
    pub learners: &'a [u64],
    /// Whether the leader leaves the joint configuration by itself; false unless there is one.
    pub auto_leave: bool,
}

impl Members<'_> {
    /// Whether this is a joint configuration.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether a replica has a part in it.
    #[must_use]
    pub fn contains(&self, replica: u64) -> bool {
        [self.voters, self.outgoing, self.learners].iter().any(|part| part.contains(&replica))
    }
}

/// What an operator can command a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operator {
    /// Start an election now.
    Campaign,
    /// Hand leadership over to the replica on this store.
    Transfer {
        /// The store.
        to: u64,
    },
    /// Change the membership of the group.
    Change(MemberChange),
    /// Act as if there was no leader, until one is heard of.
    ForgetLeader,
    /// Ask the leader for a snapshot, as a replica does whose state machine is damaged.
    RequestSnapshot,
    /// Take a snapshot of the state machine, and drop the log before it.
    Compact,
}

/// What becomes of a group's members, by their stores.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MemberChange {
    /// The joint configuration is left for its incoming half.
    Leave,
    /// Stores change their part.
    Members {
        /// These become voters.
        add: Vec<u64>,
        /// These become learners.
        learn: Vec<u64>,
        /// These leave the group.
        remove: Vec<u64>,
        /// By which way.
        transition: Transition,
    },
}

impl Hash for Operator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            // The command that a region without a further word stands for.
            Operator::Campaign => {}
            Operator::Transfer { to } => (1u8, to).hash(state),
            Operator::Change(change) => (2u8, change).hash(state),
            Operator::ForgetLeader => 3u8.hash(state),
            Operator::RequestSnapshot => 4u8.hash(state),
            Operator::Compact => 5u8.hash(state),
        }
    }
}

/// The election priority of a store.
fn priority(scenario: &Scenario, store: u64) -> i64 {
    let place = store.checked_sub(1).and_then(|place| usize::try_from(place).ok());
    place.and_then(|place| scenario.raft.priorities.get(place)).copied().unwrap_or(0)
}

/// A replica of the crate `raft`, seen.
#[inline]
fn view(region: u64, raw: &RawNode, snapshots: u64) -> ReplicaView<'_> {
    let truncated = raw.truncated();
    let state = ReplicaState {
        term: raw.term(),
        vote: raw.vote().unwrap_or(0),
        role: match raw.role() {
            ::raft::Role::Follower => Role::Follower,
            ::raft::Role::PreCandidate => Role::PreCandidate,
            ::raft::Role::Candidate => Role::Candidate,
            ::raft::Role::Leader => Role::Leader,
        },
        leader: raw.leader().unwrap_or(0),
        commit: raw.commit(),
        applied: raw.applied(),
        truncated: truncated.index,
        last: raw.last().index,
    };
    let configuration = raw.configuration();
    let members = Members {
        voters: configuration.voters(),
        outgoing: configuration.outgoing(),
        learners: configuration.learners(),
        auto_leave: configuration.auto_leave(),
    };
    ReplicaView { region, id: raw.id(), state, truncated_term: truncated.term, members, snapshots }
}
