//! The replica itself: its state, its changes of role, and which handler gets which message.
//!
//! Every input goes `tick -> step -> handle_x -> send_x_response`. Elections are in `election.rs`,
//! replication in `replication.rs`.
//!
//! Promise: whatever a replica that does not lead sends goes to `held`, to leave once its state is
//! durable. A leader's messages may leave at once: its term was durable before its vote requests left, and
//! appends promise nothing about its own log (thesis 10.2.1).

use crate::config::Config;
use crate::eraftpb::{Entry, HardState, Message, MessageType};
use crate::error::{Error, StorageError};
use crate::jitter::Jitter;
use crate::log::RaftLog;
use crate::ready::{EntryId, Role, SoftState};
use crate::storage::{RaftState, Storage};
use crate::tracker::Tracker;
use crate::writes::Writes;

#[derive(Clone, Debug)]
pub(crate) struct Raft {
    pub(crate) id: u64,
    pub(crate) term: u64,
    pub(crate) vote: Option<u64>,
    pub(crate) role: Role,
    pub(crate) leader: Option<u64>,
    pub(crate) log: RaftLog,
    pub(crate) tracker: Tracker,
    pub(crate) writes: Writes,

    /// To be sent at once.
    pub(crate) messages: Vec<Message>,
    /// To be sent when everything that precedes them is durable.
    pub(crate) held: Vec<Message>,

    /// Ticks since this replica last led, heard from the leader of its term, granted a vote, or started an
    /// election; see [`enter_term`](Raft::enter_term).
    election_elapsed: u64,
    election_timeout: u64,
    heartbeat_elapsed: u64,
    jitter: Jitter,

    election_ticks: u32,
    heartbeat_ticks: u64,
    pub(crate) max_size_per_message: u64,
    pub(crate) max_inflight_messages: usize,
}

impl Raft {
    pub(crate) fn new(config: &Config, storage: &impl Storage) -> Result<Raft, Error> {
        config.validate()?;
        let RaftState { hard_state, conf_state } = storage.initial_state()?;
        if !(conf_state.voters_outgoing.is_empty()
            && conf_state.learners.is_empty()
            && conf_state.learners_next.is_empty())
        {
            let what = "learners and joint configurations are not supported";
            return Err(StorageError::Other(what.into()).into());
        }
        let mut raft = Raft {
            id: config.id,
            term: hard_state.term,
            vote: Some(hard_state.vote).filter(|&vote| vote != 0),
            role: Role::Follower,
            leader: None,
            log: read_log(storage, hard_state, config.applied)?,
            tracker: Tracker::new(&conf_state.voters),
            writes: Writes::default(),
            messages: Vec::new(),
            held: Vec::new(),
            election_elapsed: 0,
            election_timeout: 0,
            heartbeat_elapsed: 0,
            jitter: Jitter::new(config.seed),
            election_ticks: config.election_ticks,
            heartbeat_ticks: u64::from(config.heartbeat_ticks),
            max_size_per_message: config.max_size_per_message,
            max_inflight_messages: config.max_inflight_messages,
        };
        raft.draw_election_timeout();
        Ok(raft)
    }

