//! The tables of configuration: what each field is, its default, and its key, bounds and meaning in a file.
//!
//! Reading, printing and the schema for editors follow from the list at the end. A new knob is a field, its default,
//! and a line there.

use super::ast::{Bytes, Keyword, Latency, MAX_STORES, ReadIndexMode, ReadPath, System};
use super::grammar::{Field, MAX_INTEGER, READ_INDEX, READ_PATHS, Shape};
use super::print::{array, quoted};
use super::reader::{Place, Read, Reader};
use raftsim_kernel::{Duration, Ppm};

/// `cluster`: the shape of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Number of stores, 1 to [`MAX_STORES`]; they are numbered from 1.
    pub stores: u64,
    /// The stores that vote at the start, none twice; `None`: every store that is no learner.
    pub voters: Option<Vec<u64>>,
    /// The stores that learn at the start, none twice and none a voter. Stores that do neither start empty.
    pub learners: Vec<u64>,
}

impl ClusterConfig {
    /// So many stores, all of them voters.
    #[must_use]
    pub const fn of(stores: u64) -> ClusterConfig {
        ClusterConfig { stores, voters: None, learners: Vec::new() }
    }

    /// The stores that vote at the start, ascending; never empty.
    #[must_use]
    pub fn initial_voters(&self) -> Vec<u64> {
        let votes = |store: &u64| match &self.voters {
            Some(voters) => voters.contains(store),
            None => !self.learners.contains(store),
        };
        (1..=self.stores).filter(votes).collect()
    }

    /// The stores that learn at the start, ascending.
    #[must_use]
    pub fn initial_learners(&self) -> Vec<u64> {
        (1..=self.stores).filter(|store| self.learners.contains(store)).collect()
    }
}

impl Default for ClusterConfig {
    fn default() -> ClusterConfig {
        ClusterConfig::of(3)
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
    /// Bytes of entries that may be under way to one follower; positive.
    pub max_inflight_size: Bytes,
    /// Most bytes of committed entries that are handed out to be applied at once; positive. One entry always is.
    pub max_committed_size: Bytes,
    /// Most bytes of a leader's own entries that are not committed yet; beyond, it refuses proposals. Positive.
    pub max_uncommitted_size: Bytes,
    /// Whether a candidate first asks whether it would be elected (thesis, section 9.6).
    pub pre_vote: bool,
    /// Whether a leader steps down that no quorum answers, and voters that hear from a leader refuse to elect another.
    pub check_quorum: bool,
    /// Whether a leader that a change has removed steps down.
    pub step_down_on_removal: bool,
    /// Each store's priority in elections, as many as stores; empty: all zero.
    pub priorities: Vec<i64>,
    /// How a read index is confirmed; bare Raft only.
    pub read_index: ReadIndexMode,
    /// Ticks by which a lease ends early, for clocks that drift; bare Raft only.
    pub lease_margin: u32,
    /// Whether committed entries are applied before this replica's own log is durable; bare Raft only.
    pub apply_unpersisted: bool,
    /// Whether a leader refuses a membership change while one is under way; bare Raft only.
    pub validate_conf_changes: bool,
}

impl RaftConfig {
    /// Ticks of an election timeout that no lease can use: one for the granularity of ticks at each end of it,
    /// and one that it is to last.
    pub const LEASE_OVERHEAD: u32 = 3;
}

impl Default for RaftConfig {
    fn default() -> RaftConfig {
        RaftConfig {
            tick: Duration::millis(100),
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_inflight: 256,
            max_message_size: Bytes::mib(1),
            max_inflight_size: Bytes::UNBOUNDED,
            max_committed_size: Bytes::UNBOUNDED,
            max_uncommitted_size: Bytes::UNBOUNDED,
            pre_vote: false,
            check_quorum: false,
            step_down_on_removal: true,
            priorities: Vec::new(),
            read_index: ReadIndexMode::Safe,
            lease_margin: 2,
            apply_unpersisted: false,
            validate_conf_changes: true,
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

/// `bare`: the knobs of the bare-Raft system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareConfig {
    /// Which way reads take.
    pub reads: ReadPath,
    /// Applied entries that a log keeps before the state machine is snapshotted and the log compacted; positive.
    pub log_limit: u64,
}

impl Default for BareConfig {
    fn default() -> BareConfig {
        BareConfig { reads: ReadPath::Log, log_limit: 10_000 }
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
trait Value: Sized {
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

sections! {
    ClusterConfig "cluster" "The shape of the cluster." {
        stores "stores" Shape::Count(1, MAX_STORES), "Number of stores; they are numbered from 1.";
        voters "voters" Shape::StoreNumbers, "Stores that vote at the start; default: every store that is no learner." [Raft];
        learners "learners" Shape::StoreNumbers, "Stores that learn at the start; those in neither list start empty." [Raft];
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
        read_index "read-index" Shape::Word(&READ_INDEX), "How a read index is confirmed; \"lease\" needs check-quorum." [Raft];
        lease_margin "lease-margin" Shape::Count(0, u32::MAX as u64), "Ticks by which a lease ends early; with a lease, at least 3 fewer than election-ticks." [Raft];
        apply_unpersisted "apply-unpersisted" Shape::Flag, "Whether committed entries are applied before a replica's own log is durable." [Raft];
        validate_conf_changes "validate-conf-changes" Shape::Flag, "Whether a leader refuses a membership change while one is under way." [Raft];
    }
    RaftstoreConfig "raftstore" "The knobs of the store." [Raftstore] {
        kv_sync_interval "kv-sync-interval" Shape::Positive, "Time between two syncs of the kv database.";
    }
    BareConfig "bare" "The knobs of the bare-Raft system." [Raft] {
        reads "reads" Shape::Word(&READ_PATHS), "Which way reads take.";
        log_limit "log-limit" Shape::Count(1, MAX_INTEGER), "Applied entries that are kept before the state machine is snapshotted and the log compacted.";
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
