//! Sending snapshots: a window of chunks, repeated until they are acknowledged.
//!
//! Like TCP in small: acknowledgements are cumulative, the first unacknowledged chunk is repeated after a time that
//! doubles, and silence for long enough ends it. A transfer begins with its first chunk alone; the others follow
//! when that is acknowledged. So a receiver that is busy costs one chunk, and a receiver that gets a later chunk of
//! a transfer it does not know can tell that it did know it, and forgot it in a restart: nothing overtakes a first
//! chunk.
//!
//! What a transfer is worth is told once, as a [`Sent`]; until then raft sends the peer nothing else.

use std::sync::Arc;

use bytes::Bytes;
use im::OrdMap;
use raft_proto::metapb::Peer;
use raft_proto::raft_serverpb::{
    RaftMessage, SnapshotAck, SnapshotChunk, SnapshotKey, SnapshotVerdict, StoreMessage,
    store_message::Payload,
};

use super::{Body, announced, slot};
use crate::config::Config;
use crate::engine::Transport;
use crate::timers::NEVER;

/// A chunk that is not acknowledged within so many ticks is repeated. One would be a moment only, where it is
/// sent at the end of a tick.
const FIRST_RETRY_TICKS: u64 = 2;

/// The snapshots that a store is sending.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    chunk_size: u64,
    window: u32,
    limit: usize,
    timeout_ticks: u64,
    /// By region and receiver.
    transfers: OrdMap<(u64, u64), Arc<Transfer>>,
    /// Transfers begun in this life.
    begun: u32,
}

/// The end of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// The region.
    pub(crate) region: u64,
    /// The replica that it was sent to.
    pub(crate) to_peer: u64,
    /// The receiver's raft has it. Otherwise nobody knows.
    pub(crate) ok: bool,
}

/// So many snapshots are being sent that another one has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many snapshots are being sent")]
pub(crate) struct TooMany;

/// One snapshot on its way to one replica.
#[derive(Clone, Debug)]
struct Transfer {
    key: SnapshotKey,
    from: Peer,
    to: Peer,
    message: RaftMessage,
    body: Bytes,
    /// Bytes of all chunks but the last one.
    chunk_size: usize,
    /// At least one, however small the body.
    chunks: u32,
    /// Chunks that the receiver has, from the first on: `acked <= sent <= chunks`.
    acked: u32,
    /// Chunks that were sent, from the first on.
    sent: u32,
    /// The ticks from the last repetition to the next.
    retry_ticks: u64,
    retry_at: u64,
    give_up_at: u64,
    /// When it gives up for want of news, whatever the receiver says.
    last_chance: u64,
}

/// A receiver that answers and gets no further, since its disk does not, is given up after so many timeouts: the log is kept
/// from the snapshot on until then.
const PATIENCE: u64 = 8;

impl Outgoing {
    pub(crate) fn new(config: &Config) -> Outgoing {
        Outgoing {
            chunk_size: config.snapshot_chunk_size.max(1),
            window: config.snapshot_window.max(1),
            limit: config.max_snapshots_sent,
            timeout_ticks: config.snapshot_timeout_ticks,
            transfers: OrdMap::new(),
            begun: 0,
        }
    }

    /// Begins to send `message`, a `MsgSnapshot` with metadata and both replicas, and the body that it speaks of.
    /// Takes the place of an earlier snapshot to the same replica: of that one no end is told.
    ///
    /// # Errors
    /// When too many others are on their way.
    pub(crate) fn start(
        &mut self,
        env: &mut impl Transport,
        tick: u64,
        message: RaftMessage,
        body: Body,
    ) -> Result<(), TooMany> {
        let attempt = self.next_attempt(&message);
        let (key, from, to) = announced(&message, attempt).expect("the caller sends a snapshot");
        if self.transfers.len() >= self.limit && !self.transfers.contains_key(&slot(key)) {
            return Err(TooMany);
        }
        // Chunks are numbered in 32 bits.
        let chunk_size = self.chunk_size.max(body.len().div_ceil(u64::from(u32::MAX)));
        let mut transfer = Transfer {
            key,
            from,
            to,
            message,
            chunk_size: usize::try_from(chunk_size).unwrap_or(usize::MAX),
            chunks: u32::try_from(body.len().div_ceil(chunk_size)).expect("see chunk_size").max(1),
            body: body.bytes().clone(),
            acked: 0,
            sent: 0,
            retry_ticks: FIRST_RETRY_TICKS,
            retry_at: tick + FIRST_RETRY_TICKS,
            give_up_at: tick + self.timeout_ticks,
            last_chance: tick + self.timeout_ticks * PATIENCE,
        };
        transfer.fill_window(env, self.window);
        self.transfers.insert(slot(key), Arc::new(transfer));
        Ok(())
    }

    /// Only the leader of a term sends, and a store that restarts leads in a later term. So no life repeats an
    /// attempt of an earlier one, and of two attempts to reach one replica the higher is the newer, whoever
    /// makes them.
    fn next_attempt(&mut self, message: &RaftMessage) -> u64 {
        self.begun = self.begun.wrapping_add(1);
        let term = message.message.as_ref().map_or(0, |message| message.term);
        term << 32 | u64::from(self.begun)
    }

