//! What must be true of every history of a group, judged from outside.
//!
//! The oracle knows what has ever been: which entry was made at which index in which term and what preceded
//! it, what was committed, who led, what was promised durably. It looks at a replica after every call, at
//! every batch, every write and every message that leaves, and compares with that. It panics at the first
//! contradiction.

use std::collections::{BTreeMap, BTreeSet};

use raft::eraftpb::{ConfState, Entry, EntryType, HardState, Message, MessageType, Snapshot};
use raft::{EntryId, RawNode, ReadId, ReadState, Ready, Role};

use crate::coverage::{Coverage, Situation};
use crate::replica::{Disk, Machine, Replica, START};
use crate::seen::Seen;

/// An index as its first leader committed it.
#[derive(Clone, Copy)]
struct Committed {
    term: u64,
    /// The term of the leader that committed it.
    by: u64,
}

/// A read that is not answered yet.
struct Read {
    replica: usize,
    lives: u64,
    /// What was committed when it began.
    floor: u64,
    /// It began on a leader, so it will be answered.
    sure: bool,
}

pub(crate) struct Oracle {
    seen: Vec<Seen>,
    /// Every entry there ever was, and the term before it.
    canon: BTreeMap<EntryId, (Entry, u64)>,
    committed: BTreeMap<u64, Committed>,
    /// By term.
    leader_of: BTreeMap<u64, u64>,
    /// By replica and term, as far as they were durable.
    votes: BTreeMap<(u64, u64), u64>,
    /// The state machine after each index.
    machines: BTreeMap<u64, Machine>,
    reads: BTreeMap<ReadId, Read>,
    pub(crate) coverage: Coverage,
}

fn is_change(entry: &Entry) -> bool {
    entry.entry_type() != EntryType::EntryNormal
}

impl Oracle {
    pub(crate) fn new(replicas: &[Replica]) -> Oracle {
        let start = Entry { term: START.term, index: START.index, ..Entry::default() };
        let committed = Committed { term: START.term, by: START.term };
        Oracle {
            seen: replicas.iter().map(Seen::of).collect(),
            canon: [(START, (start, 0))].into(),
            committed: [(START.index, committed)].into(),
            leader_of: BTreeMap::new(),
            votes: BTreeMap::new(),
            machines: [(START.index, replicas[0].machine.clone())].into(),
            reads: BTreeMap::new(),
            coverage: Coverage::default(),
        }
    }

    /// The highest index that was ever committed.
    pub(crate) fn commit(&self) -> u64 {
        *self.committed.last_key_value().expect("the start").0
    }

    /// The membership as of the last change that was applied anywhere, and the index of that change.
    pub(crate) fn membership(&self) -> (u64, &ConfState) {
        let newest = &self.machines.last_key_value().expect("the start").1.conf_state;
        let same = self.machines.iter().rev().take_while(|(_, machine)| machine.conf_state == *newest);
        (*same.last().expect("at least the newest").0, newest)
    }

    // After every call.

    pub(crate) fn observe(&mut self, replicas: &[Replica], at: usize) {
        let replica = &replicas[at];
        self.check_order(at, &replica.raw);
        self.check_log(at, replica);
        self.check_leadership(at, replica);
        self.check_commit(replicas, at);
        if replica.raw.role() == Role::Leader {
            self.check_progress(replicas, at);
        } else {
            self.seen[at].matched.clear();
        }
        let (raw, seen) = (&replica.raw, &mut self.seen[at]);
        (seen.term, seen.role, seen.commit, seen.applied) =
            (raw.term(), raw.role(), raw.commit(), raw.applied());
    }

    /// I7 and I10.
    fn check_order(&self, at: usize, raw: &RawNode) {
        let seen = &self.seen[at];
        assert!(raw.term() >= seen.term, "the term of {} falls", raw.id());
        assert!(raw.commit() >= seen.commit, "the commit of {} falls", raw.id());
        assert!(raw.applied() >= seen.applied, "the applied index of {} falls", raw.id());
        let (truncated, last) = (raw.truncated().index, raw.last().index);
        assert!(
            raw.applied() <= raw.commit() && raw.commit() <= last,
            "order of the indexes of {}",
            raw.id()
        );
        assert!(
            truncated <= raw.commit() && raw.first_index() == truncated + 1,
            "start of the log of {}",
            raw.id()
        );
        assert!(raw.persisted() <= last, "{} persisted what it does not have", raw.id());
        if raw.applied() < truncated {
            assert!(!raw.promotable(), "{} has no state machine", raw.id());
            assert_eq!(raw.commit(), raw.commit().max(truncated));
        }
    }

