//! The steps of the language as one table: which verbs there are, what each takes, and with which options.
//!
//! The parser checks steps against it, the schema for editors is made from it, and error messages list from it,
//! so that none of them can know a word that another does not. A verb whose options depend on its value (`wait`,
//! `expect`) has one [`Form`] for each.

use super::names::{Check, Ending, Keyword, Losing, MessageKind, Role};

/// The shape of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Any string.
    Text,
    /// One key.
    Key,
    /// One key or a numbered range of them.
    Keys,
    /// What a scan covers.
    ScanRange,
    /// A span of virtual time.
    Duration,
    /// The same, but not zero.
    Positive,
    /// An instant of virtual time.
    Time,
    /// A probability.
    Share,
    /// A latency.
    Latency,
    /// A number of bytes within these bounds.
    Size(u64, u64),
    /// An integer within these bounds.
    Count(u64, u64),
    /// `true` or `false`.
    Flag,
    /// `true`.
    True,
    /// One of a list of words.
    Word(&'static Words),
    /// This very word.
    Literal(&'static str),
    /// One store.
    Store,
    /// One target, which may stand for several stores.
    Target,
    /// A target or several.
    Targets,
    /// Targets and clients.
    Endpoints,
    /// Groups of targets and clients.
    Groups,
    /// `{ from = ENDPOINTS, to = ENDPOINTS }`
    Link,
    /// `"all"`, endpoints or a link.
    Heal,
    /// What changes about links.
    Network,
    /// Weights of operations.
    Mix,
    /// A name that the step gives.
    Name,
    /// The name of a filter.
    Filter,
    /// The name of a filter, or `"all"`.
    Filters,
    /// One kind of message or several.
    Messages,
}

/// A list of words.
#[derive(Debug)]
pub(super) struct Words {
    /// What such a word is called, with its article.
    pub(super) what: &'static str,
    /// Each word with a line on what it means.
    pub(super) list: fn() -> Vec<(&'static str, &'static str)>,
}

/// The words of a keyword type.
pub(super) const fn words<K: Keyword>() -> Words {
    Words { what: K::WHAT, list: || K::ALL.iter().map(|k| (k.word(), k.doc())).collect() }
}

pub(super) static LOSING: Words = words::<Losing>();
pub(super) static ROLES: Words = words::<Role>();
pub(super) static CHECKS: Words = words::<Check>();
pub(super) static MESSAGES: Words = words::<MessageKind>();
pub(super) static ENDINGS: Words = words::<Ending>();

impl Shape {
    /// What is expected, for "expected ..., found ...".
    pub(super) fn expected(self) -> String {
        let text = match self {
            Shape::Text => "a string",
            Shape::Key => "a key such as \"k1\"",
            Shape::Keys => "a key such as \"k1\" or a numbered range such as \"k1..k50\"",
            Shape::ScanRange => "a range of keys such as \"a..z\", or \"all\"",
            Shape::Duration | Shape::Positive => "a duration such as \"1.5s\" or \"250ms\"",
            Shape::Time => "a time since the start such as \"1.5s\" or \"250ms\"",
            Shape::Share => "a share such as \"0.5%\" or \"100ppm\"",
            Shape::Latency => "a latency such as \"5ms\", \"1ms..10ms\" or \"1ms + exp 4ms\"",
            Shape::Size(..) => "a size such as \"64KiB\" or \"100B\"",
            Shape::Count(least, most) if most > 1_000_000_000 => {
                return format!("an integer of at least {least}");
            }
            Shape::Count(least, most) => return format!("an integer from {least} to {most}"),
            Shape::Flag => "true or false",
            Shape::True => "true",
            Shape::Word(words) => return format!("{} such as \"{}\"", words.what, (words.list)()[0].0),
            Shape::Literal(word) => return format!("\"{word}\""),
            Shape::Store => "one store: a number, \"leader\", \"follower\", \"leader of KEY\" or a name",
            Shape::Target => "a store number, a target such as \"leader\", or a name",
            Shape::Targets => "a store number, a target such as \"leader\", a name, or an array of them",
            Shape::Endpoints => "a target such as 2, \"leader\" or \"clients\", or an array of them",
            Shape::Groups => "an array of groups such as [[1, 2], [3]]",
            Shape::Link => "a table such as { from = 1, to = 2 }",
            Shape::Heal => "\"all\", a target or an array of them, or a table such as { from = 1, to = 2 }",
            Shape::Network => "a table such as { latency = \"5ms\", loss = \"1%\" }",
            Shape::Mix => "a table of weights such as { put = 4, get = 1 }",
            Shape::Name => "a name such as \"lagging\"",
            Shape::Filter => "the name of a filter, given by its `as`",
            Shape::Filters => "the name of a filter, given by its `as`, or \"all\"",
            Shape::Messages => "a kind of message such as \"append\", or an array of them",
        };
        text.to_owned()
    }
}

/// Largest number that TOML can write.
pub(super) const MAX_INTEGER: u64 = i64::MAX as u64;
/// Most clients of a run.
pub(super) const MAX_CLIENTS: u64 = 1_000;
/// Most keys of a load, and of a numbered range.
pub(super) const MAX_KEYS: u64 = 1_000_000;
/// Longest value that a load writes: 16 MiB.
pub(super) const MAX_VALUE: u64 = 16 << 20;

/// An option of a form, or a field of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    pub(super) key: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) doc: &'static str,
}

