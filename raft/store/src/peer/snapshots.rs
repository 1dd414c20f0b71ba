//! A replica's dealings with snapshots: made of its data, taken up in place of its log, turned into data.

use prost::Message as _;
use raft::SnapshotStatus;
use raft::eraftpb::{Snapshot, SnapshotMetadata};
use raft_proto::raft_serverpb::{RaftSnapshotData, SnapshotRecord};

use super::{Event, Peer};
use crate::engine::{Db, Env, WriteBatch};
use crate::error::StoreError;
use crate::peer_storage::snapshot_id;
use crate::restore::Restore;
use crate::snapshot::Body;

impl Peer {
    /// A snapshot is being made: its metadata as of now, to go with a body of now.
    pub(crate) fn start_snapshot(&mut self) -> SnapshotMetadata {
        let index = self.storage.applied_index();
        self.making = Some(index);
        SnapshotMetadata {
            conf_state: Some(self.raw.conf_state()),
            index,
            term: self.raw.term_at(index).unwrap_or_default(),
        }
    }

    /// What raft wished for is made.
    pub(crate) fn on_snapshot_made(&mut self, metadata: SnapshotMetadata, region: RaftSnapshotData) {
        let data = region.encode_to_vec().into();
        self.making = None;
        self.raw.on_snapshot(Snapshot { data, metadata: Some(metadata) });
    }

    /// It could not be made now. A peer that needs it makes the leader ask again.
    pub(crate) fn on_snapshot_failed(&mut self) {
        self.raw.on_snapshot_failed();
    }

    /// What became of a snapshot on its way to a peer.
    pub(crate) fn on_snapshot_sent(&mut self, to_peer: u64, arrived: bool) {
        let status = if arrived { SnapshotStatus::Finished } else { SnapshotStatus::Failed };
        self.raw.report_snapshot(to_peer, status);
    }

    /// Offers raft a snapshot that is here and durable: the next message may be a `MsgSnapshot`.
    pub(crate) fn offer_snapshot(&mut self, record: SnapshotRecord) {
        self.incoming = Some(record);
    }

    /// Whether raft has no use for what was offered.
    pub(crate) fn has_declined_snapshot(&mut self) -> bool {
        self.incoming.take().is_some()
    }

    /// Whether a snapshot has taken the log's place and is not data yet.
    pub(crate) fn is_restoring(&self) -> bool {
        self.restore.is_some()
    }

    /// The raft database's part: into the batch of the ready that says so.
    pub(super) fn take_snapshot(&mut self, batch: &mut WriteBatch) {
        // Raft takes up what it was offered in a message, and only then; one at a time is offered.
        let Some(record) = self.incoming.take() else { return };
        self.storage.replace_log(&record, batch);
        self.log_bytes = 0;
        self.restore = Some(Box::new(Restore::new(record, self.storage.region().clone())));
        self.events.push(Event::TookSnapshot);
    }

    /// The record of the snapshot that is becoming data.
    pub(crate) fn restoring(&self) -> Option<&SnapshotRecord> {
        self.restore.as_ref().map(|restore| &restore.record)
    }

    /// The kv database's part may begin.
    pub(crate) fn begin_restore(&mut self, env: &mut impl Env, body: Body) -> Result<(), StoreError> {
        let auto_leave = self.storage.auto_leave();
        if let Some(restore) = &mut self.restore {
            let mut batch = WriteBatch::new();
            restore.begin(body, auto_leave, &mut batch);
            env.write(Db::Kv, batch)?;
        }
        Ok(())
    }

    /// Writes the next piece. True when it was the last one: the store hears of that first, and then of what is
    /// applied after it, which may be the replica's own removal.
    pub(crate) fn continue_restore(&mut self, env: &mut impl Env, limit: u64) -> Result<bool, StoreError> {
        let Some(restore) = &mut self.restore else { return Ok(false) };
        let mut batch = WriteBatch::new();
        let done = restore.step(env, limit, &mut batch)?;
        if !done {
            if !batch.is_empty() {
                env.write(Db::Kv, batch)?;
            }
            return Ok(false);
        }
        let (record, size) = (restore.record.clone(), restore.size());
        self.restore = None;
        let old = self.storage.region().clone();
        // The record is durable, and so is what it says of the region.
        self.changed_at = 0;
        self.storage.finish_restore(&record, &mut batch);
        let seq = env.write(Db::Kv, batch)?;
        self.note_applied(seq);
        self.raw.on_applied(snapshot_id(&record).index);
        self.snapshots += 1;
        (self.size, self.grown) = (size, 0);
        let region = self.storage.region();
        if let Some(meta) = region.peers.iter().find(|peer| peer.id == self.meta.id) {
            self.meta = *meta;
        }
        self.strangers.retain(|stranger| region.peers.iter().all(|peer| peer.id != stranger.id));
        self.events.push(Event::Restored { seq, record: Box::new(record), old });
        self.events.push(Event::RegionChanged);
        Ok(true)
    }
}
