//! Every form of every verb.

use super::{
    CHECKS, Choice, Field, Form, LOSING, MAX_CLIENTS, MAX_INTEGER, MAX_KEYS, MAX_VALUE, Number, ROLES, Shape,
    TRANSITIONS, form, opt, req,
};
use crate::scenario::names::System;

const CLIENT: Shape = Shape::Count(1, MAX_CLIENTS);
const ANY: Shape = Shape::Count(0, MAX_INTEGER);
const SOME: Shape = Shape::Count(1, MAX_INTEGER);

const WITHIN: Field = opt("within", Shape::Duration, "How long it may take; default 30s.");
const ON_LEADER: Field = opt("on", Shape::Targets, "The store that must lead, or one of these.");
const NOT_LEADER: Field = opt("not", Shape::Targets, "The store that must not lead, nor any of these.");
const ON_GAUGE: Field = opt(
    "on",
    Shape::Targets,
    "Whose number, every one's of several; default: the highest of any running store.",
);
const ON_ROLE: Field = req("on", Shape::Targets, "Whose role; every one's of several.");
const IS_ROLE: Field = req("is", Shape::Word(&ROLES), "The role.");
const REACHES: Field = req("reaches", ANY, "The value to reach or pass.");
const OF_CLIENT: Field = opt("client", CLIENT, "Only the operations of this client.");
const BY_CLIENT: Field = opt("client", CLIENT, "Hand it to this client's queue and go on at once.");
const VIA: Field = opt("via", Shape::Store, "Send to this store only and follow no redirect.");
const IS_VALUE: Field = opt("is", Shape::Text, "The value that it must find.");
const ABSENT: Field = opt("absent", Shape::True, "The key must not exist.");
const VIA_OPERATOR: Field =
    opt("via", Shape::Store, "The store that the operator asks; default: the leader of the moment.");
const ON_MEMBERS: Field =
    opt("on", Shape::Targets, "Whose configuration, every one's of several; default: the leader's.");
const VOTERS: Field = opt("voters", Shape::AnyTargets, "Exactly these vote.");
const LEARNERS: Field = opt("learners", Shape::AnyTargets, "Exactly these learn.");
const JOINT: Field = opt("joint", Shape::Flag, "Whether two configurations are in force at once.");
const REFUSED: Field = opt("refused", Shape::True, "It is asked for once and must be refused.");
const BIND: Field = opt("as", Shape::Name, "Name that later steps can use for the store.");
const LABEL: Field =
    opt("as", Shape::Name, "Name of the filter, for `release`, `clear` and `wait = \"dropped\"`.");
const FROM: Field = opt("from", Shape::Endpoints, "Senders; default: all.");
const TO: Field = opt("to", Shape::Endpoints, "Receivers; default: all.");
const SKIP: Field = opt("skip", ANY, "Let this many matching messages pass first.");
const COUNT: Field = opt("count", SOME, "Act on this many messages only.");

const WAIT: &[Field] = &[WITHIN];
const WAIT_GAUGE: &[Field] = &[REACHES, ON_GAUGE, WITHIN];
const EXPECT_GAUGE: &[Field] = &[
    ON_GAUGE,
    opt("is", ANY, "The value."),
    opt("reaches", ANY, "The value to have reached or passed."),
    opt("below", ANY, "The value to stay below."),
];
// Only the scenario's own operations wait for an answer, so only theirs can be asserted.
const ISSUER: Choice = Choice { keys: &["client", "within"], number: Number::AtMostOne };
const INSIST: Choice = Choice { keys: &["within", "refused"], number: Number::AtMostOne };
const SOME_MEMBERS: &[Choice] =
    &[Choice { keys: &["voters", "learners", "joint"], number: Number::AtLeastOne }];
const ONE_COMPARISON: &[Choice] = &[Choice { keys: &["is", "reaches", "below"], number: Number::One }];

