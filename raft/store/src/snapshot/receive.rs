//! Receiving snapshots: chunks are collected in a database of their own until a body is whole and durable.
//!
//! A chunk is written where its number says, so chunks within the window may come in any order and the database puts
//! them right: a lost chunk costs its own repetition, not that of all that follow it. Nothing is looked into until
//! all of it is read back and verified against raft's message ([`load`]). A damaged chunk is treated as lost.
//!
//! The stages of a reception:
//!
//! ```text
//! Coming -- last gap closed, sync asked for --> Whole -- durable --> Offered -- finish --> verdict sent
//! ```
//!
//! Only `Coming` can time out: after that it is the database's turn, then the store's. A newer snapshot takes the
//! place of an older one in `Coming` and `Whole`, but not in `Offered`, where raft may have it already.
//!
//! After `Accepted` a record in the raft database names the chunks, and they stay until [`Incoming::remove`]. All
//! other chunks mean nothing: [`Incoming::open`] removes them after a restart.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use im::{OrdMap, OrdSet};
use raft_proto::metapb::Peer;
use raft_proto::raft_serverpb::{
    RaftMessage, RaftSnapshotData, SnapshotAck, SnapshotChunk, SnapshotKey, SnapshotVerdict, StoreMessage,
    store_message::Payload,
};

use super::{Body, BodyError, Prefix, announced, chunk_key, chunks_end, decode_chunk_key, prefix, slot};
use crate::config::Config;
use crate::engine::{Db, Engine, Read, Transport, WriteBatch, WriteSeq};
use crate::error::{EngineError, StoreError};
use crate::timers::NEVER;

/// The snapshots that a store is receiving.
#[derive(Clone, Debug)]
pub(crate) struct Incoming {
    limit: usize,
    window: u32,
    timeout_ticks: u64,
    /// By region and receiver.
    coming: OrdMap<(u64, u64), Arc<Reception>>,
    /// Accepted ones, whose chunks are still needed. They count as received: that limits the room they take.
    held: OrdSet<Prefix>,
    /// The last verdict on a snapshot for each region and receiver, for a sender that it did not reach.
    decided: OrdMap<(u64, u64), Decided>,
}

/// A snapshot whose body is whole and durable. Raft does not know of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Received {
    /// What [`Incoming::finish`] and [`load`] want to know.
    pub(crate) key: SnapshotKey,
    /// Raft's message.
    pub(crate) message: RaftMessage,
    /// The replica that sent it.
    pub(crate) from: Peer,
}

/// Why a body cannot be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoadError {
    /// A database failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A chunk is missing, though there are later ones.
    #[error("chunk {0} of the snapshot is missing")]
    Missing(u32),
    /// The raft message does not say what it is a snapshot of.
    #[error("the snapshot names no region")]
    NoRegion,
    /// The chunks are not the body.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// A snapshot that is coming.
#[derive(Clone, Debug)]
struct Reception {
    key: SnapshotKey,
    message: RaftMessage,
    from: Peer,
    /// Chunks that are here, from the first on.
    received: u32,
    /// Chunks behind the gap at `received`.
    ahead: BTreeSet<u32>,
    /// How many there are; known when the last one is here.
    chunks: Option<u32>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Chunks are missing. Given up at this tick.
    Coming { deadline: u64 },
    /// All were written, the last one with this number.
    Whole { written: WriteSeq },
    /// Durable, and in the store's hands.
    Offered,
}

#[derive(Clone, Copy, Debug)]
struct Decided {
    ack: SnapshotAck,
    attempt: u64,
    forget_at: u64,
}

/// What to do with a chunk.
enum Admission {
    /// It belongs to a snapshot that is coming.
    Known,
    /// It begins one.
    New,
    /// It is not welcome.
    Answer(SnapshotAck),
    /// It will be, in a moment: the sender repeats it.
    Silence,
}

