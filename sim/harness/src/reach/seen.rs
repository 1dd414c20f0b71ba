//! What was last seen of stores, replicas and regions: enough to tell what is new.

use raftsim_kernel::{Duration, NodeId, Time};

use crate::check::{ReplicaState, Role};
use crate::system::ReplicaView;

/// What was last seen of a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) id: u64,
    pub(crate) state: ReplicaState,
    /// It was destroyed.
    pub(crate) gone: bool,
    pub(crate) initialized: bool,
    pub(crate) applying: bool,
    pub(crate) joint: bool,
    pub(crate) learns: bool,
    pub(crate) snapshots: u64,
    pub(crate) version: u64,
    pub(crate) conf_ver: u64,
    /// The index of the newest membership change in its log that it wrote and has not committed; 0 for none.
    pub(crate) change: u64,
}

impl Seen {
    pub(super) fn of(view: &ReplicaView<'_>) -> Seen {
        Seen {
            id: view.id,
            state: view.state,
            gone: false,
            initialized: view.range.initialized,
            applying: view.range.applying,
            joint: view.members.is_joint(),
            learns: view.members.learners.contains(&view.id),
            snapshots: view.snapshots,
            version: view.range.version,
            conf_ver: view.range.conf_ver,
            change: 0,
        }
    }

    /// Whether nothing happened since but that its log grew, and that it committed and applied.
    pub(super) fn only_went_on(&self, now: &Seen) -> bool {
        let (before, after) = (&self.state, &now.state);
        before.role == after.role
            && before.term == after.term
            && before.last <= after.last
            && before.truncated == after.truncated
            && after.last - after.commit < super::log::MANY
            && after.commit - before.commit.min(after.commit) < super::log::MANY
            && self.snapshots == now.snapshots
            && self.version == now.version
            && self.conf_ver == now.conf_ver
            && (self.applying, self.joint, self.learns) == (now.applying, now.joint, now.learns)
            && self.initialized == now.initialized
    }

    pub(super) fn leads(&self) -> bool {
        self.state.role == Role::Leader
    }
}

/// A change of a replica.
pub(crate) struct Step {
    pub(super) time: Time,
    pub(super) node: NodeId,
    pub(super) region: u64,
    /// `None` where it lives for the first time, or the first time since its store started.
    pub(super) before: Option<Seen>,
    /// The replica of this region that the store had before this one, or this one before a crash.
    pub(super) predecessor: Option<Seen>,
    pub(super) now: Seen,
}

impl Step {
    pub(super) fn takes_office(&self) -> bool {
        self.now.leads()
            && self.before.is_none_or(|before| !before.leads() || before.state.term != self.now.state.term)
    }

    /// A snapshot took the place of its log.
    pub(super) fn restored(&self) -> bool {
        self.before.is_some_and(|before| before.snapshots < self.now.snapshots)
    }

    /// A snapshot's data is there, and with it the snapshot's range and members: at once, or when it has been applied.
    pub(super) fn filled(&self) -> bool {
        !self.now.applying && (self.restored() || self.before.is_some_and(|before| before.applying))
    }
}

/// A part of a snapshot came: of this region, from this machine, at this time.
#[derive(Clone, Copy, Debug)]
struct Receiving {
    region: u64,
    from: NodeId,
    at: Time,
}

/// Parts of a snapshot that is on its way follow each other sooner than this.
const PATIENCE: Duration = Duration::secs(1);

/// What was last seen of a store.
#[derive(Clone, Debug, Default)]
pub(super) struct StoreSeen {
    /// When it started; `None` while it is down.
    pub(super) started: Option<Time>,
    /// How often it started.
    pub(super) lives: u32,
    /// A snapshot was on its way to it.
    receiving: Option<Receiving>,
    /// By their regions' ids.
    replicas: Vec<(u64, Seen)>,
}

impl StoreSeen {
    pub(super) fn replica(&self, region: u64) -> Option<Seen> {
        let place = self.replicas.binary_search_by_key(&region, |(id, _)| *id).ok()?;
        Some(self.replicas[place].1)
    }

    pub(super) fn keep(&mut self, region: u64, seen: Seen) {
        match self.replicas.binary_search_by_key(&region, |(id, _)| *id) {
            Ok(place) => self.replicas[place].1 = seen,
            Err(place) => self.replicas.insert(place, (region, seen)),
        }
    }

    pub(super) fn replica_mut(&mut self, region: u64) -> Option<&mut Seen> {
        let place = self.replicas.binary_search_by_key(&region, |(id, _)| *id).ok()?;
        Some(&mut self.replicas[place].1)
    }

    /// Its replicas that were not destroyed, with their regions.
    pub(super) fn replicas(&self) -> impl Iterator<Item = (u64, Seen)> {
        self.replicas.iter().filter(|(_, seen)| !seen.gone).copied()
    }

    /// A part of a snapshot came.
    pub(super) fn receives(&mut self, region: u64, from: NodeId, at: Time) {
        self.receiving = Some(Receiving { region, from, at });
    }

    /// A region's snapshot is whole, or not wanted.
    pub(super) fn received(&mut self, region: u64) {
        self.receiving.take_if(|receiving| receiving.region == region);
    }

    /// The region of the snapshot that is on its way to it at this time, and where it comes from.
    pub(super) fn receiving(&self, now: Time) -> Option<(u64, NodeId)> {
        let fresh = self.receiving.filter(|receiving| now.since(receiving.at) < PATIENCE);
        fresh.map(|receiving| (receiving.region, receiving.from))
    }

    /// After a crash no replica lives before its store has started again.
    pub(super) fn ends(&mut self) {
        self.started = None;
        self.receiving = None;
        for (_, seen) in &mut self.replicas {
            seen.state.role = Role::Follower;
        }
    }
}

/// What was last seen of a region as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RegionSeen {
    /// The machine of its newest leader, and which of that machine's lives it was.
    pub(super) leader: Option<(NodeId, u32)>,
    /// How many elections it had.
    pub(super) elections: u32,
    /// The machines that ever led it, as bits.
    pub(super) leaders: u64,
}
