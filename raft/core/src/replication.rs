//! Replication: proposals, appends, heartbeats, and what their answers mean (thesis 3.5 and 3.6.2).
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
    /// Also an empty one, which carries the commit and checks where the logs agree.
    OrEmpty,
    /// At least an empty one, even if the window is full.
    Always,
}

impl Raft {
    // Proposals.

    /// A proposal, from the caller or forwarded by a follower.
    pub(crate) fn handle_propose(&mut self, message: Message) -> Result<(), Error> {
        match (self.role, self.leader) {
            (Role::Leader, _) => {
                for entry in message.entries {
                    self.append_own(entry);
                }
                self.broadcast_append();
                Ok(())
            }
            (Role::Follower, Some(leader)) => {
                // Without a term: what was meant for one leader may go to the next.
                let from = if message.from == 0 { self.id } else { message.from };
                self.outbox().push(Message { to: leader, from, ..message });
                Ok(())
            }
            (_, leader) => Err(Error::NotLeader { leader }),
        }
    }

    pub(crate) fn propose(&mut self, data: Bytes) -> Result<EntryId, Error> {
        if self.role != Role::Leader {
            return Err(Error::NotLeader { leader: self.leader });
        }
        self.append_own(Entry { data, ..Entry::default() });
        self.broadcast_append();
        Ok(self.log.last())
    }

    /// Adds an entry to the leader's log, in its term. The default entry is the empty one.
    pub(crate) fn append_own(&mut self, entry: Entry) {
        self.log.push(Entry { term: self.term, index: self.log.last().index + 1, ..entry });
        self.update_own_progress();
    }

    pub(crate) fn update_own_progress(&mut self) {
        let (persisted, last) = (self.log.persisted(), self.log.last().index);
        if let Some(progress) = self.tracker.progress_mut(self.id) {
            progress.update_own(persisted, last);
        }
    }

    /// Raises commit to what a majority holds. True if it rose.
    ///
    /// Only entries of the own term count (thesis figure 3.7): an older one that a majority holds may
    /// still be overwritten by a leader whose last entry is of a term in between.
    pub(crate) fn maybe_commit(&mut self) -> bool {
        let index = self.tracker.committed();
        index > self.log.commit() && self.log.term_at(index) == Some(self.term) && self.log.commit_to(index)
    }

    // Appends, the leader's side.

    pub(crate) fn broadcast_append(&mut self) {
        for place in 0..self.tracker.voters().len() {
            let to = self.tracker.voters()[place];
            if to != self.id {
                self.send_append(to, Append::OrEmpty);
            }
        }
    }

    /// Sends what a peer misses. True if something was sent.
    fn send_append(&mut self, to: u64, append: Append) -> bool {
        let Some(progress) = self.tracker.progress_mut(to) else {
            return false;
        };
        let paused = progress.is_paused(self.max_inflight_messages);
        if paused && append != Append::Always {
            return false;
        }
        let previous = progress.next() - 1;
        // What the peer misses may be truncated away here; then appends cannot help it.
        let Some(log_term) = self.log.term_at(previous) else {
            return false;
        };
        let until = if paused { previous } else { self.log.last().index };
        if previous == until && append == Append::Entries {
            return false;
        }
        let entries = self.log.entries_between(previous, until, self.max_size_per_message);
        progress.on_sent(entries.len() as u64);
        let commit = self.log.commit();
        let message = Message { index: previous, log_term, entries, commit, ..Message::default() };
        self.send(MessageType::MsgAppend, to, message);
        true
    }

    pub(crate) fn handle_append_response(&mut self, message: &Message) {
        let from = message.from;
        let last = self.log.last().index;
        let Some(progress) = self.tracker.progress_mut(from) else {
            return;
        };
        if message.reject {
            let hint = self.log.highest_with_term_up_to(message.reject_hint, message.log_term);
            if progress.on_rejected(message.index, hint) {
                self.send_append(from, Append::OrEmpty);
            }
            return;
        }
        assert!(message.index <= last, "{from} acknowledges {}, past the last index {last}", message.index);
        let was_paused = progress.is_paused(self.max_inflight_messages);
        if !progress.on_accepted(message.index) {
            return;
        }
        if self.maybe_commit() {
            self.broadcast_append();
        } else if was_paused {
            // While it was paused the peer heard of no new commit.
            self.send_append(from, Append::OrEmpty);
        }
        while self.send_append(from, Append::Entries) {}
    }

    // Appends, the follower's side.

    pub(crate) fn handle_append(&mut self, message: Message) {
        let Message { from, commit, .. } = message;
        let previous = EntryId { term: message.log_term, index: message.index };
        if previous.index < self.log.commit() {
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

    fn send_append_response(&mut self, to: u64, index: u64) {
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
        for place in 0..self.tracker.voters().len() {
            let to = self.tracker.voters()[place];
            if to != self.id {
                self.send_heartbeat(to);
            }
        }
    }

    fn send_heartbeat(&mut self, to: u64) {
        let Some(progress) = self.tracker.progress(to) else {
            return;
        };
        // Not past `matched`: a heartbeat does not check that the logs agree.
        let commit = progress.matched().min(self.log.commit());
        self.send(MessageType::MsgHeartbeat, to, Message { commit, ..Message::default() });
    }

    pub(crate) fn handle_heartbeat(&mut self, message: &Message) {
        self.log.commit_to(message.commit);
        let response = Message { context: message.context.clone(), ..Message::default() };
        self.send(MessageType::MsgHeartbeatResponse, message.from, response);
    }

    pub(crate) fn handle_heartbeat_response(&mut self, message: &Message) {
        let last = self.log.last().index;
        let Some(progress) = self.tracker.progress_mut(message.from) else {
            return;
        };
        progress.on_heartbeat_response();
        // Appends may have been lost, a whole window of them even. An append that starts past the last
        // one sent will be rejected then, and probing finds what is missing.
        if progress.matched() < last || !progress.is_replicating() {
            self.send_append(message.from, Append::Always);
        }
    }
}
