//! Elections (thesis 3.4, 3.6.1), with the rules that keep them from disturbing a group that works: asking
//! first (pre-vote, 9.6) and staying with a leader that is heard from (4.2.3, 6.2).
//!
//! Promise: a replica grants at most one vote a term, and only to a candidate whose log is at least as up
//! to date as its own. A pre-vote is no vote: it changes neither term nor vote, on either side. With
//! [`check_quorum`](crate::Config::check_quorum), who heard from a leader elects nobody for
//! `election_ticks`, whatever becomes of the term meanwhile; leases rely on that.

use bytes::Bytes;

use crate::eraftpb::{Message, MessageType};
use crate::quorum::VoteResult;
use crate::raft::Raft;
use crate::ready::{EntryId, Role};

/// In the context of a vote request: the leader itself wants this election, so voters need not stay with
/// it (thesis 4.2.3), nor look at priorities.
const FORCED: &[u8] = b"transfer";

/// Before a priority in the context of a vote request; a priority of 0 is left out.
const PRIORITY: &[u8] = b"priority ";

fn context_of(priority: i64) -> Bytes {
    if priority == 0 { Bytes::new() } else { [PRIORITY, &priority.to_be_bytes()].concat().into() }
}

fn priority_in(context: &[u8]) -> i64 {
    let bytes = context.strip_prefix(PRIORITY).and_then(|bytes| bytes.try_into().ok());
    bytes.map_or(0, i64::from_be_bytes)
}

impl Raft {
    // Standing.

    /// The election timeout ran out, or the caller wants a campaign.
    pub(crate) fn handle_hup(&mut self) {
        // Who asks for votes gives the own one, which a lease may rely on.
        let leased = self.config.lease_ticks().is_some() && self.stays_with_leader();
        if leased || !self.may_campaign() {
            return;
        }
        if self.config.pre_vote {
            self.become_pre_candidate();
            self.request_votes(MessageType::MsgRequestPreVote, context_of(self.config.priority));
            // Counts at once: it promises nothing.
            self.count_vote(self.id, true);
        } else {
            self.campaign(context_of(self.config.priority));
        }
    }

    /// The leader hands over to this replica, so it need not ask whether it would win.
    pub(crate) fn campaign_by_transfer(&mut self) {
        if self.may_campaign() {
            self.campaign(Bytes::from_static(FORCED));
        }
    }

    fn may_campaign(&self) -> bool {
        self.role != Role::Leader && self.promotable() && !self.has_unapplied_conf_change()
    }

    /// Asks for votes in the next term. The own one counts when it is durable.
    fn campaign(&mut self, context: Bytes) {
        self.become_candidate();
        self.request_votes(MessageType::MsgRequestVote, context);
    }

    fn request_votes(&mut self, kind: MessageType, context: Bytes) {
        let EntryId { term: log_term, index } = self.log.last();
        let term = self.term + u64::from(kind == MessageType::MsgRequestPreVote);
        for place in 0..self.tracker.count() {
            let to = self.tracker.id_at(place);
            if to == self.id || !self.tracker.is_voter(to) {
                continue;
            }
            let message = Message { index, log_term, context: context.clone(), ..self.committed() };
            self.send_in(term, kind, to, message);
        }
    }

    /// The start of a message that tells how far the own log is committed, see
    /// [`learn_commit`](Raft::learn_commit).
    fn committed(&self) -> Message {
        let commit = self.log.commit();
        let commit_term = self.log.term_at(commit).expect("commit is in the log or where it starts");
        Message { commit, commit_term, ..Message::default() }
    }

    // Voting.

    /// Whether to ignore a candidate because a leader is there.
    pub(crate) fn ignores_candidate(&self, message: &Message) -> bool {
        message.term > self.term && message.context != FORCED && self.stays_with_leader()
    }

    /// Whether this replica leads, or heard from a leader within `election_ticks`.
    fn stays_with_leader(&self) -> bool {
        self.config.check_quorum && (self.role == Role::Leader || self.now < self.loyal_until)
    }

