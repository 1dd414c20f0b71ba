//! The seam for a placement driver: what tells stores where replicas shall be.
//!
//! It runs on a machine of its own, which crashes and is cut off like every other. It is pure: an input comes in, and what
//! shall happen goes into [`Effects`]. What it persists is one value, replaced as a whole; all else a restart forgets.

use std::fmt;

use bytes::Bytes;
use raftsim_kernel::{Time, TraceHasher};

use super::{MemberChange, Payload};
use crate::scenario::Scenario;

/// The software of a placement driver.
pub trait Placement: Clone + fmt::Debug {
    /// What stores send it.
    type Request: Payload;
    /// What it sends them.
    type Response: Payload;

    /// The software of a driver that has not booted; `None` where the scenario has none.
    fn new(scenario: &Scenario) -> Option<Self>
    where
        Self: Sized;

    /// The machine booted. `stored` is what an earlier life persisted last, if that was durable; `seed` is for the driver's
    /// random decisions, another one in each life.
    fn on_start(
        &mut self,
        now: Time,
        stored: Option<Bytes>,
        seed: u64,
        effects: &mut Effects<Self::Response>,
    );

    /// A store asks or tells something. It may be old or doubled.
    fn on_request(
        &mut self,
        now: Time,
        store: u64,
        request: Self::Request,
        effects: &mut Effects<Self::Response>,
    );

    /// The time of [`Effects::wake`] has come.
    fn on_timer(&mut self, now: Time, effects: &mut Effects<Self::Response>);

    /// All that was persisted is durable.
    fn on_durable(&mut self, now: Time, effects: &mut Effects<Self::Response>);

    /// The scenario orders something.
    ///
    /// # Errors
    /// Why the driver does not take the order.
    fn on_order(
        &mut self,
        now: Time,
        order: &Order,
        effects: &mut Effects<Self::Response>,
    ) -> Result<(), String>;

    /// What a message to a store orders, for transcripts: the region, and what in a few words; `None` for an answer.
    fn order(response: &Self::Response) -> Option<(u64, String)> {
        let _ = response;
        None
    }

    /// The greatest id of a replica that it has given out; 0 for one that gives out none.
    fn last_id(&self) -> u64 {
        0
    }

    /// From now on it does nothing of its own accord, so that the cluster can come to rest. What is under way may go on.
    fn quiet(&mut self);
}

/// What a placement driver wants to happen.
#[derive(Clone, Debug)]
pub struct Effects<R> {
    /// Messages to stores.
    pub send: Vec<(u64, R)>,
    /// The value to persist from now on; [`Placement::on_durable`] tells when it is.
    pub persist: Option<Bytes>,
    /// When to call [`Placement::on_timer`], by the driver's clock, in place of an earlier wish; `None` lets that stand.
    pub wake: Option<Time>,
}

impl<R> Default for Effects<R> {
    fn default() -> Effects<R> {
        Effects { send: Vec::new(), persist: None, wake: None }
    }
}

/// What a scenario orders the placement driver, of the region that holds a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// To change its members. The driver allocates the ids of new replicas.
    Change {
        /// A key of the region.
        key: Bytes,
        /// What becomes of its members.
        change: MemberChange,
    },
    /// To hand over its leadership.
    Transfer {
        /// A key of the region.
        key: Bytes,
        /// To the replica on this store.
        to: u64,
    },
    /// To split it.
    Split {
        /// The first key of the new region.
        key: Bytes,
    },
}

/// The placement driver of a system that has none.
#[derive(Clone, Copy, Debug)]
pub enum NoPlacement {}

/// A message that nobody sends.
#[derive(Clone, Copy, Debug)]
pub enum Nothing {}

impl Payload for Nothing {
    fn digest(&self, _: &mut TraceHasher) {
        match *self {}
    }

    fn describe(&self) -> String {
        match *self {}
    }

    fn to_wire(&self) -> Vec<u8> {
        match *self {}
    }

    fn from_wire(_: &[u8]) -> Option<Nothing> {
        None
    }
}

impl Placement for NoPlacement {
    type Request = Nothing;
    type Response = Nothing;

    fn new(_: &Scenario) -> Option<NoPlacement> {
        None
    }

    fn on_start(&mut self, _: Time, _: Option<Bytes>, _: u64, _: &mut Effects<Nothing>) {
        match *self {}
    }

    fn on_request(&mut self, _: Time, _: u64, request: Nothing, _: &mut Effects<Nothing>) {
        match request {}
    }

    fn on_timer(&mut self, _: Time, _: &mut Effects<Nothing>) {
        match *self {}
    }

    fn on_durable(&mut self, _: Time, _: &mut Effects<Nothing>) {
        match *self {}
    }

    fn on_order(&mut self, _: Time, _: &Order, _: &mut Effects<Nothing>) -> Result<(), String> {
        match *self {}
    }

    fn quiet(&mut self) {
        match *self {}
    }
}
