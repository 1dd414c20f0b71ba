//! The fields of the tables of configuration: the key, bounds and meaning of each in a file.

use super::{
    BareConfig, ClientConfig, ClocksConfig, ClusterConfig, DiskConfig, Limits, NetworkConfig,
    PlacementConfig, ProcessConfig, RaftConfig, RaftstoreConfig,
};
use crate::scenario::ast::{
    Bytes, Churn, Keyword, Latency, MAX_STORES, PlacementMode, ReadIndexMode, ReadPath, System,
};
use crate::scenario::grammar::{CHURNS, Field, MAX_INTEGER, MODES, READ_INDEX, READ_PATHS, Shape};
use crate::scenario::print::{array, quoted};
use crate::scenario::reader::{Place, Read, Reader};
use raftsim_kernel::{Duration, Ppm};

/// One table of configuration.
pub(in crate::scenario) trait Section: Default {
    /// Its key.
    const KEY: &'static str;
    /// What it is about.
    const DOC: &'static str;
    /// The system whose it is, where it is one's only.
    const SYSTEM: Option<System>;
    /// Its fields.
    const FIELDS: &'static [Field];

    /// Reads one field.
    fn set(&mut self, reader: &mut Reader, place: Place<'_, '_>) -> Read<()>;

    /// Every field that has a value, as TOML.
    fn written(&self) -> Vec<(&'static str, String)>;
}

/// A type that a field can have.
pub(super) trait Value: Sized {
    fn read(reader: &mut Reader, place: Place<'_, '_>) -> Read<Self>;

    /// The value as TOML; `None` where that is to leave the field out.
    fn write(&self) -> Option<String>;
}

macro_rules! values {
    ($($type:ty: $read:ident, |$value:ident| $write:expr;)+) => { $(
        impl Value for $type {
            fn read(reader: &mut Reader, place: Place<'_, '_>) -> Read<$type> {
                reader.$read(place)
            }

            fn write(&self) -> Option<String> {
                let $value = self;
                Some($write)
            }
        }
    )+ };
}

values! {
    u64: count, |n| n.to_string();
    u32: small_count, |n| n.to_string();
    bool: flag, |b| b.to_string();
    Duration: duration, |d| quoted(&d.to_string());
    Ppm: share, |p| quoted(&p.to_string());
    Latency: latency, |l| quoted(&l.to_string());
    Bytes: size, |b| quoted(&b.to_string());
    ReadIndexMode: word, |w| quoted(w.word());
    ReadPath: word, |w| quoted(w.word());
    PlacementMode: word, |w| quoted(w.word());
    Vec<Churn>: words, |list| array(list, |w| quoted(w.word()));
    Vec<u64>: store_numbers, |list| array(list, u64::to_string);
    Vec<i64>: integers, |list| array(list, i64::to_string);
}

impl<T: Value> Value for Option<T> {
    fn read(reader: &mut Reader, place: Place<'_, '_>) -> Read<Option<T>> {
        T::read(reader, place).map(Some)
    }

    fn write(&self) -> Option<String> {
        self.as_ref().and_then(T::write)
    }
}

/// The system after a section or field, if one stands there.
macro_rules! only {
    () => {
        None
    };
    ($system:ident) => {
        Some(System::$system)
    };
}

macro_rules! sections {
    ($(
        $type:ident $key:literal $doc:literal $([$system:ident])? {
            $( $field:ident $name:literal $shape:expr, $about:literal $([$only:ident])?; )+
        }
    )+) => { $(
        impl Section for $type {
            const KEY: &'static str = $key;
            const DOC: &'static str = $doc;
            const SYSTEM: Option<System> = only!($($system)?);
            const FIELDS: &'static [Field] = &[$(
                Field { key: $name, shape: $shape, required: false, doc: $about, system: only!($($only)?) }
            ),+];

            fn set(&mut self, reader: &mut Reader, place: Place<'_, '_>) -> Read<()> {
                match place.key {
                    $($name => self.$field = Value::read(reader, place)?,)+
                    _ => unreachable!("a field of the table"),
                }
                Ok(())
            }

            fn written(&self) -> Vec<(&'static str, String)> {
                let fields = [$(($name, self.$field.write())),+];
                fields.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
            }
        }
    )+ };
}

