//! The log against a plain vector.

use proptest::prelude::*;

use super::*;

fn entries(first: u64, terms: &[u64]) -> Vec<Entry> {
    (first..).zip(terms).map(|(index, &term)| Entry { index, term, ..Entry::default() }).collect()
}

fn log(terms: &[u64]) -> RaftLog {
    RaftLog::new(EntryId::default(), entries(1, terms), 0, 0)
}

/// What the log should be: everything in the open.
#[derive(Clone, Debug)]
struct Model {
    truncated: EntryId,
    entries: Vec<Entry>,
    commit: u64,
    written: u64,
    persisted: u64,
    applying: u64,
    applied: u64,
    restoring: bool,
    apply_unpersisted: bool,
}

impl Model {
    fn last(&self) -> EntryId {
        self.entries.last().map_or(self.truncated, |entry| EntryId { term: entry.term, index: entry.index })
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        if index == self.truncated.index {
            return Some(self.truncated.term);
        }
        self.entries.iter().find(|entry| entry.index == index).map(|entry| entry.term)
    }

    fn highest_with_term_up_to(&self, bound: u64, term: u64) -> u64 {
        (self.truncated.index..=bound.min(self.last().index))
            .rev()
            .find(|&index| self.term_at(index).is_some_and(|at| at <= term))
            .unwrap_or(bound.min(self.truncated.index))
    }

    /// Replaces everything from `first` on.
    fn replace(&mut self, first: u64, terms: &[u64]) {
        self.entries.retain(|entry| entry.index < first);
        self.entries.extend(entries(first, terms));
        self.written = self.written.min(first - 1);
        self.persisted = self.persisted.min(first - 1);
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Adds an entry, `rise` terms later.
    Push {
        rise: u64,
    },
    /// An append that agrees with the log up to `back` entries before its end and has `new` entries of a
    /// higher term after that; the first `repeat` of what agrees are in it, too.
    Merge {
        back: u64,
        new: u64,
        repeat: u64,
    },
    Commit {
        ahead: u64,
    },
    Write,
    Persist {
        behind: u64,
    },
    /// Takes entries to apply, up to so many bytes.
    Take {
        max_size: u64,
    },
    Apply {
        behind: u64,
    },
    Compact {
        behind: u64,
    },
    /// A snapshot of something that is committed elsewhere, with an entry of a term that is so much higher.
    Restore {
        ahead: u64,
        rise: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u64..3).prop_map(|rise| Step::Push { rise }),
        (0u64..6, 0u64..4, 0u64..4).prop_map(|(back, new, repeat)| Step::Merge { back, new, repeat }),
        (0u64..4).prop_map(|ahead| Step::Commit { ahead }),
        Just(Step::Write),
        (0u64..3).prop_map(|behind| Step::Persist { behind }),
        (0u64..20).prop_map(|max_size| Step::Take { max_size }),
        (0u64..3).prop_map(|behind| Step::Apply { behind }),
        (0u64..3).prop_map(|behind| Step::Compact { behind }),
        (0u64..4, 0u64..2).prop_map(|(ahead, rise)| Step::Restore { ahead, rise }),
    ]
}

fn perform(step: Step, log: &mut RaftLog, model: &mut Model) {
    let last = model.last();
    match step {
        Step::Push { rise } => {
            let new = entries(last.index + 1, &[last.term + rise]);
            log.push(new[0].clone());
            model.entries.extend(new);
        }
        Step::Merge { back, new, repeat } => {
            let agreed = (last.index - back.min(last.index)).max(model.commit).max(model.truncated.index);
            let from = (agreed - repeat.min(agreed)).max(model.truncated.index);
            let mut terms: Vec<u64> =
                (from + 1..=agreed).map(|index| model.term_at(index).unwrap()).collect();
            terms.extend(vec![last.term + 1; new as usize]);
            let replaced = log.merge(entries(from + 1, &terms));
            assert_eq!(replaced, (new > 0 && agreed < last.index).then_some(agreed + 1));
            if new > 0 {
                model.replace(agreed + 1, &terms[(agreed - from) as usize..]);
            }
        }
        Step::Commit { ahead } => {
            let to = (model.commit + ahead).min(last.index);
            assert_eq!(log.commit_to(to), to > model.commit);
            model.commit = to;
        }
        Step::Write => {
            let expected: Vec<Entry> =
                model.entries.iter().filter(|entry| entry.index > model.written).cloned().collect();
            assert_eq!(log.has_unwritten(), !expected.is_empty());
            assert_eq!(log.take_unwritten(), expected);
            model.written = last.index;
        }
        Step::Persist { behind } => {
            let to = model.written - behind.min(model.written);
            log.persisted_to(to);
            model.persisted = model.persisted.max(to);
        }
        Step::Take { max_size } => {
            // A batch hands out what is to be written first.
            perform(Step::Write, log, model);
            let durable = if model.apply_unpersisted { u64::MAX } else { model.persisted };
            let until = if model.restoring { 0 } else { model.commit.min(durable) };
            let all =
                model.entries.iter().filter(|entry| model.applying < entry.index && entry.index <= until);
            let mut size = 0;
            let mut expected = Vec::new();
            for entry in all {
                size += entry.encoded_len() as u64;
                if size > max_size && !expected.is_empty() {
                    break;
                }
                expected.push(entry.clone());
            }
            assert_eq!(log.has_applicable(), !expected.is_empty());
            assert_eq!(log.take_applicable(max_size), expected);
            model.applying += expected.len() as u64;
        }
        Step::Apply { behind } => {
            let to = model.applying - behind.min(model.applying - model.applied);
            log.applied_to(to);
            model.applied = to;
            model.restoring &= to < model.truncated.index;
        }
        Step::Compact { behind } => {
            let to = model.applied.saturating_sub(behind);
            log.compact(to);
            if to > model.truncated.index {
                model.truncated = EntryId { term: model.term_at(to).unwrap(), index: to };
                model.entries.retain(|entry| entry.index > to);
            }
        }
        Step::Restore { ahead, rise } => {
            let id = EntryId { term: last.term + rise, index: (model.commit + ahead).max(1) };
            log.restore(id);
            model.truncated = id;
            model.entries.clear();
            (model.commit, model.written, model.applying) = (id.index, id.index, id.index);
            model.persisted = model.persisted.min(id.index - 1);
            model.restoring = true;
        }
    }
}