impl Incoming {
    /// After a start of the store: removes all chunks but those of the transfers in `kept`, which records name.
    pub(crate) fn open(
        env: &mut impl Engine,
        config: &Config,
        kept: &[SnapshotKey],
    ) -> Result<Incoming, StoreError> {
        let held: OrdSet<Prefix> = kept.iter().map(|&key| prefix(key)).collect();
        // Past every chunk key: those have 52 bytes.
        delete(env, &[], &[0xff; 53], |key| {
            decode_chunk_key(key).is_none_or(|(key, _)| !held.contains(&prefix(key)))
        })?;
        Ok(Incoming {
            limit: config.max_snapshots_received,
            window: config.snapshot_window.max(1),
            timeout_ticks: config.snapshot_timeout_ticks,
            coming: OrdMap::new(),
            held,
            decided: OrdMap::new(),
        })
    }

    /// A chunk came, for a replica that lives here or can live here.
    pub(crate) fn on_chunk(
        &mut self,
        env: &mut (impl Engine + Transport),
        tick: u64,
        mut chunk: SnapshotChunk,
    ) -> Result<(), StoreError> {
        let (Some(key), Some(from)) = (chunk.key, chunk.from_peer) else { return Ok(()) };
        if crc32fast::hash(&chunk.data) != chunk.checksum {
            return Ok(());
        }
        match self.admit(key, from, &chunk) {
            Admission::Known => {}
            Admission::New => {
                let message = chunk.message.take().expect("what begins a transfer announces it");
                self.begin(env, tick, key, message, from)?;
            }
            Admission::Answer(ack) => {
                send(env, from, ack);
                return Ok(());
            }
            Admission::Silence => return Ok(()),
        }
        self.take(env, tick, key, chunk)
    }

    fn admit(&self, key: SnapshotKey, from: Peer, chunk: &SnapshotChunk) -> Admission {
        let answer = |verdict| Admission::Answer(refusal(chunk, verdict));
        if let Some(decided) = self.decided.get(&slot(key)) {
            if decided.ack.key == Some(key) {
                return Admission::Answer(decided.ack);
            }
            if key.attempt <= decided.attempt {
                return answer(SnapshotVerdict::Refused);
            }
        }
        let other = self.coming.get(&slot(key));
        match other {
            Some(reception) if reception.key == key => return Admission::Known,
            Some(reception) if key.attempt <= reception.key.attempt => {
                return answer(SnapshotVerdict::Refused);
            }
            Some(reception) if reception.stage == Stage::Offered => return Admission::Silence,
            _ => {}
        }
        // The sender waits for the first chunk's acknowledgement, so this transfer was known here once.
        if chunk.number > 0 {
            return answer(SnapshotVerdict::Busy);
        }
        let announced = chunk.message.as_ref().and_then(|message| announced(message, key.attempt));
        if announced.is_none_or(|(announced, sender, _)| announced != key || sender != from) {
            return answer(SnapshotVerdict::Refused);
        }
        if other.is_none() && self.coming.len() + self.held.len() >= self.limit {
            return answer(SnapshotVerdict::Busy);
        }
        Admission::New
    }

    /// Makes room for a new snapshot.
    fn begin(
        &mut self,
        env: &mut impl Engine,
        tick: u64,
        key: SnapshotKey,
        message: RaftMessage,
        from: Peer,
    ) -> Result<(), StoreError> {
        if let Some(older) = self.coming.remove(&slot(key)) {
            delete_chunks(env, older.key)?;
        }
        let stage = Stage::Coming { deadline: tick + self.timeout_ticks };
        let (received, ahead, chunks) = (0, BTreeSet::new(), None);
        let reception = Reception { key, message, from, received, ahead, chunks, stage };
        self.coming.insert(slot(key), Arc::new(reception));
        Ok(())
    }

    /// Keeps a chunk of a snapshot that is coming, and tells the sender how far it is.
    fn take(
        &mut self,
        env: &mut (impl Engine + Transport),
        tick: u64,
        key: SnapshotKey,
        chunk: SnapshotChunk,
    ) -> Result<(), StoreError> {
        let Some(reception) = self.coming.get_mut(&slot(key)) else { return Ok(()) };
        if reception.wants(&chunk, self.window) {
            let reception = Arc::make_mut(reception);
            let mut batch = WriteBatch::new();
            batch.put(&chunk_key(key, chunk.number), &chunk.data);
            let written = env.write(Db::Snapshots, batch)?;
            reception.count(&chunk);
            if reception.chunks == Some(reception.received) {
                reception.stage = Stage::Whole { written };
                env.sync(Db::Snapshots)?;
            } else {
                reception.stage = Stage::Coming { deadline: tick + self.timeout_ticks };
            }
        }
        let ack = ack(key, reception.received, SnapshotVerdict::Receiving, reception.from);
        send(env, reception.from, ack);
        Ok(())
    }

