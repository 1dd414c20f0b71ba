//! Raftstore's databases, as facts for the checks.
//!
//! Entries and hard states are read by hand: the checks need two numbers of a message that prost would
//! rebuild whole, and they need them of every write of a run.

use bytes::Bytes;
use prost::Message as _;
use raft_proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RegionLocalState, SnapshotRecord,
};
use raftsim_kernel::{Change, DbId, Disk};
use raftstore::keys::{self, Key};
use twox_hash::XxHash3_64;

use super::{KV_DB, RAFT_DB, SNAPSHOT_DB};
use crate::system::{DiskWrite, HardState, LogEntry, LogTerms, LogWrite, OnDisk, RecordKind};

/// What a change of the raft database means to the checks, if anything.
pub(super) fn log_write(change: &Change) -> Option<LogWrite> {
    let (region, write) = match (keys::decode(&change.key)?, &change.new) {
        (Key::RaftLog { region, index }, Some(value)) => (region, DiskWrite::Entry(entry(index, value)?)),
        (Key::RaftLog { region, index }, None) => (region, DiskWrite::Remove(index)),
        (Key::RaftState { region }, Some(value)) => (region, DiskWrite::Hard(hard_state(value)?)),
        _ => return None,
    };
    Some(LogWrite { region, write })
}

/// What a change is, and of which region. What does not decode is nothing.
pub(super) fn record(db: DbId, change: &Change) -> Option<(u64, RecordKind)> {
    let pick = |there, gone| if change.new.is_some() { there } else { gone };
    if db == SNAPSHOT_DB {
        let region = u64::from_be_bytes(*change.key.first_chunk()?);
        return Some((region, pick(RecordKind::Chunk, RecordKind::ChunkGone)));
    }
    if keys::decode_data(&change.key).is_some() {
        return Some((0, pick(RecordKind::Data, RecordKind::DataGone)));
    }
    Some(match keys::decode(&change.key)? {
        Key::RaftLog { region, .. } => (region, pick(RecordKind::Log, RecordKind::LogGone)),
        Key::RaftState { region } => (region, raft_state(change)),
        Key::ApplyState { region } => (region, apply_state(change)?),
        Key::RegionState { region } => (region, region_state(change)?),
        Key::Birth { region } => (region, pick(RecordKind::Birth, RecordKind::BirthGone)),
        Key::SnapshotRecord { region } => {
            (region, pick(RecordKind::SnapshotRecord, RecordKind::SnapshotRecordGone))
        }
        Key::PrepareBootstrap | Key::StoreIdent => return None,
    })
}

/// A raft state, or what is left of one when its replica goes: term and vote, without a log.
fn raft_state(change: &Change) -> RecordKind {
    let has_log =
        |value: &Bytes| RaftLocalState::decode(value.clone()).is_ok_and(|state| state.last_index > 0);
    let emptied = |new| change.old.as_ref().is_some_and(has_log) && !has_log(new);
    if change.new.as_ref().is_none_or(emptied) { RecordKind::RaftStateGone } else { RecordKind::RaftState }
}

/// An apply state, or one that moves the start of the log. The first one of a replica moves nothing.
fn apply_state(change: &Change) -> Option<RecordKind> {
    let new = log_start(change.new.as_ref()?);
    let moved = change.old.as_ref().is_some_and(|old| log_start(old) != new);
    Some(if moved { RecordKind::Truncated } else { RecordKind::ApplyState })
}

/// The encoded start of the log in a `RaftApplyState`: all that follows the applied index, which it begins with. Every
/// applied entry writes one of these, so nothing is decoded that need not be.
fn log_start(value: &[u8]) -> &[u8] {
    const APPLIED_INDEX: u8 = 1 << 3;
    match value.split_first() {
        Some((&APPLIED_INDEX, rest)) => {
            let last = rest.iter().position(|byte| byte & 0x80 == 0);
            last.and_then(|last| rest.get(last + 1..)).unwrap_or_default()
        }
        _ => value,
    }
}

fn region_state(change: &Change) -> Option<RecordKind> {
    let state = RegionLocalState::decode(change.new.clone()?).ok()?;
    Some(match state.state() {
        PeerState::Normal => RecordKind::Region,
        PeerState::Applying => RecordKind::Applying,
        PeerState::Tombstone => RecordKind::Tombstone,
    })
}

