//! Reads that wait until they may be served (thesis 6.4).
//!
//! A read is served from the replica's own data, once the index that was committed when it began is applied.
//! By then the region may have changed, so that range and epoch are looked at again when it is executed, not
//! only when it came: the replica of the half that a split left must not answer for the other half.
//!
//! Every read is answered. One whose messages were lost is refused after an election timeout, and the
//! client asks again: it has changed nothing.

use std::collections::VecDeque;

use raft::{ReadId, ReadState};
use raft_proto::raft_cmdpb::RaftCmdRequest;

use crate::engine::RequestId;

/// A read that waits.
#[derive(Clone, Debug)]
struct Waiting {
    id: ReadId,
    request: RequestId,
    command: RaftCmdRequest,
    /// The index to wait for, once it is known.
    index: Option<u64>,
    /// The tick at which it is refused.
    expires: u64,
}

/// The reads of one replica.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reads {
    waiting: VecDeque<Waiting>,
}

impl Reads {
    pub(crate) fn push(&mut self, id: ReadId, request: RequestId, command: RaftCmdRequest, expires: u64) {
        self.waiting.push_back(Waiting { id, request, command, index: None, expires });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The tick at which the next read is refused; they come in order.
    pub(crate) fn due(&self) -> Option<u64> {
        self.waiting.front().map(|read| read.expires)
    }

    /// Raft tells what became of reads. Those that nobody could confirm are returned, to be refused.
    pub(crate) fn confirm(&mut self, states: &[ReadState]) -> Vec<RequestId> {
        let mut refused = Vec::new();
        for state in states {
            let Some(place) = self.waiting.iter().position(|read| read.id == state.id) else { continue };
            match state.index {
                // The first answer holds: a later one is of a copy of the question.
                Some(index) => drop(self.waiting[place].index.get_or_insert(index)),
                None => refused.extend(self.waiting.remove(place).map(|read| read.request)),
            }
        }
        refused
    }

    /// The next read that may be served with so much applied.
    pub(crate) fn next_ready(&mut self, applied: u64) -> Option<(RequestId, RaftCmdRequest)> {
        let ready = |read: &Waiting| read.index.is_some_and(|index| index <= applied);
        let place = self.waiting.iter().position(ready)?;
        self.waiting.remove(place).map(|read| (read.request, read.command))
    }

    /// The next read that waits for too long at `tick`.
    pub(crate) fn next_expired(&mut self, tick: u64) -> Option<RequestId> {
        self.waiting.pop_front_if(|read| read.expires <= tick).map(|read| read.request)
    }

    /// All of them, to be refused.
    pub(crate) fn take_all(&mut self) -> Vec<RequestId> {
        self.waiting.drain(..).map(|read| read.request).collect()
    }
}
