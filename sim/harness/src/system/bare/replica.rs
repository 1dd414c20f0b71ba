//! The replica on a store: a raft node, the state machine, and what waits for the disk, the log or a read index.
//!
//! After every input the replica takes what raft has ready ([`Replica::proceed`]): it writes, sends, applies and answers.
//! What raft promises waits here until the write that it depends on is durable, and leaves in the order in which it was
//! made; one sync at a time covers all that was written before it began (group commit).
//!
//! The state machine is in memory alone: a boot makes it from the snapshot on disk and has raft hand out the entries after
//! it again. So what is applied before it is durable here ([`Config::apply_unpersisted`](::raft::Config)) is forgotten in a
//! crash together with its entries; a snapshot is written only once all that it covers is durable.

use std::collections::VecDeque;

use ::raft::eraftpb::{Entry, EntryType, HardState, Message, MessageType, Snapshot, SnapshotMetadata};
use ::raft::{EntryId, RawNode, ReadId, ReadState, Ready, SnapshotStatus, conf_change_of};
use raftsim_kernel::{Duration, Time, WriteSeq};

use super::disk::{self, Batch};
use super::machine::{self, Machine};
use super::{Cx, DB, Settings, conf_change, tick_time};
use crate::history::Request;
use crate::scenario::ReadPath;
use crate::system::{Answer, Operator, RequestId};

/// Where the log of a new group starts. Above 0, so that a store that is added later, which starts at 0, is behind the
/// start of the log and is told of the group by a snapshot, rather than taking itself for whole.
const START: EntryId = EntryId { term: 5, index: 5 };

/// A snapshot that a peer has not answered in so many election timeouts is given up.
const SNAPSHOT_PATIENCE: u64 = 3;

/// A replica.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    settings: Settings,
    raw: RawNode,
    machine: Machine,
    /// When the store booted, by its clock: tick 0.
    opened: Time,
    /// What the clock showed last, and by how much it has gone back in all.
    seen: Time,
    lost: Duration,
    /// The tick up to which raft has counted.
    ticked: u64,
    /// The first index of the log on disk, and the last.
    first: u64,
    last: u64,
    /// Term, vote and commit as the disk has them.
    written: HardState,
    /// What waits for the disk, in the order of the writes.
    unsynced: VecDeque<Unsynced>,
    /// Who waits for which entry, in the order of term and index.
    proposals: VecDeque<(EntryId, RequestId)>,
    /// Reads that wait for a read index, oldest first.
    asked: VecDeque<Read>,
    /// Reads that wait until an index is applied.
    confirmed: Vec<(u64, RequestId, Request)>,
    /// Snapshots on their way: to whom, and the tick in which they left.
    sent_snapshots: Vec<(u64, u64)>,
    /// The state that the log on disk will follow, once all of it is durable.
    compacting: Option<Image>,
    /// How many snapshots were restored since the boot.
    restored: u64,
}

/// A [`Ready`] that is written, but may not be durable yet.
#[derive(Clone, Debug)]
struct Unsynced {
    seq: WriteSeq,
    /// Of the last ready that waits for this write.
    number: u64,
    messages: Vec<Message>,
}

/// A read that bypasses the log.
#[derive(Clone, Debug)]
struct Read {
    id: ReadId,
    asked: Time,
    request: RequestId,
    what: Request,
}

/// The state machine at one moment.
#[derive(Clone, Debug)]
struct Image {
    metadata: SnapshotMetadata,
    machine: Machine,
}

impl Image {
    fn to_snapshot(&self) -> Snapshot {
        Snapshot { data: self.machine.encode(), metadata: Some(self.metadata.clone()) }
    }
}

