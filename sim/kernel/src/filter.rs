//! Filters pick single messages: "drop the first 3 appends from 1 to 3", "hold snapshots to 2 until told".
//!
//! A filter is data, never a closure, so that a world with filters is still a value. The first filter that
//! matches a message and has not used up its count decides; the network's own faults come after it. A message
//! that a filter delayed or held meets no further filter when it goes on.

use crate::process::{Kind, Message, NodeId};
use crate::time::Duration;

/// Names a filter of one world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilterId(pub u32);

/// What happens to a message that a filter picks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterAction {
    /// It is lost.
    Drop,
    /// It is sent on only after this span.
    Delay(Duration),
    /// It waits until the filter is released or removed.
    Hold,
    /// It is sent, and this many times more.
    Duplicate(u32),
}

/// Which messages are picked, and what happens to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What happens.
    pub action: FilterAction,
    /// Kinds of message, one bit for each [`Kind`].
    pub kinds: u64,
    /// Senders; empty for any.
    pub from: Vec<NodeId>,
    /// Receivers; empty for any.
    pub to: Vec<NodeId>,
    /// The group that a message is about ([`Message::group`]); `None` for any.
    pub group: Option<u64>,
    /// This many matching messages pass before it acts.
    pub skip: u64,
    /// It acts on this many messages; `None` for all.
    pub count: Option<u64>,
}

impl Filter {
    /// A filter that picks every message.
    #[must_use]
    pub fn all(action: FilterAction) -> Filter {
        let (from, to) = (Vec::new(), Vec::new());
        Filter { action, kinds: u64::MAX, from, to, group: None, skip: 0, count: None }
    }

    fn matches(&self, from: NodeId, to: NodeId, kind: Kind, message: &impl Message) -> bool {
        self.kinds & kind.bit() != 0
            && (self.from.is_empty() || self.from.contains(&from))
            && (self.to.is_empty() || self.to.contains(&to))
            && self.group.is_none_or(|group| group == message.group())
    }
}

#[derive(Clone, Debug)]
struct Active<M> {
    id: FilterId,
    filter: Filter,
    /// How many messages matched.
    matched: u64,
    held: Vec<(NodeId, NodeId, M)>,
}

/// The filters of a network, in the order in which they were put up.
#[derive(Clone, Debug)]
pub(crate) struct Filters<M> {
    active: Vec<Active<M>>,
    /// How often each filter has acted, also after it was removed.
    acted: Vec<u64>,
    /// What passes between these machines is picked by none.
    exempt: Vec<NodeId>,
}

/// What the filters decided of a message.
pub(crate) enum Picked<'a, M> {
    Pass(M),
    Dropped(M),
    Delayed(M, Duration),
    Held(Option<&'a M>),
    Copies(M, u32),
}

impl<M: Message> Filters<M> {
    pub(crate) fn new() -> Filters<M> {
        Filters { active: Vec::new(), acted: Vec::new(), exempt: Vec::new() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    pub(crate) fn add(&mut self, filter: Filter) -> FilterId {
        let id = FilterId(u32::try_from(self.acted.len()).unwrap_or(u32::MAX));
        self.acted.push(0);
        self.active.push(Active { id, filter, matched: 0, held: Vec::new() });
        id
    }

    /// Removes one filter, or all. Returns the messages that were held.
    pub(crate) fn remove(&mut self, id: Option<FilterId>) -> Vec<(NodeId, NodeId, M)> {
        let mut held = Vec::new();
        self.active.retain_mut(|active| {
            let goes = id.is_none_or(|id| id == active.id);
            if goes {
                held.append(&mut active.held);
            }
            !goes
        });
        held
    }

    /// No filter picks any more what these machines send each other. Returns the messages of that kind that were held.
    pub(crate) fn exempt(&mut self, nodes: &[NodeId]) -> Vec<(NodeId, NodeId, M)> {
        self.exempt = nodes.to_vec();
        let inside = |from: &NodeId, to: &NodeId| nodes.contains(from) && nodes.contains(to);
        let held =
            self.active.iter_mut().flat_map(|a| a.held.extract_if(.., |(from, to, _)| inside(from, to)));
        held.collect()
    }

    pub(crate) fn acted(&self, id: FilterId) -> u64 {
        self.acted.get(id.0 as usize).copied().unwrap_or(0)
    }

    pub(crate) fn pick(&mut self, from: NodeId, to: NodeId, message: M) -> Picked<'_, M> {
        if self.exempt.contains(&from) && self.exempt.contains(&to) {
            return Picked::Pass(message);
        }
        let kind = message.kind();
        for active in &mut self.active {
            if !active.filter.matches(from, to, kind, &message) {
                continue;
            }
            active.matched += 1;
            let used = self.acted[active.id.0 as usize];
            if active.matched <= active.filter.skip || active.filter.count.is_some_and(|count| used >= count)
            {
                continue;
            }
            self.acted[active.id.0 as usize] += 1;
            return match active.filter.action {
                FilterAction::Drop => Picked::Dropped(message),
                FilterAction::Delay(span) => Picked::Delayed(message, span),
                FilterAction::Duplicate(times) => Picked::Copies(message, times),
                FilterAction::Hold => {
                    active.held.push((from, to, message));
                    Picked::Held(active.held.last().map(|(.., message)| message))
                }
            };
        }
        Picked::Pass(message)
    }
}
