//! The ending `freeze`: a core of stores becomes healthy, and the rest of the world stays as broken as it is.
//!
//! Healing everything shows that a cluster recovers; it does not show that it can do without the stores that are gone.
//! A leader that waits for a dead follower, a log that is kept for one, or a vote that only an outsider can break are
//! found only where faults never end. (VOPR, TigerBeetle's simulator, calls this the liveness mode; FoundationDB waits
//! for a quiet database with machines still dead.)
//!
//! The core holds a voter majority of every region (`run/core.rs`). In it are all clients and the placement driver too.
//! Its machines run, with healthy disks and clocks, and whatever they send each other arrives. All else stays: dead
//! stores stay dead, cut links cut, one way or both, and filters go on picking what passes between the core and the
//! outside. Who is outside may go on talking into the core; so what is asked of the core holds against old messages,
//! old leaders and candidates that hear nobody.
//!
//! # What the core must do
//! 1. Come to rest by itself, as a healed cluster does (`run/rest.rs`), but that only replicas in the core count; with
//!    snapshots among them finished and logs trimmed. A leader outside that the core follows is as good as one inside.
//! 2. Then commit a write to each region, which clients of the core ask for.
//! 3. And come to rest again, with equal replicas.
//!
//! Each within [`Run::freeze_bound`], which starts anew with whatever is finished. A core that is late goes to the
//! triage (`run/triage.rs`), which looks at everything and tells whether it may be.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use raftsim_kernel::{Duration, LinkModel, NodeId};

use super::{Phase, Run};
use crate::client::{ClientInput, Job};
use crate::history::Request;
use crate::node::{NodeInput, node_of};
use crate::report::Finding;
use crate::scenario::RaftstoreConfig;
use crate::scenario::ast;
use crate::system::{RegionRange, System};

/// What a freeze has made of a run.
#[derive(Clone, Debug)]
pub(super) struct Frozen {
    /// The stores of the core.
    pub(super) core: BTreeSet<u64>,
    /// Whether a write to each region has been asked for.
    wrote: bool,
    /// The highest term in the core of each region when the freeze began.
    terms: BTreeMap<u64, u64>,
}

impl Frozen {
    /// The term that a region had when the freeze began.
    pub(super) fn term(&self, region: u64) -> u64 {
        self.terms.get(&region).copied().unwrap_or(0)
    }
}

impl<S: System> Run<S> {
    /// Whether a store counts for the ending: all do, unless there is a core.
    pub(super) fn counts(&self, store: u64) -> bool {
        self.frozen.as_ref().is_none_or(|frozen| frozen.core.contains(&store))
    }

    /// The steps are over, and a core becomes healthy.
    pub(super) fn begin_freeze(&mut self) {
        let core = self.choose_core();
        let list: Vec<String> = core.iter().map(u64::to_string).collect();
        self.note(format!("stores {} become a healthy core", list.join(", ")));
        self.mend_inside(&core);
        self.end_loads();
        for store in &core {
            self.make_healthy(*store);
        }
        self.quiet_placement();
        self.frozen = Some(Frozen { core, wrote: false, terms: BTreeMap::new() });
        let regions = self.regions();
        let term = |region: u64| self.states(region).map(|(_, state)| state.term).max().unwrap_or(0);
        let terms = regions.into_iter().map(|region| (region, term(region))).collect();
        if let Some(frozen) = &mut self.frozen {
            frozen.terms = terms;
        }
        self.await_rest();
    }

    /// Every link between two machines of the core is as good as it can be.
    fn mend_inside(&mut self, core: &BTreeSet<u64>) {
        let stores = core.iter().map(|store| node_of(*store));
        let inside: Vec<NodeId> = stores.chain(self.client_nodes()).chain(self.placement_node()).collect();
        let healthy = LinkModel { latency: self.healthy_network().latency, ..LinkModel::default() };
        for from in &inside {
            for to in inside.iter().filter(|to| *to != from) {
                self.world.network_mut().set_cut(*from, *to, false);
                self.world.set_clogged(*from, *to, false);
                self.world.network_mut().set_model(*from, *to, healthy);
            }
        }
        self.world.exempt(&inside);
    }