    /// An acknowledgement came. What is not of a transfer under way is stale.
    pub(crate) fn on_ack(&mut self, env: &mut impl Transport, tick: u64, ack: SnapshotAck) -> Option<Sent> {
        let key = ack.key?;
        let transfer = self.transfers.get(&slot(key)).filter(|transfer| transfer.key == key)?;
        match ack.verdict() {
            SnapshotVerdict::Receiving => {
                // An acknowledgement that others overtook is no sign of life: were it one, a receiver that
                // restarted, and has the first chunks alone, would be waited for without end.
                if (transfer.acked..=transfer.sent).contains(&ack.received) {
                    let transfer = Arc::make_mut(self.transfers.get_mut(&slot(key))?);
                    if ack.received > transfer.acked {
                        transfer.acked = ack.received;
                        transfer.last_chance = tick + self.timeout_ticks * PATIENCE;
                        transfer.retry_ticks = FIRST_RETRY_TICKS;
                        transfer.retry_at = tick + transfer.retry_ticks;
                        transfer.fill_window(env, self.window);
                    }
                    transfer.give_up_at = transfer.last_chance.min(tick + self.timeout_ticks);
                }
                None
            }
            SnapshotVerdict::Accepted => Some(self.end(key, true)),
            SnapshotVerdict::Refused | SnapshotVerdict::Busy => Some(self.end(key, false)),
        }
    }

    /// Repeats what is due, and gives up what was silent for too long.
    pub(crate) fn on_tick(&mut self, env: &mut impl Transport, tick: u64) -> Vec<Sent> {
        let due = |transfer: &&Arc<Transfer>| transfer.due() <= tick;
        let due: Vec<SnapshotKey> =
            self.transfers.values().filter(due).map(|transfer| transfer.key).collect();
        let mut ended = Vec::new();
        for key in due {
            let Some(transfer) = self.transfers.get_mut(&slot(key)) else { continue };
            if transfer.give_up_at <= tick {
                ended.push(self.end(key, false));
            } else {
                // However patient, it tries several times before it gives up.
                Arc::make_mut(transfer).repeat(env, tick, self.timeout_ticks / 8);
            }
        }
        ended
    }

    /// The tick at which [`on_tick`](Self::on_tick) next has something to do.
    pub(crate) fn next_due(&self) -> u64 {
        // Asked after every input, and mostly there is none: not even an iterator is made then.
        if self.transfers.is_empty() {
            return NEVER;
        }
        self.transfers.values().map(|transfer| transfer.due()).min().unwrap_or(NEVER)
    }

    /// Sends no more snapshots of `region`: its replica here is gone. No end is told.
    pub(crate) fn cancel(&mut self, region: u64) {
        let slots: Vec<_> =
            self.transfers.range((region, 0)..=(region, u64::MAX)).map(|(slot, _)| *slot).collect();
        for slot in slots {
            self.transfers.remove(&slot);
        }
    }

    /// How many are on their way.
    pub(crate) fn len(&self) -> usize {
        self.transfers.len()
    }

    fn end(&mut self, key: SnapshotKey, ok: bool) -> Sent {
        self.transfers.remove(&slot(key));
        Sent { region: key.region_id, to_peer: key.to_peer, ok }
    }
}

impl Transfer {
    fn due(&self) -> u64 {
        self.retry_at.min(self.give_up_at)
    }

    /// Sends all new chunks that may be on their way.
    fn fill_window(&mut self, env: &mut impl Transport, window: u32) {
        let window = if self.acked == 0 { 1 } else { window };
        while self.sent < self.chunks && self.sent - self.acked < window {
            self.send(env, self.sent);
            self.sent += 1;
        }
    }

    /// Sends the first unacknowledged chunk again. Where there is none the verdict alone is missing: then the
    /// last chunk asks for it.
    fn repeat(&mut self, env: &mut impl Transport, tick: u64, longest: u64) {
        self.send(env, self.acked.min(self.chunks - 1));
        self.retry_ticks = (self.retry_ticks * 2).min(longest).max(FIRST_RETRY_TICKS);
        self.retry_at = tick + self.retry_ticks;
    }

    fn send(&self, env: &mut impl Transport, number: u32) {
        let start = (number as usize).saturating_mul(self.chunk_size);
        let end = start.saturating_add(self.chunk_size).min(self.body.len());
        let data = self.body.slice(start..end);
        let chunk = SnapshotChunk {
            key: Some(self.key),
            message: (number == 0).then(|| self.message.clone()),
            number,
            offset: start as u64,
            checksum: crc32fast::hash(&data),
            data,
            last: number + 1 == self.chunks,
            from_peer: Some(self.from),
            to_peer: Some(self.to),
        };
        env.send(self.to.store_id, StoreMessage { payload: Some(Payload::Chunk(chunk)) });
    }
}

#[cfg(test)]
mod tests;
