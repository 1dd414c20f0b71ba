//! The interface of a replica: inputs go in as calls, effects come out as numbered [`Ready`] batches.

use bytes::Bytes;

use crate::config::Config;
use crate::configuration::{ConfChangeError, Configuration};
use crate::eraftpb::{ConfChangeV2, ConfState, Entry, HardState, Message, Snapshot};
use crate::error::Error;
use crate::progress::Progress;
use crate::raft::Raft;
use crate::reads::ReadId;
use crate::ready::{EntryId, Ready, Role, SoftState};
use crate::snapshot::{SnapshotStatus, metadata};
use crate::storage::Storage;
use crate::writes::Write;

/// One replica of one group.
///
/// It never waits and does no I/O. Persistence is asynchronous: several [`Ready`] batches may be on their
/// way to the disk, and [`on_persisted`](RawNode::on_persisted) tells when they are durable. Until then
/// the replica's own votes and entries do not count. A caller that writes synchronously uses
/// [`advance`](RawNode::advance) instead.
///
/// A copy is independent of the original and cheap: the log is shared until one of them changes it.
#[derive(Clone, Debug)]
pub struct RawNode {
    raft: Raft,
    /// Number of the last batch handed out.
    number: u64,
    /// As last handed out.
    hard_state: HardState,
    soft_state: SoftState,
}

impl RawNode {
    /// A replica that continues from what `storage` holds, as a follower.
    ///
    /// # Errors
    /// If the configuration makes no sense, the storage fails, or what it holds contradicts itself.
    pub fn new(config: &Config, storage: &impl Storage) -> Result<RawNode, Error> {
        let hard_state = storage.initial_state()?.hard_state;
        let raft = Raft::new(config, storage)?;
        let soft_state = raft.soft_state();
        Ok(RawNode { raft, number: 0, hard_state, soft_state })
    }

    /// One tick passes. Leads to an election when the timeout of a follower or candidate ran out, to
    /// heartbeats when the interval of a leader did, and to nothing otherwise.
    pub fn tick(&mut self) {
        self.raft.elapse(1);
    }

    /// How many further ticks would only count: after that many, the next one acts. `u64::MAX` if no
    /// number of ticks leads to anything, as in a replica that is not a member of its group.
    pub fn idle_ticks(&self) -> u64 {
        self.raft.idle_ticks()
    }

    /// The same as `ticks` calls of [`tick`](RawNode::tick), in time proportional to those that act.
    pub fn tick_many(&mut self, ticks: u64) {
        self.raft.tick_many(ticks);
    }

    /// So many ticks have passed since the last call, some of them unseen, as after a pause of the process.
    /// Whatever they lead to happens once: a process that was stopped for a minute does not campaign through
    /// a dozen terms when it wakes. But all of them count, for leases.
    ///
    /// Leases are judged by the ticks that were passed on so far, on both sides: pass them on before a message
    /// is stepped, before a read and before a campaign.
    pub fn elapse(&mut self, ticks: u64) {
        self.raft.elapse(ticks);
    }

    /// Starts an election now, by asking for pre-votes if so configured. Does nothing on a leader, on a
    /// replica that is no voter, while a committed membership change is not applied, and while a leader may
    /// hold a lease that this replica vouches for.
    pub fn campaign(&mut self) {
        self.raft.handle_hup();
    }

    /// Appends an entry with this data to the leader's log. It may still be lost: it is committed once
    /// the entry handed out at the returned index has the returned term.
    ///
    /// # Errors
    /// [`Error::NotLeader`]: nothing is forwarded. [`Error::Transferring`], [`Error::TooMuchUncommitted`] and
    /// [`Error::NotMember`], as they say.
    pub fn propose(&mut self, data: Bytes) -> Result<EntryId, Error> {
        self.raft.propose(Entry { data, ..Entry::default() })
    }

    /// Appends an entry with a membership change to the leader's log. It takes effect when the replicas
    /// apply it: see [`apply_conf_change`](RawNode::apply_conf_change).
    ///
    /// One change leads to the new configuration at once, and so do several that leave the voters as they are; others
    /// go through a joint one (thesis 4.3), or as [`transition`](ConfChangeV2::transition) says. A change without
    /// content leaves a joint
    /// configuration; unless it was entered explicitly, the leader proposes that by itself.
    ///
    /// # Errors
    /// As [`propose`](RawNode::propose). Further, unless
    /// [`validate_conf_changes`](Config::validate_conf_changes) is off: [`Error::ConfChangePending`] and
    /// [`Error::TermNotCommitted`] when it is too early, [`Error::ConfChange`] when the change makes no sense.
    pub fn propose_conf_change(&mut self, change: &ConfChangeV2) -> Result<EntryId, Error> {
        self.raft.propose_conf_change(change)
    }

