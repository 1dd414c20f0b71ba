//! The layout of keys in the raft and the kv database; the pieces in the snapshots database have their keys from
//! `snapshot`. Integers are big-endian, so that keys sort as their
//! numbers do.
//!
//! | key | bytes | value | database |
//! |---|---|---|---|
//! | raft log | `01 02 region 01 index` | `Entry` | raft |
//! | raft state | `01 02 region 02` | `RaftLocalState` | raft |
//! | apply state | `01 02 region 03` | `RaftApplyState` | kv |
//! | region state | `01 03 region 01` | `RegionLocalState` | kv |
//! | birth mark | `01 03 region 02` | nothing | kv |
//! | snapshot record | `01 04 region 01` | `SnapshotRecord` | raft |
//! | prepare bootstrap | `01 01` | `Region` | kv |
//! | store ident | `01 02` | `StoreIdent` | kv |
//!
//! User keys stand in the kv database, prefixed by their column family and `_`. The layout is TinyKV's, but for the birth mark and the snapshot record.
//!
//! What is written here can be read back: [`decode`] and [`decode_data`] are for tools and checks that
//! look at a disk from outside.

use smallvec::SmallVec;

const LOCAL: u8 = 0x01;
const RAFT: u8 = 0x02;
const REGION: u8 = 0x03;
const RAFT_LOG: u8 = 0x01;
const RAFT_STATE: u8 = 0x02;
const APPLY_STATE: u8 = 0x03;
const REGION_STATE: u8 = 0x01;
const BIRTH: u8 = 0x02;
const SNAPSHOT: u8 = 0x04;
const RECORD: u8 = 0x01;

/// Marks a first region that may not be durable in both databases yet.
pub const PREPARE_BOOTSTRAP: [u8; 2] = [LOCAL, 0x01];
/// Says which store of which cluster the databases belong to.
pub const STORE_IDENT: [u8; 2] = [LOCAL, 0x02];
/// The first key that may be a region state.
pub const REGION_STATE_START: [u8; 2] = [LOCAL, REGION];
/// Past every region state.
pub const REGION_STATE_END: [u8; 2] = [LOCAL, REGION + 1];

/// The first key that may be a snapshot record.
pub const SNAPSHOT_RECORD_START: [u8; 2] = [LOCAL, SNAPSHOT];
/// Past every snapshot record.
pub const SNAPSHOT_RECORD_END: [u8; 2] = [LOCAL, SNAPSHOT + 1];

/// A key of the store's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// An entry of a region's log.
    RaftLog {
        /// The region.
        region: u64,
        /// The entry's index.
        index: u64,
    },
    /// Hard state and end of the log of a region's replica.
    RaftState {
        /// The region.
        region: u64,
    },
    /// How far a region's log is applied.
    ApplyState {
        /// The region.
        region: u64,
    },
    /// The region itself: range, epoch, peers.
    RegionState {
        /// The region.
        region: u64,
    },
    /// Marks a region that a split made, while its first raft state may not be durable.
    Birth {
        /// The region.
        region: u64,
    },
    /// A snapshot that took the place of the log, while the kv database may not hold it.
    SnapshotRecord {
        /// The region.
        region: u64,
    },
    /// [`PREPARE_BOOTSTRAP`].
    PrepareBootstrap,
    /// [`STORE_IDENT`].
    StoreIdent,
}

/// The key of a log entry.
#[must_use]
pub fn raft_log(region: u64, index: u64) -> [u8; 19] {
    let mut key = [0; 19];
    key[..11].copy_from_slice(&local(RAFT, region, RAFT_LOG));
    key[11..].copy_from_slice(&index.to_be_bytes());
    key
}

/// The key of a replica's `RaftLocalState`.
#[must_use]
pub fn raft_state(region: u64) -> [u8; 11] {
    local(RAFT, region, RAFT_STATE)
}

