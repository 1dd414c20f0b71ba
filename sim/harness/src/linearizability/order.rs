//! The first tier: is a guess at the order of one key's operations an order that explains its answers?
//!
//! A search for an order may take for ever; a look at one does not. The simulator sees in which order the stores
//! executed what was answered ([`Operation::place`]): the order of the log, but for a leader that was cut off and
//! applies late. So that order is checked first, and the search (`search.rs`) is for where it is of no use.
//!
//! **Method.** O(n log n) for n operations.
//! 1. *Changes* (what may change the value) are replayed in the order of the guess. A call without an answer has
//!    no place. It is put where some answer needs a value that nothing else makes, as late as can be: [`Changes`].
//! 2. With the order of changes fixed, where the *looks* (reads, refused compare-and-sets) go is no guess: each goes
//!    to the first stretch between two changes in which the key has its value, and which real time allows. If some
//!    placing is right, this one is: [`Looks`].
//! 3. The whole order is checked once more by [`explains`], which knows nothing of how it came about. An order
//!    that passes is a linearization by definition: each operation takes effect when it and all before it are called,
//!    before any of them returns.
//!
//! Only 3 must be right. What goes wrong in 1 and 2 costs time in the next tier and never truth.

use super::Operation;
use super::Place;
use super::problem::{Problem, Step};
use super::search::Op;
use super::values::{ValueId, Values};

/// How many steps the hunt for unanswered calls may take, for each operation of the key and to begin with.
const HUNT: (u64, u64) = (32, 100_000);
/// How many unanswered calls in a row may be behind one answer.
const CHAIN: usize = 64;

/// Whether one of two guesses is a linearization: the places that the operations have, and the order of returns.
pub(super) fn accepts(history: &[&Operation], problem: &mut Problem) -> bool {
    let spans = Spans::new(history, problem);
    let placed = problem.answered_from.iter().any(|&index| history[index].place.is_some());
    let guesses: [fn(&Operation) -> Option<Place>; 2] = [|operation| operation.place, |_| None];
    guesses[usize::from(!placed)..].iter().any(|guess| {
        let mut order: Vec<u32> = (0..problem.answered.len() as u32).collect();
        order.sort_by_cached_key(|&op| {
            let operation = history[problem.answered_from[op as usize]];
            let returned = Place { after: operation.ret.unwrap_or(u64::MAX), number: u64::MAX };
            (guess(operation).unwrap_or(returned), operation.call)
        });
        linearize(problem, &spans, &order).is_some_and(|order| explains(problem, &spans, &order))
    })
}

/// When each operation was called and returned.
struct Spans {
    answered: Vec<(u64, u64)>,
}

impl Spans {
    fn new(history: &[&Operation], problem: &Problem) -> Spans {
        let span = |&index: &usize| (history[index].call, history[index].ret.unwrap_or(u64::MAX));
        Spans { answered: problem.answered_from.iter().map(span).collect() }
    }

    fn of(&self, problem: &Problem, op: Op) -> (u64, u64) {
        match op {
            Op::Answered(op) => self.answered[op as usize],
            Op::Open(op) => (problem.open[op as usize].call, u64::MAX),
        }
    }
}

/// Whether a step looks at the value and never changes it.
fn is_look(step: Step) -> bool {
    matches!(step, Step::Get(_) | Step::Refused { .. })
}

/// The value that a step leaves; `None` if its answer is wrong where the key has this value.
fn effect(values: &mut Values, step: Step, value: ValueId) -> Option<ValueId> {
    match step {
        Step::Get(seen) => (seen == value).then_some(value),
        Step::Put(new) => Some(new),
        Step::Append(suffix) => Some(values.append(value, suffix)),
        Step::Swap { expected, value: new } => (value == expected).then_some(new),
        Step::Refused { expected, previous } => {
            (value != expected && previous.is_none_or(|previous| previous == value)).then_some(value)
        }
        Step::MaybeSwap { expected, value: new } => Some(if value == expected { new } else { value }),
        Step::Never => None,
    }
}

/// Whether this order, with all answered operations and some others, respects real time and explains every answer.
fn explains(problem: &mut Problem, spans: &Spans, order: &[Op]) -> bool {
    let (mut value, mut last_call, mut answered) = (ValueId::ABSENT, 0, 0);
    for &op in order {
        let (call, ret) = spans.of(problem, op);
        // It takes effect after all calls so far. One that had returned before one of them came too late.
        last_call = last_call.max(call);
        let step = match op {
            Op::Answered(op) => problem.answered[op as usize],
            Op::Open(op) => problem.open[op as usize].step,
        };
        match effect(&mut problem.values, step, value) {
            Some(next) if last_call <= ret => value = next,
            _ => return false,
        }
        answered += usize::from(matches!(op, Op::Answered(_)));
    }
    answered == problem.answered.len()
}

