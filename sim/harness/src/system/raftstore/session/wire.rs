//! Requests and replies as they travel: their digests for the trace hash, and their words for people.

use std::iter;

use raft_proto::errorpb::error::Reason;
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse, request, response};
use raftsim_kernel::TraceHasher;

use crate::system::{FIRST_REGION, Payload};

/// The error of a response.
pub(super) fn error(response: &RaftCmdResponse) -> Option<&raft_proto::errorpb::Error> {
    response.header.as_ref().and_then(|header| header.error.as_ref())
}

impl Payload for RaftCmdRequest {
    fn digest(&self, hash: &mut TraceHasher) {
        if let Some(header) = &self.header {
            let epoch = header.region_epoch.unwrap_or_default();
            let peer = header.peer.map_or(0, |peer| peer.id);
            for word in [header.region_id, epoch.version, peer << 1 | u64::from(header.replica_read)] {
                hash.word(word);
            }
        }
        for request in &self.requests {
            digest_request(request.command.as_ref(), hash);
        }
    }

    fn describe(&self) -> String {
        let command = self.requests.first().and_then(|request| request.command.as_ref());
        let header = self.header.unwrap_or_default();
        let what = command.map_or_else(String::new, describe_command);
        let place = match header.region_id {
            0 => " in r?".to_owned(),
            FIRST_REGION => String::new(),
            region => format!(" in r{region}"),
        };
        format!("{what}{place}{}", if header.replica_read { " at a replica" } else { "" })
    }

    fn to_wire(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        prost::Message::decode(bytes).ok()
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
            Some(Reason::EpochNotMatch(e)) => {
                let regions = e.current_regions.iter().map(|region| {
                    let version = region.region_epoch.unwrap_or_default().version;
                    format!(", r{} v{version}", region.id)
                });
                iter::once("epoch not match".to_owned()).chain(regions).collect()
            }
            Some(Reason::StaleCommand(_)) => "stale command".to_owned(),
            Some(Reason::StoreNotMatch(_)) => "store not match".to_owned(),
            None => error.message.clone(),
        }
    }

    fn to_wire(&self) -> Vec<u8> {
        prost::Message::encode_to_vec(self)
    }

    fn from_wire(bytes: &[u8]) -> Option<Self> {
        prost::Message::decode(bytes).ok()
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
