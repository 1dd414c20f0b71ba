//! What no field of the configuration can see by itself: how they fit each other, and the cluster.

use super::ast::{
    Bytes, ClocksConfig, ClusterConfig, Ending, NetworkChange, NetworkConfig, Overrides, PlacementConfig,
    PlacementMode, RaftConfig, RaftOverrides, RaftstoreConfig, RaftstoreOverrides, ReadIndexMode, Scenario,
};
use super::config::Section;
use super::diagnostic::Diagnostic;
use super::grammar::Shape;
use super::reader::{Node, Place, Read, Reader, found};
use raftsim_kernel::Ppm;
use toml::de::{DeTable, DeValue};

/// The value of a field, where the file gives it.
fn given<'t, 's, S: Section>(file: &'t DeTable<'s>, key: &str) -> Option<&'t Node<'s>> {
    match file.get(S::KEY).map(Node::get_ref) {
        Some(DeValue::Table(section)) => section.get(key),
        _ => None,
    }
}

/// The members of the group at the start: stores that exist, each once, and one that votes.
pub(super) fn members(reader: &mut Reader, file: &DeTable<'_>, cluster: &ClusterConfig) {
    let mut seen = Vec::new();
    for key in ["voters", "learners"] {
        let Some(node) = given::<ClusterConfig>(file, key) else { continue };
        let list = Place { key, node, shape: Shape::StoreNumbers };
        for element in reader.elements(list, Shape::StoreNumber).unwrap_or_default() {
            let Ok(store) = reader.store_number(element) else { continue };
            match seen.iter().find(|(_, other)| *other == store) {
                None => seen.push((key, store)),
                Some((before, _)) if *before == key => {
                    reader.invalid(element, format!("expected each store once, found {store} again"));
                }
                Some(_) => {
                    let message = format!("store {store} is a voter and a learner");
                    let label = format!("it stands in `voters` too; expected {store} in one of the two only");
                    reader.report(Diagnostic::new(element.node.span(), message, label));
                }
            }
        }
    }
    if !cluster.initial_voters().is_empty() {
        return;
    }
    let (key, why) = match cluster.voters {
        Some(_) => ("voters", "found an empty array"),
        None => ("learners", "every store is a learner"),
    };
    if let Some(node) = given::<ClusterConfig>(file, key) {
        let label = format!("expected at least one store that votes; {why}");
        reader.invalid(Place { key, node, shape: Shape::StoreNumbers }, label);
    }
}

/// The knobs of consensus: a leader is heard from before it is given up, a lease is shorter than that, and each
/// store has a priority or none.
pub(super) fn raft(reader: &mut Reader, file: &DeTable<'_>, raft: &RaftConfig) {
    heartbeats(reader, file, raft);
    if raft.read_index == ReadIndexMode::Lease {
        lease(reader, file, raft);
    }
    let priorities = raft.priorities.len();
    if let (Some(stores), Some(node)) = (reader.stores, given::<RaftConfig>(file, "priorities"))
        && priorities > 0
        && priorities as u64 != stores
    {
        let place = Place { key: "priorities", node, shape: Shape::Integers };
        let label = format!("expected {stores} integers, one for each store, found {priorities}");
        reader.invalid(place, label);
    }
}

fn heartbeats(reader: &mut Reader, file: &DeTable<'_>, raft: &RaftConfig) {
    let (heartbeat, election) = (raft.heartbeat_ticks, raft.election_ticks);
    let either = ["heartbeat-ticks", "election-ticks"].iter().find_map(|key| given::<RaftConfig>(file, key));
    if let (true, Some(node)) = (heartbeat >= election, either) {
        let label = format!("heartbeat-ticks is {heartbeat}, election-ticks is {election}");
        let message = "`heartbeat-ticks` must be less than `election-ticks`";
        reader.report(Diagnostic::new(node.span(), message, label));
    }
}

