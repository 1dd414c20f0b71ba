//! What a store's databases hold that nobody has any use for.
//!
//! Whatever concerns two databases leaves something behind in one of them when it is cut short, and to clean it up is
//! nobody's promise to anybody: a store that forgets it works as well as before, until its disk is full. So a store at
//! rest must have nothing but what its replicas need. Costs a few lookups for each region, however large the data.

use prost::Message as _;
use raft_proto::raft_serverpb::RaftLocalState;
use raftsim_kernel::Disk;
use raftstore::keys::{self, Cf, Key};
use raftstore::{Peer, Store};

use super::{KV_DB, RAFT_DB, SNAPSHOT_DB};

/// The first thing that is left over.
pub(super) fn leftovers(store: &Store, disk: &Disk) -> Option<String> {
    snapshots(disk).or_else(|| marks(disk)).or_else(|| logs(store, disk)).or_else(|| data(store, disk))
}

/// A snapshot that is neither on its way nor becoming data.
fn snapshots(disk: &Disk) -> Option<String> {
    if let Some((key, _)) = disk.range(SNAPSHOT_DB, &[], None).next() {
        let region = key.as_bytes().first_chunk().map_or(0, |region| u64::from_be_bytes(*region));
        return Some(format!("a chunk of a snapshot of region {region}"));
    }
    let (start, end) = (keys::SNAPSHOT_RECORD_START, keys::SNAPSHOT_RECORD_END);
    let (key, _) = disk.range(RAFT_DB, &start, Some(&end)).next()?;
    Some(format!("the record of a snapshot: {:?}", keys::decode(key.as_bytes())))
}

/// A mark of something that is durable by now.
fn marks(disk: &Disk) -> Option<String> {
    if disk.get(KV_DB, &keys::PREPARE_BOOTSTRAP).is_some() {
        return Some("the mark of a bootstrap".to_owned());
    }
    let (start, end) = (keys::REGION_STATE_START, keys::REGION_STATE_END);
    disk.range(KV_DB, &start, Some(&end)).find_map(|(key, _)| match keys::decode(key.as_bytes())? {
        Key::Birth { region } => Some(format!("the mark of the birth of region {region}")),
        _ => None,
    })
}

/// The log of a region that has no replica here, or entries before the start of one that has. What a replica without
/// data has promised may stay: nobody can tell whether a later one needs it.
fn logs(store: &Store, disk: &Disk) -> Option<String> {
    let mut from = 0;
    loop {
        let end = keys::raft_log(u64::MAX, u64::MAX);
        let (key, value) = disk.range(RAFT_DB, &keys::raft_log(from, 0), Some(&end)).next()?;
        let truncated = |region| store.peer(region).map(|peer| peer.raft().truncated().index);
        let region = match keys::decode(key.as_bytes())? {
            Key::RaftLog { region, index } => match truncated(region) {
                None => return Some(format!("entry {index} of region {region}, which has no replica")),
                Some(truncated) if index <= truncated => {
                    return Some(format!(
                        "entry {index} of region {region}, whose log starts after {truncated}"
                    ));
                }
                Some(_) => region,
            },
            Key::RaftState { region } => {
                let promised = RaftLocalState::decode(value.clone()).is_ok_and(|state| state.last_index == 0);
                if truncated(region).is_none() && !promised {
                    return Some(format!("the raft state of region {region}, which has no replica"));
                }
                region
            }
            _ => return None,
        };
        from = region.checked_add(1)?;
    }
}

/// A pair in nobody's range.
fn data(store: &Store, disk: &Disk) -> Option<String> {
    let mut ranges: Vec<_> = store.peers().filter(|peer| peer.is_initialized()).map(Peer::region).collect();
    ranges.sort_unstable_by(|a, b| a.start_key.cmp(&b.start_key));
    Cf::ALL.into_iter().find_map(|cf| {
        let mut start = keys::data(cf, &[]);
        for region in &ranges {
            if let Some(found) = first(disk, &start, &keys::data(cf, &region.start_key)) {
                return Some(found);
            }
            start = keys::data_end(cf, &region.end_key);
        }
        first(disk, &start, cf.end())
    })
}

fn first(disk: &Disk, start: &[u8], end: &[u8]) -> Option<String> {
    let (key, _) = disk.range(KV_DB, start, Some(end)).next()?;
    let (_, key) = keys::decode_data(key.as_bytes())?;
    Some(format!("{}, which is in no replica's range", String::from_utf8_lossy(key)))
}
