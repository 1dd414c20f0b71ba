//! A batch of user data that is being made, and can be read as if it was written already.
//!
//! Commands of one batch must see each other's writes (an append after an append), but the batch shall
//! reach the database as one, with the apply state in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::engine::{Db, Read, WriteBatch};
use crate::error::EngineError;

/// A [`WriteBatch`] for the kv database with reads on top.
#[derive(Debug, Default)]
pub(crate) struct Overlay {
    batch: WriteBatch,
    /// One for each operation, so that a lookup compares integers side by side and hardly ever a key.
    /// Batches are kept small (fewer than `apply::MAX_BATCH_OPS` before the last entry, and that adds at
    /// most `validate::MAX_COMMANDS`), which beats the allocations of a map.
    fingerprints: SmallVec<[u64; 16]>,
}

/// Tells most keys apart. The end of a key varies more than its beginning.
fn fingerprint(key: &[u8]) -> u64 {
    let mut tail = [0; 8];
    let bytes = key.len().min(8);
    tail[..bytes].copy_from_slice(&key[key.len() - bytes..]);
    u64::from_le_bytes(tail) ^ (key.len() as u64).rotate_right(8)
}

impl Overlay {
    /// An empty batch with room for `bytes` bytes of keys and values.
    pub(crate) fn with_capacity(bytes: usize) -> Overlay {
        Overlay { batch: WriteBatch::with_capacity(bytes), fingerprints: SmallVec::new() }
    }

    /// The number of writes.
    pub(crate) fn len(&self) -> usize {
        self.batch.len()
    }

    /// The batch, to be written.
    pub(crate) fn into_batch(self) -> WriteBatch {
        self.batch
    }

    /// Sets `key` to the concatenation of `parts`.
    pub(crate) fn put(&mut self, key: &[u8], parts: &[&[u8]]) {
        self.fingerprints.push(fingerprint(key));
        self.batch.put_parts(key, parts);
    }

    /// Everything that `records` does, which no command of the batch looks at.
    pub(crate) fn append(&mut self, records: WriteBatch) {
        for position in 0..records.len() {
            match records.op(position) {
                (key, Some(value)) => self.put(key, &[value]),
                (key, None) => self.delete(key),
            }
        }
    }

    /// Removes `key`.
    pub(crate) fn delete(&mut self, key: &[u8]) {
        self.fingerprints.push(fingerprint(key));
        self.batch.delete(key);
    }

    /// The value of `key`: the last one in the batch, or else the one below it.
    pub(crate) fn get(&self, engine: &impl Read, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        let wanted = fingerprint(key);
        for (position, _) in self.fingerprints.iter().enumerate().rev().filter(|(_, found)| **found == wanted)
        {
            let (found, value) = self.batch.op(position);
            if found == key {
                return Ok(value.map(Bytes::copy_from_slice));
            }
        }
        engine.get(Db::Kv, key)
    }

    /// Visits the pairs with `start <= key < end` in order until `visit` returns false.
    pub(crate) fn scan(
        &self,
        engine: &impl Read,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], Bytes) -> bool,
    ) -> Result<(), EngineError> {
        let ops = (0..self.batch.len()).map(|position| self.batch.op(position));
        // The last write of a key wins.
        let pending: BTreeMap<_, _> = ops.filter(|&(key, _)| start <= key && key < end).collect();
        let mut pending = pending.into_iter().peekable();
        let mut going = true;
        engine.scan(Db::Kv, start, end, &mut |key, value| {
            while let Some((ours, written)) = pending.next_if(|&(ours, _)| ours < key) {
                going = written.is_none_or(|written| visit(ours, Bytes::copy_from_slice(written)));
                if !going {
                    return false;
                }
            }
            going = match pending.next_if(|&(ours, _)| ours == key) {
                Some((_, written)) => {
                    written.is_none_or(|written| visit(key, Bytes::copy_from_slice(written)))
                }
                None => visit(key, value.clone()),
            };
            going
        })?;
        for (ours, written) in pending {
            going = going && written.is_none_or(|written| visit(ours, Bytes::copy_from_slice(written)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::engine::Engine;
    use crate::testing::MapEngine;

    /// A write: a key and its new value, or none.
    fn write() -> impl Strategy<Value = (Vec<u8>, Option<Vec<u8>>)> {
        // Few bytes and different lengths, so that keys are equal, prefixes of each other, or close.
        (vec(0..3u8, 0..12), proptest::option::of(vec(any::<u8>(), 0..3)))
    }

    fn visit(
        overlay: &Overlay,
        engine: &MapEngine,
        range: (&[u8], &[u8]),
        limit: usize,
    ) -> Vec<(Vec<u8>, Bytes)> {
        let mut found = Vec::new();
        let mut visit = |key: &[u8], value| {
            found.push((key.to_vec(), value));
            found.len() < limit
        };
        overlay.scan(engine, range.0, range.1, &mut visit).unwrap();
        found
    }

    proptest! {
        #[test]
        fn reads_see_the_batch_as_if_it_was_written(
            below in vec(write(), 0..20),
            above in vec(write(), 0..20),
            probes in vec(vec(0..3u8, 0..12), 0..10),
            start in vec(0..4u8, 0..3),
            end in vec(0..4u8, 0..3),
            limit in 1..10usize,
        ) {
            let mut engine = MapEngine::default();
            let mut batch = WriteBatch::new();
            for (key, value) in &below {
                match value {
                    Some(value) => batch.put(key, value),
                    None => batch.delete(key),
                }
            }
            engine.write(Db::Kv, batch).unwrap();
            let mut overlay = Overlay::default();
            for (key, value) in &above {
                match value {
                    Some(value) => overlay.put(key, &[value]),
                    None => overlay.delete(key),
                }
            }
            let mut model = BTreeMap::new();
            for (key, value) in below.iter().chain(&above) {
                model.insert(key.clone(), value.clone().map(Bytes::from));
            }
            model.retain(|_, value| value.is_some());

            for key in below.iter().chain(&above).map(|(key, _)| key).chain(&probes) {
                let expected = model.get(key).cloned().flatten();
                prop_assert_eq!(overlay.get(&engine, key).unwrap(), expected);
            }
            let expected: Vec<_> = model
                .iter()
                .filter(|(key, _)| start <= **key && **key < end)
                .map(|(key, value)| (key.clone(), value.clone().unwrap()))
                .take(limit)
                .collect();
            prop_assert_eq!(visit(&overlay, &engine, (&start, &end), limit), expected);

            engine.write(Db::Kv, overlay.into_batch()).unwrap();
            for (key, value) in &model {
                prop_assert_eq!(&engine.get(Db::Kv, key).unwrap(), value);
            }
        }
    }
}
