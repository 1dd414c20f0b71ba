//! How clients speak to stores: what they know of the cluster, and what requests and replies look like.

use std::fmt;

use raftsim_kernel::TraceHasher;

use super::Payload;
use crate::history::{Outcome, Request};

/// One client's side of the protocol: what it knows of the cluster, and how it speaks to it.
///
/// Retries, timeouts, hints and the search where nothing is known are the client's own. A session knows which stores
/// may serve a request, turns requests into what the system understands, and replies into what they mean. An
/// operation may take several requests, one after the other: a scan over regions does. The client asks for one thing
/// at a time.
pub trait Session: Clone + fmt::Debug {
    /// What is sent to a store.
    type Request: Payload;
    /// What a store answers.
    type Reply: Payload;

    /// A client calls: what was gathered for an operation before this one counts no more.
    fn begin(&mut self) {}

    /// The store that is likeliest to serve what comes next of the operation; `None` if there is none that is likelier
    /// than others. It must not give the same stores over and over while they are asked [in vain](Session::in_vain).
    fn store(&self, _request: &Request) -> Option<u64> {
        None
    }

    /// What to send to this store next.
    fn request(&mut self, store: u64, request: &Request) -> Self::Request;

    /// What this store's reply to the last [`request`](Session::request) means; the session learns from it.
    fn read(&mut self, store: u64, request: &Request, reply: &Self::Reply) -> Answer;

    /// This store did not serve what was asked for last, or did not answer in time.
    fn in_vain(&mut self, _store: u64, _request: &Request) {}

    /// What is known of where the request would be served is of no use.
    fn forget(&mut self, _request: &Request) {}
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was executed, and this came of it.
    Done(Outcome),
    /// Its part of the operation was executed; the operation has another.
    More,
    /// It was not executed and never will be: the store does not lead, and may know who does.
    NotLeader {
        /// The leader's store.
        leader: Option<u64>,
    },
    /// It was not executed and never will be: the client was wrong about the cluster, and knows better now.
    Learned,
    /// It was not executed and never will be, for another reason.
    Refused,
    /// Nobody can tell whether it was executed or will be.
    Unknown,
}

/// The session of a system without a client protocol of its own: requests and answers travel as they are.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainSession;

impl Session for PlainSession {
    type Request = Request;
    type Reply = Answer;

    fn request(&mut self, _: u64, request: &Request) -> Request {
        request.clone()
    }

    fn read(&mut self, _: u64, _: &Request, reply: &Answer) -> Answer {
        reply.clone()
    }
}

impl Payload for Request {
    fn digest(&self, hash: &mut TraceHasher) {
        match self {
            Request::Get { key } => digest(hash, 1, key, &[]),
            Request::Put { key, value } => digest(hash, 2, key, value),
            Request::Delete { key } => digest(hash, 3, key, &[]),
            Request::Append { key, suffix } => digest(hash, 4, key, suffix),
            Request::CompareAndSet { key, expected, value } => {
                digest(hash, 5, key, value);
                hash.bytes(expected.as_deref().unwrap_or(b"\0absent"));
            }
            Request::Scan { start, end, limit } => {
                digest(hash, 6, start, end);
                hash.word(u64::from(*limit));
            }
        }
    }

    fn describe(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match self {
            Request::Get { key } => format!("get {}", text(key)),
            Request::Put { key, .. } => format!("put {}", text(key)),
            Request::Delete { key } => format!("delete {}", text(key)),
            Request::Append { key, .. } => format!("append {}", text(key)),
            Request::CompareAndSet { key, .. } => format!("cas {}", text(key)),
            Request::Scan { start, end, .. } => format!("scan {}..{}", text(start), text(end)),
        }
    }
}

fn digest(hash: &mut TraceHasher, tag: u64, one: &[u8], other: &[u8]) {
    hash.word(tag);
    hash.bytes(one);
    hash.bytes(other);
}

impl Payload for Answer {
    fn digest(&self, hash: &mut TraceHasher) {
        match self {
            Answer::Done(Outcome::Done) => hash.word(1),
            Answer::Done(Outcome::Value(value)) => {
                digest(hash, 2, value.as_deref().unwrap_or(b"\0absent"), &[])
            }
            Answer::Done(Outcome::Cas { succeeded, previous }) => {
                let previous = previous.as_deref().unwrap_or(b"\0absent");
                digest(hash, 3 + u64::from(*succeeded), previous, &[]);
            }
            Answer::Done(Outcome::Pairs(pairs)) => {
                hash.word(5);
                pairs.iter().for_each(|(key, value)| digest(hash, 0, key, value));
            }
            Answer::Done(Outcome::Failed) => hash.word(6),
            Answer::Done(Outcome::Unknown) => hash.word(7),
            Answer::NotLeader { leader } => hash.word(8 | leader.map_or(0, |leader| leader << 8)),
            Answer::Refused => hash.word(9),
            Answer::Unknown => hash.word(10),
            Answer::More => hash.word(11),
            Answer::Learned => hash.word(12),
        }
    }

    fn describe(&self) -> String {
        match self {
            Answer::Done(_) | Answer::More => "ok".to_owned(),
            Answer::NotLeader { leader: Some(leader) } => format!("not leader, try {leader}"),
            Answer::NotLeader { leader: None } => "not leader".to_owned(),
            Answer::Refused | Answer::Learned => "refused".to_owned(),
            Answer::Unknown => "unknown".to_owned(),
        }
    }
}
