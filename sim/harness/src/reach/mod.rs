//! Reach: which situations a run came into.
//!
//! A campaign that finds nothing says little until one knows what it met. Each *situation* here is one that bugs of
//! consensus hide in: a leader elected while a snapshot is being applied, a vote that a crash took back, two leaders of one
//! region. A run keeps the set of those that it met; a campaign counts the runs that met each, and complains loudly of
//! those that none did: the faults or the load that lead there are missing.
//!
//! Situations are declared in the file that notices them, a topic each. They are noticed from outside, from what the
//! watch sees of replicas, messages, disks and clients, so any [`System`](crate::system::System) reaches them alike.
//! To notice costs nothing where a replica only committed or applied some more, which is what most events are.

pub mod clients;
pub mod durability;
pub mod elections;
pub mod faults;
pub mod log;
pub mod membership;
mod messages;
pub mod regions;
mod seen;
pub mod snapshots;
#[cfg(test)]
mod tests;

use std::fmt;

use raftsim_kernel::{NodeId, Time};

use crate::check::DiskWrite;
use crate::system::{PeerMessage, ReplicaView};
use seen::{RegionSeen, StoreSeen};
pub(crate) use seen::{Seen, Step};

/// Declares the situations of a topic: constants that count on from the topic before.
macro_rules! situations {
    (from $base:expr; $($name:ident, $word:literal, $what:literal;)+) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms, reason = "they have the names of the constants that they number")]
        enum Place { $($name,)+ END }

        $(#[doc = $what] pub const $name: $crate::reach::Situation =
            $crate::reach::Situation::new($base + Place::$name as u8);)+

        /// The number after the last situation of this topic.
        pub(super) const END: u8 = $base + Place::END as u8;
        /// Word and sentence of each, in order.
        pub(super) static TABLE: &[(&str, &str)] = &[$(($word, $what),)+];
    };
}
use situations;

/// How many situations there are.
pub const COUNT: usize = clients::END as usize;

/// All topics, in the order of their numbers.
static TOPICS: [(&str, &[(&str, &str)]); 8] = [
    ("elections", elections::TABLE),
    ("log", log::TABLE),
    ("snapshots", snapshots::TABLE),
    ("membership", membership::TABLE),
    ("regions", regions::TABLE),
    ("durability", durability::TABLE),
    ("faults", faults::TABLE),
    ("clients", clients::TABLE),
];

/// A situation that runs should come into sometimes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Situation(u8);

impl Situation {
    const fn new(number: u8) -> Situation {
        assert!(number < 128, "a set has 128 bits");
        Situation(number)
    }

    /// All of them, topic by topic.
    pub fn all() -> impl Iterator<Item = Situation> {
        (0..clients::END).map(Situation)
    }

    /// The situation that a word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Situation> {
        Situation::all().find(|situation| situation.word() == word)
    }

    /// Its name, such as `elected-while-snapshot-applied`.
    #[must_use]
    pub fn word(self) -> &'static str {
        self.row().1.0
    }

    /// What happened in it, as a clause: "a leader was elected while ...".
    #[must_use]
    pub fn what(self) -> &'static str {
        self.row().1.1
    }

    /// What it is about.
    #[must_use]
    pub fn topic(self) -> &'static str {
        self.row().0
    }

    fn row(self) -> (&'static str, (&'static str, &'static str)) {
        let mut place = usize::from(self.0);
        for (topic, table) in TOPICS {
            if let Some(row) = table.get(place) {
                return (topic, *row);
            }
            place -= table.len();
        }
        unreachable!("situations are made by their tables alone")
    }
}

impl fmt::Display for Situation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A set of situations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReachSet(u128);

impl ReachSet {
    /// Adds one.
    pub fn insert(&mut self, situation: Situation) {
        self.0 |= 1 << situation.0;
    }

    /// Whether it is in the set.
    #[must_use]
    pub fn contains(&self, situation: Situation) -> bool {
        self.0 >> situation.0 & 1 == 1
    }

