//! Snapshots (thesis 5): sent to peers that miss what is truncated away here, taken up from a leader.
//!
//! The caller makes snapshots, because only it knows the state machine, and carries them: see
//! [`Ready::wants_snapshot`](crate::Ready::wants_snapshot) and [`Ready::snapshot`](crate::Ready::snapshot).
//!
//! Promise: a snapshot is taken up only if it brings something new, and then it replaces log and
//! membership whole; it is acknowledged when it is durable.

use crate::configuration::Configuration;
use crate::eraftpb::{Message, MessageType, Snapshot, SnapshotMetadata};
use crate::error::Error;
use crate::raft::Raft;
use crate::ready::{EntryId, Role};

/// A leader's dealings with its caller about a snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SnapshotWish {
    #[default]
    None,
    /// To be said in the next batch.
    Wanted,
    /// Said, and not answered yet.
    Asked,
}

/// What became of a snapshot on its way to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotStatus {
    /// The peer has it.
    Finished,
    /// It was lost, or the peer could not use it.
    Failed,
}

impl Raft {
    // The leader's side.

    /// A peer needs a snapshot. One that was never heard from may not exist; it can wait until it answers.
    pub(crate) fn want_snapshot(&mut self, to: u64) {
        let Some(progress) = self.tracker.progress_mut(to).filter(|progress| progress.is_active()) else {
            return;
        };
        progress.await_snapshot();
        if self.leadership.snapshot == SnapshotWish::None {
            self.leadership.snapshot = SnapshotWish::Wanted;
        }
    }

    /// The caller made a snapshot: it goes to every peer on whose behalf one was wished for, and that can use this one.
    /// Not to those that need one and are silent: where few can be sent at a time, they would leave none for the others.
    pub(crate) fn on_snapshot(&mut self, snapshot: Snapshot) {
        if self.role != Role::Leader {
            return;
        }
        self.leadership.snapshot = SnapshotWish::None;
        let SnapshotMetadata { conf_state, index, term } = metadata(&snapshot);
        let (applied, here) = (self.log.applied(), self.log.term_at(index));
        assert!(
            index <= applied && here.is_none_or(|here| here == term),
            "snapshot of entry {index} of term {term}, but applied is {applied}, and the term there {here:?}"
        );
        let members = Configuration::from_conf_state(&conf_state.unwrap_or_default()).unwrap_or_default();
        for place in 0..self.tracker.count() {
            let to = self.tracker.id_at(place);
            if to == self.id || !self.needs_snapshot(to) {
                continue;
            }
            let Some(progress) = self.tracker.progress_mut(to) else { continue };
            if !progress.awaits_snapshot() {
                continue;
            }
            let least = self.log.truncated().index.max(progress.requested_snapshot().unwrap_or(0));
            if index < least || !members.contains(to) {
                // Too old: what follows it is truncated away, or the peer asked for a newer one, or joined
                // since and so would not take it up.
                self.want_snapshot(to);
                continue;
            }
            progress.on_snapshot_sent(index);
            let message = Message { snapshot: Some(Box::new(snapshot.clone())), ..Message::default() };
            self.send(MessageType::MsgSnapshot, to, message);
        }
    }

    /// A peer with a damaged state machine wants a snapshot.
    pub(crate) fn handle_snapshot_request(&mut self, message: &Message) {
        let Some(progress) = self.tracker.progress_mut(message.from) else {
            return;
        };
        progress.set_active();
        if !progress.on_snapshot_requested(message.index) {
            // The answer is on its way. It is of applied entries, so there is nothing to commit either; and
            // to count an acknowledgement would end the wait for it.
            return;
        }
        if self.log.contains(EntryId { term: message.log_term, index: message.index }) {
            self.handle_acceptance(message.from, message.index);
        }
        self.want_snapshot(message.from);
    }

    fn needs_snapshot(&self, to: u64) -> bool {
        self.tracker.progress(to).is_some_and(|progress| {
            let behind = self.log.term_at(progress.next() - 1).is_none();
            !progress.is_receiving_snapshot() && (behind || progress.requested_snapshot().is_some())
        })
    }

    /// The caller could not make one. The next answer of a peer that needs one asks again.
    pub(crate) fn on_snapshot_failed(&mut self) {
        self.leadership.snapshot = SnapshotWish::None;
    }