    /// I2, I3, and I9 of what a replica promises itself.
    fn check_log(&mut self, at: usize, replica: &Replica) {
        let (raw, seen) = (&replica.raw, &mut self.seen[at]);
        let (truncated, last) = (raw.truncated(), raw.last().index);
        let old_last = seen.last();
        if truncated != seen.truncated {
            let known = self.committed.get(&truncated.index).map(|committed| committed.term);
            assert_eq!(known, Some(truncated.term), "{} starts its log after {truncated:?}", raw.id());
            if raw.term_at(truncated.index) == seen.term_at(truncated.index) && truncated.index <= old_last {
                seen.log.drain(..(truncated.index - seen.truncated.index) as usize);
            } else {
                seen.log.clear();
            }
            seen.truncated = truncated;
        }
        let mut same = seen.last().min(last);
        while seen.term_at(same) != raw.term_at(same) {
            same -= 1;
        }
        let led = seen.led(raw.term());
        if led {
            assert!(same == old_last, "leader {} changes its log after {same}", raw.id());
        }
        if same < old_last && same >= truncated.index {
            self.coverage.note(Situation::ConflictReplaced);
        }
        seen.log.truncate((same - truncated.index) as usize);
        for index in same + 1..=last {
            let entry = raw.entry(index).expect("in the log");
            let previous = raw.term_at(index - 1).expect("in the log");
            assert!(entry.index == index && entry.term >= previous && entry.term <= raw.term(), "{entry:?}");
            self.seen[at].log.push(entry.term);
            self.check_canon(raw, led, entry, previous);
        }
        let id = raw.term_at(raw.persisted()).map(|term| EntryId { term, index: raw.persisted() });
        assert!(id.is_none_or(|id| replica.disk.holds(id)), "{} takes {id:?} for durable", raw.id());
    }

    /// I3: who made an entry is the only one who did, and whoever has it has what precedes it.
    fn check_canon(&mut self, raw: &RawNode, led: bool, entry: &Entry, previous: u64) {
        let id = EntryId { term: entry.term, index: entry.index };
        if let Some(known) = self.canon.get(&id) {
            assert_eq!((&known.0, known.1), (entry, previous), "{} has another entry {id:?}", raw.id());
            return;
        }
        // Whoever led before this call may have made it and stepped down since.
        let leads = raw.role() == Role::Leader || led;
        let made = leads && raw.term() == entry.term;
        assert!(made, "{} has {id:?}, which nobody made", raw.id());
        self.canon.insert(id, (entry.clone(), previous));
        if is_change(entry) {
            // I12.
            let mut unapplied = (raw.applied() + 1..entry.index).filter_map(|index| raw.entry(index));
            let other = unapplied.find(|other| is_change(other));
            assert!(other.is_none(), "{} appends {id:?} while {other:?} is not applied", raw.id());
            let committed = raw.term_at(raw.commit());
            assert_eq!(
                committed,
                Some(raw.term()),
                "{} appends {id:?} before it committed anything",
                raw.id()
            );
        }
    }

    /// I1 and I4.
    fn check_leadership(&mut self, at: usize, replica: &Replica) {
        let raw = &replica.raw;
        if raw.role() != Role::Leader {
            if self.seen[at].role == Role::Leader && raw.term() == self.seen[at].term {
                self.coverage.note(Situation::SteppedDown);
            }
            return;
        }
        if self.seen[at].led(raw.term()) {
            return;
        }
        let leader = *self.leader_of.entry(raw.term()).or_insert(raw.id());
        assert_eq!(leader, raw.id(), "two leaders of term {}", raw.term());
        if self.leader_of.len() > 1 {
            self.coverage.note(Situation::SecondLeader);
        }
        let earlier = self.committed.iter().rev().find(|(_, committed)| committed.by < raw.term());
        let (&index, committed) = earlier.expect("the start");
        assert!(
            contains(raw, index, committed.term),
            "leader {} of term {} lacks {index}",
            raw.id(),
            raw.term()
        );
    }

