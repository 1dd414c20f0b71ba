//! Clients' data on a store's disk, for its digests: which changes are data, and what a range holds as a whole.
//!
//! A key of clients' data is the name of a family (a column family, or nothing) and the client's own key. The names are
//! learned from the writes: all data there is was written before the observer's eyes.

use bytes::Bytes;
use raftsim_kernel::{DbId, Disk};

use crate::check::pair_digest;
use crate::system::{RegionRange, System};

/// The families that were ever written to.
#[derive(Clone, Debug, Default)]
pub(super) struct Families {
    names: Vec<Bytes>,
    /// The place of the last one.
    last: usize,
}

impl Families {
    /// `key`, which ends with the client's key `user_key`, was written.
    #[inline]
    pub(super) fn note(&mut self, key: &[u8], user_key: &[u8]) {
        let name = &key[..key.len() - user_key.len()];
        if self.names.get(self.last).is_none_or(|last| **last != *name) {
            self.turn_to(name);
        }
    }

    #[cold]
    fn turn_to(&mut self, name: &[u8]) {
        self.last = self.names.iter().position(|known| **known == *name).unwrap_or_else(|| {
            self.names.push(Bytes::copy_from_slice(name));
            self.names.len() - 1
        });
    }

    /// The digest of all data in a range.
    pub(super) fn digest<S: System>(&self, disk: &Disk, db: DbId, range: &RegionRange<'_>) -> u64 {
        let mut digest = 0u64;
        for name in &self.names {
            let first = [name, range.start].concat();
            for (key, value) in disk.range(db, &first, None) {
                let user_key =
                    key.strip_prefix(&**name).filter(|user_key| S::data_key(key) == Some(user_key));
                if !user_key.is_some_and(|user_key| range.contains(user_key)) {
                    break;
                }
                digest = digest.wrapping_add(pair_digest(key, value));
            }
        }
        digest
    }
}