const fn opt(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, required: false, doc }
}

const fn req(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, required: true, doc }
}

/// Options of which a step gives one at most, or exactly one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) keys: &'static [&'static str],
    pub(super) needed: bool,
}

/// One way to write a step: a verb, the shape of its value, and its options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) verb: &'static str,
    pub(super) value: Shape,
    pub(super) doc: &'static str,
    pub(super) options: &'static [Field],
    pub(super) choices: &'static [Choice],
}

const fn form(verb: &'static str, value: Shape, doc: &'static str, options: &'static [Field]) -> Form {
    Form { verb, value, doc, options, choices: &[] }
}

impl Form {
    const fn choose(self, choices: &'static [Choice]) -> Form {
        Form { choices, ..self }
    }

    /// The step as messages name it: the verb, with its value where that decides the options.
    pub(super) fn title(&self) -> String {
        match self.value {
            Shape::Literal(word) => format!("{} = \"{word}\"", self.verb),
            _ => self.verb.to_owned(),
        }
    }

    /// Every option, the common ones included.
    pub(super) fn all_options(&self) -> impl Iterator<Item = &'static Field> + use<> {
        self.options.iter().chain(&COMMON)
    }

    /// Every choice, the common one included.
    pub(super) fn all_choices(&self) -> impl Iterator<Item = &'static Choice> + use<> {
        self.choices.iter().chain(&WHEN)
    }
}

static WHEN: [Choice; 1] = [Choice { keys: &["at", "after"], needed: false }];

/// Options that every step has; one of them at most.
pub(super) static COMMON: [Field; 2] = [
    opt("at", Shape::Time, "Virtual time since the start to which the step is pinned."),
    opt("after", Shape::Duration, "Delay between the end of the step before and this one."),
];

const CLIENT: Shape = Shape::Count(1, MAX_CLIENTS);
const ANY: Shape = Shape::Count(0, MAX_INTEGER);
const SOME: Shape = Shape::Count(1, MAX_INTEGER);

const WITHIN: Field = opt("within", Shape::Duration, "How long it may take; default 30s.");
const ON_LEADER: Field = opt("on", Shape::Target, "The store that must lead, or one of these.");
const NOT_LEADER: Field = opt("not", Shape::Target, "The store that must not lead, nor any of these.");
const ON_GAUGE: Field = opt("on", Shape::Target, "Whose number; default: the highest of any running store.");
const ON_ROLE: Field = req("on", Shape::Target, "Whose role; every one's of several.");
const IS_ROLE: Field = req("is", Shape::Word(&ROLES), "The role.");
const REACHES: Field = req("reaches", ANY, "The value to reach or pass.");
const OF_CLIENT: Field = opt("client", CLIENT, "Only the operations of this client.");
const BY_CLIENT: Field = opt("client", CLIENT, "Hand it to this client's queue and go on at once.");
const VIA: Field = opt("via", Shape::Store, "Send to this store only and follow no redirect.");
const IS_VALUE: Field = opt("is", Shape::Text, "The value that it must find.");
const ABSENT: Field = opt("absent", Shape::True, "The key must not exist.");
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
const ISSUER: Choice = Choice { keys: &["client", "within"], needed: false };
const ONE_COMPARISON: &[Choice] = &[Choice { keys: &["is", "reaches", "below"], needed: true }];

