//! Whether memory and disk agree, for those who look from outside.

use raft_proto::raft_serverpb::{PeerState, RegionLocalState};

use super::Store;
use crate::admin::{conf_state, same_members};
use crate::engine::{Db, Read};
use crate::keys;
use crate::peer_storage::read_message;

impl Store {
    /// Whether memory and disk agree about a region: its range is claimed by its replica and by nobody else, and the
    /// kv database has the region as the replica has it.
    ///
    /// # Errors
    /// What does not agree.
    pub fn audit(&self, engine: &impl Read, region_id: u64) -> Result<(), String> {
        let state =
            read_message::<RegionLocalState>(engine, Db::Kv, &keys::region_state(region_id), region_id)
                .map_err(|error| error.to_string())?;
        let Some(peer) = self.peer(region_id).filter(|peer| peer.is_initialized()) else {
            return match state {
                Some(state) if state.state() == PeerState::Normal && !self.splitting.contains(&region_id) => {
                    Err(format!("region {region_id} is on the disk and has no replica"))
                }
                _ => Ok(()),
            };
        };
        let claimed = peer.is_restoring() || self.ranges.is_claimed_by(peer.region());
        let (members, counted) = (conf_state(peer.region(), peer.auto_leave()), peer.raft().conf_state());
        if !peer.is_restoring() && !same_members(&members, &counted) {
            return Err(format!(
                "region {region_id} has the members {members:?}, and raft counts by {counted:?}"
            ));
        }
        let Some(state) = state else { return Err(format!("region {region_id} is not on the disk")) };
        match state.state() {
            _ if !claimed => Err(format!("the range of region {region_id} is not claimed by it")),
            PeerState::Normal if state.region.as_ref() != Some(peer.region()) => {
                Err(format!("region {region_id} is {:?}, and on the disk {:?}", peer.region(), state.region))
            }
            PeerState::Applying if !peer.is_applying() => {
                Err(format!("region {region_id} is marked as being restored, and is not"))
            }
            PeerState::Tombstone => Err(format!("region {region_id} has a tombstone and a replica")),
            _ => Ok(()),
        }
    }
}