    /// I5 and I6.
    fn check_commit(&mut self, replicas: &[Replica], at: usize) {
        let (raw, before) = (&replicas[at].raw, self.seen[at].commit);
        let commit = raw.commit();
        if commit == before {
            return;
        }
        // A leader that goes with this commit has stepped down already.
        let decided = raw.role() == Role::Leader || self.seen[at].led(raw.term());
        if decided {
            assert_eq!(
                raw.term_at(commit),
                Some(raw.term()),
                "{} commits {commit} of another term",
                raw.id()
            );
            let id = EntryId { term: raw.term(), index: commit };
            let holds = |member: &u64| replicas[*member as usize - 1].disk.holds(id);
            let quorum =
                |voters: &[u64]| 2 * voters.iter().filter(|member| holds(member)).count() > voters.len();
            let configuration = raw.configuration();
            let safe = quorum(configuration.voters())
                && (!configuration.is_joint() || quorum(configuration.outgoing()));
            assert!(safe, "{} commits {id:?} without a quorum of {configuration}", raw.id());
            if configuration.is_joint() {
                self.coverage.note(Situation::CommittedJointly);
            }
        }
        for index in (before + 1).max(raw.truncated().index)..=commit {
            let term = raw.term_at(index).expect("in the log");
            match self.committed.get(&index) {
                Some(committed) => assert_eq!(committed.term, term, "{} commits another {index}", raw.id()),
                None => {
                    assert!(decided, "{} commits {index}, which no leader did", raw.id());
                    self.committed.insert(index, Committed { term, by: raw.term() });
                    // I4 for those who were elected before this leader heard that it had committed.
                    for other in replicas.iter().map(|other| &other.raw) {
                        if other.role() == Role::Leader && other.term() > raw.term() {
                            assert!(contains(other, index, term), "leader {} lacks {index}", other.id());
                        }
                    }
                }
            }
        }
    }

    /// I11.
    fn check_progress(&mut self, replicas: &[Replica], at: usize) {
        let raw = &replicas[at].raw;
        let same_leadership = self.seen[at].led(raw.term());
        let mut matched = std::mem::take(&mut self.seen[at].matched);
        let mut before = if same_leadership { std::mem::take(&mut matched) } else { BTreeMap::new() };
        for (id, progress) in raw.progresses() {
            let index = progress.matched();
            assert!(index < progress.next(), "{} of {id}: {progress:?}", raw.id());
            let was = before.remove(&id).unwrap_or(0);
            assert!(was <= index, "{} forgets that {id} has {was}: {progress:?}", raw.id());
            if was < index {
                let peer = &replicas[id as usize - 1];
                if let Some(term) = raw.term_at(index).filter(|_| peer.raw.term() <= raw.term()) {
                    assert!(
                        peer.disk.holds(EntryId { term, index }),
                        "{} thinks that {id} has {index}",
                        raw.id()
                    );
                }
            }
            matched.insert(id, index);
        }
        self.seen[at].matched = matched;
    }

    // Batches, writes and messages.

    /// The contract of a batch. It is not in the caller's queues yet.
    pub(crate) fn check_ready(&mut self, at: usize, replica: &Replica, ready: &Ready) {
        let (raw, seen) = (&replica.raw, &mut self.seen[at]);
        assert_eq!(ready.number, seen.number + 1);
        seen.number = ready.number;
        let now = raw.hard_state();
        assert_eq!(ready.hard_state, Some(now).filter(|_| now != seen.hard_state));
        let promised = (now.term, now.vote) != (seen.hard_state.term, seen.hard_state.vote);
        seen.hard_state = now;
        let must_sync = promised || !ready.entries.is_empty() || ready.snapshot.is_some();
        assert_eq!(ready.must_sync, must_sync);
        if let Some(snapshot) = &ready.snapshot {
            let index = metadata_index(snapshot);
            assert!(
                index >= seen.handed_out && index == raw.truncated().index,
                "{} restores {index}",
                raw.id()
            );
            seen.handed_out = index;
            seen.restoring = Some(index);
            self.coverage.note(Situation::SnapshotRestored);
        }
        if let Some(first) = ready.committed_entries.first() {
            assert_eq!(seen.restoring, None, "{} applies {} over a snapshot", raw.id(), first.index);
        }
        let damaged = raw.snapshot_requested() && !ready.committed_entries.is_empty();
        assert!(!damaged, "{} applies entries to what waits to be replaced", raw.id());
        for entry in &ready.committed_entries {
            assert_eq!(entry.index, seen.handed_out + 1, "{} skips or repeats entries", raw.id());
            seen.handed_out = entry.index;
            assert!(entry.index <= raw.commit());
            if replica.config.apply_unpersisted {
                let id = EntryId { term: entry.term, index: entry.index };
                if !replica.disk.holds(id) {
                    self.coverage.note(Situation::AppliedUnpersisted);
                }
            } else {
                assert!(entry.index <= raw.persisted(), "{} applies {} too early", raw.id(), entry.index);
            }
        }
        for entry in &ready.entries {
            let known = self.canon.get(&EntryId { term: entry.term, index: entry.index });
            let known = known.map(|(known, _)| known);
            assert_eq!(known, Some(entry), "{} writes what is not in the log", raw.id());
        }
    }

