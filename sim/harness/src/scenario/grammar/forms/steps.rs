//! What steps do besides waiting and looking.

use super::*;
use crate::scenario::grammar::{MAX_KEYS, MAX_VALUE, TRANSITIONS, form};

const BY_CLIENT: Field = opt("client", CLIENT, "Hand it to this client's queue and go on at once.");
const VIA: Field = opt("via", Shape::Store, "Send to this store only and follow no redirect.");
const VIA_OPERATOR: Field =
    opt("via", Shape::Store, "The store that the operator asks; default: the leader of the moment.");
const REFUSED: Field = opt("refused", Shape::True, "It is asked for once and must be refused.");
const BIND: Field = opt("as", Shape::Name, "Name that later steps can use for the store.");
const LABEL: Field =
    opt("as", Shape::Name, "Name of the filter, for `release`, `clear` and `wait = \"dropped\"`.");
const FROM: Field = opt("from", Shape::Endpoints, "Senders; default: all.");
const TO: Field = opt("to", Shape::Endpoints, "Receivers; default: all.");
const SKIP: Field = opt("skip", ANY, "Let this many matching messages pass first.");
// Only the scenario's own operations wait for an answer, so only theirs can be asserted.
const ISSUER: Choice = Choice { keys: &["client", "within"], number: Number::AtMostOne };
const INSIST: Choice = Choice { keys: &["within", "refused"], number: Number::AtMostOne };
const COUNT: Field = opt("count", SOME, "Act on this many messages only.");
const MESSAGES_OF: Field =
    Field { doc: "A key of the region whose messages are meant; default: of any.", ..OF };

pub(super) static FORMS: &[Form] = &[
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
        Shape::Literal("placement"),
        "The placement driver stops and loses what it holds in memory.",
        &[],
    ),
    form(
        "crash",
        Shape::Targets,
        "Stores stop and lose what they hold in memory.",
        &[opt("losing", Shape::Losses, "What their databases lose; default \"random\"."), BIND],
    ),
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
        &[],
    ),
    form(
        "partition",
        Shape::Groups,
        "Messages pass within a group only; stores in no group form one more. Replaces all earlier cuts, clients' too.",
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
    form("heal", Shape::Heal, "Takes back partitions, isolation and cuts.", &[]),
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
    form("campaign", Shape::Store, "An operator makes the store start an election now.", &[OF, BIND]),
    form(
        "transfer",
        Shape::Store,
        "An operator asks the leader to hand over to the store.",
        &[OF, VIA_OPERATOR, BIND],
    ),
    form(
        "change",
        Shape::Literal("leave"),
        "An operator asks the group to leave its joint configuration.",
        &[OF, VIA_OPERATOR, WITHIN, REFUSED],
    )
    .choose(&[INSIST]),
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
            OF,
            VIA_OPERATOR,
            WITHIN,
            REFUSED,
        ],
    )
    .choose(&[INSIST]),
    form(
        "split",
        Shape::Keys,
        "An operator splits regions, until one starts at each of the keys.",
        &[WITHIN, REFUSED],
    )
    .choose(&[INSIST])
    .only(System::Raftstore),
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
        "Bare Raft nodes take a snapshot of their state machines now and drop the log before it; raftstore's leaders propose to drop what is applied.",
        &[OF],
    ),
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
];
