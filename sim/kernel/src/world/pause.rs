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

impl<P: Process, O: Observer<P>> World<P, O> {
    /// Makes a machine stand still until [`resume`](World::resume). Does nothing where it is down or paused already.
    pub fn pause(&mut self, node: NodeId) {
        if self.is_up(node) && !self.is_paused(node) {
            self.nodes[node.0 as usize].paused = true;
            self.paused += 1;
            self.begin(node, 9);
        }
    }

    /// Lets a machine go on; all that waited is due now. Does nothing where it is not paused.
    pub fn resume(&mut self, node: NodeId) {
        if !self.is_paused(node) {
            return;
        }
        self.paused -= 1;
        self.begin(node, 10);
        let machine = &mut self.nodes[node.0 as usize];
        machine.paused = false;
        let incarnation = machine.incarnation;
        for _ in 0..machine.waiting.len() {
            // No tie is drawn: this comes before what else is due now.
            self.queue.push(self.now, 0, Event::Resumed { node, incarnation });
        }
    }

    /// Whether a machine is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].paused
    }

    /// The machine went down: what waited for it is gone.
    pub(super) fn end_pause(&mut self, node: NodeId) {
        let machine = &mut self.nodes[node.0 as usize];
        self.paused -= u32::from(std::mem::take(&mut machine.paused));
        for event in machine.waiting.drain(..) {
            if let Event::Deliver { from, to, message } = event {
                self.observer.routed(self.now, from, to, &message, Fate::Undelivered);
            }
        }
    }

    /// The paused machine for whose end of the pause an event waits, if it does.
    #[cold]
    pub(super) fn waits_for(&self, event: &Event<P::Message>) -> Option<NodeId> {
        let node = match event {
            Event::Route { .. } => return None,
            Event::Deliver { from, to, .. } if self.network.is_cut(*from, *to) => return None,
            Event::Deliver { to, .. } => *to,
            Event::Timer { node, .. }
            | Event::Synced { node, .. }
            | Event::Task { node, .. }
            | Event::Resumed { node, .. } => *node,
        };
        self.is_paused(node).then_some(node)
    }

    #[cold]
    pub(super) fn put_off(&mut self, node: NodeId, event: Event<P::Message>) {
        // A machine that is paused again before it was done with the last pause still has what waited.
        if !matches!(event, Event::Resumed { .. }) {
            self.nodes[node.0 as usize].waiting.push_back(event);
        }
    }

    /// Handles the first event that waited. It has met all that could have stopped it on its way.
    #[cold]
    pub(super) fn go_on(&mut self, node: NodeId, incarnation: u32) {
        if !self.lives(node, incarnation) {
            return;
        }
        match self.nodes[node.0 as usize].waiting.pop_front() {
            Some(Event::Deliver { from, to, message }) => self.receive(from, to, message),
            Some(Event::Timer { node, incarnation, token }) => self.ring(node, incarnation, token),
            Some(Event::Synced { node, incarnation, db }) => self.complete_sync(node, incarnation, db),
            Some(Event::Task { node, incarnation, token }) => self.complete_task(node, incarnation, token),
            Some(Event::Route { .. } | Event::Resumed { .. }) | None => {}
        }
    }
}
