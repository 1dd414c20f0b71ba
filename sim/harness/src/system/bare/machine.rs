//! The state machine: an ordered map of keys, changed by commands from the log and nothing else.
//!
//! It is in memory and persistent: a clone costs nothing, so a snapshot can be taken at one moment and written at another.
//! The same commands in the same order give the same map, on any replica; a command is executed whether anybody waits for
//! its outcome or not.

use std::ops::Bound;

use bytes::{Buf, BufMut, Bytes};
use im::OrdMap;
use raftsim_kernel::Key;

use crate::history::{Outcome, Request};

/// Bytes that no command or snapshot has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes are damaged")]
pub(super) struct Damaged;

/// The state machine.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Machine {
    pairs: OrdMap<Key, Bytes>,
}

const GET: u8 = 1;
const PUT: u8 = 2;
const DELETE: u8 = 3;
const APPEND: u8 = 4;
const SET_IF_ABSENT: u8 = 5;
const SET_IF_EQUAL: u8 = 6;
const SCAN: u8 = 7;

/// A request as the data of a log entry: what it is, then its parts, each after its length but the last.
pub(super) fn encode(request: &Request) -> Bytes {
    let (tag, first, second, last): (u8, &[u8], Option<&[u8]>, &[u8]) = match request {
        Request::Get { key } => (GET, key, None, &[]),
        Request::Put { key, value } => (PUT, key, None, value),
        Request::Delete { key } => (DELETE, key, None, &[]),
        Request::Append { key, suffix } => (APPEND, key, None, suffix),
        Request::CompareAndSet { key, expected: None, value } => (SET_IF_ABSENT, key, None, value),
        Request::CompareAndSet { key, expected: Some(old), value } => (SET_IF_EQUAL, key, Some(old), value),
        Request::Scan { start, end, limit } => (SCAN, start, Some(end), &limit.to_le_bytes()),
    };
    let room = 1 + 4 + first.len() + second.map_or(0, |second| 4 + second.len()) + last.len();
    let mut data = Vec::with_capacity(room);
    data.push(tag);
    put_part(&mut data, first);
    if let Some(second) = second {
        put_part(&mut data, second);
    }
    data.extend_from_slice(last);
    data.into()
}

fn put_part(data: &mut Vec<u8>, part: &[u8]) {
    // What a client sends fits many times into 4 GiB.
    data.put_u32_le(u32::try_from(part.len()).unwrap_or(u32::MAX));
    data.extend_from_slice(part);
}

/// Takes the next part off the front.
fn take_part(data: &mut Bytes) -> Result<Bytes, Damaged> {
    let length = data.try_get_u32_le().map_err(|_| Damaged)? as usize;
    if length > data.len() { Err(Damaged) } else { Ok(data.split_to(length)) }
}

impl Machine {
    /// Executes what [`encode`] made.
    pub(super) fn apply(&mut self, mut data: Bytes) -> Result<Outcome, Damaged> {
        let tag = data.try_get_u8().map_err(|_| Damaged)?;
        let first = take_part(&mut data)?;
        Ok(match tag {
            GET => Outcome::Value(self.get(&first).cloned()),
            PUT => {
                self.pairs.insert(Key::from(&first[..]), data);
                Outcome::Done
            }
            DELETE => {
                self.pairs.remove(&Key::from(&first[..]));
                Outcome::Done
            }
            APPEND => {
                let value = self.pairs.entry(Key::from(&first[..])).or_default();
                *value = [&value[..], &data].concat().into();
                Outcome::Done
            }
            SET_IF_ABSENT => self.compare_and_set(&first, None, data),
            SET_IF_EQUAL => {
                let expected = take_part(&mut data)?;
                self.compare_and_set(&first, Some(&expected), data)
            }
            SCAN => {
                let end = take_part(&mut data)?;
                self.scan(&first, &end, data.try_get_u32_le().map_err(|_| Damaged)?)
            }
            _ => return Err(Damaged),
        })
    }