    /// I8.
    pub(crate) fn check_write(&mut self, id: u64, before: HardState, disk: &Disk) {
        let after = disk.hard_state();
        assert!(after.term >= before.term, "the durable term of {id} falls");
        if after.vote != 0 {
            let vote = *self.votes.entry((id, after.term)).or_insert(after.vote);
            assert_eq!(vote, after.vote, "{id} votes twice in term {}", after.term);
        }
        if after.term == before.term && before.vote != 0 {
            assert_eq!(before.vote, after.vote, "{id} forgets its vote in term {}", after.term);
        }
    }

    /// I9: whatever a message promises is durable as it leaves.
    pub(crate) fn check_send(&mut self, replicas: &[Replica], at: usize, message: &Message) {
        use MessageType::*;
        let (replica, kind) = (&replicas[at], message.msg_type());
        let (disk, id) = (&replica.disk, replica.raw.id());
        let about_later = kind == MsgRequestPreVote || (kind == MsgRequestPreVoteResponse && !message.reject);
        if !about_later {
            assert!(
                message.term <= disk.hard_state().term,
                "{id} sends a term that is not durable: {message:?}"
            );
        }
        match kind {
            MsgRequestVote => self.check_vote(id, message.term, id, disk),
            MsgRequestVoteResponse if !message.reject => self.check_vote(id, message.term, message.to, disk),
            // In a later term what was acknowledged may have been replaced before it was written. The old leader
            // may count it all the same: the new one was elected by a quorum without this replica, of which
            // each that acknowledged it too would have refused its vote.
            MsgAppendResponse if !message.reject && message.term == disk.hard_state().term => {
                assert!(message.index <= disk.last(), "{id} acknowledges what is not durable: {message:?}");
                let leader = &replicas[message.to as usize - 1].raw;
                if leader.role() == Role::Leader && leader.term() == message.term {
                    let term = leader.term_at(message.index);
                    let held = term.is_none_or(|term| disk.holds(EntryId { term, index: message.index }));
                    assert!(held, "{id} acknowledges what {} does not have: {message:?}", message.to);
                }
            }
            MsgRequestSnapshot if message.term == disk.hard_state().term => {
                let last = EntryId { term: message.log_term, index: message.index };
                assert!(disk.holds(last), "{id} acknowledges what is not durable: {message:?}");
            }
            MsgSnapshot => self.coverage.note(Situation::SnapshotSent),
            MsgTimeoutNow => self.coverage.note(Situation::TransferSent),
            _ => {}
        }
    }

    /// A vote leaves. It is durable itself, or a later term is, which as well keeps it from being given to
    /// another.
    fn check_vote(&mut self, id: u64, term: u64, to: u64, disk: &Disk) {
        if disk.hard_state().term > term {
            self.votes.entry((id, term)).or_insert(to);
        }
        let vote = self.votes.get(&(id, term));
        assert_eq!(vote, Some(&to), "the vote of {id} for {to} in term {term} is not durable");
    }

    // Applying.

