//! The seam between the harness and the code under test: what the software of a store takes in, and what a run may see
//! of it.
//!
//! A [`System`] is the software of one store. The harness puts one on each simulated machine, crashes it, partitions it,
//! sends it clients, and judges it by what it writes and sends; it knows nothing else of it. Two systems are here:
//! [`raftstore`], a store of many Raft groups over three databases, and [`bare`], one group without a store around it.
//! Others plug in the same way: a Raft of your own, or a crate that others wrote. `tests/runs/seam` has a small one.
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
mod life;
mod operator;
mod placement;
pub mod raftstore;
mod session;
mod view;

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use raft_proto::eraftpb;
use raftsim_kernel::{Change, DbId, Disk, Kind, TraceHasher, WriteSeq};

pub use crate::check::{DiskWrite, HardState, LogEntry, LogTerms, OnDisk, ReplicaState, Role};
use crate::message::{describe_raft, digest_raft};
pub use crate::scenario::RecordKind;
use crate::scenario::Scenario;
use crate::scenario::ast::RaftConfig;
pub use alarm::Alarm;
pub use context::{RequestId, StoreContext};
pub use life::Life;
pub use operator::{MemberChange, Operator};
pub use placement::{Effects, NoPlacement, Nothing, Order, Placement};
pub use session::{Answer, PlainSession, Session};
pub use view::{Members, RegionRange, ReplicaView};
use view::{log_size, progress, view};

/// The group that holds every key when a cluster starts.
pub const FIRST_REGION: u64 = 1;

/// The software of one store, and what a run may see of it.
pub trait System: Clone + fmt::Debug {
    /// What stores send each other.
    type Message: PeerMessage;
    /// How clients speak to stores.
    type Session: Session;
    /// What tells stores where replicas shall be; [`NoPlacement`] for a system without such a thing.
    type Placement: Placement;

    /// The names of a store's databases, as transcripts show them; a database's number is its place here.
    const DATABASES: &'static [&'static str];
    /// The database that holds logs, terms and votes. What a message promises must be synced here.
    const LOG_DB: DbId;
    /// The database whose pairs clients' data stands in, for digests; `None` where it stands in none as it is.
    const DATA_DB: Option<DbId>;

    /// The databases of which no atomic batches are expected: a crash may leave a part of one.
    const TORN: &'static [DbId] = &[];

    /// The software of a store that has not booted. Stores are numbered from 1.
    fn new(scenario: &Scenario, store: u64, life: &Life<'_>) -> Self;

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

    /// A sync of database `db` failed. What it covered is not durable, and as with `fsync` on Linux no later sync makes it so,
    /// whatever that one reports: the system must promise nothing more that depends on this database.
    fn on_sync_failed(&mut self, db: DbId, cx: &mut StoreContext<'_, '_, Self>);

    /// A task that this life started with [`StoreContext::start_task`] is done.
    fn on_task(&mut self, token: u64, cx: &mut StoreContext<'_, '_, Self>);

    /// The placement driver answers, or orders something. It may be old or doubled.
    fn on_placement(
        &mut self,
        response: <Self::Placement as Placement>::Response,
        cx: &mut StoreContext<'_, '_, Self>,
    );

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

    /// The replicas that the last event destroyed, as they were in the end: what they did in it is still judged.
    fn departed(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        std::iter::empty()
    }

    /// The replica of a region, if there is one that serves.
    fn replica(&self, region: u64) -> Option<ReplicaView<'_>>;

    /// All replicas, by their regions' ids; none of a store that serves nothing.
    fn replicas(&self) -> impl Iterator<Item = ReplicaView<'_>>;

    /// What a leader believes of the members of its group: replica, matched, next, by the replicas' ids. Nothing unless it
    /// leads.
    fn progress(&self, region: u64) -> impl Iterator<Item = (u64, u64, u64)>;

    /// The region that holds a key, as far as this store's initialised replicas know.
    fn region_of(&self, key: &[u8]) -> Option<u64>;

    /// Bytes of the data and the log of a region's replica, roughly.
    fn size(&self, region: u64) -> u64;

    /// The store on which a replica lives, as far as this store knows.
    fn store_of(&self, region: u64, replica: u64) -> Option<u64>;

    /// What a change of [`LOG_DB`](System::LOG_DB) means: a log entry, its removal, or a term and vote. `None` for
    /// everything else. Compaction and snapshots show in [`ReplicaState::truncated`]; they need no write here.
    fn log_write(change: &Change) -> Option<LogWrite>;

    /// What a change of any database means as a record, and of which region; 0 where a record is of none. For scenarios
    /// that stop a store between two of its writes.
    fn record(db: DbId, change: &Change) -> Option<(u64, RecordKind)>;

    /// The client's key in a change of [`DATA_DB`](System::DATA_DB): what regions divide between them. `None` for the
    /// store's own records.
    fn data_key(key: &[u8]) -> Option<&[u8]>;

    /// What a disk holds of a region's replica, as its next life will find it.
    fn on_disk(disk: &Disk, region: u64) -> OnDisk;

    /// The value of a client's key as this store has applied it.
    fn value(&self, disk: &Disk, key: &[u8]) -> Option<Bytes>;

    /// All that clients wrote as this store has applied it, in an order that depends on nothing else: of every replica that
    /// is initialised and applies no snapshot. Two stores that have applied the same must give the same.
    fn data<'a>(&'a self, disk: &'a Disk) -> impl Iterator<Item = (&'a [u8], &'a Bytes)>;

    /// Something on the disk that a store at rest has no use for, and should have cleaned up.
    fn leftovers(&self, _disk: &Disk) -> Option<String> {
        None
    }

    /// What is in memory, the replica and the disk agree about a region that the last event touched.
    ///
    /// # Errors
    /// What does not agree.
    fn audit(&self, disk: &Disk, region: u64) -> Result<(), String>;
}

/// What a message, a request or a reply says, for the trace hash and for people.
pub trait Payload: Clone + fmt::Debug {
    /// Folds into `hash` everything that tells it from another.
    fn digest(&self, hash: &mut TraceHasher);
    /// It in a few words.
    fn describe(&self) -> String;
    /// Its bytes, as a server would send them.
    fn to_wire(&self) -> Vec<u8>;
    /// What those bytes say: the same again. `None` where they are none of its own.
    fn from_wire(bytes: &[u8]) -> Option<Self>;
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

    fn to_wire(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        prost::Message::decode(bytes).ok()
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

/// The election priority of a store.
fn priority(knobs: &RaftConfig, store: u64) -> i64 {
    let place = store.checked_sub(1).and_then(|place| usize::try_from(place).ok());
    place.and_then(|place| knobs.priorities.get(place)).copied().unwrap_or(0)
}