    /// Changes the membership as a committed entry says that is being applied: see
    /// [`conf_change_of`](crate::conf_change_of). To be called before [`on_applied`](RawNode::on_applied) for
    /// that entry. Returns the new membership, which the caller must remember with its applied index.
    ///
    /// # Errors
    /// If the change is not possible in this configuration; nothing happens then. That cannot be with
    /// [`validate_conf_changes`](Config::validate_conf_changes), and is the same on every replica.
    pub fn apply_conf_change(&mut self, change: &ConfChangeV2) -> Result<ConfState, ConfChangeError> {
        self.raft.apply_conf_change(change)
    }

    /// Asks the leader to hand over to a voter. Until that campaigns, or an election timeout has passed, the
    /// leader takes no proposals. Nothing happens if it leads already or is no voter; a wish for the present
    /// leader takes back an earlier one.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this replica neither leads nor knows who does.
    pub fn transfer_leader(&mut self, to: u64) -> Result<(), Error> {
        self.raft.transfer_leader(to)
    }

    /// Forgets who leads, in the same term, because the caller knows that the leader is gone: a candidate
    /// need not wait until the promise to stay with it runs out.
    ///
    /// # Errors
    /// [`Error::Leased`] with lease reads, which rely on that promise.
    pub fn forget_leader(&mut self) -> Result<(), Error> {
        self.raft.forget_leader()
    }

    /// Begins a read that bypasses the log, on the leader or on a replica that follows one. What becomes of
    /// it is said in [`Ready::read_states`], by the returned id.
    ///
    /// A message of a read that began on a follower may be lost, and then nothing is ever said; or doubled, and
    /// then it is said twice. The caller must be able to forget an id and begin another read. How many reads
    /// wait on a leader that no quorum answers is for the caller to bound, or for
    /// [`check_quorum`](Config::check_quorum), which ends its leadership.
    ///
    /// # Errors
    /// [`Error::NotLeader`] if this replica neither leads nor knows who does, [`Error::NotMember`] if it leads
    /// a group that it was removed from.
    pub fn read_index(&mut self) -> Result<ReadId, Error> {
        self.raft.read_index()
    }

    /// Forgets the entries up to `index`, because a snapshot can take their place. With
    /// [`apply_unpersisted`](Config::apply_unpersisted), not past [`persisted`](RawNode::persisted): what the
    /// disk has must lead up to what the snapshot holds.
    ///
    /// # Panics
    /// If they are not applied.
    pub fn compact(&mut self, index: u64) {
        self.raft.log.compact(index);
    }

    /// Hands over the snapshot that [`Ready::wants_snapshot`] asked for: the state machine at the index in its
    /// metadata, with the membership as of that index. It is sent to every peer that can use it.
    ///
    /// # Panics
    /// If the index is not applied, or the term there is another one.
    pub fn on_snapshot(&mut self, snapshot: Snapshot) {
        self.raft.on_snapshot(snapshot);
    }

    /// There will be no snapshot. A peer that needs one makes the leader ask again.
    pub fn on_snapshot_failed(&mut self) {
        self.raft.on_snapshot_failed();
    }

    /// Asks the leader for a snapshot, because the state machine here is damaged. Until it comes, no entries
    /// are taken or handed out to be applied, and this replica does not stand in elections.
    ///
    /// The request ends with the leader's term, or when nothing is heard of the leader for an election timeout: see
    /// [`snapshot_requested`](RawNode::snapshot_requested), and ask the next leader.
    ///
    /// # Errors
    /// [`Error::NotLeader`] without a leader, [`Error::Leading`] on one, [`Error::RequestTooEarly`] before the
    /// log ends with an entry of the present leader and everything that was handed out is applied.
    pub fn request_snapshot(&mut self) -> Result<(), Error> {
        self.raft.request_snapshot()
    }

    /// Whether the leader of this term was asked for a snapshot that did not come yet.
    pub fn snapshot_requested(&self) -> bool {
        self.raft.snapshot_request.is_some()
    }

