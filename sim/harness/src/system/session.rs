//! How clients speak to stores: what they know of the cluster, and what requests and replies look like.

use std::fmt;

use bytes::Bytes;
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

    fn to_wire(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Request::Get { key } => out.tag(1).bytes(key),
            Request::Put { key, value } => out.tag(2).bytes(key).bytes(value),
            Request::Delete { key } => out.tag(3).bytes(key),
            Request::Append { key, suffix } => out.tag(4).bytes(key).bytes(suffix),
            Request::CompareAndSet { key, expected, value } => {
                out.tag(5).bytes(key).bytes(value).maybe(expected.as_ref())
            }
            Request::Scan { start, end, limit } => {
                out.tag(6).bytes(start).bytes(end).number(u64::from(*limit))
            }
        };
        out.0
    }

    fn from_wire(bytes: &[u8]) -> Option<Request> {
        let mut from = Reader(bytes);
        let request = match from.tag()? {
            1 => Request::Get { key: from.bytes()? },
            2 => Request::Put { key: from.bytes()?, value: from.bytes()? },
            3 => Request::Delete { key: from.bytes()? },
            4 => Request::Append { key: from.bytes()?, suffix: from.bytes()? },
            5 => {
                let (key, value) = (from.bytes()?, from.bytes()?);
                Request::CompareAndSet { key, expected: from.maybe()?, value }
            }
            6 => {
                let (start, end) = (from.bytes()?, from.bytes()?);
                Request::Scan { start, end, limit: u32::try_from(from.number()?).ok()? }
            }
            _ => return None,
        };
        from.0.is_empty().then_some(request)
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

    fn to_wire(&self) -> Vec<u8> {
        let mut out = Writer::default();
        match self {
            Answer::Done(Outcome::Done) => out.tag(1),
            Answer::Done(Outcome::Value(value)) => out.tag(2).maybe(value.as_ref()),
            Answer::Done(Outcome::Cas { succeeded, previous }) => {
                out.tag(3).number(u64::from(*succeeded)).maybe(previous.as_ref())
            }
            Answer::Done(Outcome::Pairs(pairs)) => {
                let out = out.tag(4).number(pairs.len() as u64);
                pairs.iter().fold(out, |out, (key, value)| out.bytes(key).bytes(value))
            }
            Answer::Done(Outcome::Failed) => out.tag(5),
            Answer::Done(Outcome::Unknown) => out.tag(6),
            Answer::NotLeader { leader } => out.tag(7).number(leader.unwrap_or(0)),
            Answer::Refused => out.tag(8),
            Answer::Unknown => out.tag(9),
            Answer::More => out.tag(10),
            Answer::Learned => out.tag(11),
        };
        out.0
    }

    fn from_wire(bytes: &[u8]) -> Option<Answer> {
        let mut from = Reader(bytes);
        let answer = match from.tag()? {
            1 => Answer::Done(Outcome::Done),
            2 => Answer::Done(Outcome::Value(from.maybe()?)),
            3 => {
                let succeeded = from.number()? != 0;
                Answer::Done(Outcome::Cas { succeeded, previous: from.maybe()? })
            }
            4 => {
                let count = from.number()?;
                let pairs = (0..count).map(|_| Some((from.bytes()?, from.bytes()?)));
                Answer::Done(Outcome::Pairs(pairs.collect::<Option<_>>()?))
            }
            5 => Answer::Done(Outcome::Failed),
            6 => Answer::Done(Outcome::Unknown),
            // Stores are numbered from 1.
            7 => Answer::NotLeader { leader: Some(from.number()?).filter(|leader| *leader > 0) },
            8 => Answer::Refused,
            9 => Answer::Unknown,
            10 => Answer::More,
            11 => Answer::Learned,
            _ => return None,
        };
        from.0.is_empty().then_some(answer)
    }
}

/// Writes what [`Reader`] reads: a tag, then numbers, and byte strings behind their lengths.
#[derive(Default)]
struct Writer(Vec<u8>);

impl Writer {
    fn tag(&mut self, tag: u8) -> &mut Writer {
        self.0.push(tag);
        self
    }

    fn number(&mut self, number: u64) -> &mut Writer {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        self.number(bytes.len() as u64).0.extend_from_slice(bytes);
        self
    }

    fn maybe(&mut self, bytes: Option<&Bytes>) -> &mut Writer {
        match bytes {
            Some(bytes) => self.tag(1).bytes(bytes),
            None => self.tag(0),
        }
    }
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn tag(&mut self) -> Option<u8> {
        self.0.split_off_first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Bytes::copy_from_slice(bytes))
    }

    /// `None`: cut short. `Some(None)`: it says that there is nothing.
    #[allow(clippy::option_option, reason = "cut short, absent and present are three things")]
    fn maybe(&mut self) -> Option<Option<Bytes>> {
        match self.tag()? {
            0 => Some(None),
            1 => self.bytes().map(Some),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..5).prop_map(Bytes::from)
    }

    fn requests() -> impl Strategy<Value = Request> {
        prop_oneof![
            bytes().prop_map(|key| Request::Get { key }),
            (bytes(), bytes()).prop_map(|(key, value)| Request::Put { key, value }),
            bytes().prop_map(|key| Request::Delete { key }),
            (bytes(), bytes()).prop_map(|(key, suffix)| Request::Append { key, suffix }),
            (bytes(), prop::option::of(bytes()), bytes())
                .prop_map(|(key, expected, value)| Request::CompareAndSet { key, expected, value }),
            (bytes(), bytes(), any::<u32>()).prop_map(|(start, end, limit)| Request::Scan {
                start,
                end,
                limit
            }),
        ]
    }

    fn answers() -> impl Strategy<Value = Answer> {
        let pairs = prop::collection::vec((bytes(), bytes()), 0..4);
        prop_oneof![
            Just(Answer::Done(Outcome::Done)),
            prop::option::of(bytes()).prop_map(|value| Answer::Done(Outcome::Value(value))),
            (any::<bool>(), prop::option::of(bytes()))
                .prop_map(|(succeeded, previous)| Answer::Done(Outcome::Cas { succeeded, previous })),
            pairs.prop_map(|pairs| Answer::Done(Outcome::Pairs(pairs))),
            Just(Answer::Done(Outcome::Failed)),
            Just(Answer::Done(Outcome::Unknown)),
            prop::option::of(1u64..).prop_map(|leader| Answer::NotLeader { leader }),
            Just(Answer::Refused),
            Just(Answer::Unknown),
            Just(Answer::More),
            Just(Answer::Learned),
        ]
    }

    proptest! {
        #[test]
        fn what_is_sent_is_what_comes(request in requests(), answer in answers()) {
            prop_assert_eq!(Request::from_wire(&request.to_wire()), Some(request));
            prop_assert_eq!(Answer::from_wire(&answer.to_wire()), Some(answer));
        }

        #[test]
        fn bytes_of_another_length_are_nothing(request in requests(), cut in 1usize..4) {
            let whole = request.to_wire();
            prop_assert_eq!(Request::from_wire(&whole[..whole.len().saturating_sub(cut)]), None);
            prop_assert_eq!(Request::from_wire(&[whole.as_slice(), b"x"].concat()), None);
        }
    }
}
