//! The replica itself: its state, time, its changes of role, and which handler gets which message.
//!
//! Every input goes `tick -> step -> handle_x -> send_x_response`. Elections are in `election.rs`,
//! replication in `replication.rs`, and so on: a file a topic.
//!
//! Promise: whatever a replica that does not lead sends goes to `held`, to leave once its state is
//! durable; but for answers to heartbeats, which promise no more than a term. A leader's messages may leave at
//! once: its term was durable before its vote requests left, and appends promise nothing about its own log
//! (thesis 10.2.1).

use crate::config::Config;
use crate::configuration::Configuration;
use crate::eraftpb::{Entry, HardState, Message, MessageType, Snapshot, SnapshotMetadata};
use crate::error::{Error, StorageError};
use crate::jitter::Jitter;
use crate::log::RaftLog;
use crate::reads::{ReadState, Reads};
use crate::ready::{EntryId, Role, SoftState};
use crate::snapshot::{SnapshotWish, metadata};
use crate::storage::{RaftState, Storage};
use crate::tracker::Tracker;
use crate::transfer::Transfer;
use crate::writes::Writes;

#[derive(Clone, Debug)]
pub(crate) struct Raft {
    pub(crate) id: u64,
    pub(crate) config: Config,
    pub(crate) term: u64,
    /// The term that a restart would begin with.
    durable_term: u64,
    pub(crate) vote: Option<u64>,
    pub(crate) role: Role,
    pub(crate) leader: Option<u64>,
    pub(crate) log: RaftLog,
    pub(crate) tracker: Tracker,
    pub(crate) writes: Writes,
    pub(crate) leadership: Leadership,

    /// To be sent at once.
    pub(crate) messages: Vec<Message>,
    /// To be sent when everything that precedes them is durable.
    pub(crate) held: Vec<Message>,
    /// To be handed out.
    pub(crate) read_states: Vec<ReadState>,
    /// Taken up, and to be handed out.
    pub(crate) restored: Option<Box<Snapshot>>,
    /// The membership in a snapshot that was taken up and is not applied yet.
    pub(crate) restoring: Option<Configuration>,
    /// The caller wants a snapshot at this index or later from the leader.
    pub(crate) snapshot_request: Option<u64>,
    pub(crate) reads_begun: u64,

    /// Ticks since the start.
    pub(crate) now: u64,
    /// The tick until which this replica has promised its leader to ignore candidates; see
    /// [`ignores_candidate`](Raft::ignores_candidate).
    pub(crate) loyal_until: u64,
    /// Ticks since this replica last led, heard from the leader of its term, granted a vote, or started an
    /// election; see [`enter_term`](Raft::enter_term).
    election_elapsed: u64,
    election_timeout: u64,
    jitter: Jitter,
}

/// What a replica has only while it leads.
#[derive(Clone, Debug, Default)]
pub(crate) struct Leadership {
    heartbeat_elapsed: u64,
    /// Ticks since quorums were last checked.
    quorum_elapsed: u64,
    /// There is something to tell the peers.
    pub(crate) append_due: bool,
    /// Data in entries of this leadership that are not committed.
    pub(crate) uncommitted_bytes: u64,
    /// The highest index that may hold a membership change which is not applied.
    pub(crate) pending_conf_index: u64,
    pub(crate) transfer: Option<Transfer>,
    pub(crate) snapshot: SnapshotWish,
    pub(crate) reads: Reads,
}

