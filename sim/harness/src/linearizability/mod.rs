//! Is a history of client operations linearizable? (Herlihy and Wing, 1990.)
//!
//! A history is linearizable if every answered operation can be given one moment between its call and its
//! return at which it takes effect, so that in the order of those moments a plain map gives the answers that
//! the clients saw. An operation that never got an answer may take effect at any moment after its call, or
//! never.
//!
//! **Method.** Linearizability is local, so each key is checked on its own, in tiers ([`judge`]):
//! 1. The simulator knows in which order the stores executed what they answered. If that order explains the
//!    answers, all is well: `order.rs`, [`order`].
//! 2. If not, the key's history goes through the search of Wing and Gong with Lowe's memory of configurations
//!    already seen ("Testing for linearizability", 2017): `search.rs`, [`check`].
//! 3. Where the search has no answer in time, the key is counted as unknown.
//!
//! Values are small integers in all that: `values.rs`.
//!
//! **Promises.** The verdict is exact whenever it is not [`Verdict::Unknown`]: no hash collision can make two
//! configurations one, and a search that runs out of its [`Budget`] is never a pass. Whatever the places of
//! operations are, they change who decides, and never to what. The same operations and the same budget give the
//! same verdict, on every machine. A violation comes with the shortest prefix of the key's history that already
//! fails, found in no more time and memory than the budget has for a key.
//!
//! **Not covered.** Operations on several keys at once: a scan is checked as one read a key, each with a
//! moment of its own.

mod bits;
mod memo;
mod order;
mod problem;
mod refutation;
mod search;
mod supply;
mod table;
mod values;
mod why;

use std::collections::BTreeMap;

use bytes::Bytes;

use problem::Problem;
pub use refutation::Refutation;
use search::{Found, Search};

/// One operation of a client on one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who called; for reports only.
    pub client: u64,
    /// The position of the call in the one order of all calls and returns.
    pub call: u64,
    /// The position of the return, later than `call`; `None` if no answer ever came.
    pub ret: Option<u64>,
    /// The key that it is about.
    pub key: Bytes,
    /// What it does, and what the client was told.
    pub action: Action,
    /// Where it stands in the order in which the stores executed what they answered, if anybody saw that. A guess:
    /// right ones spare a search, and wrong ones cost one.
    pub place: Option<Place>,
}

/// A moment at which a store answered, in the order of all calls, returns and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// How many calls and returns there were before.
    pub after: u64,
    /// A number that is larger for each later answer.
    pub number: u64,
}

/// What an operation does to its key, and the answer to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Reads the value.
    Get {
        /// What was read: `Some(None)` where the key was absent; `None` if the answer is not known.
        value: Option<Option<Bytes>>,
    },
    /// Sets the value.
    Put {
        /// The value from now on.
        value: Bytes,
    },
    /// Makes the key absent.
    Delete,
    /// Adds to the end of the value; on an absent key, creates it.
    Append {
        /// What is added.
        suffix: Bytes,
    },
    /// Sets the value if it is the expected one.
    CompareAndSet {
        /// The value that it must have: `None` where the key must be absent.
        expected: Option<Bytes>,
        /// The value from then on.
        value: Bytes,
        /// How it went; `None` if that is not known.
        outcome: Option<CasOutcome>,
    },
}

/// The answer to a compare-and-set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CasOutcome {
    /// Whether the value was set.
    pub succeeded: bool,
    /// The value before, where the answer tells it: `Some(None)` where the key was absent.
    pub previous: Option<Option<Bytes>>,
}

/// How many search steps a check may take. A step is one operation tried in one configuration, one comparison
/// with a remembered configuration, or 64 bytes of memory for one: some 20 ns, and at most 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// For all keys together.
    pub total: u64,
    /// For any one key, so that a hard one leaves the others their share.
    pub per_key: u64,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { total: 50_000_000, per_key: 10_000_000 }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// An order exists for every key.
    Linearizable,
    /// No order exists for one key, whatever the others are.
    Violation(Refutation),
    /// The budget ended before an answer, on this key first; no key has a violation that was found.
    Unknown {
        /// The first key without an answer, in the order of keys.
        key: Bytes,
        /// Steps spent on it.
        explored: u64,
    },
}

/// How many keys each tier decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// The order in which the stores answered explains all answers.
    pub by_order: u64,
    /// A search found an order, or that there is none.
    pub by_search: u64,
    /// Nobody knows.
    pub unknown: u64,
}

/// A verdict and how it came about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// Who decided. Of keys after one with a violation nothing is known, and nothing counted.
    pub decided: Decided,
}

/// Judges a history, given in any order, tier by tier.
///
/// Operations on the same key should have distinct positions; where a call and a return share one, they count
/// as overlapping, which forbids less.
///
/// # Panics
/// If an operation returns before it is called.
pub fn judge(operations: &[Operation], budget: Budget) -> Judged {
    decide(operations, budget, order::accepts)
}

/// The second tier alone: as [`judge`], by search, whatever places the operations have.
///
/// # Panics
/// If an operation returns before it is called.
pub fn check(operations: &[Operation], budget: Budget) -> Verdict {
    decide(operations, budget, |_, _| false).verdict
}

/// The first tier alone: whether a guess at the order is an order, for each key. `true` means that the history is
/// linearizable; `false` means nothing.
///
/// # Panics
/// If an operation returns before it is called.
pub fn order(operations: &[Operation]) -> bool {
    by_key(operations).values().all(|history| order::accepts(history, &mut Problem::new(history)))
}

fn decide(
    operations: &[Operation],
    budget: Budget,
    accepts: impl Fn(&[&Operation], &mut Problem) -> bool,
) -> Judged {
    let (mut left, mut decided, mut unknown) = (budget.total, Decided::default(), None);
    for (key, history) in by_key(operations) {
        let limit = left.min(budget.per_key);
        let mut problem = Problem::new(&history);
        if accepts(&history, &mut problem) {
            decided.by_order += 1;
            continue;
        }
        let mut search = Search::new(&mut problem);
        let found = search.run(limit);
        let (steps, reached) = (search.steps(), search.reached());
        match found {
            Found::Order => decided.by_search += 1,
            Found::NoOrder => {
                decided.by_search += 1;
                // What the search remembers is of no more use, and a refutation needs the room.
                drop(search);
                drop(problem);
                let verdict = Verdict::Violation(refutation::refute(&history, reached, limit));
                return Judged { verdict, decided };
            }
            Found::OutOfSteps => {
                decided.unknown += 1;
                unknown.get_or_insert(Verdict::Unknown { key: key.clone(), explored: steps });
            }
        }
        left = left.saturating_sub(steps);
    }
    Judged { verdict: unknown.unwrap_or(Verdict::Linearizable), decided }
}

/// The operations that say or change something, by key, each key's in the order of calls.
fn by_key(operations: &[Operation]) -> BTreeMap<&Bytes, Vec<&Operation>> {
    let mut keys: BTreeMap<&Bytes, Vec<&Operation>> = BTreeMap::new();
    for operation in operations {
        assert!(
            operation.ret.is_none_or(|ret| operation.call < ret),
            "an operation returns before it is called: {operation:?}"
        );
        if operation.matters() {
            keys.entry(&operation.key).or_default().push(operation);
        }
    }
    for history in keys.values_mut() {
        history.sort_by_key(|operation| operation.call);
    }
    keys
}

impl Operation {
    /// Whether any order could be wrong because of it: a read without an answer constrains nothing.
    fn matters(&self) -> bool {
        match &self.action {
            Action::Get { value } => value.is_some() && self.ret.is_some(),
            _ => true,
        }
    }
}
