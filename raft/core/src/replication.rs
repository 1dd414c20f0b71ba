//! Replication: proposals, appends, heartbeats, and what their answers mean (thesis 3.5 and 3.6.2).
//!
//! Proposals and a new commit only mark that appends are due; they leave when the next batch is taken, one a
//! peer, however many proposals there were.
//!
//! Promise: an acknowledged index is one up to which the two logs are equal, and a leader counts only
//! entries of its own term.

use bytes::Bytes;

use crate::eraftpb::{Entry, Message, MessageType};
use crate::error::Error;
use crate::raft::Raft;
use crate::ready::{EntryId, Role};

/// Which appends are worth sending.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Append {
    /// Those that carry entries.
    Entries,
    /// Also an empty one, if it tells the peer something.
    OrEmpty,
    /// At least an empty one, even if the window is full.
    Always,
}

impl Raft {
    // Proposals.

    /// A proposal that was passed on to this replica: all of its entries are taken, or none.
    pub(crate) fn handle_propose(&mut self, message: Message) -> Result<(), Error> {
        match (self.role, self.leader) {
            (Role::Leader, _) => {
                let size = message.entries.iter().map(|entry| entry.data.len() as u64).sum();
                self.check_proposal(size)?;
                self.check_conf_changes(&message.entries)?;
                for entry in message.entries {
                    self.append_own(entry);
                }
                Ok(())
            }
            (Role::Follower, Some(leader)) if self.config.forward_proposals => {
                // Without a term: what was meant for one leader may go to the next.
                let from = if message.from == 0 { self.id } else { message.from };
                self.outbox().push(Message { to: leader, from, ..message });
                Ok(())
            }
            (_, leader) => Err(Error::NotLeader { leader }),
        }
    }

    pub(crate) fn propose(&mut self, entry: Entry) -> Result<EntryId, Error> {
        if self.role != Role::Leader {
            return Err(Error::NotLeader { leader: self.leader });
        }
        self.check_proposal(entry.data.len() as u64)?;
        self.check_conf_change(&entry)?;
        self.append_own(entry);
        Ok(self.log.last())
    }

    /// Whether this leader takes a proposal of so many bytes.
    fn check_proposal(&self, size: u64) -> Result<(), Error> {
        if !self.tracker.contains(self.id) {
            return Err(Error::NotMember);
        }
        if let Some(to) = self.transferee() {
            return Err(Error::Transferring { to });
        }
        // What has no data is appended by the leader for the protocol's sake, and must go through.
        let uncommitted = self.leadership.uncommitted_bytes;
        let bounded = self.config.max_uncommitted_size < u64::MAX && uncommitted > 0 && size > 0;
        if bounded && uncommitted.saturating_add(size) > self.config.max_uncommitted_size {
            return Err(Error::TooMuchUncommitted);
        }
        Ok(())
    }

    /// Adds an entry to the leader's log, in its term. The default entry is the empty one.
    pub(crate) fn append_own(&mut self, entry: Entry) {
        let index = self.log.last().index + 1;
        self.note_conf_change(&entry, index);
        self.leadership.uncommitted_bytes += entry.data.len() as u64;
        self.log.push(Entry { term: self.term, index, ..entry });
        self.update_own_progress();
        self.leadership.append_due = true;
    }

    pub(crate) fn update_own_progress(&mut self) {
        let (persisted, last) = (self.log.persisted(), self.log.last().index);
        if let Some(progress) = self.tracker.progress_mut(self.id) {
            progress.update_own(persisted, last);
        }
    }

    /// Raises commit to what a quorum holds.
    ///
    /// Only entries of the own term count (thesis figure 3.7): an older one that a majority holds may
    /// still be overwritten by a leader whose last entry is of a term in between.
    pub(crate) fn maybe_commit(&mut self) -> bool {
        let (before, index) = (self.log.commit(), self.tracker.committed());
        if index <= before || self.log.term_at(index) != Some(self.term) {
            return false;
        }
        let first_of_term = !self.term_is_committed();
        self.log.commit_to(index);
        self.leadership.append_due = true;
        if self.config.max_uncommitted_size < u64::MAX {
            // Entries of earlier terms were never counted.
            let committed = self.log.bytes_of_term(self.term, before, index);
            self.leadership.uncommitted_bytes -= committed;
        }
        if first_of_term {
            self.start_early_reads();
        }
        true
    }

    /// Whether this leader has committed an entry of its own term, and so everything that any leader before
    /// it had (thesis 3.6.2).
    pub(crate) fn term_is_committed(&self) -> bool {
        self.log.term_at(self.log.commit()) == Some(self.term)
    }

    // Appends, the leader's side.

    /// Sends the appends that are due.
    pub(crate) fn flush_appends(&mut self) {
        if !std::mem::take(&mut self.leadership.append_due) {
            return;
        }
        for place in 0..self.tracker.count() {
            let to = self.tracker.id_at(place);
            if to != self.id {
                self.send_append(to, Append::OrEmpty);
            }
        }
    }

    /// Sends what a peer misses, or else an append without entries, so that it answers.
    pub(crate) fn send_at_least_empty(&mut self, to: u64) {
        self.send_append(to, Append::Always);
    }

