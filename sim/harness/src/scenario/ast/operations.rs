//! What clients do: single operations and loads.

use super::{Answer, Bytes, Target};
use raftsim_kernel::Duration;

/// A client operation, or one for each key of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operate {
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub issuer: Issuer,
    /// Send to this store only and follow no redirect; singular.
    pub via: Option<Target>,
}

/// Who issues an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The scenario itself: the step ends when the operation is answered.
    Scenario {
        /// How long that may take; then it is a finding of the check `wait`.
        within: Duration,
    },
    /// The client of this number, from 1: the operation joins its queue and the step ends at once.
    Client(u32),
}

/// What a client asks for. Assertions are checked when the answer is there: findings of the check `expectation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `put`: sets each key.
    Put {
        /// The keys, in order.
        keys: Keys,
        /// Their value.
        value: String,
    },
    /// `append`: adds to the end of each key's value, so that applying it twice shows.
    Append {
        /// The keys, in order.
        keys: Keys,
        /// What is added.
        value: String,
    },
    /// `delete`: removes each key.
    Delete {
        /// The keys, in order.
        keys: Keys,
    },
    /// `get`: reads a key.
    Get {
        /// The key.
        key: String,
        /// What it must find.
        answer: Option<Answer>,
    },
    /// `cas`: sets a key if it has an expected value.
    Cas {
        /// The key.
        key: String,
        /// The expected value; `None`: the key must not exist.
        from: Option<String>,
        /// The new value.
        to: String,
        /// Whether it must succeed.
        succeeds: Option<bool>,
    },
    /// `scan`: reads keys in order.
    Scan {
        /// Which keys.
        range: ScanRange,
        /// At most this many; positive.
        limit: Option<u64>,
    },
}

/// One key, or a numbered range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One key; neither empty nor with `..` in it.
    One(String),
    /// `"k1..k50"`: `prefix` followed by each number, both ends included.
    Numbered {
        /// What stands before the number; does not end in a digit.
        prefix: String,
        /// The first number.
        first: u64,
        /// The last number, not below the first.
        last: u64,
    },
}

impl Keys {
    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let (one, numbered) = match self {
            Keys::One(key) => (Some(key.clone()), None),
            Keys::Numbered { prefix, first, last } => {
                (None, Some((*first..=*last).map(move |n| format!("{prefix}{n}"))))
            }
        };
        one.into_iter().chain(numbered.into_iter().flatten())
    }
}

/// What a scan covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanRange {
    /// `"all"`
    All,
    /// `"a..z"`: from `start` up to, but without, `end`.
    Range {
        /// The first key; not empty.
        start: String,
        /// The key to stop before; greater than `start`.
        end: String,
    },
}

/// `load`: random operations by clients in the background.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// For how long; positive.
    pub duration: Duration,
    /// How many clients take part, those numbered from 1; positive.
    pub clients: u32,
    /// Over how many keys; positive.
    pub keys: u64,
    /// How often each operation.
    pub mix: Mix,
    /// How long values are.
    pub value_size: Bytes,
    /// Stop after this many operations of all clients together; positive.
    pub ops: Option<u64>,
}

impl Load {
    /// A load with the default clients, keys and mix.
    #[must_use]
    pub fn lasting(duration: Duration) -> Load {
        Load { duration, clients: 4, keys: 16, mix: Mix::default(), value_size: Bytes::new(16), ops: None }
    }
}

/// Weights of the operations in a load; not all zero. Where a file gives `mix`, those it leaves out are zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mix {
    /// Weight of `put`.
    pub put: u32,
    /// Weight of `get`.
    pub get: u32,
    /// Weight of `append`.
    pub append: u32,
    /// Weight of `delete`.
    pub delete: u32,
    /// Weight of `cas`.
    pub cas: u32,
    /// Weight of `scan`.
    pub scan: u32,
}

impl Mix {
    /// No operation at all: where a given `mix` starts from.
    pub const ZERO: Mix = Mix { put: 0, get: 0, append: 0, delete: 0, cas: 0, scan: 0 };
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { put: 4, get: 4, append: 2, ..Mix::ZERO }
    }
}
