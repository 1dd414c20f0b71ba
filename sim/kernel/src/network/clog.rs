//! What waits on links that are clogged.

use std::collections::{BTreeMap, VecDeque};

use super::Network;
use crate::process::{Message, NodeId};

/// A message that would have arrived, and the bits of it that were flipped on its way, if any were.
pub(crate) type Late<M> = (M, Option<u64>);

/// What waits, by sender and receiver; links where nothing waits do not stand here.
#[derive(Clone, Debug)]
pub(super) struct Clogs<M>(BTreeMap<(NodeId, NodeId), VecDeque<Late<M>>>);

impl<M> Default for Clogs<M> {
    fn default() -> Clogs<M> {
        Clogs(BTreeMap::new())
    }
}

impl<M: Message> Network<M> {
    /// Whether a directed link is clogged.
    #[must_use]
    pub fn is_clogged(&self, from: NodeId, to: NodeId) -> bool {
        self.link(from, to).clogged
    }

    /// How many messages wait on clogged links.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.clogs.0.values().map(VecDeque::len).sum()
    }

    /// Returns whether something waits that can arrive now.
    pub(crate) fn set_clogged(&mut self, from: NodeId, to: NodeId, clogged: bool) -> bool {
        let link = self.link_mut(from, to);
        let opens = link.clogged && !clogged;
        link.clogged = clogged;
        opens && link.backed_up
    }

    /// Every link that is clogged.
    pub(crate) fn clogged(&self) -> Vec<(NodeId, NodeId)> {
        let nodes = || (0u32..).map(NodeId).take(self.nodes);
        let links = nodes().flat_map(|from| nodes().map(move |to| (from, to)));
        links.filter(|(from, to)| self.is_clogged(*from, *to)).collect()
    }

    /// Whether what arrives on a link cannot simply be delivered: the link is cut or clogged, or others wait.
    #[inline]
    pub(crate) fn is_obstructed(&self, from: NodeId, to: NodeId) -> bool {
        let link = self.link(from, to);
        link.cut | link.clogged | link.backed_up
    }

    /// A message has to wait.
    pub(crate) fn keep_back(&mut self, from: NodeId, to: NodeId, late: Late<M>) {
        self.faults.clogged += 1;
        self.link_mut(from, to).backed_up = true;
        self.clogs.0.entry((from, to)).or_default().push_back(late);
    }

    /// The first message that waits on a link, and whether another one does.
    pub(crate) fn let_through(&mut self, from: NodeId, to: NodeId) -> Option<(Late<M>, bool)> {
        let waiting = self.clogs.0.get_mut(&(from, to))?;
        let first = waiting.pop_front();
        let more = !waiting.is_empty();
        if !more {
            self.clogs.0.remove(&(from, to));
            self.link_mut(from, to).backed_up = false;
        }
        first.map(|first| (first, more))
    }
}
