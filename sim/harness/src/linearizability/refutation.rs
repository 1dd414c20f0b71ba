//! What a person needs to believe that a history is not linearizable: as little of it as possible, and how
//! far one gets.
//!
//! A prefix of a linearizable history is linearizable, so there is a first return that makes a history fail,
//! and it is found by bisection. What was called before that return and not answered is left without an
//! answer.

use std::fmt;

use bytes::Bytes;

use super::problem::Problem;
use super::search::{Found, Op, Search};
use super::{Action, CasOutcome, Operation};

/// Why one key's history is not linearizable. Its [`Display`](fmt::Display) is a table with a time line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refutation {
    /// The key.
    pub key: Bytes,
    /// The shortest prefix of the key's history that fails, in the order of calls. (Not always the shortest
    /// if the budget ends while it is sought; failing always.) Reads without an answer are left out.
    pub operations: Vec<Operation>,
    /// The order that came furthest into the prefix, as indices of `operations`.
    pub order: Vec<usize>,
    /// The value after that order; `None` if the key is absent then.
    pub value: Option<Bytes>,
    /// The answered operations that could not be placed in that order, as indices of `operations`.
    pub unplaced: Vec<usize>,
}

/// Explains a history in which a search with `limit` steps found no order. Before the position `reached`, it
/// has one. This takes about `limit` steps more.
pub(super) fn refute(history: &[&Operation], reached: u64, limit: u64) -> Refutation {
    let mut left = limit;
    let mut ends: Vec<u64> = history.iter().filter_map(|operation| operation.ret).collect();
    ends.sort_unstable();
    ends.dedup();
    // The first failing end is in `first..=last`, and that at `last` is known to fail.
    let mut first = ends.partition_point(|&end| end < reached);
    let mut last = ends.len() - 1;
    // Most often the return that the search could not pass is the one.
    let mut probe = first;
    while first < last {
        // Half of what is left for each, so that one that is hard leaves something to those after it.
        let (fails, steps) = fails(&prefix(history, ends[probe]), left / 2);
        left -= steps.min(left);
        if fails {
            last = probe;
        } else {
            first = probe + 1;
        }
        probe = first + (last - first) / 2;
    }
    explain(prefix(history, ends[last]), left.max(limit / 8))
}

/// The history up to the position `end`, inclusively.
fn prefix(history: &[&Operation], end: u64) -> Vec<Operation> {
    let called = history.iter().take_while(|operation| operation.call < end);
    called.map(|operation| cut(operation, end)).filter(Operation::matters).collect()
}

/// The operation as it was known at the position `end`.
fn cut(operation: &Operation, end: u64) -> Operation {
    let mut operation = operation.clone();
    if operation.ret.is_none_or(|ret| ret > end) {
        operation.ret = None;
        match &mut operation.action {
            Action::Get { value } => *value = None,
            Action::CompareAndSet { outcome, .. } => *outcome = None,
            Action::Put { .. } | Action::Delete | Action::Append { .. } => {}
        }
    }
    operation
}

/// Whether they are known to have no order, and how many steps it took to find out.
fn fails(operations: &[Operation], limit: u64) -> (bool, u64) {
    let history: Vec<&Operation> = operations.iter().collect();
    let mut problem = Problem::new(&history);
    let mut search = Search::new(&mut problem);
    let found = search.run(limit);
    (found == Found::NoOrder, search.steps())
}

fn explain(operations: Vec<Operation>, limit: u64) -> Refutation {
    let history: Vec<&Operation> = operations.iter().collect();
    let mut problem = Problem::new(&history);
    let order: Vec<usize> = Search::new(&mut problem)
        .furthest(limit)
        .iter()
        .map(|op| match *op {
            Op::Answered(index) => problem.answered_from[index as usize],
            Op::Open(index) => problem.open_from[index as usize],
        })
        .collect();
    let answered = |index: &usize| operations[*index].ret.is_some();
    let mut placed = vec![false; operations.len()];
    order.iter().for_each(|&index| placed[index] = true);
    Refutation {
        key: operations[0].key.clone(),
        unplaced: (0..operations.len()).filter(answered).filter(|&index| !placed[index]).collect(),
        value: order.iter().fold(None, |value, &index| operations[index].action.after(value)),
        order,
        operations,
    }
}

impl Action {
    /// The value that it leaves, if its answer is right where it finds `value`.
    fn after(&self, value: Option<Bytes>) -> Option<Bytes> {
        match self {
            Action::Get { .. } => value,
            Action::Put { value } => Some(value.clone()),
            Action::Delete => None,
            Action::Append { suffix } => Some([value.as_deref().unwrap_or_default(), suffix].concat().into()),
            Action::CompareAndSet { expected, value: new, .. } if *expected == value => Some(new.clone()),
            Action::CompareAndSet { .. } => value,
        }
    }
}

/// How many operations a report shows: the last ones, and as many of those that could not be placed. Where the budget
/// ended before the best order was found, these may be many.
const SHOWN: usize = 20;

