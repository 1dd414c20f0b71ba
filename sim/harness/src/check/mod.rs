//! The checks: what must hold after every event, whatever the faults.
//!
//! One check a file, named as in the thesis. They are fed by what the stores did: log entries and hard
//! state come from the writes to the simulated disks, durability from completed syncs, promises from the
//! messages that left. Of the running replica they see only [`ReplicaState`]. Each costs time in
//! proportion to what an event changed. The first violation stops the run.

mod commit_rule;
mod election_safety;
mod leader_append_only;
mod leader_completeness;
mod ledger;
mod log_matching;
mod log_order;
mod monotone;
pub mod replica;
mod send_implies_durable;
mod state_machine_safety;
mod vote_once;

use std::fmt;
use std::sync::Arc;

use im::OrdMap;
use raft_proto::eraftpb::Message;
use raftsim_kernel::{NodeId, Time};

use ledger::{Ledger, Pending, Replica};
pub use replica::{HardState, LogEntry, LogTerms, ReplicaState, Role};

use crate::scenario::ast::Check;

/// A check that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which check.
    pub check: Check,
    /// When.
    pub time: Time,
    /// The store where it showed; `None` where it is no single store's.
    pub store: Option<u64>,
    /// The region.
    pub region: Option<u64>,
    /// What was seen, and why it must not be.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.check, self.message)
    }
}

/// What a check says of one fact.
pub(crate) type Verdict = Result<(), String>;

/// One statement about all runs. Every method is called with one fact; the default has no objection.
pub(crate) trait Invariant: Clone + Default {
    /// Its name in output and scenario files.
    const NAME: Check;

    /// `replica` put an entry into its log (not yet counted in `replica.visible`). `now` is its state after
    /// the event, `replica.state` that before.
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, now: Option<&ReplicaState>) -> Verdict {
        let _ = (replica, entry, now);
        Ok(())
    }

    /// `replica` removes its entries from `index` on.
    fn log_truncated(&mut self, replica: &Replica, index: u64, now: Option<&ReplicaState>) -> Verdict {
        let _ = (replica, index, now);
        Ok(())
    }

    /// A term and vote of `replica` became durable; `replica.durable` is what was durable before.
    fn hard_state_durable(&mut self, replica: &Replica, hard: HardState) -> Verdict {
        let _ = (replica, hard);
        Ok(())
    }

    /// A message leaves `replica`.
    fn sent(&mut self, replica: &Replica, message: &Message) -> Verdict {
        let _ = (replica, message);
        Ok(())
    }

    /// The replica came up with this state; the ledger holds what was durable.
    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        let _ = (ledger, replica, now);
        Ok(())
    }

    /// The replica's state changed; the ledger holds its log as it is now.
    fn changed(&mut self, ledger: &Ledger, replica: &Replica, before: &ReplicaState, now: &ReplicaState) -> Verdict {
        let _ = (ledger, replica, before, now);
        Ok(())
    }
}

/// All checks of one region.
#[derive(Clone, Debug, Default)]
struct RegionChecks {
    ledger: Ledger,
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
}

/// Asks every check about one fact; the first objection ends it.
macro_rules! ask {
    ($all:expr, $check:ident => $call:expr) => {{
        fn name<I: Invariant>(_: &I) -> Check {
            I::NAME
        }
        macro_rules! one {
            ($field:ident) => {{
                let $check = &mut $all.$field;
                if let Err(message) = $call {
                    return Err((name($check), message));
                }
            }};
        }
        one!(log_order);
        one!(election_safety);
        one!(leader_append_only);
        one!(log_matching);
        one!(vote_once);
        one!(send_implies_durable);
        one!(commit_rule);
        one!(state_machine_safety);
        one!(leader_completeness);
        one!(monotone);
        Ok(())
    }};
}

/// A write that the adapter found among the changes of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskWrite {
    /// A log entry.
    Entry(LogEntry),
    /// The entries from this index on were removed.
    Truncate(u64),
    /// Term and vote.
    Hard(HardState),
    /// The applied index.
    Applied(u64),
}

/// What a disk holds of a replica when nothing is unsynced: at boot and after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Term and vote.
    pub hard: HardState,
    /// The log.
    pub log: LogTerms,
    /// The applied index.
    pub applied: u64,
}

type Objection = Result<(), (Check, String)>;

impl RegionChecks {
    /// Visits the writes of one event in their order.
    fn wrote(&mut self, id: u64, database: usize, seq: u64, write: DiskWrite, now: Option<&ReplicaState>) -> Objection {
        let replica = self.ledger.replica_mut(id);
        let pending = match write {
            DiskWrite::Entry(entry) => Pending::Put { index: entry.index, term: entry.term },
            DiskWrite::Truncate(index) => Pending::Truncate { index },
            DiskWrite::Hard(hard) => Pending::Hard(hard),
            DiskWrite::Applied(applied) => Pending::Applied(applied),
        };
        replica.pending[database].push_back((seq, pending));
        match write {
            DiskWrite::Entry(entry) => {
                self.ask_entry(id, entry, now)?;
                self.ledger.replica_mut(id).visible.put(entry.index, entry.term);
            }
            DiskWrite::Truncate(index) if index <= replica.visible.last() => {
                self.ask_truncated(id, index, now)?;
                self.ledger.replica_mut(id).visible.truncate(index);
            }
            _ => {}
        }
        Ok(())
    }

