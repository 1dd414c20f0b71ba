//! What the one database holds: a snapshot, the log after it, and term, vote and commit.
//!
//! | key | value |
//! |---|---|
//! | `s` | the snapshot that the log follows, an `eraftpb.Snapshot` |
//! | `h` | term, vote and commit, 8 bytes each |
//! | `l`, index | an entry: the commit when it was written and its term, 8 bytes each, its type in one, its data |
//!
//! Integers are big-endian, and a key has 9 bytes, so that entries stand in the order of their indexes.
//!
//! # Crashes
//! Every write is one atomic batch, and a crash keeps a prefix of the batches. So what a boot finds is what some batch
//! left, whole: a snapshot with the log that follows it. Compaction needs no sync of its own: its batch has the snapshot,
//! and the entries that it replaces are deleted in it. Before it is durable, a crash finds the older snapshot and those
//! entries, and replays them to the same state. Nobody was promised anything in between.
//!
//! A new commit alone is not written: it is no promise. The next entry carries it, so that `h` is written when the term or
//! the vote changes, and not with every entry. A boot takes the highest commit that it finds, the snapshot's end included.

use ::raft::eraftpb::{Entry, EntryType, HardState, Snapshot, SnapshotMetadata};
use ::raft::{EntryId, MemStorage};
use bytes::{BufMut, Bytes};
use prost::Message as _;
use raftsim_kernel::{Change, Disk};
use smallvec::SmallVec;
use twox_hash::XxHash3_64;

use super::DB;
use crate::system::{DiskWrite, HardState as Promised, LogEntry, LogTerms, OnDisk, RecordKind};

/// A key.
type Name = [u8; 9];

const SNAPSHOT: Name = *b"s\0\0\0\0\0\0\0\0";
const HARD_STATE: Name = *b"h\0\0\0\0\0\0\0\0";
const LOG: u8 = b'l';
/// The bytes of an entry before its data.
const HEAD: usize = 17;
/// Those of them that are about the replica and not the entry.
const COMMIT: usize = 8;

fn entry_name(index: u64) -> Name {
    let mut name = [LOG; 9];
    name[1..].copy_from_slice(&index.to_be_bytes());
    name
}

/// The index in the key of an entry.
fn index_of(name: &[u8]) -> Option<u64> {
    let (&LOG, index) = name.split_first()? else { return None };
    Some(u64::from_be_bytes(index.try_into().ok()?))
}

/// The value of an operation.
#[derive(Debug)]
enum Value {
    Deleted,
    /// Up to here in the buffer, from where the one before ends.
    Buffered(usize),
    Whole(Bytes),
}

/// One atomic write.
#[derive(Debug, Default)]
pub(super) struct Batch {
    buffer: Vec<u8>,
    ops: SmallVec<[(Name, Value); 4]>,
}

impl Batch {
    /// With room for these entries.
    pub(super) fn with_room(entries: &[Entry]) -> Batch {
        let room = entries.iter().map(|entry| entry.data.len() + HEAD).sum::<usize>() + 24;
        Batch { buffer: Vec::with_capacity(room), ops: SmallVec::new() }
    }

    pub(super) fn put_hard_state(&mut self, hard: &HardState) {
        [hard.term, hard.vote, hard.commit].into_iter().for_each(|number| self.buffer.put_u64(number));
        self.ops.push((HARD_STATE, Value::Buffered(self.buffer.len())));
    }

    pub(super) fn put_entry(&mut self, entry: &Entry, commit: u64) {
        self.buffer.put_u64(commit);
        self.buffer.put_u64(entry.term);
        // Three types of entry there are.
        self.buffer.put_u8(u8::try_from(entry.entry_type).unwrap_or(u8::MAX));
        self.buffer.put_slice(&entry.data);
        self.ops.push((entry_name(entry.index), Value::Buffered(self.buffer.len())));
    }

    pub(super) fn delete_entry(&mut self, index: u64) {
        self.ops.push((entry_name(index), Value::Deleted));
    }