    pub(crate) fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote.unwrap_or(0), commit: self.log.commit() }
    }

    pub(crate) fn soft_state(&self) -> SoftState {
        SoftState { role: self.role, leader: self.leader }
    }

    /// Whether this replica may become leader.
    pub(crate) fn promotable(&self) -> bool {
        self.tracker.place(self.id).is_some()
    }

    // Time.

    pub(crate) fn tick(&mut self) {
        match self.role {
            Role::Leader => {
                self.heartbeat_elapsed += 1;
                if self.heartbeat_elapsed >= self.heartbeat_ticks {
                    self.handle_beat();
                }
            }
            Role::Follower | Role::Candidate => {
                self.election_elapsed = self.election_elapsed.saturating_add(1);
                if self.election_elapsed >= self.election_timeout && self.promotable() {
                    self.handle_hup();
                }
            }
        }
    }

    /// How many further ticks would only count.
    pub(crate) fn idle_ticks(&self) -> u64 {
        match self.role {
            Role::Leader => self.heartbeat_ticks - 1 - self.heartbeat_elapsed,
            _ if self.promotable() => (self.election_timeout - 1).saturating_sub(self.election_elapsed),
            _ => u64::MAX,
        }
    }

    pub(crate) fn tick_many(&mut self, mut ticks: u64) {
        while ticks > 0 {
            let idle = self.idle_ticks().min(ticks);
            match self.role {
                Role::Leader => self.heartbeat_elapsed += idle,
                _ => self.election_elapsed = self.election_elapsed.saturating_add(idle),
            }
            ticks -= idle;
            if ticks > 0 {
                self.tick();
                ticks -= 1;
            }
        }
    }

    /// Gives somebody new (the own candidacy, another's, a new leader) a timeout of a new length, so that
    /// replicas that timed out together will hardly do so again (thesis 3.4).
    pub(crate) fn draw_election_timeout(&mut self) {
        self.election_elapsed = 0;
        self.election_timeout =
            u64::from(self.election_ticks) + u64::from(self.jitter.below(self.election_ticks));
    }

    pub(crate) fn restart_heartbeat_timer(&mut self) {
        self.heartbeat_elapsed = 0;
    }

    // Roles.

    fn reset(&mut self, term: u64) {
        assert!(term >= self.term, "term falls from {} to {term}", self.term);
        if term != self.term {
            self.term = term;
            self.vote = None;
        }
        self.leader = None;
        self.tracker.clear();
    }

    pub(crate) fn become_follower(&mut self, term: u64, leader: Option<u64>) {
        self.reset(term);
        self.role = Role::Follower;
        self.leader = leader;
    }

    /// Enters the next term and votes for itself. That vote counts when it is durable, see
    /// [`on_persisted`](Raft::on_persisted).
    pub(crate) fn become_candidate(&mut self) {
        assert!(self.role != Role::Leader, "a leader cannot become candidate");
        self.reset(self.term + 1);
        self.draw_election_timeout();
        self.role = Role::Candidate;
        self.vote = Some(self.id);
        self.tracker.start_votes();
    }

    /// Takes office with an empty entry of its own term: entries of earlier terms are committed by
    /// committing that one (thesis 3.6.2, figure 3.7).
    pub(crate) fn become_leader(&mut self) {
        assert!(self.role == Role::Candidate, "only a candidate becomes leader");
        self.reset(self.term);
        // It stands still while leading, so a leader that is deposed has a whole timeout before it stands
        // again.
        self.election_elapsed = 0;
        self.restart_heartbeat_timer();
        self.role = Role::Leader;
        self.leader = Some(self.id);
        self.tracker.start_progress(self.log.last().index + 1);
        self.append_own(Entry::default());
        self.broadcast_append();
    }

    // Durability.

    /// Batches up to `number` are durable: a replica's acknowledgement to itself.
    pub(crate) fn on_persisted(&mut self, number: u64) {
        let Some(write) = self.writes.complete(number) else {
            return;
        };
        self.log.persisted_to(write.last_index);
        match self.role {
            Role::Follower => {}
            Role::Candidate => {
                if write.term == self.term && write.vote == Some(self.id) {
                    self.count_vote(self.id, true);
                }
            }
            // Only now does the leader count for its own entries. Counting them when appended would let
            // a group of one, or one with a quorum of fast peers, commit what a crash takes away here
            // (etcd issue 14370).
            Role::Leader => {
                self.update_own_progress();
                if self.maybe_commit() {
                    self.broadcast_append();
                }
            }
        }
    }

    // Messages.

    pub(crate) fn send(&mut self, kind: MessageType, to: u64, message: Message) {
        let message = Message { msg_type: kind as i32, to, from: self.id, term: self.term, ..message };
        self.outbox().push(message);
    }

    pub(crate) fn outbox(&mut self) -> &mut Vec<Message> {
        match self.role {
            Role::Leader => &mut self.messages,
            Role::Follower | Role::Candidate => &mut self.held,
        }
    }

    pub(crate) fn step(&mut self, message: Message) -> Result<(), Error> {
        use MessageType::*;
        let kind =
            MessageType::try_from(message.msg_type).map_err(|_| Error::UnknownMessage(message.msg_type))?;
        match kind {
            MsgHup | MsgBeat if message.from != self.id => return Err(Error::LocalMessage(kind)),
            MsgHup => self.handle_hup(),
            MsgBeat => self.handle_beat(),
            MsgPropose => return self.handle_propose(message),
            MsgSnapshot
            | MsgTransferLeader
            | MsgTimeoutNow
            | MsgReadIndex
            | MsgReadIndexResponse
            | MsgRequestPreVote
            | MsgRequestPreVoteResponse => return Err(Error::Unsupported(kind)),
            _ if message.to != self.id => {
                return Err(Error::WrongReceiver { to: message.to, id: self.id });
            }
            _ if message.term < self.term => self.handle_stale(kind, &message),
            _ => {
                self.enter_term(message.term);
                self.handle(kind, message);
            }
        }
        Ok(())
    }

    /// A higher term ends whatever role this replica had.
    ///
    /// It does not restart the election timer. That is done by starting an election, by granting a vote and
    /// by hearing from the leader of the term, and by nothing else (thesis 3.4, figure 3.1; etcd restarts
    /// it here as well). If a refused request for a vote restarted it, a candidate that cannot win, for
    /// want of entries, could keep those that can from ever standing.
    fn enter_term(&mut self, term: u64) {
        if term > self.term {
            self.become_follower(term, None);
        }
    }

    fn handle(&mut self, kind: MessageType, message: Message) {
        use MessageType::*;
        match (kind, self.role) {
            (MsgRequestVote, _) => self.handle_request_vote(&message),
            (MsgRequestVoteResponse, Role::Candidate) => self.handle_request_vote_response(&message),
            (MsgAppend, Role::Follower | Role::Candidate) => {
                self.follow(message.from);
                self.handle_append(message);
            }
            (MsgHeartbeat, Role::Follower | Role::Candidate) => {
                self.follow(message.from);
                self.handle_heartbeat(&message);
            }
            (MsgAppendResponse, Role::Leader) => self.handle_append_response(&message),
            (MsgHeartbeatResponse, Role::Leader) => self.handle_heartbeat_response(&message),
            // Somebody voted twice, or forgot. To go on would let two logs grow apart and both commit.
            (MsgAppend | MsgHeartbeat, Role::Leader) => {
                panic!("both {} and {} lead term {}", self.id, message.from, self.term)
            }
            // An answer to a role that is over.
            _ => {}
        }
    }

    /// Hears from the leader of the current term.
    fn follow(&mut self, leader: u64) {
        if self.leader == Some(leader) {
            self.election_elapsed = 0;
        } else {
            if let Some(other) = self.leader {
                panic!("{} hears from both {other} and {leader} as leader of term {}", self.id, self.term);
            }
            self.become_follower(self.term, Some(leader));
            self.draw_election_timeout();
        }
    }

    /// A message of an older term changes nothing here, but somebody who still believes to lead must
    /// learn that the term is over, or a cut in one direction would keep it deposed and unaware (thesis
    /// 3.3). An answer without content does that. A candidate gets none, unlike in figure 3.1: it may be
    /// several terms behind, but the first heartbeat or vote request of a current term takes it there, and
    /// until one comes its own elections bring it closer.
    fn handle_stale(&mut self, kind: MessageType, message: &Message) {
        if matches!(kind, MessageType::MsgAppend | MessageType::MsgHeartbeat) {
            self.send(MessageType::MsgHeartbeatResponse, message.from, Message::default());
        }
    }
}

