//! From committed entries to data and responses.
//!
//! Everything that a batch of entries does to the kv database is one write, the new applied index
//! included: after a crash, either all of it is there and will not be applied again, or none of it is
//! and the log replays it. Responses leave after the write.
//!
//! What an entry does depends on the entry, the region and the data alone, never on the replica: only
//! the replica that proposed it makes a response.

use bytes::Bytes;
use prost::Message;
use raft::EntryId;
use raft::eraftpb::{Entry, EntryType};
use raft_proto::metapb::Region;
use raft_proto::raft_cmdpb::{
    AdminRequest, AdminResponse, AppendRequest, AppendResponse, CompareAndSetRequest, CompareAndSetResponse,
    DeleteRequest, DeleteResponse, GetRequest, GetResponse, PutRequest, PutResponse, RaftCmdRequest,
    RaftCmdResponse, RaftResponseHeader, Request, Response, ScanPair, ScanRequest, ScanResponse,
    SplitResponse, admin_request, admin_response, request::Command, response,
};
use raft_proto::raft_serverpb::{PeerState, RegionLocalState, StoreIdent};
use smallvec::SmallVec;

use crate::admin;
use crate::engine::{Db, Env, Read, RequestId, WriteBatch, WriteSeq};
use crate::error::{EngineError, StoreError};
use crate::keys::{self, Cf};
use crate::overlay::Overlay;
use crate::peer_storage::{PeerStorage, read_message};
use crate::proposals::Proposals;
use crate::validate::{RequestError, check_commands};

/// A batch is written after the entry with which it has so many operations. Bounds what a restart with a
/// long log to replay holds in memory, and the cost of a lookup in the [`Overlay`]. No entry adds more than
/// [`MAX_COMMANDS`](crate::validate::MAX_COMMANDS).
const MAX_BATCH_OPS: usize = 256;

/// No batch starts with more room than this; a larger one grows. What an engine keeps of a batch may share
/// its buffer, spare room included, for as long as one value of it lives.
const MAX_BATCH_ROOM: usize = 64 << 10;

/// Responses that wait for the write. Rarely more than one: a response is large, and so is what a `Vec`
/// would allocate for a first one.
pub(crate) type Answers = SmallVec<[(RequestId, RaftCmdResponse); 1]>;

/// How far [`apply`] came.
#[derive(Debug)]
pub(crate) struct Applied {
    /// So many of the entries are applied.
    pub(crate) count: usize,
    /// The last write.
    pub(crate) seq: WriteSeq,
    /// What the last of them did beside writing data.
    pub(crate) effect: Option<Effect>,
}

/// What an admin command did, for those who hold more than the storage.
#[derive(Debug, PartialEq)]
pub(crate) enum Effect {
    /// The log starts after this entry, once the write is durable.
    Compacted(EntryId),
    /// The region gave its right half to a new one. The storage has the left one.
    Split {
        /// The region as it was.
        whole: Box<Region>,
        /// The new one.
        right: Box<Region>,
    },
}

/// Applies `entries`, none of which changes the membership, and answers the proposals that they decide: all of
/// them, or up to the first with an effect. `term` is the replica's.
pub(crate) fn apply(
    env: &mut impl Env,
    storage: &mut PeerStorage,
    proposals: &mut Proposals,
    term: u64,
    entries: &[Entry],
) -> Result<Applied, StoreError> {
    let mut batch = Overlay::with_capacity(room(entries));
    let mut replies = Answers::new();
    let mut applied = Applied { count: 0, seq: 0, effect: None };
    for (position, entry) in entries.iter().enumerate() {
        assert!(
            entry.index == storage.applied_index() + 1 || position > 0,
            "region {}: entry {} follows applied {}",
            storage.region().id,
            entry.index,
            storage.applied_index(),
        );
        applied.effect = apply_entry(env, storage, proposals, term, entry, &mut batch, &mut replies)?;
        applied.count = position + 1;
        if applied.effect.is_some() || batch.len() >= MAX_BATCH_OPS || applied.count == entries.len() {
            let next = Overlay::with_capacity(room(&entries[position + 1..]));
            let mut batch = std::mem::replace(&mut batch, next).into_batch();
            storage.save_applied(entry.index, &mut batch);
            applied.seq = env.write(Db::Kv, batch)?;
            for (request, response) in replies.drain(..) {
                env.reply(request, response);
            }
        }
        if applied.effect.is_some() {
            break;
        }
    }
    Ok(applied)
}

/// Bytes that the first batch of `entries` will take, roughly: what its commands say is about what they
/// write, and the applied index comes on top.
fn room(entries: &[Entry]) -> usize {
    if entries.is_empty() {
        return 0;
    }
    let said: usize = entries.iter().take(MAX_BATCH_OPS).map(|entry| entry.data.len()).sum();
    said.min(MAX_BATCH_ROOM - 64) + 64
}

