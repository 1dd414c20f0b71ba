//! The checks: what must hold after every event, whatever the faults.
//!
//! One check a file, named as in the thesis. They are fed by what the stores did: log entries and hard
//! state come from the writes to the simulated disks, durability from completed syncs, promises from the
//! messages that left. Of the running replica they see only [`ReplicaState`]. Each costs time in
//! proportion to what an event changed. The first violation stops the run.
//!
//! # What an adapter owes them
//! [`Facts`] come in the order in which an event makes them: what became durable, what was written, what
//! was sent, and last the state that all this led to. What a replica writes belongs to the event in which
//! it decided to write it.
//!
//! # What they do not see
//! A disk that forgets what it had synced. What a snapshot says of entries before the start of a log: a replica is trusted
//! with them, and judged by the data that it holds in their place.

mod commit_rule;
mod conf_change;
mod data_digest;
mod election_safety;
mod holdings;
mod leader_append_only;
mod leader_completeness;
mod ledger;
mod log_matching;
mod log_order;
mod monotone;
mod progress;
mod region;
mod regions;
pub mod replica;
mod send_implies_durable;
mod state_machine_safety;
mod store;
mod vote_once;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use raft_proto::eraftpb::Message;
use raftsim_kernel::{NodeId, Time};

pub(crate) use data_digest::pair as pair_digest;
pub use holdings::Noticed;
use holdings::{Holdings, Of};
pub(crate) use ledger::Members;
use ledger::{Ledger, Replica};
use region::{Objection, Off, RegionChecks};
pub use replica::{HardState, LogEntry, LogTerms, ReplicaState, Role, Voters};
pub use store::StoreFacts;

use crate::scenario::ast::Check;
use crate::system::RegionRange;

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
    fn entry_written(&mut self, replica: &Replica, entry: LogEntry, now: &ReplicaState) -> Verdict {
        let _ = (replica, entry, now);
        Ok(())
    }

    /// `replica` removed its entries from `index` on.
    fn log_truncated(&mut self, replica: &Replica, index: u64, now: &ReplicaState) -> Verdict {
        let _ = (replica, index, now);
        Ok(())
    }

    /// A snapshot of everything up to `index`, which ends in no entry of `replica`'s log, took the log's place.
    fn log_replaced(&mut self, replica: &Replica, index: u64, now: &ReplicaState) -> Verdict {
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

    /// The replica came up with this state; the ledger holds what is on its disk.
    fn started(&mut self, ledger: &Ledger, replica: &Replica, now: &ReplicaState) -> Verdict {
        let _ = (ledger, replica, now);
        Ok(())
    }

    /// The replica's state changed; the ledger holds its log as it is now, and not yet what it commits.
    fn changed(
        &mut self,
        ledger: &Ledger,
        replica: &Replica,
        before: &ReplicaState,
        now: &ReplicaState,
    ) -> Verdict {
        let _ = (ledger, replica, before, now);
        Ok(())
    }

    /// What `leader` believes of the members of its group, itself included, after an event; `now` is its state.
    fn progress(
        &mut self,
        ledger: &Ledger,
        leader: &Replica,
        now: &ReplicaState,
        peers: &[PeerProgress],
    ) -> Verdict {
        let _ = (ledger, leader, now, peers);
        Ok(())
    }

    /// What `replica` holds for clients after an event.
    fn data(&mut self, replica: &Replica, data: &DataState<'_>) -> Verdict {
        let _ = (replica, data);
        Ok(())
    }
}

/// What a leader believes of a member's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerProgress {
    /// Whose.
    pub replica: u64,
    /// The highest index up to which its durable log is known to equal the leader's.
    pub matched: u64,
    /// The first index of the next append.
    pub next: u64,
}

/// What a replica holds for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataState<'a> {
    /// The index up to which it has applied its log.
    pub applied: u64,
    /// The sum of a hash of every pair in its range.
    pub digest: u64,
    /// The range, and its epoch.
    pub range: RegionRange<'a>,
}

/// A write that changes a replica's log or promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskWrite {
    /// A log entry.
    Entry(LogEntry),
    /// The entry at this index was removed: by compaction if the log starts after it, otherwise the log
    /// ends before it now.
    Remove(u64),
    /// Term and vote.
    Hard(HardState),
    /// The log starts after this entry now: compaction took it away, or a snapshot took the place of the whole
    /// log, if the entry is not in it. A snapshot comes before all other changes of its event; compaction too, but
    /// after the entries that the event writes only to take them away.
    Start {
        /// The entry's index.
        index: u64,
        /// Its term.
        term: u64,
        /// Whether it was a snapshot.
        restored: bool,
    },
}

