//! The search of Wing and Gong for one key, with Lowe's memory and undo by linked list.
//!
//! Place an answered operation that nothing unplaced returned before; go on with the value that it leaves;
//! when the first return left is of an operation that does not fit, take the last placement back and try
//! another. The events left form a doubly linked list in arrays, so that placing and taking back cost nothing
//! but four links. The search ends when every *answered* operation is placed: open ones may be used, and need
//! not be.
//!
//! What keeps it from branching more than it must, and why an order is never missed:
//!
//! - A *pure* operation (a read, a refused compare-and-set) that fits is placed at once, for good. In any
//!   order that has it later, it can be moved here.
//! - Answered operations are tried before open ones, and an open one only if its effect can matter. Take an
//!   order with the fewest open operations. None of them leaves the value as it was, and none is overwritten,
//!   or outlived, by values that no client saw: without it the order would be shorter and still right.
//!   (`unseen` is true while the last open operation's effect has been observed by nobody.) A path that the
//!   memory cuts off reached a configuration that another path reached with no more open operations; that
//!   one, continued in the same way, would again be an order with the fewest, so the rule does not forbid its
//!   continuation.
//! - Values that no client saw the like of are one value, unseen until a blind write. If an answer that names
//!   a value must come before any blind write that is left, there is no order from here
//!   ([`Search::is_hopeless`]). This is what orders concurrent appends by the first read of them, not by
//!   trial over all later ones.
//! - A value that an answer left to place needs is not given up while nothing left can make it: `supply.rs`.
//! - A blind write of an unseen value that may be placed goes before any other blind write, which hides it,
//!   and at once where the value is unseen already. In any order that has it later, it can be moved here,
//!   since nobody saw the value between it and the blind write after it. Where some answer depends on a value
//!   without telling it ([`Problem::vague`]), an unseen value can matter after all, and these rules do not
//!   apply.

use super::bits::Bits;
use super::memo::{Memo, Placed};
use super::problem::{Event, Problem, Step};
use super::supply::Supply;
use super::table::mix;
use super::values::ValueId;

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// All answered operations have a place.
    Order,
    /// They cannot.
    NoOrder,
    /// Nobody knows.
    OutOfSteps,
}

/// An operation in the order: a number of [`Problem::answered`] or of [`Problem::open`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Answered(u32),
    Open(u32),
}

/// How far the search came: the order that reached furthest into the history.
#[derive(Clone, Debug, Default)]
struct Furthest {
    /// The event that could not be passed: a return of an operation without a place.
    entry: u32,
    order: Vec<Op>,
}

/// Where to look for the next operation to try.
#[derive(Clone, Copy, Debug)]
enum Cursor {
    /// From this entry of the list on, then all open ones.
    Answered(u32),
    /// From this open operation on.
    Open(u32),
}

/// A placement, and what it takes to undo it.
#[derive(Clone, Copy, Debug)]
struct Frame {
    op: Op,
    value_before: ValueId,
    unseen_before: bool,
    /// There was no choice: whoever takes it back tries nothing else here.
    forced: bool,
}

/// The head of the list; entry `i + 1` is event `i`.
const HEAD: u32 = 0;
/// The marker for "no such entry".
const NONE: u32 = u32::MAX;

/// A search and its present configuration.
#[derive(Debug)]
pub(super) struct Search<'p> {
    problem: &'p mut Problem,
    next: Vec<u32>,
    previous: Vec<u32>,
    /// Entries of each answered operation's call and return.
    call_entry: Vec<u32>,
    return_entry: Vec<u32>,
    /// For each entry: calls before it; the first return of an observer and the first call of a blind write
    /// from it on.
    calls_before: Vec<u32>,
    observer_return: Vec<u32>,
    blind_call: Vec<u32>,
    placed: Bits,
    placed_fingerprint: u64,
    unplaced: usize,
    used: Bits,
    value: ValueId,
    unseen: bool,
    stack: Vec<Frame>,
    memo: Memo,
    supply: Supply,
    tried: u64,
    furthest_entry: u32,
    /// Kept only by [`Search::furthest`].
    furthest: Option<Furthest>,
}

