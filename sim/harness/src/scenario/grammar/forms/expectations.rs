//! What `expect` asserts.

use super::*;
use crate::scenario::grammar::{CHECKS, FAULTS, form};

const EXPECT_GAUGE: &[Field] = &[OF, ON_GAUGE, IS, AT_LEAST, BELOW];

pub(super) static FORMS: &[Form] = &[
    form("expect", Shape::Literal("leader"), "A store leads.", &[OF, ON_LEADER, NOT_LEADER]),
    form("expect", Shape::Literal("no-leader"), "No running store believes that it leads.", &[OF]),
    form(
        "expect",
        Shape::Literal("replicas-equal"),
        "Every running member of the group holds the same data.",
        &[],
    ),
    form("expect", Shape::Literal("acked"), "Every operation so far is answered.", &[OF_CLIENT]),
    form("expect", Shape::Literal("unacked"), "An operation is still unanswered.", &[OF_CLIENT]),
    form(
        "expect",
        Shape::Literal("value"),
        "What the committed commands make of a key.",
        &[req("key", Shape::Key, "The key."), IS_VALUE, ABSENT],
    )
    .choose(&[Choice { keys: &["is", "absent"], number: Number::One }]),
    form("expect", Shape::Literal("term"), "How a term compares.", EXPECT_GAUGE).choose(ONE_COMPARISON),
    form("expect", Shape::Literal("commit"), "How a commit index compares.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("applied-index"), "How an applied index compares.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("last-index"), "How the last index of a log compares.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("truncated"), "How far a log is compacted compares.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("log-length"), "How many applied entries are in a log.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("size"), "About how many bytes a region has.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("role"), "Stores have a role.", &[OF, ON_ROLE, IS_ROLE]),
    form(
        "expect",
        Shape::Literal("members"),
        "Replicas have applied a configuration.",
        &[OF, ON_MEMBERS, VOTERS, LEARNERS, JOINT],
    )
    .choose(SOME_MEMBERS),
    form("expect", Shape::Literal("regions"), "How many regions have a leader.", &[IS, AT_LEAST, BELOW])
        .choose(ONE_COMPARISON)
        .only(System::Raftstore),
    form(
        "expect",
        Shape::Literal("region"),
        "Replicas know their region so.",
        &[OF, ON_REGION, CONF_VER, VERSION, START, END],
    )
    .choose(REGION_PARTS)
    .only(System::Raftstore),
    form(
        "expect",
        Shape::Literal("replica"),
        "Stores have an initialised replica of a region.",
        &[OF, ON_REPLICA],
    )
    .only(System::Raftstore),
    form(
        "expect",
        Shape::Literal("no-replica"),
        "Stores have no replica of a region, nor data in its range that is no other replica's.",
        &[OF, ON_REPLICA],
    )
    .only(System::Raftstore),
    form(
        "expect",
        Shape::Literal("stopped"),
        "Stores refuse to serve, since their disks failed them.",
        &[ON_REPLICA],
    ),
    form(
        "expect",
        Shape::Literal("faults"),
        "How many faults of a kind have happened so far.",
        &[req("of", Shape::Word(&FAULTS), "The kind of fault."), IS, AT_LEAST, BELOW],
    )
    .choose(ONE_COMPARISON),
    form(
        "expect",
        Shape::Literal("violation"),
        "The run violates a check; last step only.",
        &[req("of", Shape::Word(&CHECKS), "The check.")],
    ),
];