    /// I5: the state machine of a replica, after an entry or a snapshot was applied.
    pub(crate) fn check_applied(&mut self, id: u64, machine: &Machine) {
        let index = machine.applied;
        let committed = self.committed.get(&index).map(|committed| committed.term);
        assert_eq!(committed, Some(machine.term), "{id} applies {index}");
        if let Some(known) = self.machines.get(&index) {
            assert_eq!(known, machine, "the state machine of {id} differs at {index}");
            return;
        }
        // Whoever is the first to get anywhere gets there entry by entry.
        let before = &self.machines.get(&(index - 1)).expect("applied before").conf_state;
        let after = &machine.conf_state;
        if before != after {
            assert!(!has_disjoint_quorums(before, after), "{before:?} and {after:?} share no quorum");
            self.coverage.note(Situation::ConfigurationChanged);
            let (was_joint, joint) = (!before.voters_outgoing.is_empty(), !after.voters_outgoing.is_empty());
            if joint {
                self.coverage.note(Situation::JointEntered);
            }
            if was_joint && !joint {
                self.coverage.note(Situation::JointLeft);
            }
            if after
                .learners
                .iter()
                .any(|member| before.voters.contains(member) || before.voters_outgoing.contains(member))
            {
                self.coverage.note(Situation::Demoted);
            }
        }
        self.machines.insert(index, machine.clone());
    }

    // Reads.

    pub(crate) fn begin_read(&mut self, at: usize, replica: &Replica, id: ReadId) {
        let sure = replica.raw.role() == Role::Leader;
        let read = Read { replica: at, lives: replica.lives, floor: self.commit(), sure };
        assert!(self.reads.insert(id, read).is_none(), "{id:?} is given out twice");
    }

    pub(crate) fn end_read(&mut self, at: usize, replica: &Replica, state: ReadState) {
        // A message may have arrived twice.
        let Some(read) = self.reads.get_mut(&state.id) else {
            panic!("nobody began {:?}", state.id);
        };
        assert_eq!(
            (read.replica, read.lives),
            (at, replica.lives),
            "{state:?} is of another replica or life"
        );
        let Some(index) = state.index else {
            read.sure = false;
            self.coverage.note(Situation::ReadRefused);
            return;
        };
        assert!(index >= read.floor, "{state:?} on {}, but {} was committed", replica.raw.id(), read.floor);
        let situation = if read.sure { Situation::LeaderRead } else { Situation::FollowerRead };
        read.sure = false;
        assert!(index <= self.commit());
        self.coverage.note(situation);
    }

    /// Whether a read that began on a leader has no answer yet.
    pub(crate) fn is_waiting(&self, id: ReadId) -> bool {
        self.reads.get(&id).is_some_and(|read| read.sure)
    }

    // Lives.

    /// A replica was started again from its disk.
    pub(crate) fn restarted(&mut self, at: usize, replica: &Replica) {
        self.seen[at] = Seen::of(replica);
        let raw = &replica.raw;
        assert_eq!(raw.term(), replica.disk.hard_state().term);
        assert_eq!(raw.applied(), replica.disk.machine.applied);
        assert_eq!(raw.conf_state(), replica.disk.machine.conf_state);
        assert!(raw.commit() <= self.commit());
    }

    /// A replica reported a snapshot as applied.
    pub(crate) fn restored(&mut self, at: usize, index: u64) {
        if self.seen[at].restoring == Some(index) {
            self.seen[at].restoring = None;
        }
    }

    /// A read that began on a leader and was never answered, though the replica lives on.
    pub(crate) fn forgotten_read(&self, replicas: &[Replica], stopped: &BTreeSet<u64>) -> Option<ReadId> {
        let forgotten = |read: &Read| {
            let replica = &replicas[read.replica];
            read.sure && replica.lives == read.lives && !stopped.contains(&replica.raw.id())
        };
        self.reads.iter().find(|(_, read)| forgotten(read)).map(|(id, _)| *id)
    }
}

fn metadata_index(snapshot: &Snapshot) -> u64 {
    snapshot.metadata.as_ref().expect("snapshots have metadata").index
}

fn contains(raw: &RawNode, index: u64, term: u64) -> bool {
    raw.truncated().index > index || raw.term_at(index) == Some(term)
}

/// Whether two configurations can decide without hearing of each other.
fn has_disjoint_quorums(a: &ConfState, b: &ConfState) -> bool {
    let mask = |ids: &[u64]| ids.iter().fold(0u32, |mask, id| mask | 1 << (id - 1));
    let majority = |of: u32, set: u32| of == 0 || 2 * (of & set).count_ones() > of.count_ones();
    let quorum = |state: &ConfState, set| {
        majority(mask(&state.voters), set) && majority(mask(&state.voters_outgoing), set)
    };
    (0..1 << 7).any(|set| quorum(a, set) && quorum(b, !set))
}
