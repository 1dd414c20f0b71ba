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
//! `ending = "heal"` (afterwards faults end and the cluster must converge; `"none"`: stop there),
//! `cluster = { stores }`, `raft = { tick, election-ticks, heartbeat-ticks, max-inflight, max-message-size }`,
//! `raftstore = { kv-sync-interval }`, `network = { latency, loss, duplicate, reorder }`, `disk = { sync }`,
//! `client = { timeout, backoff }`, `limits = { events, time }`. The defaults stand in [`ast`].
//!
//! **Values.** Durations `"1.2s"`, `"250ms"`; latencies `"5ms"`, `"1ms..10ms"` (uniform) or `"1ms + exp 4ms"` (a
//! minimum plus an exponential rest); shares `"0.5%"`, `"100ppm"`; sizes `"64KiB"`. Keys `"k"`, or `"k1..k50"` where
//! several can be.
//!
//! **Targets** name stores: a number from 1, `"leader"`, `"follower"` (one running store but the leader, drawn by the
//! run), `"followers"` (every store but the leader), `"all"`, `"others"` (all that the step does not name otherwise),
//! `"leader of KEY"`, or a name that a step before gave by `as`. Where several can stand, an array does too. Ends of
//! links, `from` and `to`, can also be `"client 1"` and `"clients"`; there `"others"` are the stores that the other
//! end does not name, so that end must name some, and not all.
//!
//! **Steps** run in order, each a table with one verb. `at = "1.2s"` pins a step to a virtual time (one that has
//! passed is now), `after = "5ms"` delays it. `as = NAME` names the one store of a step, or its filter.
//!
//! | verb | options | what happens |
//! |---|---|---|
//! | `wait = "1s"` | | time passes |
//! | `wait = CONDITION` | `within`, and the condition's | time passes until the condition holds; too late is a finding |
//! | `put`, `append`, `delete` `= KEYS` | `value` | a write for each key |
//! | `get = KEY` | `is` or `absent` | a read, with what it must find |
//! | `cas = KEY` | `from`, `to`, `succeeds` | compare and set |
//! | `scan = "a..z"` | `limit` | an ordered read; `"all"` for everything |
//! | `load = "10s"` | `clients`, `keys`, `mix`, `value-size`, `ops` | random operations in the background |
//! | `crash = TARGETS` | `losing`, `as` | `"random"`, `"unsynced"` or `"nothing"` of the unsynced writes is lost |
//! | `restart = TARGETS` | | stores start from their disks; running ones shut down first and lose nothing |
//! | `partition = [[1, 2], [3]]` | `as` | only within groups; the unnamed are one more |
//! | `isolate = TARGETS` | `clients`, `as` | cut off from all stores, and from clients if `clients = true` |
//! | `cut = { from, to }` | | nothing passes in this one direction |
//! | `heal = "all"` | | or targets, or `{ from, to }` |
//! | `network = { ... }` | `from`, `to` | links change their latency, loss, duplication, reordering |
//! | `drop`, `delay`, `hold`, `duplicate` `= MESSAGES` | `from`, `to`, `skip`, `count`, `as`; `by`; `times` | a filter on [messages](MessageKind) |
//! | `release`, `clear` `= NAME` | | held messages go; filters end; also `"all"` |
//! | `campaign = TARGET` | `as` | an operator starts an election |
//! | `name = TARGET` | `as` | only gives a name |
//! | `expect = ...` | its own | asserts now |
//!
//! Operations are the scenario's own and end when answered (`within`, default 30s), or go to the queue of `client = N`
//! and end at once; `via = TARGET` sends to that store only, until the scenario ends. A client tries until it is
//! answered, so an operation whose answer came too late or got lost may take effect more than once: an `append` that
//! adds twice, a `cas` that fails because it has succeeded. Loads of one client follow
//! each other.
//!
//! The `restart` of a running store is a clean one: what was written but not synced is kept and is durable from then
//! on. To lose it, `crash` first. A `partition` replaces every cut that was there before; `isolate` and
//! `cut` add to what there is.
//!
//! **Conditions** of `wait`: `"leader"` (`on`, `not`), `"no-leader"`, `"acked"` (`client`), `"load"`, `"applied"`,
//! `"replicas-equal"`, `"term"`, `"commit"`, `"applied-index"` (`reaches`, `on`), `"role"` (`on`, `is`), `"dropped"`
//! (`filter`, `count`). A condition on a store that does not exist yet, such as `"leader"` while there is none, does
//! not hold yet; in any other step that is a finding.
//!
//! **Expectations**: `"leader"` (`on`, `not`), `"no-leader"`, `"replicas-equal"`, `"acked"`, `"unacked"` (`client`),
//! `"value"` (`key`, and `is` or `absent`), `"term"`, `"commit"`, `"applied-index"` (`on`, and `is`, `reaches` or
//! `below`), `"role"` (`on`, `is`), and as the last step `"violation"` (`of`, a [check](Check)).
//!
//! # Parts
//!
//! [`parse()`] reads a file and reports everything that is wrong with it, which [`render`] shows; the `Display` of
//! [`Scenario`] writes one, and `parse` reads back exactly what it wrote; [`schema()`] tells editors the language.

pub mod ast;
mod config;
mod diagnostic;
mod grammar;
pub mod names;
mod parse;
mod print;
mod reader;
mod schema;
mod scope;
mod steps;
pub mod units;

pub use ast::*;
pub use diagnostic::{Diagnostic, render};
pub use parse::parse;
pub use schema::schema;

#[cfg(test)]
mod tests;