fn apply_entry(
    engine: &impl Read,
    storage: &mut PeerStorage,
    proposals: &mut Proposals,
    term: u64,
    entry: &Entry,
    batch: &mut Overlay,
    replies: &mut Answers,
) -> Result<Option<Effect>, StoreError> {
    let waiting = resolve(proposals, term, entry, replies);
    if entry.entry_type() != EntryType::EntryNormal {
        let what = format!("entry {} has type {}", entry.index, entry.entry_type);
        return Err(StoreError::corrupt(storage.region().id, what));
    }
    if entry.data.is_empty() {
        return Ok(None); // The entry that a new leader appends.
    }
    let request = RaftCmdRequest::decode(entry.data.clone()).map_err(|error| {
        StoreError::corrupt(storage.region().id, format!("entry {}: {error}", entry.index))
    })?;
    let mut effect = None;
    let response = match check_commands(&request, storage.region()) {
        Err(error) => error.into_response(term),
        Ok(()) => match request.admin_request {
            Some(admin) => {
                let (response, done) = execute_admin(engine, storage, entry.index, &admin, batch)?;
                effect = done;
                RaftCmdResponse { admin_response: response, ..success(Vec::new(), term) }
            }
            None => {
                let respond = waiting.is_some();
                let mut executor = Executor { engine, region: storage.region(), batch, respond };
                success(executor.execute(request.requests)?, term)
            }
        },
    };
    if let Some(request) = waiting {
        replies.push((request, response));
    }
    Ok(effect)
}

/// Answers the proposals that an entry decides, but for its own, which is returned.
pub(crate) fn resolve(
    proposals: &mut Proposals,
    term: u64,
    entry: &Entry,
    replies: &mut Answers,
) -> Option<RequestId> {
    let mut waiting = None;
    while let Some((request, own)) = proposals.resolve(EntryId { term: entry.term, index: entry.index }) {
        if own {
            waiting = Some(request);
        } else {
            replies.push((request, RequestError::StaleCommand.into_response(term)));
        }
    }
    waiting
}

/// Executes an admin command that passed [`check_commands`]. The region's records go into the batch with the
/// applied index.
fn execute_admin(
    engine: &impl Read,
    storage: &mut PeerStorage,
    index: u64,
    admin: &AdminRequest,
    batch: &mut Overlay,
) -> Result<(Option<AdminResponse>, Option<Effect>), StoreError> {
    match &admin.command {
        Some(admin_request::Command::CompactLog(compact)) => {
            let to = EntryId { term: compact.compact_term, index: compact.compact_index };
            // A leader proposes what it has applied, so everybody who applies this has.
            if to.index <= storage.truncated().index || to.index >= index {
                return Ok((None, None));
            }
            storage.truncate(to);
            Ok((None, Some(Effect::Compacted(to))))
        }
        Some(admin_request::Command::Split(split)) => {
            let whole = storage.region().clone();
            let (left, right) = admin::split(&whole, split);
            let mut records = WriteBatch::new();
            save_right(engine, storage, &right, &mut records)?;
            storage.save_region(left.clone(), false, &mut records);
            batch.append(records);
            let regions = vec![left, right.clone()];
            let result = Some(admin_response::Result::Split(SplitResponse { regions }));
            Ok((
                Some(AdminResponse { result }),
                Some(Effect::Split { whole: Box::new(whole), right: Box::new(right) }),
            ))
        }
        // Membership changes are entries of their own type, transfers none at all.
        _ => Ok((None, None)),
    }
}

/// The records of the new region, in the batch of the split: a crash leaves both regions or the one that was.
///
/// Unless the new region's replica here was removed before the split came to be applied here, or may have been lost with
/// the disk: then it must not come back, and what it would have held is nobody's.
fn save_right(
    engine: &impl Read,
    storage: &PeerStorage,
    right: &Region,
    batch: &mut WriteBatch,
) -> Result<(), StoreError> {
    let Some(place) = storage.region().peers.iter().position(|peer| peer.id == storage.peer_id()) else {
        return Ok(());
    };
    let peer = right.peers[place];
    let ident = read_message::<StoreIdent>(engine, Db::Kv, &keys::STORE_IDENT, 0)?;
    if ident.is_some_and(|ident| peer.id <= ident.replica_floor) {
        return Ok(());
    }
    let known = read_message::<RegionLocalState>(engine, Db::Kv, &keys::region_state(right.id), right.id)?;
    if known.is_some_and(|known| known.state() == PeerState::Tombstone && known.peer_id >= peer.id) {
        return Ok(());
    }
    let mut first = PeerStorage::initial(peer.id, right.clone());
    first.save_region(right.clone(), false, batch);
    first.save_applied(first.applied_index(), batch);
    batch.put(&keys::birth(right.id), &[]);
    Ok(())
}