    /// The snapshots that have become durable with the sync of all writes up to `up_to`. Each waits for
    /// [`finish`](Self::finish).
    pub(crate) fn on_synced(&mut self, up_to: WriteSeq) -> Vec<Received> {
        let durable = |reception: &&Arc<Reception>| matches!(reception.stage, Stage::Whole { written } if written <= up_to);
        let slots: Vec<_> =
            self.coming.values().filter(durable).map(|reception| slot(reception.key)).collect();
        let mut offered = Vec::new();
        for slot in slots {
            let Some(reception) = self.coming.get_mut(&slot) else { continue };
            let reception = Arc::make_mut(reception);
            reception.stage = Stage::Offered;
            let Reception { key, from, .. } = *reception;
            offered.push(Received { key, message: reception.message.clone(), from });
        }
        offered
    }

    /// Ends an offered snapshot with `verdict`, which is not `Receiving`, and tells the sender. `Accepted`: what raft
    /// made of it is durable, and a record names its chunks. Does nothing where the snapshot was cancelled.
    pub(crate) fn finish(
        &mut self,
        env: &mut (impl Engine + Transport),
        tick: u64,
        key: SnapshotKey,
        verdict: SnapshotVerdict,
    ) -> Result<(), StoreError> {
        let offered = |reception: &&Arc<Reception>| reception.key == key && reception.stage == Stage::Offered;
        let Some(reception) = self.coming.get(&slot(key)).filter(offered) else { return Ok(()) };
        let ack = ack(key, reception.received, verdict, reception.from);
        send(env, reception.from, ack);
        self.coming.remove(&slot(key));
        self.decided = self
            .decided
            .iter()
            .filter(|(_, decided)| decided.forget_at > tick)
            .map(|(k, v)| (*k, *v))
            .collect();
        let decided = Decided { ack, attempt: key.attempt, forget_at: tick + self.timeout_ticks };
        self.decided.insert(slot(key), decided);
        if verdict == SnapshotVerdict::Accepted {
            self.held.insert(prefix(key));
        } else {
            delete_chunks(env, key)?;
        }
        Ok(())
    }

    /// The chunks of an accepted snapshot are needed no more: no record names them.
    pub(crate) fn remove(&mut self, env: &mut impl Engine, key: SnapshotKey) -> Result<(), StoreError> {
        self.held.remove(&prefix(key));
        delete_chunks(env, key)
    }

    /// Gives up the snapshots of `region` that are coming or offered, and removes their chunks: the replica is gone.
    /// Accepted ones stay, and so does the one that is `recorded`: its record may become durable, and the replica come
    /// back in a crash. Until [`remove`](Self::remove) it is kept as if it had been accepted.
    pub(crate) fn cancel(
        &mut self,
        env: &mut impl Engine,
        region: u64,
        recorded: Option<SnapshotKey>,
    ) -> Result<(), StoreError> {
        let gone = self.coming.range((region, 0)..=(region, u64::MAX));
        let mut gone: Vec<SnapshotKey> = gone.map(|(_, reception)| reception.key).collect();
        if let Some(key) = recorded.filter(|key| gone.contains(key)) {
            self.coming.remove(&slot(key));
            self.held.insert(prefix(key));
            gone.retain(|other| *other != key);
        }
        self.drop_all(env, &gone)
    }

    /// Gives up what has stopped coming.
    pub(crate) fn on_tick(&mut self, env: &mut impl Engine, tick: u64) -> Result<(), StoreError> {
        let late = self.coming.values().filter(|reception| reception.deadline() <= tick);
        let late: Vec<SnapshotKey> = late.map(|reception| reception.key).collect();
        self.drop_all(env, &late)
    }

    /// The tick at which [`on_tick`](Self::on_tick) next has something to do.
    pub(crate) fn next_due(&self) -> u64 {
        // As in `Outgoing`.
        if self.coming.is_empty() {
            return NEVER;
        }
        self.coming.values().map(|reception| reception.deadline()).min().unwrap_or(NEVER)
    }