    /// A candidate asks for a vote, in this term; or for a pre-vote, in this term or a later one.
    pub(crate) fn handle_request_vote(&mut self, message: &Message, pre: bool) {
        self.learn_commit(message);
        // Once a leader is known the term is decided. A vote could no longer elect anybody, only start
        // another timeout's worth of silence. For a later term, nothing is decided.
        // The promise to stay with a leader outlives its term: an answer that a candidate gives to something
        // sent long ago may have brought this replica into the candidate's term.
        let promised = message.context != FORCED && self.stays_with_leader();
        let free = self.vote.is_none() && self.leader.is_none() && !promised;
        let free = free || self.vote == Some(message.from) || (pre && message.term > self.term);
        let granted = free && self.prefers(message);
        let kind = match pre {
            true => MessageType::MsgRequestPreVoteResponse,
            false => MessageType::MsgRequestVoteResponse,
        };
        if granted && !pre {
            self.vote = Some(message.from);
            self.draw_election_timeout();
        }
        // A granted pre-vote names the term that it is about. A refused one tells the own term, or who
        // asks would enter a term that nobody is in (etcd d4471b2).
        let term = if granted { message.term } else { self.term };
        let told = if granted { Message::default() } else { self.committed() };
        let answer = Message { reject: !granted, ..told };
        self.send_in(term, kind, message.from, answer);
    }

    /// A voter answers a candidate or pre-candidate.
    pub(crate) fn handle_vote_response(&mut self, message: &Message) {
        if message.reject {
            self.learn_commit(message);
        }
        if self.role != Role::Follower {
            self.count_vote(message.from, !message.reject);
        }
    }

    /// A request for a vote, and a refusal of whatever term, tell how far the sender's log is committed.
    ///
    /// That may be what the candidate lacks: a removed leader with the longest log refuses its vote and may not
    /// stand itself; of two voters, the second would ask in vain for ever, were it not told that it can do
    /// without. Or what the voter lacks: a learner with the longest log that has yet to hear of its promotion can
    /// neither be outvoted nor stand (raft-rs learns commits both ways for the same reason).
    pub(crate) fn learn_commit(&mut self, message: &Message) {
        let committed = EntryId { term: message.commit_term, index: message.commit };
        if self.role == Role::Leader || !self.log.contains(committed) {
            return;
        }
        self.log.commit_to(committed.index);
        if self.role != Role::Follower && self.has_unapplied_conf_change() {
            // Then it must not stand, see `may_campaign`.
            self.become_follower(self.term, None);
        }
    }

    /// Whether a candidate's log is up to date and, if it is equal to the own one, its priority is not lower.
    fn prefers(&self, message: &Message) -> bool {
        let (candidate, own) = (EntryId { term: message.log_term, index: message.index }, self.log.last());
        // Who may not stand, perhaps for not knowing yet that it is a voter, cannot insist on its priority: a
        // group that needs its vote would never have a leader.
        let yields = !self.promotable() || priority_in(&message.context) >= self.config.priority;
        let chosen = message.context == FORCED || yields;
        candidate > own || (candidate == own && chosen)
    }

    /// Refuses a candidate or pre-candidate of an older term.
    pub(crate) fn refuse(&mut self, kind: MessageType, to: u64) {
        self.send(kind, to, Message { reject: true, ..Message::default() });
    }

    /// A candidate or pre-candidate hears from a voter, itself included.
    pub(crate) fn count_vote(&mut self, from: u64, granted: bool) {
        self.tracker.record_vote(from, granted);
        match (self.tracker.vote_result(), self.role) {
            (VoteResult::Won, Role::PreCandidate) => self.campaign(context_of(self.config.priority)),
            (VoteResult::Won, _) => self.become_leader(),
            (VoteResult::Lost, _) => self.become_follower(self.term, None),
            (VoteResult::Pending, _) => {}
        }
    }

    // Leading on.

    /// A leader that a quorum does not answer steps down: its clients should look for another one.
    pub(crate) fn check_quorum(&mut self) {
        if !self.tracker.take_active_quorum(self.id) {
            self.become_follower(self.term, None);
        }
    }
}