impl Replica {
    /// The replica that the disk holds. On an empty one, a member begins the group; others wait to be told of it.
    pub(super) fn open(settings: &Settings, cx: &mut Cx<'_, '_>) -> Result<Replica, String> {
        let (id, members) = (settings.raft.id, &settings.members);
        let mut stored = disk::read(cx.disk())?;
        if stored.snapshot.is_none() && (members.voters.contains(&id) || members.learners.contains(&id)) {
            begin_group(settings, cx)?;
            stored = disk::read(cx.disk())?;
        }
        let snapshot = stored.snapshot.unwrap_or_default();
        let applied = snapshot.metadata.map_or(0, |metadata| metadata.index);
        let config = ::raft::Config { applied, ..settings.raft.clone() };
        Ok(Replica {
            raw: RawNode::new(&config, &stored.raft).map_err(|error| error.to_string())?,
            machine: Machine::decode(snapshot.data).map_err(|error| format!("the snapshot: {error}"))?,
            settings: settings.clone(),
            opened: cx.now(),
            seen: cx.now(),
            lost: Duration::ZERO,
            ticked: 0,
            first: applied + 1,
            last: stored.last,
            written: stored.hard,
            unsynced: VecDeque::new(),
            proposals: VecDeque::new(),
            asked: VecDeque::new(),
            confirmed: Vec::new(),
            sent_snapshots: Vec::new(),
            compacting: None,
            restored: 0,
        })
    }

    /// The state of consensus.
    pub(super) fn raft(&self) -> &RawNode {
        &self.raw
    }

    /// The state machine.
    pub(super) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How many snapshots were restored since the boot.
    pub(super) fn restored(&self) -> u64 {
        self.restored
    }

    // Time.

    /// Gives raft the ticks that went by. It must have them before anything else of an event: a lease is judged by them.
    #[inline]
    pub(super) fn catch_up(&mut self, now: Time) {
        if now < self.seen {
            // The clock went back, so time stood still.
            self.lost = self.lost + self.seen.since(now);
        }
        self.seen = now;
        let since_open = self.time().since(self.opened);
        let tick = since_open.as_nanos() / self.settings.tick.as_nanos().max(1);
        if tick <= self.ticked {
            return;
        }
        self.raw.elapse(tick - self.ticked);
        self.ticked = tick;
        self.give_up_snapshots();
    }

    /// The time of the last event, on a clock that never went back.
    #[inline]
    fn time(&self) -> Time {
        self.seen + self.lost
    }

    /// When the next tick is that makes raft act.
    #[inline]
    pub(super) fn next_deadline(&self) -> Option<Time> {
        let due = self.ticked.saturating_add(1).saturating_add(self.raw.idle_ticks());
        tick_time(self.opened, self.settings.tick, due).map(|due| Time(due.0.saturating_sub(self.lost.0)))
    }

    /// The network tells nobody what it lost, so a snapshot without an answer is taken for lost in the end. An answer that
    /// comes later is as good as one in time.
    #[inline]
    fn give_up_snapshots(&mut self) {
        if self.sent_snapshots.is_empty() {
            return;
        }
        let patience = SNAPSHOT_PATIENCE * u64::from(self.settings.raft.election_ticks);
        let (raw, ticked) = (&mut self.raw, self.ticked);
        self.sent_snapshots.retain(|&(peer, sent)| {
            let under_way = raw.progress(peer).is_some_and(|progress| progress.is_receiving_snapshot());
            let given_up = under_way && ticked - sent > patience;
            if given_up {
                raw.report_snapshot(peer, SnapshotStatus::Failed);
            }
            under_way && !given_up
        });
    }

    // Inputs.

    /// A message of another replica. What raft refuses is as good as lost on the way, and some kinds never travel: replicas
    /// campaign and beat by their own time.
    #[inline]
    pub(super) fn step(&mut self, message: Message) {
        if !matches!(message.msg_type(), MessageType::MsgHup | MessageType::MsgBeat) {
            let _ = self.raw.step(message);
        }
    }