    /// Tells what became of a snapshot that was sent to a peer. Until that is known, or the peer
    /// acknowledges it, the peer is sent nothing else; so a transport that gives up must say so.
    pub fn report_snapshot(&mut self, peer: u64, status: SnapshotStatus) {
        self.raft.report_snapshot(peer, status);
    }

    /// Tells that what was last sent to a peer did not arrive. Its appends are probes from now on.
    pub fn report_unreachable(&mut self, peer: u64) {
        if let Some(progress) = self.raft.tracker.progress_mut(peer) {
            progress.on_unreachable();
        }
    }

    /// Changes the election priority: see [`Config::priority`].
    pub fn set_priority(&mut self, priority: i64) {
        self.raft.config.priority = priority;
    }

    /// Takes a message from another replica. Old and duplicate messages are harmless. A `MsgPropose` is
    /// forwarded to the leader if this replica follows one and is configured so.
    ///
    /// # Errors
    /// If the message is of a kind that is not for this replica, or a proposal that has nowhere to go.
    pub fn step(&mut self, message: Message) -> Result<(), Error> {
        self.raft.step(message)
    }

    /// Whether [`ready`](RawNode::ready) has anything to hand out.
    pub fn has_ready(&self) -> bool {
        let raft = &self.raft;
        !raft.messages.is_empty()
            || !raft.held.is_empty()
            || raft.leadership.append_due
            || raft.log.has_unwritten()
            || raft.has_applicable()
            || raft.hard_state() != self.hard_state
            || raft.soft_state() != self.soft_state
            || raft.restored.is_some()
            || !raft.read_states.is_empty()
            || raft.snapshot_is_due()
    }

    /// Hands out all the work there is, as the batch with the next number. See [`Ready`] for what to do
    /// with it; it need not be done before the next batch is taken.
    pub fn ready(&mut self) -> Ready {
        self.number += 1;
        let raft = &mut self.raft;
        raft.flush_appends();
        raft.leadership.reads.close_round();
        let snapshot = raft.restored.take().map(|snapshot| *snapshot);
        let entries = raft.log.take_unwritten();
        let hard_state = raft.hard_state();
        let promised = (hard_state.term, hard_state.vote) != (self.hard_state.term, self.hard_state.vote);
        let must_sync = promised || !entries.is_empty() || snapshot.is_some();
        if must_sync {
            let (term, vote, last_index) = (raft.term, raft.vote, raft.log.written());
            raft.writes.push(Write { number: self.number, term, vote, last_index });
        }
        let mut messages = std::mem::take(&mut raft.messages);
        let mut persisted_messages = std::mem::take(&mut raft.held);
        if raft.writes.is_empty() {
            // Everything that they promise is durable already. Mostly one of the two is empty.
            if messages.is_empty() {
                std::mem::swap(&mut messages, &mut persisted_messages);
            } else {
                messages.append(&mut persisted_messages);
            }
        }
        let soft_state = raft.soft_state();
        Ready {
            number: self.number,
            soft_state: changed(&mut self.soft_state, soft_state),
            hard_state: changed(&mut self.hard_state, hard_state),
            snapshot,
            entries,
            committed_entries: raft.take_applicable(),
            read_states: std::mem::take(&mut raft.read_states),
            wants_snapshot: raft.take_snapshot_wish(),
            messages,
            persisted_messages,
            must_sync,
        }
    }

    /// Takes a vector of sent messages back, so that the next ones need no new one. Its content is dropped.
    pub fn reuse(&mut self, mut sent: Vec<Message>) {
        if sent.capacity() == 0 {
            return;
        }
        sent.clear();
        let raft = &mut self.raft;
        for buffer in [&mut raft.messages, &mut raft.held] {
            if buffer.capacity() == 0 {
                std::mem::swap(buffer, &mut sent);
            }
        }
    }

    /// The batches up to and including `number` are durable. The call may skip numbers, and must not be
    /// made for a batch while one before it is not durable.
    ///
    /// # Panics
    /// If no batch of that number was handed out.
    pub fn on_persisted(&mut self, number: u64) {
        assert!(number <= self.number, "batch {number} is durable, but the last one was {}", self.number);
        self.raft.on_persisted(number);
    }

