//! Situations of clients and what they are told.

use bytes::Bytes;

use super::{Reach, situations};
use crate::history::{Outcome, Request};

situations! { from super::faults::END;
    OUTCOME_UNKNOWN, "outcome-unknown", "a client gave up on a request that may still take effect";
    RETRIED, "retried", "a client asked for the same again";
    CALLS_OVERLAPPED, "calls-overlapped", "two clients wrote to one key at the same time";
    ANSWERED_AFTER_AN_ELECTION, "answered-after-an-election", "a request that was called under one leader was answered under the next";
    REFUSED_FOR_SURE, "refused-for-sure", "a client was told that its request certainly had no effect";
    CAS_FAILED, "cas-failed", "a compare-and-set found another value";
    SCANNED, "scanned", "a scan was answered";
}

/// A client's last call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// It was answered, or given up.
    over: bool,
    /// The key that it writes.
    writes: Option<Bytes>,
    /// How many elections there had been.
    elections: u32,
    request: Request,
}

impl Reach {
    /// A client called.
    pub(crate) fn called(&mut self, client: usize, request: &Request) {
        let again = self.calls[client].as_ref().is_some_and(|last| last.over && last.request == *request);
        self.met_if(again, RETRIED);
        let writes = match request {
            Request::Get { .. } | Request::Scan { .. } => None,
            _ => request.key().cloned(),
        };
        let overlaps = writes.is_some()
            && self
                .calls
                .iter()
                .flatten()
                .any(|open| !open.over && open.writes.is_some() && open.writes == writes);
        self.met_if(overlaps, CALLS_OVERLAPPED);
        let elections = self.elections();
        self.calls[client] = Some(Call { writes, elections, request: request.clone(), over: false });
    }

    /// And was told something.
    pub(crate) fn answered(&mut self, client: usize, outcome: &Outcome) {
        let elections = self.elections();
        let Some(call) = &mut self.calls[client] else { return };
        call.over = true;
        let elected = elections != call.elections && !matches!(call.request, Request::Scan { .. });
        match outcome {
            Outcome::Unknown => return self.met(OUTCOME_UNKNOWN),
            Outcome::Failed => return self.met(REFUSED_FOR_SURE),
            Outcome::Cas { succeeded: false, .. } => self.met(CAS_FAILED),
            Outcome::Pairs(_) => self.met(SCANNED),
            _ => {}
        }
        self.met_if(elected, ANSWERED_AFTER_AN_ELECTION);
    }

    fn elections(&self) -> u32 {
        self.regions.iter().map(|(_, region)| region.elections).sum()
    }
}