    /// A client's request: into the log, or past it.
    ///
    /// # Errors
    /// The answer, where that is known at once.
    #[inline]
    pub(super) fn request(&mut self, id: RequestId, request: Request) -> Result<(), Answer> {
        let only_reads = matches!(request, Request::Get { .. } | Request::Scan { .. });
        if only_reads && self.settings.reads == ReadPath::Index {
            let read = self.raw.read_index().map_err(refusal)?;
            self.forget_old_reads();
            self.asked.push_back(Read { id: read, asked: self.time(), request: id, what: request });
        } else {
            let entry = self.raw.propose(machine::encode(&request)).map_err(refusal)?;
            self.proposals.push_back((entry, id));
        }
        Ok(())
    }

    /// An operator's command.
    ///
    /// # Errors
    /// Why raft does not take it.
    pub(super) fn command(&mut self, command: &Operator) -> Result<(), String> {
        let answer = match command {
            Operator::Campaign => {
                self.raw.campaign();
                Ok(())
            }
            Operator::Transfer { to } => self.raw.transfer_leader(*to),
            Operator::Change(change) => self.raw.propose_conf_change(&conf_change(change)).map(|_| ()),
            Operator::ForgetLeader => self.raw.forget_leader(),
            Operator::RequestSnapshot => self.raw.request_snapshot(),
            Operator::Compact => {
                self.compacting = self.image();
                Ok(())
            }
            Operator::Split { .. } => return Err("there is one group, and it cannot be split".to_owned()),
        };
        answer.map_err(|error| error.to_string())
    }

    /// Every write up to `up_to` is durable.
    #[inline]
    pub(super) fn on_synced(&mut self, up_to: WriteSeq, cx: &mut Cx<'_, '_>) {
        while let Some(Unsynced { number, messages, .. }) =
            self.unsynced.pop_front_if(|write| write.seq <= up_to)
        {
            self.raw.on_persisted(number);
            self.send_all(messages, cx);
        }
    }

    // The ready loop.

