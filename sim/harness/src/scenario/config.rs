//! The tables of configuration: for each field its key, bounds and meaning, in one list.
//!
//! Reading, printing and the schema for editors follow from it. A new knob is a field in [`ast`](super::ast),
//! its default there, and a line here.

use super::ast::{
    Bytes, ClientConfig, ClusterConfig, DiskConfig, Latency, Limits, MAX_STORES, NetworkConfig, RaftConfig,
    RaftstoreConfig,
};
use super::grammar::{Field, MAX_INTEGER, Shape};
use super::print::quoted;
use super::reader::{Place, Read, Reader};
use raftsim_kernel::{Duration, Ppm};

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
