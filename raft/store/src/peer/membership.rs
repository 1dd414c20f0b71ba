//! How a replica's region changes its members.
//!
//! Raft decides what a change makes of the membership; the region's peers and roles are read off its answer, so
//! that there are not two opinions. The epoch is looked at when the change is applied: of two changes that were
//! proposed from the same state, the second one does nothing.

use prost::Message as _;
use raft::EntryId;
use raft::eraftpb::Entry;
use raft_proto::metapb::Region;
use raft_proto::raft_cmdpb::{
    AdminResponse, ChangePeerV2Request, RaftCmdRequest, RaftCmdResponse, admin_request, admin_response,
};

use super::{Event, Peer};
use crate::admin;
use crate::apply::{Answers, resolve, success};
use crate::engine::{Db, Env, RequestId, WriteBatch};
use crate::error::StoreError;
use crate::validate::{RequestError, check_commands};

impl Peer {
    /// Proposes a change of members. `request` is the command as it was asked for.
    pub(super) fn propose_change(
        &mut self,
        changes: &ChangePeerV2Request,
        request: &RaftCmdRequest,
    ) -> Result<EntryId, RequestError> {
        let change = admin::conf_change(changes, self.region(), request.encode_to_vec().into());
        self.raw.propose_conf_change(&change).map_err(RequestError::Refused)
    }

    /// An operator's change of members, for the region as it is now.
    pub(crate) fn change_peers(&mut self, change: &ChangePeerV2Request) -> Result<(), RequestError> {
        if !self.raw.is_leader() {
            return Err(self.not_leader());
        }
        let request = admin::admin(self.header(), admin_request::Command::ChangePeerV2(change.clone()));
        check_commands(&request, self.region())?;
        self.propose_change(change, &request).map(drop)
    }

    /// Applies an entry that changes the membership.
    pub(super) fn apply_change(&mut self, env: &mut impl Env, entry: &Entry) -> Result<(), StoreError> {
        let region_id = self.region_id();
        let corrupt = |what: String| StoreError::corrupt(region_id, format!("entry {}: {what}", entry.index));
        let mut replies = Answers::new();
        let waiting = resolve(&mut self.proposals, self.raw.term(), entry, &mut replies);
        let change = raft::conf_change_of(entry).map_err(|error| corrupt(error.to_string()))?;
        let request =
            RaftCmdRequest::decode(change.context.clone()).map_err(|error| corrupt(error.to_string()))?;
        // A leader that leaves a joint membership by itself asks for nothing and gives no epoch.
        let by_itself = change.context.is_empty();
        let changes = request.admin_request.as_ref().and_then(admin::changes_of).unwrap_or_default().changes;
        let checked = if by_itself { Ok(()) } else { check_commands(&request, self.region()) };
        let changed = checked.and_then(|()| {
            let conf = self.raw.apply_conf_change(&change);
            conf.map_err(|error| RequestError::Refused(raft::Error::ConfChange(error)))
        });
        let mut batch = WriteBatch::new();
        let response = match changed {
            Ok(conf) => {
                let region = admin::with_members(self.region(), &conf, &changes);
                self.storage.save_region(region.clone(), conf.auto_leave, &mut batch);
                let result = Some(admin_response::Result::ChangePeer(region));
                RaftCmdResponse {
                    admin_response: Some(AdminResponse { result }),
                    ..success(Vec::new(), self.raw.term())
                }
            }
            Err(error) => error.into_response(self.raw.term()),
        };
        let changed = !batch.is_empty();
        if changed {
            self.changed_at = entry.index;
        }
        self.storage.save_applied(entry.index, &mut batch);
        let seq = env.write(Db::Kv, batch)?;
        self.raw.on_applied(entry.index);
        self.note_applied(seq);
        replies.extend(waiting.map(|request: RequestId| (request, response)));
        for (request, response) in replies {
            env.reply(request, response);
        }
        if changed {
            self.members_changed(entry);
        }
        Ok(())
    }

    fn members_changed(&mut self, entry: &Entry) {
        let region: &Region = self.storage.region();
        // Who was a stranger may be a member now, and who left may still ask.
        self.strangers.retain(|stranger| region.peers.iter().all(|peer| peer.id != stranger.id));
        if let Some(meta) = region.peers.iter().find(|peer| peer.id == self.meta.id) {
            self.meta = *meta;
            self.events.push(Event::RegionChanged);
        } else {
            self.removed = true;
            self.events.push(Event::Removed(EntryId { term: entry.term, index: entry.index }));
        }
    }
}
