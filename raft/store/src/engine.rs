//! What the store needs from the outside: three databases, a way to send messages, a way to answer
//! clients. In production these are an engine on disk and sockets; in the simulator, models of both.
//!
//! The store calls these traits and never waits. A write is visible to reads at once; that it is
//! *durable* comes back later as an input, [`Store::on_synced`](crate::Store::on_synced).

use bytes::Bytes;
use prost::Message;
use raft_proto::raft_cmdpb::RaftCmdResponse;
use raft_proto::raft_serverpb::StoreMessage;
use raft_proto::schedulerpb;
use smallvec::SmallVec;

use crate::error::EngineError;
use crate::task::Background;

/// Which of a store's databases. They are synced apart from each other, so after a crash each may
/// be at another moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Db {
    /// Raft logs and the state that promises depend on: synced before the promise leaves.
    Raft,
    /// User data, apply states and region states: synced now and then, since the log can replay.
    Kv,
    /// Bodies of snapshots that come in, until they are part of the kv database: synced when one is whole.
    /// Files in a directory would do as well.
    Snapshots,
}

/// The number of a write. Per database, growing by one with every write.
pub type WriteSeq = u64;

/// The databases of one store, or a view of them, to read.
pub trait Read {
    /// The value at `key`, as of the last write.
    ///
    /// # Errors
    /// When the database cannot be read, or what was read fails its checksum.
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// Visits the pairs with `start <= key < end` in order until `visit` returns false.
    ///
    /// # Errors
    /// When the database cannot be read, or what was read fails its checksum.
    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError>;

    /// Visits the keys with `start <= key < end` in order until `visit` returns false. No value is read, so none that is
    /// damaged stands in the way: what is to be deleted can be found.
    ///
    /// # Errors
    /// When the database cannot be read.
    fn scan_keys(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), EngineError>;
}

/// The databases of one store.
///
/// An engine that is opened has made durable what it shows, as RocksDB does by flushing what it recovers
/// from its log, or shows only what is. A store takes what an earlier life wrote for durable: if it could
/// read back a vote that was never synced, it would repeat the promise, and the next power failure would
/// take the vote away.
pub trait Engine: Read {
    /// Applies `batch` as one: visible to reads at once, durable once
    /// [`Store::on_synced`](crate::Store::on_synced) has named its number or a higher one. A crash keeps
    /// a batch whole or not at all, and never a later batch without an earlier one of the same database; of
    /// [`Db::Snapshots`], which may be files, it may keep a part of the last one.
    ///
    /// # Errors
    /// When the database refuses the write; then nothing of it is visible.
    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError>;

    /// Asks for a sync of everything written to `db` so far. Does not wait for it.
    ///
    /// # Errors
    /// When no sync can be started. One that fails later is
    /// [`Store::on_sync_failed`](crate::Store::on_sync_failed).
    fn sync(&mut self, db: Db) -> Result<(), EngineError>;
}

/// The way to other stores.
pub trait Transport {
    /// Sends to a store. May lose, delay, repeat or reorder.
    fn send(&mut self, store_id: u64, message: StoreMessage);
}

/// The way to the placement driver.
pub trait PlacementClient {
    /// Tells or asks the placement driver. May lose, delay, repeat or reorder. What it answers, or orders by
    /// itself, comes as [`Store::on_placement`](crate::Store::on_placement). Never called where
    /// [`Config::placement`](crate::Config::placement) is off.
    fn ask(&mut self, request: schedulerpb::Request);
}

/// A client request as its caller names it. The store does not look into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// The way back to clients.
pub trait Replies {
    /// Answers `request`: at most once for each, and never when the store stopped before.
    fn reply(&mut self, request: RequestId, response: RaftCmdResponse);
}

/// Everything a store needs from the outside.
pub trait Env: Engine + Transport + Replies + PlacementClient + Background {}

impl<T: Engine + Transport + Replies + PlacementClient + Background> Env for T {}

/// Puts and deletes that take effect together, in order.
///
/// All keys and values stand in one buffer, so a batch costs one or two allocations however many
/// operations it has, and the [`Bytes`] that come out of it share that buffer.
#[derive(Clone, Debug, Default)]
pub struct WriteBatch {
    /// Key and value of each operation, one after the other.
    buffer: Vec<u8>,
    ops: SmallVec<[Op; 4]>,
}