    fn ask_entry(&mut self, id: u64, entry: LogEntry, now: Option<&ReplicaState>) -> Objection {
        let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
        ask!(self, check => check.entry_written(replica, entry, now))
    }

    fn ask_truncated(&mut self, id: u64, index: u64, now: Option<&ReplicaState>) -> Objection {
        let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
        ask!(self, check => check.log_truncated(replica, index, now))
    }

    fn synced(&mut self, id: u64, database: usize, seq: u64) -> Objection {
        loop {
            let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
            match replica.pending[database].front() {
                Some((number, Pending::Hard(hard))) if *number <= seq => self.ask_hard_state(id, *hard)?,
                Some((number, _)) if *number <= seq => {}
                _ => return Ok(()),
            }
            self.ledger.replica_mut(id).next_durable(database, seq);
        }
    }

    fn ask_hard_state(&mut self, id: u64, hard: HardState) -> Objection {
        let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
        ask!(self, check => check.hard_state_durable(replica, hard))
    }

    fn sent(&mut self, id: u64, message: &Message) -> Objection {
        let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
        ask!(self, check => check.sent(replica, message))
    }

    fn state(&mut self, id: u64, now: &ReplicaState) -> Objection {
        let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
        let before = replica.state;
        if before.as_ref() == Some(now) {
            return Ok(());
        }
        self.ask_state(id, before.as_ref(), now)?;
        let replica = self.ledger.replica_mut(id);
        replica.state = Some(*now);
        if before.is_none_or(|before| before.commit < now.commit) {
            let log = replica.visible.clone();
            self.ledger.note_committed(&log, now.commit);
        }
        Ok(())
    }

    fn ask_state(&mut self, id: u64, before: Option<&ReplicaState>, now: &ReplicaState) -> Objection {
        let Some(replica) = self.ledger.replica(id) else { return Ok(()) };
        match before {
            None => ask!(self, check => check.started(&self.ledger, replica, now)),
            Some(before) => ask!(self, check => check.changed(&self.ledger, replica, before, now)),
        }
    }
}

/// Every check of every region: a value like all else in a world.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    regions: OrdMap<u64, Arc<RegionChecks>>,
    violation: Option<Violation>,
    disabled: bool,
}

/// Where and when a fact was seen.
#[derive(Clone, Copy, Debug)]
pub struct Site {
    /// The virtual time.
    pub time: Time,
    /// The machine.
    pub node: NodeId,
    /// The region.
    pub region: u64,
    /// The replica, by the id that Raft messages use.
    pub replica: u64,
}

impl Checks {
    /// No checks at all: to measure what they cost.
    #[must_use]
    pub fn disabled() -> Checks {
        Checks { disabled: true, ..Checks::default() }
    }

    /// Whether checks are off.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// The first violation, if there was one.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation> {
        self.violation.as_ref()
    }

    /// A replica's state after the last event that touched it; `None` while its store is down.
    #[must_use]
    pub fn replica_state(&self, region: u64, replica: u64) -> Option<ReplicaState> {
        self.regions.get(&region)?.ledger.replica(replica)?.state
    }

    /// The highest index that any replica of a region knew to be committed.
    #[must_use]
    pub fn committed(&self, region: u64) -> u64 {
        self.regions.get(&region).map_or(0, |checks| checks.ledger.committed_last())
    }

    /// A replica wrote to a database (0: raft, 1: kv). Writes come in their order; `now` is the replica's
    /// state after the event.
    pub fn wrote(&mut self, site: Site, database: usize, seq: u64, write: DiskWrite, now: Option<&ReplicaState>) {
        self.judge(site, |checks| checks.wrote(site.replica, database, seq, write, now));
    }

    /// A replica's writes to a database are durable up to number `seq`.
    pub fn synced(&mut self, site: Site, database: usize, seq: u64) {
        self.judge(site, |checks| checks.synced(site.replica, database, seq));
    }

    /// A message leaves a replica.
    pub fn sent(&mut self, site: Site, message: &Message) {
        self.judge(site, |checks| checks.sent(site.replica, message));
    }

    /// A replica's state after an event.
    pub fn state(&mut self, site: Site, now: &ReplicaState, voters: &[u64]) {
        self.judge(site, |checks| {
            let replica = checks.ledger.replica_mut(site.replica);
            if replica.voters != voters {
                replica.voters = voters.to_vec();
            }
            checks.state(site.replica, now)
        });
    }

    /// A replica's store is down, or just up; its disk holds this and nothing unsynced.
    pub fn reset(&mut self, site: Site, disk: OnDisk) {
        self.judge(site, |checks| {
            let replica = checks.ledger.replica_mut(site.replica);
            replica.state = None;
            replica.visible = disk.log.clone();
            replica.durable_log = disk.log;
            replica.durable = disk.hard;
            replica.durable_applied = disk.applied;
            replica.pending = Default::default();
            Ok(())
        });
    }

    fn judge(&mut self, site: Site, ask: impl FnOnce(&mut RegionChecks) -> Objection) {
        if self.violation.is_some() {
            return;
        }
        let region = self.regions.entry(site.region).or_default();
        if let Err((check, message)) = ask(Arc::make_mut(region)) {
            self.violation = Some(Violation {
                check,
                time: site.time,
                store: Some(u64::from(site.node.0) + 1),
                region: Some(site.region),
                message,
            });
        }
    }
}
