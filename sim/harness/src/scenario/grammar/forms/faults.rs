//! What goes wrong with machines and between them, and what takes it back.

use super::*;
use crate::scenario::ast::{RaftOverrides, RaftstoreOverrides};
use crate::scenario::config::Section;
use crate::scenario::grammar::{DATABASES, DISK_OPERATIONS, RECORDS, form};

const LOSING: Field = opt("losing", Shape::Losses, "What their databases lose; default \"random\".");
const LABEL: Field =
    opt("as", Shape::Name, "Name of the filter, for `release`, `clear` and `wait = \"dropped\"`.");
const FROM: Field = opt("from", Shape::Endpoints, "Senders; default: all.");
const TO: Field = opt("to", Shape::Endpoints, "Receivers; default: all.");
const SKIP: Field = opt("skip", ANY, "Let this many matching messages pass first.");
const COUNT: Field = opt("count", SOME, "Act on this many messages only.");
const MESSAGES_OF: Field =
    Field { doc: "A key of the region whose messages are meant; default: of any.", ..OF };

const DISK: &[Field] = &[
    opt("sync", Shape::Latency, "How long a sync takes."),
    opt("task", Shape::Latency, "How long a piece of background work takes, besides its bytes."),
    opt("throughput", Shape::Bound, "How many bytes background work reads and writes in a second."),
    opt("read", Shape::Latency, "How long a read takes."),
    opt("write", Shape::Latency, "How long a write takes."),
    opt("capacity", Shape::Bound, "How many bytes of keys and values fit."),
    opt("stalled", Shape::Flag, "Whether no sync and no background work completes."),
    opt("bad", Shape::Share, "Share of keys that cannot be read: bad sectors."),
    opt("write-errors", Shape::Share, "Share of writes that fail."),
    opt("sync-errors", Shape::Share, "Share of syncs that fail."),
];
const DISK_KEYS: &[&str] = &[
    "sync",
    "task",
    "throughput",
    "read",
    "write",
    "capacity",
    "stalled",
    "bad",
    "write-errors",
    "sync-errors",
];

pub(super) static FORMS: &[Form] = &[
    form(
        "crash",
        Shape::Literal("placement"),
        "The placement driver stops and loses what it holds in memory.",
        &[],
    ),
    form("crash", Shape::Targets, "Stores stop and lose what they hold in memory.", &[LOSING, BIND]),
    form(
        "pause",
        Shape::Targets,
        "Processes stand still while time goes on; what comes to them waits, in order.",
        &[BIND],
    ),
    form("resume", Shape::Targets, "Paused processes go on, with all that has come to them.", &[]),
    form(
        "restart",
        Shape::Literal("placement"),
        "The placement driver starts again from its disk; a running one shuts down first.",
        &[],
    ),
    form(
        "restart",
        Shape::Targets,
        "Stores start again from their disks; running ones shut down first and lose nothing.",
        &[
            opt(
                "raft",
                Shape::Knobs(RaftOverrides::FIELDS),
                "Knobs of consensus that they have from now on.",
            ),
            Field {
                system: Some(System::Raftstore),
                ..opt(
                    "raftstore",
                    Shape::Knobs(RaftstoreOverrides::FIELDS),
                    "Knobs of the store that they have from now on.",
                )
            },
        ],
    ),
    form(
        "storm",
        Shape::Targets,
        "Again and again, stores crash, stay down, start, and stay up.",
        &[
            req("times", SOME, "How often."),
            req("up", Shape::Latency, "How long they stay up after each start."),
            req("down", Shape::Latency, "How long they stay down after each crash."),
            LOSING,
        ],
    ),
    form("wipe", Shape::Targets, "Stores stop, and their disks are replaced by empty ones.", &[])
        .only(System::Raftstore),
    form(
        "slow",
        Shape::Targets,
        "Processes take so long for every event.",
        &[req("by", Shape::Latency, "How long; \"0s\" heals.")],
    ),
    form(
        "clock",
        Shape::Targets,
        "The stores' clocks jump, or run faster or slower than time from now on.",
        &[
            opt("drift", Shape::Drift, "How much faster; slower where negative. \"0%\" heals."),
            opt("jump", Shape::Jump, "How far forwards, backwards where negative."),
        ],
    )
    .choose(&[Choice { keys: &["drift", "jump"], number: Number::AtLeastOne }]),
    form("disk", Shape::Targets, "Changes how disks behave.", DISK)
        .choose(&[Choice { keys: DISK_KEYS, number: Number::AtLeastOne }]),
    form(
        "heal-disk",
        Shape::Targets,
        "Disks behave as at the start: nothing stalls, nothing fails. What is rotten stays so.",
        &[],
    ),
    form(
        "fail",
        Shape::Targets,
        "The next operations of disks fail.",
        &[
            req("what", Shape::Word(&DISK_OPERATIONS), "Which operation."),
            opt("db", Shape::Word(&DATABASES), "Of which database; default: of any."),
            opt("count", SOME, "So many of them; default 1."),
        ],
    ),
    form(
        "rot",
        Shape::Targets,
        "The newest record of a kind fails its checksum from now on, until it is overwritten.",
        &[req("what", Shape::Word(&RECORDS), "The kind; none that marks a deletion."), OF],
    ),
    form(
        "partition",
        Shape::Groups,
        "Messages pass within a group only; stores in no group form one more. Who is in two bridges them. Replaces all earlier cuts, clients' too.",
        &[BIND],
    ),
    form("isolate", Shape::Literal("placement"), "The placement driver is cut off from all stores.", &[]),
    form(
        "isolate",
        Shape::Targets,
        "Each of the stores is cut off from all others, and from the placement driver.",
        &[opt("clients", Shape::Flag, "Whether from the clients too; default false."), BIND],
    ),
    form("cut", Shape::Link, "Nothing passes in one direction.", &[]),
    form("heal", Shape::Links, "Takes back partitions, isolation and cuts; \"all\" clogs too.", &[]),
    form("clog", Shape::Links, "Nothing arrives on links and nothing is lost; what would arrive waits.", &[]),
    form("unclog", Shape::Links, "What waited arrives, in order.", &[]),
    form("network", Shape::Network, "Changes how links behave.", &[FROM, TO]),
    form(
        "drop",
        Shape::Messages,
        "Matching messages are lost.",
        &[MESSAGES_OF, FROM, TO, SKIP, COUNT, LABEL],
    ),
    form(
        "delay",
        Shape::Messages,
        "Matching messages take longer.",
        &[req("by", Shape::Positive, "How much longer."), MESSAGES_OF, FROM, TO, SKIP, COUNT, LABEL],
    ),
    form(
        "hold",
        Shape::Messages,
        "Matching messages wait until the filter is released or cleared.",
        &[MESSAGES_OF, FROM, TO, SKIP, COUNT, LABEL],
    ),
    form(
        "duplicate",
        Shape::Messages,
        "Matching messages arrive again.",
        &[
            opt("times", Shape::Count(1, 100), "How many times more; default 1."),
            MESSAGES_OF,
            FROM,
            TO,
            SKIP,
            COUNT,
            LABEL,
        ],
    ),
    form("release", Shape::Filters, "Lets held messages go and removes the hold.", &[]),
    form("clear", Shape::Filters, "Removes filters; messages they hold go.", &[]),
];
