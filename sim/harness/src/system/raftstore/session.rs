//! How clients speak to raftstore: requests with a header that says what the client believes of the region.

use raft_proto::errorpb::error::Reason;
use raft_proto::metapb::Region;
use raft_proto::raft_cmdpb::{
    AppendRequest, CompareAndSetRequest, DeleteRequest, GetRequest, PutRequest, RaftCmdRequest,
    RaftCmdResponse, RaftRequestHeader, Request as Command, ScanRequest, request, response,
};
use raftsim_kernel::TraceHasher;

use crate::history::{Outcome, Request};
use crate::system::{Answer, Payload, Session};

/// What a client knows of the region that holds every key.
#[derive(Clone, Debug)]
pub struct RegionSession {
    region: Region,
}

impl RegionSession {
    pub(super) fn new(region: Region) -> RegionSession {
        RegionSession { region }
    }
}

impl Session for RegionSession {
    type Request = RaftCmdRequest;
    type Reply = RaftCmdResponse;

    fn request(&self, store: u64, request: &Request) -> RaftCmdRequest {
        let header = RaftRequestHeader {
            region_id: self.region.id,
            peer: self.region.peers.iter().find(|peer| peer.store_id == store).copied(),
            region_epoch: self.region.region_epoch,
            term: 0,
            replica_read: false,
        };
        RaftCmdRequest { header: Some(header), requests: vec![command(request)], admin_request: None }
    }

    fn read(&mut self, reply: &RaftCmdResponse) -> Answer {
        let Some(error) = error(reply) else {
            let outcome = reply.responses.first().and_then(|response| outcome(response.result.as_ref()));
            return outcome.map_or(Answer::Unknown, Answer::Done);
        };
        // Every reason means that the command was never proposed, or that its place in the log went to another.
        match &error.reason {
            Some(Reason::NotLeader(e)) => Answer::NotLeader { leader: e.leader.map(|peer| peer.store_id) },
            Some(Reason::EpochNotMatch(e)) => {
                if let Some(region) = e.current_regions.iter().find(|region| region.id == self.region.id) {
                    self.region = region.clone();
                }
                Answer::Refused
            }
            Some(
                Reason::RegionNotFound(_)
                | Reason::KeyNotInRegion(_)
                | Reason::StaleCommand(_)
                | Reason::StoreNotMatch(_),
            ) => Answer::Refused,
            None => Answer::Unknown,
        }
    }
}

fn command(request: &Request) -> Command {
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
        Request::Scan { start, end, limit } => {
            C::Scan(ScanRequest { cf: cf(), start_key: start, end_key: end, limit })
        }
    };
    Command { command: Some(command) }
}

fn outcome(result: Option<&response::Result>) -> Option<Outcome> {
    use response::Result as R;
    Some(match result? {
        R::Get(r) => Outcome::Value(r.value.clone()),
        R::Put(_) | R::Delete(_) | R::Append(_) => Outcome::Done,
        R::CompareAndSet(r) => Outcome::Cas { succeeded: r.succeeded, previous: r.previous.clone() },
        R::Scan(r) => {
            Outcome::Pairs(r.pairs.iter().map(|pair| (pair.key.clone(), pair.value.clone())).collect())
        }
        R::Snap(_) => return None,
    })
}

/// The error of a response.
fn error(response: &RaftCmdResponse) -> Option<&raft_proto::errorpb::Error> {
    response.header.as_ref().and_then(|header| header.error.as_ref())
}

impl Payload for RaftCmdRequest {
    fn digest(&self, hash: &mut TraceHasher) {
        for request in &self.requests {
            digest_request(request.command.as_ref(), hash);
        }
    }

    fn describe(&self) -> String {
        let command = self.requests.first().and_then(|request| request.command.as_ref());
        command.map_or_else(String::new, describe_command)
    }
}

impl Payload for RaftCmdResponse {
    fn digest(&self, hash: &mut TraceHasher) {
        // Errors are rare, so their encoding will do.
        hash.bytes(&error(self).map(prost::Message::encode_to_vec).unwrap_or_default());
        for response in &self.responses {
            digest_response(response.result.as_ref(), hash);
        }
    }

    fn describe(&self) -> String {
        let Some(error) = error(self) else { return "ok".to_owned() };
        match &error.reason {
            Some(Reason::NotLeader(e)) => e
                .leader
                .map_or("not leader".to_owned(), |leader| format!("not leader, try {}", leader.store_id)),
            Some(Reason::RegionNotFound(_)) => "region not found".to_owned(),
            Some(Reason::KeyNotInRegion(_)) => "key not in region".to_owned(),
            Some(Reason::EpochNotMatch(_)) => "epoch not match".to_owned(),
            Some(Reason::StaleCommand(_)) => "stale command".to_owned(),
            Some(Reason::StoreNotMatch(_)) => "store not match".to_owned(),
            None => error.message.clone(),
        }
    }
}

fn describe_command(command: &request::Command) -> String {
    use request::Command as C;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match command {
        C::Get(c) => format!("get {}", text(&c.key)),
        C::Put(c) => format!("put {}", text(&c.key)),
        C::Delete(c) => format!("delete {}", text(&c.key)),
        C::Append(c) => format!("append {}", text(&c.key)),
        C::CompareAndSet(c) => format!("cas {}", text(&c.key)),
        C::Scan(c) => format!("scan {}..{}", text(&c.start_key), text(&c.end_key)),
        C::Snap(_) => "snap".to_owned(),
    }
}

fn digest_request(command: Option<&request::Command>, hash: &mut TraceHasher) {
    use request::Command;
    let (tag, key, value): (u64, &[u8], &[u8]) = match command {
        None => return hash.word(0),
        Some(Command::Get(c)) => (1, &c.key, &[]),
        Some(Command::Put(c)) => (2, &c.key, &c.value),
        Some(Command::Delete(c)) => (3, &c.key, &[]),
        Some(Command::Snap(_)) => (4, &[], &[]),
        Some(Command::Scan(c)) => (5, &c.start_key, &c.end_key),
        Some(Command::Append(c)) => (6, &c.key, &c.suffix),
        Some(Command::CompareAndSet(c)) => (7, &c.key, &c.value),
    };
    hash.word(tag);
    hash.bytes(key);
    hash.bytes(value);
    match command {
        Some(Command::CompareAndSet(c)) => hash.bytes(c.expected.as_deref().unwrap_or(b"\0absent")),
        Some(Command::Scan(c)) => hash.word(c.limit.into()),
        _ => {}
    }
}

fn digest_response(result: Option<&response::Result>, hash: &mut TraceHasher) {
    use response::Result;
    match result {
        None => hash.word(0),
        Some(Result::Get(r)) => hash.bytes(r.value.as_deref().unwrap_or(b"\0absent")),
        Some(Result::Scan(r)) => r.pairs.iter().for_each(|pair| {
            hash.bytes(&pair.key);
            hash.bytes(&pair.value);
        }),
        Some(Result::CompareAndSet(r)) => {
            hash.word(u64::from(r.succeeded));
            hash.bytes(r.previous.as_deref().unwrap_or(b"\0absent"));
        }
        Some(Result::Put(_)) => hash.word(2),
        Some(Result::Delete(_)) => hash.word(3),
        Some(Result::Snap(_)) => hash.word(4),
        Some(Result::Append(_)) => hash.word(6),
    }
}
