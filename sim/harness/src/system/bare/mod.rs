//! Bare Raft as a system: one group, a node of the crate `raft` on each store, and a small key-value state machine.
//!
//! Nothing stands between consensus and the harness: no regions, no second database, no request headers. So its speed is
//! that of raft and the simulator alone, and what is found here is raft's own. It is also the pattern for other implementations of Raft: what a `RawNode` hands
//! out is written, sent and applied here in about as many lines as there are duties.
//!
//! - `replica`: the ready loop, and what waits for the disk, for the log and for a read index.
//! - `disk`: what the one database holds.
//! - `machine`: the state machine, its commands and its snapshots.
//!
//! A replica's id is its store's number. Stores that are neither voters nor learners at the start begin with nothing, and
//! learn of the group from a snapshot once they are added.

mod disk;
mod machine;
mod replica;

use ::raft::eraftpb::{
    ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Message,
};
use ::raft::{Config, ReadMode};
use bytes::Bytes;
use raftsim_kernel::{Change, DbId, Disk, Duration, Time, WriteSeq};

use super::{
    Alarm, FIRST_REGION, Life, LogWrite, MemberChange, NoPlacement, Nothing, OnDisk, Operator, PlainSession,
    RecordKind, RegionRange, ReplicaView, RequestId, StoreContext, System, log_size, priority, progress,
    view,
};
use crate::history::Request;
use crate::scenario::ast::RaftConfig;
use crate::scenario::{ReadIndexMode, ReadPath, Scenario, Transition};
use replica::Replica;

/// The one database.
const DB: DbId = DbId(0);

/// What a replica is set up with.
#[derive(Clone, Debug)]
struct Settings {
    /// Of raft; `applied` and `seed` are each life's own.
    raft: Config,
    /// The length of a tick.
    tick: Duration,
    /// The members that the group starts with.
    members: ConfState,
    /// Which way reads take.
    reads: ReadPath,
    /// Applied entries that the log keeps before it is compacted.
    log_limit: u64,
    /// A read that nobody confirmed for so long is forgotten: its client has given up.
    read_patience: Duration,
}

/// A store with a bare Raft node.
#[derive(Clone, Debug)]
pub struct BareRaft {
    settings: Settings,
    replica: Option<Replica>,
    /// Why the store serves nothing.
    failed: Option<String>,
    alarm: Alarm,
}

type Cx<'a, 'b> = StoreContext<'a, 'b, BareRaft>;

impl System for BareRaft {
    type Message = Message;
    type Session = PlainSession;
    type Placement = NoPlacement;

    const DATABASES: &'static [&'static str] = &["raft"];
    const LOG_DB: DbId = DB;
    /// The state machine is in memory.
    const DATA_DB: Option<DbId> = None;

    fn new(scenario: &Scenario, store: u64, life: &Life<'_>) -> BareRaft {
        let (knobs, _) = life.knobs(scenario);
        let members = ConfState {
            voters: scenario.cluster.initial_voters(),
            learners: scenario.cluster.initial_learners(),
            ..ConfState::default()
        };
        let settings = Settings {
            raft: raft_config(&knobs, store),
            tick: knobs.tick,
            members,
            reads: scenario.bare.reads,
            log_limit: scenario.bare.log_limit,
            read_patience: scenario.client.timeout,
        };
        BareRaft { settings, replica: None, failed: None, alarm: Alarm::default() }
    }

    fn session(_: &Scenario) -> PlainSession {
        PlainSession
    }

    fn on_start(&mut self, cx: &mut Cx<'_, '_>) {
        self.settings.raft.seed = cx.random_seed("election jitter");
        match Replica::open(&self.settings, cx) {
            Ok(replica) => self.replica = Some(replica),
            Err(error) => self.failed = Some(error),
        }
        self.with(cx, |_, _| {});
    }

    #[inline]
    fn on_message(&mut self, _: u64, message: Message, cx: &mut Cx<'_, '_>) {
        self.with(cx, |replica, _| replica.step(message));
    }

    #[inline]
    fn on_request(&mut self, id: RequestId, request: Request, cx: &mut Cx<'_, '_>) {
        self.with(cx, |replica, cx| {
            if let Err(answer) = replica.request(id, request) {
                cx.reply(id, answer);
            }
        });
    }

    fn on_timer(&mut self, _: u64, cx: &mut Cx<'_, '_>) {
        if self.alarm.rings(cx.now()) {
            self.with(cx, |_, _| {});
        }
    }

    #[inline]
    fn on_synced(&mut self, _: DbId, up_to: WriteSeq, cx: &mut Cx<'_, '_>) {
        self.with(cx, |replica, cx| replica.on_synced(up_to, cx));
    }

    fn on_sync_failed(&mut self, _: DbId, _: &mut Cx<'_, '_>) {
        self.failed.get_or_insert("a sync of the raft database failed".to_owned());
    }

    fn on_task(&mut self, _: u64, _: &mut Cx<'_, '_>) {}

    fn on_placement(&mut self, response: Nothing, _: &mut Cx<'_, '_>) {
        match response {}
    }

    fn on_operator(&mut self, _: u64, command: &Operator, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        let mut answer = Err("the store does not serve".to_owned());
        self.with(cx, |replica, _| answer = replica.command(command));
        answer
    }

    fn failure(&self) -> Option<String> {
        self.failed.clone()
    }

    fn touched(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        self.replica.iter().map(replica_view)
    }

    fn replica(&self, region: u64) -> Option<ReplicaView<'_>> {
        self.serving().filter(|_| region == FIRST_REGION).map(replica_view)
    }

    fn replicas(&self) -> impl Iterator<Item = ReplicaView<'_>> {
        self.replica(FIRST_REGION).into_iter()
    }

    fn progress(&self, _: u64) -> impl Iterator<Item = (u64, u64, u64)> {
        self.serving().into_iter().flat_map(|replica| progress(replica.raft()))
    }

    fn region_of(&self, _: &[u8]) -> Option<u64> {
        self.serving().map(|_| FIRST_REGION)
    }

    fn size(&self, _: u64) -> u64 {
        self.serving().map_or(0, |replica| replica.machine().size() + log_size(replica.raft()))
    }

    fn store_of(&self, _: u64, replica: u64) -> Option<u64> {
        (replica > 0).then_some(replica)
    }

    fn log_write(change: &Change) -> Option<LogWrite> {
        disk::log_write(change).map(|write| LogWrite { region: FIRST_REGION, write })
    }

    fn record(_: DbId, change: &Change) -> Option<(u64, RecordKind)> {
        disk::record(change).map(|kind| (FIRST_REGION, kind))
    }

    fn data_key(_: &[u8]) -> Option<&[u8]> {
        None
    }

    fn on_disk(disk: &Disk, _: u64) -> OnDisk {
        disk::on_disk(disk)
    }

    fn value(&self, _: &Disk, key: &[u8]) -> Option<Bytes> {
        self.replica.as_ref()?.machine().get(key).cloned()
    }

    fn data<'a>(&'a self, _: &'a Disk) -> impl Iterator<Item = (&'a [u8], &'a Bytes)> {
        self.replica.iter().flat_map(|replica| replica.machine().pairs())
    }

    /// There are no indexes that could differ from the one replica.
    fn audit(&self, _: &Disk, _: u64) -> Result<(), String> {
        Ok(())
    }
}

