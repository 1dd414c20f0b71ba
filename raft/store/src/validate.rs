//! What is wrong with a request.
//!
//! A request is checked twice: before it is proposed, against the replica that was asked, and again
//! when its entry is applied, against the region as it is by then. The second check decides: it sees
//! the same region on every replica, so all of them refuse the same commands.

use raft_proto::errorpb::{self, error::Reason};
use raft_proto::metapb::{Peer, Region};
use raft_proto::raft_cmdpb::{
    AdminRequest, RaftCmdRequest, RaftCmdResponse, RaftRequestHeader, RaftResponseHeader, Request,
    admin_request, request::Command,
};

use crate::admin::{changes_of, check_changes, check_split};
use crate::keys::Cf;
use crate::ranges::holds;

/// The most commands that one request may have. They are executed as one, so this bounds the batch and the
/// time that other requests wait for it.
pub const MAX_COMMANDS: usize = 256;

/// Why a request is refused. [`errorpb::Error`] is its form on the wire.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum RequestError {
    /// Sent to the wrong store.
    #[error("the request is for store {request}, this is store {actual}")]
    StoreNotMatch {
        /// The store that the request names; 0 when it names none.
        request: u64,
        /// The store that got it.
        actual: u64,
    },
    /// The store has no replica of the region.
    #[error("region {region_id} is not on this store")]
    RegionNotFound {
        /// The region that the request names.
        region_id: u64,
    },
    /// Only the leader takes requests.
    #[error("not the leader of region {region_id}")]
    NotLeader {
        /// The region.
        region_id: u64,
        /// The leader, as far as the replica knows.
        leader: Option<Peer>,
    },
    /// The sender's term is long over, or the proposal lost its place in the log.
    #[error("stale command")]
    StaleCommand,
    /// The region changed since the sender last heard of it.
    #[error("the region has another epoch: {:?}", .regions.first().and_then(|region| region.region_epoch))]
    EpochNotMatch {
        /// The region as it is, and those here that hold what was asked for.
        regions: Vec<Region>,
    },
    /// A key that the region does not hold.
    #[error("key {:02x?} is not in region {}", .0.key, .0.region_id)]
    KeyNotInRegion(Box<errorpb::KeyNotInRegion>),
    /// A request without a command.
    #[error("the request has no command")]
    NoCommand,
    /// More commands than [`MAX_COMMANDS`].
    #[error("{0} commands in one request, at most {MAX_COMMANDS} are allowed")]
    TooManyCommands(usize),
    /// There is no column family of that name.
    #[error("unknown column family {0:?}")]
    UnknownColumnFamily(String),
    /// A command that exists, but not here.
    #[error("{0} is not supported by this version")]
    Unsupported(&'static str),
    /// The region has no replica on that store.
    #[error("region {region_id} has no replica on store {store_id}")]
    NoPeer {
        /// The region.
        region_id: u64,
        /// The store.
        store_id: u64,
    },
    /// A change of membership that makes no sense.
    #[error("region {region_id} cannot change so: {why}")]
    BadChange {
        /// The region.
        region_id: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// A split that makes no sense.
    #[error("region {region_id} cannot be split so: {why}")]
    BadSplit {
        /// The region.
        region_id: u64,
        /// What is wrong.
        why: &'static str,
    },
    /// The replica will not see what becomes of the proposal: it was removed from the region, or a snapshot took the
    /// place of its log.
    #[error("the outcome is unknown to this replica of region {region_id}")]
    OutcomeUnknown {
        /// The region.
        region_id: u64,
    },
    /// Raft did not take the request, and never will.
    #[error("refused by raft: {0}")]
    Refused(raft::Error),
}

impl From<RequestError> for errorpb::Error {
    fn from(error: RequestError) -> errorpb::Error {
        let message = error.to_string();
        let reason = match error {
            RequestError::StoreNotMatch { request, actual } => {
                let (request_store_id, actual_store_id) = (request, actual);
                Some(Reason::StoreNotMatch(errorpb::StoreNotMatch { request_store_id, actual_store_id }))
            }
            RequestError::RegionNotFound { region_id } => {
                Some(Reason::RegionNotFound(errorpb::RegionNotFound { region_id }))
            }
            RequestError::NotLeader { region_id, leader } => {
                Some(Reason::NotLeader(errorpb::NotLeader { region_id, leader }))
            }
            // Either way the command is not in the log and will not be.
            RequestError::StaleCommand | RequestError::Refused(_) => {
                Some(Reason::StaleCommand(errorpb::StaleCommand {}))
            }
            RequestError::EpochNotMatch { regions } => {
                Some(Reason::EpochNotMatch(errorpb::EpochNotMatch { current_regions: regions }))
            }
            RequestError::KeyNotInRegion(key) => Some(Reason::KeyNotInRegion(*key)),
            RequestError::NoPeer { .. }
            | RequestError::NoCommand
            | RequestError::TooManyCommands(_)
            | RequestError::UnknownColumnFamily(_)
            | RequestError::OutcomeUnknown { .. }
            | RequestError::Unsupported(_) => None,
            RequestError::BadChange { .. } | RequestError::BadSplit { .. } => {
                Some(Reason::StaleCommand(errorpb::StaleCommand {}))
            }
        };
        errorpb::Error { message, reason }
    }
}

impl RequestError {
    pub(crate) fn key_not_in_region(key: &bytes::Bytes, region: &Region) -> RequestError {
        RequestError::KeyNotInRegion(Box::new(errorpb::KeyNotInRegion {
            key: key.clone(),
            region_id: region.id,
            start_key: region.start_key.clone(),
            end_key: region.end_key.clone(),
        }))
    }

    /// The answer to the refused request. `term` is the replica's, 0 where there is none.
    pub(crate) fn into_response(self, term: u64) -> RaftCmdResponse {
        let header =
            RaftResponseHeader { error: Some(self.into()), current_term: term, ..Default::default() };
        RaftCmdResponse { header: Some(header), ..Default::default() }
    }
}

/// The replica that a request reached.
pub(crate) struct Replica<'a> {
    pub(crate) region: &'a Region,
    pub(crate) peer_id: u64,
    pub(crate) term: u64,
    pub(crate) is_leader: bool,
    pub(crate) leader: Option<Peer>,
}

