//! The facts of a store that are about more than one replica: which regions it holds, and with which data.

use raftsim_kernel::{NodeId, Time};

use super::holdings::{Holdings, Noticed, Of, Tally};
use super::region::Off;
use super::{Checks, Members, Verdict, Violation};
use crate::scenario::ast::Check;
use crate::system::RegionRange;

impl Checks {
    /// Whom each replica counts for quorums, as region, replica and members; also while its store is down, but not of those
    /// that are destroyed for good.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = (u64, u64, &Members)> {
        let replicas = self.regions.iter().flat_map(|(region, checks)| {
            checks
                .ledger
                .replicas
                .iter()
                .filter(|replica| !replica.gone)
                .map(move |replica| (*region, replica))
        });
        replicas.map(|(region, replica)| (region, replica.id, &replica.members))
    }

    /// A machine that is down lost its disk: what it will hold has nothing to do with what it held. Gives the replicas that
    /// it lost; what they promised to others still counts.
    pub(crate) fn wiped(&mut self, node: NodeId) -> Vec<Of> {
        let lost = self.replicas_on(node);
        if let Some(holdings) = self.stores.get_mut(node.0 as usize) {
            *holdings = Holdings::default();
        }
        lost
    }
}

/// Takes the facts of one store. Those of an event come in the order: what became durable; data and records that were
/// written; replicas that it touched; and at last [`settle`](StoreFacts::settle).
pub struct StoreFacts<'a> {
    pub(super) holdings: &'a mut Holdings,
    pub(super) violation: &'a mut Option<Violation>,
    pub(super) off: Off,
    pub(super) time: Time,
    pub(super) node: NodeId,
}

impl StoreFacts<'_> {
    /// A replica lives here, with what it knows of its region, and so many restored snapshots since the store booted.
    #[inline]
    pub fn holds(&mut self, region: u64, replica: u64, range: &RegionRange<'_>, snapshots: u64) -> Noticed {
        let mut noticed = Noticed::default();
        let verdict = self.holdings.tell((region, replica), range, snapshots, &mut noticed);
        self.judge(region, verdict);
        noticed
    }

    /// All replicas that the event touched have been told.
    #[inline]
    pub fn settle(&mut self) {
        if let Err((region, message)) = self.holdings.settle() {
            self.judge(region, Err(message));
        }
    }

    /// Write `seq` to the database of clients' data says that the region's replica here is destroyed.
    pub fn tombstone(&mut self, seq: u64, region: u64) {
        self.holdings.note_tombstone(seq, region);
    }

    /// Write `seq` to that database holds the region as its replica knows it after the event.
    pub fn recorded(&mut self, seq: u64, region: u64) {
        self.holdings.note_region(seq, region);
    }

    /// The store has no replica of the region any more. Which one is gone, if one lived here.
    pub fn vanished(&mut self, region: u64) -> Option<u64> {
        let (replica, verdict) = self.holdings.vanish(region)?;
        self.judge(region, verdict);
        Some(replica)
    }

    /// What memory, replica and disk say of a region, compared by the system itself.
    pub fn audited(&mut self, region: u64, verdict: Result<(), String>) {
        self.judge(region, verdict);
    }

    /// Writes to that database up to `seq` are durable. Calls `gone` with region and replica of those that never come back.
    pub fn synced(&mut self, seq: u64, gone: impl FnMut(Of)) {
        self.holdings.synced(seq, gone);
    }

    /// The store is down; of that database the writes up to `kept` are left. Calls `gone` with region and replica of those
    /// that never come back, and `replaced` with those whose place an older one has again.
    pub fn crashed(&mut self, kept: u64, gone: impl FnMut(Of), replaced: impl FnMut(Of)) {
        self.holdings.crash(kept, gone, replaced);
    }

    /// Takes changes of clients' data, which are of the regions that the store held before the event.
    pub(crate) fn tally(&mut self) -> Tally<'_> {
        self.holdings.tally()
    }

    /// The data of a region was looked at as a whole.
    pub fn scanned(&mut self, region: u64, digest: u64) {
        self.holdings.set_digest(region, digest);
    }

    fn judge(&mut self, region: u64, verdict: Verdict) {
        if let Err(message) = verdict
            && self.violation.is_none()
            && !self.off.contains(Check::Regions)
        {
            *self.violation = Some(Violation {
                check: Check::Regions,
                time: self.time,
                store: Some(u64::from(self.node.0) + 1),
                region: Some(region),
                message,
            });
        }
    }
}