    /// The caller has applied the committed entries up to and including `index`, or the snapshot at `index`.
    ///
    /// # Panics
    /// If they were not handed out, or the index falls.
    pub fn on_applied(&mut self, index: u64) {
        self.raft.log.applied_to(index);
        self.raft.finish_restore();
        self.raft.leave_joint_if_due();
    }

    /// Everything in `ready` was done: it is durable, its snapshot and its committed entries are applied.
    pub fn advance(&mut self, ready: &Ready) {
        self.on_persisted(ready.number);
        if let Some(snapshot) = &ready.snapshot {
            self.on_applied(metadata(snapshot).index);
        }
        if let Some(last) = ready.committed_entries.last() {
            self.on_applied(last.index);
        }
    }

    /// This replica's id.
    pub fn id(&self) -> u64 {
        self.raft.id
    }

    /// The current term.
    pub fn term(&self) -> u64 {
        self.raft.term
    }

    /// Whom this replica voted for in the current term.
    pub fn vote(&self) -> Option<u64> {
        self.raft.vote
    }

    /// The current role.
    pub fn role(&self) -> Role {
        self.raft.role
    }

    /// Whether this replica leads its group in its own term. There may be a leader of a higher term.
    pub fn is_leader(&self) -> bool {
        self.raft.role == Role::Leader
    }

    /// The leader of the current term, once heard of.
    pub fn leader(&self) -> Option<u64> {
        self.raft.leader
    }

    /// The highest index known to be committed.
    pub fn commit(&self) -> u64 {
        self.raft.log.commit()
    }

    /// The highest index the caller has reported as applied.
    pub fn applied(&self) -> u64 {
        self.raft.log.applied()
    }

    /// The index up to which the log, as it is now, is durable.
    pub fn persisted(&self) -> u64 {
        self.raft.log.persisted()
    }

    /// The lowest index in the log: one past [`truncated`](RawNode::truncated).
    pub fn first_index(&self) -> u64 {
        self.truncated().index + 1
    }

    /// The entry before the first one in the log.
    pub fn truncated(&self) -> EntryId {
        self.raft.log.truncated()
    }

    /// The last entry of the log, or the truncated one if the log is empty.
    pub fn last(&self) -> EntryId {
        self.raft.log.last()
    }

    /// The term at an index in the log or at the truncated one. Takes time in the number of terms above
    /// it, not of entries.
    pub fn term_at(&self, index: u64) -> Option<u64> {
        self.raft.log.term_at(index)
    }

    /// The entry at an index in the log.
    pub fn entry(&self, index: u64) -> Option<&Entry> {
        self.raft.log.entry(index)
    }

    /// The membership that this replica counts by: the one of the applied index.
    pub fn configuration(&self) -> &Configuration {
        self.raft.tracker.configuration()
    }

    /// The membership, as it is written to disk and into snapshots.
    pub fn conf_state(&self) -> ConfState {
        self.configuration().to_conf_state()
    }

    /// The voters of the group, in ascending order; in a joint configuration, the incoming ones.
    pub fn voters(&self) -> &[u64] {
        self.configuration().voters()
    }

    /// Whether this replica may become leader: a voter that is not about to be replaced by a snapshot.
    pub fn promotable(&self) -> bool {
        self.raft.promotable()
    }

    /// The replica that this leader is handing over to.
    pub fn transferee(&self) -> Option<u64> {
        self.raft.transferee()
    }

    /// Whether this leader can serve a read without asking anybody: see
    /// [`ReadMode::Lease`](crate::ReadMode::Lease).
    pub fn has_lease(&self) -> bool {
        self.raft.has_lease()
    }

    /// What this leader knows of a member, itself included; `None` unless leading.
    pub fn progress(&self, id: u64) -> Option<&Progress> {
        self.raft.tracker.progress(id)
    }

    /// [`progress`](RawNode::progress) of every member in ascending order; nothing unless leading.
    pub fn progresses(&self) -> impl Iterator<Item = (u64, &Progress)> {
        self.raft.tracker.progresses()
    }

    /// Term, vote and commit as they are now, durable or not.
    pub fn hard_state(&self) -> HardState {
        self.raft.hard_state()
    }
}

/// Replaces `old`; the new value if that is a change.
fn changed<T: Copy + PartialEq>(old: &mut T, new: T) -> Option<T> {
    (std::mem::replace(old, new) != new).then_some(new)
}