    /// How long a core may take to come to rest: as long as a healed cluster, and what those outside cost besides. A
    /// client finds out of each of them by asking in vain, anew for each region. A sender of snapshots is busy with one to an
    /// outsider until that is given up. Logs are looked at every so often, and only what is durable in the data may go.
    pub(super) fn freeze_bound(&self) -> Duration {
        let scenario = &self.scenario;
        let bound =
            self.recovery_bound() + crate::client::patience(&scenario.client) * (4 * scenario.cluster.stores);
        if S::DATA_DB.is_none() {
            return bound;
        }
        let (core, outside): (Vec<u64>, Vec<u64>) =
            (1..=scenario.cluster.stores).partition(|store| self.counts(*store));
        let knobs: Vec<RaftstoreConfig> = core.iter().map(|store| self.knobs(*store).1).collect();
        let longest = |of: fn(&RaftstoreConfig) -> Duration| knobs.iter().map(of).max().unwrap_or_default();
        let sent = knobs.iter().map(|knobs| knobs.max_snapshots_sent).min().unwrap_or(1);
        let sends = outside.len() as u64 * self.regions().len() as u64 / u64::from(sent.max(1)) + 1;
        let looks = longest(|knobs| knobs.log_gc_interval) + longest(|knobs| knobs.kv_sync_interval);
        bound + longest(|knobs| knobs.snapshot_timeout) * sends + looks * 3
    }

    /// What a core has finished: jobs of clients, and snapshots that it applied.
    pub(super) fn finished_in_core(&self) -> u64 {
        let snapshots = self.systems().flat_map(|(_, system)| system.replicas()).map(|view| view.snapshots);
        self.jobs_done() + snapshots.sum::<u64>()
    }

    /// All is at rest: a healed cluster is judged. A core must commit first, and come to rest again.
    pub(super) fn at_rest(&mut self) -> Result<(), Finding> {
        let Some(frozen) = self.frozen.as_mut().filter(|frozen| !frozen.wrote) else {
            return self.closing_checks();
        };
        frozen.wrote = true;
        let node = self.client_node(0);
        for (region, key) in self.a_key_of_each_region() {
            let request = Request::Put { key, value: format!("region {region} in the core").into() };
            self.world.input(node, NodeInput::Client(ClientInput::Submit(Job { request, via: None })));
        }
        self.await_rest();
        Ok(())
    }

    fn a_key_of_each_region(&self) -> Vec<(u64, Bytes)> {
        let newest = self.regions().into_iter().filter_map(|region| self.newest(region));
        newest.filter_map(|view| Some((view.region, a_key(&view.range)?))).collect()
    }

    /// What must come to rest did not in time. If that must not be, a finding; otherwise it stays so, and what clients were
    /// told is judged all the same.
    pub(super) fn stands_still(&mut self) -> Result<(), Finding> {
        match self.triage() {
            Ok(stall) => {
                self.note(format!("no rest, which is permitted: {stall}"));
                self.stalled = Some(stall);
                self.check_history()
            }
            Err((region, why)) => {
                let message = format!("{}: {why}", self.disappointment());
                Err(Finding { region, ..self.finding(ast::Check::Liveness, message) })
            }
        }
    }

    fn disappointment(&self) -> &'static str {
        match &self.frozen {
            None => "the cluster did not recover after all faults ended",
            Some(frozen) if frozen.wrote => "the healthy core did not commit a write to each region",
            Some(_) => "the healthy core did not recover by itself",
        }
    }

    /// Whether only a core became healthy.
    pub(super) fn is_frozen(&self) -> bool {
        self.frozen.is_some()
    }

    /// Waits for rest from now on.
    pub(super) fn await_rest(&mut self) {
        self.looked = None;
        self.obstacle = None;
        let deadline = self.world.now() + self.rest_bound();
        self.phase = Phase::Healing { deadline, done: self.finished() };
    }

    /// How long the ending may take without finishing anything.
    pub(super) fn rest_bound(&self) -> Duration {
        if self.frozen.is_some() { self.freeze_bound() } else { self.recovery_bound() }
    }

    /// What has been finished since the run began: the clock of an ending is for what gets nowhere.
    pub(super) fn finished(&self) -> u64 {
        if self.frozen.is_some() { self.finished_in_core() } else { self.jobs_done() }
    }
}

/// A key that a region holds: its first, or one near it where that is the empty key.
fn a_key(range: &RegionRange<'_>) -> Option<Bytes> {
    let keys = [range.start, b"core", b"!", b"\0"].into_iter();
    let key = keys.filter(|key| !key.is_empty()).find(|key| range.contains(key));
    key.map(Bytes::copy_from_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(start: &'static str, end: &'static str) -> Option<Bytes> {
        a_key(&RegionRange { start: start.as_bytes(), end: end.as_bytes(), ..RegionRange::whole() })
    }

    #[test]
    fn a_key_is_in_its_region() {
        assert_eq!(key("", ""), Some(Bytes::from_static(b"core")));
        assert_eq!(key("", "b"), Some(Bytes::from_static(b"!")));
        assert_eq!(key("k5", "k7"), Some(Bytes::from_static(b"k5")));
        assert_eq!(key("", "\0"), None);
    }
}