    /// Whether to wish for a snapshot now: there is a peer that waits for one and can use one of what is applied. One that
    /// asked for a later index has to wait, and a silent one gets none, or one snapshot after another would be made in vain.
    pub(crate) fn snapshot_is_due(&self) -> bool {
        let usable = |peer| {
            self.tracker.progress(peer).is_some_and(|progress| {
                let requested = progress.requested_snapshot().unwrap_or(0);
                progress.awaits_snapshot() && requested <= self.log.applied() && self.needs_snapshot(peer)
            })
        };
        self.leadership.snapshot == SnapshotWish::Wanted
            && (0..self.tracker.count()).any(|place| usable(self.tracker.id_at(place)))
    }

    /// True once after a wish was made.
    pub(crate) fn take_snapshot_wish(&mut self) -> bool {
        let wanted = self.snapshot_is_due();
        if wanted {
            self.leadership.snapshot = SnapshotWish::Asked;
        }
        wanted
    }

    pub(crate) fn report_snapshot(&mut self, peer: u64, status: SnapshotStatus) {
        if let Some(progress) = self.tracker.progress_mut(peer) {
            progress.on_snapshot_reported(status == SnapshotStatus::Finished);
        }
    }

    // The follower's side.

    /// Asks the leader for a snapshot, because the state machine here is damaged. It must reach the end of
    /// the log: what follows a snapshot is cut off, and what was acknowledged must not be.
    pub(crate) fn request_snapshot(&mut self) -> Result<(), Error> {
        let Some(leader) = self.leader else { return Err(Error::NotLeader { leader: None }) };
        if self.role == Role::Leader {
            return Err(Error::Leading);
        }
        let last = self.log.last();
        // The tail may be one that the leader does not have. While a request is pending no append replaces it,
        // so the snapshot might never reach that far. And what was handed out to be applied must be: the
        // caller's word that it is applied would be taken for one about the snapshot.
        if last.term != self.term || !self.log.is_applied_as_handed_out() {
            return Err(Error::RequestTooEarly);
        }
        if self.snapshot_request.is_none() {
            self.snapshot_request = Some(last.index);
            self.send_snapshot_request(leader);
        }
        Ok(())
    }

    /// Every append and heartbeat is answered by this until the snapshot comes: the request may have been lost. It
    /// acknowledges the whole log besides, because the leader may need that to commit it.
    pub(crate) fn send_snapshot_request(&mut self, to: u64) {
        let EntryId { term: log_term, index } = self.log.last();
        let message = Message { index, log_term, ..Message::default() };
        self.send(MessageType::MsgRequestSnapshot, to, message);
    }

    pub(crate) fn handle_snapshot(&mut self, message: Message) -> Result<(), Error> {
        let malformed = || Error::Malformed(MessageType::MsgSnapshot);
        let snapshot = *message.snapshot.ok_or_else(malformed)?;
        let SnapshotMetadata { conf_state, index, term } = metadata(&snapshot);
        let id = EntryId { term, index };
        let configuration =
            Configuration::from_conf_state(&conf_state.unwrap_or_default()).map_err(|_| malformed())?;
        let requested = self.snapshot_request.is_some_and(|least| index >= least);
        if index <= self.log.commit() && !requested {
            // Old.
        } else if self.log.contains(id) && !requested {
            // All of it is here: no need to start over, and what follows it stays (thesis 5.1).
            self.log.commit_to(index);
        } else if configuration.contains(self.id) {
            self.restore(id, configuration, snapshot);
        }
        // Else it is one of a group without this replica: nothing that it could take part in.
        self.send_append_response(message.from, self.log.commit());
        Ok(())
    }

    fn restore(&mut self, id: EntryId, configuration: Configuration, snapshot: Snapshot) {
        self.log.restore(id);
        // What is on its way to the disk is of a log that is gone.
        self.writes.replaced_from(1);
        self.restoring = Some(configuration);
        self.snapshot_request = None;
        self.restored = Some(Box::new(snapshot));
    }

    /// Something was applied. If it was the snapshot, its membership counts from now on; not before, because
    /// changes that were handed out earlier may still be applied, and belong to the membership before it.
    pub(crate) fn finish_restore(&mut self) {
        if !self.log.is_restoring()
            && let Some(configuration) = self.restoring.take()
        {
            self.tracker.reconfigure(configuration, self.log.last().index + 1);
        }
    }
}

/// A snapshot without metadata is one of nothing at index 0.
pub(crate) fn metadata(snapshot: &Snapshot) -> SnapshotMetadata {
    snapshot.metadata.clone().unwrap_or_default()
}
