//! The body of a snapshot: every pair of a region, as one run of bytes.
//!
//! The column families follow each other in the order of [`Cf::ALL`], each with its pairs in the order of their
//! keys: length and bytes of the key without its prefix, length and bytes of the value. Lengths are prost's
//! length delimiters. How long each column family is, and its CRC-32, stand in the [`SnapshotMeta`] beside it;
//! raft's message carries that. What [`verify`](Body::verify) lets through can be written to the database
//! without another look: it is what was sent, and it reaches nobody else's keys.

use bytes::Bytes;
use raft_proto::metapb::Region;
use raft_proto::raft_serverpb::{SnapshotCfFile, SnapshotMeta};

use crate::engine::{Db, Read};
use crate::error::EngineError;
use crate::keys::{self, Cf};

/// Every pair of a region.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// One file for each of [`Cf::ALL`], in that order; their sizes add up to the length of `bytes`.
    meta: SnapshotMeta,
    bytes: Bytes,
}

/// Why bytes are not the body of a snapshot of a region.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    /// The metadata names other column families.
    #[error("the body is not of the column families default, write and lock")]
    ColumnFamilies,
    /// More or fewer bytes than the metadata says.
    #[error("the body should have {expected} bytes and has {actual}")]
    Size {
        /// What the metadata says, as far as it can be counted.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// The bytes are not those that were read from the sender's database.
    #[error("checksum mismatch in column family {0:?}")]
    Checksum(Cf),
    /// A pair ends behind its column family.
    #[error("column family {cf:?} ends within the pair at byte {at}")]
    Framing {
        /// Where the pair is.
        cf: Cf,
        /// Its position in the body.
        at: usize,
    },
    /// A key that does not follow the one before it.
    #[error("column family {cf:?} is out of order at byte {at}")]
    Order {
        /// Where the key is.
        cf: Cf,
        /// Its position in the body.
        at: usize,
    },
    /// A key outside of the region.
    #[error("column family {cf:?} has a key of another region at byte {at}")]
    Range {
        /// Where the key is.
        cf: Cf,
        /// Its position in the body.
        at: usize,
    },
}

impl Body {
    /// What `view` holds of `region`.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub(crate) fn read(view: &impl Read, region: &Region) -> Result<Body, EngineError> {
        let mut bytes = Vec::new();
        let mut cf_files = Vec::new();
        for cf in Cf::ALL {
            let before = bytes.len();
            let (start, end) = (keys::data(cf, &region.start_key), keys::data_end(cf, &region.end_key));
            view.scan(Db::Kv, &start, &end, &mut |key, value| {
                push(&mut bytes, &key[cf.prefix().len()..]);
                push(&mut bytes, value);
                true
            })?;
            let run = &bytes[before..];
            let (size, checksum) = (run.len() as u64, crc32fast::hash(run));
            cf_files.push(SnapshotCfFile { cf: name(cf).to_owned(), size, checksum });
        }
        Ok(Body { meta: SnapshotMeta { cf_files }, bytes: bytes.into() })
    }

    /// The body of a snapshot of `region` that came from elsewhere.
    ///
    /// # Errors
    /// When the bytes are not what `meta` says, or not pairs of the region in order.
    pub(crate) fn verify(meta: SnapshotMeta, bytes: Bytes, region: &Region) -> Result<Body, BodyError> {
        if !meta.cf_files.iter().map(|file| file.cf.as_str()).eq(Cf::ALL.map(name)) {
            return Err(BodyError::ColumnFamilies);
        }
        let expected = meta.cf_files.iter().fold(0u64, |sum, file| sum.saturating_add(file.size));
        if expected != bytes.len() as u64 {
            return Err(BodyError::Size { expected, actual: bytes.len() as u64 });
        }
        let mut start = 0;
        for (cf, file) in Cf::ALL.into_iter().zip(&meta.cf_files) {
            let end = start + usize::try_from(file.size).expect("no more than all bytes together");
            if crc32fast::hash(&bytes[start..end]) != file.checksum {
                return Err(BodyError::Checksum(cf));
            }
            verify_run(cf, &bytes, start, end, region)?;
            start = end;
        }
        Ok(Body { meta, bytes })
    }

    /// Its size in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Whether the region has no pairs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Sizes and checksums.
    pub(crate) fn meta(&self) -> &SnapshotMeta {
        &self.meta
    }

    /// The pairs as they are sent.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Column family, key and value of each pair, and the position to go on from after it. `from` is 0 or such a
    /// position.
    pub(crate) fn pairs(&self, from: usize) -> impl Iterator<Item = (Cf, Bytes, Bytes, usize)> {
        let mut at = from;
        std::iter::from_fn(move || {
            let (cf, end) = self.run_at(at)?;
            let (key, value, next) = pair_at(&self.bytes, at, end)?;
            at = next;
            Some((cf, key, value, next))
        })
    }

    /// The column family that the byte at `at` belongs to, and where it ends.
    fn run_at(&self, at: usize) -> Option<(Cf, usize)> {
        let mut end = 0;
        Cf::ALL.into_iter().zip(&self.meta.cf_files).find_map(|(cf, file)| {
            end += usize::try_from(file.size).ok()?;
            (at < end).then_some((cf, end))
        })
    }
}

/// The column family's name, as [`Cf::from_name`] knows it.
fn name(cf: Cf) -> &'static str {
    match cf {
        Cf::Default => "default",
        Cf::Write => "write",
        Cf::Lock => "lock",
    }
}

fn push(buffer: &mut Vec<u8>, bytes: &[u8]) {
    prost::encode_length_delimiter(bytes.len(), buffer).expect("a Vec grows as needed");
    buffer.extend_from_slice(bytes);
}

/// Key and value of the pair at `at`, and where the next one is; `None` when it does not end by `end`.
fn pair_at(bytes: &Bytes, at: usize, end: usize) -> Option<(Bytes, Bytes, usize)> {
    let mut rest = bytes.slice(at..end);
    let mut take = || {
        let length = prost::decode_length_delimiter(&mut rest).ok()?;
        (length <= rest.len()).then(|| rest.split_to(length))
    };
    let (key, value) = (take()?, take()?);
    Some((key, value, end - rest.len()))
}

/// Whether `start..end` are pairs of the region, in order.
fn verify_run(cf: Cf, bytes: &Bytes, start: usize, end: usize, region: &Region) -> Result<(), BodyError> {
    let mut at = start;
    let mut before: Option<Bytes> = None;
    while at < end {
        let (key, _, next) = pair_at(bytes, at, end).ok_or(BodyError::Framing { cf, at })?;
        if before.is_some_and(|before| before >= key) {
            return Err(BodyError::Order { cf, at });
        }
        if key < region.start_key || (!region.end_key.is_empty() && key >= region.end_key) {
            return Err(BodyError::Range { cf, at });
        }
        before = Some(key);
        at = next;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