impl fmt::Display for Refutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = self.operations.iter().filter(|operation| operation.ret.is_some()).count();
        let open = self.operations.len() - answered;
        write!(f, "key {} is not linearizable: no order explains {answered} answers", text(&self.key))?;
        match open {
            0 => writeln!(f)?,
            1 => writeln!(f, " (1 more call was never answered, or later)")?,
            _ => writeln!(f, " ({open} more calls were never answered, or later)")?,
        }
        let tail = self.operations.len().saturating_sub(SHOWN);
        let mut shown: Vec<usize> = self.stuck().filter(|index| *index < tail).collect();
        shown.extend(tail..self.operations.len());
        let hidden = self.operations.len() - shown.len();
        if hidden > 0 {
            writeln!(f, "  ({hidden} earlier operations are not shown)")?;
        }
        self.fmt_table(f, &shown)?;
        match self.order.len() {
            0 => writeln!(f, "no operation can be first: the key is absent then")?,
            len => writeln!(f, "after number {len} in the best order, the value is {}", state(&self.value))?,
        }
        let stuck: Vec<String> = self
            .stuck()
            .map(|index| &self.operations[index])
            .map(|operation| {
                format!("client {}'s {} -> {}", operation.client, operation.action, Answer(operation))
            })
            .collect();
        write!(f, "without a place: {}", stuck.join("; "))?;
        match self.unplaced.len() - stuck.len() {
            0 => Ok(()),
            others => write!(f, "; and {others} before these"),
        }
    }
}

impl Refutation {
    /// The operations without a place that are worth a word: the last ones.
    pub(super) fn stuck(&self) -> impl Iterator<Item = usize> {
        self.unplaced[self.unplaced.len().saturating_sub(SHOWN)..].iter().copied()
    }

    fn fmt_table(&self, f: &mut fmt::Formatter<'_>, shown: &[usize]) -> fmt::Result {
        let mut number = vec![None; self.operations.len()];
        self.order.iter().zip(1..).for_each(|(&index, place)| number[index] = Some(place));
        let timeline = Timeline::new(shown.iter().map(|&index| &self.operations[index]));
        let mut rows =
            vec![["order", "client", "call..return", "operation", "answer", "time"].map(String::from)];
        rows.extend(shown.iter().map(|&index| {
            let operation = &self.operations[index];
            let order: Option<i32> = number[index];
            let place = match (order, operation.ret) {
                (Some(place), _) => place.to_string(),
                (None, Some(_)) => "?".into(),
                (None, None) => "-".into(),
            };
            [
                place,
                operation.client.to_string(),
                format!("{}..{}", operation.call, operation.ret.map_or(String::new(), |ret| ret.to_string())),
                operation.action.to_string(),
                Answer(operation).to_string(),
                timeline.bar(operation),
            ]
        }));
        let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let [order, client, span, action, answer] = [0, 1, 2, 3, 4].map(width);
        for [a, b, c, d, e, line] in &rows {
            let row = format!("  {a:>order$}  {b:>client$}  {c:<span$}  {d:<action$}  {e:<answer$}  {line}");
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}

/// The calls and returns of some operations in order, a character each.
struct Timeline(Vec<u64>);

impl Timeline {
    fn new<'a>(operations: impl Iterator<Item = &'a Operation>) -> Self {
        let mut events: Vec<u64> =
            operations.flat_map(|operation| [Some(operation.call), operation.ret]).flatten().collect();
        events.sort_unstable();
        events.dedup();
        Timeline(events)
    }

    /// From `[` at the call to `]` at the return, or an arrow where there is none.
    fn bar(&self, operation: &Operation) -> String {
        let column = |position| self.0.partition_point(|&event| event < position);
        let start = column(operation.call);
        let (end, mark) = operation.ret.map_or((self.0.len(), '>'), |ret| (column(ret), ']'));
        format!("{:start$}[{}{mark}", "", "-".repeat(end - start - 1))
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Get { .. } => write!(f, "get"),
            Action::Put { value } => write!(f, "put {}", text(value)),
            Action::Delete => write!(f, "delete"),
            Action::Append { suffix } => write!(f, "append {}", text(suffix)),
            Action::CompareAndSet { expected, value, .. } => {
                write!(f, "compare {} and set {}", state(expected), text(value))
            }
        }
    }
}

/// What the client was told.
struct Answer<'a>(&'a Operation);

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.ret.is_none() {
            return write!(f, "none");
        }
        match &self.0.action {
            Action::Get { value: Some(value) } => write!(f, "{}", state(value)),
            Action::Put { .. } | Action::Delete | Action::Append { .. } => write!(f, "done"),
            Action::CompareAndSet { outcome: Some(CasOutcome { succeeded: true, .. }), .. } => {
                write!(f, "set")
            }
            Action::CompareAndSet { outcome: Some(CasOutcome { previous: Some(previous), .. }), .. } => {
                write!(f, "refused: {}", state(previous))
            }
            Action::CompareAndSet { outcome: Some(_), .. } => write!(f, "refused"),
            Action::Get { value: None } | Action::CompareAndSet { outcome: None, .. } => {
                write!(f, "not known")
            }
        }
    }
}

fn state(value: &Option<Bytes>) -> String {
    value.as_ref().map_or_else(|| "absent".into(), |value| text(value))
}

/// Bytes in quotes; of long ones, both ends and the length.
pub(super) fn text(bytes: &[u8]) -> String {
    const END: usize = 14;
    if bytes.len() <= 2 * END + 4 {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (head, tail) = (&bytes[..END], &bytes[bytes.len() - END..]);
    format!("\"{}..{}\" ({} bytes)", head.escape_ascii(), tail.escape_ascii(), bytes.len())
}
