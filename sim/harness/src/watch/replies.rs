//! When stores answered clients: a guess at the order in which they executed what was asked.
//!
//! A store that executed a command answers within the same event, and one leader does so in the order of its log. So
//! the order of answers is that of the log, unless a leader that was cut off answers late, after another one went on.

use std::collections::VecDeque;

use raftsim_kernel::Outgoing;

use crate::history::History;
use crate::linearizability::Place;
use crate::message::Wire;
use crate::system::System;

/// So many of the last answers to each client are kept. A client has one request under way, so that only the answers
/// to those that it gave up come in between.
const KEPT: usize = 8;

/// The last answers to each client.
#[derive(Clone, Debug)]
pub(super) struct Replies {
    /// The machine of the first client; those of the others follow.
    first: usize,
    /// For each client, numbers of requests with the places of the answers to them.
    sent: Vec<VecDeque<(u64, Place)>>,
    /// How many answers there were.
    count: u64,
}

impl Replies {
    /// No answers yet, in a cluster of so many stores and clients.
    pub(super) fn new(stores: usize, clients: usize) -> Replies {
        Replies { first: stores, sent: vec![VecDeque::new(); clients], count: 0 }
    }

    /// A store sent this.
    #[inline]
    pub(super) fn note<S: System>(&mut self, sent: &[Outgoing<Wire<S>>], history: &History) {
        for outgoing in sent {
            if let Wire::Reply { id, .. } = &outgoing.message {
                let client = (outgoing.to.0 as usize).checked_sub(self.first);
                if let Some(sent) = client.and_then(|client| self.sent.get_mut(client)) {
                    if sent.len() == KEPT {
                        sent.pop_front();
                    }
                    sent.push_back((*id, Place { after: history.moments(), number: self.count }));
                    self.count += 1;
                }
            }
        }
    }

    /// When the request of this number of a client was answered first.
    pub(super) fn place(&self, client: u64, id: u64) -> Option<Place> {
        let sent = self.sent.get(usize::try_from(client).ok()?)?;
        sent.iter().find(|(answered, _)| *answered == id).map(|(_, place)| *place)
    }
}
