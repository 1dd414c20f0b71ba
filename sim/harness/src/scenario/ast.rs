//! What a scenario file says, as plain data: the input of the runner, the fuzzer, the shrinker and the printer.
//!
//! Only what makes sense can be built where types can see to it (an operation of a client has no `within`, a
//! latency has exactly one shape); what they cannot see (names defined before use, store numbers that exist)
//! [`parse`](super::parse()) checks. Two scenarios are equal when they describe the same run: source lines do not count.

pub use super::config::{
    ClientConfig, ClusterConfig, DiskConfig, Limits, NetworkConfig, RaftConfig, RaftstoreConfig,
};
pub use super::names::{Check, Ending, Gauge, Keyword, Losing, MessageKind, Role};
pub use super::units::{Bytes, Latency};
use raftsim_kernel::{Duration, Ppm, Time};

/// How long a `wait` or an operation of the scenario may take where its step does not say: 30 seconds.
pub const DEFAULT_WITHIN: Duration = Duration::secs(30);

/// The most stores a cluster can have.
pub const MAX_STORES: u64 = 31;

/// Seeds have 63 bits, so that a TOML integer holds one.
pub const MAX_SEED: u64 = i64::MAX as u64;

/// One scenario: everything that determines a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The story in one sentence; never empty.
    pub about: String,
    /// The seed of all random decisions, at most [`MAX_SEED`].
    pub seed: u64,
    /// What happens after the last step.
    pub ending: Ending,
    /// The shape of the cluster.
    pub cluster: ClusterConfig,
    /// The knobs of consensus.
    pub raft: RaftConfig,
    /// The knobs of the store.
    pub raftstore: RaftstoreConfig,
    /// How links behave at the start.
    pub network: NetworkConfig,
    /// How disks behave at the start.
    pub disk: DiskConfig,
    /// How clients behave.
    pub client: ClientConfig,
    /// When a run counts as out of hand.
    pub limits: Limits,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

impl Scenario {
    /// A scenario with defaults throughout and no steps.
    pub fn new(about: impl Into<String>) -> Scenario {
        Scenario {
            about: about.into(),
            seed: 0,
            ending: Ending::Heal,
            cluster: ClusterConfig::default(),
            raft: RaftConfig::default(),
            raftstore: RaftstoreConfig::default(),
            network: NetworkConfig::default(),
            disk: DiskConfig::default(),
            client: ClientConfig::default(),
            limits: Limits::default(),
            steps: Vec::new(),
        }
    }
}

/// One step.
#[derive(Clone, Debug)]
pub struct Step {
    /// When it starts, once the step before it has ended.
    pub when: When,
    /// What it does.
    pub action: Action,
    /// The line of the source where the step starts, from 1; 0 for a step that no file holds.
    pub line: u32,
}

impl Step {
    /// A step that starts at once and stands in no file.
    #[must_use]
    pub fn now(action: Action) -> Step {
        Step { when: When::Now, action, line: 0 }
    }

    /// A step pinned to `time`, standing in no file.
    #[must_use]
    pub fn at(time: Time, action: Action) -> Step {
        Step { when: When::At(time), action, line: 0 }
    }
}

impl PartialEq for Step {
    /// The line is where the step was read, not what it says.
    fn eq(&self, other: &Step) -> bool {
        self.when == other.when && self.action == other.action
    }
}

/// When a step starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As soon as the step before it has ended.
    Now,
    /// At this virtual time, or when the step before it ends, whichever is later.
    At(Time),
    /// This long after the step before it has ended.
    After(Duration),
}

