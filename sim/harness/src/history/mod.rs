//! What the clients of a run called and what they were told, as one history.
//!
//! Clients report every call and every return here, in the order in which they happen; each gets a position
//! in that one order. The history is part of the world: it is a value, and its clone shares all records with
//! it.
//!
//! A client's answer is one of four: a result; [`Outcome::Failed`], which promises that the request had no
//! effect and never will have one; [`Outcome::Unknown`], after which it may take effect at any later time; or
//! none yet. A client that takes a maybe for a failure makes the check wrong, not strict.
//!
//! The observer sees more than the clients do: when the store answered, which is when it had executed the request.
//! The history keeps that as the request's [`Place`], a hint for those who look for an order.
//!
//! [`file`](mod@file) reads and writes histories.

pub mod file;

use std::collections::BTreeSet;

use bytes::Bytes;
use im::Vector;
use raftsim_kernel::Time;

use crate::linearizability::{Action, CasOutcome, Operation, Place};

/// One request of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OpId(pub u64);

/// What a client asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Request {
    /// The value of a key.
    Get {
        /// The key.
        key: Bytes,
    },
    /// That a key has a value.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// That a key has none.
    Delete {
        /// The key.
        key: Bytes,
    },
    /// That a key's value is longer; an absent key is created.
    Append {
        /// The key.
        key: Bytes,
        /// What is added to the end of its value.
        suffix: Bytes,
    },
    /// That a key has a value, if it had the expected one.
    CompareAndSet {
        /// The key.
        key: Bytes,
        /// The value that it must have; `None` if it must have none.
        expected: Option<Bytes>,
        /// Its new value.
        value: Bytes,
    },
    /// All pairs of a range of keys, in order.
    Scan {
        /// The first key of the range.
        start: Bytes,
        /// The first key after the range; empty for a range without an end.
        end: Bytes,
        /// At most so many pairs.
        limit: u32,
    },
}

/// What a client is told in the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value that a get found.
    Value(Option<Bytes>),
    /// A put, delete or append took effect.
    Done,
    /// A compare-and-set had its chance.
    Cas {
        /// Whether it set the value.
        succeeded: bool,
        /// The value that it found.
        previous: Option<Bytes>,
    },
    /// The pairs that a scan found.
    Pairs(Vec<(Bytes, Bytes)>),
    /// It certainly had no effect and will have none.
    Failed,
    /// It may have had its effect, may have it later, or never.
    Unknown,
}

/// A moment of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The virtual time.
    pub time: Time,
    /// The position in the order of all calls and returns of the history.
    pub position: u64,
}

/// One request and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Who called.
    pub client: u64,
    /// When it called.
    pub call: Moment,
    /// When it was told the outcome, and which; `None` if it still waits.
    pub ret: Option<(Moment, Outcome)>,
    /// What it asked for.
    pub request: Request,
    /// When the store gave the answer that the client returned with, if that was seen.
    pub place: Option<Place>,
}

/// The calls and returns of all clients of a run.
#[derive(Clone, Debug, Default)]
pub struct History {
    records: Vector<Record>,
    moments: u64,
}

impl History {
    /// A history without any call.
    pub fn new() -> Self {
        History::default()
    }

    /// Records that `client` calls now.
    pub fn call(&mut self, client: u64, now: Time, request: Request) -> OpId {
        let call = self.moment(now);
        self.records.push_back(Record { client, call, ret: None, request, place: None });
        OpId(self.records.len() as u64 - 1)
    }

    /// Records that the client of `op` is told the outcome now.
    ///
    /// # Panics
    /// If `op` is not a call of this history, has returned already, or cannot have such an outcome.
    pub fn ret(&mut self, op: OpId, now: Time, outcome: Outcome) {
        let moment = self.moment(now);
        let record = self.records.get_mut(op.0 as usize).expect("an operation of another history returns");
        assert!(record.ret.is_none(), "{op:?} returns twice: {record:?}, then {outcome:?}");
        assert!(
            record.request.may_have(&outcome),
            "{:?} cannot have the outcome {outcome:?}",
            record.request
        );
        record.ret = Some((moment, outcome));
    }

    /// Tells when a store gave the answer that `op` returned with.
    ///
    /// # Panics
    /// If `op` is not a call of this history.
    pub fn placed(&mut self, op: OpId, place: Place) {
        let record =
            self.records.get_mut(op.0 as usize).expect("an operation of another history has a place");
        record.place = Some(place);
    }

    /// How many calls and returns there are.
    pub fn moments(&self) -> u64 {
        self.moments
    }

    fn moment(&mut self, time: Time) -> Moment {
        self.moments += 1;
        Moment { time, position: self.moments - 1 }
    }

    /// The record of a call; `None` if it is not one of this history.
    pub fn get(&self, op: OpId) -> Option<&Record> {
        self.records.get(op.0 as usize)
    }