    /// Does what raft has ready, until it has nothing.
    ///
    /// # Errors
    /// What was committed or sent is damaged, so that the store must not go on.
    #[inline]
    pub(super) fn proceed(&mut self, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        let mut written = false;
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            written |= self.persist(&mut ready, cx)?;
            self.send_all(ready.messages, cx);
            if let Some(snapshot) = ready.snapshot {
                self.restore(snapshot, cx)?;
            }
            self.apply(ready.committed_entries, cx)?;
            for state in ready.read_states {
                self.on_read_state(state, cx);
            }
            if ready.wants_snapshot {
                match self.image() {
                    Some(image) => self.raw.on_snapshot(image.to_snapshot()),
                    None => self.raw.on_snapshot_failed(),
                }
            }
        }
        if !self.confirmed.is_empty() {
            self.serve(cx);
        }
        self.compact(cx)?;
        if written {
            cx.sync(DB);
        }
        Ok(())
    }

    /// Writes what must be durable before the ready's promises leave, and lets them wait for it: or for an earlier write,
    /// or for nothing. True when something was written.
    #[inline]
    fn persist(&mut self, ready: &mut Ready, cx: &mut Cx<'_, '_>) -> Result<bool, String> {
        let messages = std::mem::take(&mut ready.persisted_messages);
        if ready.must_sync {
            let batch = self.batch(ready);
            let seq = write(batch, cx)?;
            self.unsynced.push_back(Unsynced { seq, number: ready.number, messages });
            return Ok(true);
        }
        match self.unsynced.back_mut() {
            Some(last) => {
                last.number = ready.number;
                last.messages.extend(messages);
            }
            None => {
                self.raw.on_persisted(ready.number);
                self.send_all(messages, cx);
            }
        }
        Ok(false)
    }

    fn batch(&mut self, ready: &Ready) -> Batch {
        let mut batch = Batch::with_room(&ready.entries);
        if let Some(snapshot) = &ready.snapshot {
            batch.put_snapshot(snapshot);
            // All of the log on disk goes.
            (self.first..=self.last).for_each(|index| batch.delete_entry(index));
            self.last = index_of(snapshot);
            self.first = self.last + 1;
        }
        let hard = self.raw.hard_state();
        for entry in &ready.entries {
            batch.put_entry(entry, hard.commit);
        }
        if let Some(last) = ready.entries.last() {
            // What the log held past the last one can never commit any more.
            (last.index + 1..=self.last).for_each(|index| batch.delete_entry(index));
            self.last = last.index;
        }
        if (hard.term, hard.vote) != (self.written.term, self.written.vote) || ready.snapshot.is_some() {
            batch.put_hard_state(&hard);
            self.written = hard;
        }
        batch
    }

    fn send_all(&mut self, mut messages: Vec<Message>, cx: &mut Cx<'_, '_>) {
        for message in messages.drain(..) {
            if message.msg_type == MessageType::MsgSnapshot as i32 {
                // The patience for an earlier one is over with it.
                self.sent_snapshots.retain(|(peer, _)| *peer != message.to);
                self.sent_snapshots.push((message.to, self.ticked));
            }
            cx.send(message.to, message);
        }
        self.raw.reuse(messages);
    }

    // Applying.

    /// Applies committed entries.
    #[inline]
    fn apply(&mut self, entries: Vec<Entry>, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        let Some(last) = entries.last().map(|last| last.index) else { return Ok(()) };
        for entry in entries {
            let id = EntryId { term: entry.term, index: entry.index };
            let waiting = self.resolve(id, cx);
            if entry.entry_type != EntryType::EntryNormal as i32 {
                self.apply_conf_change(&entry)?;
            } else if !entry.data.is_empty() {
                // An empty one is what a new leader appends.
                let outcome =
                    self.machine.apply(entry.data).map_err(|error| format!("entry {}: {error}", id.index))?;
                if let Some(request) = waiting {
                    cx.reply(request, Answer::Done(outcome));
                }
            }
        }
        self.raw.on_applied(last);
        self.note_log_limit();
        Ok(())
    }

    /// Answers the proposals that the applied entry decides, and gives the one that is its own. Those ordered before it, by
    /// term and then index, are lost: in a log both only grow.
    #[inline]
    fn resolve(&mut self, applied: EntryId, cx: &mut Cx<'_, '_>) -> Option<RequestId> {
        while let Some((entry, request)) = self.proposals.pop_front_if(|(entry, _)| *entry <= applied) {
            if entry == applied {
                return Some(request);
            }
            cx.reply(request, Answer::Refused);
        }
        None
    }

    fn apply_conf_change(&mut self, entry: &Entry) -> Result<(), String> {
        let change = conf_change_of(entry).map_err(|error| error.to_string())?;
        match self.raw.apply_conf_change(&change) {
            // Nobody judged it before it was proposed, so it is judged here, alike by every replica.
            Err(_) if !self.settings.raft.validate_conf_changes => Ok(()),
            Err(error) => Err(format!("the membership change at {}: {error}", entry.index)),
            Ok(_) => Ok(()),
        }
    }

    // Snapshots.

    /// The state machine as it is now.
    fn image(&self) -> Option<Image> {
        let index = self.raw.applied();
        let metadata = SnapshotMetadata {
            conf_state: Some(self.raw.conf_state()),
            index,
            term: self.raw.term_at(index)?,
        };
        Some(Image { metadata, machine: self.machine.clone() })
    }

    /// The leader's state machine takes the place of this one. Whether the snapshot holds a proposal of ours nobody can
    /// tell.
    fn restore(&mut self, snapshot: Snapshot, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        let metadata = snapshot.metadata.unwrap_or_default();
        let id = EntryId { term: metadata.term, index: metadata.index };
        self.machine = Machine::decode(snapshot.data).map_err(|error| format!("a snapshot: {error}"))?;
        self.compacting = None;
        self.restored += 1;
        while let Some((_, request)) = self.proposals.pop_front_if(|(entry, _)| *entry <= id) {
            cx.reply(request, Answer::Unknown);
        }
        self.raw.on_applied(id.index);
        Ok(())
    }

    #[inline]
    fn note_log_limit(&mut self) {
        let kept = self.raw.applied() - self.raw.truncated().index;
        if kept > self.settings.log_limit && self.compacting.is_none() {
            self.compacting = self.image();
        }
    }

    /// Writes the snapshot that is due, with the log that follows it, if all that it covers is durable. What was applied
    /// while it waited may be worth the next one.
    #[inline]
    fn compact(&mut self, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        let durable = self.raw.persisted();
        while let Some(image) = self.compacting.take_if(|image| image.metadata.index <= durable) {
            // Of what raft handed out, some may wait to be executed yet: then there is nothing new in it.
            if image.metadata.index < self.first {
                break;
            }
            self.compact_to(&image, cx)?;
            self.note_log_limit();
        }
        Ok(())
    }

    fn compact_to(&mut self, image: &Image, cx: &mut Cx<'_, '_>) -> Result<(), String> {
        let (first, index) = (self.first, image.metadata.index);
        self.first = index + 1;
        let mut batch = Batch::default();
        batch.put_snapshot(&image.to_snapshot());
        (first..=index).for_each(|index| batch.delete_entry(index));
        write(batch, cx)?;
        self.raw.compact(index);
        Ok(())
    }

    // Reads.

    #[inline]
    fn on_read_state(&mut self, state: ReadState, cx: &mut Cx<'_, '_>) {
        // One that is not there was forgotten.
        let Some(place) = self.asked.iter().position(|read| read.id == state.id) else { return };
        let Some(Read { request, what, .. }) = self.asked.remove(place) else { return };
        match state.index {
            Some(index) => self.confirmed.push((index, request, what)),
            None => cx.reply(request, Answer::NotLeader { leader: None }),
        }
    }

    /// Answers the reads whose index is applied.
    fn serve(&mut self, cx: &mut Cx<'_, '_>) {
        let (applied, machine) = (self.raw.applied(), &self.machine);
        self.confirmed.retain(|(index, request, what)| {
            let due = *index <= applied;
            if due && let Some(outcome) = machine.read(what) {
                cx.reply(*request, Answer::Done(outcome));
            }
            !due
        });
    }

    /// The answer of a read may get lost, and its client has a patience.
    fn forget_old_reads(&mut self) {
        let now = self.time();
        let patience = self.settings.read_patience;
        while self.asked.pop_front_if(|read| now.since(read.asked) > patience).is_some() {}
    }
}