/// What a disk holds of a replica when nothing is unsynced, as after a crash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnDisk {
    /// Term and vote.
    pub hard: HardState,
    /// The log.
    pub log: LogTerms,
    /// The applied index.
    pub applied: u64,
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

/// Every check of every region: a value like all else in a world.
#[derive(Clone, Debug, Default)]
pub struct Checks {
    /// By the regions' ids. A list, since every event looks here and no region ever goes.
    regions: Vec<(u64, Arc<RegionChecks>)>,
    /// Where the region of the last fact stands: the next one mostly is about the same.
    last: usize,
    stores: Vec<Holdings>,
    violation: Option<Violation>,
    disabled: bool,
    off: Off,
}

impl Checks {
    /// No checks at all: to measure what they cost.
    #[must_use]
    pub fn disabled() -> Checks {
        Checks { disabled: true, ..Checks::default() }
    }

    /// These checks but for one, which judges no region that it has not judged yet: for a system that leaves
    /// what the check asks for to somebody else.
    #[must_use]
    pub fn without(mut self, check: Check) -> Checks {
        self.off.insert(check);
        self
    }

    /// Whether this check judges.
    #[must_use]
    pub fn judges(&self, check: Check) -> bool {
        !self.disabled && !self.off.contains(check)
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

    /// The highest index that any replica of a region knew to be committed.
    #[must_use]
    pub fn committed(&self, region: u64) -> u64 {
        self.region(region).map_or(0, |checks| checks.ledger.committed.last())
    }

    /// The last index of a replica's log, also while its store is down; `None` where nothing was told of it.
    #[must_use]
    pub fn last_index(&self, region: u64, replica: u64) -> Option<u64> {
        Some(self.region(region)?.ledger.replica(replica)?.visible.last())
    }

    /// The newest replica of a region that lives on a machine, or lived there when it went down.
    #[must_use]
    pub fn replica_on(&self, node: NodeId, region: u64) -> Option<u64> {
        self.stores.get(node.0 as usize)?.replica(region)
    }

    /// The highest replica of a region that was destroyed on a machine; 0 if none was.
    #[must_use]
    pub fn buried(&self, node: NodeId, region: u64) -> u64 {
        self.stores.get(node.0 as usize).map_or(0, |store| store.buried(region))
    }

    /// The term of the committed entry at an index of a region's log, as far as it was told.
    #[must_use]
    pub fn committed_term(&self, region: u64, index: u64) -> Option<u64> {
        self.region(region)?.ledger.committed.term_at(index)
    }

    /// All such replicas of a machine, as region and replica.
    pub(crate) fn replicas_on(&self, node: NodeId) -> Vec<Of> {
        self.stores.get(node.0 as usize).map_or_else(Vec::new, |store| store.replicas().collect())
    }

    /// The facts of a store at a time.
    pub fn store(&mut self, time: Time, node: NodeId) -> StoreFacts<'_> {
        let place = node.0 as usize;
        if place >= self.stores.len() {
            self.stores.resize_with(place + 1, Holdings::default);
        }
        let holdings = &mut self.stores[place];
        StoreFacts { holdings, violation: &mut self.violation, off: self.off, time, node }
    }

    /// The digest of the data that a store holds of a region, if it has not been judged at this applied index.
    #[inline]
    pub(crate) fn digest_to_judge(&mut self, node: NodeId, region: u64, applied: u64) -> Option<u64> {
        self.stores.get_mut(node.0 as usize)?.digest_to_judge(region, applied)
    }

    /// The facts of a replica at a time.
    #[inline]
    pub fn at(&mut self, site: Site) -> Facts<'_> {
        if self.regions.get(self.last).is_none_or(|(region, _)| *region != site.region) {
            self.turn_to(site.region);
        }
        let region = Arc::make_mut(&mut self.regions[self.last].1);
        let place = region.ledger.place(site.replica);
        Facts { region, place, violation: &mut self.violation, site }
    }

    fn region(&self, region: u64) -> Option<&RegionChecks> {
        let place = self.find(region).ok()?;
        Some(&self.regions[place].1)
    }

    fn find(&self, region: u64) -> Result<usize, usize> {
        self.regions.binary_search_by_key(&region, |(id, _)| *id)
    }

    fn turn_to(&mut self, region: u64) {
        self.last = self.find(region).unwrap_or_else(|place| {
            self.regions.insert(place, (region, Arc::new(RegionChecks::without(self.off))));
            place
        });
    }
}

/// Takes the facts of one replica. After a violation nothing is judged any more.
#[derive(Debug)]
pub struct Facts<'a> {
    region: &'a mut RegionChecks,
    /// Of the replica in the ledger.
    place: usize,
    violation: &'a mut Option<Violation>,
    site: Site,
}

