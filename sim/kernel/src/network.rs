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
//!   order with the rest of its link, so that it can come long after newer messages. Copies are doubled again with the
//!   same chance, up to four copies in all.
//! - Reordering: a share of the messages takes no heed of what was sent earlier.
//! - Corruption: a share of what arrives had bits flipped on its way. What the receiver gets then is for
//!   [`Message::corrupted`] to say; nothing, where a checksum sees it.
//! - Bandwidth: see [`mod@line`]. A queue that is full loses what does not fit.
//! - Cuts of directed links, and so partitions of any shape: what is sent while a link is cut is lost,
//!   and so is what would arrive while it is cut. A link that is cut, or gets another model, forgets what
//!   it owed to order and what its queue held: what is sent afterwards goes over a new connection.
//! - Clogs ([`World::set_clogged`](crate::World::set_clogged)): nothing arrives and nothing is lost. What would arrive
//!   waits, and arrives at once and in order when the link is unclogged. While a link is both, the cut decides.
//! - Filters that pick single messages: see [`crate::filter`].
//!
//! Every machine that sends draws from a stream of its own, and nothing for what is off. Not covered: links that share
//! their bandwidth (each directed link has its own line), and fragments: a message arrives whole or not at all.

mod clog;
pub mod line;

use crate::filter::Filters;
use crate::latency::Latency;
use crate::process::{Message, NodeId};
use crate::random::Stream;
use crate::time::{Duration, Ppm, Time};

use clog::Clogs;
use line::Line;

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
    /// The share of what arrives that arrives damaged.
    pub corrupt: Ppm,
    /// How many bytes ([`Message::size`]) a second the link takes; 0 is no bound, and asks no message for its size.
    pub bytes_per_second: u64,
    /// How many bytes may wait for their turn; 0 is no bound. Of no meaning without a bandwidth.
    pub queue: u64,
}

impl Default for LinkModel {
    /// A network of one region: 1 to 10 ms, nothing lost, in order.
    fn default() -> LinkModel {
        LinkModel {
            latency: Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) },
            loss: Ppm::ZERO,
            duplicate: Ppm::ZERO,
            reorder: Ppm::ZERO,
            corrupt: Ppm::ZERO,
            bytes_per_second: 0,
            queue: 0,
        }
    }
}

/// What became of messages, by the doing of links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LinkFaults {
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) overtook: u64,
    pub(crate) clogged: u64,
    pub(crate) corrupted: u64,
    pub(crate) dropped_by_queue: u64,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    /// The latest arrival so far of a message that keeps its place.
    last_arrival: Time,
    line: Line,
    /// Index into `models`.
    model: u32,
    cut: bool,
    clogged: bool,
    /// Something waits since the link was clogged: what arrives now comes after it.
    backed_up: bool,
}

impl Link {
    const FRESH: Link = Link {
        last_arrival: Time::ZERO,
        line: Line::IDLE,
        model: 0,
        cut: false,
        clogged: false,
        backed_up: false,
    };

    fn reconnect(&mut self) {
        self.last_arrival = Time::ZERO;
        self.line = Line::IDLE;
    }
}

/// How many copies of one message arrive beside itself, at most: a link may double everything.
const COPIES: usize = 4;

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
    /// Of copies beyond the first, one a sender.
    copies: Vec<Stream>,
    clogs: Clogs<M>,
    faults: LinkFaults,
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
            copies: Vec::new(),
            clogs: Clogs::default(),
            faults: LinkFaults::default(),
            filters: Filters::new(),
            seed,
        }
    }

    pub(crate) fn add_node(&mut self) {
        let (old, new) = (self.nodes, self.nodes + 1);
        let mut links = vec![Link::FRESH; new * new];
        for from in 0..old {
            links[from * new..from * new + old].copy_from_slice(&self.links[from * old..(from + 1) * old]);
        }
        self.links = links;
        self.nodes = new;
        self.streams.push(Stream::derive(self.seed, &format!("network of {old}")));
        self.copies.push(Stream::derive(self.seed, &format!("copies of {old}")));
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

    /// Mends the links between machines that are in one group, and cuts those between others of the groups, both ways. A machine
    /// in two groups is a bridge: it reaches the members of both, which do not reach each other. Links of machines that are in no
    /// group stay as they are.
    pub fn partition(&mut self, groups: &[&[NodeId]]) {
        let members = || groups.iter().copied().flatten().copied();
        for from in members() {
            for to in members() {
                let together = groups.iter().any(|group| group.contains(&from) && group.contains(&to));
                self.set_cut(from, to, !together);
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

    /// Decides when a message sent now arrives, and says whether it arrives once and as it was sent; `None` where it is lost.
    #[inline]
    pub(crate) fn arrival(
        &mut self,
        now: Time,
        from: NodeId,
        to: NodeId,
        message: &M,
    ) -> Option<(Time, bool)> {
        let link = &mut self.links[from.0 as usize * self.nodes + to.0 as usize];
        if link.cut {
            return None;
        }
        let model = &self.models[link.model as usize];
        let stream = &mut self.streams[from.0 as usize];
        let mut sent = now;
        if model.bytes_per_second != 0 {
            match link.line.send(now, model, message.size()) {
                Some(time) => sent = time,
                None => {
                    self.faults.dropped_by_queue += 1;
                    return None;
                }
            }
        }
        if stream.chance(model.loss) {
            self.faults.lost += 1;
            return None;
        }
        let mut arrival = sent + model.latency.draw(stream);
        if stream.chance(model.reorder) {
            self.faults.overtook += u64::from(arrival < link.last_arrival);
        } else {
            // One nanosecond apart, so that the order of arrival is decided here and not by a tie.
            arrival = arrival.max(link.last_arrival + Duration(1));
            link.last_arrival = arrival;
        }
        Some((arrival, model.duplicate == Ppm::ZERO && model.corrupt == Ppm::ZERO))
    }

    /// When copies of a message that arrives on this link arrive, which take none of its bandwidth.
    pub(crate) fn copy_arrivals(
        &mut self,
        now: Time,
        from: NodeId,
        to: NodeId,
    ) -> impl Iterator<Item = Time> + use<M> {
        let LinkModel { latency, duplicate, .. } = self.models[self.link(from, to).model as usize];
        let mut stream = &mut self.streams[from.0 as usize];
        let mut arrivals = [None; COPIES];
        for arrival in &mut arrivals {
            if !stream.chance(duplicate) {
                break;
            }
            self.faults.doubled += 1;
            *arrival = Some(now + latency.draw(stream));
            stream = &mut self.copies[from.0 as usize];
        }
        arrivals.into_iter().flatten()
    }

    /// Which bits of a message that arrives on this link are flipped, if any: for [`Message::corrupted`].
    pub(crate) fn corruption(&mut self, from: NodeId, to: NodeId) -> Option<u64> {
        let corrupt = self.models[self.link(from, to).model as usize].corrupt;
        let stream = &mut self.streams[from.0 as usize];
        stream.chance(corrupt).then(|| stream.bits())
    }

    pub(crate) fn faults(&self) -> LinkFaults {
        self.faults
    }

    pub(crate) fn count_corrupted(&mut self) {
        self.faults.corrupted += 1;
    }

    fn link(&self, from: NodeId, to: NodeId) -> &Link {
        &self.links[from.0 as usize * self.nodes + to.0 as usize]
    }

    fn link_mut(&mut self, from: NodeId, to: NodeId) -> &mut Link {
        &mut self.links[from.0 as usize * self.nodes + to.0 as usize]
    }
}

#[cfg(test)]
mod tests;
