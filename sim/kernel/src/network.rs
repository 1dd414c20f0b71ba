//! The network: what may happen to a message between two machines.
//!
//! # Promise
//! Each directed link has a model of its own. A message that is not lost arrives after a latency drawn from
//! the link's distribution, and not before an earlier message of the same link, as over one connection,
//! unless it is among the share that may overtake.
//!
//! # Faults
//! - Loss, each message by itself.
//! - Duplication: a share of the messages arrives twice, the copy after a latency of its own and in no
//!   order with the rest of its link, so that it can come long after newer messages.
//! - Reordering: a share of the messages takes no heed of what was sent earlier.
//! - Cuts of directed links, and so partitions of any shape: what is sent while a link is cut is lost,
//!   and so is what would arrive while it is cut. A link that is cut, or gets another model, forgets what
//!   it owed to order: what is sent afterwards goes over a new connection.
//! - Filters that pick single messages: see [`crate::filter`].
//!
//! Every machine that sends draws from a stream of its own. Not covered: bandwidth, queues that fill up,
//! and corruption; a message arrives whole or not at all.

use crate::filter::Filters;
use crate::latency::Latency;
use crate::process::{Message, NodeId};
use crate::random::Stream;
use crate::time::{Duration, Ppm, Time};

/// How one directed link treats messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkModel {
    /// From sending to arrival.
    pub latency: Latency,
    /// The share of messages that never arrive.
    pub loss: Ppm,
    /// The share of messages that arrive once more.
    pub duplicate: Ppm,
    /// The share of messages that may overtake earlier ones.
    pub reorder: Ppm,
}

impl Default for LinkModel {
    /// A network of one region: 1 to 10 ms, nothing lost, in order.
    fn default() -> LinkModel {
        LinkModel {
            latency: Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) },
            loss: Ppm::ZERO,
            duplicate: Ppm::ZERO,
            reorder: Ppm::ZERO,
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Link {
    /// The latest arrival so far of a message that keeps its place.
    last_arrival: Time,
    /// Index into `models`.
    model: u32,
    cut: bool,
}

impl Link {
    fn reconnect(&mut self) {
        self.last_arrival = Time::ZERO;
    }
}

/// Every machine of some groups, with the number of its group.
fn members<'a>(groups: &'a [&[NodeId]]) -> impl Iterator<Item = (usize, NodeId)> + 'a {
    groups.iter().enumerate().flat_map(|(group, nodes)| nodes.iter().map(move |node| (group, *node)))
}

/// All links of a world.
#[derive(Clone, Debug)]
pub struct Network<M> {
    nodes: usize,
    /// `links[from * nodes + to]`.
    links: Vec<Link>,
    /// Models in use; 0 is the default.
    models: Vec<LinkModel>,
    /// One a sender.
    streams: Vec<Stream>,
    pub(crate) filters: Filters<M>,
    seed: u64,
}

impl<M: Message> Network<M> {
    pub(crate) fn new(seed: u64) -> Network<M> {
        Network {
            nodes: 0,
            links: Vec::new(),
            models: vec![LinkModel::default()],
            streams: Vec::new(),
            filters: Filters::new(),
            seed,
        }
    }

    pub(crate) fn add_node(&mut self) {
        let (old, new) = (self.nodes, self.nodes + 1);
        let fresh = Link { last_arrival: Time::ZERO, model: 0, cut: false };
        let mut links = vec![fresh; new * new];
        for from in 0..old {
            links[from * new..from * new + old].copy_from_slice(&self.links[from * old..(from + 1) * old]);
        }
        self.links = links;
        self.nodes = new;
        self.streams.push(Stream::derive(self.seed, &format!("network of {old}")));
    }

    /// Sets the model of every link that has none of its own.
    pub fn set_default(&mut self, model: LinkModel) {
        self.models[0] = model;
        self.links.iter_mut().filter(|link| link.model == 0).for_each(Link::reconnect);
    }

    /// The model of one link.
    #[must_use]
    pub fn model(&self, from: NodeId, to: NodeId) -> LinkModel {
        self.models[self.link(from, to).model as usize]
    }

    /// Gives one link a model of its own.
    pub fn set_model(&mut self, from: NodeId, to: NodeId, model: LinkModel) {
        let known = self.models[1..].iter().position(|m| *m == model).map(|at| at + 1);
        let index = known.unwrap_or_else(|| {
            self.models.push(model);
            self.models.len() - 1
        });
        let link = self.link_mut(from, to);
        link.model = u32::try_from(index).expect("four billion models do not fit in memory");
        link.reconnect();
    }

    /// Every link has the default model again.
    pub fn reset_models(&mut self) {
        for link in &mut self.links {
            link.model = 0;
            link.reconnect();
        }
        self.models.truncate(1);
    }

    /// Cuts or mends one directed link.
    pub fn set_cut(&mut self, from: NodeId, to: NodeId, cut: bool) {
        let link = self.link_mut(from, to);
        if link.cut != cut {
            link.cut = cut;
            link.reconnect();
        }
    }