/// A whole order of all answered operations that agrees with `guess` on the changes.
fn linearize(problem: &mut Problem, spans: &Spans, guess: &[u32]) -> Option<Vec<Op>> {
    let mut changes = Changes::new(problem, spans);
    for &op in guess {
        changes.add(op)?;
    }
    let Changes { made, .. } = changes;
    let looks: Vec<u32> =
        (0..problem.answered.len() as u32).filter(|&op| is_look(problem.answered[op as usize])).collect();
    let stretches = Looks::new(problem, spans, &made).place(looks)?;
    // Stretch 0 is before the first change. Looks of one stretch stand in the order of their calls.
    let mut order = Vec::with_capacity(made.len() + stretches.len());
    let mut looks = stretches.into_iter().peekable();
    for stretch in 0..=made.len() as u32 {
        if let Some(before) = stretch.checked_sub(1) {
            order.push(made[before as usize].op);
        }
        while let Some((_, look)) = looks.next_if(|&(at, _)| at == stretch) {
            order.push(Op::Answered(look));
        }
    }
    Some(order)
}

/// A change, and the value that it left.
#[derive(Clone, Copy, Debug)]
struct Made {
    op: Op,
    call: u64,
    ret: u64,
    value: ValueId,
}

/// The changes so far, replayed.
struct Changes<'a> {
    problem: &'a mut Problem,
    spans: &'a Spans,
    made: Vec<Made>,
    value: ValueId,
    /// Calls without an answer that are not used yet, in the order of the calls.
    unused: Vec<u32>,
    /// What is left of [`HUNT`].
    patience: u64,
}

impl<'a> Changes<'a> {
    fn new(problem: &'a mut Problem, spans: &'a Spans) -> Changes<'a> {
        Changes {
            made: Vec::with_capacity(problem.answered.len()),
            value: ValueId::ABSENT,
            unused: (0..problem.open.len() as u32).collect(),
            patience: HUNT.0 * problem.answered.len() as u64 + HUNT.1,
            problem,
            spans,
        }
    }

    /// Replays the next operation of the guess; `None` if that leads nowhere.
    fn add(&mut self, op: u32) -> Option<()> {
        let (step, (call, ret)) = (self.problem.answered[op as usize], self.spans.answered[op as usize]);
        match step {
            Step::Get(seen) | Step::Refused { previous: Some(seen), .. } => {
                if !self.was(seen, call)? {
                    // If nothing makes it here, then perhaps a change that comes later in the guess.
                    self.make(ret, |_, value| value == seen)?;
                }
                return Some(());
            }
            Step::Refused { .. } => return Some(()),
            Step::Swap { expected, .. } if self.value != expected => {
                self.make(ret, |_, value| value == expected)?;
            }
            // An append that nobody saw the effect of, where somebody may have seen one of its kind.
            Step::Append(suffix)
                if self.value != ValueId::UNSEEN
                    && self.problem.values.append(self.value, suffix) == ValueId::UNSEEN =>
            {
                self.make(ret, |values, value| values.append(value, suffix) != ValueId::UNSEEN)?;
            }
            _ => {}
        }
        self.push(Op::Answered(op), step, (call, ret))
    }

    fn push(&mut self, op: Op, step: Step, (call, ret): (u64, u64)) -> Option<()> {
        self.value = effect(&mut self.problem.values, step, self.value)?;
        self.made.push(Made { op, call, ret, value: self.value });
        Some(())
    }

    /// Whether the key has had this value at some time since the position `call`; `None` if that takes too long to
    /// find out.
    fn was(&mut self, value: ValueId, call: u64) -> Option<bool> {
        for change in self.made.iter().rev() {
            if change.value == value {
                return Some(true);
            }
            if change.ret < call {
                return Some(false);
            }
            self.patience = self.patience.checked_sub(1)?;
        }
        Some(value == ValueId::ABSENT)
    }

    /// Uses unanswered calls from before the position `end` that lead to a value that is a `goal`. If none do, nothing
    /// happens. `None` if that takes too long to find out.
    fn make(&mut self, end: u64, goal: impl Fn(&mut Values, ValueId) -> bool) -> Option<()> {
        let (mut value, mut chain) = (self.value, Vec::new());
        while chain.len() < CHAIN {
            let Some((slot, next, reached)) = self.next_of_chain(value, end, &chain, &goal)? else {
                return Some(());
            };
            (value, _) = (next, chain.push(slot));
            if reached {
                let open: Vec<u32> = chain.iter().map(|&slot| self.unused[slot]).collect();
                chain.sort_unstable();
                for &slot in chain.iter().rev() {
                    self.unused.remove(slot);
                }
                for op in open {
                    let found = self.problem.open[op as usize];
                    self.push(Op::Open(op), found.step, (found.call, u64::MAX))?;
                }
                return Some(());
            }
        }
        Some(())
    }

    /// The next unanswered call to use after those of `chain` that left `value`: one that reaches the goal, or else an
    /// append that clients may have seen. The slot in `unused`, the value then, and whether that is a goal.
    #[allow(clippy::type_complexity, reason = "named by the sentence above, used once")]
    fn next_of_chain(
        &mut self,
        value: ValueId,
        end: u64,
        chain: &[usize],
        goal: &impl Fn(&mut Values, ValueId) -> bool,
    ) -> Option<Option<(usize, ValueId, bool)>> {
        let mut on_the_way = None;
        for slot in 0..self.unused.len() {
            let open = self.problem.open[self.unused[slot] as usize];
            if open.call > end {
                break;
            }
            self.patience = self.patience.checked_sub(1)?;
            if chain.contains(&slot) {
                continue;
            }
            let Some(next) = effect(&mut self.problem.values, open.step, value).filter(|next| *next != value)
            else {
                continue;
            };
            if goal(&mut self.problem.values, next) {
                return Some(Some((slot, next, true)));
            }
            let may_be_seen = matches!(open.step, Step::Append(_)) && next != ValueId::UNSEEN;
            on_the_way = on_the_way.or(may_be_seen.then_some((slot, next, false)));
        }
        Some(on_the_way)
    }
}

