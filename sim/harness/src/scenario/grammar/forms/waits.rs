//! What `wait` waits for.

use super::*;
use crate::scenario::grammar::{RECORDS, form};

const WAIT: &[Field] = &[WITHIN];
const REACHES: Field = req("reaches", SOME, "The value to reach or pass.");
const WAIT_GAUGE: &[Field] = &[REACHES, OF, ON_GAUGE, WITHIN];
const WROTE_OF: Field = Field { doc: "A key of the region whose records count; default: any region.", ..OF };

pub(super) static FORMS: &[Form] = &[
    form("wait", Shape::Duration, "Lets time pass.", &[]),
    form("wait", Shape::Literal("leader"), "Until a store leads.", &[OF, ON_LEADER, NOT_LEADER, WITHIN]),
    form("wait", Shape::Literal("no-leader"), "Until no running store believes that it leads.", &[OF, WITHIN]),
    form("wait", Shape::Literal("acked"), "Until every operation so far is answered.", &[OF_CLIENT, WITHIN]),
    form("wait", Shape::Literal("load"), "Until all background load is done.", WAIT),
    form(
        "wait",
        Shape::Literal("applied"),
        "Until every running member of the group has applied all that is committed; a leader that was just elected has committed nothing yet.",
        WAIT,
    ),
    form(
        "wait",
        Shape::Literal("replicas-equal"),
        "Until every running member of the group holds the same data.",
        WAIT,
    ),
    form("wait", Shape::Literal("term"), "Until a term is reached.", WAIT_GAUGE),
    form("wait", Shape::Literal("commit"), "Until a commit index is reached.", WAIT_GAUGE),
    form("wait", Shape::Literal("applied-index"), "Until an applied index is reached.", WAIT_GAUGE),
    form("wait", Shape::Literal("last-index"), "Until a log is so long.", WAIT_GAUGE),
    form("wait", Shape::Literal("truncated"), "Until a log is compacted so far.", WAIT_GAUGE),
    form("wait", Shape::Literal("log-length"), "Until so many applied entries are in a log.", WAIT_GAUGE),
    form("wait", Shape::Literal("size"), "Until a region has about so many bytes.", WAIT_GAUGE),
    form("wait", Shape::Literal("role"), "Until stores have a role.", &[OF, ON_ROLE, IS_ROLE, WITHIN]),
    form(
        "wait",
        Shape::Literal("dropped"),
        "Until a filter has acted on so many messages.",
        &[
            req("filter", Shape::Filter, "The filter's name."),
            req("count", SOME, "How many messages."),
            WITHIN,
        ],
    ),
    form(
        "wait",
        Shape::Literal("members"),
        "Until replicas have applied a configuration.",
        &[OF, ON_MEMBERS, VOTERS, LEARNERS, JOINT, WITHIN],
    )
    .choose(SOME_MEMBERS),
    form(
        "wait",
        Shape::Literal("log-truncated"),
        "Until the leader's log starts after the last entry of a store, so that only a snapshot helps it.",
        &[OF, req("past", Shape::Store, "The store that is behind."), WITHIN],
    ),
    form(
        "wait",
        Shape::Literal("snapshot-applied"),
        "Until stores have restored so many snapshots since they started.",
        &[OF, ON_REPLICA, opt("count", SOME, "How many, each; default 1."), WITHIN],
    ),
    form(
        "wait",
        Shape::Literal("regions"),
        "Until so many regions have a leader.",
        &[IS, AT_LEAST, BELOW, WITHIN],
    )
    .choose(ONE_COMPARISON)
    .only(System::Raftstore),
    form(
        "wait",
        Shape::Literal("region"),
        "Until replicas know their region so.",
        &[OF, ON_REGION, CONF_VER, VERSION, START, END, WITHIN],
    )
    .choose(REGION_PARTS)
    .only(System::Raftstore),
    form(
        "wait",
        Shape::Literal("replica"),
        "Until stores have an initialised replica of a region.",
        &[OF, ON_REPLICA, WITHIN],
    )
    .only(System::Raftstore),
    form(
        "wait",
        Shape::Literal("no-replica"),
        "Until stores have no replica of a region, nor data in its range that is no other replica's.",
        &[OF, ON_REPLICA, WITHIN],
    )
    .only(System::Raftstore),
    form(
        "wait",
        Shape::Literal("stopped"),
        "Until stores refuse to serve, since their disks failed them.",
        &[ON_REPLICA, WITHIN],
    ),
    form(
        "wait",
        Shape::Literal("wrote"),
        "Until a store has written so many records of a kind since the step began; the next step runs before any other event.",
        &[
            WROTE_OF,
            req("on", Shape::Store, "The store that writes."),
            req("what", Shape::Word(&RECORDS), "The kind of record."),
            opt("count", SOME, "How many; default 1."),
            opt("durable", Shape::True, "They must be durable too."),
            WITHIN,
        ],
    )
    .only(System::Raftstore),
];
