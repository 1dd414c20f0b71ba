//! Why the answers of a refutation have no place, in words: the values that no order explains.

use std::fmt;

use bytes::Bytes;

use super::refutation::text;
use super::{Action, CasOutcome, Operation, Refutation};

/// So many operations that made a value are named.
const NAMED: usize = 3;

impl Refutation {
    /// For each answer without a place, what speaks against it: nothing makes the value that it tells, or what makes it is
    /// overwritten before, or the other answers leave no room. A line each, for those that are shown.
    #[must_use]
    pub fn why(&self) -> Vec<String> {
        self.stuck().map(|index| self.why_not(&self.operations[index])).collect()
    }

    fn why_not(&self, operation: &Operation) -> String {
        let Some(needed) = needed(&operation.action) else {
            return format!("{}: the other answers leave no moment for it", Who(operation));
        };
        let saw = format!("{} tells of {}", Who(operation), state(needed));
        let is_maker = |other: &&Operation| {
            *other != operation && makes(&other.action, needed) && !before(operation, other)
        };
        // Absent is also what a key is before anything is done to it.
        let start = needed.is_none().then_some(None);
        let mut makers =
            start.into_iter().chain(self.operations.iter().filter(is_maker).map(Some)).peekable();
        if makers.peek().is_none() {
            return format!("{saw}, which nothing before its return makes");
        }
        let (hidden, left): (Vec<_>, Vec<_>) =
            makers.map(|maker| (maker, self.hider(maker, operation))).partition(|(_, hider)| hider.is_some());
        let name = |maker: &Option<&Operation>| {
            maker.map_or_else(|| "the start".to_owned(), |by| Who(by).to_string())
        };
        if let ([.., (maker, Some(hider))], []) = (&hidden[..], &left[..]) {
            return format!("{saw}, as {} left it; {} came in between", name(maker), Who(hider));
        }
        let named: Vec<String> = left.iter().take(NAMED).map(|(maker, _)| name(maker)).collect();
        let more = if left.len() > NAMED { " and others" } else { "" };
        format!(
            "{saw}, as {}{more} may have left it; with the other answers, never at that time",
            named.join(", ")
        )
    }

    /// A change between the two, by real time; without a maker, one after the start.
    fn hider(&self, maker: Option<&Operation>, operation: &Operation) -> Option<&Operation> {
        let comes_after = |other: &Operation| maker.is_none_or(|maker| before(maker, other));
        let mut changes = self.operations.iter().filter(|other| changes(&other.action));
        changes.find(|other| comes_after(other) && before(other, operation))
    }
}

/// Whether one returned before the other was called.
fn before(one: &Operation, other: &Operation) -> bool {
    one.ret.is_some_and(|ret| ret < other.call)
}

/// The value that an answer tells of.
fn needed(action: &Action) -> Option<Option<&Bytes>> {
    match action {
        Action::Get { value: Some(value) } => Some(value.as_ref()),
        Action::CompareAndSet { expected, outcome: Some(CasOutcome { succeeded: true, .. }), .. } => {
            Some(expected.as_ref())
        }
        Action::CompareAndSet { outcome: Some(CasOutcome { previous: Some(previous), .. }), .. } => {
            Some(previous.as_ref())
        }
        _ => None,
    }
}

/// Whether it surely changes the value, whatever that was.
fn changes(action: &Action) -> bool {
    match action {
        Action::Put { .. } | Action::Delete => true,
        Action::Append { suffix } => !suffix.is_empty(),
        Action::CompareAndSet { expected, value, outcome } => {
            outcome.as_ref().is_some_and(|outcome| outcome.succeeded) && expected.as_ref() != Some(value)
        }
        Action::Get { .. } => false,
    }
}

/// Whether it may leave this value.
fn makes(action: &Action, needed: Option<&Bytes>) -> bool {
    match (action, needed) {
        (Action::Put { value }, Some(needed)) => value == needed,
        (Action::CompareAndSet { value, outcome, .. }, Some(needed)) => {
            value == needed && outcome.as_ref().is_none_or(|outcome| outcome.succeeded)
        }
        (Action::Append { suffix }, Some(needed)) => needed.ends_with(suffix),
        (Action::Delete, None) => true,
        _ => false,
    }
}

fn state(value: Option<&Bytes>) -> String {
    value.map_or_else(|| "an absent key".to_owned(), |value| text(value))
}

/// An operation in a sentence.
struct Who<'a>(&'a Operation);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Operation { client, call, ret, action, .. } = self.0;
        write!(f, "client {client}'s {action} ({call}..")?;
        ret.map_or(Ok(()), |ret| write!(f, "{ret}"))?;
        write!(f, ")")
    }
}
