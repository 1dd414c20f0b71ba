//! What the answers left to place need, and whether anything left to place can make it.
//!
//! An answer that names a value needs the key to have exactly that value. Once the value is gone, it must be
//! made again, by a write of it or by an append of its end. So a configuration without it, with such an
//! answer left and nothing left that could make it, has no order. Where values are unique, as in most loads,
//! this keeps a write from being overwritten before all that saw it are placed, and the search from finding
//! out much later.

use smallvec::SmallVec;

use super::problem::{Problem, Step};
use super::values::{ValueId, Values};

/// The counts of one value.
#[derive(Clone, Debug, Default)]
struct Count {
    /// Answered operations left that need exactly this value.
    wanted: u32,
    /// Operations left that can set it, open ones included.
    setters: u32,
    /// Operations left that append it.
    appends: u32,
    /// The appended values that it ends with. Filled only if an answer needs it.
    ends: SmallVec<[ValueId; 2]>,
}

/// The counts of all values that the history names. Values first made in the search are needed by no answer.
#[derive(Clone, Debug)]
pub(super) struct Supply {
    counts: Vec<Count>,
    /// There are appends of so many lengths that looking for the ends would take too long: nothing is known.
    unknown: bool,
}

/// How many lengths of appended values are looked for at the end of each value.
const LENGTHS: usize = 32;

impl Supply {
    /// With all operations of the history left.
    pub(super) fn new(problem: &Problem) -> Self {
        let counts = vec![Count::default(); problem.values.len()];
        let mut supply = Supply { counts, unknown: false };
        for &step in &problem.answered {
            supply.add(step, true);
        }
        for open in &problem.open {
            supply.add(open.step, false);
        }
        supply.find_ends(&problem.values);
        supply
    }

    fn find_ends(&mut self, values: &Values) {
        let appended = |count: &Count| count.appends > 0;
        let mut lengths: Vec<usize> = values
            .ids()
            .zip(&self.counts)
            .filter(|(_, count)| appended(count))
            .map(|(value, _)| values.len_of(value))
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        self.unknown = lengths.len() > LENGTHS;
        if self.unknown {
            return;
        }
        for (value, index) in values.ids().zip(0..) {
            if self.counts[index].wanted > 0 {
                let ends = lengths.iter().filter_map(|&len| values.end_of(value, len));
                let ends = ends.filter(|end| appended(&self.counts[end.index()])).collect();
                self.counts[index].ends = ends;
            }
        }
    }

    /// Counts an operation as left.
    pub(super) fn add(&mut self, step: Step, answered: bool) {
        self.count(step, answered, |count| *count += 1);
    }

    /// Counts an operation as placed.
    pub(super) fn remove(&mut self, step: Step, answered: bool) {
        self.count(step, answered, |count| *count -= 1);
    }

    fn count(&mut self, step: Step, answered: bool, change: impl Fn(&mut u32)) {
        if answered && let Some(value) = step.needed() {
            change(&mut self.counts[value.index()].wanted);
        }
        match step {
            Step::Put(value) | Step::Swap { value, .. } | Step::MaybeSwap { value, .. } => {
                change(&mut self.counts[value.index()].setters);
            }
            Step::Append(suffix) => change(&mut self.counts[suffix.index()].appends),
            Step::Get(_) | Step::Refused { .. } | Step::Never => {}
        }
    }

    /// Whether some answer left needs this value, which the key does not have now, and nothing can make it.
    pub(super) fn is_stranded(&self, value: ValueId) -> bool {
        let Some(count) = self.counts.get(value.index()) else {
            return false;
        };
        let makeable = || {
            self.unknown
                || count.setters > 0
                || count.ends.iter().any(|end| self.counts[end.index()].appends > 0)
        };
        count.wanted > 0 && !makeable()
    }
}