    /// Those in the set.
    pub fn iter(self) -> impl Iterator<Item = Situation> {
        Situation::all().filter(move |situation| self.contains(*situation))
    }

    /// How many there are in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether there is none in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub fn union(self, other: ReachSet) -> ReachSet {
        ReachSet(self.0 | other.0)
    }
}

impl FromIterator<Situation> for ReachSet {
    fn from_iter<I: IntoIterator<Item = Situation>>(situations: I) -> ReachSet {
        let mut set = ReachSet::default();
        situations.into_iter().for_each(|situation| set.insert(situation));
        set
    }
}

/// What a run has met so far, and what is needed to notice more.
#[derive(Clone, Debug)]
pub struct Reach {
    set: ReachSet,
    stores: Vec<StoreSeen>,
    /// By their ids.
    regions: Vec<(u64, RegionSeen)>,
    /// The last call of each client.
    calls: Vec<Option<clients::Call>>,
}

impl Reach {
    /// Nothing was met yet by so many stores and clients.
    #[must_use]
    pub fn new(stores: usize, clients: usize) -> Reach {
        let (stores, calls) = (vec![StoreSeen::default(); stores], vec![None; clients]);
        Reach { set: ReachSet::default(), stores, regions: Vec::new(), calls }
    }

    /// What was met.
    #[must_use]
    pub fn set(&self) -> ReachSet {
        self.set
    }

    /// It happened.
    pub fn met(&mut self, situation: Situation) {
        self.set.insert(situation);
    }

    /// It happened, if that is so.
    pub(crate) fn met_if(&mut self, is_so: bool, situation: Situation) {
        if is_so {
            self.set.insert(situation);
        }
    }

    /// A replica is not what it was, or lives for the first time.
    pub(crate) fn replica(&mut self, time: Time, node: NodeId, view: &ReplicaView<'_>) {
        let mut now = Seen::of(view);
        let store = &mut self.stores[node.0 as usize];
        let known = store.replica(view.region);
        let before = known.filter(|before| before.id == now.id && !before.gone);
        now.change = before.map_or(0, |before| before.change);
        store.keep(view.region, now);
        // Most events only move these.
        if before.is_some_and(|before| before.only_went_on(&now)) {
            return;
        }
        let predecessor = known.filter(|_| before.is_none());
        let step = Step { time, node, region: view.region, before, predecessor, now };
        regions::replica(self, &step);
        elections::replica(self, &step);
        log::replica(self, &step);
        snapshots::replica(self, &step);
        membership::replica(self, &step, view);
    }

    /// A replica wrote to its log, before it is what the write leads to.
    #[inline]
    pub(crate) fn wrote(&mut self, node: NodeId, region: u64, write: &DiskWrite) {
        match write {
            DiskWrite::Entry(entry) => log::entry(self, node, region, entry),
            DiskWrite::Remove(index) => log::removed(self, node, region, *index),
            DiskWrite::Hard(_) | DiskWrite::Start { .. } => {}
        }
    }

    /// A message of another store is about to be handled.
    #[inline]
    pub(crate) fn received<M: PeerMessage>(&mut self, time: Time, node: NodeId, from: NodeId, message: &M) {
        messages::received(self, time, (node, from), message);
    }

    /// A replica is gone for good.
    pub(crate) fn destroyed(&mut self, node: NodeId, region: u64) {
        membership::destroyed(self, node, region);
    }

    /// What another store has of a region.
    fn others(&self, step: &Step) -> impl Iterator<Item = (usize, Seen)> {
        let (node, region) = (step.node.0 as usize, step.region);
        let others = self.stores.iter().enumerate().filter(move |(place, _)| *place != node);
        others
            .filter_map(move |(place, store)| Some((place, store.replica(region).filter(|seen| !seen.gone)?)))
    }

    fn region(&mut self, region: u64) -> &mut RegionSeen {
        let place = self.regions.binary_search_by_key(&region, |(id, _)| *id).unwrap_or_else(|place| {
            self.regions.insert(place, (region, RegionSeen::default()));
            place
        });
        &mut self.regions[place].1
    }
}