    /// Sends what a peer misses. True if something was sent.
    fn send_append(&mut self, to: u64, append: Append) -> bool {
        let commit = self.log.commit();
        let Some(progress) = self.tracker.progress_mut(to) else {
            return false;
        };
        let paused = progress.is_paused(&self.config);
        if progress.is_receiving_snapshot() || (paused && append != Append::Always) {
            return false;
        }
        let previous = progress.next() - 1;
        // What the peer misses may be truncated away here; then appends cannot help it.
        let Some(log_term) = self.log.term_at(previous) else {
            self.want_snapshot(to);
            return false;
        };
        let until = if paused { previous } else { self.log.last().index };
        let empty = match append {
            Append::Entries => false,
            Append::OrEmpty => progress.needs_empty_append(commit),
            Append::Always => true,
        };
        if previous == until && !empty {
            return false;
        }
        let entries = self.log.entries_between(previous, until, self.config.max_size_per_message);
        let bytes = entries.iter().map(|entry| entry.data.len() as u64).sum();
        progress.on_sent(entries.len() as u64, bytes, commit);
        let message = Message { index: previous, log_term, entries, commit, ..Message::default() };
        self.send(MessageType::MsgAppend, to, message);
        true
    }

    pub(crate) fn handle_append_response(&mut self, message: &Message) {
        let from = message.from;
        let Some(progress) = self.tracker.progress_mut(from) else {
            return;
        };
        progress.set_active();
        if message.reject {
            let hint = self.log.highest_with_term_up_to(message.reject_hint, message.log_term);
            if progress.on_rejected(message.index, hint) {
                self.send_append(from, Append::OrEmpty);
            }
        } else {
            self.handle_acceptance(from, message.index);
        }
    }

    /// A peer's log matches up to `index`.
    pub(crate) fn handle_acceptance(&mut self, from: u64, index: u64) {
        let (first, last) = (self.log.truncated().index + 1, self.log.last().index);
        assert!(index <= last, "{from} acknowledges {index}, past the last index {last}");
        let Some(progress) = self.tracker.progress_mut(from) else {
            return;
        };
        let was_paused = progress.is_paused(&self.config);
        if !progress.on_accepted(index, first) {
            return;
        }
        if !self.maybe_commit() && was_paused {
            // While it was paused the peer heard of no new commit.
            self.send_append(from, Append::OrEmpty);
        }
        while self.send_append(from, Append::Entries) {}
        self.further_transfer(from);
    }

    // Appends, the follower's side.

    pub(crate) fn handle_append(&mut self, message: Message) {
        let Message { from, commit, .. } = message;
        let previous = EntryId { term: message.log_term, index: message.index };
        if self.snapshot_request.is_some() {
            self.send_snapshot_request(from);
        } else if previous.index < self.log.commit() {
            // An old append. Everything committed matches any leader's log (thesis 3.6.3).
            self.send_append_response(from, self.log.commit());
        } else if self.log.contains(previous) {
            let matched = previous.index + message.entries.len() as u64;
            if let Some(index) = self.log.merge(message.entries) {
                self.writes.replaced_from(index);
            }
            // Not past `matched`: what follows may be a tail of an old term that does not match.
            self.log.commit_to(commit.min(matched));
            self.send_append_response(from, matched);
        } else {
            self.send_append_rejection(from, previous);
        }
    }

    pub(crate) fn send_append_response(&mut self, to: u64, index: u64) {
        self.send(MessageType::MsgAppendResponse, to, Message { index, ..Message::default() });
    }

    /// Tells the leader where to try next: the highest index whose term here is not above the term that
    /// the leader has at `previous`. With the same rule applied by the leader to the term reported, each
    /// round trip skips at least one term of divergence rather than one entry.
    fn send_append_rejection(&mut self, to: u64, previous: EntryId) {
        let reject_hint = self.log.highest_with_term_up_to(previous.index, previous.term);
        let log_term = self.log.term_at(reject_hint).expect("at least commit: what is committed matches");
        let message =
            Message { index: previous.index, reject: true, reject_hint, log_term, ..Message::default() };
        self.send(MessageType::MsgAppendResponse, to, message);
    }

    // Heartbeats.

    /// The heartbeat interval of a leader ran out.
    pub(crate) fn handle_beat(&mut self) {
        if self.role != Role::Leader {
            return;
        }
        self.restart_heartbeat_timer();
        if self.counts_rounds() {
            self.open_round();
            self.count_round();
        } else {
            self.broadcast_heartbeat(Bytes::new());
        }
    }

    pub(crate) fn broadcast_heartbeat(&mut self, context: Bytes) {
        for place in 0..self.tracker.count() {
            let to = self.tracker.id_at(place);
            let Some(progress) = self.tracker.progress(to).filter(|_| to != self.id) else {
                continue;
            };
            // Not past `matched`: a heartbeat does not check that the logs agree.
            let commit = progress.matched().min(self.log.commit());
            let message = Message { commit, context: context.clone(), ..Message::default() };
            self.send(MessageType::MsgHeartbeat, to, message);
        }
    }

    pub(crate) fn handle_heartbeat(&mut self, message: &Message) {
        self.log.commit_to(message.commit);
        let response = Message { context: message.context.clone(), ..Message::default() };
        // A disk that stalls must not make a leader look cut off.
        self.send_soon(MessageType::MsgHeartbeatResponse, message.from, response);
        if self.snapshot_request.is_some() {
            self.send_snapshot_request(message.from);
        }
    }

    pub(crate) fn handle_heartbeat_response(&mut self, message: &Message) {
        let last = self.log.last().index;
        let round = self.round_of(message);
        let Some(progress) = self.tracker.progress_mut(message.from) else {
            return;
        };
        progress.set_active();
        progress.on_heartbeat_response(round);
        // Appends may have been lost, a whole window of them even. An append that starts past the last
        // one sent will be rejected then, and probing finds what is missing.
        if progress.matched() < last || !progress.is_replicating() {
            self.send_append(message.from, Append::Always);
        }
        self.count_round();
    }
}