    pub(super) fn put_snapshot(&mut self, snapshot: &Snapshot) {
        self.ops.push((SNAPSHOT, Value::Whole(snapshot.encode_to_vec().into())));
    }

    /// Keys and new values in order.
    pub(super) fn into_ops(self) -> impl Iterator<Item = (Name, Option<Bytes>)> {
        let mut rest = Bytes::from(self.buffer);
        let mut start = 0;
        self.ops.into_iter().map(move |(name, value)| match value {
            Value::Deleted => (name, None),
            Value::Whole(bytes) => (name, Some(bytes)),
            Value::Buffered(end) => {
                let value = rest.split_to(end - start);
                start = end;
                (name, Some(value))
            }
        })
    }
}

/// What a boot finds.
#[derive(Debug)]
pub(super) struct Stored {
    /// What raft starts from.
    pub(super) raft: MemStorage,
    /// Term, vote and commit.
    pub(super) hard: HardState,
    /// `None` on a store that has not heard of its group. It may have met a term all the same.
    pub(super) snapshot: Option<Snapshot>,
    /// The last index of the log.
    pub(super) last: u64,
}

/// Whether all that stands there can be read: a store that has lost any of it must not promise anything.
fn check(disk: &Disk) -> Result<(), String> {
    let Some((place, fault)) =
        disk.try_range(DB, &[], None).enumerate().find_map(|(place, pair)| Some((place, pair.err()?)))
    else {
        return Ok(());
    };
    let name = disk.range(DB, &[], None).nth(place).map(|(name, _)| name.as_bytes());
    let what = match name.map(|name| (name, index_of(name))) {
        Some((_, Some(index))) => format!("entry {index}"),
        Some((name, None)) if *name == SNAPSHOT => "the snapshot".to_owned(),
        Some(_) => "term and vote".to_owned(),
        None => "the database".to_owned(),
    };
    Err(format!("{what}: {fault}"))
}

/// Reads all that the disk holds.
pub(super) fn read(disk: &Disk) -> Result<Stored, String> {
    check(disk)?;
    let snapshot = read_snapshot(disk)?;
    let metadata = snapshot.as_ref().and_then(|snapshot| snapshot.metadata.clone()).unwrap_or_default();
    let SnapshotMetadata { conf_state, index, term } = metadata;
    let mut hard = hard_state(disk).unwrap_or_default();
    let commits = log(disk).filter_map(|(_, value)| number(value, 0));
    // What a snapshot covers is committed, also where compaction took the entries that said so.
    hard.commit = commits.fold(hard.commit.max(index), u64::max);
    let mut raft = MemStorage::with_conf_state(conf_state.unwrap_or_default(), EntryId { term, index });
    raft.set_hard_state(hard);
    let entries = log(disk).enumerate().map(|(place, (name, value))| {
        let due = index + 1 + place as u64;
        let entry = decode_entry(name, value).filter(|entry| entry.index == due);
        entry.ok_or_else(|| format!("entry {due} is damaged"))
    });
    let entries = entries.collect::<Result<Vec<_>, _>>()?;
    raft.append(&entries);
    Ok(Stored { raft, hard, snapshot, last: index + entries.len() as u64 })
}

fn hard_state(disk: &Disk) -> Option<HardState> {
    let value = disk.get(DB, &HARD_STATE)?;
    Some(HardState { term: number(value, 0)?, vote: number(value, 1)?, commit: number(value, 2)? })
}

/// The integer at this place of a row of them.
fn number(row: &[u8], place: usize) -> Option<u64> {
    Some(u64::from_be_bytes(*row.get(place * 8..)?.first_chunk()?))
}

fn read_snapshot(disk: &Disk) -> Result<Option<Snapshot>, String> {
    let value = disk.get(DB, &SNAPSHOT).cloned();
    value.map(Snapshot::decode).transpose().map_err(|error| format!("the snapshot is damaged: {error}"))
}

