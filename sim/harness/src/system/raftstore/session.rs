//! How clients speak to raftstore: requests with a header that says what the client believes of the region.
//!
//! A client keeps what stores told it of regions (`cache`). Every request names one region and the epoch in which
//! the client knows it; a store refuses what is not for its epoch, and tells of its own regions instead. Where the
//! client knows no region, or none with a replica on the store that it must ask, it names region 0, which exists
//! nowhere: it is told what there is.
//!
//! A scan asks one region after the other, each for its part of the range. The store compares the epochs when it
//! executes the request, so an answered part covers its region's range as the client knows it, and the next part
//! begins at its end whatever was split or moved in the meantime.

mod cache;
mod wire;

use bytes::Bytes;
use im::Vector;
use raft_proto::errorpb::error::Reason;
use raft_proto::metapb::{Peer, Region};
use raft_proto::raft_cmdpb::{
    AppendRequest, CompareAndSetRequest, DeleteRequest, GetRequest, PutRequest, RaftCmdRequest,
    RaftCmdResponse, RaftRequestHeader, Request as Command, ScanRequest, ScanResponse, request, response,
};

use self::cache::Cache;
use self::wire::error;
use crate::history::{Outcome, Request};
use crate::system::{Answer, Session};

/// What a client knows of the regions, and how far its scan came.
#[derive(Clone, Debug)]
pub struct RegionSession {
    cache: Cache,
    /// Replicas that do not lead serve reads, too.
    replica_reads: bool,
    sent: Sent,
    scan: Scan,
}

/// What there is to know of the last request when its reply comes.
#[derive(Clone, Debug, Default)]
struct Sent {
    /// The replica that it was for; none if the client asked for regions.
    peer: Option<Peer>,
    /// Any replica could serve it.
    replica_read: bool,
    /// Where the part of a scan ends.
    until: Bytes,
}

/// How far a scan came.
#[derive(Clone, Debug, Default)]
struct Scan {
    /// Where its next part begins, after the first.
    from: Option<Bytes>,
    pairs: Vector<(Bytes, Bytes)>,
}

impl RegionSession {
    /// A client that knows one region.
    #[must_use]
    pub fn new(region: Region) -> RegionSession {
        let mut cache = Cache::default();
        cache.learn(&[region]);
        RegionSession { cache, replica_reads: false, sent: Sent::default(), scan: Scan::default() }
    }

    /// Whether it lets replicas serve its reads that do not lead.
    #[must_use]
    pub fn with_replica_reads(self, replica_reads: bool) -> RegionSession {
        RegionSession { replica_reads, ..self }
    }

    /// The key that decides whom to ask.
    fn position<'a>(&'a self, request: &'a Request) -> &'a Bytes {
        match request {
            Request::Scan { start, .. } => self.scan.from.as_ref().unwrap_or(start),
            Request::Get { key }
            | Request::Put { key, .. }
            | Request::Delete { key }
            | Request::Append { key, .. }
            | Request::CompareAndSet { key, .. } => key,
        }
    }

    /// The command for what comes next of a request, up to where [`Sent`] says.
    fn command(&self, request: &Request) -> Command {
        use request::Command as C;
        let cf = String::new;
        let command = match request.clone() {
            Request::Get { key } => C::Get(GetRequest { cf: cf(), key }),
            Request::Put { key, value } => C::Put(PutRequest { cf: cf(), key, value }),
            Request::Delete { key } => C::Delete(DeleteRequest { cf: cf(), key }),
            Request::Append { key, suffix } => C::Append(AppendRequest { cf: cf(), key, suffix }),
            Request::CompareAndSet { key, expected, value } => {
                C::CompareAndSet(CompareAndSetRequest { cf: cf(), key, expected, value })
            }
            Request::Scan { start, limit, .. } => C::Scan(ScanRequest {
                cf: cf(),
                start_key: self.scan.from.clone().unwrap_or(start),
                end_key: self.sent.until.clone(),
                limit: limit - self.found(limit),
            }),
        };
        Command { command: Some(command) }
    }

    /// How much of a scan's limit is used up.
    fn found(&self, limit: u32) -> u32 {
        u32::try_from(self.scan.pairs.len()).unwrap_or(u32::MAX).min(limit)
    }

