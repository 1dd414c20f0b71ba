//! The checks of one region, and which fact goes to which of them.

use raft_proto::eraftpb::Message;

use super::ledger::{Ledger, Members, Pending};
use super::{
    DataState, DiskWrite, HardState, Invariant, LogEntry, PeerProgress, ReplicaState, Role, Voters,
    commit_rule, conf_change, data_digest, election_safety, leader_append_only, leader_completeness,
    log_matching, log_order, monotone, progress, send_implies_durable, state_machine_safety, vote_once,
};
use crate::scenario::ast::Check;

/// All checks of one region.
#[derive(Clone, Debug, Default)]
pub(crate) struct RegionChecks {
    pub(crate) ledger: Ledger,
    election_safety: election_safety::ElectionSafety,
    leader_append_only: leader_append_only::LeaderAppendOnly,
    log_matching: log_matching::LogMatching,
    leader_completeness: leader_completeness::LeaderCompleteness,
    state_machine_safety: state_machine_safety::StateMachineSafety,
    commit_rule: commit_rule::CommitRule,
    monotone: monotone::Monotone,
    vote_once: vote_once::VoteOnce,
    send_implies_durable: send_implies_durable::SendImpliesDurable,
    log_order: log_order::LogOrder,
    conf_change: conf_change::ConfChange,
    progress: progress::Progress,
    data_digest: data_digest::DataDigest,
    /// Whose objections are overruled.
    off: Off,
}

/// A set of checks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Off(u32);

impl Off {
    pub(crate) fn insert(&mut self, check: Check) {
        self.0 |= 1 << check as u32;
    }

    pub(crate) fn contains(self, check: Check) -> bool {
        self.0 & 1 << check as u32 != 0
    }
}

/// A check does not hold, and why.
pub(crate) type Objection = Result<(), (Check, String)>;

/// Asks every check about one fact; the first objection ends it.
///
/// Where several would object, the one that says most about the cause comes first: order before content,
/// causes before what follows from them.
macro_rules! ask {
    ($all:expr, $check:ident => $call:expr) => {{
        fn name<I: Invariant>(_: &I) -> Check {
            I::NAME
        }
        macro_rules! one {
            ($field:ident) => {{
                let $check = &mut $all.$field;
                if let Err(message) = $call
                    && !$all.off.contains(name(&$all.$field))
                {
                    return Err((name(&$all.$field), message));
                }
            }};
        }
        one!(log_order);
        one!(election_safety);
        one!(leader_append_only);
        one!(log_matching);
        one!(vote_once);
        one!(send_implies_durable);
        one!(conf_change);
        one!(progress);
        one!(commit_rule);
        one!(state_machine_safety);
        one!(leader_completeness);
        one!(monotone);
        one!(data_digest);
        Ok(())
    }};
}

impl RegionChecks {
    pub(crate) fn without(off: Off) -> RegionChecks {
        RegionChecks { off, ..RegionChecks::default() }
    }

    pub(crate) fn wrote(
        &mut self,
        place: usize,
        seq: u64,
        write: DiskWrite,
        now: &ReplicaState,
    ) -> Objection {
        match write {
            DiskWrite::Entry(entry) => {
                self.ask_entry(place, entry, now)?;
                let replica = &mut self.ledger.replicas[place];
                replica.visible.put(entry.index, entry.term);
                replica.put_pending(seq, entry.index, entry.term);
            }
            DiskWrite::Remove(index) if index > now.truncated => {
                if index <= self.ledger.replicas[place].visible.last() {
                    self.ask_truncated(place, index, now)?;
                    self.ledger.replicas[place].visible.truncate(index);
                }
                self.ledger.replicas[place].pending.push_back((seq, Pending::Truncate { index }));
            }
            DiskWrite::Remove(_) => {}
            DiskWrite::Hard(hard) => {
                let replica = &mut self.ledger.replicas[place];
                if std::mem::replace(&mut replica.written, hard) != hard {
                    replica.pending.push_back((seq, Pending::Hard(hard)));
                }
            }
            DiskWrite::Start { index, term, restored } => {
                let replica = &mut self.ledger.replicas[place];
                replica.restored = restored;
                // One that is new here begins with something that nobody saw it write.
                let replaced = restored || replica.state.is_none();
                if replaced && replica.is_replaced_by(index, term) {
                    self.ask_replaced(place, index, now)?;
                    self.ledger.replicas[place].restore(seq, index, term);
                } else {
                    replica.compact(seq, index, term);
                }
            }
        }
        Ok(())
    }

