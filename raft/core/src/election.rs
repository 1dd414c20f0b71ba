//! Elections (thesis 3.4 and 3.6.1).
//!
//! Promise: a replica grants at most one vote a term, and only to a candidate whose log is at least as up
//! to date as its own.

use crate::eraftpb::{Message, MessageType};
use crate::quorum::VoteResult;
use crate::raft::Raft;
use crate::ready::{EntryId, Role};

impl Raft {
    /// The election timeout ran out, or the caller wants a campaign.
    pub(crate) fn handle_hup(&mut self) {
        if self.role == Role::Leader || !self.promotable() {
            return;
        }
        self.become_candidate();
        let last = self.log.last();
        for place in 0..self.tracker.voters().len() {
            let to = self.tracker.voters()[place];
            if to != self.id {
                let message = Message { index: last.index, log_term: last.term, ..Message::default() };
                self.send(MessageType::MsgRequestVote, to, message);
            }
        }
    }

    /// A candidate of this term asks for a vote.
    pub(crate) fn handle_request_vote(&mut self, message: &Message) {
        // Once a leader is known the term is decided. A vote could no longer elect anybody, only start
        // another timeout's worth of silence.
        let free = self.vote.is_none() && self.leader.is_none();
        let candidate_last = EntryId { term: message.log_term, index: message.index };
        let granted = (free || self.vote == Some(message.from)) && candidate_last >= self.log.last();
        if granted {
            self.vote = Some(message.from);
            self.draw_election_timeout();
        }
        self.send_request_vote_response(message.from, !granted);
    }

    fn send_request_vote_response(&mut self, to: u64, reject: bool) {
        let message = Message { reject, ..Message::default() };
        self.send(MessageType::MsgRequestVoteResponse, to, message);
    }

    pub(crate) fn handle_request_vote_response(&mut self, message: &Message) {
        self.count_vote(message.from, !message.reject);
    }

    /// A candidate hears from a voter, itself included.
    pub(crate) fn count_vote(&mut self, from: u64, granted: bool) {
        self.tracker.record_vote(from, granted);
        match self.tracker.vote_result() {
            VoteResult::Won => self.become_leader(),
            VoteResult::Lost => self.become_follower(self.term, None),
            VoteResult::Pending => {}
        }
    }
}