impl Raft {
    pub(crate) fn new(config: &Config, storage: &impl Storage) -> Result<Raft, Error> {
        config.validate()?;
        let RaftState { hard_state, conf_state } = storage.initial_state()?;
        let configuration = Configuration::from_conf_state(&conf_state)
            .map_err(|error| StorageError::Corrupt(error.to_string()))?;
        let log = read_log(storage, hard_state, config.applied)?;
        let mut raft = Raft {
            id: config.id,
            term: hard_state.term,
            durable_term: hard_state.term,
            vote: Some(hard_state.vote).filter(|&vote| vote != 0),
            role: Role::Follower,
            leader: None,
            log: log.apply_unpersisted(config.apply_unpersisted),
            tracker: Tracker::new(configuration),
            writes: Writes::default(),
            leadership: Leadership::default(),
            messages: Vec::new(),
            held: Vec::new(),
            read_states: Vec::new(),
            restored: None,
            restoring: None,
            snapshot_request: None,
            reads_begun: 0,
            now: 0,
            // A leader may hold a lease that this replica vouched for in an earlier life.
            loyal_until: config
                .lease_ticks()
                .filter(|_| !config.first_life)
                .map_or(0, |_| u64::from(config.election_ticks)),
            election_elapsed: 0,
            election_timeout: 0,
            jitter: Jitter::new(config.seed),
            config: config.clone(),
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

    pub(crate) fn has_applicable(&self) -> bool {
        self.log.has_applicable() && self.snapshot_request.is_none()
    }

    /// Hands out entries to be applied; none to a state machine that waits to be replaced.
    pub(crate) fn take_applicable(&mut self) -> Vec<Entry> {
        if self.snapshot_request.is_some() {
            return Vec::new();
        }
        self.log.take_applicable(self.config.max_committed_size_per_ready)
    }

    /// Whether this replica may become leader: a voter whose state machine is whole.
    pub(crate) fn promotable(&self) -> bool {
        self.is_restored_voter() && self.snapshot_request.is_none()
    }

    fn is_restored_voter(&self) -> bool {
        self.tracker.is_voter(self.id) && !self.log.is_restoring()
    }

    // Time.

    /// So many ticks have passed; what is due happens once.
    pub(crate) fn elapse(&mut self, ticks: u64) {
        self.count_ticks(ticks);
        if self.role == Role::Leader {
            self.lead_on();
        } else if self.election_elapsed >= self.election_timeout && self.is_restored_voter() {
            // Who was asked for a snapshot is gone. The last voter would wait for it for ever.
            self.snapshot_request = None;
            self.handle_hup();
        }
    }

    fn count_ticks(&mut self, ticks: u64) {
        self.now = self.now.saturating_add(ticks);
        if self.role != Role::Leader {
            self.election_elapsed = self.election_elapsed.saturating_add(ticks);
            return;
        }
        let leadership = &mut self.leadership;
        let transfer = leadership.transfer.as_mut().map(|transfer| &mut transfer.elapsed);
        let counters =
            [Some(&mut leadership.heartbeat_elapsed), Some(&mut leadership.quorum_elapsed), transfer];
        counters.into_iter().flatten().for_each(|elapsed| *elapsed = elapsed.saturating_add(ticks));
    }

    /// What is due for a leader.
    fn lead_on(&mut self) {
        let timeout = u64::from(self.config.election_ticks);
        if self.leadership.transfer.is_some_and(|transfer| transfer.elapsed >= timeout) {
            self.abort_transfer();
            // Which could not be proposed meanwhile.
            self.leave_joint_if_due();
        }
        if self.leadership.quorum_elapsed >= timeout {
            self.leadership.quorum_elapsed = 0;
            if self.config.check_quorum {
                self.check_quorum();
            }
        }
        // Which it may no longer be.
        if self.role == Role::Leader
            && self.leadership.heartbeat_elapsed >= u64::from(self.config.heartbeat_ticks)
        {
            self.handle_beat();
        }
    }

    /// How many further ticks would only count.
    pub(crate) fn idle_ticks(&self) -> u64 {
        if self.role != Role::Leader {
            let left = (self.election_timeout - 1).saturating_sub(self.election_elapsed);
            return if self.is_restored_voter() { left } else { u64::MAX };
        }
        let Leadership { heartbeat_elapsed, quorum_elapsed, transfer, .. } = &self.leadership;
        let timeout = u64::from(self.config.election_ticks);
        let mut idle = (u64::from(self.config.heartbeat_ticks) - 1).saturating_sub(*heartbeat_elapsed);
        if self.config.check_quorum {
            idle = idle.min((timeout - 1).saturating_sub(*quorum_elapsed));
        }
        if let Some(transfer) = transfer {
            idle = idle.min((timeout - 1).saturating_sub(transfer.elapsed));
        }
        idle
    }

    pub(crate) fn tick_many(&mut self, mut ticks: u64) {
        while ticks > 0 {
            let idle = self.idle_ticks().min(ticks);
            self.count_ticks(idle);
            ticks -= idle;
            if ticks > 0 {
                self.elapse(1);
                ticks -= 1;
            }
        }
    }

    /// Gives somebody new (the own candidacy, another's, a new leader) a timeout of a new length, so that
    /// replicas that timed out together will hardly do so again (thesis 3.4).
    pub(crate) fn draw_election_timeout(&mut self) {
        let ticks = self.config.election_ticks;
        self.election_elapsed = 0;
        self.election_timeout = u64::from(ticks) + u64::from(self.jitter.below(ticks));
    }

    pub(crate) fn restart_heartbeat_timer(&mut self) {
        self.leadership.heartbeat_elapsed = 0;
    }

    // Roles.

    fn reset(&mut self, term: u64) {
        assert!(term >= self.term, "term falls from {} to {term}", self.term);
        if term != self.term {
            self.term = term;
            self.vote = None;
            // The log may not match the next leader's, see `request_snapshot`.
            self.snapshot_request = None;
        }
        self.leader = None;
        self.tracker.clear();
    }

    pub(crate) fn become_follower(&mut self, term: u64, leader: Option<u64>) {
        self.reset(term);
        self.role = Role::Follower;
        self.leader = leader;
        let ended = std::mem::take(&mut self.leadership);
        self.refuse_reads(ended.reads);
    }

    /// Asks whether an election could be won, in the present term and with the present vote.
    pub(crate) fn become_pre_candidate(&mut self) {
        assert!(self.role != Role::Leader, "a leader cannot become candidate");
        self.reset(self.term);
        self.stand_as(Role::PreCandidate);
    }

    /// Enters the next term and votes for itself. That vote counts when it is durable, see
    /// [`on_persisted`](Raft::on_persisted).
    pub(crate) fn become_candidate(&mut self) {
        assert!(self.role != Role::Leader, "a leader cannot become candidate");
        self.reset(self.term + 1);
        self.stand_as(Role::Candidate);
        self.vote = Some(self.id);
    }

    fn stand_as(&mut self, role: Role) {
        self.role = role;
        self.draw_election_timeout();
        self.tracker.start_votes();
        // Who stands has given up its leader, so it may as well vote for another candidate.
        self.loyal_until = 0;
    }

    /// Takes office with an empty entry of its own term: entries of earlier terms are committed by
    /// committing that one (thesis 3.6.2, figure 3.7).
    pub(crate) fn become_leader(&mut self) {
        assert!(self.role == Role::Candidate, "only a candidate becomes leader");
        self.reset(self.term);
        // It stands still while leading, so a leader that is deposed has a whole timeout before it stands
        // again.
        self.election_elapsed = 0;
        self.role = Role::Leader;
        self.leader = Some(self.id);
        let last = self.log.last().index;
        // Any entry of an earlier term may hold a change; it is committed and applied with the first own.
        self.leadership = Leadership { pending_conf_index: last, ..Leadership::default() };
        self.tracker.start_progress(last + 1);
        self.append_own(Entry::default());
    }

    /// Forgets the leader without leaving its term, as when the caller knows that it is gone: the next
    /// pre-vote is not refused for its sake.
    pub(crate) fn forget_leader(&mut self) -> Result<(), Error> {
        if self.config.lease_ticks().is_some() {
            return Err(Error::Leased);
        }
        if self.role == Role::Follower {
            self.leader = None;
            self.loyal_until = 0;
        }
        Ok(())
    }

    // Durability.

    /// Batches up to `number` are durable: a replica's acknowledgement to itself.
    pub(crate) fn on_persisted(&mut self, number: u64) {
        let Some(write) = self.writes.complete(number) else {
            return;
        };
        self.durable_term = write.term;
        self.log.persisted_to(write.last_index);
        match self.role {
            Role::Follower | Role::PreCandidate => {}
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
                self.maybe_commit();
            }
        }
    }

    // Messages.

    pub(crate) fn send(&mut self, kind: MessageType, to: u64, message: Message) {
        self.send_in(self.term, kind, to, message);
    }

    /// Sends a message that is about another term.
    pub(crate) fn send_in(&mut self, term: u64, kind: MessageType, to: u64, message: Message) {
        let message = Message { msg_type: kind as i32, to, from: self.id, term, ..message };
        self.outbox().push(message);
    }

    pub(crate) fn outbox(&mut self) -> &mut Vec<Message> {
        match self.role {
            Role::Leader => &mut self.messages,
            Role::Follower | Role::PreCandidate | Role::Candidate => &mut self.held,
        }
    }

    /// Sends what promises nothing but the term, and so need not wait for entries on their way to the disk.
    pub(crate) fn send_soon(&mut self, kind: MessageType, to: u64, message: Message) {
        let message = Message { msg_type: kind as i32, to, from: self.id, term: self.term, ..message };
        let outbox = if self.durable_term == self.term { &mut self.messages } else { self.outbox() };
        outbox.push(message);
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
            _ if message.to != self.id => {
                return Err(Error::WrongReceiver { to: message.to, id: self.id });
            }
            _ if !is_well_formed(kind, self.id, &message) => return Err(Error::Malformed(kind)),
            // What was passed on has no term.
            MsgTransferLeader => self.handle_transfer_leader(&message),
            MsgReadIndex => return self.handle_read_index(&message),
            _ if message.term < self.term => self.handle_stale(kind, &message),
            MsgRequestVote | MsgRequestPreVote if self.ignores_candidate(&message) => {}
            _ => {
                if names_its_sender_s_term(kind, &message) {
                    self.enter_term(message.term);
                }
                return self.handle(kind, message);
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

    fn handle(&mut self, kind: MessageType, message: Message) -> Result<(), Error> {
        use MessageType::*;
        match (kind, self.role) {
            (MsgRequestVote, _) => self.handle_request_vote(&message, false),
            (MsgRequestPreVote, _) => self.handle_request_vote(&message, true),
            (MsgRequestVoteResponse, Role::Candidate) => self.handle_vote_response(&message),
            // A grant must be for the term asked for, not for one asked for earlier.
            (MsgRequestPreVoteResponse, Role::PreCandidate)
                if message.reject || message.term == self.term + 1 =>
            {
                self.handle_vote_response(&message);
            }
            (MsgAppendResponse, Role::Leader) => self.handle_append_response(&message),
            (MsgRequestSnapshot, Role::Leader) => self.handle_snapshot_request(&message),
            (MsgHeartbeatResponse, Role::Leader) => self.handle_heartbeat_response(&message),
            // Somebody voted twice, or forgot. To go on would let two logs grow apart and both commit.
            (MsgAppend | MsgHeartbeat | MsgSnapshot, Role::Leader) => {
                panic!("both {} and {} lead term {}", self.id, message.from, self.term)
            }
            (MsgAppend, _) => {
                self.follow(message.from);
                self.handle_append(message);
            }
            (MsgHeartbeat, _) => {
                self.follow(message.from);
                self.handle_heartbeat(&message);
            }
            (MsgSnapshot, _) => {
                self.follow(message.from);
                return self.handle_snapshot(message);
            }
            (MsgTimeoutNow, Role::Follower) => self.campaign_by_transfer(),
            (MsgReadIndexResponse, _) => self.handle_read_index_response(&message),
            // A refusal ends a candidacy by its term, and tells a commit all the same.
            (MsgRequestVoteResponse | MsgRequestPreVoteResponse, _) if message.reject => {
                self.learn_commit(&message);
            }
            // An answer to a role that is over.
            _ => {}
        }
        Ok(())
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
        self.loyal_until = self.now + u64::from(self.config.election_ticks);
    }

    /// A message of an older term changes nothing here, but somebody who still believes to lead must
    /// learn that the term is over, or a cut in one direction would keep it deposed and unaware (thesis
    /// 3.3). An answer without content does that. A candidate is refused (figure 3.1): it may lag behind a
    /// voter that does not know of it yet and that keeps standing itself, so that no message brings it into
    /// the voter's term, and its own elections never get ahead of the voter's (etcd gives no answer).
    fn handle_stale(&mut self, kind: MessageType, message: &Message) {
        match kind {
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot => {
                self.send(MessageType::MsgHeartbeatResponse, message.from, Message::default());
            }
            MessageType::MsgRequestVote => self.refuse(MessageType::MsgRequestVoteResponse, message.from),
            MessageType::MsgRequestPreVote => {
                self.refuse(MessageType::MsgRequestPreVoteResponse, message.from)
            }
            // The voter of a pre-vote need not have followed into the candidate's term.
            MessageType::MsgRequestVoteResponse | MessageType::MsgRequestPreVoteResponse
                if message.reject =>
            {
                self.learn_commit(message);
            }
            _ => {}
        }
    }
}

/// Whether a message from another replica can be what a correct one says: no more of it is looked at if not, so
/// that damage on the way neither stops this replica nor gets into its log.
fn is_well_formed(kind: MessageType, own_id: u64, message: &Message) -> bool {
    // The last numbers stand for nothing, and have no successor.
    let numbers = message.term < u64::MAX && message.index < u64::MAX;
    let others = message.from != 0 && message.from != own_id;
    numbers
        && others
        && match kind {
            MessageType::MsgAppend => message.term > 0 && follow_each_other(message),
            MessageType::MsgSnapshot => message.snapshot.as_ref().is_some_and(|snapshot| {
                let SnapshotMetadata { conf_state, index, term } = metadata(snapshot);
                let members = Configuration::from_conf_state(&conf_state.unwrap_or_default());
                (1..=message.term).contains(&term) && index < u64::MAX && members.is_ok()
            }),
            MessageType::MsgHeartbeat | MessageType::MsgTimeoutNow => message.term > 0,
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => message.term > 0,
            _ => true,
        }
}

/// Whether the entries of an append follow the one before them and each other, in terms up to the message's.
fn follow_each_other(append: &Message) -> bool {
    let mut previous = EntryId { term: append.log_term, index: append.index };
    append.entries.iter().all(|entry| {
        let follows = entry.index == previous.index + 1 && entry.term >= previous.term;
        previous = EntryId { term: entry.term, index: entry.index };
        follows && entry.index < u64::MAX
    }) && previous.term <= append.term
}

/// Whether a message proves that its sender is in the message's term. A pre-vote is about a term that nobody
/// may be in yet, and so is a granted one.
fn names_its_sender_s_term(kind: MessageType, message: &Message) -> bool {
    match kind {
        MessageType::MsgRequestPreVote => false,
        MessageType::MsgRequestPreVoteResponse => message.reject,
        _ => true,
    }
}

/// Reads the log and checks that it goes together with the hard state.
fn read_log(storage: &impl Storage, hard_state: HardState, applied: u64) -> Result<RaftLog, StorageError> {
    let (first, last) = (storage.first_index()?, storage.last_index()?);
    if first == 0 || last + 1 < first {
        return Err(StorageError::Corrupt(format!("first index {first}, last index {last}")));
    }
    let truncated = EntryId { term: storage.term(first - 1)?, index: first - 1 };
    if 0 < applied && applied < first - 1 {
        // A snapshot is durable and the state machine was not replaced by it. It is not handed out again.
        let what = format!("applied {applied} is before the log, which starts after {}", first - 1);
        return Err(StorageError::Corrupt(what));
    }
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