    /// What a request finds that only reads; `None` for one that writes.
    pub(super) fn read(&self, request: &Request) -> Option<Outcome> {
        match request {
            Request::Get { key } => Some(Outcome::Value(self.get(key).cloned())),
            Request::Scan { start, end, limit } => Some(self.scan(start, end, *limit)),
            _ => None,
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Bytes> {
        self.pairs.get(&Key::from(key))
    }

    /// All keys and values in the order of the keys.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&[u8], &Bytes)> {
        self.pairs.iter().map(|(key, value)| (key.as_bytes(), value))
    }

    /// Bytes of all keys and values. Looks at all of them.
    pub(super) fn size(&self) -> u64 {
        self.pairs().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn compare_and_set(&mut self, key: &[u8], expected: Option<&Bytes>, value: Bytes) -> Outcome {
        let previous = self.get(key).cloned();
        let succeeded = previous.as_ref() == expected;
        if succeeded {
            self.pairs.insert(Key::from(key), value);
        }
        Outcome::Cas { succeeded, previous }
    }

    fn scan(&self, start: &[u8], end: &[u8], limit: u32) -> Outcome {
        if !end.is_empty() && end <= start {
            return Outcome::Pairs(Vec::new());
        }
        let until = if end.is_empty() { Bound::Unbounded } else { Bound::Excluded(Key::from(end)) };
        let limit = if limit == 0 { usize::MAX } else { limit as usize };
        let pairs = self.pairs.range((Bound::Included(Key::from(start)), until)).take(limit);
        Outcome::Pairs(pairs.map(|(key, value)| (Bytes::copy_from_slice(key), value.clone())).collect())
    }

    /// The data of a snapshot: keys and values in order, each after its length.
    pub(super) fn encode(&self) -> Bytes {
        let room = self.pairs().map(|(key, value)| 8 + key.len() + value.len()).sum();
        let mut data = Vec::with_capacity(room);
        for (key, value) in self.pairs() {
            put_part(&mut data, key);
            put_part(&mut data, value);
        }
        data.into()
    }

    /// The machine of which [`encode`](Machine::encode) made this.
    pub(super) fn decode(mut data: Bytes) -> Result<Machine, Damaged> {
        let mut pairs = OrdMap::new();
        while data.has_remaining() {
            let key = take_part(&mut data)?;
            pairs.insert(Key::from(&key[..]), take_part(&mut data)?);
        }
        Ok(Machine { pairs })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    /// Few keys and values, so that they meet.
    fn text() -> impl Strategy<Value = Bytes> {
        vec(0..3u8, 0..3).prop_map(Bytes::from)
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            text().prop_map(|key| Request::Get { key }),
            (text(), text()).prop_map(|(key, value)| Request::Put { key, value }),
            text().prop_map(|key| Request::Delete { key }),
            (text(), text()).prop_map(|(key, suffix)| Request::Append { key, suffix }),
            (text(), proptest::option::of(text()), text())
                .prop_map(|(key, expected, value)| Request::CompareAndSet { key, expected, value }),
            (text(), text(), 0..4u32).prop_map(|(start, end, limit)| Request::Scan { start, end, limit }),
        ]
    }

    /// The same on a plain map.
    fn model(map: &mut BTreeMap<Bytes, Bytes>, request: &Request) -> Outcome {
        match request.clone() {
            Request::Get { key } => Outcome::Value(map.get(&key).cloned()),
            Request::Put { key, value } => {
                map.insert(key, value);
                Outcome::Done
            }
            Request::Delete { key } => {
                map.remove(&key);
                Outcome::Done
            }
            Request::Append { key, suffix } => {
                let old = map.remove(&key).unwrap_or_default();
                map.insert(key, [old, suffix].concat().into());
                Outcome::Done
            }
            Request::CompareAndSet { key, expected, value } => {
                let previous = map.get(&key).cloned();
                let succeeded = previous == expected;
                if succeeded {
                    map.insert(key, value);
                }
                Outcome::Cas { succeeded, previous }
            }
            Request::Scan { start, end, limit } => {
                let inside = map.iter().filter(|(key, _)| **key >= start && (end.is_empty() || **key < end));
                let limit = if limit == 0 { usize::MAX } else { limit as usize };
                Outcome::Pairs(inside.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
            }
        }
    }

    proptest! {
        #[test]
        fn commands_do_what_they_do_to_a_plain_map(requests in vec(request(), 0..40)) {
            let (mut machine, mut map) = (Machine::default(), BTreeMap::new());
            for request in &requests {
                let read = machine.read(request);
                let outcome = machine.apply(encode(request)).expect("it was encoded");
                prop_assert_eq!(&outcome, &model(&mut map, request));
                prop_assert!(read.is_none_or(|read| read == outcome));
            }
            let pairs: Vec<_> = machine.pairs().map(|(k, v)| (Bytes::copy_from_slice(k), v.clone())).collect();
            prop_assert_eq!(pairs, map.into_iter().collect::<Vec<_>>());
            prop_assert_eq!(Machine::decode(machine.encode()), Ok(machine));
        }

        #[test]
        fn damaged_bytes_do_no_harm(bytes: Vec<u8>) {
            let _ = Machine::default().apply(bytes.clone().into());
            let _ = Machine::decode(bytes.into());
        }
    }
}