/// Whether the request is for the store `store_id`.
pub(crate) fn check_store(header: &RaftRequestHeader, store_id: u64) -> Result<(), RequestError> {
    let request = header.peer.map_or(0, |peer| peer.store_id);
    if request == store_id { Ok(()) } else { Err(RequestError::StoreNotMatch { request, actual: store_id }) }
}

/// Whether `replica` may propose the request; or serve it, where any replica may (`anywhere`).
pub(crate) fn check_proposal(
    header: &RaftRequestHeader,
    request: &RaftCmdRequest,
    replica: &Replica<'_>,
    anywhere: bool,
) -> Result<(), RequestError> {
    if !replica.is_leader && !anywhere {
        return Err(RequestError::NotLeader { region_id: replica.region.id, leader: replica.leader });
    }
    let peer_id = header.peer.map_or(0, |peer| peer.id);
    if peer_id != replica.peer_id {
        // The replica that the sender knew was removed since, and this one added.
        return Err(RequestError::EpochNotMatch { regions: vec![replica.region.clone()] });
    }
    // One term behind is what a sender knows right after an election that changed nothing for it.
    if header.term != 0 && replica.term > header.term.saturating_add(1) {
        return Err(RequestError::StaleCommand);
    }
    check_commands(request, replica.region)
}

/// Whether `region` can execute every command of the request: all of them or none.
pub(crate) fn check_commands(request: &RaftCmdRequest, region: &Region) -> Result<(), RequestError> {
    check_epoch(request, region)?;
    if let Some(admin) = &request.admin_request {
        return check_admin(admin, region);
    }
    if request.requests.is_empty() {
        return Err(RequestError::NoCommand);
    }
    if request.requests.len() > MAX_COMMANDS {
        return Err(RequestError::TooManyCommands(request.requests.len()));
    }
    request.requests.iter().try_for_each(|request| check_command(request, region))
}

