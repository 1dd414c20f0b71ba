//! Scenario files: the one input of the simulator, and how they are read, checked and written.
//!
//! # The language on one page
//!
//! A scenario is a TOML file that tells one story: the cluster, then what happens to it, step by step.
//!
//! ```toml
//! about   = "A store that was cut off and comes back does not depose a healthy leader for long."
//! cluster = { stores = 3 }
//! network = { latency = "1ms..5ms", loss = "0.5%" }
//!
//! steps = [
//!   { wait = "leader" },
//!   { isolate = "follower", as = "lagging" },
//!   { put = "k1..k50", value = "v" },
//!   { heal = "all" },
//!   { wait = "replicas-equal", within = "5s" },
//!   { expect = "leader", not = "lagging" },
//! ]
//! ```
//!
//! **The top.** `about` (the story in a sentence) and `steps` are required. The rest has defaults: `seed = 0`,
//! `system = "raftstore"`, `cluster = { stores, voters, learners }` (the members at the start; stores that are neither
//! start empty, and learn of the group by a snapshot once they are added), `raft = { tick, election-ticks,
//! heartbeat-ticks, max-inflight, max-message-size, max-inflight-size, max-committed-size, max-uncommitted-size,
//! pre-vote, check-quorum, step-down-on-removal, priorities, read-index, lease-margin }`,
//! `client = { timeout, backoff }`, `limits = { events, time }`. The defaults stand in [`ast`].
//!
//! What machines stand on: `network = { latency, loss, duplicate, reorder, corrupt, bandwidth, queue, wire }` (a queue
//! bounds the bytes that wait where a bandwidth bounds those that pass in a second; `wire = true` encodes and decodes
//! every message), `disk = { sync, task, throughput, read, write, capacity }` (a task is background work, such as
//! making a snapshot), `clocks = { offset, drift }` (bounds of how far each is off, drawn from the seed),
//! `process = { slowness }`.
//!
//! **Endings.** `ending = "heal"`: faults end, stores are back, and the cluster must converge. `"freeze"`: a core of
//! stores that holds a majority of every region's voters becomes healthy, drawn or as `core = [1, 2]` says; everything
//! outside it stays as broken as it is, and the core must make progress by itself. `"none"`: stop there. By
//! `budget = "safe"`, the default, a `wipe` or `rot` that would leave a region without an intact majority is withheld;
//! `"none"` executes it.
//!
//! **Systems.** `system` says what the stores run: `"raftstore"`, the multi-Raft store, or `"raft"`, bare Raft nodes
//! with a small state machine and one group. What only one of them has is marked *store* or *raft* below. Of the
//! tables, *store* has `raftstore = { kv-sync-interval, reads, log-gc-*, split-check-interval, region-*, snapshot-*,
//! max-snapshots-*, leader-missing }` and `placement`; *raft* has `raft = { apply-unpersisted, validate-conf-changes }`
//! and `bare = { reads, log-limit }`. This one replaces a store:
//!
//! ```toml
//! about   = "A new store takes the place of an old one while clients write."
//! system  = "raft"
//! cluster = { stores = 4, voters = [1, 2, 3] }
//! raft    = { pre-vote = true, check-quorum = true, read-index = "lease", lease-margin = 4 }
//! bare    = { reads = "index", log-limit = 100 }
//!
//! steps = [
//!   { wait = "leader" },
//!   { clock = 2, drift = "5%" },
//!   { load = "10s" },
//!   { change = { add = 4, remove = 1 }, within = "5s" },
//!   { wait = "members", on = 4, voters = [2, 3, 4], joint = false },
//!   { transfer = 4 },
//!   { wait = "leader", on = 4 },
//!   { change = { remove = [2, 3] }, transition = "explicit" },
//!   { wait = "members", voters = 4, joint = true },
//!   { change = { add = 1 }, refused = true },
//!   { change = "leave" },
//!   { wait = "members", voters = 4, joint = false },
//! ]
//! ```
//!
//! **Regions** (*store*). A region is named by a key that it holds now, by the highest epoch that a running store
//! knows: steps, conditions and expectations that concern one region take `of = KEY`, and without it mean the first
//! region. `placement = { mode, replicas, interval, store-heartbeat, region-heartbeat, churn }` adds a placement
//! driver, a machine of its own: its mode is `"balance"`, `"manual"` (it does what steps order) or `"churn"` (it moves
//! and splits regions at random). Without it regions change by steps only. Here one half of the keys moves to a store
//! of its own:
//!
//! ```toml
//! about     = "A region splits, and its right half moves away while the driver restarts."
//! cluster   = { stores = 4, voters = [1, 2, 3] }
//! raftstore = { reads = "index", log-gc-interval = "1s", snapshot-chunk-size = "1KiB" }
//! placement = { mode = "manual" }
//!
//! steps = [
//!   { put = "k1..k9", value = "v" },
//!   { split = "k5" },
//!   { expect = "regions", is = 2 },
//!   { crash = 4, losing = { raft = "unsynced", kv = 2 } },
//!   { change = { add = 4, remove = "follower of k7" }, of = "k7" },
//!   { crash = "placement" },
//!   { restart = ["leader of k7", 4] },
//!   { wait = "leader", of = "k7" },
//!   { restart = "placement" },
//!   { wait = "wrote", on = 4, of = "k7", what = "snapshot-record", durable = true },
//!   { pause = 4 },
//!   { wait = "500ms" },
//!   { resume = 4 },
//!   { wait = "replica", on = 4, of = "k7" },
//!   { expect = "region", of = "k7", start = "k5", end = "" },
//!   { expect = "no-replica", on = 4, of = "k1" },
//! ]
//! ```
//!
//! **Faults** are steps too, and what the run is left with at the end is its last trial:
//!
//! ```toml
//! about   = "A disk fails its store, another store is wiped, and the rest carry on behind clogged links."
//! ending  = "freeze"
//! core    = [1, 4, 5]
//! cluster = { stores = 5 }
//! network = { latency = "1ms + tail 4ms", bandwidth = "1MiB", queue = "64KiB", corrupt = "100ppm" }
//!
//! steps = [
//!   { wait = "leader" },
//!   { load = "10s" },
//!   { fail = 2, what = "sync", db = "raft" },
//!   { wait = "stopped", on = 2 },
//!   { clog = { from = "leader", to = "followers" }, if-any = true },
//!   { clock = 4, jump = "-2s" },
//!   { wipe = 3 },
//!   { unclog = "all" },
//!   { restart = 3, raft = { pre-vote = true } },
//!   { expect = "faults", of = "sync-failed", reaches = 1 },
//! ]
//! ```
//!
//! **Values.** Durations `"1.2s"`, `"250ms"`, for jumps of clocks also `"-250ms"`; latencies `"5ms"`, `"1ms..10ms"`
//! (uniform), `"1ms + exp 4ms"` (a minimum plus an exponential rest) or `"1ms + tail 4ms"` (a rest with a heavy tail);
//! shares `"0.5%"`, `"100ppm"`; drifts of clocks `"5%"`, `"-300ppm"`; sizes `"64KiB"`, as bounds also `"unbounded"`.
//! Keys `"k"`, or `"k1..k50"` where several can be.
//!
//! **Targets** name stores: a number from 1, `"leader"`, `"follower"` (one running store but the leader, drawn by the
//! run), `"followers"` (every member of the group but the leader, learners and stopped stores too), all three of the
//! step's region, or with ` of KEY` behind them of another one; `"all"`, `"others"` (all that the step does not name
//! otherwise), or a name that a step before gave by `as`. Where several can stand, an array does too. Ends of links,
//! `from` and `to`, can also be `"client 1"`, `"clients"` and `"placement"`; there `"others"` are the stores that the
//! other end does not name, so that end must name some, and not all. LINKS are `"all"`, those ends (in and out), or
//! `{ from, to }`.
//!
//! **Steps** run in order, each a table with one verb. `at = "1.2s"` pins a step to a virtual time (one that has passed
//! is now), `after = "5ms"` delays it. `as = NAME` names the one store of a step, or its filter. With `if-any = true`
//! it is no finding that nobody is who the step names, that what it asks for is refused, or that what it waits for does
//! not come: then it does nothing. What clients do and what is asserted has no such option.
//!
//! | verb | options | what happens |
//! |---|---|---|
//! | `wait = "1s"` | | time passes |
//! | `wait = CONDITION` | `within`, the condition's | time passes until it holds; too late is a finding |
//! | `put`, `append`, `delete` `= KEYS` | `value` | a write for each key |
//! | `get = KEY` | `is` or `absent` | a read, with what it must find |
//! | `cas = KEY` | `from`, `to`, `succeeds` | compare and set |
//! | `scan = "a..z"` | `limit` | an ordered read; `"all"` for everything |
//! | `load = "10s"` | `clients`, `keys`, `mix`, `value-size`, `ops` | random operations in the background |
//! | `campaign = TARGET` | `of`, `as` | an operator starts an election |
//! | `transfer = TARGET` | `of`, `via`, `as` | an operator asks the leader, or `via`, to hand over to it |
//! | `change = { add, learn, remove }` | `transition`, `of`, `via`, `within` or `refused` | and for other members |
//! | `change = "leave"` | `of`, `via`, `within` or `refused` | and to leave a joint configuration |
//! | `split = KEYS` | `within` or `refused` | *store*: and to split regions, until one starts at each key |
//! | `forget-leader = TARGETS` | | *raft*: followers forget whom they follow |
//! | `request-snapshot = TARGET` | | *raft*: a store asks its leader for a snapshot |
//! | `compact = TARGETS` | `of` | *raft*: a snapshot takes the log's place; *store*: leaders propose to cut the log |
//! | `name = TARGET` | `as` | only gives a name |
//! | `expect = ...` | its own | asserts now |
//!
//! Faults of processes and clocks, of disks, and of the network, and what takes them back:
//!
//! | verb | options | what happens |
//! |---|---|---|
//! | `crash = TARGETS` | `losing`, `as` | stores stop and lose memory and unsynced writes |
//! | `restart = TARGETS` | `raft`, `raftstore` | they start from their disks, perhaps with other knobs |
//! | `storm = TARGETS` | `times`, `up`, `down`, `losing` | they crash, are down, start and are up, again and again |
//! | `wipe = TARGETS` | | *store*: they stop, and their disks are replaced by empty ones |
//! | `pause`, `resume` `= TARGETS` | `as` of `pause` | they stand still; what comes to them waits |
//! | `slow = TARGETS` | `by` | they take so long for every event; `"0s"` heals |
//! | `clock = TARGETS` | `drift`, `jump` | clocks run faster or slower, `"0%"` heals; they jump, now |
//! | `crash`, `restart`, `isolate` `= "placement"` | | *store*: the same of the placement driver |
//! | `disk = TARGETS` | those of the table, `stalled`, `bad`, `write-errors`, `sync-errors` | disks change |
//! | `fail = TARGETS` | `what`, `db`, `count` | the next `"sync"`, `"write"` or `"read"` fails, or so many |
//! | `rot = TARGETS` | `what`, `of` | the newest [record](RecordKind) of a kind fails its checksum |
//! | `heal-disk = TARGETS` | | disks are as at the start; what is rotten stays so |
//! | `partition = [[1, 2], [2, 3]]` | `as` | only within groups; unnamed stores are one more |
//! | `isolate = TARGETS` | `clients`, `as` | cut off from stores and driver, and by `clients = true` from clients |
//! | `cut = { from, to }` | | nothing passes in this one direction |
//! | `clog = LINKS` | | nothing arrives and nothing is lost; what would arrive waits |
//! | `network = { ... }` | `from`, `to` | links change all but `wire` of the table |
//! | `drop`, `delay`, `hold`, `duplicate` `= MESSAGES` | see below | a filter on [messages](MessageKind) |
//! | `release`, `clear` `= NAME` | | held messages go; filters end; also `"all"` |
//! | `unclog = LINKS` | | what waited arrives, in order |
//! | `heal = LINKS` | | cuts end; `"all"` ends clogs too |
//!
//! Operations are the scenario's own and end when answered (`within`, default 30s), or go to the queue of `client = N`
//! and end at once; `via = TARGET` sends to that store only, until the scenario ends. A client tries until it is
//! answered, so an operation whose answer came too late or got lost may take effect more than once: an `append` that
//! adds twice, a `cas` that fails because it has succeeded. Loads of one client follow each other.
//!
//! What a `crash` takes of the unsynced writes, `losing` says: `"random"`, `"unsynced"` (all), `"nothing"` or the
//! newest `N`, of every database, or *store* `{ raft, kv, snapshots }` of each. The `restart` of a running store is a
//! clean one: what was written but not synced is kept and is durable from then on. To lose it, `crash` first. What
//! `raft` and `raftstore` give it stays with the store; ticks, `election-ticks`, `check-quorum` and `priorities` are
//! alike on all. One that was wiped comes back empty by `restart`, as a new store under the old number.
//!
//! A `partition` replaces every cut that was there before, clients' too; unnamed clients and the driver reach all, and
//! who is in two groups bridges them. `isolate` and `cut` add to what there is. A cut beats a clog. Filters take `of`,
//! `from`, `to`, `skip`, `count` and `as`; `delay` needs `by`, `duplicate` has `times`. The first that picks a message
//! acts on it.
//!
//! A `change` is asked for again and again until it is accepted, `within` 30s by default; with `refused = true` it is
//! asked for once and must be refused. The step ends when the change is proposed; `wait = "members"` sees it applied.
//! With a placement driver it is an order to that and the step ends at once, so that it has no `refused`, unless `via`
//! asks a store. A `split` insists likewise, until its effect is there. Replicas and regions that are new get ids of
//! their own. Its `transition` is `"auto"` (joint where more than one store changes), `"implicit"` (joint, and left by
//! the leader) or `"explicit"` (joint until `change = "leave"`).
//!
//! **Conditions** of `wait`: `"leader"` (`on`, `not`), `"no-leader"`, `"acked"` (`client`), `"load"`, `"applied"`,
//! `"replicas-equal"`, the [gauges](Gauge) `"term"`, `"commit"`, `"applied-index"`, `"last-index"`, `"truncated"`,
//! `"log-length"` and `"size"` (`reaches`, `on`), `"role"` (`on`, `is`), `"dropped"` (`filter`, `count`), `"members"`
//! (`on`, and at least one of `voters`, `learners`, `joint`), `"log-truncated"` (`past`: the leader's log starts after
//! that store's last entry), `"snapshot-applied"` (`on`, `count`), `"stopped"` (`on`: the store runs, but refuses to
//! serve since its disk failed it); *store*: `"regions"` (`is`, `reaches` or `below`: how many have a leader),
//! `"region"` (`on`, and at least one of `conf-ver`, `version`, `start`, `end`), `"replica"` and `"no-replica"` (`on`),
//! `"wrote"` (`on`, `what`, `count`, `durable`: that store has written so many [records](RecordKind) since the step
//! began, and the next step runs before any other event). A condition on a store that does not exist yet, such as
//! `"leader"` while there is none, does not hold yet; in any other step that is a finding.
//!
//! The replicas of `"applied"` and `"replicas-equal"` are those of members that run; of every running store while there
//! is no leader to tell who is a member. With `raft = { step-down-on-removal = false }` a leader that was removed leads
//! on: those that hear from it stay with it, and a story that removes it has to stop that store, or to make another
//! stand.
//!
//! **Expectations**: `"leader"` (`on`, `not`), `"no-leader"`, `"replicas-equal"`, `"acked"`, `"unacked"` (`client`),
//! `"value"` (`key`, and `is` or `absent`), the gauges (`on`, and `is`, `reaches` or `below`), `"role"` (`on`, `is`),
//! `"members"` and `"stopped"` as above, `"faults"` (`of`, a [kind of fault](FaultKind), and how their number
//! compares); *store*: `"regions"`, `"region"`, `"replica"` and `"no-replica"` as above; and as the last step
//! `"violation"` (`of`, a [check](Check)).
//!
//! In both, `on` and `not` can be several targets: it must hold of every one of `on`, except that one of them leads is
//! enough for `"leader"`; none of `not` may lead. `"others"` stands there alone; for `"leader"` it is the stores that
//! the other of `on` and `not` does not name.
//!
//! # Parts
//!
//! [`parse()`] reads a file and reports everything that is wrong with it, which [`render`] shows; the `Display` of
//! [`Scenario`] writes one, and `parse` reads back exactly what it wrote; [`schema()`] tells editors the language.

pub mod ast;
mod config;
mod consistency;
mod diagnostic;
mod faults;
mod grammar;
mod looks;
pub mod names;
mod parse;
mod print;
mod reader;
mod schema;
mod scope;
mod steps;
pub mod units;
mod values;

pub use ast::*;
pub use diagnostic::{Diagnostic, render};
pub use parse::parse;
pub use schema::schema;

#[cfg(test)]
mod tests;
