//! What a store's software may see and do while it handles an event.

use raftsim_kernel::{Context, DbId, Disk, Duration, NodeId, Time};

use super::{Placement, Session, System};
use crate::message::Wire;
use crate::node::{node_of, store_of};

/// Names a client's request, to answer it: unique in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// A request id holds the client's machine above the client's own number for it.
const NUMBER_BITS: u32 = 48;

impl RequestId {
    pub(crate) fn new(client: NodeId, number: u64) -> RequestId {
        RequestId(u64::from(client.0) << NUMBER_BITS | number)
    }

    fn client(self) -> NodeId {
        NodeId(u32::try_from(self.0 >> NUMBER_BITS).unwrap_or(u32::MAX))
    }

    fn number(self) -> u64 {
        self.0 & ((1 << NUMBER_BITS) - 1)
    }
}

/// A store's outside: its clock, its disk, the network, its clients, the placement driver.
pub struct StoreContext<'a, 'b, S: System> {
    cx: &'a mut Context<'b, Wire<S>>,
    placement: Option<NodeId>,
    /// Whether messages are sent as bytes.
    encodes: bool,
}

impl<'a, 'b, S: System> StoreContext<'a, 'b, S> {
    pub(crate) fn new(
        cx: &'a mut Context<'b, Wire<S>>,
        placement: Option<NodeId>,
        encodes: bool,
    ) -> StoreContext<'a, 'b, S> {
        StoreContext { cx, placement, encodes }
    }

    #[inline]
    fn post(&mut self, to: NodeId, message: Wire<S>) {
        let message = if self.encodes { message.recoded() } else { message };
        self.cx.send(to, message);
    }

    /// This store's number.
    #[must_use]
    pub fn store(&self) -> u64 {
        store_of(self.cx.node())
    }

    /// This store's clock.
    #[must_use]
    pub fn now(&self) -> Time {
        self.cx.now()
    }

    /// A seed for the store's own random decisions: one for each label, store and life.
    #[must_use]
    pub fn random_seed(&self, label: &str) -> u64 {
        self.cx.random_seed(label)
    }

    /// Sends a message to a store. It may be lost, late, doubled or overtaken.
    #[inline]
    pub fn send(&mut self, store: u64, message: S::Message) {
        self.post(node_of(store), Wire::Peer(Box::new(message)));
    }

    /// Sends a message to the placement driver, as unreliably as to a store. Goes nowhere where there is none.
    pub fn ask(&mut self, request: <S::Placement as Placement>::Request) {
        if let Some(placement) = self.placement {
            self.post(placement, Wire::ToPlacement(Box::new(request)));
        }
    }

    /// Answers a request.
    #[inline]
    pub fn reply(&mut self, request: RequestId, reply: <S::Session as Session>::Reply) {
        self.post(request.client(), Wire::Reply { id: request.number(), reply: Box::new(reply) });
    }

    /// Calls [`System::on_timer`] with `token` after this span. It cannot be taken back. See
    /// [`Alarm`](super::Alarm) for a deadline that moves.
    pub fn set_timer(&mut self, after: Duration, token: u64) {
        self.cx.set_timer(after, token);
    }

    /// Calls [`System::on_task`] with `token` when work in the background that moves so many bytes is done: see
    /// [`DiskModel`](raftsim_kernel::DiskModel). A crash ends it. What the work consists of is the store's business.
    pub fn start_task(&mut self, token: u64, bytes: u64) {
        self.cx.start_task(token, bytes);
    }

    /// The disk, to write.
    #[must_use]
    pub fn disk_mut(&mut self) -> &mut Disk {
        self.cx.disk()
    }

    /// The disk, to read.
    #[must_use]
    pub fn disk(&self) -> &Disk {
        self.cx.disk_ref()
    }

    /// Makes durable what has been written to `db` by the end of this event; [`System::on_synced`] tells when.
    pub fn sync(&mut self, db: DbId) {
        self.cx.sync(db);
    }
}