/// The key of a replica's `RaftApplyState`.
#[must_use]
pub fn apply_state(region: u64) -> [u8; 11] {
    local(RAFT, region, APPLY_STATE)
}

/// The key of a replica's `RegionLocalState`.
#[must_use]
pub fn region_state(region: u64) -> [u8; 11] {
    local(REGION, region, REGION_STATE)
}

/// The key of the mark of a region that a split made.
#[must_use]
pub fn birth(region: u64) -> [u8; 11] {
    local(REGION, region, BIRTH)
}

/// The key of a replica's `SnapshotRecord`.
#[must_use]
pub fn snapshot_record(region: u64) -> [u8; 11] {
    local(SNAPSHOT, region, RECORD)
}

fn local(kind: u8, region: u64, suffix: u8) -> [u8; 11] {
    let mut key = [0; 11];
    key[0] = LOCAL;
    key[1] = kind;
    key[2..10].copy_from_slice(&region.to_be_bytes());
    key[10] = suffix;
    key
}

/// What `key` stands for; `None` when it is none of the store's own keys.
#[must_use]
pub fn decode(key: &[u8]) -> Option<Key> {
    match *key {
        [LOCAL, 0x01] => return Some(Key::PrepareBootstrap),
        [LOCAL, 0x02] => return Some(Key::StoreIdent),
        _ => {}
    }
    let (&[local, kind], rest) = key.split_first_chunk()?;
    let (region, rest) = rest.split_first_chunk()?;
    let region = u64::from_be_bytes(*region);
    match (local, kind, rest) {
        (LOCAL, RAFT, [RAFT_LOG, index @ ..]) => {
            let index = u64::from_be_bytes(index.try_into().ok()?);
            Some(Key::RaftLog { region, index })
        }
        (LOCAL, RAFT, [RAFT_STATE]) => Some(Key::RaftState { region }),
        (LOCAL, RAFT, [APPLY_STATE]) => Some(Key::ApplyState { region }),
        (LOCAL, REGION, [REGION_STATE]) => Some(Key::RegionState { region }),
        (LOCAL, REGION, [BIRTH]) => Some(Key::Birth { region }),
        (LOCAL, SNAPSHOT, [RECORD]) => Some(Key::SnapshotRecord { region }),
        _ => None,
    }
}

/// A column family: a key space of its own within a region's range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cf {
    /// `default`
    Default,
    /// `write`
    Write,
    /// `lock`
    Lock,
}

impl Cf {
    /// Every column family.
    pub const ALL: [Cf; 3] = [Cf::Default, Cf::Write, Cf::Lock];

    /// The column family of that name. The empty name is the default one, as in TiKV.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Cf> {
        match name {
            "" | "default" => Some(Cf::Default),
            "write" => Some(Cf::Write),
            "lock" => Some(Cf::Lock),
            _ => None,
        }
    }

    /// What stands before its keys.
    #[must_use]
    pub const fn prefix(self) -> &'static [u8] {
        match self {
            Cf::Default => b"default_",
            Cf::Write => b"write_",
            Cf::Lock => b"lock_",
        }
    }

    /// The first key past all of its keys.
    #[must_use]
    pub const fn end(self) -> &'static [u8] {
        // '`' follows '_'.
        match self {
            Cf::Default => b"default`",
            Cf::Write => b"write`",
            Cf::Lock => b"lock`",
        }
    }
}

/// A user key as it stands in the kv database. On the stack, unless the key is long.
pub type DataKey = SmallVec<[u8; 64]>;

/// The database key of the user key `key`.
#[must_use]
pub fn data(cf: Cf, key: &[u8]) -> DataKey {
    let mut data = DataKey::new();
    data.extend_from_slice(cf.prefix());
    data.extend_from_slice(key);
    data
}

/// The end of a range of user keys: the database key of `end`, or the end of the column family where
/// `end` is empty.
#[must_use]
pub fn data_end(cf: Cf, end: &[u8]) -> DataKey {
    if end.is_empty() { DataKey::from_slice(cf.end()) } else { data(cf, end) }
}

