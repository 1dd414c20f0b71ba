//! How a replica's log gets shorter.
//!
//! The leader proposes it, so that all replicas' logs start at about the same place. It waits for slow followers,
//! which would need a snapshot otherwise, until the log has grown past a limit. Never does it go past what is
//! durably applied: a restart replays from there.

use raft::EntryId;
use raft_proto::raft_cmdpb::{CompactLogRequest, admin_request};

use super::Peer;
use crate::admin;
use crate::config::Config;
use crate::engine::{Db, Env, WriteBatch};
use crate::error::StoreError;
use crate::validate::RequestError;

impl Peer {
    /// Applied entries that the log still holds.
    fn applied_in_log(&self) -> u64 {
        self.storage.applied_index().saturating_sub(self.storage.truncated().index)
    }

    /// The log has outgrown its limits.
    fn is_log_too_long(&self, config: &Config) -> bool {
        self.applied_in_log() > config.log_gc_count_limit || self.log_bytes > config.log_gc_size_limit
    }

    /// Whether to look at the log at the next interval.
    pub(super) fn wants_compaction(&self, config: &Config) -> bool {
        self.raw.is_leader()
            && (self.applied_in_log() >= config.log_gc_threshold || self.is_log_too_long(config))
    }

    /// The entry up to which the log may go now, if it is worth it.
    fn compaction(&self, config: &Config) -> Option<EntryId> {
        let mut index = self.durable_applied.min(self.making.unwrap_or(u64::MAX));
        for (_, progress) in self.raw.progresses() {
            // What follows a snapshot that is under way will be needed as soon as it arrives. Were it not there, or
            // gone before the snapshot is made, the receiver would need one snapshot after the other.
            let has = progress.pending_snapshot().unwrap_or_else(|| progress.matched());
            if progress.pending_snapshot().is_some() || !self.is_log_too_long(config) {
                index = index.min(has);
            }
        }
        // The wish is an entry itself. One that took no more than one away would be the reason for the next, for
        // ever; so would two by turns, did they not count what was asked for as gone.
        let asked =
            if self.compaction_asked.term == self.raw.term() { self.compaction_asked.index } else { 0 };
        let gone = self.storage.truncated().index.max(asked);
        let worth = if self.is_log_too_long(config) { 0 } else { config.log_gc_threshold };
        if index < gone + worth.max(2) {
            return None;
        }
        self.raw.term_at(index).map(|term| EntryId { term, index })
    }

    /// Proposes to compact, if it is worth it. False if that has to wait for the kv database to be durable.
    pub(super) fn propose_compaction(&mut self, config: &Config) -> bool {
        match self.compaction(config) {
            Some(to) => {
                // Once in a term: a leader that is cut off would fill its log with the same wish. It can be refused while
                // leadership is handed over; the next interval comes.
                let wish = EntryId { term: self.raw.term(), index: to.index };
                if self.compaction_asked < wish && self.propose_compaction_to(to).is_ok() {
                    self.compaction_asked = wish;
                }
                true
            }
            None => !self.is_log_too_long(config) || self.durable_applied >= self.storage.applied_index(),
        }
    }

    /// An operator wants the log as short as it can be.
    pub(crate) fn compact_now(&mut self) -> Result<(), RequestError> {
        let index = self.durable_applied;
        if !self.raw.is_leader() {
            return Err(self.not_leader());
        }
        match self.raw.term_at(index) {
            Some(term) if index > self.storage.truncated().index => {
                self.propose_compaction_to(EntryId { term, index })
            }
            _ => Ok(()),
        }
    }

    fn propose_compaction_to(&mut self, to: EntryId) -> Result<(), RequestError> {
        let compact = CompactLogRequest { compact_index: to.index, compact_term: to.term };
        let command = admin_request::Command::CompactLog(compact);
        self.propose_entry(&admin::admin(self.header(), command)).map(drop)
    }

    /// The word that the log starts after `to` is durable: the entries go.
    pub(crate) fn delete_log(&mut self, env: &mut impl Env, to: u64) -> Result<(), StoreError> {
        // Or a snapshot has come since and taken the whole log away.
        if to <= self.raw.truncated().index {
            return Ok(());
        }
        let before = self.raw.last().index - self.raw.truncated().index;
        let mut batch = WriteBatch::new();
        self.storage.delete_log(to, &mut batch);
        env.write(Db::Raft, batch)?;
        self.raw.compact(to);
        let kept = self.raw.last().index - to;
        self.log_bytes = self.log_bytes * kept / before.max(1);
        Ok(())
    }
}