/// What a step does: its verb with the verb's options.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// `wait = "1s"`: let time pass.
    Sleep(Duration),
    /// `wait = CONDITION`: let time pass until the condition holds; a finding of the check `wait` if it does not in time.
    Wait {
        /// What must come to hold.
        condition: Condition,
        /// How long it may take.
        within: Duration,
    },
    /// `put`, `append`, `delete`, `get`, `cas`, `scan`.
    Operate(Operate),
    /// `load`: clients in the background.
    Load(Load),
    /// `crash`: stores stop and lose what they hold in memory.
    Crash {
        /// Which stores.
        targets: Vec<Target>,
        /// What their databases lose.
        losing: Losing,
        /// Name bound to the store; only with exactly one singular target.
        name: Option<String>,
    },
    /// `restart`: stores start from their disks. Running ones shut down first, which makes what they wrote durable.
    Restart {
        /// Which stores.
        targets: Vec<Target>,
    },
    /// `partition`: messages pass within a group only; stores in no group are one further group. Replaces whatever
    /// cut stores from each other before.
    Partition {
        /// The groups; none is empty.
        groups: Vec<Vec<Endpoint>>,
        /// Name bound to the store; only where the groups name exactly one singular target in all.
        name: Option<String>,
    },
    /// `isolate`: each of the stores is cut off from all other stores.
    Isolate {
        /// Which stores.
        targets: Vec<Target>,
        /// Whether they are cut off from the clients too.
        clients: bool,
        /// Name bound to the store; only with exactly one singular target.
        name: Option<String>,
    },
    /// `cut`: nothing passes from some to others; the way back stays.
    Cut {
        /// Senders; not empty.
        from: Vec<Endpoint>,
        /// Receivers; not empty.
        to: Vec<Endpoint>,
    },
    /// `heal`: takes back what `partition`, `isolate` and `cut` have done.
    Heal(Heal),
    /// `network`: changes how links behave.
    Network(NetworkChange),
    /// `drop`, `delay`, `hold`, `duplicate`.
    Filter(Filter),
    /// `release`: lets the messages held by a filter go and removes it.
    Release(FilterRef),
    /// `clear`: removes filters of any effect; messages they hold go.
    Clear(FilterRef),
    /// `campaign`: an operator makes a store start an election now.
    Campaign {
        /// Which store; singular.
        target: Target,
        /// Name bound to the store.
        name: Option<String>,
    },
    /// `name`: binds a name and does nothing else.
    Name {
        /// Which store; singular.
        target: Target,
        /// The name.
        name: String,
    },
    /// `expect`: asserts now; a finding of the check `expectation` where it does not hold.
    Expect(Expectation),
}

/// Stores, as a step names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The store of this number, from 1.
    Store(u64),
    /// The store that leads the region of the empty key, the one with the highest term if several think so.
    Leader,
    /// The store that leads the region of this key.
    LeaderOf(String),
    /// One running store other than the leader, drawn by the run.
    Follower,
    /// Every store but the leader, running or not.
    Followers,
    /// Every store.
    All,
    /// Every store that the step does not name otherwise; at an end of a link, that the other end does not name.
    Others,
    /// The store that an earlier step bound by `as` or `name`.
    Named(String),
}

impl Target {
    /// Whether it can stand for several stores, so that it cannot be where one is needed.
    #[must_use]
    pub fn is_plural(&self) -> bool {
        matches!(self, Target::Followers | Target::All | Target::Others)
    }
}

/// An end of a link: stores or clients.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// Stores.
    Stores(Target),
    /// `"client N"`: one client, from 1.
    Client(u32),
    /// `"clients"`: every client, the scenario's own included.
    Clients,
}

/// What `wait` waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `"leader"`: a store leads.
    Leader(Leader),
    /// `"no-leader"`: no running store believes that it leads.
    NoLeader,
    /// `"acked"`: every operation so far is answered.
    Acked {
        /// Only those of this client.
        client: Option<u32>,
    },
    /// `"load"`: all background load is done.
    Load,
    /// `"applied"`: every running replica has applied all that is committed.
    Applied,
    /// `"replicas-equal"`: every running replica holds the same data.
    ReplicasEqual,
    /// `"term"`, `"commit"`, `"applied-index"`: the number reaches a value.
    Reaches {
        /// Which number.
        gauge: Gauge,
        /// Whose: every one of a plural target's; without it, the highest of any running store.
        on: Option<Target>,
        /// The value to reach or pass.
        value: u64,
    },
    /// `"role"`: stores have a role.
    Role {
        /// Which; every one of a plural target's.
        on: Target,
        /// Their role.
        is: Role,
    },
    /// `"dropped"`: a filter has acted on this many messages.
    Acted {
        /// The filter's name.
        filter: String,
        /// How many messages; positive.
        count: u64,
    },
}

