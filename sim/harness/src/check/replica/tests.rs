//! Logs as runs of terms, and the record of all entries, against plain models.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    Put {
        index: u64,
        term: u64,
    },
    Truncate {
        index: u64,
    },
    /// So many entries after the start of the log.
    Compact {
        entries: u64,
    },
    Snapshot {
        index: u64,
        term: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0u64..24, 1u64..5).prop_map(|(index, term)| Step::Put { index, term }),
        2 => (0u64..24).prop_map(|index| Step::Truncate { index }),
        2 => (0u64..6).prop_map(|entries| Step::Compact { entries }),
        1 => (0u64..24, 1u64..5).prop_map(|(index, term)| Step::Snapshot { index, term }),
    ]
}

proptest! {
    /// Against a plain vector of terms.
    #[test]
    fn runs_are_a_vector_of_terms(steps in prop::collection::vec(step(), 0..60)) {
        let mut log = LogTerms::starting_after(5, 5);
        let (mut base, mut model) = ((5, 5), Vec::<u64>::new());
        for step in steps {
            let at = |index: u64| (index - base.0 - 1) as usize;
            match step {
                Step::Put { index, term } => {
                    let fits = index > base.0 && at(index) <= model.len();
                    prop_assert_eq!(log.put(index, term), fits);
                    if fits {
                        model.truncate(at(index));
                        model.push(term);
                    }
                }
                Step::Truncate { index } if index > base.0 => {
                    log.truncate(index);
                    model.truncate(at(index));
                }
                Step::Compact { entries } if 0 < entries && entries <= model.len() as u64 => {
                    let term = model[entries as usize - 1];
                    log.start_after(base.0 + entries, term);
                    model.drain(..entries as usize);
                    base = (base.0 + entries, term);
                }
                Step::Snapshot { index, term } if index > base.0 => {
                    log.start_after(index, term);
                    match model.get(at(index)) {
                        Some(own) if *own == term => drop(model.drain(..=at(index))),
                        _ => model.clear(),
                    }
                    base = (index, term);
                }
                _ => {}
            }
            prop_assert_eq!(log.truncated(), base.0);
            prop_assert_eq!(log.last(), base.0 + model.len() as u64);
            prop_assert_eq!(log.term_at(base.0), Some(base.1));
            prop_assert_eq!(base.0.checked_sub(1).and_then(|before| log.term_at(before)), None);
            for index in base.0 + 1..40 {
                prop_assert_eq!(log.term_at(index), model.get((index - base.0 - 1) as usize).copied());
            }
        }
    }

    /// Against a map, over several chunks.
    #[test]
    fn the_first_entry_seen_stays(seen in prop::collection::vec((0u64..600, 1u64..3, 0u64..3), 0..900), dense: bool) {
        let mut log = CanonicalLog::default();
        let mut model = BTreeMap::new();
        for (step, (index, term, digest)) in seen.into_iter().enumerate() {
            let index = if dense { 100 + step as u64 - index.min(step as u64) / 2 } else { index };
            let entry = Canonical { term, digest, previous_term: 0 };
            let first = *model.entry((index, term)).or_insert(entry);
            prop_assert_eq!(log.get_or_insert(index, entry), first, "index {} term {}", index, term);
        }
    }
}

#[test]
fn a_range_that_does_not_follow_begins_the_log() {
    let mut log = LogTerms::starting_after(5, 5);
    log.put_range(6, 8, 6);
    assert_eq!((log.truncated(), log.last(), log.term_at(8)), (5, 8, Some(6)));
    log.put_range(20, 22, 7);
    assert_eq!((log.truncated(), log.last()), (19, 22));
    assert_eq!((log.term_at(19), log.term_at(20), log.term_at(23)), (Some(0), Some(7), None));
    log.start_after(19, 6);
    assert_eq!((log.term_at(19), log.last()), (Some(6), 22));
}
