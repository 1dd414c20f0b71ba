//! Leader transfer (thesis 3.10).
//!
//! The leader stops taking proposals, brings the target's log up to date and tells it to campaign at once.
//! It leads on until it hears of the target's term; if that does not happen within an election timeout,
//! it takes proposals again.

use crate::eraftpb::{Message, MessageType};
use crate::error::Error;
use crate::raft::Raft;
use crate::ready::Role;

/// A hand-over under way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transfer {
    pub(crate) to: u64,
    /// Ticks since it began.
    pub(crate) elapsed: u64,
}

impl Raft {
    pub(crate) fn transfer_leader(&mut self, to: u64) -> Result<(), Error> {
        match (self.role, self.leader) {
            (Role::Leader, _) => self.start_transfer(to),
            (_, Some(leader)) => {
                let msg_type = MessageType::MsgTransferLeader as i32;
                // Without a term: what was meant for one leader may go to the next.
                let message =
                    Message { msg_type, to: leader, from: self.id, index: to, ..Message::default() };
                self.outbox().push(message);
            }
            (_, None) => return Err(Error::NotLeader { leader: None }),
        }
        Ok(())
    }

    /// A follower was asked for a transfer and passes it on.
    pub(crate) fn handle_transfer_leader(&mut self, message: &Message) {
        if self.role == Role::Leader {
            self.start_transfer(message.index);
        }
    }

    fn start_transfer(&mut self, to: u64) {
        if !self.tracker.is_voter(to) || self.transferee() == Some(to) {
            return;
        }
        // The last wish counts. A wish for the leader itself takes back the one before.
        self.leadership.transfer = None;
        if to != self.id {
            self.leadership.transfer = Some(Transfer { to, elapsed: 0 });
            if !self.further_transfer(to) {
                // The newest append may have been lost; without an answer that comes out at a heartbeat only.
                self.send_at_least_empty(to);
            }
        } else {
            // Which could not be proposed meanwhile.
            self.leave_joint_if_due();
        }
    }

    /// Something is new about a peer: if it is the target and up to date, lets it campaign. True if it did.
    pub(crate) fn further_transfer(&mut self, to: u64) -> bool {
        let progress = self.tracker.progress(to).filter(|_| self.transferee() == Some(to));
        let caught_up = progress.is_some_and(|progress| progress.matched() == self.log.last().index);
        if caught_up {
            self.leadership.reads.lease_given_up = true;
            self.send(MessageType::MsgTimeoutNow, to, Message::default());
        }
        caught_up
    }

    pub(crate) fn transferee(&self) -> Option<u64> {
        self.leadership.transfer.map(|transfer| transfer.to)
    }

    pub(crate) fn abort_transfer(&mut self) {
        self.leadership.transfer = None;
    }
}
