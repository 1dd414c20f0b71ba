//! How a disk behaves: what takes time, how much it holds, what share of it fails.

use crate::latency::Latency;
use crate::time::{Duration, Ppm};

/// How a disk behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskModel {
    /// From the start of a sync to its completion.
    pub sync: Latency,
    /// What a task takes beside the moving of its bytes.
    pub task: Latency,
    /// How many bytes a task moves in a second; 0 counts as 1.
    pub bytes_per_second: u64,
    /// How long each [`try_get`](super::Disk::try_get) and [`try_range`](super::Disk::try_range) keeps the machine busy.
    pub read: Latency,
    /// How long each [`try_write`](super::Disk::try_write) keeps the machine busy.
    pub write: Latency,
    /// How many bytes of keys and values the disk holds; 0 is no bound.
    pub capacity: u64,
    /// The share of keys that lie on bad sectors: what stands there can be written and not read.
    pub bad: Ppm,
    /// The share of writes that fail.
    pub write_error: Ppm,
    /// The share of syncs that fail.
    pub sync_error: Ppm,
}

impl Default for DiskModel {
    /// One millisecond a sync, a fast solid-state disk with a file system in between. Background work goes at
    /// 100 MiB a second, as where it is held back for the sake of what clients wait for. Reads and writes go by caches and
    /// take no time; there is room for everything, and nothing fails.
    fn default() -> DiskModel {
        let millisecond = Latency::Constant(Duration::millis(1));
        DiskModel {
            sync: millisecond,
            task: millisecond,
            bytes_per_second: 100 << 20,
            read: Latency::ZERO,
            write: Latency::ZERO,
            capacity: 0,
            bad: Ppm::ZERO,
            write_error: Ppm::ZERO,
            sync_error: Ppm::ZERO,
        }
    }
}

/// Nanoseconds in a second.
const SECOND: u128 = 1_000_000_000;

impl DiskModel {
    /// The time to move so many bytes.
    pub(super) fn moving(&self, bytes: u64) -> Duration {
        let nanos = u128::from(bytes) * SECOND / u128::from(self.bytes_per_second.max(1));
        Duration(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// Whether reads and writes keep the machine busy.
    pub(super) fn occupies(&self) -> bool {
        self.read != Latency::ZERO || self.write != Latency::ZERO
    }

    /// Whether a read or a write may come to anything but what it should, or costs time.
    pub(super) fn is_fragile(&self) -> bool {
        self.occupies() || self.capacity != 0 || self.bad != Ppm::ZERO || self.write_error != Ppm::ZERO
    }
}