/// Which leader is meant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leader {
    /// It must be this store, or one of these.
    pub on: Option<Target>,
    /// It must not be this store, nor any of these.
    pub not: Option<Target>,
}

/// What `expect` asserts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expectation {
    /// `"leader"`: a store leads.
    Leader(Leader),
    /// `"no-leader"`: no running store believes that it leads.
    NoLeader,
    /// `"replicas-equal"`: every running replica holds the same data.
    ReplicasEqual,
    /// `"acked"`: every operation so far is answered.
    Acked {
        /// Only those of this client.
        client: Option<u32>,
    },
    /// `"unacked"`: an operation is still unanswered.
    Unacked {
        /// One of this client.
        client: Option<u32>,
    },
    /// `"value"`: what the committed commands make of a key.
    Value {
        /// The key.
        key: String,
        /// Its value.
        answer: Answer,
    },
    /// `"term"`, `"commit"`, `"applied-index"`: a number compares to a value.
    Gauge {
        /// Which number.
        gauge: Gauge,
        /// Whose: every one of a plural target's; without it, the highest of any running store.
        on: Option<Target>,
        /// How it compares.
        compares: Compares,
    },
    /// `"role"`: stores have a role.
    Role {
        /// Which; every one of a plural target's.
        on: Target,
        /// Their role.
        is: Role,
    },
    /// `"violation"`: the run violates this check, in a step before or in the closing checks. Last step only.
    Violation {
        /// The check.
        of: Check,
    },
}

/// How a number compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compares {
    /// `is = N`
    Is(u64),
    /// `reaches = N`: at least.
    Reaches(u64),
    /// `below = N`: less.
    Below(u64),
}

/// What a read finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `is = "..."`
    Is(String),
    /// `absent = true`
    Absent,
}

/// A client operation, or one for each key of a range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operate {
    /// What is done.
    pub operation: Operation,
    /// Who does it.
    pub issuer: Issuer,
    /// Send to this store only and follow no redirect; singular.
    pub via: Option<Target>,
}

/// Who issues an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuer {
    /// The scenario itself: the step ends when the operation is answered.
    Scenario {
        /// How long that may take; then it is a finding of the check `wait`.
        within: Duration,
    },
    /// The client of this number, from 1: the operation joins its queue and the step ends at once.
    Client(u32),
}

/// What a client asks for. Assertions are checked when the answer is there: findings of the check `expectation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `put`: sets each key.
    Put {
        /// The keys, in order.
        keys: Keys,
        /// Their value.
        value: String,
    },
    /// `append`: adds to the end of each key's value, so that applying it twice shows.
    Append {
        /// The keys, in order.
        keys: Keys,
        /// What is added.
        value: String,
    },
    /// `delete`: removes each key.
    Delete {
        /// The keys, in order.
        keys: Keys,
    },
    /// `get`: reads a key.
    Get {
        /// The key.
        key: String,
        /// What it must find.
        answer: Option<Answer>,
    },
    /// `cas`: sets a key if it has an expected value.
    Cas {
        /// The key.
        key: String,
        /// The expected value; `None`: the key must not exist.
        from: Option<String>,
        /// The new value.
        to: String,
        /// Whether it must succeed.
        succeeds: Option<bool>,
    },
    /// `scan`: reads keys in order.
    Scan {
        /// Which keys.
        range: ScanRange,
        /// At most this many; positive.
        limit: Option<u64>,
    },
}

/// One key, or a numbered range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keys {
    /// One key; neither empty nor with `..` in it.
    One(String),
    /// `"k1..k50"`: `prefix` followed by each number, both ends included.
    Numbered {
        /// What stands before the number; does not end in a digit.
        prefix: String,
        /// The first number.
        first: u64,
        /// The last number, not below the first.
        last: u64,
    },
}