proptest! {
    #[test]
    fn the_log_is_a_vector_with_marks(
        truncated in prop_oneof![Just(0u64), Just(5)],
        apply_unpersisted in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let truncated = EntryId { term: truncated, index: truncated };
        let log = RaftLog::new(truncated, Vec::new(), truncated.index, truncated.index);
        let mut log = log.apply_unpersisted(apply_unpersisted);
        let at = truncated.index;
        let mut model = Model {
            truncated,
            entries: Vec::new(),
            commit: at,
            written: at,
            persisted: at,
            applying: at,
            applied: at,
            restoring: false,
            apply_unpersisted,
        };
        for step in steps {
            perform(step, &mut log, &mut model);
            let last = model.last();
            prop_assert_eq!((log.truncated(), log.last()), (model.truncated, last));
            prop_assert_eq!(
                (log.commit(), log.written(), log.persisted(), log.applied(), log.is_restoring()),
                (model.commit, model.written, model.persisted, model.applied, model.restoring)
            );
            for index in 0..=last.index + 2 {
                prop_assert_eq!(log.term_at(index), model.term_at(index));
                prop_assert_eq!(log.entry(index), model.entries.iter().find(|entry| entry.index == index));
                for term in 0..=last.term + 1 {
                    let expected = model.highest_with_term_up_to(index, term);
                    prop_assert_eq!(log.highest_with_term_up_to(index, term), expected);
                }
            }
        }
    }

    #[test]
    fn ranges_are_cut_at_the_size(
        sizes in proptest::collection::vec(0usize..50, 1..100),
        after in 0u64..100,
        count in 0u64..100,
        max_size in 0u64..300,
    ) {
        let all: Vec<Entry> = (1u64..)
            .zip(&sizes)
            .map(|(index, &size)| Entry { index, term: 1, data: vec![0; size].into(), ..Entry::default() })
            .collect();
        let log = RaftLog::new(EntryId::default(), all.clone(), 0, 0);
        let after = after.min(all.len() as u64);
        let until = (after + count).min(all.len() as u64);
        let got = log.entries_between(after, until, max_size);

        let range = &all[after as usize..until as usize];
        prop_assert_eq!(&got[..], &range[..got.len()]);
        let size = |entries: &[Entry]| entries.iter().map(|entry| entry.encoded_len() as u64).sum::<u64>();
        prop_assert!(got.len() == 1 || size(&got) <= max_size);
        prop_assert!(got.len() == range.len() || size(&range[..got.len() + 1]) > max_size);
        prop_assert_eq!(got.is_empty(), range.is_empty());
        prop_assert_eq!(&log.entries_between(after, until, u64::MAX)[..], range);
    }
}

#[test]
#[should_panic(expected = "entry 2 conflicts, but the log is committed up to 3")]
fn a_committed_entry_is_never_replaced() {
    let mut log = log(&[1, 1, 1]);
    log.commit_to(3);
    log.merge(entries(2, &[2]));
}

#[test]
#[should_panic(expected = "commit 4 is past the last index 3")]
fn a_commit_past_the_end_means_lost_entries() {
    log(&[1, 1, 1]).commit_to(4);
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_gap_is_refused() {
    log(&[1]).push(Entry { index: 3, term: 1, ..Entry::default() });
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_falling_term_is_refused() {
    log(&[2]).push(Entry { index: 2, term: 1, ..Entry::default() });
}

#[test]
fn ranges_are_searched_and_summed_without_their_first_index() {
    let entry = |index, term, size| Entry { index, term, data: vec![0; size].into(), ..Entry::default() };
    let all = vec![entry(1, 1, 1), entry(2, 1, 10), entry(3, 2, 100), entry(4, 2, 1000)];
    let log = RaftLog::new(EntryId::default(), all, 0, 0);
    assert_eq!([1, 2, 3].map(|term| log.bytes_of_term(term, 0, 4)), [11, 1100, 0]);
    assert_eq!(log.bytes_of_term(2, 3, 4), 1000);
    assert_eq!((log.bytes_of_term(2, 0, 3), log.bytes_of_term(1, 1, 1)), (100, 0));
    let big = |after, until| log.any_between(after, until, |entry| entry.data.len() == 100);
    assert_eq!((big(2, 3), big(3, 4), big(0, 2), big(0, 4), big(3, 3)), (true, false, false, true, false));
}

#[test]
#[should_panic(expected = "compact to 2, but applied up to 1")]
fn what_is_not_applied_is_not_forgotten() {
    RaftLog::new(EntryId::default(), entries(1, &[1, 1]), 2, 1).compact(2);
}

#[test]
#[should_panic(expected = "is below commit 2")]
fn a_snapshot_never_takes_a_commit_back() {
    let mut log = log(&[1, 1]);
    log.commit_to(2);
    log.restore(EntryId { term: 1, index: 1 });
}