/// A positive number that fits 32 bits.
const SMALL: Shape = Shape::Count(1, u32::MAX as u64);
/// A positive number.
const SOME: Shape = Shape::Count(1, MAX_INTEGER);

sections! {
    ClusterConfig "cluster" "The shape of the cluster." {
        stores "stores" Shape::Count(1, MAX_STORES), "Number of stores; they are numbered from 1.";
        voters "voters" Shape::StoreNumbers, "Stores that vote at the start; default: every store that is no learner.";
        learners "learners" Shape::StoreNumbers, "Stores that learn at the start; those in neither list start empty.";
    }
    RaftConfig "raft" "The knobs of consensus." {
        tick "tick" Shape::Positive, "Virtual time between two ticks of a store.";
        election_ticks "election-ticks" SMALL, "Ticks without a leader before a follower campaigns; drawn from once to twice this.";
        heartbeat_ticks "heartbeat-ticks" SMALL, "Ticks between two heartbeats; fewer than election-ticks.";
        max_inflight "max-inflight" SMALL, "Appends that may be under way to one follower.";
        max_message_size "max-message-size" Shape::Bound, "Most bytes of entries in one append.";
        max_inflight_size "max-inflight-size" Shape::Bound, "Bytes of entries that may be under way to one follower.";
        max_committed_size "max-committed-size" Shape::Bound, "Most bytes of committed entries handed out at once; one entry always is.";
        max_uncommitted_size "max-uncommitted-size" Shape::Bound, "Most bytes of a leader's own uncommitted entries; beyond, it refuses proposals.";
        pre_vote "pre-vote" Shape::Flag, "Whether a candidate first asks whether it would be elected.";
        check_quorum "check-quorum" Shape::Flag, "Whether a leader steps down that no quorum answers, and voters that hear from one elect no other.";
        step_down_on_removal "step-down-on-removal" Shape::Flag, "Whether a leader that a change has removed steps down; otherwise it leads on, and its followers stay with it, until another store stands for election or it stops.";
        priorities "priorities" Shape::Integers, "Each store's priority in elections, one a store; default: all 0.";
        read_index "read-index" Shape::Word(&READ_INDEX), "How a read index is confirmed; \"lease\" needs check-quorum.";
        lease_margin "lease-margin" Shape::Count(0, u32::MAX as u64), "Ticks by which a lease ends early; with a lease, at least 3 fewer than election-ticks.";
        apply_unpersisted "apply-unpersisted" Shape::Flag, "Whether committed entries are applied before a replica's own log is durable." [Raft];
        validate_conf_changes "validate-conf-changes" Shape::Flag, "Whether a leader refuses a membership change while one is under way." [Raft];
    }
    RaftstoreConfig "raftstore" "The knobs of the store." [Raftstore] {
        kv_sync_interval "kv-sync-interval" Shape::Positive, "Time between two syncs of the kv database.";
        reads "reads" Shape::Word(&READ_PATHS), "Which way reads take.";
        log_gc_interval "log-gc-interval" Shape::Positive, "Time between two looks of a leader at whether its log can be compacted.";
        log_gc_threshold "log-gc-threshold" SOME, "Fewest entries that are worth a compaction.";
        log_gc_count_limit "log-gc-count-limit" SOME, "Applied entries in a log beyond which slow followers are no longer waited for.";
        log_gc_size_limit "log-gc-size-limit" Shape::Bound, "The same in bytes of entries.";
        split_check_interval "split-check-interval" Shape::Positive, "Time between two looks of a leader at whether its region has grown too large.";
        region_max_size "region-max-size" Shape::Bound, "A region with more bytes is split.";
        region_split_size "region-split-size" Shape::Bound, "The left part of such a split keeps about so many bytes; less than region-max-size.";
        snapshot_chunk_size "snapshot-chunk-size" Shape::Bound, "Bytes of a snapshot in one message.";
        snapshot_window "snapshot-window" SMALL, "Chunks that may be under way to one receiver.";
        max_snapshots_sent "max-snapshots-sent" SMALL, "Snapshots that a store makes or sends at a time.";
        max_snapshots_received "max-snapshots-received" SMALL, "Snapshots that a store receives or applies at a time.";
        snapshot_timeout "snapshot-timeout" Shape::Positive, "Time without a chunk or an answer after which a transfer is given up.";
        snapshot_batch_size "snapshot-batch-size" Shape::Bound, "Bytes of a snapshot that are applied in one write.";
        leader_missing "leader-missing" Shape::Positive, "Time without a leader after which a replica asks the placement driver whether it is still wanted.";
    }
    PlacementConfig "placement" "The placement driver, which gives out ids and decides where replicas are; without this table there is none." [Raftstore] {
        mode "mode" Shape::Word(&MODES), "What it does by itself.";
        replicas "replicas" Shape::Count(1, MAX_STORES), "How many replicas a region is to have.";
        interval "interval" Shape::Positive, "Time between two of its decisions.";
        store_heartbeat "store-heartbeat" Shape::Positive, "Time between two heartbeats of a store to it.";
        region_heartbeat "region-heartbeat" Shape::Positive, "Time between two heartbeats of a region to it.";
        churn "churn" Shape::Words(&CHURNS), "What it does in the mode \"churn\".";
    }
    BareConfig "bare" "The knobs of the bare-Raft system." [Raft] {
        reads "reads" Shape::Word(&READ_PATHS), "Which way reads take.";
        log_limit "log-limit" SOME, "Applied entries that are kept before the state machine is snapshotted and the log compacted.";
    }
    NetworkConfig "network" "How every link behaves until a step changes it." {
        latency "latency" Shape::Latency, "How long a message travels.";
        loss "loss" Shape::Share, "Share of messages that are lost.";
        duplicate "duplicate" Shape::Share, "Share of messages that arrive twice.";
        reorder "reorder" Shape::Share, "Share of messages that may overtake earlier ones of their link.";
        corrupt "corrupt" Shape::Share, "Share of messages that are corrupted on their way.";
        bandwidth "bandwidth" Shape::Bound, "How many bytes pass in a second.";
        queue "queue" Shape::Bound, "How many bytes may wait to pass, beyond which messages are lost; needs a bandwidth.";
        wire "wire" Shape::Flag, "Whether every message is encoded and decoded on its way.";
    }
    DiskConfig "disk" "How every disk behaves until a step changes it." {
        sync "sync" Shape::Latency, "How long a sync takes.";
        task "task" Shape::Latency, "How long a piece of background work takes, besides its bytes.";
        throughput "throughput" Shape::Bound, "How many bytes background work reads and writes in a second.";
        read "read" Shape::Latency, "How long a read takes.";
        write "write" Shape::Latency, "How long a write takes.";
        capacity "capacity" Shape::Bound, "How many bytes of keys and values fit.";
    }
    ClocksConfig "clocks" "Within which bounds each store's clock is off from the start; the seed decides how far." {
        offset "offset" Shape::Duration, "How far ahead of time it is, at most.";
        drift "drift" Shape::Share, "How much faster or slower than time it runs, at most.";
    }
    ProcessConfig "process" "How every store's process behaves until a step changes it." {
        slowness "slowness" Shape::Latency, "How long it takes for an event.";
    }
    ClientConfig "client" "How clients behave." {
        timeout "timeout" Shape::Positive, "How long a client waits for a reply before it tries again.";
        backoff "backoff" Shape::Duration, "How long it pauses before a retry.";
    }
    Limits "limits" "When a run counts as out of hand." {
        events "events" SOME, "Most events of a run.";
        time "time" Shape::Positive, "Most virtual time of a run.";
    }
}