/// Where looks can go among changes whose order is fixed. Stretch n is the time after n changes.
struct Looks<'a> {
    problem: &'a Problem,
    spans: &'a Spans,
    /// The value in each stretch.
    values: Vec<ValueId>,
    /// For each stretch, the next one with another value.
    differs: Vec<u32>,
    /// Each value with each of its stretches, sorted.
    stretches: Vec<(ValueId, u32)>,
    /// For each stretch, the last call among the changes before it.
    last_call: Vec<u64>,
    /// Returns of changes in order, each with the first stretch after all changes that returned up to there.
    returns: Vec<(u64, u32)>,
}

impl<'a> Looks<'a> {
    fn new(problem: &'a Problem, spans: &'a Spans, made: &[Made]) -> Looks<'a> {
        let count = made.len() as u32;
        let values: Vec<ValueId> =
            std::iter::once(ValueId::ABSENT).chain(made.iter().map(|change| change.value)).collect();
        let mut differs = vec![count + 1; values.len()];
        for at in (0..made.len()).rev() {
            differs[at] = if values[at] == values[at + 1] { differs[at + 1] } else { at as u32 + 1 };
        }
        let mut stretches: Vec<(ValueId, u32)> = values.iter().copied().zip(0..).collect();
        stretches.sort_unstable();
        let mut last_call = vec![0; values.len()];
        for (at, change) in made.iter().enumerate() {
            last_call[at + 1] = last_call[at].max(change.call);
        }
        let mut returns: Vec<(u64, u32)> = made.iter().map(|change| change.ret).zip(1..).collect();
        returns.sort_unstable();
        let mut last = 0;
        for (_, stretch) in &mut returns {
            last = last.max(*stretch);
            *stretch = last;
        }
        Looks { problem, spans, values, differs, stretches, last_call, returns }
    }

    /// The stretch of each look, in the order of stretches and calls; `None` if one has none.
    ///
    /// Looks are dealt with in the order of their calls. Each takes the first stretch that it can have, so that none
    /// keeps a later one from any that it could have otherwise.
    fn place(&self, looks: Vec<u32>) -> Option<Vec<(u32, u32)>> {
        let call = |look: u32| self.spans.answered[look as usize].0;
        let ret = |look: u32| self.spans.answered[look as usize].1;
        let mut by_return = looks.clone();
        by_return.sort_unstable_by_key(|&look| ret(look));
        // Answered operations are numbered in the order of their calls.
        debug_assert!(looks.is_sorted_by_key(|&look| call(look)));
        let mut stretch_of = vec![0; self.problem.answered.len()];
        let (mut returned, mut floor) = (by_return.into_iter().peekable(), 0);
        let mut placed = Vec::with_capacity(looks.len());
        for look in looks {
            // Those that returned before it is called have their stretches, since they were called before, too.
            while let Some(before) = returned.next_if(|&before| ret(before) < call(look)) {
                floor = floor.max(stretch_of[before as usize]);
            }
            let from = floor.max(self.first_stretch(call(look)));
            let stretch = self.stretch(self.problem.answered[look as usize], from)?;
            if self.last_call.get(stretch as usize).is_none_or(|&last_call| last_call > ret(look)) {
                return None;
            }
            stretch_of[look as usize] = stretch;
            placed.push((stretch, look));
        }
        placed.sort_unstable();
        Some(placed)
    }

    /// The first stretch after all changes that returned before this position.
    fn first_stretch(&self, call: u64) -> u32 {
        let returned = self.returns.partition_point(|&(ret, _)| ret < call);
        returned.checked_sub(1).map_or(0, |last| self.returns[last].1)
    }

    /// The first stretch from this one on in which a look's answer is right.
    fn stretch(&self, look: Step, from: u32) -> Option<u32> {
        match look {
            Step::Get(value) | Step::Refused { previous: Some(value), .. } => {
                let next = self.stretches.partition_point(|&stretch| stretch < (value, from));
                self.stretches.get(next).filter(|(found, _)| *found == value).map(|&(_, stretch)| stretch)
            }
            Step::Refused { expected, previous: None } => {
                let is_other = *self.values.get(from as usize)? != expected;
                Some(if is_other { from } else { self.differs[from as usize] })
            }
            _ => None,
        }
    }
}