    /// All records in the order of their calls.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// How many calls there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether nobody has called yet.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The history as operations on single keys, for [`crate::linearizability::check`].
    ///
    /// Requests that failed are left out. A scan counts as one read of each key in its range that the history
    /// names anywhere: of those that it returned with their values, of the others as absent. If its limit cut
    /// it, it says nothing about the keys after its last one.
    pub fn operations(&self) -> Vec<Operation> {
        let keys = if self.has_scan() { self.keys() } else { BTreeSet::new() };
        let mut operations = Vec::with_capacity(self.records.len());
        for record in &self.records {
            record.push_operations(&keys, &mut operations);
        }
        operations
    }

    fn has_scan(&self) -> bool {
        self.records.iter().any(|record| matches!(record.request, Request::Scan { .. }))
    }

    /// Every key that a request or an answer names.
    fn keys(&self) -> BTreeSet<&Bytes> {
        let mut keys = BTreeSet::new();
        for record in &self.records {
            keys.extend(record.request.key());
            if let Some((_, Outcome::Pairs(pairs))) = &record.ret {
                keys.extend(pairs.iter().map(|(key, _)| key));
            }
        }
        keys
    }
}

impl Request {
    /// The one key that it is about; a scan is about many.
    pub fn key(&self) -> Option<&Bytes> {
        match self {
            Request::Get { key }
            | Request::Put { key, .. }
            | Request::Delete { key }
            | Request::Append { key, .. }
            | Request::CompareAndSet { key, .. } => Some(key),
            Request::Scan { .. } => None,
        }
    }

    /// Whether it can change anything.
    pub fn is_read(&self) -> bool {
        matches!(self, Request::Get { .. } | Request::Scan { .. })
    }

    fn may_have(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Value(_) => matches!(self, Request::Get { .. }),
            Outcome::Done => {
                matches!(self, Request::Put { .. } | Request::Delete { .. } | Request::Append { .. })
            }
            Outcome::Cas { .. } => matches!(self, Request::CompareAndSet { .. }),
            Outcome::Pairs(_) => matches!(self, Request::Scan { .. }),
            Outcome::Failed | Outcome::Unknown => true,
        }
    }
}

impl Record {
    fn push_operations(&self, keys: &BTreeSet<&Bytes>, into: &mut Vec<Operation>) {
        let outcome = self.ret.as_ref().map(|(_, outcome)| outcome);
        let action = match (&self.request, outcome) {
            (_, Some(Outcome::Failed)) => return,
            (Request::Scan { start, end, limit }, Some(Outcome::Pairs(pairs))) => {
                // No limit is spelled 0.
                let cut = *limit != 0 && pairs.len() >= *limit as usize;
                return self.push_reads(keys, start, end, cut, pairs, into);
            }
            (Request::Scan { .. }, _) => return,
            (Request::Get { .. }, Some(Outcome::Value(value))) => Action::Get { value: Some(value.clone()) },
            (Request::Get { .. }, _) => return,
            (Request::Put { value, .. }, _) => Action::Put { value: value.clone() },
            (Request::Delete { .. }, _) => Action::Delete,
            (Request::Append { suffix, .. }, _) => Action::Append { suffix: suffix.clone() },
            (Request::CompareAndSet { expected, value, .. }, _) => {
                let outcome = match outcome {
                    Some(Outcome::Cas { succeeded, previous }) => {
                        Some(CasOutcome { succeeded: *succeeded, previous: Some(previous.clone()) })
                    }
                    _ => None,
                };
                Action::CompareAndSet { expected: expected.clone(), value: value.clone(), outcome }
            }
        };
        let key = self.request.key().expect("a scan has returned above, all others have one key");
        into.push(self.operation(key, action));
    }

    /// A scan's reads, of one moment each.
    fn push_reads(
        &self,
        keys: &BTreeSet<&Bytes>,
        start: &Bytes,
        end: &Bytes,
        cut: bool,
        pairs: &[(Bytes, Bytes)],
        into: &mut Vec<Operation>,
    ) {
        let returned: BTreeSet<&Bytes> = pairs.iter().map(|(key, _)| key).collect();
        let read = |key: &Bytes, value: Option<&Bytes>| {
            self.operation(key, Action::Get { value: Some(value.cloned()) })
        };
        into.extend(pairs.iter().map(|(key, value)| read(key, Some(value))));
        let last = returned.last().copied();
        let asked = |key: &&Bytes| (end.is_empty() || *key < end) && (!cut || Some(*key) <= last);
        let absent =
            keys.range::<&Bytes, _>(start..).copied().take_while(asked).filter(|key| !returned.contains(key));
        into.extend(absent.map(|key| read(key, None)));
    }

    fn operation(&self, key: &Bytes, action: Action) -> Operation {
        let ret = match &self.ret {
            Some((_, Outcome::Unknown)) | None => None,
            Some((moment, _)) => Some(moment.position),
        };
        let (client, call, place) = (self.client, self.call.position, self.place);
        Operation { client, call, ret, key: key.clone(), action, place }
    }
}

#[cfg(test)]
mod tests;
