//! Pauses: a machine stands still while time goes on, as a process does that is stopped by a signal, or a virtual machine
//! that is moved elsewhere.
//!
//! # Promise
//! What would happen to a paused machine (messages, timers, syncs, tasks) waits, and happens when it is resumed: at the
//! time of resuming, in the order in which it was due, one event after the other and before other machines' events of
//! that moment. Its clock goes on, so it finds that time has jumped. Messages that arrived in the pause are read even if
//! their link is cut by then; those whose link was cut when they arrived are lost as always. A sync that would have
//! completed in the pause has not completed, so a crash may take what it covers.
//!
//! A crash ends a pause, and all that waited is lost with the life that it was for.

use super::{Event, Fate, Observer, World};
use crate::process::{NodeId, Process};

/// A message at a paused machine.
#[derive(Clone, Debug)]
pub(super) struct Arrived<M> {
    pub(super) from: NodeId,
    pub(super) node: NodeId,
    pub(super) incarnation: u32,
    pub(super) message: M,
}

impl<P: Process, O: Observer<P>> World<P, O> {
    /// Makes a machine stand still until [`resume`](World::resume). Does nothing where it is down or paused already.
    pub fn pause(&mut self, node: NodeId) {
        if self.is_up(node) && !self.is_paused(node) {
            self.nodes[node.0 as usize].pause = Some(Vec::new());
            self.paused += 1;
            self.begin(node, 9);
        }
    }

    /// Lets a machine go on; all that waited is due now. Does nothing where it is not paused.
    pub fn resume(&mut self, node: NodeId) {
        let Some(waiting) = self.nodes[node.0 as usize].pause.take() else { return };
        self.paused -= 1;
        self.begin(node, 10);
        // The order is known, so no tie is drawn. An order within one moment needs no more than 32 bits.
        for (place, event) in (0u32..).zip(waiting) {
            self.queue.push(self.now, place, event);
        }
    }

    /// Whether a machine is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].pause.is_some()
    }

    /// The machine went down: what waited for it is gone.
    pub(super) fn end_pause(&mut self, node: NodeId) {
        let Some(waiting) = self.nodes[node.0 as usize].pause.take() else { return };
        self.paused -= 1;
        for event in waiting {
            if let Event::Arrived(arrived) = event {
                self.observer.routed(self.now, arrived.from, node, &arrived.message, Fate::Undelivered);
            }
        }
    }

    /// Handles an event, or puts it off until its machine is resumed.
    #[cold]
    pub(super) fn unless_paused(&mut self, event: Event<P::Message>) {
        let event = match event {
            Event::Deliver { from, to, message } if self.is_paused(to) && !self.network.is_cut(from, to) => {
                let incarnation = self.nodes[to.0 as usize].incarnation;
                Event::Arrived(Box::new(Arrived { from, node: to, incarnation, message }))
            }
            event => event,
        };
        match event.of_a_machine() {
            Some(node) if let Some(waiting) = &mut self.nodes[node.0 as usize].pause => waiting.push(event),
            _ => self.handle(event),
        }
    }
}

impl<M> Event<M> {
    /// The machine that handles it; `None` for what is still the network's.
    fn of_a_machine(&self) -> Option<NodeId> {
        match self {
            Event::Timer { node, .. } | Event::Synced { node, .. } | Event::Task { node, .. } => Some(*node),
            Event::Arrived(arrived) => Some(arrived.node),
            Event::Deliver { .. } | Event::Route { .. } => None,
        }
    }
}