    /// How many are coming or offered.
    pub(crate) fn len(&self) -> usize {
        self.coming.len()
    }

    fn drop_all(&mut self, env: &mut impl Engine, keys: &[SnapshotKey]) -> Result<(), StoreError> {
        for &key in keys {
            self.coming.remove(&slot(key));
            delete_chunks(env, key)?;
        }
        Ok(())
    }
}

impl Reception {
    /// Whether a chunk is new, and near enough to what is missing: what a peer can make us hold is bounded.
    fn wants(&self, chunk: &SnapshotChunk, window: u32) -> bool {
        let open = self.received..self.received.saturating_add(window);
        open.contains(&chunk.number)
            && !self.ahead.contains(&chunk.number)
            && self.chunks.is_none_or(|chunks| chunk.number < chunks)
    }

    fn count(&mut self, chunk: &SnapshotChunk) {
        self.ahead.insert(chunk.number);
        while self.ahead.remove(&self.received) {
            self.received += 1;
        }
        if chunk.last {
            self.chunks = Some(chunk.number + 1);
        }
    }

    fn deadline(&self) -> u64 {
        match self.stage {
            Stage::Coming { deadline } => deadline,
            Stage::Whole { .. } | Stage::Offered => NEVER,
        }
    }
}

/// Reads the body of an offered or accepted snapshot back, and verifies it against what raft's message says.
///
/// # Errors
/// When the database cannot be read, or the chunks are not that body.
pub(crate) fn load(view: &impl Read, key: &SnapshotKey, data: &RaftSnapshotData) -> Result<Body, LoadError> {
    let region = data.region.as_ref().ok_or(LoadError::NoRegion)?;
    let mut chunks: Vec<Bytes> = Vec::new();
    let mut missing = None;
    view.scan(Db::Snapshots, &chunk_key(*key, 0), &chunks_end(*key), &mut |found, chunk| {
        let number = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        if found == chunk_key(*key, number) {
            chunks.push(chunk.clone());
        } else {
            missing = Some(number);
        }
        missing.is_none()
    })?;
    if let Some(number) = missing {
        return Err(LoadError::Missing(number));
    }
    let bytes = match chunks.as_slice() {
        [only] => only.clone(),
        chunks => chunks.concat().into(),
    };
    if bytes.len() as u64 != data.file_size {
        return Err(BodyError::Size { expected: data.file_size, actual: bytes.len() as u64 }.into());
    }
    Ok(Body::verify(data.meta.clone().unwrap_or_default(), bytes, region)?)
}

/// The answer to a chunk that no replica here can take.
pub(crate) fn refusal(chunk: &SnapshotChunk, verdict: SnapshotVerdict) -> SnapshotAck {
    SnapshotAck { key: chunk.key, received: 0, verdict: verdict.into(), to_peer: chunk.from_peer }
}

fn ack(key: SnapshotKey, received: u32, verdict: SnapshotVerdict, to: Peer) -> SnapshotAck {
    SnapshotAck { key: Some(key), received, verdict: verdict.into(), to_peer: Some(to) }
}

fn send(env: &mut impl Transport, to: Peer, ack: SnapshotAck) {
    env.send(to.store_id, StoreMessage { payload: Some(Payload::Ack(ack)) });
}

fn delete_chunks(env: &mut impl Engine, key: SnapshotKey) -> Result<(), StoreError> {
    delete(env, &chunk_key(key, 0), &chunks_end(key), |_| true)
}

/// Removes the keys of a range that are `unwanted`, damaged or not. Not synced: what comes back in a crash is removed
/// at the next start.
fn delete(
    env: &mut impl Engine,
    start: &[u8],
    end: &[u8],
    unwanted: impl Fn(&[u8]) -> bool,
) -> Result<(), StoreError> {
    let mut batch = WriteBatch::new();
    env.scan_keys(Db::Snapshots, start, end, &mut |key| {
        if unwanted(key) {
            batch.delete(key);
        }
        true
    })?;
    if !batch.is_empty() {
        env.write(Db::Snapshots, batch)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
