//! What a scenario file says, as plain data: the input of the runner, the fuzzer, the shrinker and the printer.
//!
//! Only what makes sense can be built where types can see to it (an operation of a client has no `within`, a latency
//! has exactly one shape); what they cannot see (names defined before use, store numbers that exist)
//! [`parse`](super::parse()) checks. Two scenarios are equal when they describe the same run: source lines do not
//! count.

mod faults;
mod looks;
mod machines;
mod membership;
mod operations;
mod targets;

pub use super::config::{
    BareConfig, ClientConfig, ClocksConfig, ClusterConfig, DiskConfig, Limits, NetworkConfig, Overrides,
    PlacementConfig, ProcessConfig, RaftConfig, RaftOverrides, RaftstoreConfig, RaftstoreOverrides,
};
pub use super::names::{
    Budget, Check, Churn, Database, DiskOperation, Ending, FaultKind, Gauge, Keyword, Losing, MessageKind,
    PlacementMode, ReadIndexMode, ReadPath, RecordKind, Role, System, Transition,
};
pub use super::units::{Bytes, Latency, SignedDuration};
pub use faults::{Effect, Filter, Links, Losses, Lost, NetworkChange};
pub use looks::{Answer, Compares, Condition, Expectation, Leader, Region};
pub use machines::{DiskChange, Storm};
pub use membership::{Insist, Members, MembershipChange};
pub use operations::{Issuer, Keys, Load, Mix, Operate, Operation, ScanRange};
pub use targets::{Endpoint, FilterRef, Target};

use raftsim_kernel::{Drift, Duration, Time};

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
    /// The stores that become healthy in the ending `freeze`, none twice; `None`: they are drawn.
    pub core: Option<Vec<u64>>,
    /// Which faults the run refuses to commit.
    pub budget: Budget,
    /// What the stores run. What belongs to another system is as by default.
    pub system: System,
    /// The shape of the cluster.
    pub cluster: ClusterConfig,
    /// The knobs of consensus.
    pub raft: RaftConfig,
    /// The knobs of the store.
    pub raftstore: RaftstoreConfig,
    /// The knobs of the bare-Raft system.
    pub bare: BareConfig,
    /// The placement driver; `None`: the cluster has none. Raftstore only.
    pub placement: Option<PlacementConfig>,
    /// How links behave at the start.
    pub network: NetworkConfig,
    /// How disks behave at the start.
    pub disk: DiskConfig,
    /// How far the stores' clocks may be off at the start.
    pub clocks: ClocksConfig,
    /// How stores' processes behave at the start.
    pub process: ProcessConfig,
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
            core: None,
            budget: Budget::Safe,
            system: System::Raftstore,
            cluster: ClusterConfig::default(),
            raft: RaftConfig::default(),
            raftstore: RaftstoreConfig::default(),
            bare: BareConfig::default(),
            placement: None,
            network: NetworkConfig::default(),
            disk: DiskConfig::default(),
            clocks: ClocksConfig::default(),
            process: ProcessConfig::default(),
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
    /// `if-any`: it is no finding that nothing comes of it: nobody is who it names, what it asks for is refused, or
    /// what it waits for does not come in time.
    pub lenient: bool,
    /// The line of the source where the step starts, from 1; 0 for a step that no file holds.
    pub line: u32,
}

impl Step {
    /// A step that starts at once and stands in no file.
    #[must_use]
    pub fn now(action: Action) -> Step {
        Step { when: When::Now, action, lenient: false, line: 0 }
    }

    /// A step pinned to `time`, standing in no file.
    #[must_use]
    pub fn at(time: Time, action: Action) -> Step {
        Step { when: When::At(time), action, lenient: false, line: 0 }
    }

    /// The same step, but that it is no finding if nothing comes of it.
    #[must_use]
    pub fn if_any(self) -> Step {
        Step { lenient: true, ..self }
    }
}

