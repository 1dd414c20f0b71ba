//! The body of a snapshot: every pair of a region.

use bytes::Bytes;
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::SnapshotMeta;

use crate::engine::Read;
use crate::error::EngineError;

/// Every pair of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    meta: SnapshotMeta,
    bytes: Bytes,
}

impl Body {
    /// What `view` holds of `region`.
    pub(crate) fn read(_view: &impl Read, _region: &Region) -> Result<Body, EngineError> {
        Ok(Body { meta: SnapshotMeta::default(), bytes: Bytes::new() })
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}