impl Facts<'_> {
    /// The replica's state after the last event that touched it; `None` while its store is down.
    #[must_use]
    pub fn last_state(&self) -> Option<&ReplicaState> {
        self.replica().state.as_ref()
    }

    /// Nothing was ever told of it.
    #[must_use]
    pub(crate) fn is_new(&self) -> bool {
        let replica = self.replica();
        replica.state.is_none() && replica.written == HardState::default() && replica.visible.last() == 0
    }

    /// It is new, and its disk held these promises before it came: of one of the same region that lived there without data
    /// and left nothing but them. It takes them for its own.
    pub(crate) fn inherits(&mut self, hard: HardState) {
        let replica = &mut self.region.ledger.replicas[self.place];
        (replica.written, replica.durable) = (hard, hard);
    }

    /// It has restored so many snapshots since its store booted. Whether that is more than it said before.
    #[inline]
    pub fn has_restored(&mut self, snapshots: u64) -> bool {
        let known = &mut self.region.ledger.replicas[self.place].snapshots;
        std::mem::replace(known, snapshots) < snapshots
    }

    /// The index before the start of its log, as far as it was told.
    #[must_use]
    pub fn truncated(&self) -> u64 {
        self.replica().visible.truncated()
    }

    /// It wrote to the database that holds its log. Writes come in their order, all changes of one with
    /// the same number; `now` is the replica's state after the event.
    ///
    /// A new start of the log has the number of the first write of its event: a snapshot is durable with that
    /// one. The number is 0 where the event wrote nothing here, and then the snapshot is taken for durable.
    pub fn wrote(&mut self, seq: u64, write: DiskWrite, now: &ReplicaState) {
        self.judge(|region, place| region.wrote(place, seq, write, now));
    }

    /// What it wrote is durable up to number `seq`.
    pub fn synced(&mut self, seq: u64) {
        self.judge(|region, place| region.synced(place, seq));
    }

    /// A message leaves it.
    pub fn sent(&mut self, message: &Message) {
        self.judge(|region, place| region.sent(place, message));
    }

    /// Its state after an event, and the voters of the configuration that it has applied, as of `now.applied`. While it
    /// is `restoring` a snapshot, its log is the snapshot's and the rest of its state not yet.
    pub fn state(&mut self, now: &ReplicaState, voters: Voters<'_>, restoring: bool) {
        self.judge(|region, place| region.state(place, now, voters, restoring));
    }

    /// What it believes of its peers, which it leads. Comes after its state.
    pub fn progress(&mut self, now: &ReplicaState, peers: &[PeerProgress]) {
        self.judge(|region, place| region.progress(place, now, peers));
    }

    /// What it holds for clients. Comes after its state.
    pub fn data(&mut self, data: &DataState<'_>) {
        self.judge(|region, place| region.data(place, data));
    }

    /// It was destroyed, and is judged no more; unless a crash of its store takes that back. `commit` is what its last
    /// messages said of its commit index: a leader that applies its own removal goes in the event that commits it.
    pub fn destroyed(&mut self, commit: u64) {
        self.judge(|region, place| region.destroyed(place, commit));
        self.region.ledger.replicas[self.place].state = None;
    }

    /// Its store has stopped. `commit` is what its last messages said of its commit index, as of one that is destroyed.
    pub(crate) fn stopped(&mut self, commit: u64) {
        self.judge(|region, place| region.stopped(place, commit));
    }

    /// That it was destroyed is durable.
    pub fn gone(&mut self) {
        self.region.ledger.replicas[self.place].gone = true;
    }

    /// Its store is down, and does not say what is left of it.
    pub fn lost(&mut self) {
        self.region.ledger.replicas[self.place].lose_unsynced();
    }

    /// Its store is down. The disk holds this, and nothing unsynced.
    pub fn reset(&mut self, disk: OnDisk) {
        self.judge(|region, place| {
            region.ledger.replicas[place].reset(disk);
            Ok(())
        });
    }

    fn replica(&self) -> &Replica {
        &self.region.ledger.replicas[self.place]
    }

    #[inline]
    fn judge(&mut self, ask: impl FnOnce(&mut RegionChecks, usize) -> Objection) {
        if self.violation.is_some() {
            return;
        }
        if let Err((check, message)) = ask(self.region, self.place) {
            self.note_violation(check, message);
        }
    }

    #[cold]
    fn note_violation(&mut self, check: Check, message: String) {
        *self.violation = Some(Violation {
            check,
            time: self.site.time,
            store: Some(u64::from(self.site.node.0) + 1),
            region: Some(self.site.region),
            message,
        });
    }
}
