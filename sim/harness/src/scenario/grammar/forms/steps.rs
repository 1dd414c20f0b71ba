//! What clients and operators do.

use super::*;
use crate::scenario::grammar::{MAX_KEYS, MAX_VALUE, TRANSITIONS, form};

const BY_CLIENT: Field = opt("client", CLIENT, "Hand it to this client's queue and go on at once.");
const VIA: Field = opt("via", Shape::Store, "Send to this store only and follow no redirect.");
const VIA_OPERATOR: Field =
    opt("via", Shape::Store, "The store that the operator asks; default: the leader of the moment.");
const REFUSED: Field = opt("refused", Shape::True, "It is asked for once and must be refused.");
// Only the scenario's own operations wait for an answer, so only theirs can be asserted.
const ISSUER: Choice = Choice { keys: &["client", "within"], number: Number::AtMostOne };
// What must be refused is asked for once, and that it is refused is no matter of chance.
const INSIST: &[Choice] = &[
    Choice { keys: &["within", "refused"], number: Number::AtMostOne },
    Choice { keys: &["refused", "if-any"], number: Number::AtMostOne },
];
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
    .choose(INSIST),
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
    .choose(INSIST),
    form(
        "split",
        Shape::Keys,
        "An operator splits regions, until one starts at each of the keys.",
        &[WITHIN, REFUSED],
    )
    .choose(INSIST)
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
        "name",
        Shape::Store,
        "Binds a name and does nothing else.",
        &[req("as", Shape::Name, "Name that later steps can use for the store.")],
    ),
];
