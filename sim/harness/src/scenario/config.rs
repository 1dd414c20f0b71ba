//! The tables of configuration: what each field is, its default, and its key, bounds and meaning in a file.
//!
//! Reading, printing and the schema for editors follow from the list at the end. A new knob is a field, its default,
//! and a line there.

use super::ast::{Bytes, Latency, MAX_STORES};
use super::grammar::{Field, MAX_INTEGER, Shape};
use super::print::quoted;
use super::reader::{Place, Read, Reader};
use raftsim_kernel::{Duration, Ppm};

/// `cluster`: the shape of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Number of stores, 1 to [`MAX_STORES`]; they are numbered from 1.
    pub stores: u64,
}

impl Default for ClusterConfig {
    fn default() -> ClusterConfig {
        ClusterConfig { stores: 3 }
    }
}

/// `raft`: the knobs of consensus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftConfig {
    /// Virtual time between two ticks of a store; positive.
    pub tick: Duration,
    /// Ticks without a leader before a follower campaigns; the timeout is drawn from once to twice this.
    pub election_ticks: u32,
    /// Ticks between two heartbeats; positive and below `election_ticks`.
    pub heartbeat_ticks: u32,
    /// Appends that may be under way to one follower; positive.
    pub max_inflight: u32,
    /// Most bytes of entries in one append; positive.
    pub max_message_size: Bytes,
}

impl Default for RaftConfig {
    fn default() -> RaftConfig {
        RaftConfig {
            tick: Duration::millis(100),
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_inflight: 256,
            max_message_size: Bytes::mib(1),
        }
    }
}

/// `raftstore`: the knobs of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RaftstoreConfig {
    /// Time between two syncs of the kv database; positive.
    pub kv_sync_interval: Duration,
}

impl Default for RaftstoreConfig {
    fn default() -> RaftstoreConfig {
        RaftstoreConfig { kv_sync_interval: Duration::secs(1) }
    }
}

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
}

impl Default for NetworkConfig {
    fn default() -> NetworkConfig {
        NetworkConfig {
            latency: Latency::Uniform { min: Duration::millis(1), max: Duration::millis(10) },
            loss: Ppm::ZERO,
            duplicate: Ppm::ZERO,
            reorder: Ppm::ZERO,
        }
    }
}

/// `disk`: how every disk behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskConfig {
    /// How long a sync takes.
    pub sync: Latency,
}

impl Default for DiskConfig {
    fn default() -> DiskConfig {
        DiskConfig { sync: Latency::Constant(Duration::millis(1)) }
    }
}

/// `client`: how clients behave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// How long a client waits for a reply before it tries again; positive.
    pub timeout: Duration,
    /// How long it pauses before a retry.
    pub backoff: Duration,
}

impl Default for ClientConfig {
    fn default() -> ClientConfig {
        ClientConfig { timeout: Duration::secs(1), backoff: Duration::millis(20) }
    }
}

/// `limits`: a run that exceeds one is a finding of the check `limit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Most events of a run; positive.
    pub events: u64,
    /// Most virtual time of a run; positive.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { events: 20_000_000, time: Duration::secs(3600) }
    }
}

/// One table of configuration.
pub(super) trait Section: Default {
    /// Its key.
    const KEY: &'static str;
    /// What it is about.
    const DOC: &'static str;
    /// Its fields.
    const FIELDS: &'static [Field];

    /// Reads one field.
    fn set(&mut self, reader: &mut Reader, place: Place<'_, '_>) -> Read<()>;

    /// Every field as TOML.
    fn written(&self) -> Vec<(&'static str, String)>;
}

/// A type that a field can have.
trait Value: Sized {
    fn read(reader: &mut Reader, place: Place<'_, '_>) -> Read<Self>;
    fn write(&self) -> String;
}

macro_rules! values {
    ($($type:ty: $read:ident, |$value:ident| $write:expr;)+) => { $(
        impl Value for $type {
            fn read(reader: &mut Reader, place: Place<'_, '_>) -> Read<$type> {
                reader.$read(place)
            }

            fn write(&self) -> String {
                let $value = self;
                $write
            }
        }
    )+ };
}

values! {
    u64: count, |n| n.to_string();
    u32: small_count, |n| n.to_string();
    Duration: duration, |d| quoted(&d.to_string());
    Ppm: share, |p| quoted(&p.to_string());
    Latency: latency, |l| quoted(&l.to_string());
    Bytes: size, |b| quoted(&b.to_string());
}

macro_rules! sections {
    ($(
        $type:ident $key:literal $doc:literal {
            $( $field:ident $name:literal $shape:expr, $about:literal; )+
        }
    )+) => { $(
        impl Section for $type {
            const KEY: &'static str = $key;
            const DOC: &'static str = $doc;
            const FIELDS: &'static [Field] =
                &[$(Field { key: $name, shape: $shape, required: false, doc: $about }),+];

            fn set(&mut self, reader: &mut Reader, place: Place<'_, '_>) -> Read<()> {
                match place.key {
                    $($name => self.$field = Value::read(reader, place)?,)+
                    _ => unreachable!("a field of the table"),
                }
                Ok(())
            }

            fn written(&self) -> Vec<(&'static str, String)> {
                vec![$(($name, self.$field.write())),+]
            }
        }
    )+ };
}

/// A positive number that fits 32 bits.
const SMALL: Shape = Shape::Count(1, u32::MAX as u64);

sections! {
    ClusterConfig "cluster" "The shape of the cluster." {
        stores "stores" Shape::Count(1, MAX_STORES), "Number of stores; they are numbered from 1.";
    }
    RaftConfig "raft" "The knobs of consensus." {
        tick "tick" Shape::Positive, "Virtual time between two ticks of a store.";
        election_ticks "election-ticks" SMALL, "Ticks without a leader before a follower campaigns; drawn from once to twice this.";
        heartbeat_ticks "heartbeat-ticks" SMALL, "Ticks between two heartbeats; fewer than election-ticks.";
        max_inflight "max-inflight" SMALL, "Appends that may be under way to one follower.";
        max_message_size "max-message-size" Shape::Size(1, MAX_INTEGER), "Most bytes of entries in one append.";
    }
    RaftstoreConfig "raftstore" "The knobs of the store." {
        kv_sync_interval "kv-sync-interval" Shape::Positive, "Time between two syncs of the kv database.";
    }
    NetworkConfig "network" "How every link behaves until a step changes it." {
        latency "latency" Shape::Latency, "How long a message travels.";
        loss "loss" Shape::Share, "Share of messages that are lost.";
        duplicate "duplicate" Shape::Share, "Share of messages that arrive twice.";
        reorder "reorder" Shape::Share, "Share of messages that may overtake earlier ones of their link.";
    }
    DiskConfig "disk" "How every disk behaves." {
        sync "sync" Shape::Latency, "How long a sync takes.";
    }
    ClientConfig "client" "How clients behave." {
        timeout "timeout" Shape::Positive, "How long a client waits for a reply before it tries again.";
        backoff "backoff" Shape::Duration, "How long it pauses before a retry.";
    }
    Limits "limits" "When a run counts as out of hand." {
        events "events" Shape::Count(1, MAX_INTEGER), "Most events of a run.";
        time "time" Shape::Positive, "Most virtual time of a run.";
    }
}