/// Executes a request that only reads, and may.
pub(crate) fn read(
    engine: &impl Read,
    region: &Region,
    requests: Vec<Request>,
    term: u64,
) -> Result<RaftCmdResponse, EngineError> {
    let mut executor = Executor { engine, region, batch: &mut Overlay::default(), respond: true };
    Ok(success(executor.execute(requests)?, term))
}

pub(crate) fn success(responses: Vec<Response>, term: u64) -> RaftCmdResponse {
    let header = RaftResponseHeader { current_term: term, ..Default::default() };
    RaftCmdResponse { header: Some(header), responses, admin_response: None }
}

/// Executes commands that passed [`check_commands`].
struct Executor<'a, E> {
    engine: &'a E,
    region: &'a Region,
    batch: &'a mut Overlay,
    /// Whether somebody waits for the result. If not, commands that only read are passed over.
    respond: bool,
}

impl<E: Read> Executor<'_, E> {
    /// The responses, where somebody waits for them.
    fn execute(&mut self, requests: Vec<Request>) -> Result<Vec<Response>, EngineError> {
        let mut responses = Vec::with_capacity(if self.respond { requests.len() } else { 0 });
        for request in requests {
            let result = match request.command {
                Some(Command::Get(_) | Command::Scan(_)) if !self.respond => continue,
                Some(Command::Get(get)) => response::Result::Get(self.get(&get)?),
                Some(Command::Scan(scan)) => response::Result::Scan(self.scan(&scan)?),
                Some(Command::Put(put)) => response::Result::Put(self.put(&put)),
                Some(Command::Delete(delete)) => response::Result::Delete(self.delete(&delete)),
                Some(Command::Append(append)) => response::Result::Append(self.append(&append)?),
                Some(Command::CompareAndSet(cas)) => {
                    response::Result::CompareAndSet(self.compare_and_set(cas)?)
                }
                Some(Command::Snap(_)) | None => unreachable!("check_commands refuses these"),
            };
            if self.respond {
                responses.push(Response { result: Some(result) });
            }
        }
        Ok(responses)
    }

    fn get(&self, get: &GetRequest) -> Result<GetResponse, EngineError> {
        let value = self.batch.get(self.engine, &data_key(&get.cf, &get.key))?;
        Ok(GetResponse { value })
    }

    fn put(&mut self, put: &PutRequest) -> PutResponse {
        self.batch.put(&data_key(&put.cf, &put.key), &[&put.value]);
        PutResponse {}
    }

    fn delete(&mut self, delete: &DeleteRequest) -> DeleteResponse {
        self.batch.delete(&data_key(&delete.cf, &delete.key));
        DeleteResponse {}
    }

    fn append(&mut self, append: &AppendRequest) -> Result<AppendResponse, EngineError> {
        let key = data_key(&append.cf, &append.key);
        let value = self.batch.get(self.engine, &key)?.unwrap_or_default();
        self.batch.put(&key, &[&value, &append.suffix]);
        Ok(AppendResponse {})
    }

    fn compare_and_set(&mut self, cas: CompareAndSetRequest) -> Result<CompareAndSetResponse, EngineError> {
        let key = data_key(&cas.cf, &cas.key);
        let previous = self.batch.get(self.engine, &key)?;
        let succeeded = previous == cas.expected;
        if succeeded {
            self.batch.put(&key, &[&cas.value]);
        }
        Ok(CompareAndSetResponse { succeeded, previous })
    }

    fn scan(&self, scan: &ScanRequest) -> Result<ScanResponse, EngineError> {
        let cf = column_family(&scan.cf);
        let end = if scan.end_key.is_empty() { &self.region.end_key } else { &scan.end_key };
        let limit = if scan.limit == 0 { usize::MAX } else { scan.limit as usize };
        let mut pairs = Vec::new();
        let mut visit = |key: &[u8], value: Bytes| {
            let key = Bytes::copy_from_slice(&key[cf.prefix().len()..]);
            pairs.push(ScanPair { key, value });
            pairs.len() < limit
        };
        let (start, end) = (keys::data(cf, &scan.start_key), keys::data_end(cf, end));
        self.batch.scan(self.engine, &start, &end, &mut visit)?;
        Ok(ScanResponse { pairs })
    }
}

fn column_family(name: &str) -> Cf {
    Cf::from_name(name).expect("check_commands refuses unknown names")
}

fn data_key(cf: &str, key: &[u8]) -> keys::DataKey {
    keys::data(column_family(cf), key)
}

#[cfg(test)]
mod tests;
