//! What an event leads to: timers, syncs and tasks become further events, and messages go by filters and the network.

use super::{Event, Fate, Node, Observer, World};
use crate::disk::DbId;
use crate::filter::Picked;
use crate::process::{NodeId, Outgoing, Process};
use crate::time::Time;

impl<P: Process, O: Observer<P>> World<P, O> {
    #[inline]
    pub(super) fn take_effects(&mut self, node: NodeId) {
        // Each vector goes back when it is empty, so that no event allocates for it.
        if !self.effects.timers.is_empty() {
            let Node { incarnation, clock, .. } = self.nodes[node.0 as usize];
            let mut timers = std::mem::take(&mut self.effects.timers);
            for (after, token) in timers.drain(..) {
                self.push(clock.after(self.now, after), Event::Timer { node, incarnation, token });
            }
            self.effects.timers = timers;
        }
        if !self.effects.syncs.is_empty() {
            let mut syncs = std::mem::take(&mut self.effects.syncs);
            for db in syncs.drain(..) {
                self.begin_sync(node, db);
            }
            self.effects.syncs = syncs;
        }
        if !self.effects.tasks.is_empty() {
            let mut tasks = std::mem::take(&mut self.effects.tasks);
            for (token, bytes) in tasks.drain(..) {
                let machine = &mut self.nodes[node.0 as usize];
                let (incarnation, time) = (machine.incarnation, machine.disk.task_time(bytes));
                self.push(self.now + time, Event::Task { node, incarnation, token });
            }
            self.effects.tasks = tasks;
        }
        if !self.effects.sent.is_empty() {
            let mut sent = std::mem::take(&mut self.effects.sent);
            for Outgoing { to, message } in sent.drain(..) {
                self.route(node, to, message);
            }
            self.effects.sent = sent;
        }
    }

    pub(super) fn begin_sync(&mut self, node: NodeId, db: DbId) {
        let machine = &mut self.nodes[node.0 as usize];
        let incarnation = machine.incarnation;
        if let Some(latency) = machine.disk.begin_sync(db) {
            self.push(self.now + latency, Event::Synced { node, incarnation, db });
        }
    }

    /// A message leaves its machine: filters first, then the network.
    #[inline]
    fn route(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        if self.network.filters.is_empty() {
            return self.transmit(from, to, message);
        }
        match self.network.filters.pick(from, to, message) {
            Picked::Pass(message) => self.transmit(from, to, message),
            Picked::Dropped(message) => self.observer.routed(self.now, from, to, &message, Fate::Dropped),
            Picked::Held(message) => {
                if let Some(message) = message {
                    self.observer.routed(self.now, from, to, message, Fate::Held);
                }
            }
            Picked::Delayed(message, span) => {
                self.observer.routed(self.now, from, to, &message, Fate::Delayed(span));
                self.push(self.now + span, Event::Route { from, to, message });
            }
            Picked::Copies(message, times) => {
                for _ in 0..times {
                    self.transmit(from, to, message.clone());
                }
                self.transmit(from, to, message);
            }
        }
    }

    #[inline]
    pub(super) fn transmit(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        let Some((arrival, faithful)) = self.network.arrival(self.now, from, to, &message) else {
            self.observer.routed(self.now, from, to, &message, Fate::Lost);
            return;
        };
        self.observer.routed(self.now, from, to, &message, Fate::Arrives(arrival));
        if faithful {
            self.push(arrival, Event::Deliver { from, to, message });
        } else {
            self.transmit_unfaithfully(from, to, message, arrival);
        }
    }

    /// Beside the message, which arrives then, copies may arrive; and each may be damaged.
    #[cold]
    fn transmit_unfaithfully(&mut self, from: NodeId, to: NodeId, message: P::Message, arrival: Time) {
        for again in self.network.copy_arrivals(self.now, from, to) {
            self.observer.routed(self.now, from, to, &message, Fate::Arrives(again));
            self.push_arrival(from, to, message.clone(), again);
        }
        self.push_arrival(from, to, message, arrival);
    }

    fn push_arrival(&mut self, from: NodeId, to: NodeId, message: P::Message, arrival: Time) {
        let event = match self.network.corruption(from, to) {
            Some(bits) => Event::DeliverDamaged { from, to, damaged: Box::new((message, bits)) },
            None => Event::Deliver { from, to, message },
        };
        self.push(arrival, event);
    }

    #[inline]
    pub(super) fn push(&mut self, time: Time, event: Event<P::Message>) {
        self.queue.push(time, self.ties.half_bits(), event);
    }
}
