//! The interface of a replica: inputs go in as calls, effects come out as numbered [`Ready`] batches.

use bytes::Bytes;

use crate::config::Config;
use crate::eraftpb::{Entry, HardState, Message};
use crate::error::Error;
use crate::progress::Progress;
use crate::raft::Raft;
use crate::ready::{EntryId, Ready, Role, SoftState};
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
        self.raft.tick();
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

    /// Starts an election now. Does nothing on a leader or outside of the group.
    pub fn campaign(&mut self) {
        self.raft.handle_hup();
    }

    /// Appends an entry with this data to the leader's log. It may still be lost: it is committed once
    /// the entry handed out at the returned index has the returned term.
    ///
    /// # Errors
    /// [`Error::NotLeader`]; nothing is forwarded.
    pub fn propose(&mut self, data: Bytes) -> Result<EntryId, Error> {
        self.raft.propose(data)
    }

    /// Takes a message from another replica. Old and duplicate messages are harmless. A `MsgPropose` is
    /// forwarded to the leader if this replica follows one.
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
            || raft.log.has_unwritten()
            || raft.log.has_applicable()
            || raft.hard_state() != self.hard_state
            || raft.soft_state() != self.soft_state
    }

    /// Hands out all the work there is, as the batch with the next number. See [`Ready`] for what to do
    /// with it; it need not be done before the next batch is taken.
    pub fn ready(&mut self) -> Ready {
        self.number += 1;
        let raft = &mut self.raft;
        let entries = raft.log.take_unwritten();
        let hard_state = raft.hard_state();
        let promised = (hard_state.term, hard_state.vote) != (self.hard_state.term, self.hard_state.vote);
        let must_sync = promised || !entries.is_empty();
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
            entries,
            committed_entries: raft.log.take_applicable(),
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

    /// The caller has applied the committed entries up to and including `index`.
    ///
    /// # Panics
    /// If they were not handed out, or the index falls.
    pub fn on_applied(&mut self, index: u64) {
        self.raft.log.applied_to(index);
    }

    /// Everything in `ready` was done: it is durable and its committed entries are applied.
    pub fn advance(&mut self, ready: &Ready) {
        self.on_persisted(ready.number);
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

    /// The voters of the group, in ascending order.
    pub fn voters(&self) -> &[u64] {
        self.raft.tracker.voters()
    }

    /// What this leader knows of a voter, itself included; `None` unless leading.
    pub fn progress(&self, id: u64) -> Option<&Progress> {
        self.raft.tracker.progress(id)
    }

    /// [`progress`](RawNode::progress) of every voter in ascending order; nothing unless leading.
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
