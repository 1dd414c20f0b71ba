//! A machine of the cluster: a store or a client.

use raftsim_kernel::{Context, DbId, NodeId, Process, WriteSeq};

use crate::client::{ClientInput, ClientNode};
use crate::message::Wire;
use crate::system::{Operator, RequestId, StoreContext, System};

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
}

/// A store's machine.
#[derive(Clone, Debug)]
pub struct StoreNode<S> {
    /// What runs on it.
    pub system: S,
    /// What came of the last command of an operator.
    pub answered: Result<(), String>,
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
}

impl<S: System> Node<S> {
    /// The machine of a store that has not booted.
    #[must_use]
    pub fn store(system: S) -> Node<S> {
        Node::Store(Box::new(StoreNode { system, answered: Ok(()) }))
    }

    /// The store, if this is one.
    #[must_use]
    pub fn as_store(&self) -> Option<&StoreNode<S>> {
        match self {
            Node::Store(store) => Some(store),
            Node::Client(_) => None,
        }
    }

    /// The client, if this is one.
    #[must_use]
    pub fn as_client(&self) -> Option<&ClientNode<S::Session>> {
        match self {
            Node::Client(client) => Some(client),
            Node::Store(_) => None,
        }
    }
}

impl<S: System> Process for Node<S> {
    type Message = Wire<S>;
    type Input = NodeInput;

    fn on_start(&mut self, cx: &mut Context<'_, Wire<S>>) {
        if let Node::Store(store) = self {
            store.system.on_start(&mut StoreContext::new(cx));
        }
    }

    #[inline]
    fn on_message(&mut self, from: NodeId, message: Wire<S>, cx: &mut Context<'_, Wire<S>>) {
        match (self, message) {
            (Node::Store(store), Wire::Peer(message)) => {
                store.system.on_message(store_of(from), *message, &mut StoreContext::new(cx));
            }
            (Node::Store(store), Wire::Request { id, request }) => {
                let id = RequestId::new(from, id);
                store.system.on_request(id, *request, &mut StoreContext::new(cx));
            }
            (Node::Client(client), Wire::Reply { id, reply }) => client.on_reply(id, &reply, cx),
            (Node::Store(_), Wire::Reply { .. })
            | (Node::Client(_), Wire::Peer(_) | Wire::Request { .. }) => {}
        }
    }

    fn on_timer(&mut self, token: u64, cx: &mut Context<'_, Wire<S>>) {
        match self {
            Node::Store(store) => store.system.on_timer(token, &mut StoreContext::new(cx)),
            Node::Client(client) => client.on_timer(cx),
        }
    }

    #[inline]
    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Context<'_, Wire<S>>) {
        if let Node::Store(store) = self {
            store.system.on_synced(db, up_to, &mut StoreContext::new(cx));
        }
    }

    fn on_input(&mut self, input: NodeInput, cx: &mut Context<'_, Wire<S>>) {
        match (self, input) {
            (Node::Store(store), NodeInput::Operator { region, command }) => {
                store.answered = store.system.on_operator(region, &command, &mut StoreContext::new(cx));
            }
            (Node::Client(client), NodeInput::Client(input)) => client.on_input(input, cx),
            (Node::Store(_), NodeInput::Client(_)) | (Node::Client(_), NodeInput::Operator { .. }) => {}
        }
    }
}