/// Reads the log and checks that it goes together with the hard state.
fn read_log(storage: &impl Storage, hard_state: HardState, applied: u64) -> Result<RaftLog, StorageError> {
    let (first, last) = (storage.first_index()?, storage.last_index()?);
    if first == 0 || last + 1 < first {
        return Err(StorageError::Corrupt(format!("first index {first}, last index {last}")));
    }
    let truncated = EntryId { term: storage.term(first - 1)?, index: first - 1 };
    // A commit on its own is not synced, but what it stands for may have been applied.
    let applied = applied.max(truncated.index);
    let commit = hard_state.commit.max(applied);
    if commit > last {
        let what = format!("commit {commit} (applied {applied}) is past the last index {last}");
        return Err(StorageError::Corrupt(what));
    }
    let entries = storage.entries(first, last + 1)?;
    let mut previous = truncated;
    for entry in &entries {
        if entry.index != previous.index + 1 || entry.term < previous.term {
            let what = format!("entry {} of term {} follows {previous:?}", entry.index, entry.term);
            return Err(StorageError::Corrupt(what));
        }
        previous = EntryId { term: entry.term, index: entry.index };
    }
    if previous.index != last || previous.term > hard_state.term {
        let what =
            format!("the log ends with {previous:?}, not at {last} in a term up to {}", hard_state.term);
        return Err(StorageError::Corrupt(what));
    }
    Ok(RaftLog::new(truncated, entries, commit, applied))
}
