//! Raftstore's databases, as facts for the checks.
//!
//! Entries and hard states are read by hand: the checks need two numbers of a message that prost would
//! rebuild whole, and they need them of every write of a run.

use prost::Message as _;
use raft_proto::raft_serverpb::{RaftApplyState, RaftLocalState};
use raftsim_kernel::{Change, Disk};
use raftstore::keys::{self, Key};
use twox_hash::XxHash3_64;

use crate::check::{DiskWrite, HardState, LogEntry, LogTerms, OnDisk};
use crate::store_node::{KV_DB, RAFT_DB};

/// What a change of the raft database means to the checks, and of which region.
pub(super) fn raft_write(change: &Change) -> Option<(u64, DiskWrite)> {
    match (keys::decode(&change.key)?, &change.new) {
        (Key::RaftLog { region, index }, Some(value)) => Some((region, DiskWrite::Entry(entry(index, value)?))),
        (Key::RaftLog { region, index }, None) => Some((region, DiskWrite::Remove(index))),
        (Key::RaftState { region }, Some(value)) => Some((region, DiskWrite::Hard(hard_state(value)?))),
        _ => None,
    }
}

/// What a disk holds of a region's replica. What does not decode reads as nothing: the store refuses it on
/// its own.
pub(super) fn on_disk(disk: &Disk, region: u64) -> OnDisk {
    let raft_state = disk.get(RAFT_DB, &keys::raft_state(region)).cloned().unwrap_or_default();
    let apply_state = disk.get(KV_DB, &keys::apply_state(region)).cloned().unwrap_or_default();
    let hard = RaftLocalState::decode(raft_state).unwrap_or_default().hard_state.unwrap_or_default();
    let apply = RaftApplyState::decode(apply_state).unwrap_or_default();
    let truncated = apply.truncated_state.unwrap_or_default();
    let mut log = LogTerms::starting_after(truncated.index, truncated.term);
    let (start, end) = (keys::raft_log(region, truncated.index + 1), keys::raft_log(region, u64::MAX));
    for (key, value) in disk.range(RAFT_DB, &start, Some(&end)) {
        if let Some(Key::RaftLog { index, .. }) = keys::decode(key)
            && let Some(entry) = entry(index, value)
        {
            // The start of the log may be lost with the kv database, and come back at the next boot.
            log.put_range(index, index, entry.term);
        }
    }
    OnDisk { hard: HardState { term: hard.term, vote: hard.vote }, log, applied: apply.applied_index }
}

/// An `eraftpb.Entry`. Equal entries are written as equal bytes, so their hash is the entry's digest.
fn entry(index: u64, value: &[u8]) -> Option<LogEntry> {
    const TERM: u64 = 2;
    let mut rest = value;
    let mut term = 0;
    while !rest.is_empty() {
        match field(&mut rest)? {
            (TERM, Value::Number(number)) => {
                term = number;
                break;
            }
            (number, _) if number > TERM => break,
            _ => {}
        }
    }
    Some(LogEntry { index, term, digest: XxHash3_64::oneshot(value) })
}

/// The `eraftpb.HardState` in a `RaftLocalState`.
fn hard_state(value: &[u8]) -> Option<HardState> {
    const HARD_STATE: u64 = 1;
    const TERM: u64 = 1;
    const VOTE: u64 = 2;
    let mut hard = HardState::default();
    let mut rest = value;
    while !rest.is_empty() {
        let (HARD_STATE, Value::Bytes(mut rest)) = field(&mut rest)? else { continue };
        while !rest.is_empty() {
            match field(&mut rest)? {
                (TERM, Value::Number(term)) => hard.term = term,
                (VOTE, Value::Number(vote)) => hard.vote = vote,
                _ => {}
            }
        }
    }
    Some(hard)
}

/// A field of a protobuf message.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// Takes the next field, its number and value; `None` where there is none in an encoding that we use.
#[inline]
fn field<'a>(rest: &mut &'a [u8]) -> Option<(u64, Value<'a>)> {
    let tag = varint(rest)?;
    let value = match tag & 7 {
        0 => Value::Number(varint(rest)?),
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Value::Bytes(rest.split_off(..length)?)
        }
        _ => return None,
    };
    Some((tag >> 3, value))
}

#[inline]
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use raft_proto::eraftpb;

    use super::*;

    proptest! {
        #[test]
        fn an_entry_is_what_prost_wrote(kind in 0..3i32, term: u64, index: u64, data: Vec<u8>, other: Vec<u8>) {
            let written = eraftpb::Entry { entry_type: kind, term, index, data: data.clone().into() };
            let read = entry(index, &written.encode_to_vec()).expect("prost wrote it");
            prop_assert_eq!((read.index, read.term), (index, term));
            let changed = eraftpb::Entry { data: other.clone().into(), ..written };
            let changed = entry(index, &changed.encode_to_vec()).expect("prost wrote it");
            prop_assert_eq!(changed.digest == read.digest, data == other);
        }

        #[test]
        fn a_hard_state_is_what_prost_wrote(hard: Option<(u64, u64, u64)>, last_index: u64, last_term: u64) {
            let hard_state = hard.map(|(term, vote, commit)| eraftpb::HardState { term, vote, commit });
            let written = RaftLocalState { hard_state, last_index, last_term };
            let (term, vote, _) = hard.unwrap_or_default();
            prop_assert_eq!(hard_state_of(&written), Some(HardState { term, vote }));
        }

        #[test]
        fn damaged_bytes_do_no_harm(bytes: Vec<u8>) {
            if let Ok(state) = RaftLocalState::decode(bytes.as_slice()) {
                let hard = state.hard_state.unwrap_or_default();
                let expected = HardState { term: hard.term, vote: hard.vote };
                prop_assert!(hard_state(&bytes).is_none_or(|hard| hard == expected));
            }
            entry(1, &bytes);
        }
    }

    fn hard_state_of(written: &RaftLocalState) -> Option<HardState> {
        hard_state(&written.encode_to_vec())
    }
}
