//! The first boot of a store.
//!
//! The first region lives in two databases that are synced apart from each other, so a crash may leave
//! any part of it. A mark in the kv database, written with the region, says that the rest may be missing;
//! it goes away when the raft database is known to be durable. With the mark, a missing raft state is a
//! bootstrap that was cut short. Without it, it is a replica that forgot its votes, and must not run.
//!
//! A store that lost its disk looks like one that never ran, and is none: others count on what it has promised. So who
//! boots it has to say so ([`Config::replica_floor`]), and it becomes a store without replicas that takes up new ones alone.

use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::StoreIdent;

use crate::config::Config;
use crate::engine::{Db, Env, WriteBatch};
use crate::error::StoreError;
use crate::keys;
use crate::peer_storage::PeerStorage;
use crate::store::{Store, check_ident};

impl Store {
    /// Prepares the databases: the store's ident, and its replica of the cluster's first region, if
    /// `region` has one here that is not older than the floor. To be called at every boot, before [`open`](Store::open): it writes only
    /// what is missing, so it goes on where a crash stopped it, and does nothing to a store that runs.
    ///
    /// # Errors
    /// When the databases cannot be read or written, or belong to another store or cluster.
    pub fn bootstrap(env: &mut impl Env, config: &Config, region: &Region) -> Result<(), StoreError> {
        config.validate()?;
        let ident = check_ident(env, config)?;
        let replica_floor = ident.map_or(config.replica_floor, |ident| ident.replica_floor);
        let here =
            region.peers.iter().find(|peer| peer.store_id == config.store_id && peer.id > replica_floor);
        if ident.is_none() {
            let mut batch = WriteBatch::new();
            let (cluster_id, store_id) = (config.cluster_id, config.store_id);
            batch.put_message(&keys::STORE_IDENT, &StoreIdent { cluster_id, store_id, replica_floor });
            if let Some(peer) = here {
                let mut first = PeerStorage::initial(peer.id, region.clone());
                batch.put_message(&keys::PREPARE_BOOTSTRAP, region);
                first.save_region(region.clone(), false, &mut batch);
                first.save_applied(first.applied_index(), &mut batch);
            }
            env.write(Db::Kv, batch)?;
            env.sync(Db::Kv)?;
        }
        // A raft state that is there stays, even where the kv database lost all: it may hold a vote.
        let prepared = env.get(Db::Kv, &keys::PREPARE_BOOTSTRAP)?.is_some();
        let raft_state = keys::raft_state(region.id);
        if prepared && env.get(Db::Raft, &raft_state)?.is_none() {
            let first = PeerStorage::initial(here.map_or(0, |peer| peer.id), region.clone());
            let mut batch = WriteBatch::new();
            batch.put_message(&raft_state, first.raft_state());
            env.write(Db::Raft, batch)?;
            env.sync(Db::Raft)?;
        }
        Ok(())
    }
}
