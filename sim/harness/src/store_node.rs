//! A store as a machine of the simulated cluster: the kernel's context behind raftstore's traits.

use bytes::Bytes;
use raft_proto::metapb::Region;
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse};
use raft_proto::raft_serverpb::RaftMessage;
use raftsim_kernel::{Context, DbId, Duration, NodeId};
use raftstore::{
    Config, Db, Engine, EngineError, Replies, RequestId, Store, StoreError, Transport, WriteBatch, WriteSeq,
};

use crate::message::Wire;

/// The raft database.
pub const RAFT_DB: DbId = DbId(0);
/// The kv database.
pub const KV_DB: DbId = DbId(1);

/// The kernel's number for a store's database.
#[must_use]
pub fn db_id(db: Db) -> DbId {
    match db {
        Db::Raft => RAFT_DB,
        Db::Kv => KV_DB,
    }
}

/// The first region's replica on store `n` has the id `PEER_BASE + n`: never a store's id, so that code
/// which takes one for the other shows.
pub const PEER_BASE: u64 = 100;

/// The machine of a store. Stores are numbered from 1, machines from 0.
#[must_use]
pub fn node_of(store: u64) -> NodeId {
    NodeId(u32::try_from(store.saturating_sub(1)).unwrap_or(u32::MAX))
}

/// A store and the one timer that it has in the kernel.
#[derive(Clone, Debug)]
pub struct StoreNode {
    config: Config,
    /// The region that an empty store begins with.
    first_region: Region,
    store: Option<Store>,
    /// Why the store did not open.
    refused: Option<String>,
    /// When the timer that is set will fire, local time.
    armed: Option<u64>,
}

impl StoreNode {
    /// A store that has not booted. On an empty disk it begins with `first_region`.
    #[must_use]
    pub fn new(config: Config, first_region: Region) -> StoreNode {
        StoreNode { config, first_region, store: None, refused: None, armed: None }
    }

    /// The store, if it opened.
    #[must_use]
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// Why the store serves nothing: it did not open, or it stopped at an error.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        match &self.store {
            Some(store) => store.failed().map(ToString::to_string),
            None => self.refused.clone(),
        }
    }

    pub(crate) fn on_start(&mut self, cx: &mut Context<'_, Wire>) {
        self.config.seed = cx.random_seed("election jitter");
        match self.open(cx) {
            Ok(store) => self.store = Some(store),
            Err(error) => self.refused = Some(error.to_string()),
        }
        self.arm(cx);
    }

    fn open(&mut self, cx: &mut Context<'_, Wire>) -> Result<Store, StoreError> {
        let now = cx.now().0;
        let mut env = SimEnv { cx };
        Store::bootstrap(&mut env, &self.config, &self.first_region)?;
        Store::open(&mut env, self.config.clone(), now)
    }

    pub(crate) fn on_raft_message(&mut self, message: RaftMessage, cx: &mut Context<'_, Wire>) {
        self.with(cx, |store, env, now| store.on_raft_message(env, now, message));
    }

    pub(crate) fn on_request(
        &mut self,
        from: NodeId,
        id: u64,
        request: RaftCmdRequest,
        cx: &mut Context<'_, Wire>,
    ) {
        let id = RequestId(u64::from(from.0) << 48 | id);
        self.with(cx, |store, env, now| store.on_request(env, now, id, request));
    }

    pub(crate) fn on_synced(&mut self, db: DbId, up_to: WriteSeq, cx: &mut Context<'_, Wire>) {
        let db = if db == RAFT_DB { Db::Raft } else { Db::Kv };
        self.with(cx, |store, env, now| store.on_synced(env, now, db, up_to));
    }

    pub(crate) fn on_timer(&mut self, cx: &mut Context<'_, Wire>) {
        // One that an earlier deadline has replaced; to arm another for it would double the timers.
        if self.armed.is_some_and(|armed| armed > cx.now().0) {
            return;
        }
        self.armed = None;
        self.with(cx, |store, env, now| {
            if store.next_deadline().is_some_and(|deadline| deadline <= now) {
                store.on_timer(env, now);
            }
        });
    }

    pub(crate) fn campaign(&mut self, region: u64, cx: &mut Context<'_, Wire>) {
        self.with(cx, |store, env, now| store.campaign(env, now, region));
    }

    fn with(&mut self, cx: &mut Context<'_, Wire>, input: impl FnOnce(&mut Store, &mut SimEnv<'_, '_>, u64)) {
        if let Some(store) = &mut self.store {
            let now = cx.now().0;
            input(store, &mut SimEnv { cx }, now);
        }
        self.arm(cx);
    }

    /// Keeps one timer for the store's next deadline. A deadline that moved away is found out when the
    /// timer fires: a follower that hears from its leader sets no timer for each heartbeat.
    fn arm(&mut self, cx: &mut Context<'_, Wire>) {
        let Some(deadline) = self.store.as_ref().and_then(Store::next_deadline) else { return };
        if self.armed.is_none_or(|armed| deadline < armed) {
            self.armed = Some(deadline);
            cx.set_timer(Duration(deadline.saturating_sub(cx.now().0)), 0);
        }
    }
}

/// The simulated outside of a store.
struct SimEnv<'a, 'b> {
    cx: &'a mut Context<'b, Wire>,
}

impl Engine for SimEnv<'_, '_> {
    fn get(&self, db: Db, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.cx.disk_ref().get(db_id(db), key).cloned())
    }

    fn scan(
        &self,
        db: Db,
        start: &[u8],
        end: &[u8],
        visit: &mut dyn FnMut(&[u8], &Bytes) -> bool,
    ) -> Result<(), EngineError> {
        for (key, value) in self.cx.disk_ref().range(db_id(db), start, Some(end)) {
            if !visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn write(&mut self, db: Db, batch: WriteBatch) -> Result<WriteSeq, EngineError> {
        Ok(self.cx.disk().write(db_id(db), batch.into_ops()))
    }

    fn sync(&mut self, db: Db) -> Result<(), EngineError> {
        self.cx.sync(db_id(db));
        Ok(())
    }
}

impl Transport for SimEnv<'_, '_> {
    fn send(&mut self, message: RaftMessage) {
        let Some(to) = message.to_peer.map(|peer| node_of(peer.store_id)) else { return };
        self.cx.send(to, Wire::Raft(Box::new(message)));
    }
}

impl Replies for SimEnv<'_, '_> {
    fn reply(&mut self, request: RequestId, response: RaftCmdResponse) {
        let client = NodeId(u32::try_from(request.0 >> 48).unwrap_or(u32::MAX));
        let id = request.0 & ((1 << 48) - 1);
        self.cx.send(client, Wire::Reply { id, response: Box::new(response) });
    }
}