/// Where an operation's key and value end in the buffer; they begin where what is before them ends.
#[derive(Clone, Copy, Debug)]
struct Op {
    key_end: usize,
    value_end: usize,
    delete: bool,
}

impl WriteBatch {
    /// An empty batch.
    #[must_use]
    pub fn new() -> WriteBatch {
        WriteBatch::default()
    }

    /// An empty batch with room for `bytes` bytes of keys and values.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> WriteBatch {
        WriteBatch { buffer: Vec::with_capacity(bytes), ops: SmallVec::new() }
    }

    /// Sets `key` to `value`. An empty value is a value.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.put_parts(key, &[value]);
    }

    /// Sets `key` to the concatenation of `parts`.
    pub fn put_parts(&mut self, key: &[u8], parts: &[&[u8]]) {
        self.buffer.reserve(key.len() + parts.iter().map(|part| part.len()).sum::<usize>());
        self.buffer.extend_from_slice(key);
        let key_end = self.buffer.len();
        for part in parts {
            self.buffer.extend_from_slice(part);
        }
        self.ops.push(Op { key_end, value_end: self.buffer.len(), delete: false });
    }

    /// Sets `key` to the encoding of `message`.
    pub fn put_message(&mut self, key: &[u8], message: &impl Message) {
        self.buffer.reserve(key.len() + message.encoded_len());
        self.buffer.extend_from_slice(key);
        let key_end = self.buffer.len();
        message.encode(&mut self.buffer).expect("a Vec grows as needed");
        self.ops.push(Op { key_end, value_end: self.buffer.len(), delete: false });
    }

    /// Removes `key`, if it exists.
    pub fn delete(&mut self, key: &[u8]) {
        self.buffer.extend_from_slice(key);
        let end = self.buffer.len();
        self.ops.push(Op { key_end: end, value_end: end, delete: true });
    }

    /// The number of operations.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// Bytes of all keys and values together: what a disk model may charge for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Key and new value (`None`: deleted) of the operation at `position`, counted from 0.
    ///
    /// # Panics
    /// When there is no such operation.
    #[must_use]
    pub fn op(&self, position: usize) -> (&[u8], Option<&[u8]>) {
        let start = position.checked_sub(1).map_or(0, |before| self.ops[before].value_end);
        let Op { key_end, value_end, delete } = self.ops[position];
        (&self.buffer[start..key_end], (!delete).then(|| &self.buffer[key_end..value_end]))
    }

    /// Key and new value (`None`: deleted) of each operation, in order.
    pub fn into_ops(self) -> impl Iterator<Item = (Bytes, Option<Bytes>)> {
        let mut rest = Bytes::from(self.buffer);
        let mut start = 0;
        self.ops.into_iter().map(move |Op { key_end, value_end, delete }| {
            let key = rest.split_to(key_end - start);
            let value = rest.split_to(value_end - key_end);
            start = value_end;
            (key, (!delete).then_some(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_its_operations_in_order() {
        let mut batch = WriteBatch::new();
        assert!(batch.is_empty());
        batch.put(b"a", b"1");
        batch.delete(b"b");
        batch.put(b"c", b"");
        batch.put_parts(b"d", &[b"x", b"", b"yz"]);
        batch.put_message(b"e", &7u64);
        assert_eq!(batch.len(), 5);
        assert_eq!(batch.op(1), (&b"b"[..], None));
        assert_eq!(batch.op(2), (&b"c"[..], Some(&b""[..])));
        assert_eq!(batch.op(3), (&b"d"[..], Some(&b"xyz"[..])));
        assert_eq!(batch.bytes(), 5 + 1 + 3 + 2);
        let ops: Vec<_> = batch.into_ops().collect();
        let expected: Vec<(Bytes, Option<Bytes>)> = vec![
            ("a".into(), Some("1".into())),
            ("b".into(), None),
            ("c".into(), Some("".into())),
            ("d".into(), Some("xyz".into())),
            ("e".into(), Some(vec![0x08, 0x07].into())),
        ];
        assert_eq!(ops, expected);
    }
}