/// Compares the parts of the epoch that the command depends on. Data commands depend on the range,
/// membership changes on the membership; what depends on both must see both unchanged.
fn check_epoch(request: &RaftCmdRequest, region: &Region) -> Result<(), RequestError> {
    use admin_request::Command;
    let (version, conf_ver) = match &request.admin_request {
        None => (true, false),
        Some(AdminRequest { command: Some(Command::ChangePeer(_) | Command::ChangePeerV2(_)) }) => {
            (false, true)
        }
        Some(AdminRequest { command: Some(Command::Split(_) | Command::TransferLeader(_)) }) => (true, true),
        Some(AdminRequest { command: Some(Command::CompactLog(_)) | None }) => (false, false),
    };
    let theirs = request.header.and_then(|header| header.region_epoch).unwrap_or_default();
    let ours = region.region_epoch.unwrap_or_default();
    if version && theirs.version != ours.version || conf_ver && theirs.conf_ver != ours.conf_ver {
        return Err(RequestError::EpochNotMatch { regions: vec![region.clone()] });
    }
    Ok(())
}

fn check_command(request: &Request, region: &Region) -> Result<(), RequestError> {
    let (cf, key) = match request.command.as_ref().ok_or(RequestError::NoCommand)? {
        Command::Get(get) => (&get.cf, &get.key),
        Command::Put(put) => (&put.cf, &put.key),
        Command::Delete(delete) => (&delete.cf, &delete.key),
        Command::Append(append) => (&append.cf, &append.key),
        Command::CompareAndSet(cas) => (&cas.cf, &cas.key),
        Command::Scan(scan) => {
            if !is_end_in_region(&scan.end_key, region) {
                return Err(RequestError::key_not_in_region(&scan.end_key, region));
            }
            (&scan.cf, &scan.start_key)
        }
        Command::Snap(_) => return Err(RequestError::Unsupported("Snap")),
    };
    if Cf::from_name(cf).is_none() {
        return Err(RequestError::UnknownColumnFamily(cf.clone()));
    }
    if !holds(region, key) {
        return Err(RequestError::key_not_in_region(key, region));
    }
    Ok(())
}

/// Whether a range may end there. An empty end is the region's own, whatever that is.
fn is_end_in_region(end: &[u8], region: &Region) -> bool {
    end.is_empty() || region.end_key.is_empty() || end <= region.end_key.as_ref()
}

/// Whether the region can do what an admin command asks for.
fn check_admin(admin: &AdminRequest, region: &Region) -> Result<(), RequestError> {
    use admin_request::Command;
    match &admin.command {
        Some(Command::Split(split)) => check_split(split, region),
        Some(Command::ChangePeer(_) | Command::ChangePeerV2(_)) => {
            check_changes(&changes_of(admin).unwrap_or_default(), region)
        }
        Some(Command::CompactLog(_) | Command::TransferLeader(_)) => Ok(()),
        None => Err(RequestError::Unsupported("an admin command of another version")),
    }
}

/// Whether all commands of a request only read.
pub(crate) fn only_reads(request: &RaftCmdRequest) -> bool {
    let reads = |request: &Request| matches!(request.command, Some(Command::Get(_) | Command::Scan(_)));
    request.admin_request.is_none() && !request.requests.is_empty() && request.requests.iter().all(reads)
}

/// The key that the first command of a request is about.
pub(crate) fn first_key(request: &RaftCmdRequest) -> Option<&bytes::Bytes> {
    Some(match request.requests.first()?.command.as_ref()? {
        Command::Get(get) => &get.key,
        Command::Put(put) => &put.key,
        Command::Delete(delete) => &delete.key,
        Command::Append(append) => &append.key,
        Command::CompareAndSet(cas) => &cas.key,
        Command::Scan(scan) => &scan.start_key,
        Command::Snap(_) => return None,
    })
}

#[cfg(test)]
mod tests;