/// A lease rests on voters that elect nobody else while they hear from the leader, for less than the time that
/// they do so.
fn lease(reader: &mut Reader, file: &DeTable<'_>, raft: &RaftConfig) {
    let wanted = given::<RaftConfig>(file, "read-index");
    if let (false, Some(node)) = (raft.check_quorum, wanted) {
        let message = "`read-index = \"lease\"` needs `check-quorum = true`";
        let label = match given::<RaftConfig>(file, "check-quorum") {
            Some(node) => format!("check-quorum is {}", found(node.get_ref())),
            None => "expected `check-quorum = true` in the table `raft` of the file".to_owned(),
        };
        let help = "without it voters elect another leader while the lease of the old one lasts";
        reader.report(Diagnostic::new(node.span(), message, label).help(help));
    }
    let least = u64::from(raft.lease_margin) + u64::from(RaftConfig::LEASE_OVERHEAD);
    let keys = ["lease-margin", "election-ticks", "read-index"];
    let place = keys.iter().find_map(|key| given::<RaftConfig>(file, key));
    if let (true, Some(node)) = (least > u64::from(raft.election_ticks), place) {
        let (margin, election) = (raft.lease_margin, raft.election_ticks);
        let label = format!("lease-margin is {margin}, election-ticks is {election}");
        let help = format!("election-ticks must be at least lease-margin + {}", RaftConfig::LEASE_OVERHEAD);
        let message = "no time is left for a lease";
        reader.report(Diagnostic::new(node.span(), message, label).help(help));
    }
}

/// The knobs of the store: what is split off is smaller than what is split.
pub(super) fn raftstore(reader: &mut Reader, file: &DeTable<'_>, raftstore: &RaftstoreConfig) {
    let (split, most) = (raftstore.region_split_size, raftstore.region_max_size);
    let keys = ["region-split-size", "region-max-size"];
    let either = keys.iter().find_map(|key| given::<RaftstoreConfig>(file, key));
    if let (true, Some(node)) = (split >= most, either) {
        let label = format!("region-split-size is {split}, region-max-size is {most}");
        let message = "`region-split-size` must be less than `region-max-size`";
        reader.report(Diagnostic::new(node.span(), message, label));
    }
}

/// The placement driver: no more replicas than there are stores for them, and churn where there is any.
pub(super) fn placement(reader: &mut Reader, file: &DeTable<'_>, placement: &PlacementConfig) {
    let wanted = placement.replicas;
    if let (Some(stores), Some(node)) = (reader.stores, given::<PlacementConfig>(file, "replicas"))
        && wanted > stores
    {
        let message = format!("there are no {wanted} stores for {wanted} replicas");
        let label = match stores {
            1 => "the cluster has one store".to_owned(),
            _ => format!("the cluster has {stores} stores"),
        };
        reader.report(Diagnostic::new(node.span(), message, label));
    }
    if let (true, Some(node)) =
        (placement.mode != PlacementMode::Churn, given::<PlacementConfig>(file, "churn"))
    {
        let message = "`churn` needs `mode = \"churn\"`";
        let label = match given::<PlacementConfig>(file, "mode") {
            Some(_) => format!("mode is \"{}\"", placement.mode),
            None => format!("mode is \"{}\", as by default", placement.mode),
        };
        reader.report(Diagnostic::new(node.span(), message, label));
    }
}

/// The core of the ending `freeze`: stores that exist, each once, and most of those that vote for the first region.
pub(super) fn core(reader: &mut Reader, file: &DeTable<'_>, core: &[u64], scenario: &Scenario) {
    let Some((key, node)) = file.get_key_value("core") else { return };
    if scenario.ending != Ending::Freeze {
        let label = format!("the ending is \"{}\"", scenario.ending);
        let message = "`core` needs `ending = \"freeze\"`";
        reader.report(Diagnostic::new(key.span(), message, label));
        return;
    }
    // While the cluster is not understood, any store may exist and vote.
    if reader.stores.is_none() {
        return;
    }
    let list = Place { key: "core", node, shape: Shape::StoreNumbers };
    let errors = reader.errors();
    for (at, element) in reader.elements(list, Shape::StoreNumber).unwrap_or_default().into_iter().enumerate()
    {
        let Ok(store) = reader.store_number(element) else { continue };
        if core[..at].contains(&store) {
            reader.invalid(element, format!("expected each store once, found {store} again"));
        }
    }
    let voters = scenario.cluster.initial_voters();
    let inside = voters.iter().filter(|voter| core.contains(voter)).count();
    if reader.errors() == errors && 2 * inside <= voters.len() {
        let label = format!("expected a majority of the {} stores that vote, found {inside}", voters.len());
        let help = "without one the core cannot elect a leader, and nobody outside it is helped";
        reader.report(Diagnostic::new(node.span(), "the core is no majority", label).help(help));
    }
}

