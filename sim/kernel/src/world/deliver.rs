//! The last step of a message: it arrives, if nothing is in its way.

use super::{Cause, Event, Fate, Observer, World};
use crate::process::{Message, NodeId, Process};

impl<P: Process, O: Observer<P>> World<P, O> {
    /// Clogs a directed link, or unclogs it: then what waited arrives now, in its order.
    pub fn set_clogged(&mut self, from: NodeId, to: NodeId, clogged: bool) {
        if self.network.set_clogged(from, to, clogged) {
            self.push(self.now, Event::Unclogged { from, to });
        }
    }

    /// Unclogs every link.
    pub fn unclog_all(&mut self) {
        for (from, to) in self.network.clogged() {
            self.set_clogged(from, to, false);
        }
    }

    #[inline]
    pub(super) fn deliver(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        if self.network.is_obstructed(from, to) {
            self.obstruct(from, to, message, None);
        } else if !self.is_up(to) {
            self.observer.routed(self.now, from, to, &message, Fate::Undelivered);
        } else {
            self.receive(from, to, message);
        }
    }

    #[cold]
    pub(super) fn deliver_damaged(&mut self, from: NodeId, to: NodeId, message: P::Message, bits: u64) {
        if self.network.is_obstructed(from, to) {
            self.obstruct(from, to, message, Some(bits));
        } else if !self.is_up(to) {
            self.observer.routed(self.now, from, to, &message, Fate::Undelivered);
        } else {
            self.receive_damaged(from, to, message, bits);
        }
    }

    /// What arrives on a link that is cut is lost; otherwise it waits.
    #[cold]
    fn obstruct(&mut self, from: NodeId, to: NodeId, message: P::Message, bits: Option<u64>) {
        let cut = self.network.is_cut(from, to);
        let fate = if cut { Fate::Undelivered } else { Fate::Clogged };
        self.observer.routed(self.now, from, to, &message, fate);
        if !cut {
            self.network.keep_back(from, to, (message, bits));
        }
    }

    /// The first message that waited on a link goes on. Whatever arrives before the last one has gone on comes after it.
    #[cold]
    pub(super) fn let_through(&mut self, from: NodeId, to: NodeId) {
        if self.network.is_clogged(from, to) {
            return;
        }
        let Some(((message, bits), more)) = self.network.let_through(from, to) else { return };
        if more {
            self.push(self.now, Event::Unclogged { from, to });
        }
        if self.network.is_cut(from, to) || !self.is_up(to) {
            return self.observer.routed(self.now, from, to, &message, Fate::Undelivered);
        }
        match (bits, self.stands_still(to)) {
            (None, false) => self.receive(from, to, message),
            (None, true) => self.put_off(to, Event::Deliver { from, to, message }),
            (Some(bits), false) => self.receive_damaged(from, to, message, bits),
            (Some(bits), true) => {
                let damaged = Box::new((message, bits));
                self.put_off(to, Event::DeliverDamaged { from, to, damaged });
            }
        }
    }

    #[inline(always)] // the other places that call it are cold
    pub(super) fn receive(&mut self, from: NodeId, to: NodeId, message: P::Message) {
        self.begin(to, 2);
        self.hash.word(u64::from(from.0));
        message.digest(&mut self.hash);
        self.observer.happening(self.now, to, &Cause::Message { from, message: &message });
        self.run(to, |process, cx| process.on_message(from, message, cx));
    }

    #[cold]
    pub(super) fn receive_damaged(&mut self, from: NodeId, to: NodeId, message: P::Message, bits: u64) {
        self.network.count_corrupted();
        self.observer.routed(self.now, from, to, &message, Fate::Corrupted);
        if let Some(message) = message.corrupted(bits) {
            self.receive(from, to, message);
        }
    }
}