impl BareRaft {
    /// The replica, unless the store has failed.
    #[inline]
    fn serving(&self) -> Option<&Replica> {
        self.replica.as_ref().filter(|_| self.failed.is_none())
    }

    /// The frame of every input: the replica is given the ticks that went by, then the input, and does what follows.
    #[inline]
    fn with(&mut self, cx: &mut Cx<'_, '_>, input: impl FnOnce(&mut Replica, &mut Cx<'_, '_>)) {
        if self.failed.is_some() {
            return;
        }
        let Some(replica) = &mut self.replica else { return };
        replica.catch_up(cx.now());
        input(replica, cx);
        if let Err(failure) = replica.proceed(cx) {
            self.failed = Some(failure);
            return;
        }
        if let Some(deadline) = replica.next_deadline()
            && let Some(span) = self.alarm.arm(cx.now(), deadline)
        {
            cx.set_timer(span, 0);
        }
    }
}

#[inline]
fn replica_view(replica: &Replica) -> ReplicaView<'_> {
    view(FIRST_REGION, replica.raft(), replica.restored(), RegionRange::whole())
}

fn raft_config(knobs: &RaftConfig, store: u64) -> Config {
    Config {
        id: store,
        election_ticks: knobs.election_ticks,
        heartbeat_ticks: knobs.heartbeat_ticks,
        applied: 0,
        max_size_per_message: knobs.max_message_size.get(),
        max_inflight_messages: knobs.max_inflight as usize,
        max_inflight_bytes: knobs.max_inflight_size.get(),
        max_committed_size_per_ready: knobs.max_committed_size.get(),
        max_uncommitted_size: knobs.max_uncommitted_size.get(),
        pre_vote: knobs.pre_vote,
        check_quorum: knobs.check_quorum,
        reads: match knobs.read_index {
            ReadIndexMode::Safe => ReadMode::Safe,
            ReadIndexMode::Lease => ReadMode::Lease { margin_ticks: knobs.lease_margin },
        },
        step_down_on_removal: knobs.step_down_on_removal,
        // Clients are sent to the leader; no proposal travels.
        forward_proposals: false,
        validate_conf_changes: knobs.validate_conf_changes,
        priority: priority(knobs, store),
        apply_unpersisted: knobs.apply_unpersisted,
        seed: 0,
        // Nothing is made of it: every boot waits until no lease can stand that an earlier life vouched for.
        first_life: false,
    }
}

/// What an operator asks for, as raft has it.
fn conf_change(change: &MemberChange) -> ConfChangeV2 {
    let MemberChange::Members { add, learn, remove, transition, .. } = change else {
        return ConfChangeV2::default();
    };
    let single = |kind: ConfChangeType| {
        move |node: &u64| ConfChangeSingle { change_type: kind as i32, node_id: *node }
    };
    let adds = add.iter().map(single(ConfChangeType::AddNode));
    let learns = learn.iter().map(single(ConfChangeType::AddLearnerNode));
    let removes = remove.iter().map(single(ConfChangeType::RemoveNode));
    let transition = match transition {
        Transition::Auto => ConfChangeTransition::Auto,
        Transition::Implicit => ConfChangeTransition::Implicit,
        Transition::Explicit => ConfChangeTransition::Explicit,
    };
    ConfChangeV2 {
        transition: transition as i32,
        changes: adds.chain(learns).chain(removes).collect(),
        context: Bytes::new(),
    }
}

/// The time of a tick.
fn tick_time(opened: Time, tick: Duration, number: u64) -> Option<Time> {
    tick.0.checked_mul(number).and_then(|span| opened.0.checked_add(span)).map(Time)
}