impl<'p> Search<'p> {
    /// At the start: nothing placed, no value.
    pub(super) fn new(problem: &'p mut Problem) -> Self {
        let (answered, open) = (problem.answered.len(), problem.open.len());
        let entries = problem.events.len() as u32 + 1;
        let used = Bits::new(open);
        let mut search = Search {
            next: (0..entries).map(|entry| (entry + 1) % entries).collect(),
            previous: (0..entries).map(|entry| (entry + entries - 1) % entries).collect(),
            call_entry: vec![NONE; answered],
            return_entry: vec![NONE; answered],
            calls_before: Vec::with_capacity(entries as usize),
            observer_return: vec![NONE; entries as usize + 1],
            blind_call: vec![NONE; entries as usize + 1],
            placed: Bits::new(answered),
            placed_fingerprint: 0,
            unplaced: answered,
            memo: Memo::new(used.words().len()),
            supply: Supply::new(problem),
            used,
            value: ValueId::ABSENT,
            unseen: false,
            stack: Vec::with_capacity(answered),
            tried: 0,
            furthest_entry: HEAD,
            furthest: None,
            problem,
        };
        search.index();
        search
    }

    fn index(&mut self) {
        let mut calls = 0;
        self.calls_before.push(0);
        for (entry, event) in (1..).zip(&self.problem.events) {
            self.calls_before.push(calls);
            if event.is_return {
                self.return_entry[event.op as usize] = entry;
            } else {
                self.call_entry[event.op as usize] = entry;
                calls += 1;
            }
        }
        for (index, event) in self.problem.events.iter().enumerate().rev() {
            let (entry, step) = (index + 1, self.problem.answered[event.op as usize]);
            let observes = event.is_return && step.is_observer();
            let overwrites = !event.is_return && step.is_blind();
            self.observer_return[entry] =
                if observes { entry as u32 } else { self.observer_return[entry + 1] };
            self.blind_call[entry] = if overwrites { entry as u32 } else { self.blind_call[entry + 1] };
        }
    }

    /// Searches for an order, for at most about `limit` steps. To be called once.
    pub(super) fn run(&mut self, limit: u64) -> Found {
        let mut cursor = self.settle();
        while self.unplaced > 0 {
            if self.steps() >= limit {
                return Found::OutOfSteps;
            }
            cursor = match cursor.and_then(|cursor| self.choose(cursor)) {
                Some((op, value)) => {
                    self.place(op, value, false);
                    self.settle()
                }
                None => match self.take_back() {
                    Some(cursor) => Some(cursor),
                    None => return Found::NoOrder,
                },
            };
        }
        Found::Order
    }

    /// Searches without a look ahead, which ends orders before a person would, and returns the order that
    /// came furthest in about `limit` steps. To be called instead of [`Search::run`].
    pub(super) fn furthest(&mut self, limit: u64) -> Vec<Op> {
        self.furthest = Some(Furthest::default());
        self.run(limit);
        self.furthest.take().unwrap_or_default().order
    }

    /// Steps taken.
    pub(super) fn steps(&self) -> u64 {
        self.tried + self.memo.work()
    }

    /// The position of the furthest return that no order tried could pass: up to there, exclusively, the
    /// history has an order.
    pub(super) fn reached(&self) -> u64 {
        match self.furthest_entry {
            HEAD => 0,
            entry => self.event(entry).at,
        }
    }

    fn event(&self, entry: u32) -> Event {
        self.problem.events[entry as usize - 1]
    }

    /// Places what is pure and fits, then says where to start trying; `None` if there is nothing to try here.
    fn settle(&mut self) -> Option<Cursor> {
        let mut entry = self.next[HEAD as usize];
        let mut blind_candidate = false;
        let barrier = loop {
            if self.unplaced == 0 {
                return None;
            }
            let event = self.event(entry);
            if event.is_return {
                break entry;
            }
            let step = self.problem.answered[event.op as usize];
            self.tried += 1;
            if self.fits(step) {
                self.place(Op::Answered(event.op), self.value, true);
            }
            blind_candidate |= step.is_blind();
            entry = self.next[entry as usize];
        };
        self.note_progress(barrier);
        let look_ahead = self.furthest.is_none();
        let hopeless = || self.is_stranded() || (!blind_candidate && self.is_hopeless(barrier));
        if (look_ahead && hopeless()) || self.seen_before(barrier) {
            return None;
        }
        Some(Cursor::Answered(self.next[HEAD as usize]))
    }

