//! Work that takes time beside the store's own: making a snapshot, looking for where to split a region,
//! moving a snapshot's pairs about.
//!
//! A store says what is to be done ([`Background::start`]) and goes on; the outside does it ([`Task::run`] in a
//! thread of its own, for one) and hands the result to [`Store::on_task_done`](crate::Store::on_task_done). By
//! then much may have changed, so a result is always of the moment at which its task began, and is held
//! against what is true now before it is used. After a crash no task of the earlier life comes back.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_proto::metapb::Region;

use crate::engine::{Db, Read};
use crate::error::EngineError;
use crate::keys::{self, Cf};
use crate::snapshot::Body;

/// Names a task of one life of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Task {
    /// To read all data of a region.
    Snapshot {
        /// The region, as of the state that the databases are in.
        region: Region,
    },
    /// To measure a region's data, and to find a key to split it at.
    Measure {
        /// The region.
        region: Region,
        /// So many bytes shall stand before the key; half of all where there are no more than that, or this is 0.
        keep: u64,
    },
    /// Nothing but to let the time pass that it takes to write, or remove, so much: the store writes when that is done.
    Write {
        /// Bytes of keys and values.
        bytes: u64,
    },
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskOutput {
    /// Of [`Task::Snapshot`].
    Snapshot(Body),
    /// Of [`Task::Measure`].
    Measured {
        /// Bytes of all keys and values.
        size: u64,
        /// The first key with enough before it; none where all keys are one.
        split_key: Option<Bytes>,
    },
    /// Of [`Task::Write`].
    Written,
}

/// Where tasks are done.
pub trait Background {
    /// Begins a task, on the databases as they are now: what is written later it does not see.
    fn start(&mut self, id: TaskId, task: Task);
}

impl Task {
    /// Does the task. Also tells for how many bytes it should take time.
    ///
    /// # Errors
    /// When the databases cannot be read.
    pub fn run(&self, view: &impl Read) -> Result<(TaskOutput, u64), EngineError> {
        match self {
            Task::Snapshot { region } => {
                let body = Body::read(view, region)?;
                let size = body.len();
                Ok((TaskOutput::Snapshot(body), size))
            }
            Task::Measure { region, keep } => {
                let (size, split_key) = measure(view, region, *keep)?;
                Ok((TaskOutput::Measured { size, split_key }, size))
            }
            Task::Write { bytes } => Ok((TaskOutput::Written, *bytes)),
        }
    }
}

/// A region's size, and the first key with so much before it.
fn measure(view: &impl Read, region: &Region, keep: u64) -> Result<(u64, Option<Bytes>), EngineError> {
    // A key has all of its column families on one side.
    let mut sizes: BTreeMap<Bytes, u64> = BTreeMap::new();
    for cf in Cf::ALL {
        let (start, end) = (keys::data(cf, &region.start_key), keys::data_end(cf, &region.end_key));
        view.scan(Db::Kv, &start, &end, &mut |key, value| {
            let user_key = Bytes::copy_from_slice(&key[cf.prefix().len()..]);
            *sizes.entry(user_key).or_default() += (key.len() + value.len()) as u64;
            true
        })?;
    }
    let total: u64 = sizes.values().sum();
    let enough = if keep == 0 || keep >= total { total.div_ceil(2) } else { keep };
    let mut before = 0;
    for (key, size) in sizes {
        if before >= enough && key > region.start_key {
            return Ok((total, Some(key)));
        }
        before += size;
    }
    Ok((total, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, WriteBatch};
    use crate::testing::MapEngine;

    /// A region from `b` to `m` with these keys; each pair has 20 bytes.
    fn measured(keys: &[&str], keep: u64) -> (u64, Option<Bytes>) {
        let mut engine = MapEngine::default();
        let mut batch = WriteBatch::new();
        for key in keys {
            batch.put(&keys::data(Cf::Default, key.as_bytes()), &vec![0; 12 - key.len()]);
        }
        // Neighbours' keys do not count.
        batch.put(&keys::data(Cf::Default, b"a"), &[0; 100]);
        batch.put(&keys::data(Cf::Lock, b"m"), &[0; 100]);
        engine.write(Db::Kv, batch).unwrap();
        let region = Region { id: 1, start_key: "b".into(), end_key: "m".into(), ..Region::default() };
        let task = Task::Measure { region, keep };
        let (output, bytes) = task.run(&engine).unwrap();
        let TaskOutput::Measured { size, split_key } = output else { panic!("{output:?}") };
        assert_eq!(bytes, size);
        (size, split_key)
    }

    #[test]
    fn a_region_is_split_where_enough_stands_before_the_key() {
        assert_eq!(measured(&["c", "d", "e", "f"], 20), (80, Some("d".into())));
        assert_eq!(measured(&["c", "d", "e", "f"], 21), (80, Some("e".into())));
        assert_eq!(measured(&["c", "d", "e", "f"], 0), (80, Some("e".into())), "in the middle");
        assert_eq!(measured(&["c", "d", "e"], 1_000), (60, Some("e".into())), "there is less than that");
    }

    #[test]
    fn a_region_of_one_key_cannot_be_split() {
        assert_eq!(measured(&[], 0), (0, None));
        assert_eq!(measured(&["b"], 0), (20, None), "nothing would be left of it");
        assert_eq!(measured(&["c"], 0), (20, None));
    }

    #[test]
    fn a_key_has_all_its_column_families_on_one_side() {
        let mut engine = MapEngine::default();
        let mut batch = WriteBatch::new();
        for cf in Cf::ALL {
            batch.put(&keys::data(cf, b"c"), b"1");
            batch.put(&keys::data(cf, b"d"), b"1");
        }
        engine.write(Db::Kv, batch).unwrap();
        let region = Region { id: 1, ..Region::default() };
        for keep in 1..30 {
            let task = Task::Measure { region: region.clone(), keep };
            let (output, _) = task.run(&engine).unwrap();
            let TaskOutput::Measured { split_key, .. } = output else { panic!("{output:?}") };
            assert!(split_key.is_none_or(|key| key == "d"), "{keep}");
        }
    }
}