    /// Whether a directed link is cut.
    #[must_use]
    pub fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.link(from, to).cut
    }

    /// Mends every link.
    pub fn mend_all(&mut self) {
        for link in self.links.iter_mut().filter(|link| link.cut) {
            link.cut = false;
            link.reconnect();
        }
    }

    /// Cuts every link between machines of different groups, both ways, and mends those within one. Links
    /// of machines that are in no group stay as they are.
    pub fn partition(&mut self, groups: &[&[NodeId]]) {
        for (from_group, from) in members(groups) {
            for (to_group, to) in members(groups) {
                self.set_cut(from, to, from_group != to_group);
            }
        }
    }

    /// Cuts a machine off from these others, both ways.
    pub fn isolate(&mut self, node: NodeId, others: impl IntoIterator<Item = NodeId>) {
        for other in others.into_iter().filter(|other| *other != node) {
            self.set_cut(node, other, true);
            self.set_cut(other, node, true);
        }
    }

    /// The number of machines.
    #[must_use]
    pub fn nodes(&self) -> usize {
        self.nodes
    }

    /// Decides when a message sent now arrives; `None` where it is lost.
    #[inline]
    pub(crate) fn arrival(&mut self, now: Time, from: NodeId, to: NodeId) -> Option<Time> {
        let link = &mut self.links[from.0 as usize * self.nodes + to.0 as usize];
        if link.cut {
            return None;
        }
        let model = &self.models[link.model as usize];
        let stream = &mut self.streams[from.0 as usize];
        if stream.chance(model.loss) {
            return None;
        }
        let mut arrival = now + model.latency.draw(stream);
        if !stream.chance(model.reorder) {
            // One nanosecond apart, so that the order of arrival is decided here and not by a tie.
            arrival = arrival.max(link.last_arrival + Duration(1));
            link.last_arrival = arrival;
        }
        Some(arrival)
    }

    /// When a message that arrives on this link arrives once more; `None` where it does not.
    #[inline]
    pub(crate) fn copy_arrival(&mut self, now: Time, from: NodeId, to: NodeId) -> Option<Time> {
        let model = &self.models[self.link(from, to).model as usize];
        let stream = &mut self.streams[from.0 as usize];
        stream.chance(model.duplicate).then(|| now + model.latency.draw(stream))
    }

    fn link(&self, from: NodeId, to: NodeId) -> &Link {
        &self.links[from.0 as usize * self.nodes + to.0 as usize]
    }

    fn link_mut(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        &mut self.links[from.0 as usize * self.nodes + to.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::Kind;
    use crate::trace::TraceHasher;

    #[derive(Clone, Debug)]
    struct Nothing;
    impl Message for Nothing {
        fn kind(&self) -> Kind {
            Kind::new(0)
        }
        fn digest(&self, _: &mut TraceHasher) {}
    }

    const A: NodeId = NodeId(0);
    const B: NodeId = NodeId(1);

    fn network(model: LinkModel) -> Network<Nothing> {
        let mut network = Network::new(1);
        network.add_node();
        network.add_node();
        network.set_default(model);
        network
    }

    fn arrivals(network: &mut Network<Nothing>, n: u64) -> Vec<Option<Time>> {
        (0..n).map(|i| network.arrival(Time(i), A, B)).collect()
    }

    #[test]
    fn a_link_keeps_order_and_its_latency() {
        let seen = arrivals(&mut network(LinkModel::default()), 1_000);
        assert!(seen.is_sorted() && seen.iter().all(|t| t.is_some_and(|t| t.0 >= 1_000_000)));
    }

    #[test]
    fn reordering_lets_messages_overtake() {
        let model = LinkModel { reorder: Ppm::ALWAYS, ..LinkModel::default() };
        let seen = arrivals(&mut network(model), 1_000);
        assert!(!seen.is_sorted() && seen.iter().all(|t| t.is_some_and(|t| t.0 <= 10_001_000)));
    }

    #[test]
    fn loss_loses_its_share() {
        let model = LinkModel { loss: Ppm::percent(10), ..LinkModel::default() };
        let lost = arrivals(&mut network(model), 10_000).iter().filter(|t| t.is_none()).count();
        assert!((900..1_100).contains(&lost), "{lost} of 10,000 lost");
    }

    #[test]
    fn cuts_are_one_way_and_survive_a_new_node() {
        let mut network = network(LinkModel::default());
        network.set_cut(A, B, true);
        network.add_node();
        assert!(network.is_cut(A, B) && !network.is_cut(B, A) && !network.is_cut(A, NodeId(2)));
        assert_eq!(network.arrival(Time::ZERO, A, B), None);
        assert!(network.arrival(Time::ZERO, B, A).is_some());
        network.mend_all();
        assert!(network.arrival(Time::ZERO, A, B).is_some());
    }

    #[test]
    fn one_link_can_differ() {
        let mut network = network(LinkModel::default());
        let slow = LinkModel { latency: Latency::Constant(Duration::secs(1)), ..LinkModel::default() };
        network.set_model(A, B, slow);
        assert_eq!((network.model(A, B), network.model(B, A)), (slow, LinkModel::default()));
        assert_eq!(network.arrival(Time::ZERO, A, B), Some(Time(1_000_000_000)));
        network.reset_models();
        assert_eq!(network.model(A, B), LinkModel::default());
    }

    #[test]
    fn a_draw_on_one_sender_shifts_no_other() {
        let (mut one, mut two) = (network(LinkModel::default()), network(LinkModel::default()));
        arrivals(&mut one, 10);
        let at = Time(1_000_000_000);
        assert_eq!(one.arrival(at, B, A), two.arrival(at, B, A));
    }
}
