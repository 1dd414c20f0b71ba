//! Ids: none twice, and none before its block is durable, whatever crashes and when.

use std::collections::BTreeSet;

use bytes::Bytes;
use proptest::prelude::*;

use super::super::ids::{FIRST_ID, Ids};

#[derive(Clone, Copy, Debug)]
enum Move {
    Take(u64),
    /// What was written down becomes durable.
    Synced,
    /// The machine loses power; true: what was written and not synced is there afterwards.
    Crash(bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        6 => (1..12u64).prop_map(Move::Take),
        1 => (30..200u64).prop_map(Move::Take),
        3 => Just(Move::Synced),
        2 => any::<bool>().prop_map(Move::Crash),
    ];
    prop::collection::vec(one, 0..80)
}

fn end_of(stored: &Option<Bytes>) -> u64 {
    stored.as_ref().map_or(FIRST_ID, |end| u64::from_be_bytes(end.as_ref().try_into().unwrap()))
}

proptest! {
    #[test]
    fn no_id_is_given_out_twice_or_before_it_is_durable(moves in moves()) {
        let (mut durable, mut written) = (None, None);
        let mut ids = Ids::open(None);
        let mut given = BTreeSet::new();
        for step in moves {
            match step {
                Move::Take(count) => {
                    if let Some(range) = ids.take(count) {
                        prop_assert_eq!(range.end - range.start, count);
                        for id in range {
                            prop_assert!(id >= FIRST_ID && id < end_of(&durable), "{} is not covered", id);
                            prop_assert!(given.insert(id), "{} again", id);
                        }
                    }
                }
                Move::Synced => {
                    durable.clone_from(&written);
                    ids.on_durable();
                }
                Move::Crash(kept) => {
                    if kept { durable.clone_from(&written) } else { written.clone_from(&durable) }
                    ids = Ids::open(durable.as_ref());
                }
            }
            if let Some(value) = ids.due() {
                written = Some(value);
            }
        }
    }
}

#[test]
fn whatever_is_asked_for_comes_with_the_next_block() {
    let mut ids = Ids::open(None);
    for count in [1, 40, 64, 1000] {
        while ids.take(count).is_none() {
            assert!(ids.due().is_some(), "nothing is written down, and {count} are not there");
            assert_eq!(ids.due(), None, "one at a time");
            ids.on_durable();
        }
    }
}

#[test]
fn the_next_block_is_written_ahead_of_need() {
    let mut ids = Ids::open(None);
    assert!(ids.due().is_some());
    ids.on_durable();
    assert_eq!((ids.take(30), ids.due()), (Some(1000..1030), None));
    assert_eq!(ids.take(10), Some(1030..1040));
    assert!(ids.due().is_some());
}