impl Keys {
    /// The keys in order.
    pub fn iter(&self) -> impl Iterator<Item = String> + '_ {
        let (one, numbered) = match self {
            Keys::One(key) => (Some(key.clone()), None),
            Keys::Numbered { prefix, first, last } => {
                (None, Some((*first..=*last).map(move |n| format!("{prefix}{n}"))))
            }
        };
        one.into_iter().chain(numbered.into_iter().flatten())
    }
}

/// What a scan covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScanRange {
    /// `"all"`
    All,
    /// `"a..z"`: from `start` up to, but without, `end`.
    Range {
        /// The first key; not empty.
        start: String,
        /// The key to stop before; greater than `start`.
        end: String,
    },
}

/// `load`: random operations by clients in the background.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Load {
    /// For how long; positive.
    pub duration: Duration,
    /// How many clients take part, those numbered from 1; positive.
    pub clients: u32,
    /// Over how many keys; positive.
    pub keys: u64,
    /// How often each operation.
    pub mix: Mix,
    /// How long values are.
    pub value_size: Bytes,
    /// Stop after this many operations of all clients together; positive.
    pub ops: Option<u64>,
}

impl Load {
    /// A load with the default clients, keys and mix.
    #[must_use]
    pub fn lasting(duration: Duration) -> Load {
        Load { duration, clients: 4, keys: 16, mix: Mix::default(), value_size: Bytes::new(16), ops: None }
    }
}

/// Weights of the operations in a load; not all zero. Where a file gives `mix`, those it leaves out are zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mix {
    /// Weight of `put`.
    pub put: u32,
    /// Weight of `get`.
    pub get: u32,
    /// Weight of `append`.
    pub append: u32,
    /// Weight of `delete`.
    pub delete: u32,
    /// Weight of `cas`.
    pub cas: u32,
    /// Weight of `scan`.
    pub scan: u32,
}

impl Mix {
    /// No operation at all: where a given `mix` starts from.
    pub const ZERO: Mix = Mix { put: 0, get: 0, append: 0, delete: 0, cas: 0, scan: 0 };
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { put: 4, get: 4, append: 2, ..Mix::ZERO }
    }
}

/// What `heal` takes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heal {
    /// `"all"`: every partition and cut.
    All,
    /// Everything that separates these from anyone; never just [`Target::All`].
    Of(Vec<Endpoint>),
    /// What keeps messages from passing in one direction.
    Between {
        /// Senders; not empty.
        from: Vec<Endpoint>,
        /// Receivers; not empty.
        to: Vec<Endpoint>,
    },
}

/// `network` as a step: what changes (at least one thing), and on which directed links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkChange {
    /// How long a message travels.
    pub latency: Option<Latency>,
    /// Share of messages that are lost.
    pub loss: Option<Ppm>,
    /// Share of messages that arrive twice.
    pub duplicate: Option<Ppm>,
    /// Share of messages that may overtake earlier ones of their link.
    pub reorder: Option<Ppm>,
    /// Senders; all where `None`.
    pub from: Option<Vec<Endpoint>>,
    /// Receivers; all where `None`.
    pub to: Option<Vec<Endpoint>>,
}

/// A message filter. The first filter that picks a message, in the order of the steps, acts on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// What it does with the messages it picks.
    pub effect: Effect,
    /// The kinds it picks; not empty.
    pub messages: Vec<MessageKind>,
    /// Senders; all where `None`.
    pub from: Option<Vec<Endpoint>>,
    /// Receivers; all where `None`.
    pub to: Option<Vec<Endpoint>>,
    /// How many matching messages it lets pass first.
    pub skip: u64,
    /// It acts on this many messages, then no more; positive. All where `None`.
    pub count: Option<u64>,
    /// Its name.
    pub name: Option<String>,
}

/// What a filter does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `drop`: the message is lost.
    Drop,
    /// `delay`: the message takes longer.
    Delay {
        /// By so much; positive.
        by: Duration,
    },
    /// `hold`: the message waits until the filter is released or cleared.
    Hold,
    /// `duplicate`: the message arrives again.
    Duplicate {
        /// So many times more; positive.
        times: u32,
    },
}

/// Which filters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterRef {
    /// `"all"`
    All,
    /// The one that an earlier step named by `as`.
    Named(String),
}