/// The links: what waits is bounded only where something has to wait.
pub(super) fn network(reader: &mut Reader, file: &DeTable<'_>, network: &NetworkConfig) {
    reader.bandwidth = network.bandwidth != Bytes::UNBOUNDED;
    if let (false, true, Some(node)) =
        (reader.bandwidth, network.queue != Bytes::UNBOUNDED, given::<NetworkConfig>(file, "queue"))
    {
        no_bandwidth(reader, node);
    }
}

/// The same for the step `network`, which may leave the bandwidth as it is.
pub(super) fn links(reader: &mut Reader, fields: &DeTable<'_>, change: &NetworkChange) -> Read<()> {
    reader.bandwidth |= change.bandwidth.is_some_and(|bandwidth| bandwidth != Bytes::UNBOUNDED);
    let bounded = change.bandwidth.map_or(reader.bandwidth, |bandwidth| bandwidth != Bytes::UNBOUNDED);
    match fields.get("queue") {
        Some(node) if !bounded && change.queue != Some(Bytes::UNBOUNDED) => Err(no_bandwidth(reader, node)),
        _ => Ok(()),
    }
}

fn no_bandwidth(reader: &mut Reader, node: &Node<'_>) -> super::reader::Reported {
    let message = "`queue` needs `bandwidth`";
    let label = "the links are unbounded, so that nothing waits";
    let help = "write `bandwidth = \"1MiB\"` beside it, the bytes that pass in a second";
    reader.report(Diagnostic::new(node.span(), message, label).help(help))
}

/// The clocks: none stands still.
pub(super) fn clocks(reader: &mut Reader, file: &DeTable<'_>, clocks: &ClocksConfig) {
    if let (true, Some(node)) = (clocks.drift == Ppm::ALWAYS, given::<ClocksConfig>(file, "drift")) {
        let place = Place { key: "drift", node, shape: Shape::Share };
        reader.invalid(place, "expected less than 100%: a clock that is so slow stands still");
    }
}

/// What stores have differently, taken together: whichever of it one store comes to have, it must fit.
#[derive(Clone, Debug)]
pub(super) struct Knobs {
    /// The knobs of the file, but for the following: whether any store has a lease, the longest margin, the longest
    /// time between heartbeats.
    raft: RaftConfig,
    /// The same: the greatest size to split off, the smallest to split.
    raftstore: RaftstoreConfig,
}

impl Knobs {
    pub(super) fn new(raft: &RaftConfig, raftstore: &RaftstoreConfig) -> Knobs {
        Knobs { raft: raft.clone(), raftstore: raftstore.clone() }
    }

    /// With what a step changes on top, for some store that the steps before may have changed.
    fn with(&self, change: &Overrides) -> Knobs {
        let (mut raft, mut raftstore) = (self.raft.clone(), self.raftstore.clone());
        change.apply(&mut raft, &mut raftstore);
        raft.heartbeat_ticks = raft.heartbeat_ticks.max(self.raft.heartbeat_ticks);
        raft.lease_margin = raft.lease_margin.max(self.raft.lease_margin);
        if self.raft.read_index == ReadIndexMode::Lease {
            raft.read_index = ReadIndexMode::Lease;
        }
        raftstore.region_split_size = raftstore.region_split_size.max(self.raftstore.region_split_size);
        raftstore.region_max_size = raftstore.region_max_size.min(self.raftstore.region_max_size);
        Knobs { raft, raftstore }
    }
}

/// The knobs that a `restart` changes: the same that holds for those of the file.
pub(super) fn overrides(reader: &mut Reader, step: &DeTable<'_>, change: &Overrides) {
    let Some(knobs) = reader.knobs.as_ref().map(|knobs| knobs.with(change)) else { return };
    let errors = reader.errors();
    if change.raft != RaftOverrides::default() {
        raft(reader, step, &knobs.raft);
    }
    if change.raftstore != RaftstoreOverrides::default() {
        raftstore(reader, step, &knobs.raftstore);
    }
    // After an error, what comes next is not held against it.
    if reader.errors() == errors {
        reader.knobs = Some(knobs);
    }
}