    pub(crate) fn synced(&mut self, place: usize, seq: u64) -> Objection {
        while let Some((number, write)) = self.ledger.replicas[place].pending.front()
            && *number <= seq
        {
            if let Pending::Hard(hard) = *write {
                self.ask_hard_state(place, hard)?;
            }
            self.ledger.replicas[place].take_durable();
        }
        Ok(())
    }

    pub(crate) fn sent(&mut self, place: usize, message: &Message) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.sent(replica, message))
    }

    pub(crate) fn state(
        &mut self,
        place: usize,
        now: &ReplicaState,
        voters: Voters<'_>,
        restoring: bool,
    ) -> Objection {
        let replica = &mut self.ledger.replicas[place];
        let before = replica.state;
        let same_voters = replica.members.are(voters);
        if same_voters && before.as_ref() == Some(now) && replica.restoring == restoring {
            return Ok(());
        }
        replica.restored |= replica.restoring && !restoring;
        replica.restoring = restoring;
        if !same_voters {
            replica.members_before = Some(std::mem::replace(&mut replica.members, Members::from(voters)));
        }
        match &before {
            Some(before) => self.ask_changed(place, before, now)?,
            None => self.ask_started(place, now)?,
        }
        let Ledger { replicas, committed } = &mut self.ledger;
        let replica = &mut replicas[place];
        replica.state = Some(*now);
        replica.members_before = None;
        replica.restored = false;
        if now.commit > committed.last() || committed.is_empty() {
            committed.note(replica, now.commit, now.term);
        }
        replica.forget_compacted();
        Ok(())
    }

    /// A replica goes in the event that applies its removal. A leader's last commit is judged, and remembered, as every
    /// other.
    pub(crate) fn destroyed(&mut self, place: usize, commit: u64) -> Objection {
        self.last_commit(place, commit, true)
    }

    /// A replica's store stops in the middle of an event.
    pub(crate) fn stopped(&mut self, place: usize, commit: u64) -> Objection {
        self.last_commit(place, commit, false)
    }

    fn last_commit(&mut self, place: usize, commit: u64, tells_applied: bool) -> Objection {
        let replica = &self.ledger.replicas[place];
        let Some(before) = replica.state.filter(|state| state.role == Role::Leader) else { return Ok(()) };
        let commit = commit.min(replica.visible.last());
        if commit <= before.commit {
            return Ok(());
        }
        // What it applied of that, and so whom it counted in the end, it did not say.
        let applied = if tells_applied { commit } else { before.applied };
        let now = ReplicaState { commit, applied, ..before };
        self.ask_changed(place, &before, &now)?;
        let Ledger { replicas, committed } = &mut self.ledger;
        if commit > committed.last() {
            committed.note(&replicas[place], commit, now.term);
        }
        Ok(())
    }

    pub(crate) fn progress(&mut self, place: usize, now: &ReplicaState, peers: &[PeerProgress]) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.progress(&self.ledger, replica, now, peers))
    }

    pub(crate) fn data(&mut self, place: usize, data: &DataState<'_>) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.data(replica, data))
    }

    fn ask_entry(&mut self, place: usize, entry: LogEntry, now: &ReplicaState) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.entry_written(replica, entry, now))
    }

    fn ask_truncated(&mut self, place: usize, index: u64, now: &ReplicaState) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.log_truncated(replica, index, now))
    }

    fn ask_replaced(&mut self, place: usize, index: u64, now: &ReplicaState) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.log_replaced(replica, index, now))
    }

    fn ask_hard_state(&mut self, place: usize, hard: HardState) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.hard_state_durable(replica, hard))
    }

    fn ask_started(&mut self, place: usize, now: &ReplicaState) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.started(&self.ledger, replica, now))
    }

    fn ask_changed(&mut self, place: usize, before: &ReplicaState, now: &ReplicaState) -> Objection {
        let replica = &self.ledger.replicas[place];
        ask!(self, check => check.changed(&self.ledger, replica, before, now))
    }
}
