//! The tables of what machines stand on: links, disks, clocks, processes. Their defaults are a healthy world.

use crate::scenario::ast::{Bytes, Latency};
use raftsim_kernel::{Duration, Ppm};

/// `network`: how every link behaves until a step changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkConfig {
    /// How long a message travels.
    pub latency: Latency,
    /// Share of messages that are lost.
    pub loss: Ppm,
    /// Share of messages that arrive twice.
    pub duplicate: Ppm,
    /// Share of messages that may overtake earlier ones of their link; the others keep their order.
    pub reorder: Ppm,
    /// Share of messages that are corrupted on their way, which their checksum shows.
    pub corrupt: Ppm,
    /// Bytes that pass in a second; positive.
    pub bandwidth: Bytes,
    /// Bytes that may wait to pass, beyond which messages are lost; positive, and bounded only where the bandwidth is.
    pub queue: Bytes,
    /// Whether every message is encoded and decoded on its way, as it would be between machines.
    pub wire: bool,
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            latency: Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) },
            loss: Ppm::ZERO,
            duplicate: Ppm::ZERO,
            reorder: Ppm::ZERO,
            corrupt: Ppm::ZERO,
            bandwidth: Bytes::UNBOUNDED,
            queue: Bytes::UNBOUNDED,
            wire: false,
        }
    }
}

/// `disk`: how every disk behaves until a step changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// How long a sync takes.
    pub sync: Latency,
    /// How long a piece of background work takes, besides what `throughput` says of its bytes.
    pub task: Latency,
    /// How many bytes background work reads and writes in a second; positive.
    pub throughput: Bytes,
    /// How long a read takes, which keeps its process busy.
    pub read: Latency,
    /// How long a write takes, likewise.
    pub write: Latency,
    /// How many bytes of keys and values fit; positive.
    pub capacity: Bytes,
}

impl Default for DiskConfig {
    fn default() -> DiskConfig {
        let millisecond = Latency::Constant(Duration::millis(1));
        let at_once = Latency::Constant(Duration::ZERO);
        DiskConfig {
            sync: millisecond,
            task: millisecond,
            throughput: Bytes::mib(100),
            read: at_once,
            write: at_once,
            capacity: Bytes::UNBOUNDED,
        }
    }
}

/// `clocks`: within which bounds each store's clock is off from the start; how far, the seed decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClocksConfig {
    /// A clock is ahead of time by at most this.
    pub offset: Duration,
    /// It runs faster or slower by at most this; less than 100%.
    pub drift: Ppm,
}

/// `process`: how every store's process behaves until a step changes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessConfig {
    /// How long it takes for an event.
    pub slowness: Latency,
}

impl Default for ProcessConfig {
    fn default() -> ProcessConfig {
        ProcessConfig { slowness: Latency::Constant(Duration::ZERO) }
    }
}