    /// Whether a step is best placed at once: it changes nothing, here and where it could be instead.
    fn fits(&self, step: Step) -> bool {
        match step {
            Step::Put(ValueId::UNSEEN) => self.value == ValueId::UNSEEN && !self.problem.vague,
            Step::Get(value) => value == self.value,
            Step::Refused { expected, previous } => {
                self.value != expected && previous.is_none_or(|previous| previous == self.value)
            }
            _ => false,
        }
    }

    /// Whether the last operation that was a choice gave up a value that is needed and cannot come back.
    fn is_stranded(&self) -> bool {
        let choice = self.stack.iter().rev().find(|frame| !frame.forced);
        choice.is_some_and(|frame| {
            frame.value_before != self.value && self.supply.is_stranded(frame.value_before)
        })
    }

    /// Whether the value cannot be seen any more, and yet an answer that names a value must come before any
    /// blind write that is left. `barrier` is the first return left, no blind write being called before it.
    fn is_hopeless(&self, barrier: u32) -> bool {
        if self.value != ValueId::UNSEEN {
            return false;
        }
        let mut observer = self.observer_return[barrier as usize];
        while observer != NONE && self.placed.contains(self.event(observer).op) {
            observer = self.observer_return[observer as usize + 1];
        }
        if observer == NONE || self.blind_call[barrier as usize] < observer {
            return false;
        }
        let before = self.event(observer).at;
        let mut called = self.problem.open.iter().zip(0..).take_while(|(open, _)| open.call < before);
        !called.any(|(open, index)| open.step.is_blind() && !self.used.contains(index))
    }

    fn seen_before(&mut self, barrier: u32) -> bool {
        // Operations before the first one left are all placed; those called after the barrier, none.
        let first = self.event(self.next[HEAD as usize]).op / 64;
        let last = self.calls_before[barrier as usize].div_ceil(64);
        let placed = Placed {
            fingerprint: self.placed_fingerprint,
            full_words: first,
            words: &self.placed.words()[first as usize..last as usize],
        };
        self.memo.seen(placed, self.value, self.used.words())
    }

    /// The next operation that may be placed here, and the value that it leaves.
    fn choose(&mut self, cursor: Cursor) -> Option<(Op, ValueId)> {
        let from = match cursor {
            Cursor::Open(from) => from,
            Cursor::Answered(mut entry) => {
                while !self.event(entry).is_return {
                    let op = self.event(entry).op;
                    self.tried += 1;
                    let step = self.problem.answered[op as usize];
                    let worth = !step.is_blind() || self.is_best_overwrite(entry);
                    if worth && let Some(value) = self.effect_of_answered(step) {
                        return Some((Op::Answered(op), value));
                    }
                    entry = self.next[entry as usize];
                }
                0
            }
        };
        self.choose_open(from).map(|(index, value)| (Op::Open(index), value))
    }

    fn choose_open(&mut self, from: u32) -> Option<(u32, ValueId)> {
        let end = if self.problem.open.is_empty() { 0 } else { self.event(self.barrier()).at };
        for index in from..self.problem.open.len() as u32 {
            let open = self.problem.open[index as usize];
            if open.call > end {
                break;
            }
            self.tried += 1;
            let elder_waits = open.elder.is_some_and(|elder| !self.used.contains(elder));
            if elder_waits || self.used.contains(index) {
                continue;
            }
            if let Some(value) = self.effect_of_open(open.step) {
                return Some((index, value));
            }
        }
        None
    }

    fn barrier(&self) -> u32 {
        let mut entry = self.next[HEAD as usize];
        while !self.event(entry).is_return {
            entry = self.next[entry as usize];
        }
        entry
    }

    /// Whether the blind write called at `entry` is the one to try of those that may be placed here: if one
    /// of them writes what nobody can see, the first such, because all others may as well come after it.
    fn is_best_overwrite(&self, entry: u32) -> bool {
        self.problem.vague || self.unseen_overwrite().is_none_or(|first| first == entry)
    }