impl PartialEq for Step {
    /// The line is where the step was read, not what it says.
    fn eq(&self, other: &Step) -> bool {
        self.when == other.when && self.action == other.action && self.lenient == other.lenient
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
    /// `wait = CONDITION`: let time pass until the condition holds; a finding of the check `wait` if it does not in
    /// time.
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
        losing: Losses,
        /// Name bound to the store; only with exactly one singular target.
        name: Option<String>,
    },
    /// `crash = "placement"`: the placement driver stops, and loses what was not synced.
    CrashPlacement,
    /// `restart = "placement"`: the placement driver starts from its disk; a running one shuts down first.
    RestartPlacement,
    /// `pause`: the processes of stores stand still while time goes on: what comes to them waits. A crash ends it.
    Pause {
        /// Which stores.
        targets: Vec<Target>,
        /// Name bound to the store; only with exactly one singular target.
        name: Option<String>,
    },
    /// `resume`: paused stores go on, with all that has come to them in the meantime.
    Resume {
        /// Which stores.
        targets: Vec<Target>,
    },
    /// `restart`: stores start from their disks. Running ones shut down first, which makes what they wrote durable.
    Restart {
        /// Which stores.
        targets: Vec<Target>,
        /// Which knobs these stores have differently from now on.
        with: Overrides,
    },
    /// `storm`: again and again, stores crash, stay down, start, and stay up. The step ends with the last span up.
    Storm(Storm),
    /// `wipe`: stores stop and their disks are replaced by empty ones. Raftstore only.
    Wipe {
        /// Which stores.
        targets: Vec<Target>,
    },
    /// `slow`: processes take so long for every event.
    Slow {
        /// Which stores.
        targets: Vec<Target>,
        /// How long, drawn anew for each event. A constant zero heals.
        by: Latency,
    },
    /// `disk`: changes how disks behave.
    Disk(DiskChange),
    /// `heal-disk`: disks behave as at the start again: nothing stalls and nothing fails. What is rotten stays so.
    HealDisk {
        /// Which stores.
        targets: Vec<Target>,
    },
    /// `fail`: the next operations of disks fail.
    Fail {
        /// Which stores.
        targets: Vec<Target>,
        /// Which operation.
        what: DiskOperation,
        /// Of which database; of any where `None`.
        db: Option<Database>,
        /// So many of them; positive.
        count: u64,
    },
    /// `rot`: the newest record of a kind fails its checksum from now on, until it is overwritten.
    Rot {
        /// Which stores.
        targets: Vec<Target>,
        /// The kind of record; none that marks a deletion, and on bare Raft one that it has.
        what: RecordKind,
        /// A key of the region whose record it is; the first region where `None`.
        of: Option<String>,
    },
    /// `partition`: messages pass within a group only; stores in no group are one further group. Groups may overlap:
    /// two machines reach each other if any group holds both. Replaces whatever cut stores from each other before.
    Partition {
        /// The groups; none is empty.
        groups: Vec<Vec<Endpoint>>,
        /// Name bound to the store; only where the groups name exactly one singular target in all.
        name: Option<String>,
    },
    /// `isolate = "placement"`: the placement driver is cut off from all stores.
    IsolatePlacement,
    /// `isolate`: each of the stores is cut off from all other stores and the placement driver.
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
    Heal(Links),
    /// `clog`: nothing arrives and nothing is lost on these links; what would arrive waits.
    Clog(Links),
    /// `unclog`: what waited arrives, in order.
    Unclog(Links),
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
        /// A key of the region; the first region where `None`.
        of: Option<String>,
        /// Which store; singular.
        target: Target,
        /// Name bound to the store.
        name: Option<String>,
    },
    /// `transfer`: an operator asks for a store to become the leader.
    Transfer {
        /// A key of the region; the first region where `None`.
        of: Option<String>,
        /// Which store; singular.
        target: Target,
        /// Whom the operator asks, singular; the leader where `None`.
        via: Option<Target>,
        /// Name bound to the store that is to lead.
        name: Option<String>,
    },
    /// `change`: an operator asks for other members. The step ends when that is proposed, not when it is applied. With
    /// a placement driver it is an order to that, and ends at once.
    Change {
        /// A key of the region; the first region where `None`.
        of: Option<String>,
        /// What is asked for.
        change: MembershipChange,
        /// Whom the operator asks, singular; the leader of the moment where `None`.
        via: Option<Target>,
        /// How hard the operator tries.
        insist: Insist,
    },
    /// `split`: an operator splits regions, so that one starts at each of these keys; with a placement driver by orders
    /// to that.
    Split {
        /// The keys, in order.
        keys: Keys,
        /// How hard the operator tries, for each key.
        insist: Insist,
    },
    /// `forget-leader`: followers act as if they had no leader, until they hear of one again.
    ForgetLeader {
        /// Which stores.
        targets: Vec<Target>,
    },
    /// `request-snapshot`: a store asks its leader for a snapshot, as one does whose state machine is damaged.
    RequestSnapshot {
        /// Which store; singular.
        target: Target,
    },
    /// `compact`: bare Raft nodes take a snapshot of their state machines now and drop the log before it; replicas of
    /// raftstore that lead propose to drop what they have applied.
    Compact {
        /// A key of the region; the first region where `None`.
        of: Option<String>,
        /// Which stores.
        targets: Vec<Target>,
    },
    /// `clock`: the clocks of stores jump, or run faster or slower than time from now on; at least one of the two.
    Clock {
        /// Which stores.
        targets: Vec<Target>,
        /// How much faster; slower where negative. Zero heals.
        drift: Option<Drift>,
        /// How far they jump, now; not zero.
        jump: Option<SignedDuration>,
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
