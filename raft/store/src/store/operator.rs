//! What operators command of a replica, past clients and the placement driver.

use raft_proto::raft_cmdpb::{ChangePeerV2Request, SplitRequest, admin_request};

use super::Store;
use crate::engine::Env;
use crate::peer::Peer;
use crate::validate::RequestError;

impl Store {
    /// An operator asks the replica of `region_id` to start an election. Nothing happens when there is
    /// none, or it leads already.
    pub fn campaign(&mut self, env: &mut impl Env, now_ns: u64, region_id: u64) {
        let _ = self.command(env, now_ns, region_id, |peer| {
            peer.campaign();
            Ok(())
        });
    }

    /// An operator asks for the replica of `region_id` on another store to become its leader. The replica here leads,
    /// or passes the wish on to the one that does.
    ///
    /// # Errors
    /// When the region has no replica here or there, or no leader is known.
    pub fn transfer_leader(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        to_store: u64,
    ) -> Result<(), RequestError> {
        self.command(env, now_ns, region_id, |peer| peer.transfer_leader(to_store))
    }

    /// An operator asks the leader of `region_id`, which must be here, to change its members. No changes: to leave
    /// a joint membership.
    ///
    /// # Errors
    /// When it is not here, does not lead, or cannot change now.
    pub fn change_peers(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        change: &ChangePeerV2Request,
    ) -> Result<(), RequestError> {
        self.command(env, now_ns, region_id, |peer| peer.change_peers(change))
    }

    /// An operator asks the leader of `region_id`, which must be here, to split it.
    ///
    /// # Errors
    /// When it is not here, does not lead, or the request makes no sense.
    pub fn split(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        split: &SplitRequest,
    ) -> Result<(), RequestError> {
        let command = admin_request::Command::Split(split.clone());
        self.command(env, now_ns, region_id, |peer| peer.propose_admin(command))
    }

    /// An operator asks the leader of `region_id`, which must be here, to compact its log as far as it can.
    ///
    /// # Errors
    /// When it is not here or does not lead.
    pub fn compact(&mut self, env: &mut impl Env, now_ns: u64, region_id: u64) -> Result<(), RequestError> {
        self.command(env, now_ns, region_id, Peer::compact_now)
    }

    pub(super) fn command(
        &mut self,
        env: &mut impl Env,
        now_ns: u64,
        region_id: u64,
        act: impl FnOnce(&mut Peer) -> Result<(), RequestError>,
    ) -> Result<(), RequestError> {
        let mut answer = Err(RequestError::RegionNotFound { region_id });
        self.input(|store| {
            let tick = store.timers.tick_at(now_ns);
            store.with_peer(env, tick, region_id, |peer, _| {
                if peer.is_initialized() {
                    answer = act(peer);
                }
            })?;
            Ok(())
        });
        answer
    }
}
