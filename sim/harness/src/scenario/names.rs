//! The fixed words of the scenario language that stand where a name from a list is expected.
//!
//! Each list is an enum with its spelling and a one-line explanation beside it, so that the parser, the
//! printer, the editors' schema and the documentation cannot disagree. Adding a word here adds it to all.

use std::fmt;

impl RecordKind {
    /// Whether it marks that something was deleted.
    #[must_use]
    pub fn is_deletion(self) -> bool {
        self.word().ends_with("-gone")
    }
}

/// An enum whose values are words of the language.
pub trait Keyword: Copy + PartialEq + fmt::Debug + 'static {
    /// Every value, in the order in which messages and the schema list them.
    const ALL: &'static [Self];
    /// What such a word is called in messages, with its article: "a check".
    const WHAT: &'static str;

    /// The word as written in a scenario file.
    fn word(self) -> &'static str;

    /// One line on what the word means.
    fn doc(self) -> &'static str;

    /// The value spelled `word`.
    fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|value| value.word() == word)
    }
}

macro_rules! keywords {
    ($(
        $(#[$attr:meta])*
        enum $name:ident: $what:literal {
            $( $(#[doc = $doc:literal])+ $value:ident = $word:literal, )+
        }
    )+) => { $(
        $(#[$attr])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $( $(#[doc = $doc])+ $value, )+ }

        impl Keyword for $name {
            const ALL: &'static [Self] = &[$($name::$value),+];
            const WHAT: &'static str = $what;

            fn word(self) -> &'static str {
                match self { $($name::$value => $word,)+ }
            }

            fn doc(self) -> &'static str {
                match self { $($name::$value => concat!($($doc),+).trim_ascii(),)+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    )+ };
}

keywords! {
    /// What happens after the last step, before the closing checks.
    enum Ending: "an ending" {
        /// Faults end, crashed stores restart, and the cluster must converge.
        Heal = "heal",
        /// Loads end, a core of stores with a majority of every region's voters becomes healthy and must make progress
        /// by itself; everything outside it stays as broken as it is.
        Freeze = "freeze",
        /// The run stops where the steps end; only the checks that need no healing are made.
        None = "none",
    }

    /// Which faults a run refuses to commit.
    enum Budget: "a budget of faults" {
        /// What would leave a region without an intact majority of its voters is withheld, and noted: bit rot and wipes
        /// beyond what Raft can be asked to survive.
        Safe = "safe",
        /// Every step is executed.
        None = "none",
    }

    /// What the stores of a cluster run.
    enum System: "a system" {
        /// The multi-Raft store over two databases.
        Raftstore = "raftstore",
        /// Bare Raft nodes, each with one group, one database and a small key-value state machine in memory.
        Raft = "raft",
    }

    /// What the placement driver does by itself.
    enum PlacementMode: "a mode of the placement driver" {
        /// Keeps so many replicas of every region, spreads them and their leaders over the stores, and replaces those
        /// of stores that are gone.
        Balance = "balance",
        /// Nothing: it hands out ids, and does what steps order.
        Manual = "manual",
        /// Moves replicas and leaders and splits regions at random, for no good reason.
        Churn = "churn",
    }

    /// What a placement driver in the mode `churn` does at random.
    enum Churn: "a kind of churn" {
        /// Adds, moves and removes replicas.
        Peers = "peers",
        /// Transfers leadership.
        Leaders = "leaders",
        /// Splits regions.
        Splits = "splits",
    }

    /// How a read index is confirmed (thesis, section 6.4).
    enum ReadIndexMode: "a read-index mode" {
        /// By a round of heartbeats that a quorum answers.
        Safe = "safe",
        /// By the leader's lease: no round, but clocks must not drift too far apart.
        Lease = "lease",
    }

    /// Which way reads take.
    enum ReadPath: "a way for reads" {
        /// Through the log, like writes, at the leader.
        Log = "log",
        /// Through a read index: at the leader, or on bare Raft at whatever replica is asked.
        Index = "index",
    }

    /// How a group passes from one configuration to the next (thesis, chapter 4).
    enum Transition: "a transition" {
        /// At once where a single store changes, else through a joint configuration that the leader leaves by itself.
        Auto = "auto",
        /// Through a joint configuration that the leader leaves by itself.
        Implicit = "implicit",
        /// Through a joint configuration that stays until `change = "leave"`.
        Explicit = "explicit",
    }

    /// What a crashed store's databases lose of the writes that no sync has covered.
    enum Losing: "a kind of loss" {
        /// Each database keeps an arbitrary prefix of its unsynced writes.
        Random = "random",
        /// Every unsynced write is lost.
        Unsynced = "unsynced",
        /// Unsynced writes survive, as when a process dies and its machine does not.
        Nothing = "nothing",
    }

    /// One of a store's databases.
    enum Database: "a database" {
        /// The one that holds the log; of systems with a single database that one.
        Raft = "raft",
        /// The one that holds clients' data.
        Kv = "kv",
        /// The one that holds snapshots on their way in.
        Snapshots = "snapshots",
    }

    /// What a disk does for a store, and can fail to do.
    enum DiskOperation: "an operation of a disk" {
        /// A sync: what it was for is not durable, and no later sync of this life makes it so.
        Sync = "sync",
        /// A write: nothing of it is on the disk.
        Write = "write",
        /// A read: it yields no value.
        Read = "read",
    }

    /// Kinds of fault that a run counts as they happen.
    enum FaultKind: "a kind of fault" {
        /// Messages that a link lost.
        Lost = "lost",
        /// Messages that a link doubled.
        Doubled = "doubled",
        /// Messages that overtook others of their link.
        Overtook = "overtook",
        /// Messages that a clogged link kept waiting.
        Clogged = "clogged",
        /// Messages that were corrupted on their way.
        Corrupted = "corrupted",
        /// Messages that did not fit into the queue of their link.
        QueueFull = "queue-full",
        /// Batches of writes of which a crash kept a part only.
        Torn = "torn",
        /// Syncs that failed.
        SyncFailed = "sync-failed",
        /// Reads and writes that failed with an I/O error.
        IoError = "io-error",
        /// Writes that a full disk refused.
        DiskFull = "disk-full",
        /// Reads that found a value which fails its checksum.
        RottenRead = "rotten-read",
        /// Steps that the budget withheld.
        Withheld = "withheld",
    }

    /// The role of a replica within its term (thesis, section 3.3).
    enum Role: "a role" {
        /// Follows a leader or waits for one.
        Follower = "follower",
        /// Asks whether it would be elected.
        PreCandidate = "pre-candidate",
        /// Asks for votes.
        Candidate = "candidate",
        /// Leads its term.
        Leader = "leader",
    }

    /// A number of a replica that `wait` and `expect` can compare.
    enum Gauge: "a number of a replica" {
        /// The replica's current term.
        Term = "term",
        /// The highest index that the replica knows to be committed.
        Commit = "commit",
        /// The highest index that the replica has applied to its state machine.
        AppliedIndex = "applied-index",
        /// The index of the last entry of the replica's log.
        LastIndex = "last-index",
        /// The highest index that compaction took away.
        Truncated = "truncated",
        /// How many applied entries are still in the replica's log.
        LogLength = "log-length",
        /// About how many bytes the region's data and log have.
        Size = "size",
    }

    /// The kinds of record that a store writes to its databases.
    enum RecordKind: "a kind of record" {
        /// An entry of a region's log.
        Log = "log",
        /// A deleted entry: compacted, in conflict with a leader's, or of a replica that is destroyed.
        LogGone = "log-gone",
        /// Term, vote, commit and bounds of a region's log.
        RaftState = "raft-state",
        /// The same, deleted with its replica.
        RaftStateGone = "raft-state-gone",
        /// How far a region's log is applied.
        ApplyState = "apply-state",
        /// A region's range, epoch and peers.
        Region = "region",
        /// A region's mark that a snapshot is being applied.
        Applying = "applying",
        /// A region's mark that its replica on this store is destroyed.
        Tombstone = "tombstone",
        /// The mark of a region that a split has made and whose first Raft state may not be durable.
        Birth = "birth",
        /// That mark, deleted.
        BirthGone = "birth-gone",
        /// The promise to apply a snapshot that was received, in place of the log before it.
        SnapshotRecord = "snapshot-record",
        /// That promise, deleted: it is kept.
        SnapshotRecordGone = "snapshot-record-gone",
        /// A key of a client with its value.
        Data = "data",
        /// A deleted key of a client.
        DataGone = "data-gone",
        /// A piece of a snapshot.
        Chunk = "chunk",
        /// A deleted piece of a snapshot.
        ChunkGone = "chunk-gone",
        /// A region's apply state that moves the start of its log: a compaction was applied.
        Truncated = "truncated",
    }

    /// The kinds of message that a filter can pick.
    enum MessageKind: "a kind of message" {
        /// Log entries from a leader to one follower.
        Append = "append",
        /// A follower's answer to `append`.
        AppendResponse = "append-response",
        /// A candidate's request for a vote, and `pre-vote`.
        Vote = "vote",
        /// The answer to `vote`, and `pre-vote-response`.
        VoteResponse = "vote-response",
        /// A request for a pre-vote: would this replica be elected?
        PreVote = "pre-vote",
        /// The answer to `pre-vote`.
        PreVoteResponse = "pre-vote-response",
        /// A leader's sign of life.
        Heartbeat = "heartbeat",
        /// A follower's answer to `heartbeat`.
        HeartbeatResponse = "heartbeat-response",
        /// A leader's state machine for a follower that is behind the start of its log; of a raftstore snapshot its
        /// first chunk.
        Snapshot = "snapshot",
        /// A chunk of a snapshot but the first.
        SnapshotChunk = "snapshot-chunk",
        /// The answer to a chunk of a snapshot, the first one's too.
        SnapshotAck = "snapshot-ack",
        /// A follower's message to its leader that only a snapshot can help it.
        SnapshotRequest = "snapshot-request",
        /// A leader's order to a follower to hold an election now, which is how leadership is transferred.
        TimeoutNow = "timeout-now",
        /// A follower's message to its leader that it shall transfer the leadership.
        Transfer = "transfer",
        /// A follower's question for a read index.
        ReadIndex = "read-index",
        /// The answer to `read-index`.
        ReadIndexResponse = "read-index-response",
        /// A store's message to a replica that it is no member of its region any more.
        Tombstone = "tombstone",
        /// A message to or from the placement driver.
        Placement = "placement",
        /// A client's request to a store.
        Request = "request",
        /// A store's reply to a client.
        Reply = "reply",
        /// Every message.
        Any = "any",
    }

    /// The checks of a run, by the names used in output, scenario files and documentation.
    enum Check: "a check" {
        /// At most one leader is elected in a term.
        ElectionSafety = "election-safety",
        /// A leader never overwrites or deletes entries of its own log.
        LeaderAppendOnly = "leader-append-only",
        /// Two logs with an entry of the same index and term are identical up to it.
        LogMatching = "log-matching",
        /// An entry committed in a term is in the log of every leader of later terms.
        LeaderCompleteness = "leader-completeness",
        /// No two replicas apply different commands at one index.
        StateMachineSafety = "state-machine-safety",
        /// A leader commits only entries of its own term that a quorum has made durable, and what precedes them.
        CommitRule = "commit-rule",
        /// Term, commit and applied never go backwards within one life of a replica.
        Monotone = "monotone",
        /// A replica votes for at most one candidate in a term, whatever it forgets in a crash.
        VoteOnce = "vote-once",
        /// A message that promises durability leaves only after the sync it depends on.
        SendImpliesDurable = "send-implies-durable",
        /// Truncated, applied, commit and last index stand in this order.
        LogOrder = "log-order",
        /// What a leader believes of its peers' logs is so, and it sends no entry that it believes to be there.
        Progress = "progress",
        /// At most one membership change is under way, and neighbours share a quorum.
        ConfChange = "conf-change",
        /// A store never stops: its databases contradict neither themselves nor it.
        StoreStopped = "store-stopped",
        /// The clients' history is one that a single copy of the data could have produced.
        Linearizability = "linearizability",
        /// Replicas that have applied the same index hold the same data.
        ReplicasEqual = "replicas-equal",
        /// The same after every event, by digests of each region's data.
        DataDigest = "data-digest",
        /// Regions on a store do not overlap, epochs never fall, and destroyed replicas do not come back.
        Regions = "regions",
        /// Once everything is healed, the cluster makes progress.
        Liveness = "liveness",
        /// An `expect` step, or an assertion of an operation, does not hold.
        Expectation = "expectation",
        /// The condition of a `wait` step, or the answer of an operation, does not come in time.
        Wait = "wait",
        /// The code under test panics.
        Panic = "panic",
        /// Too many events pass without virtual time moving or anything being achieved.
        Livelock = "livelock",
        /// The run exceeds a number of `limits`.
        Limit = "limit",
    }
}