/// The column family and user key in a database key; `None` when it is not of user data.
#[must_use]
pub fn decode_data(key: &[u8]) -> Option<(Cf, &[u8])> {
    Cf::ALL.iter().find_map(|&cf| Some((cf, key.strip_prefix(cf.prefix())?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGION_ID: u64 = 0x0102_0304_0506_0708;

    #[test]
    fn bytes_are_as_in_the_table() {
        let region = [1, 2, 3, 4, 5, 6, 7, 8];
        let key = |head: &[u8], tail: &[u8]| [head, &region, tail].concat();
        assert_eq!(raft_log(REGION_ID, 0x1_0002).to_vec(), key(&[1, 2], &[1, 0, 0, 0, 0, 0, 1, 0, 2]));
        assert_eq!(raft_state(REGION_ID).to_vec(), key(&[1, 2], &[2]));
        assert_eq!(apply_state(REGION_ID).to_vec(), key(&[1, 2], &[3]));
        assert_eq!(region_state(REGION_ID).to_vec(), key(&[1, 3], &[1]));
        assert_eq!(birth(REGION_ID).to_vec(), key(&[1, 3], &[2]));
        assert_eq!(snapshot_record(REGION_ID).to_vec(), key(&[1, 4], &[1]));
        assert_eq!(PREPARE_BOOTSTRAP, [1, 1]);
        assert_eq!(STORE_IDENT, [1, 2]);
        assert_eq!(data(Cf::Default, b"k").as_slice(), b"default_k");
        assert_eq!(data(Cf::Write, b"k").as_slice(), b"write_k");
        assert_eq!(data(Cf::Lock, b"").as_slice(), b"lock_");
    }

    #[test]
    fn what_is_encoded_decodes() {
        for region in [0, 1, REGION_ID, u64::MAX] {
            for index in [0, 6, u64::MAX] {
                assert_eq!(decode(&raft_log(region, index)), Some(Key::RaftLog { region, index }));
            }
            assert_eq!(decode(&raft_state(region)), Some(Key::RaftState { region }));
            assert_eq!(decode(&apply_state(region)), Some(Key::ApplyState { region }));
            assert_eq!(decode(&region_state(region)), Some(Key::RegionState { region }));
            assert_eq!(decode(&birth(region)), Some(Key::Birth { region }));
            assert_eq!(decode(&snapshot_record(region)), Some(Key::SnapshotRecord { region }));
        }
        assert_eq!(decode(&PREPARE_BOOTSTRAP), Some(Key::PrepareBootstrap));
        assert_eq!(decode(&STORE_IDENT), Some(Key::StoreIdent));
        for cf in Cf::ALL {
            assert_eq!(decode_data(&data(cf, b"a_b")), Some((cf, &b"a_b"[..])));
        }
    }

    #[test]
    fn other_keys_do_not_decode() {
        let mut long = raft_state(1).to_vec();
        long.push(0);
        let others: [&[u8]; 9] = [
            b"",
            &[1],
            &[1, 3],
            &[2, 2],
            &raft_log(1, 1)[..18],
            &raft_state(1)[..10],
            &long,
            &local(RAFT, 1, 4),
            &local(5, 1, 1),
        ];
        for key in others {
            assert_eq!(decode(key), None, "{key:?}");
        }
        assert_eq!(decode(b"default_k"), None);
        assert_eq!(decode_data(b"defaultk"), None);
        assert_eq!(decode_data(&raft_state(1)), None);
    }

    #[test]
    fn a_column_family_ends_after_its_last_key() {
        for cf in Cf::ALL {
            assert!(data(cf, &[0xff; 8]).as_slice() < cf.end());
            assert!(data(cf, b"") < data_end(cf, b""));
            assert_eq!(data_end(cf, b"m"), data(cf, b"m"));
        }
        assert!(data(Cf::Default, b"z") < data(Cf::Lock, b"a"));
    }
}