fn log(disk: &Disk) -> impl Iterator<Item = (&[u8], &Bytes)> {
    disk.range(DB, &[LOG], Some(&[LOG + 1])).map(|(name, value)| (name.as_bytes(), value))
}

fn decode_entry(name: &[u8], value: &Bytes) -> Option<Entry> {
    let (entry_type, term) = head(value)?;
    Some(Entry { entry_type, term, index: index_of(name)?, data: value.slice(HEAD..) })
}

/// Type and term of an entry.
fn head(value: &[u8]) -> Option<(i32, u64)> {
    Some((i32::from(*value.get(HEAD - 1)?), number(value, 1)?))
}

/// What a change means to the checks. Equal entries are equal bytes after the commit, so their hash is the entry's digest.
pub(super) fn log_write(change: &Change) -> Option<DiskWrite> {
    if *change.key == HARD_STATE[..] {
        let value = change.new.as_ref()?;
        return Some(DiskWrite::Hard(Promised { term: number(value, 0)?, vote: number(value, 1)? }));
    }
    let index = index_of(&change.key)?;
    let Some(value) = &change.new else { return Some(DiskWrite::Remove(index)) };
    let (entry_type, term) = head(value)?;
    let conf_change = entry_type != EntryType::EntryNormal as i32;
    Some(DiskWrite::Entry(LogEntry {
        index,
        term,
        digest: XxHash3_64::oneshot(&value[COMMIT..]),
        conf_change,
    }))
}

/// What a change is. The snapshot that the log follows is this system's apply state.
pub(super) fn record(change: &Change) -> Option<RecordKind> {
    Some(match (&change.key[..], &change.new) {
        (key, _) if key == SNAPSHOT => RecordKind::ApplyState,
        (key, _) if key == HARD_STATE => RecordKind::RaftState,
        (key, new) => {
            index_of(key)?;
            if new.is_some() { RecordKind::Log } else { RecordKind::LogGone }
        }
    })
}

/// What the disk holds, for the checks. What does not decode reads as nothing: the store refuses it on its own.
pub(super) fn on_disk(disk: &Disk) -> OnDisk {
    let snapshot = read_snapshot(disk).ok().flatten().unwrap_or_default();
    let SnapshotMetadata { index, term, .. } = snapshot.metadata.unwrap_or_default();
    let mut terms = LogTerms::starting_after(index, term);
    for (name, value) in log(disk) {
        if let (Some(index), Some((_, term))) = (index_of(name), head(value)) {
            terms.put_range(index, index, term);
        }
    }
    let hard = hard_state(disk).unwrap_or_default();
    OnDisk { hard: Promised { term: hard.term, vote: hard.vote }, log: terms, applied: index }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_its_operations_in_order() {
        let entry = |index, data: &'static [u8]| Entry { entry_type: 2, term: 7, index, data: data.into() };
        let entries = [entry(8, b"one"), entry(9, b"")];
        let mut batch = Batch::with_room(&entries);
        entries.iter().for_each(|entry| batch.put_entry(entry, 8));
        batch.delete_entry(10);
        batch.put_hard_state(&HardState { term: 7, vote: 2, commit: 8 });
        let ops: Vec<_> = batch.into_ops().collect();
        for (entry, (name, value)) in entries.iter().zip(&ops) {
            let value = value.as_ref().expect("it was put");
            assert_eq!(decode_entry(name, value).as_ref(), Some(entry));
        }
        assert_eq!(ops[2], (entry_name(10), None));
        assert_eq!((ops[3].0, ops[3].1.as_ref().map(Bytes::len)), (HARD_STATE, Some(24)));
    }

    #[test]
    fn entries_stand_in_the_order_of_their_indexes() {
        let indexes = [1, 255, 256, u64::from(u32::MAX), u64::MAX];
        assert!(indexes.is_sorted_by_key(|index| entry_name(*index)));
        assert_eq!(indexes.map(|index| index_of(&entry_name(index))), indexes.map(Some));
        assert_eq!(index_of(&HARD_STATE), None);
    }
}
