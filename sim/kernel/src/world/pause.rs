//! Machines that stand still for a while: paused by somebody, or busy with what they did last.
//!
//! # Promise
//! A *paused* machine stands still until it is resumed, as a process does that is stopped by a signal, or a virtual machine
//! that is moved elsewhere. A machine is *busy* after an event while it is slow ([`World::set_slowness`]) or its disk takes
//! time to read and write: what the event led to leaves at once, and only the machine's next event has to wait.
//!
//! What would happen to a machine that stands still (messages, timers, syncs, tasks) waits, and happens when it goes on, in
//! the order in which it was due, one event after the other and before other machines' events of that moment; where each of
//! them makes it busy again, one at the end of each span. Its clock goes on, so it finds that time has jumped. Messages
//! that arrived meanwhile are read even if their link is cut by then; those whose link was cut when they arrived are lost as
//! always. A sync that would have completed meanwhile has not completed, so a crash may take what it covers. Somebody outside
//! cannot talk to a paused machine ([`World::input`]), but a busy one listens at once, and is busy for longer.
//!
//! A crash ends all this, and what waited is lost with the life that it was for.

use super::{Event, Fate, Node, Observer, World};
use crate::latency::Latency;
use crate::process::{NodeId, Process};
use crate::time::Duration;

impl<P: Process> Node<P> {
    /// Its slowness or its disk has changed.
    pub(super) fn set_occupied(&mut self) {
        self.occupied = self.slowness != Latency::ZERO || self.disk.occupies();
    }
}

impl<P: Process, O: Observer<P>> World<P, O> {
    /// Makes a machine stand still until [`resume`](World::resume). Does nothing where it is down or paused already.
    pub fn pause(&mut self, node: NodeId) {
        if self.is_up(node) && !self.is_paused(node) {
            self.nodes[node.0 as usize].paused = true;
            self.standing += 1;
            self.begin(node, 9);
        }
    }

    /// Lets a machine go on; all that waited is due now. Does nothing where it is not paused.
    pub fn resume(&mut self, node: NodeId) {
        if !self.is_paused(node) {
            return;
        }
        self.standing -= 1;
        self.begin(node, 10);
        self.nodes[node.0 as usize].paused = false;
        self.continue_with(node);
    }

    /// Whether a machine is paused.
    #[must_use]
    pub fn is_paused(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].paused
    }

    /// Whether a machine has yet to finish what it did last.
    #[must_use]
    pub fn is_busy(&self, node: NodeId) -> bool {
        self.nodes[node.0 as usize].busy
    }

    pub(super) fn stands_still(&self, node: NodeId) -> bool {
        self.is_paused(node) || self.is_busy(node)
    }

    /// A machine that is slow, or whose disk is, has handled an event.
    #[cold]
    pub(super) fn occupy(&mut self, node: NodeId) {
        let machine = &mut self.nodes[node.0 as usize];
        let span = machine.slowness.draw(&mut machine.pace) + machine.disk.take_time();
        if span == Duration::ZERO {
            return;
        }
        machine.busy_until = machine.busy_until.max(self.now) + span;
        let (incarnation, until) = (machine.incarnation, machine.busy_until);
        self.standing += u32::from(!std::mem::replace(&mut machine.busy, true));
        self.queue.push(until, 0, Event::Ready { node, incarnation });
    }

    /// The machine went down: what waited for it is gone.
    pub(super) fn end_pause(&mut self, node: NodeId) {
        let machine = &mut self.nodes[node.0 as usize];
        self.standing -= u32::from(std::mem::take(&mut machine.paused));
        self.standing -= u32::from(std::mem::take(&mut machine.busy));
        machine.busy_until = self.now;
        for event in machine.waiting.drain(..) {
            if let Event::Deliver { from, to, message } = event {
                self.observer.routed(self.now, from, to, &message, Fate::Undelivered);
            } else if let Event::DeliverDamaged { from, to, damaged } = event {
                self.observer.routed(self.now, from, to, &damaged.0, Fate::Undelivered);
            }
        }
    }

    /// The machine that stands still for whose going on an event waits, if it does.
    #[cold]
    pub(super) fn waits_for(&self, event: &Event<P::Message>) -> Option<NodeId> {
        let node = match event {
            Event::Route { .. } | Event::Ready { .. } | Event::Unclogged { .. } => return None,
            Event::Deliver { from, to, .. } | Event::DeliverDamaged { from, to, .. } => {
                if self.network.is_obstructed(*from, *to) {
                    return None;
                }
                *to
            }
            Event::Timer { node, .. } | Event::Synced { node, .. } | Event::Task { node, .. } => *node,
        };
        self.stands_still(node).then_some(node)
    }

    #[cold]
    pub(super) fn put_off(&mut self, node: NodeId, event: Event<P::Message>) {
        self.nodes[node.0 as usize].waiting.push_back(event);
    }

    /// The machine does not stand still any more, or has to be told so later: what waits goes on when it does not.
    fn continue_with(&mut self, node: NodeId) {
        let machine = &self.nodes[node.0 as usize];
        if !machine.waiting.is_empty() && !self.stands_still(node) {
            // No tie is drawn: this comes before what else is due now.
            let incarnation = machine.incarnation;
            self.queue.push(self.now, 0, Event::Ready { node, incarnation });
        }
    }

    /// A machine is done with what it did last, if that is so by now, and handles the first event that waited. It has met all
    /// that could have stopped it on its way.
    #[cold]
    pub(super) fn go_on(&mut self, node: NodeId, incarnation: u32) {
        if !self.lives(node, incarnation) {
            return;
        }
        let machine = &mut self.nodes[node.0 as usize];
        if machine.busy && machine.busy_until <= self.now {
            machine.busy = false;
            self.standing -= 1;
        }
        if machine.busy || machine.paused {
            return;
        }
        match machine.waiting.pop_front() {
            Some(Event::Deliver { from, to, message }) => self.receive(from, to, message),
            Some(Event::DeliverDamaged { from, to, damaged }) => {
                self.receive_damaged(from, to, damaged.0, damaged.1);
            }
            Some(Event::Timer { node, incarnation, token }) => self.ring(node, incarnation, token),
            Some(Event::Synced { node, incarnation, db }) => self.complete_sync(node, incarnation, db),
            Some(Event::Task { node, incarnation, token }) => self.complete_task(node, incarnation, token),
            Some(Event::Route { .. } | Event::Ready { .. } | Event::Unclogged { .. }) | None => {}
        }
        self.continue_with(node);
    }
}