/// What a disk holds of a region's replica, as its next life will find it. What does not decode reads as nothing: the store
/// refuses it on its own.
///
/// A snapshot record is a promise to apply the snapshot before the store serves, so the log starts where the snapshot ends.
/// Of a replica that is destroyed, what is left of the log is garbage, its record as well; what it promised may still be
/// found.
pub(super) fn on_disk(disk: &Disk, region: u64) -> OnDisk {
    let state: RaftLocalState = read(disk, RAFT_DB, &keys::raft_state(region));
    let record: SnapshotRecord = read(disk, RAFT_DB, &keys::snapshot_record(region));
    let apply: RaftApplyState = read(disk, KV_DB, &keys::apply_state(region));
    let region_state: RegionLocalState = read(disk, KV_DB, &keys::region_state(region));
    let (hard, snapshot) = (state.hard_state.unwrap_or_default(), record.metadata.unwrap_or_default());
    let hard = HardState { term: hard.term, vote: hard.vote };
    if region_state.state() == PeerState::Tombstone && region_state.peer_id >= record.peer_id {
        return OnDisk { hard, log: LogTerms::starting_after(0, 0), applied: 0 };
    }
    let truncated = apply.truncated_state.unwrap_or_default();
    let (index, term) = (truncated.index, truncated.term).max((snapshot.index, snapshot.term));
    let mut log = LogTerms::starting_after(index, term);
    let (start, end) = (keys::raft_log(region, index + 1), keys::raft_log(region, u64::MAX));
    for (key, value) in disk.range(RAFT_DB, &start, Some(&end)) {
        if let Some(Key::RaftLog { index, .. }) = keys::decode(key)
            && let Some(entry) = entry(index, value)
        {
            // The start of the log may be lost with the kv database, and come back at the next boot.
            log.put_range(index, index, entry.term);
        }
    }
    OnDisk { hard, log, applied: apply.applied_index.max(snapshot.index) }
}

fn read<M: prost::Message + Default>(disk: &Disk, db: DbId, key: &[u8]) -> M {
    let value = disk.get(db, key).cloned();
    value.and_then(|value| M::decode(value).ok()).unwrap_or_default()
}

/// An `eraftpb.Entry`. Equal entries are written as equal bytes, so their hash is the entry's digest.
fn entry(index: u64, value: &[u8]) -> Option<LogEntry> {
    const ENTRY_TYPE: u64 = 1;
    const TERM: u64 = 2;
    let [entry_type, term] = numbers(value, [ENTRY_TYPE, TERM])?;
    Some(LogEntry { index, term, digest: XxHash3_64::oneshot(value), conf_change: entry_type != 0 })
}

/// The `eraftpb.HardState` in a `RaftLocalState`, which it begins with.
fn hard_state(value: &[u8]) -> Option<HardState> {
    const HARD_STATE: u8 = 1 << 3 | 2;
    const TERM: u64 = 1;
    const VOTE: u64 = 2;
    let Some((&HARD_STATE, mut rest)) = value.split_first() else { return Some(HardState::default()) };
    let length = usize::try_from(varint(&mut rest)?).ok()?;
    let [term, vote] = numbers(rest.get(..length)?, [TERM, VOTE])?;
    Some(HardState { term, vote })
}

/// The numbers in some fields, given in ascending order, of a protobuf message that was written in
/// ascending order. What is not there is 0. `None` if the bytes before that are none of ours.
#[inline]
fn numbers<const N: usize>(mut rest: &[u8], fields: [u64; N]) -> Option<[u64; N]> {
    let mut found = [0; N];
    let mut place = 0;
    while place < N && !rest.is_empty() {
        let tag = varint(&mut rest)?;
        while place < N && fields[place] < tag >> 3 {
            place += 1;
        }
        match tag & 7 {
            0 => {
                let number = varint(&mut rest)?;
                if place < N && fields[place] == tag >> 3 {
                    found[place] = number;
                    place += 1;
                }
            }
            // Bytes come after all numbers that anybody asks for.
            2 => break,
            _ => return None,
        }
    }
    Some(found)
}

#[inline]
fn varint(rest: &mut &[u8]) -> Option<u64> {
    let (&first, after) = rest.split_first()?;
    *rest = after;
    if first < 0x80 { Some(u64::from(first)) } else { long_varint(first, rest) }
}

fn long_varint(first: u8, rest: &mut &[u8]) -> Option<u64> {
    let mut value = u64::from(first & 0x7f);
    for shift in (7..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests;
