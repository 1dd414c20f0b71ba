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
    AppendRequest, AppendResponse, CompareAndSetRequest, CompareAndSetResponse, DeleteRequest,
    DeleteResponse, GetRequest, GetResponse, PutRequest, PutResponse, RaftCmdRequest, RaftCmdResponse,
    RaftResponseHeader, Response, ScanPair, ScanRequest, ScanResponse, request::Command, response,
};
use smallvec::SmallVec;

use crate::engine::{Db, Env, Read, RequestId};
use crate::error::{EngineError, StoreError};
use crate::keys::{self, Cf};
use crate::overlay::Overlay;
use crate::peer_storage::PeerStorage;
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
type Answers = SmallVec<[(RequestId, RaftCmdResponse); 1]>;

/// Applies `entries` and answers the proposals that they decide. `term` is the replica's.
pub(crate) fn apply(
    env: &mut impl Env,
    storage: &mut PeerStorage,
    proposals: &mut Proposals,
    term: u64,
    entries: &[Entry],
) -> Result<(), StoreError> {
    let mut batch = Overlay::with_capacity(room(entries));
    let mut replies = Answers::new();
    for (position, entry) in entries.iter().enumerate() {
        assert!(
            entry.index == storage.applied_index() + 1 || position > 0,
            "region {}: entry {} follows applied {}",
            storage.region().id,
            entry.index,
            storage.applied_index(),
        );
        apply_entry(env, storage.region(), proposals, term, entry, &mut batch, &mut replies)?;
        if batch.len() >= MAX_BATCH_OPS || position + 1 == entries.len() {
            let next = Overlay::with_capacity(room(&entries[position + 1..]));
            let mut batch = std::mem::replace(&mut batch, next).into_batch();
            storage.save_applied(entry.index, &mut batch);
            env.write(Db::Kv, batch)?;
            for (request, response) in replies.drain(..) {
                env.reply(request, response);
            }
        }
    }
    Ok(())
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
    region: &Region,
    proposals: &mut Proposals,
    term: u64,
    entry: &Entry,
    batch: &mut Overlay,
    replies: &mut Answers,
) -> Result<(), StoreError> {
    let mut waiting = None;
    while let Some((request, own)) = proposals.resolve(EntryId { term: entry.term, index: entry.index }) {
        if own {
            waiting = Some(request);
        } else {
            replies.push((request, RequestError::StaleCommand.into_response(term)));
        }
    }
    if entry.entry_type() != EntryType::EntryNormal {
        let what = format!("entry {} has type {}", entry.index, entry.entry_type);
        return Err(StoreError::corrupt(region.id, what));
    }
    if entry.data.is_empty() {
        return Ok(()); // The entry that a new leader appends.
    }
    let request = RaftCmdRequest::decode(entry.data.clone())
        .map_err(|error| StoreError::corrupt(region.id, format!("entry {}: {error}", entry.index)))?;
    let mut executor = Executor { engine, region, batch, respond: waiting.is_some() };
    let response = match check_commands(&request, region) {
        Ok(()) => success(executor.execute(request)?, term),
        Err(error) => error.into_response(term),
    };
    if let Some(request) = waiting {
        replies.push((request, response));
    }
    Ok(())
}

fn success(responses: Vec<Response>, term: u64) -> RaftCmdResponse {
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
    fn execute(&mut self, request: RaftCmdRequest) -> Result<Vec<Response>, EngineError> {
        let mut responses = Vec::with_capacity(if self.respond { request.requests.len() } else { 0 });
        for request in request.requests {
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