    /// A part of a scan is answered.
    fn gather(&mut self, end: &Bytes, limit: u32, part: &ScanResponse) -> Answer {
        self.scan.pairs.extend(part.pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())));
        // No limit is spelled 0.
        let is_full = limit != 0 && self.found(limit) == limit;
        if is_full || self.sent.until == *end {
            return Answer::Done(Outcome::Pairs(self.scan.pairs.iter().cloned().collect()));
        }
        self.scan.from = Some(self.sent.until.clone());
        Answer::More
    }

    fn executed(&mut self, request: &Request, reply: &RaftCmdResponse) -> Answer {
        if let Some(peer) = self.sent.peer {
            let key = self.position(request).clone();
            self.cache.served(&key, peer, !self.sent.replica_read);
        }
        let result = reply.responses.first().and_then(|response| response.result.as_ref());
        match (request, result) {
            (Request::Scan { end, limit, .. }, Some(response::Result::Scan(part))) => {
                self.gather(end, *limit, part)
            }
            (_, result) => result.and_then(outcome).map_or(Answer::Unknown, Answer::Done),
        }
    }
}

impl Session for RegionSession {
    type Request = RaftCmdRequest;
    type Reply = RaftCmdResponse;

    fn begin(&mut self) {
        self.scan = Scan::default();
    }

    fn store(&self, request: &Request) -> Option<u64> {
        self.cache.store(self.position(request))
    }

    fn request(&mut self, store: u64, request: &Request) -> RaftCmdRequest {
        let entry = self.cache.get(self.position(request));
        let asked = entry.and_then(|entry| Some((entry, entry.peer_on(store)?)));
        let until = match request {
            Request::Scan { end, .. } => end.clone(),
            _ => Bytes::new(),
        };
        let header = match asked {
            None => {
                self.sent = Sent { until, ..Sent::default() };
                let peer = Some(Peer { store_id: store, ..Peer::default() });
                RaftRequestHeader { peer, ..RaftRequestHeader::default() }
            }
            Some((entry, peer)) => {
                let replica_read = self.replica_reads && request.is_read() && !entry.leads(store);
                let region = &entry.region;
                let until = earlier_end(until, &region.end_key);
                let header = RaftRequestHeader {
                    region_id: region.id,
                    peer: Some(peer),
                    region_epoch: region.region_epoch,
                    term: 0,
                    replica_read,
                };
                self.sent = Sent { peer: Some(peer), replica_read, until };
                header
            }
        };
        RaftCmdRequest { header: Some(header), requests: vec![self.command(request)], admin_request: None }
    }

    fn read(&mut self, store: u64, request: &Request, reply: &RaftCmdResponse) -> Answer {
        let Some(error) = error(reply) else { return self.executed(request, reply) };
        let key = self.position(request).clone();
        // Every reason means that the command was never proposed, or that its place in the log went to another.
        match &error.reason {
            Some(Reason::NotLeader(e)) => {
                self.cache.not_leader(&key, store, e.leader);
                Answer::NotLeader { leader: e.leader.map(|peer| peer.store_id) }
            }
            Some(Reason::EpochNotMatch(e)) => {
                if self.cache.learn(&e.current_regions) {
                    Answer::Learned
                } else {
                    Answer::Refused
                }
            }
            Some(Reason::KeyNotInRegion(_)) => {
                self.cache.forget(&key);
                Answer::Learned
            }
            Some(Reason::RegionNotFound(_) | Reason::StoreNotMatch(_)) => {
                self.cache.not_leader(&key, store, None);
                Answer::Refused
            }
            Some(Reason::StaleCommand(_)) => Answer::Refused,
            // The replica may have been destroyed with the command in its log, or be another one than the client knows.
            None => {
                self.cache.forget(&key);
                Answer::Unknown
            }
        }
    }

    fn in_vain(&mut self, store: u64, request: &Request) {
        let key = self.position(request).clone();
        self.cache.in_vain(&key, store);
    }

    fn forget(&mut self, request: &Request) {
        let key = self.position(request).clone();
        self.cache.forget(&key);
    }
}

/// The end that comes first, of two ranges of which an empty one has none.
fn earlier_end(end: Bytes, other: &Bytes) -> Bytes {
    if end.is_empty() || !other.is_empty() && *other < end { other.clone() } else { end }
}

/// What came of anything but a scan.
fn outcome(result: &response::Result) -> Option<Outcome> {
    use response::Result as R;
    Some(match result {
        R::Get(r) => Outcome::Value(r.value.clone()),
        R::Put(_) | R::Delete(_) | R::Append(_) => Outcome::Done,
        R::CompareAndSet(r) => Outcome::Cas { succeeded: r.succeeded, previous: r.previous.clone() },
        R::Scan(_) | R::Snap(_) => return None,
    })
}

#[cfg(test)]
mod tests;