    /// The first call of a write of what nobody can see, of those that may be placed here.
    fn unseen_overwrite(&self) -> Option<u32> {
        let mut entry = self.next[HEAD as usize];
        loop {
            let event = self.event(entry);
            if event.is_return {
                return None;
            }
            if self.problem.answered[event.op as usize] == Step::Put(ValueId::UNSEEN) {
                return Some(entry);
            }
            entry = self.next[entry as usize];
        }
    }

    /// The value that an answered operation leaves; `None` if it does not fit, or is not worth a try.
    fn effect_of_answered(&mut self, step: Step) -> Option<ValueId> {
        match step {
            Step::Put(value) => (!self.unseen).then_some(value),
            Step::Append(suffix) => {
                let value = self.problem.values.append(self.value, suffix);
                (!self.unseen || self.problem.vague || value != ValueId::UNSEEN).then_some(value)
            }
            Step::Swap { expected, value } => (self.value == expected).then_some(value),
            Step::MaybeSwap { expected, value } => {
                Some(if self.value == expected { value } else { self.value })
            }
            // Placed when the value was reached, if they fit at all.
            Step::Get(_) | Step::Refused { .. } | Step::Never => None,
        }
    }

    /// The value that an open operation leaves; `None` if nobody could tell that it was there.
    fn effect_of_open(&mut self, step: Step) -> Option<ValueId> {
        let value = match step {
            Step::Put(value) if !self.unseen => value,
            Step::Append(suffix) => self.problem.values.append(self.value, suffix),
            Step::MaybeSwap { expected, value } if self.value == expected => value,
            _ => return None,
        };
        (value != self.value && (self.problem.vague || value != ValueId::UNSEEN)).then_some(value)
    }

    fn place(&mut self, op: Op, value: ValueId, forced: bool) {
        self.stack.push(Frame { op, value_before: self.value, unseen_before: self.unseen, forced });
        self.value = value;
        match op {
            Op::Open(index) => {
                self.used.insert(index);
                self.supply.remove(self.problem.open[index as usize].step, false);
                self.unseen = true;
            }
            Op::Answered(index) => {
                // The return first: then the call's own link leads past both, for whoever walks the list.
                self.unlink(self.return_entry[index as usize]);
                self.unlink(self.call_entry[index as usize]);
                self.flip(index);
                self.placed.insert(index);
                self.unplaced -= 1;
                let step = self.problem.answered[index as usize];
                self.supply.remove(step, true);
                self.unseen &= matches!(step, Step::Append(_));
            }
        }
    }

    /// Undoes placements up to the last that was a choice; returns where to look for another.
    fn take_back(&mut self) -> Option<Cursor> {
        loop {
            let frame = self.stack.pop()?;
            self.value = frame.value_before;
            self.unseen = frame.unseen_before;
            let cursor = match frame.op {
                Op::Open(index) => {
                    self.used.remove(index);
                    self.supply.add(self.problem.open[index as usize].step, false);
                    Cursor::Open(index + 1)
                }
                Op::Answered(index) => {
                    let call = self.call_entry[index as usize];
                    self.relink(call);
                    self.relink(self.return_entry[index as usize]);
                    self.flip(index);
                    self.placed.remove(index);
                    self.unplaced += 1;
                    self.supply.add(self.problem.answered[index as usize], true);
                    Cursor::Answered(self.next[call as usize])
                }
            };
            if !frame.forced {
                return Some(cursor);
            }
        }
    }

    fn flip(&mut self, op: u32) {
        self.placed_fingerprint ^= mix(u64::from(op) + 1);
    }

    fn unlink(&mut self, entry: u32) {
        let (before, after) = (self.previous[entry as usize], self.next[entry as usize]);
        self.next[before as usize] = after;
        self.previous[after as usize] = before;
    }

    /// Undoes the last [`Search::unlink`] not yet undone.
    fn relink(&mut self, entry: u32) {
        let (before, after) = (self.previous[entry as usize], self.next[entry as usize]);
        self.next[before as usize] = entry;
        self.previous[after as usize] = entry;
    }

    fn note_progress(&mut self, barrier: u32) {
        self.furthest_entry = self.furthest_entry.max(barrier);
        let Some(furthest) = &mut self.furthest else {
            return;
        };
        if (barrier, self.stack.len()) > (furthest.entry, furthest.order.len()) {
            furthest.entry = barrier;
            furthest.order = self.stack.iter().map(|frame| frame.op).collect();
        }
    }
}