/// Every form of every verb.
pub(super) static FORMS: &[Form] = &[
    form("wait", Shape::Duration, "Lets time pass.", &[]),
    form("wait", Shape::Literal("leader"), "Until a store leads.", &[ON_LEADER, NOT_LEADER, WITHIN]),
    form("wait", Shape::Literal("no-leader"), "Until no running store believes that it leads.", WAIT),
    form("wait", Shape::Literal("acked"), "Until every operation so far is answered.", &[OF_CLIENT, WITHIN]),
    form("wait", Shape::Literal("load"), "Until all background load is done.", WAIT),
    form(
        "wait",
        Shape::Literal("applied"),
        "Until every running replica has applied all that is committed; a leader that was just elected has committed nothing yet.",
        WAIT,
    ),
    form("wait", Shape::Literal("replicas-equal"), "Until every running replica holds the same data.", WAIT),
    form("wait", Shape::Literal("term"), "Until a term is reached.", WAIT_GAUGE),
    form("wait", Shape::Literal("commit"), "Until a commit index is reached.", WAIT_GAUGE),
    form("wait", Shape::Literal("applied-index"), "Until an applied index is reached.", WAIT_GAUGE),
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
        .choose(&[Choice { keys: &["is", "absent", "client"], needed: false }, ISSUER]),
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
    .choose(&[Choice { keys: &["succeeds", "client"], needed: false }, ISSUER]),
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
        "Messages pass within a group only; stores in no group form one more. Replaces earlier cuts between stores.",
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
        "name",
        Shape::Store,
        "Binds a name and does nothing else.",
        &[req("as", Shape::Name, "Name that later steps can use for the store.")],
    ),
    form("expect", Shape::Literal("leader"), "A store leads.", &[ON_LEADER, NOT_LEADER]),
    form("expect", Shape::Literal("no-leader"), "No running store believes that it leads.", &[]),
    form("expect", Shape::Literal("replicas-equal"), "Every running replica holds the same data.", &[]),
    form("expect", Shape::Literal("acked"), "Every operation so far is answered.", &[OF_CLIENT]),
    form("expect", Shape::Literal("unacked"), "An operation is still unanswered.", &[OF_CLIENT]),
    form(
        "expect",
        Shape::Literal("value"),
        "What the committed commands make of a key.",
        &[req("key", Shape::Key, "The key."), IS_VALUE, ABSENT],
    )
    .choose(&[Choice { keys: &["is", "absent"], needed: true }]),
    form("expect", Shape::Literal("term"), "How a term compares.", EXPECT_GAUGE).choose(ONE_COMPARISON),
    form("expect", Shape::Literal("commit"), "How a commit index compares.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("applied-index"), "How an applied index compares.", EXPECT_GAUGE)
        .choose(ONE_COMPARISON),
    form("expect", Shape::Literal("role"), "Stores have a role.", &[ON_ROLE, IS_ROLE]),
    form(
        "expect",
        Shape::Literal("violation"),
        "The run violates a check; last step only.",
        &[req("of", Shape::Word(&CHECKS), "The check.")],
    ),
];

/// The fields of `cut` and of `heal` as a table.
pub(super) static LINK: [Field; 2] =
    [req("from", Shape::Endpoints, "Senders."), req("to", Shape::Endpoints, "Receivers.")];

/// The fields of the step `network`.
pub(super) static NETWORK: [Field; 4] = [
    opt("latency", Shape::Latency, "How long a message travels."),
    opt("loss", Shape::Share, "Share of messages that are lost."),
    opt("duplicate", Shape::Share, "Share of messages that arrive twice."),
    opt("reorder", Shape::Share, "Share of messages that may overtake earlier ones of their link."),
];

const WEIGHT: Shape = Shape::Count(0, 1_000_000);

/// The fields of `mix`.
pub(super) static MIX: [Field; 6] = [
    opt("put", WEIGHT, "Weight of `put`."),
    opt("get", WEIGHT, "Weight of `get`."),
    opt("append", WEIGHT, "Weight of `append`."),
    opt("delete", WEIGHT, "Weight of `delete`."),
    opt("cas", WEIGHT, "Weight of `cas`."),
    opt("scan", WEIGHT, "Weight of `scan`."),
];

/// Words that stand for stores, with what each means; none of them can be a name.
pub(super) static TARGETS: [(&str, &str); 5] = [
    ("leader", "The store that leads."),
    ("follower", "One running store but the leader, drawn by the run."),
    ("followers", "Every store but the leader."),
    ("all", "Every store."),
    (
        "others",
        "Every store that the step does not name otherwise; in `from` and `to`, that the other end does not.",
    ),
];

/// Words that cannot be names besides those of [`TARGETS`].
pub(super) const RESERVED: [&str; 4] = ["client", "clients", "any", "none"];

/// The verbs, each once, in the order of [`FORMS`].
pub(super) fn verbs() -> Vec<&'static str> {
    let mut verbs: Vec<&'static str> = FORMS.iter().map(|form| form.verb).collect();
    verbs.dedup();
    verbs
}

/// The forms of a verb.
pub(super) fn forms_of(verb: &str) -> impl Iterator<Item = &'static Form> {
    FORMS.iter().filter(move |form| form.verb == verb)
}

/// Whether the verb makes a message filter, so that its `as` names the filter and not a store.
pub(super) fn is_filter(verb: &str) -> bool {
    forms_of(verb).any(|form| matches!(form.value, Shape::Messages))
}
