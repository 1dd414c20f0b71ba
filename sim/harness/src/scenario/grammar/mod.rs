//! The steps of the language as one table: which verbs there are, what each takes, and with which options.
//!
//! The parser checks steps against it, the schema for editors is made from it, and error messages list from it,
//! so that none of them can know a word that another does not. A verb whose options depend on its value (`wait`,
//! `expect`, `change`) has one [`Form`] for each. Here is what such a table is made of; the forms are in [`forms`].

mod forms;

pub(super) use forms::forms;

use super::names::{
    Budget, Check, Churn, Database, DiskOperation, Ending, FaultKind, Keyword, Losing, MessageKind,
    PlacementMode, ReadIndexMode, ReadPath, RecordKind, Role, System, Transition,
};

/// The shape of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    /// Any string.
    Text,
    /// One key.
    Key,
    /// One key or a numbered range of them.
    Keys,
    /// An end of a region's range: a key, or nothing.
    Border,
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
    /// How much faster than time a clock runs.
    Drift,
    /// How far a clock jumps.
    Jump,
    /// A latency.
    Latency,
    /// A number of bytes within these bounds.
    Size(u64, u64),
    /// A positive number of bytes, or none that bounds.
    Bound,
    /// An integer within these bounds.
    Count(u64, u64),
    /// An integer.
    Integer,
    /// A list of integers.
    Integers,
    /// A store number.
    StoreNumber,
    /// A list of store numbers.
    StoreNumbers,
    /// `true` or `false`.
    Flag,
    /// `true`.
    True,
    /// One of a list of words.
    Word(&'static Words),
    /// Several of a list of words.
    Words(&'static Words),
    /// What one database loses.
    Lost,
    /// What a store's databases lose.
    Losses,
    /// This very word.
    Literal(&'static str),
    /// One store.
    Store,
    /// A target or several.
    Targets,
    /// Any number of targets, none too.
    AnyTargets,
    /// Targets and clients.
    Endpoints,
    /// Groups of targets and clients.
    Groups,
    /// `{ from = ENDPOINTS, to = ENDPOINTS }`
    Link,
    /// `"all"`, endpoints or a link.
    Links,
    /// What changes about links.
    Network,
    /// Knobs that some stores have differently.
    Knobs(&'static [Field]),
    /// Weights of operations.
    Mix,
    /// Which stores change their part in the group.
    Members,
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
pub(super) static SYSTEMS: Words = words::<System>();
pub(super) static READ_INDEX: Words = words::<ReadIndexMode>();
pub(super) static READ_PATHS: Words = words::<ReadPath>();
pub(super) static TRANSITIONS: Words = words::<Transition>();
pub(super) static RECORDS: Words = words::<RecordKind>();
pub(super) static MODES: Words = words::<PlacementMode>();
pub(super) static CHURNS: Words = words::<Churn>();
pub(super) static BUDGETS: Words = words::<Budget>();
pub(super) static DATABASES: Words = words::<Database>();
pub(super) static DISK_OPERATIONS: Words = words::<DiskOperation>();
pub(super) static FAULTS: Words = words::<FaultKind>();

impl Shape {
    /// What is expected, for "expected ..., found ...".
    pub(super) fn expected(self) -> String {
        let text = match self {
            Shape::Text => "a string",
            Shape::Key => "a key such as \"k1\"",
            Shape::Keys => "a key such as \"k1\" or a numbered range such as \"k1..k50\"",
            Shape::Border => "a key such as \"k1\", or \"\" where the range is open",
            Shape::ScanRange => "a range of keys such as \"a..z\", or \"all\"",
            Shape::Duration | Shape::Positive => "a duration such as \"1.5s\" or \"250ms\"",
            Shape::Time => "a time since the start such as \"1.5s\" or \"250ms\"",
            Shape::Share => "a share such as \"0.5%\" or \"100ppm\"",
            Shape::Drift => "a drift such as \"5%\" or \"-300ppm\"",
            Shape::Jump => "a span such as \"2s\" or \"-300ms\"",
            Shape::Latency => {
                "a latency such as \"5ms\", \"1ms..10ms\", \"1ms + exp 4ms\" or \"1ms + tail 4ms\""
            }
            Shape::Size(..) => "a size such as \"64KiB\" or \"100B\"",
            Shape::Bound => "a size such as \"64KiB\", or \"unbounded\"",
            Shape::Integer => "an integer",
            Shape::Integers => "an array of integers such as [1, 0, -1]",
            Shape::StoreNumber => "a store number, from 1",
            Shape::StoreNumbers => "an array of store numbers such as [1, 2, 3]",
            Shape::Count(least, most) if most > 1_000_000_000 => {
                return format!("an integer of at least {least}");
            }
            Shape::Count(least, most) => return format!("an integer from {least} to {most}"),
            Shape::Flag => "true or false",
            Shape::True => "true",
            Shape::Word(words) => return format!("{} such as \"{}\"", words.what, (words.list)()[0].0),
            Shape::Words(words) => {
                return format!("{} such as \"{}\", or an array of them", words.what, (words.list)()[0].0);
            }
            Shape::Lost => {
                "\"random\", \"unsynced\", \"nothing\" or the number of newest writes that are lost"
            }
            Shape::Losses => {
                "\"random\", \"unsynced\", \"nothing\", the number of newest writes that are lost, or a table such as { raft = \"unsynced\", kv = 2 }"
            }
            Shape::Literal(word) => return format!("\"{word}\""),
            Shape::Store => "one store: a number, \"leader\", \"follower\", \"leader of KEY\" or a name",
            Shape::Targets => "a store number, a target such as \"leader\", a name, or an array of them",
            Shape::AnyTargets => {
                "a store number, a target such as \"leader\", a name, or an array of them that may be empty"
            }
            Shape::Endpoints => "a target such as 2, \"leader\" or \"clients\", or an array of them",
            Shape::Groups => "an array of groups such as [[1, 2], [3]]",
            Shape::Link => "a table such as { from = 1, to = 2 }",
            Shape::Links => "\"all\", a target or an array of them, or a table such as { from = 1, to = 2 }",
            Shape::Network => "a table such as { latency = \"5ms\", loss = \"1%\" }",
            Shape::Knobs(fields) => return format!("a table of knobs such as {{ {} = ... }}", fields[0].key),
            Shape::Mix => "a table of weights such as { put = 4, get = 1 }",
            Shape::Members => "a table such as { add = 4, remove = 1 }, or \"leave\"",
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
    /// The system whose it is, where it is one's only.
    pub(super) system: Option<System>,
}

const fn opt(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, required: false, doc, system: None }
}

const fn req(key: &'static str, shape: Shape, doc: &'static str) -> Field {
    Field { key, shape, required: true, doc, system: None }
}

/// Options that a step cannot have in any number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    pub(super) keys: &'static [&'static str],
    pub(super) number: Number,
}

/// How many options of a [`Choice`] a step has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    /// None or one.
    AtMostOne,
    /// Exactly one.
    One,
    /// One or more.
    AtLeastOne,
}

/// One way to write a step: a verb, the shape of its value, and its options.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    pub(super) verb: &'static str,
    pub(super) value: Shape,
    pub(super) doc: &'static str,
    pub(super) options: &'static [Field],
    pub(super) choices: &'static [Choice],
    /// The system that knows such a step, where only one does.
    pub(super) system: Option<System>,
}

const fn form(verb: &'static str, value: Shape, doc: &'static str, options: &'static [Field]) -> Form {
    Form { verb, value, doc, options, choices: &[], system: None }
}

impl Form {
    const fn choose(self, choices: &'static [Choice]) -> Form {
        Form { choices, ..self }
    }

    const fn only(self, system: System) -> Form {
        Form { system: Some(system), ..self }
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
        let if_any = self.can_come_to_nothing().then_some(&IF_ANY);
        self.options.iter().chain(&COMMON).chain(if_any)
    }

    /// Whether the step can come to nothing: it names machines, of which there may be none, asks for what can be
    /// refused, or waits for what may not come. What clients do and what is asserted cannot.
    fn can_come_to_nothing(&self) -> bool {
        match self.verb {
            "put" | "append" | "delete" | "get" | "cas" | "scan" | "load" | "release" | "clear"
            | "expect" => false,
            "wait" => !matches!(self.value, Shape::Duration),
            _ => !matches!(self.value, Shape::Literal("placement")),
        }
    }

    /// Every choice, the common one included.
    pub(super) fn all_choices(&self) -> impl Iterator<Item = &'static Choice> + use<> {
        self.choices.iter().chain(&WHEN)
    }
}

/// Words before a key that stand for stores, with what each means.
pub(super) static TARGETS_OF: [(&str, &str); 3] = [
    ("leader of", "The store that leads the region of a key."),
    ("follower of", "One running member of a key's region but its leader, drawn by the run."),
    ("followers of", "Every member of a key's region but its leader, learners and stopped stores too."),
];

static WHEN: [Choice; 1] = [Choice { keys: &["at", "after"], number: Number::AtMostOne }];

/// Options that every step has; one of them at most.
pub(super) static COMMON: [Field; 2] = [
    opt("at", Shape::Time, "Virtual time since the start to which the step is pinned."),
    opt("after", Shape::Duration, "Delay between the end of the step before and this one."),
];

/// The option of steps that may come to nothing.
pub(super) static IF_ANY: Field = opt(
    "if-any",
    Shape::True,
    "It is no finding that nobody is who the step names, that what it asks for is refused, or that what it waits for does not come.",
);

/// The fields of `cut` and of `heal` as a table.
pub(super) static LINK: [Field; 2] =
    [req("from", Shape::Endpoints, "Senders."), req("to", Shape::Endpoints, "Receivers.")];

/// The fields of the step `network`.
pub(super) static NETWORK: [Field; 7] = [
    opt("latency", Shape::Latency, "How long a message travels."),
    opt("loss", Shape::Share, "Share of messages that are lost."),
    opt("duplicate", Shape::Share, "Share of messages that arrive twice."),
    opt("reorder", Shape::Share, "Share of messages that may overtake earlier ones of their link."),
    opt("corrupt", Shape::Share, "Share of messages that are corrupted on their way."),
    opt("bandwidth", Shape::Bound, "How many bytes pass in a second."),
    opt(
        "queue",
        Shape::Bound,
        "How many bytes may wait to pass, beyond which messages are lost; needs a bandwidth.",
    ),
];

/// The fields of `change`.
pub(super) static MEMBERS: [Field; 3] = [
    opt("add", Shape::Targets, "Stores that become voters."),
    opt("learn", Shape::Targets, "Stores that become learners; voters among them lose their vote."),
    opt("remove", Shape::Targets, "Stores that leave the group."),
];

/// The databases of `losing`.
pub(super) static LOSSES: [Field; 3] = [
    opt("raft", Shape::Lost, "What the database with the log loses; default \"nothing\"."),
    Field {
        system: Some(System::Raftstore),
        ..opt("kv", Shape::Lost, "What the database with clients' data loses; default \"nothing\".")
    },
    Field {
        system: Some(System::Raftstore),
        ..opt("snapshots", Shape::Lost, "What the database with snapshots loses; default \"nothing\".")
    },
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
    ("leader", "The store that leads the region of the step."),
    ("follower", "One running member of the step's region but its leader, drawn by the run."),
    ("followers", "Every member of the step's region but its leader, learners and stopped stores too."),
    ("all", "Every store."),
    (
        "others",
        "Every store that the step does not name otherwise; in `from` and `to`, that the other end does not.",
    ),
];

/// Words that cannot be names besides those of [`TARGETS`].
pub(super) const RESERVED: [&str; 5] = ["client", "clients", "placement", "any", "none"];

/// The verbs, each once, in the order of [`forms`].
pub(super) fn verbs() -> Vec<&'static str> {
    let mut verbs: Vec<&'static str> = forms().map(|form| form.verb).collect();
    verbs.dedup();
    verbs
}

/// The forms of a verb.
pub(super) fn forms_of(verb: &str) -> impl Iterator<Item = &'static Form> {
    forms().filter(move |form| form.verb == verb)
}

/// Whether the verb makes a message filter, so that its `as` names the filter and not a store.
pub(super) fn is_filter(verb: &str) -> bool {
    forms_of(verb).any(|form| matches!(form.value, Shape::Messages))
}
