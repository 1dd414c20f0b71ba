//! The loop that takes what raft has ready: it writes, asks for a sync, sends, applies.
//!
//! What raft promises (a vote, an accepted entry) waits here until the write that it depends on is durable, and leaves
//! in the order in which it was made.

use std::collections::VecDeque;

use raft::eraftpb::{Entry, EntryType, Message};
use raft::{Ready, Role};

use super::{Event, Peer};
use crate::apply::{Effect, apply};
use crate::engine::{Db, Env, Transport, WriteBatch, WriteSeq};
use crate::error::StoreError;
use crate::validate::RequestError;

/// A [`Ready`] that is written, but may not be durable yet.
#[derive(Clone, Debug)]
pub(super) struct Unsynced {
    seq: WriteSeq,
    /// Of the last ready that waits for this write.
    number: u64,
    messages: Vec<Message>,
    /// The write holds the record of a snapshot.
    restores: bool,
}

impl Peer {
    /// Every write to the raft database up to `up_to` is durable.
    pub(crate) fn on_synced(&mut self, env: &mut impl Transport, up_to: WriteSeq) {
        while self.unsynced.front().is_some_and(|unsynced| unsynced.seq <= up_to) {
            let Some(Unsynced { number, messages, restores, .. }) = self.unsynced.pop_front() else {
                return;
            };
            self.raw.on_persisted(number);
            if restores {
                self.events.push(Event::Restore);
            }
            self.send_all(env, messages);
        }
    }

    /// Does what raft has ready, until it has nothing. Each write that something waits for goes into
    /// `waiting`. True when something was applied.
    pub(crate) fn handle_ready(
        &mut self,
        env: &mut impl Env,
        waiting: &mut VecDeque<(WriteSeq, u64)>,
    ) -> Result<bool, StoreError> {
        let (mut written, mut applied) = (false, false);
        while self.raw.has_ready() && !self.removed {
            let mut ready = self.raw.ready();
            if let Some(seq) = self.persist(env, &mut ready)? {
                waiting.push_back((seq, self.region_id()));
                written = true;
            }
            self.send_all(env, std::mem::take(&mut ready.messages));
            if ready.soft_state.is_some_and(|state| state.role == Role::Leader) {
                self.events.push(Event::Leads);
            }
            if ready.wants_snapshot {
                self.events.push(Event::WantsSnapshot);
            }
            if !ready.read_states.is_empty() {
                let term = self.raw.term();
                for request in self.reads.confirm(&ready.read_states) {
                    env.reply(request, RequestError::StaleCommand.into_response(term));
                }
            }
            applied |= !ready.committed_entries.is_empty();
            self.apply_committed(env, &ready.committed_entries)?;
        }
        if written {
            env.sync(Db::Raft)?;
        }
        // While a snapshot becomes data, there is less than what the applied index says.
        if !self.reads.is_empty() && !self.removed && !self.is_restoring() {
            self.serve_reads(env)?;
        }
        Ok(applied)
    }

    /// Writes what must be durable before the ready's promises leave, and lets them wait for it: or for
    /// an earlier write, or for nothing. Gives the number of the write, if there was one.
    pub(super) fn persist(
        &mut self,
        env: &mut impl Env,
        ready: &mut Ready,
    ) -> Result<Option<WriteSeq>, StoreError> {
        let messages = std::mem::take(&mut ready.persisted_messages);
        let bytes = ready.entries.iter().map(|entry| entry.data.len() + 64).sum::<usize>() + 64;
        self.log_bytes += if ready.entries.is_empty() { 0 } else { bytes as u64 };
        let mut batch = WriteBatch::with_capacity(if ready.must_sync { bytes } else { 0 });
        let restores = ready.snapshot.is_some();
        if restores {
            // Their entries may be part of it. To the entries after it they would look like proposals that were lost.
            self.give_up_proposals(env);
            self.take_snapshot(&mut batch);
        }
        self.storage.save_ready_state(ready, &mut batch);
        if !batch.is_empty() {
            let seq = env.write(Db::Raft, batch)?;
            self.unsynced.push_back(Unsynced { seq, number: ready.number, messages, restores });
            return Ok(Some(seq));
        }
        match self.unsynced.back_mut() {
            Some(last) => {
                last.number = ready.number;
                last.messages.extend(messages);
            }
            None => {
                self.raw.on_persisted(ready.number);
                self.send_all(env, messages);
            }
        }
        Ok(None)
    }

    /// Applies entries, up to the one that removes this replica if there is one.
    pub(super) fn apply_committed(
        &mut self,
        env: &mut impl Env,
        entries: &[Entry],
    ) -> Result<(), StoreError> {
        let changes_members = |entry: &Entry| entry.entry_type != EntryType::EntryNormal as i32;
        let mut rest = entries;
        while let Some(first) = rest.first()
            && !self.removed
        {
            if changes_members(first) {
                self.apply_change(env, first)?;
                rest = &rest[1..];
                continue;
            }
            let normal = rest.iter().position(changes_members).unwrap_or(rest.len());
            let term = self.raw.term();
            let done = apply(env, &mut self.storage, &mut self.proposals, term, &rest[..normal])?;
            let written: usize = rest[..done.count].iter().map(|entry| entry.data.len()).sum();
            self.size += written as u64;
            self.grown += written as u64;
            rest = &rest[done.count..];
            self.raw.on_applied(self.storage.applied_index());
            self.note_applied(done.seq);
            match done.effect {
                Some(Effect::Compacted(to)) => {
                    self.events.push(Event::Compacted { seq: done.seq, to: to.index });
                }
                Some(Effect::Split { whole, right }) => {
                    self.changed_at = self.storage.applied_index();
                    // Both have about half of it, until they are measured.
                    self.size /= 2;
                    self.events.push(Event::Split { whole, right });
                }
                None => {}
            }
        }
        Ok(())
    }

    pub(super) fn note_applied(&mut self, seq: WriteSeq) {
        self.applied_seq = seq;
    }

    /// The last write that holds the applied index, and that index.
    pub(crate) fn last_applied(&self) -> (WriteSeq, u64) {
        (self.applied_seq, self.storage.applied_index())
    }

    /// The applied index is durable up to `index`.
    pub(crate) fn set_durable_applied(&mut self, index: u64) {
        self.durable_applied = self.durable_applied.max(index);
    }

    /// Whether the region as it is here is durable. Until then nobody may be told who is a member: this replica may
    /// forget it in a crash, and then ask those who are gone for their votes.
    pub(crate) fn is_settled(&self) -> bool {
        self.changed_at <= self.durable_applied
    }
}
