//! What clients and operators ask of a replica: proposals, reads past the log, and their answers.

use bytes::Bytes;
use prost::Message as _;
use raft::EntryId;
use raft_proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader, admin_request};

use super::Peer;
use crate::admin;
use crate::apply;
use crate::config::{Config, Reads as ReadPath};
use crate::engine::{Env, Replies, RequestId};
use crate::error::StoreError;
use crate::validate::{Replica, RequestError, check_commands, check_proposal, only_reads};

impl Peer {
    /// The header of a request of the replica's own.
    pub(super) fn header(&self) -> RaftRequestHeader {
        RaftRequestHeader {
            region_id: self.region_id(),
            peer: Some(self.meta),
            region_epoch: self.region().region_epoch,
            term: self.raw.term(),
            replica_read: false,
        }
    }

    pub(crate) fn not_leader(&self) -> RequestError {
        let leader = self.raw.leader().and_then(|leader| self.find_peer(leader));
        RequestError::NotLeader { region_id: self.region_id(), leader }
    }

    /// Checks and proposes, or begins to read. The answer comes when the entry is applied, or the read is confirmed.
    pub(crate) fn propose(
        &mut self,
        env: &mut impl Replies,
        config: &Config,
        id: RequestId,
        header: &RaftRequestHeader,
        request: &RaftCmdRequest,
    ) -> Result<(), RequestError> {
        if !self.is_initialized() {
            return Err(RequestError::RegionNotFound { region_id: self.region_id() });
        }
        let replica = Replica {
            region: self.storage.region(),
            peer_id: self.meta.id,
            term: self.raw.term(),
            is_leader: self.raw.is_leader(),
            leader: self.raw.leader().and_then(|leader| self.find_peer(leader)),
        };
        let reads = config.reads != ReadPath::Log && only_reads(request);
        check_proposal(header, request, &replica, reads && header.replica_read)?;
        if reads {
            let read = self.raw.read_index().map_err(|_| self.not_leader())?;
            let expires = self.ticked.saturating_add(u64::from(config.election_ticks));
            self.reads.push(read, id, request.clone(), expires);
            return Ok(());
        }
        let admin = request.admin_request.as_ref();
        let entry = match admin.and_then(|admin| admin.command.as_ref()) {
            Some(admin_request::Command::TransferLeader(transfer)) => {
                self.transfer_leader(transfer.peer.map_or(0, |peer| peer.store_id))?;
                env.reply(id, apply::success(Vec::new(), self.raw.term()));
                return Ok(());
            }
            Some(admin_request::Command::ChangePeer(_) | admin_request::Command::ChangePeerV2(_)) => {
                let changes = admin.and_then(admin::changes_of).unwrap_or_default();
                self.propose_change(&changes, request)?
            }
            // A store compacts by what it knows of its own log; a client's word for a term would be everybody's.
            Some(admin_request::Command::CompactLog(_)) => {
                return Err(RequestError::Unsupported("CompactLog"));
            }
            _ => self.propose_entry(request)?,
        };
        self.proposals.push(entry, id);
        Ok(())
    }

    pub(super) fn propose_entry(&mut self, request: &RaftCmdRequest) -> Result<EntryId, RequestError> {
        self.raw.propose(Bytes::from(request.encode_to_vec())).map_err(RequestError::Refused)
    }

    /// An admin command of the store's own, for the region as it is now.
    pub(crate) fn propose_admin(&mut self, command: admin_request::Command) -> Result<(), RequestError> {
        if !self.raw.is_leader() {
            return Err(self.not_leader());
        }
        let request = admin::admin(self.header(), command);
        check_commands(&request, self.region())?;
        self.propose_entry(&request).map(drop)
    }

    /// Serves the reads whose index is applied: with what the region is by now.
    pub(super) fn serve_reads(&mut self, env: &mut impl Env) -> Result<(), StoreError> {
        let term = self.raw.term();
        while let Some((id, request)) = self.reads.next_ready(self.storage.applied_index()) {
            let response = match check_commands(&request, self.region()) {
                Ok(()) => apply::read(env, self.region(), request.requests, term)?,
                Err(error) => error.into_response(term),
            };
            env.reply(id, response);
        }
        Ok(())
    }

    /// Nobody here will see what becomes of the replica's proposals.
    pub(super) fn give_up_proposals(&mut self, env: &mut impl Replies) {
        let (region_id, term) = (self.region_id(), self.raw.term());
        for request in self.proposals.take_all() {
            env.reply(request, RequestError::OutcomeUnknown { region_id }.into_response(term));
        }
    }

    /// The replica goes. Nobody can tell what becomes of its proposals; its reads have done nothing.
    pub(crate) fn answer_all(&mut self, env: &mut impl Replies) {
        let (region_id, term) = (self.region_id(), self.raw.term());
        self.give_up_proposals(env);
        for request in self.reads.take_all() {
            env.reply(request, RequestError::RegionNotFound { region_id }.into_response(term));
        }
    }
}