/// Writes the first snapshot of a group: nothing, and its members.
fn begin_group(settings: &Settings, cx: &mut Cx<'_, '_>) -> Result<(), String> {
    let EntryId { term, index } = START;
    let metadata = SnapshotMetadata { conf_state: Some(settings.members.clone()), index, term };
    let mut batch = Batch::default();
    batch.put_snapshot(&Image { metadata, machine: Machine::default() }.to_snapshot());
    batch.put_hard_state(&HardState { term, vote: 0, commit: index });
    write(batch, cx)?;
    cx.sync(DB);
    Ok(())
}

/// Writes a batch. A replica that cannot write cannot promise anything: its store stops.
fn write(batch: Batch, cx: &mut Cx<'_, '_>) -> Result<WriteSeq, String> {
    cx.disk_mut().try_write(DB, batch.into_ops()).map_err(|fault| format!("a write failed: {fault}"))
}

fn index_of(snapshot: &Snapshot) -> u64 {
    snapshot.metadata.as_ref().map_or(0, |metadata| metadata.index)
}

/// Why raft does not take a request, as an answer. Whatever it is, nothing was proposed.
fn refusal(error: ::raft::Error) -> Answer {
    match error {
        ::raft::Error::NotLeader { leader } => Answer::NotLeader { leader },
        _ => Answer::Refused,
    }
}
