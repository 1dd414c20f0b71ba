//! One key's history, prepared for the search: values as numbers, calls and returns as one list of events,
//! and the operations without an answer apart from those with one.

use super::values::{ValueId, Values};
use super::{Action, CasOutcome, Operation};

/// What an operation does and what it must have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Saw exactly this value.
    Get(ValueId),
    /// Sets the value; to absent, if it is a delete.
    Put(ValueId),
    /// Adds this suffix.
    Append(ValueId),
    /// Saw `expected` and replaced it.
    Swap { expected: ValueId, value: ValueId },
    /// Saw another value than `expected`: this one, if the answer told it.
    Refused { expected: ValueId, previous: Option<ValueId> },
    /// Replaced `expected` if it was there; the answer does not say.
    MaybeSwap { expected: ValueId, value: ValueId },
    /// Has an answer that contradicts itself.
    Never,
}

impl Step {
    /// Overwrites whatever value was there without a look at it.
    pub(super) fn is_blind(self) -> bool {
        matches!(self, Step::Put(_))
    }

    /// Can be placed only where the key has one certain value, or nowhere.
    pub(super) fn is_observer(self) -> bool {
        self.needed().is_some() || self == Step::Never
    }

    /// The one value that it can be placed at.
    pub(super) fn needed(self) -> Option<ValueId> {
        match self {
            Step::Get(value) => Some(value),
            Step::Swap { expected, .. } => Some(expected),
            Step::Refused { previous, .. } => previous,
            Step::Put(_) | Step::Append(_) | Step::MaybeSwap { .. } | Step::Never => None,
        }
    }

    /// Tells something about the value that is less than what it is.
    fn is_vague(self) -> bool {
        matches!(self, Step::Refused { previous: None, .. } | Step::MaybeSwap { .. })
    }

    /// The value that this operation can tell from others.
    fn observed(self) -> Option<ValueId> {
        match self {
            Step::MaybeSwap { expected, .. } | Step::Refused { expected, previous: None } => Some(expected),
            _ => self.needed(),
        }
    }

    /// The same, with one value for all that nobody can tell apart.
    fn with_unseen(self, values: &mut Values) -> Step {
        match self {
            Step::Put(value) => Step::Put(values.or_unseen(value)),
            Step::Swap { expected, value } => Step::Swap { expected, value: values.or_unseen(value) },
            Step::MaybeSwap { expected, value } => {
                Step::MaybeSwap { expected, value: values.or_unseen(value) }
            }
            Step::Get(_) | Step::Append(_) | Step::Refused { .. } | Step::Never => self,
        }
    }
}

/// A call or a return of an answered operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    /// Its position in the history.
    pub(super) at: u64,
    /// Which answered operation.
    pub(super) op: u32,
    /// A return, not a call.
    pub(super) is_return: bool,
}

/// An operation without an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    pub(super) step: Step,
    pub(super) call: u64,
    /// The last open operation before that does the same. Of twins the elder goes first: it could always
    /// have taken the younger's place.
    pub(super) elder: Option<u32>,
}

/// One key's history.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    pub(super) values: Values,
    /// The answered operations in the order of their calls.
    pub(super) answered: Vec<Step>,
    /// Their calls and returns in order.
    pub(super) events: Vec<Event>,
    /// The open operations in the order of their calls.
    pub(super) open: Vec<Open>,
    /// Whether some answer may depend on a value that it does not tell, so that even an unseen one matters.
    pub(super) vague: bool,
    /// Where in the history that was given the answered operations are, and the open ones.
    pub(super) answered_from: Vec<usize>,
    pub(super) open_from: Vec<usize>,
}

impl Problem {
    /// Prepares the operations on one key, given in the order of their calls.
    pub(super) fn new(history: &[&Operation]) -> Self {
        let mut problem = Problem {
            values: Values::new(),
            answered: Vec::with_capacity(history.len()),
            events: Vec::with_capacity(history.len() * 2),
            open: Vec::new(),
            vague: false,
            answered_from: Vec::with_capacity(history.len()),
            open_from: Vec::new(),
        };
        for (index, operation) in history.iter().enumerate() {
            problem.add(index, operation);
        }
        // At one position calls come first: operations that touch count as overlapping.
        problem.events.sort_unstable_by_key(|event| (event.at, event.is_return, event.op));
        problem.vague = problem.answered.iter().any(|step| step.is_vague());
        problem.set_observed();
        problem
    }

    fn set_observed(&mut self) {
        let Problem { values, answered, open, .. } = self;
        let steps = || answered.iter().copied().chain(open.iter().map(|open| open.step));
        values.observe(steps().filter_map(Step::observed).collect());
        let steps = answered.iter_mut().chain(open.iter_mut().map(|open| &mut open.step));
        steps.for_each(|step| *step = step.with_unseen(values));
    }

    fn add(&mut self, index: usize, operation: &Operation) {
        let Some(step) = step(&mut self.values, &operation.action, operation.ret.is_some()) else {
            return;
        };
        match operation.ret {
            Some(ret) => {
                let op = self.answered.len() as u32;
                self.answered.push(step);
                self.answered_from.push(index);
                self.events.push(Event { at: operation.call, op, is_return: false });
                self.events.push(Event { at: ret, op, is_return: true });
            }
            None => {
                let elder = self.open.iter().rposition(|open| open.step == step).map(|index| index as u32);
                self.open.push(Open { step, call: operation.call, elder });
                self.open_from.push(index);
            }
        }
    }
}

/// The step that an action is; `None` for a read that nobody knows the answer of.
fn step(values: &mut Values, action: &Action, answered: bool) -> Option<Step> {
    Some(match action {
        Action::Get { value: Some(value) } if answered => Step::Get(values.intern(value.as_ref())),
        Action::Get { .. } => return None,
        Action::Put { value } => Step::Put(values.intern(Some(value))),
        Action::Delete => Step::Put(ValueId::ABSENT),
        Action::Append { suffix } => Step::Append(values.intern(Some(suffix))),
        Action::CompareAndSet { expected, value, outcome } => {
            let expected = values.intern(expected.as_ref());
            let value = values.intern(Some(value));
            let outcome = outcome.as_ref().filter(|_| answered);
            let Some(CasOutcome { succeeded, previous }) = outcome else {
                return Some(Step::MaybeSwap { expected, value });
            };
            let previous = previous.as_ref().map(|previous| values.intern(previous.as_ref()));
            match (*succeeded, previous) {
                (true, Some(previous)) if previous != expected => Step::Never,
                (true, _) => Step::Swap { expected, value },
                (false, Some(previous)) if previous == expected => Step::Never,
                (false, _) => Step::Refused { expected, previous },
            }
        }
    })
}