/// Every form of every verb.
pub(in super::super) static FORMS: &[Form] = &[
    form("wait", Shape::Duration, "Lets time pass.", &[]),
    form("wait", Shape::Literal("leader"), "Until a store leads.", &[ON_LEADER, NOT_LEADER, WITHIN]),
    form("wait", Shape::Literal("no-leader"), "Until no running store believes that it leads.", WAIT),
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
    form("wait", Shape::Literal("role"), "Until stores have a role.", &[ON_ROLE, IS_ROLE, WITHIN]),
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
        &[ON_MEMBERS, VOTERS, LEARNERS, JOINT, WITHIN],
    )
    .choose(SOME_MEMBERS)
    .only(System::Raft),
    form(
        "wait",
        Shape::Literal("log-truncated"),
        "Until the leader's log starts after the last entry of a store, so that only a snapshot helps it.",
        &[req("past", Shape::Store, "The store that is behind."), WITHIN],
    )
    .only(System::Raft),
    form(
        "wait",
        Shape::Literal("snapshot-applied"),
        "Until stores have restored so many snapshots since they started.",
        &[
            req("on", Shape::Targets, "The store, or every one of these."),
            opt("count", SOME, "How many, each; default 1."),
            WITHIN,
        ],
    )
    .only(System::Raft),
    form(
        "put",
        Shape::Keys,
        "Sets keys to a value.",
        &[req("value", Shape::Text, "The value."), BY_CLIENT, VIA, WITHIN],
    )
    .choose(&[ISSUER]),
    form(
        "append",
        Shape::Keys,
        "Adds to the end of the keys' values.",
        &[req("value", Shape::Text, "What is added."), BY_CLIENT, VIA, WITHIN],
    )
    .choose(&[ISSUER]),
    form("delete", Shape::Keys, "Removes keys.", &[BY_CLIENT, VIA, WITHIN]).choose(&[ISSUER]),
    form("get", Shape::Key, "Reads a key.", &[IS_VALUE, ABSENT, BY_CLIENT, VIA, WITHIN])
        .choose(&[Choice { keys: &["is", "absent", "client"], number: Number::AtMostOne }, ISSUER]),
    form(
        "cas",
        Shape::Key,
        "Sets a key if it has an expected value.",
        &[
            opt("from", Shape::Text, "The expected value; default: the key must not exist."),
            req("to", Shape::Text, "The new value."),
            opt("succeeds", Shape::Flag, "Whether it must succeed."),
            BY_CLIENT,
            VIA,
            WITHIN,
        ],
    )
    .choose(&[Choice { keys: &["succeeds", "client"], number: Number::AtMostOne }, ISSUER]),
    form(
        "scan",
        Shape::ScanRange,
        "Reads keys in order, the end of the range excluded.",
        &[opt("limit", SOME, "At most this many keys."), BY_CLIENT, VIA, WITHIN],
    )
    .choose(&[ISSUER]),
    form(
        "load",
        Shape::Positive,
        "Random operations by clients, in the background, for so long.",
        &[
            opt("clients", CLIENT, "How many clients take part; default 4."),
            opt("keys", Shape::Count(1, MAX_KEYS), "Over how many keys; default 16."),
            opt("mix", Shape::Mix, "How often each operation; default { put = 4, get = 4, append = 2 }."),
            opt("value-size", Shape::Size(0, MAX_VALUE), "How long values are; default 16B."),
            opt("ops", SOME, "Stop after this many operations in all."),
        ],
    ),
    form(
        "crash",
        Shape::Targets,
        "Stores stop and lose what they hold in memory.",
        &[opt("losing", Shape::Word(&LOSING), "What their databases lose; default \"random\"."), BIND],
    ),
    form(
        "restart",
        Shape::Targets,
        "Stores start again from their disks; running ones shut down first and lose nothing.",
        &[],
    ),
    form(
        "partition",
        Shape::Groups,
        "Messages pass within a group only; stores in no group form one more. Replaces all earlier cuts, clients' too.",
        &[BIND],
    ),
    form(
        "isolate",
        Shape::Targets,
        "Each of the stores is cut off from all others.",
        &[opt("clients", Shape::Flag, "Whether from the clients too; default false."), BIND],
    ),
    form("cut", Shape::Link, "Nothing passes in one direction.", &[]),
    form("heal", Shape::Heal, "Takes back partitions, isolation and cuts.", &[]),
    form("network", Shape::Network, "Changes how links behave.", &[FROM, TO]),
    form("drop", Shape::Messages, "Matching messages are lost.", &[FROM, TO, SKIP, COUNT, LABEL]),
    form(
        "delay",
        Shape::Messages,
        "Matching messages take longer.",
        &[req("by", Shape::Positive, "How much longer."), FROM, TO, SKIP, COUNT, LABEL],
    ),
    form(
        "hold",
        Shape::Messages,
        "Matching messages wait until the filter is released or cleared.",
        &[FROM, TO, SKIP, COUNT, LABEL],
    ),
    form(
        "duplicate",
        Shape::Messages,
        "Matching messages arrive again.",
        &[
            opt("times", Shape::Count(1, 100), "How many times more; default 1."),
            FROM,
            TO,
            SKIP,
            COUNT,
            LABEL,
        ],
    ),
    form("release", Shape::Filters, "Lets held messages go and removes the hold.", &[]),
    form("clear", Shape::Filters, "Removes filters; messages they hold go.", &[]),
    form("campaign", Shape::Store, "An operator makes the store start an election now.", &[BIND]),
    form(
        "transfer",
        Shape::Store,
        "An operator asks the leader to hand over to the store.",
        &[VIA_OPERATOR, BIND],
    ),
    form(
        "change",
        Shape::Literal("leave"),
        "An operator asks the group to leave its joint configuration.",
        &[VIA_OPERATOR, WITHIN, REFUSED],
    )
    .choose(&[INSIST])
    .only(System::Raft),
    form(
        "change",
        Shape::Members,
        "An operator asks for other members, until the change is accepted; it ends when that is proposed.",
        &[
            opt(
                "transition",
                Shape::Word(&TRANSITIONS),
                "How the group passes to the new configuration; default \"auto\".",
            ),
            VIA_OPERATOR,
            WITHIN,
            REFUSED,
        ],
    )
    .choose(&[INSIST])
    .only(System::Raft),
    form(
        "forget-leader",
        Shape::Targets,
        "Followers act as if they had no leader, until they hear of one again.",
        &[],
    )
    .only(System::Raft),
    form("request-snapshot", Shape::Store, "The store asks its leader for a snapshot.", &[])
        .only(System::Raft),
    form(
        "compact",
        Shape::Targets,
        "Stores take a snapshot of their state machines now and drop the log before it.",
        &[],
    )
    .only(System::Raft),
    form(
        "clock",
        Shape::Targets,
        "From now on the stores' clocks run so much faster or slower than time.",
        &[req("drift", Shape::Drift, "How much faster; slower where negative. \"0%\" heals.")],
    ),
    form(
        "name",
        Shape::Store,
        "Binds a name and does nothing else.",
        &[req("as", Shape::Name, "Name that later steps can use for the store.")],
    ),
    form("expect", Shape::Literal("leader"), "A store leads.", &[ON_LEADER, NOT_LEADER]),
    form("expect", Shape::Literal("no-leader"), "No running store believes that it leads.", &[]),
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
    form("expect", Shape::Literal("role"), "Stores have a role.", &[ON_ROLE, IS_ROLE]),
    form(
        "expect",
        Shape::Literal("members"),
        "Replicas have applied a configuration.",
        &[ON_MEMBERS, VOTERS, LEARNERS, JOINT],
    )
    .choose(SOME_MEMBERS)
    .only(System::Raft),
    form(
        "expect",
        Shape::Literal("violation"),
        "The run violates a check; last step only.",
        &[req("of", Shape::Word(&CHECKS), "The check.")],
    ),
];
