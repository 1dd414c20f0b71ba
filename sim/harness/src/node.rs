//! A machine of the cluster: a store or a client.

use raftsim_kernel::{Context, DbId, NodeId, Process, WriteSeq};

use crate::client::{ClientInput, ClientNode};
use crate::message::Wire;
use crate::store_node::StoreNode;

/// A machine of the cluster.
#[derive(Clone, Debug)]
pub enum Node {
    /// It runs a store.
    Store(Box<StoreNode>),
    /// It runs a client.
    Client(Box<ClientNode>),
}

/// What an operator can tell a machine.
#[derive(Clone, Debug, Hash)]
pub enum NodeInput {
    /// To a store: start an election of this region.
    Campaign {
        /// The region.
        region: u64,
    },
    /// To a client.
    Client(ClientInput),
}

impl Node {
    /// The store, if this is one.
    #[must_use]
    pub fn store(&self) -> Option<&StoreNode> {
        match self {
            Node::Store(store) => Some(store),
            Node::Client(_) => None,
        }
    }

    /// The client, if this is one.
    #[must_use]
    pub fn client(&self) -> Option<&ClientNode> {
        match self {
            Node::Client(client) => Some(client),
            Node::Store(_) => None,
        }
    }
}

impl Process for Node {
    type Message = Wire;
    type Input = NodeInput;

    fn on_start(&mut self, cx: &mut Context<'_, Wire>) {
        if let Node::Store(store) = self {
            store.on_start(cx);
        }
    }

    fn on_message(&mut self, from: NodeId, message: Wire, cx: &mut Context<'_, Wire>) {
        match (self, message) {
            (Node::Store(store), Wire::Raft(message)) => store.on_raft_message(*message, cx),
            (Node::Store(store), Wire::Request { id, request }) => store.on_request(from, id, *request, cx),
            (Node::Client(client), Wire::Reply { id, response }) => client.on_reply(id, &response, cx),
            (Node::Store(_), Wire::Reply { .. })
            | (Node::Client(_), Wire::Raft(_) | Wire::Request { .. }) => {}
        }
    }

    fn on_timer(&mut self, _: u64, cx: &mut Context<'_, Wire>) {
        match self {
            Node::Store(store) => store.on_timer(cx),
            Node::Client(client) => client.on_timer(cx),
        }
    }

    fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Context<'_, Wire>) {
        if let Node::Store(store) = self {
            store.on_synced(db, up_to, cx);
        }
    }

    fn on_input(&mut self, input: NodeInput, cx: &mut Context<'_, Wire>) {
        match (self, input) {
            (Node::Store(store), NodeInput::Campaign { region }) => store.campaign(region, cx),
            (Node::Client(client), NodeInput::Client(input)) => client.on_input(input, cx),
            (Node::Store(_), NodeInput::Client(_)) | (Node::Client(_), NodeInput::Campaign { .. }) => {}
        }
    }
}
