//! A machine of the cluster: a store, a client, or the placement driver.

use bytes::Bytes;
use raftsim_kernel::{Context, DbId, NodeId, Process, Time, WriteSeq};

use crate::client::{ClientInput, ClientNode};
use crate::message::Wire;
use crate::system::{Alarm, Effects, Operator, Order, Placement, RequestId, StoreContext, System};

/// The machine of a store. Stores are numbered from 1, machines from 0.
#[must_use]
pub fn node_of(store: u64) -> NodeId {
    NodeId(u32::try_from(store.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// The store on a machine.
#[must_use]
pub fn store_of(node: NodeId) -> u64 {
    u64::from(node.0) + 1
}

/// A machine of the cluster.
#[derive(Clone, Debug)]
pub enum Node<S: System> {
    /// It runs a store.
    Store(Box<StoreNode<S>>),
    /// It runs a client.
    Client(Box<ClientNode<S::Session>>),
    /// It runs the placement driver.
    Placement(Box<PlacementNode<S::Placement>>),
}

/// A store's machine.
#[derive(Clone, Debug)]
pub struct StoreNode<S> {
    /// What runs on it.
    pub system: S,
    /// What came of the last command of an operator.
    pub answered: Result<(), String>,
    /// The machine of the placement driver, if there is one.
    placement: Option<NodeId>,
    /// Whether messages travel as bytes.
    encodes: bool,
}

/// The placement driver's machine. Its one database holds one value.
#[derive(Clone, Debug)]
pub struct PlacementNode<P> {
    /// What runs on it.
    pub driver: P,
    /// What came of the last order.
    pub answered: Result<(), String>,
    /// The write of the last value persisted, unless that is durable.
    writing: Option<WriteSeq>,
    /// When the driver wants to be woken.
    wake: Option<Time>,
    alarm: Alarm,
    /// Whether messages travel as bytes.
    encodes: bool,
}

/// What comes to a machine from outside.
#[derive(Clone, Debug, Hash)]
pub enum NodeInput {
    /// To a store: an operator's command.
    Operator {
        /// The region it is about.
        region: u64,
        /// The command.
        command: Operator,
    },
    /// To a client.
    Client(ClientInput),
    /// To the placement driver.
    Placement(PlacementInput),
}

/// What comes to the placement driver from outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PlacementInput {
    /// The scenario orders something.
    Order(Order),
    /// From now on it does nothing of its own accord.
    Quiet,
}

impl<S: System> Node<S> {
    /// The machine of a store that has not booted, in a cluster with or without a placement driver.
    #[must_use]
    pub fn store(system: S, placement: Option<NodeId>) -> Node<S> {
        Node::Store(Box::new(StoreNode { system, answered: Ok(()), placement, encodes: false }))
    }

    /// The machine of a placement driver that has not booted.
    #[must_use]
    pub fn placement(driver: S::Placement) -> Node<S> {
        Node::Placement(Box::new(PlacementNode {
            driver,
            answered: Ok(()),
            writing: None,
            wake: None,
            alarm: Alarm::default(),
            encodes: false,
        }))
    }

    /// The same machine, but all that it sends is encoded and decoded on the way, and what clients send it.
    #[must_use]
    pub fn encoding(mut self, encodes: bool) -> Node<S> {
        match &mut self {
            Node::Store(store) => store.encodes = encodes,
            Node::Placement(placement) => placement.encodes = encodes,
            Node::Client(_) => {}
        }
        self
    }

    /// The store, if this is one.
    #[must_use]
    pub fn as_store(&self) -> Option<&StoreNode<S>> {
        match self {
            Node::Store(store) => Some(store),
            Node::Client(_) | Node::Placement(_) => None,
        }
    }

    /// The client, if this is one.
    #[must_use]
    pub fn as_client(&self) -> Option<&ClientNode<S::Session>> {
        match self {
            Node::Client(client) => Some(client),
            Node::Store(_) | Node::Placement(_) => None,
        }
    }

    /// The placement driver, if this is its machine.
    #[must_use]
    pub fn as_placement(&self) -> Option<&PlacementNode<S::Placement>> {
        match self {
            Node::Placement(placement) => Some(placement),
            Node::Store(_) | Node::Client(_) => None,
        }
    }
}

type Cx<'a, S> = Context<'a, Wire<S>>;

impl<S: System> Process for Node<S> {
    type Message = Wire<S>;
    type Input = NodeInput;

    fn on_start(&mut self, cx: &mut Cx<'_, S>) {
        match self {
            Node::Store(store) => store.with(cx, |system, cx| system.on_start(cx)),
            Node::Placement(placement) => placement.on_start::<S>(cx),
            Node::Client(_) => {}
        }
    }

    #[inline]
    fn on_message(&mut self, from: NodeId, message: Wire<S>, cx: &mut Cx<'_, S>) {
        match (self, message) {
            (Node::Store(store), request @ Wire::Request { .. }) => {
                // Clients leave the encoding of what they send to its receiver.
                let request = if store.encodes { request.recoded() } else { request };
                if let Wire::Request { id, request } = request {
                    let id = RequestId::new(from, id);
                    store.with(cx, |system, cx| system.on_request(id, *request, cx));
                }
            }
            (Node::Store(store), Wire::Peer(message)) => {
                store.with(cx, |system, cx| system.on_message(store_of(from), *message, cx));
            }
            (Node::Store(store), Wire::FromPlacement(response)) => {
                store.with(cx, |system, cx| system.on_placement(*response, cx));
            }
            (Node::Client(client), Wire::Reply { id, reply }) => client.on_reply(id, &reply, cx),
            (Node::Placement(placement), Wire::ToPlacement(request)) => {
                placement.with::<S, _>(cx, |driver, now, effects| {
                    driver.on_request(now, store_of(from), *request, effects);
                });
            }
            // Nobody sends anybody anything else.
            _ => {}
        }
    }

    fn on_timer(&mut self, token: u64, cx: &mut Cx<'_, S>) {
        match self {
            Node::Store(store) => store.with(cx, |system, cx| system.on_timer(token, cx)),
            Node::Client(client) => client.on_timer(cx),
            Node::Placement(placement) => placement.on_timer::<S>(cx),
        }
    }

    #[inline]
    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Cx<'_, S>) {
        match self {
            Node::Store(store) => store.with(cx, |system, cx| system.on_synced(db, up_to, cx)),
            Node::Placement(placement) => placement.on_synced::<S>(up_to, cx),
            Node::Client(_) => {}
        }
    }

    fn on_sync_failed(&mut self, db: DbId, cx: &mut Cx<'_, S>) {
        // Only the disks of stores fail.
        if let Node::Store(store) = self {
            store.with(cx, |system, cx| system.on_sync_failed(db, cx));
        }
    }

    fn on_task(&mut self, token: u64, cx: &mut Cx<'_, S>) {
        if let Node::Store(store) = self {
            store.with(cx, |system, cx| system.on_task(token, cx));
        }
    }

    fn on_input(&mut self, input: NodeInput, cx: &mut Cx<'_, S>) {
        match (self, input) {
            (Node::Store(store), NodeInput::Operator { region, command }) => {
                store.answered = store.with(cx, |system, cx| system.on_operator(region, &command, cx));
            }
            (Node::Client(client), NodeInput::Client(input)) => client.on_input(input, cx),
            (Node::Placement(placement), NodeInput::Placement(PlacementInput::Order(order))) => {
                placement.answered =
                    placement.with::<S, _>(cx, |driver, now, effects| driver.on_order(now, &order, effects));
            }
            (Node::Placement(placement), NodeInput::Placement(PlacementInput::Quiet)) => {
                placement.driver.quiet();
            }
            _ => {}
        }
    }
}

impl<S: System> StoreNode<S> {
    /// Gives the store an input, with its outside.
    #[inline]
    fn with<R>(
        &mut self,
        cx: &mut Cx<'_, S>,
        input: impl FnOnce(&mut S, &mut StoreContext<'_, '_, S>) -> R,
    ) -> R {
        input(&mut self.system, &mut StoreContext::new(cx, self.placement, self.encodes))
    }
}

/// Where the placement driver's value stands.
const VALUE_DB: DbId = DbId(0);
const VALUE: &[u8] = b"state";

impl<P: Placement> PlacementNode<P> {
    fn on_start<S: System<Placement = P>>(&mut self, cx: &mut Cx<'_, S>) {
        let stored = cx.disk_ref().get(VALUE_DB, VALUE).cloned();
        let seed = cx.random_seed("placement");
        self.with::<S, _>(cx, |driver, now, effects| driver.on_start(now, stored, seed, effects));
    }

    fn on_timer<S: System<Placement = P>>(&mut self, cx: &mut Cx<'_, S>) {
        if !self.alarm.rings(cx.now()) {
            return;
        }
        let due = self.wake.take_if(|wake| *wake <= cx.now()).is_some();
        self.with::<S, _>(cx, |driver, now, effects| {
            if due {
                driver.on_timer(now, effects);
            }
        });
    }

    fn on_synced<S: System<Placement = P>>(&mut self, up_to: WriteSeq, cx: &mut Cx<'_, S>) {
        // A value that has been replaced meanwhile is of no use to the driver.
        if self.writing.take_if(|writing| *writing <= up_to).is_some() {
            self.with::<S, _>(cx, |driver, now, effects| driver.on_durable(now, effects));
        }
    }

    /// Gives the driver an input, and lets happen what it wants.
    fn with<S: System<Placement = P>, R>(
        &mut self,
        cx: &mut Cx<'_, S>,
        input: impl FnOnce(&mut P, Time, &mut Effects<P::Response>) -> R,
    ) -> R {
        let mut effects = Effects::default();
        let result = input(&mut self.driver, cx.now(), &mut effects);
        if let Some(value) = effects.persist {
            self.persist::<S>(value, cx);
        }
        for (store, response) in effects.send {
            let response = Wire::<S>::FromPlacement(Box::new(response));
            cx.send(node_of(store), if self.encodes { response.recoded() } else { response });
        }
        self.wake = effects.wake.or(self.wake);
        if let Some(span) = self.wake.and_then(|wake| self.alarm.arm(cx.now(), wake)) {
            cx.set_timer(span, 0);
        }
        result
    }

    fn persist<S: System<Placement = P>>(&mut self, value: Bytes, cx: &mut Cx<'_, S>) {
        self.writing = Some(cx.disk().write(VALUE_DB, [(VALUE, Some(value))]));
        cx.sync(VALUE_DB);
    }
}
