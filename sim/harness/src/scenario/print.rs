//! From [`Scenario`] to text: the canonical file.
//!
//! `parse(print(s)) == s`. What is default is left out, keys are aligned, a step is a line: its time first, then
//! its verb, then its options in the order of the grammar.

use super::ast::{
    Action, Answer, Compares, Condition, DEFAULT_WITHIN, Effect, Ending, Endpoint, Expectation, Filter,
    FilterRef, Heal, Insist, Issuer, Keys, Leader, Load, Losing, Members, MembershipChange, MessageKind, Mix,
    NetworkChange, Operate, Operation, ScanRange, Scenario, Step, System, Target, Transition, When,
};
use super::config::Section;
use raftsim_kernel::Duration;
use std::fmt;

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut top = vec![("about", quoted(&self.about))];
        if self.seed != 0 {
            top.push(("seed", self.seed.to_string()));
        }
        if self.ending != Ending::Heal {
            top.push(("ending", quoted(&self.ending.to_string())));
        }
        if self.system != System::Raftstore {
            top.push(("system", quoted(&self.system.to_string())));
        }
        push_section(&mut top, &self.cluster);
        push_section(&mut top, &self.raft);
        push_section(&mut top, &self.raftstore);
        push_section(&mut top, &self.bare);
        push_section(&mut top, &self.network);
        push_section(&mut top, &self.disk);
        push_section(&mut top, &self.client);
        push_section(&mut top, &self.limits);
        let width = top.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
        for (key, value) in &top {
            writeln!(f, "{key:width$} = {value}")?;
        }
        if self.steps.is_empty() {
            return writeln!(f, "\nsteps = []");
        }
        writeln!(f, "\nsteps = [")?;
        let pins = self.steps.iter().map(|step| pin(step).len());
        let width = pins.max().unwrap_or(0);
        for step in &self.steps {
            let pin = pin(step);
            let width = if pin.is_empty() { 0 } else { width };
            writeln!(f, "  {{ {pin:width$}{} }},", pairs(&action(&step.action)))?;
        }
        writeln!(f, "]")
    }
}

/// A key with its value as TOML.
type Pair = (&'static str, String);

/// The text as a TOML string on one line.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

fn pairs(pairs: &[Pair]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(key, value)| format!("{key} = {value}")).collect();
    pairs.join(", ")
}

fn table(fields: &[Pair]) -> String {
    format!("{{ {} }}", pairs(fields))
}

/// The fields that are not default, if any.
fn push_section<S: Section>(top: &mut Vec<Pair>, section: &S) {
    let default = S::default().written();
    let changed: Vec<Pair> = section.written().into_iter().filter(|field| !default.contains(field)).collect();
    if !changed.is_empty() {
        top.push((S::KEY, table(&changed)));
    }
}

/// When the step starts, with the comma that follows.
fn pin(step: &Step) -> String {
    match step.when {
        When::Now => String::new(),
        When::At(time) => format!("at = \"{time}\", "),
        When::After(delay) => format!("after = \"{delay}\", "),
    }
}

/// The verb and its options.
fn action(action: &Action) -> Vec<Pair> {
    match action {
        Action::Sleep(duration) => vec![("wait", quoted(&duration.to_string()))],
        Action::Wait { condition, within } => wait(condition, *within),
        Action::Operate(operate) => operation(operate),
        Action::Load(load) => background(load),
        Action::Crash { targets, losing, name } => {
            let mut out = vec![("crash", one_or_array(targets, target))];
            if *losing != Losing::Random {
                out.push(("losing", quoted(&losing.to_string())));
            }
            push_name(&mut out, name);
            out
        }
        Action::Restart { targets } => vec![("restart", one_or_array(targets, target))],
        Action::Partition { groups, name } => {
            let groups: Vec<String> = groups.iter().map(|group| array(group, endpoint)).collect();
            let mut out = vec![("partition", format!("[{}]", groups.join(", ")))];
            push_name(&mut out, name);
            out
        }
        Action::Isolate { targets, clients, name } => {
            let mut out = vec![("isolate", one_or_array(targets, target))];
            if *clients {
                out.push(("clients", "true".to_owned()));
            }
            push_name(&mut out, name);
            out
        }
        Action::Cut { from, to } => vec![("cut", link(from, to))],
        Action::Heal(Heal::All) => vec![("heal", quoted("all"))],
        Action::Heal(Heal::Of(endpoints)) => vec![("heal", one_or_array(endpoints, endpoint))],
        Action::Heal(Heal::Between { from, to }) => vec![("heal", link(from, to))],
        Action::Network(change) => network(change),
        Action::Filter(spec) => filter(spec),
        Action::Release(which) => vec![("release", filter_ref(which))],
        Action::Clear(which) => vec![("clear", filter_ref(which))],
        Action::Campaign { target: store, name } => {
            let mut out = vec![("campaign", target(store))];
            push_name(&mut out, name);
            out
        }
        Action::Transfer { target: store, via, name } => {
            let mut out = vec![("transfer", target(store))];
            push(&mut out, "via", via.as_ref().map(target));
            push_name(&mut out, name);
            out
        }
        Action::Change { change, via, insist } => membership(change, via.as_ref(), *insist),
        Action::ForgetLeader { targets } => vec![("forget-leader", one_or_array(targets, target))],
        Action::RequestSnapshot { target: store } => vec![("request-snapshot", target(store))],
        Action::Compact { targets } => vec![("compact", one_or_array(targets, target))],
        Action::Clock { targets, drift } => {
            vec![("clock", one_or_array(targets, target)), ("drift", quoted(&drift.to_string()))]
        }
        Action::Name { target: store, name } => vec![("name", target(store)), ("as", quoted(name))],
        Action::Expect(expectation) => expect(expectation),
    }
}

fn wait(condition: &Condition, within: Duration) -> Vec<Pair> {
    let mut out = Vec::new();
    match condition {
        Condition::Leader(leader) => push_leader(&mut out, "wait", leader),
        Condition::NoLeader => out.push(("wait", quoted("no-leader"))),
        Condition::Acked { client } => {
            out.push(("wait", quoted("acked")));
            push(&mut out, "client", client.as_ref().map(u32::to_string));
        }
        Condition::Load => out.push(("wait", quoted("load"))),
        Condition::Applied => out.push(("wait", quoted("applied"))),
        Condition::ReplicasEqual => out.push(("wait", quoted("replicas-equal"))),
        Condition::Reaches { gauge, on, value } => {
            out.push(("wait", quoted(&gauge.to_string())));
            out.push(("reaches", value.to_string()));
            push_some(&mut out, "on", on);
        }
        Condition::Role { on, is } => {
            out.extend([
                ("wait", quoted("role")),
                ("on", one_or_array(on, target)),
                ("is", quoted(&is.to_string())),
            ]);
        }
        Condition::Acted { filter, count } => {
            out.extend([
                ("wait", quoted("dropped")),
                ("filter", quoted(filter)),
                ("count", count.to_string()),
            ]);
        }
        Condition::Members(which) => push_members(&mut out, "wait", which),
        Condition::LogTruncated { past } => {
            out.extend([("wait", quoted("log-truncated")), ("past", target(past))]);
        }
        Condition::SnapshotApplied { on, count } => {
            out.extend([("wait", quoted("snapshot-applied")), ("on", one_or_array(on, target))]);
            out.extend((*count != 1).then(|| ("count", count.to_string())));
        }
    }
    push_within(&mut out, within);
    out
}

fn operation(operate: &Operate) -> Vec<Pair> {
    let mut out = Vec::new();
    match &operate.operation {
        Operation::Put { keys: k, value } => out.extend([("put", keys(k)), ("value", quoted(value))]),
        Operation::Append { keys: k, value } => out.extend([("append", keys(k)), ("value", quoted(value))]),
        Operation::Delete { keys: k } => out.push(("delete", keys(k))),
        Operation::Get { key, answer } => {
            out.push(("get", quoted(key)));
            out.extend(answer.as_ref().map(answer_pair));
        }
        Operation::Cas { key, from, to, succeeds } => {
            out.push(("cas", quoted(key)));
            push(&mut out, "from", from.as_ref().map(|from| quoted(from)));
            out.push(("to", quoted(to)));
            push(&mut out, "succeeds", succeeds.as_ref().map(bool::to_string));
        }
        Operation::Scan { range, limit } => {
            let range = match range {
                ScanRange::All => quoted("all"),
                ScanRange::Range { start, end } => quoted(&format!("{start}..{end}")),
            };
            out.push(("scan", range));
            push(&mut out, "limit", limit.as_ref().map(u64::to_string));
        }
    }
    if let Issuer::Client(client) = operate.issuer {
        out.push(("client", client.to_string()));
    }
    push(&mut out, "via", operate.via.as_ref().map(target));
    if let Issuer::Scenario { within } = operate.issuer {
        push_within(&mut out, within);
    }
    out
}

fn background(load: &Load) -> Vec<Pair> {
    let default = Load::lasting(load.duration);
    let mut out = vec![("load", quoted(&load.duration.to_string()))];
    if load.clients != default.clients {
        out.push(("clients", load.clients.to_string()));
    }
    if load.keys != default.keys {
        out.push(("keys", load.keys.to_string()));
    }
    if load.mix != default.mix {
        out.push(("mix", mix(&load.mix)));
    }
    if load.value_size != default.value_size {
        out.push(("value-size", quoted(&load.value_size.to_string())));
    }
    push(&mut out, "ops", load.ops.as_ref().map(u64::to_string));
    out
}

fn mix(mix: &Mix) -> String {
    let Mix { put, get, append, delete, cas, scan } = mix;
    let weights =
        [("put", put), ("get", get), ("append", append), ("delete", delete), ("cas", cas), ("scan", scan)];
    let given: Vec<Pair> =
        weights.into_iter().filter(|(_, w)| **w > 0).map(|(key, weight)| (key, weight.to_string())).collect();
    table(&given)
}

fn network(change: &NetworkChange) -> Vec<Pair> {
    let mut fields = Vec::new();
    push(&mut fields, "latency", change.latency.as_ref().map(|l| quoted(&l.to_string())));
    push(&mut fields, "loss", change.loss.as_ref().map(|p| quoted(&p.to_string())));
    push(&mut fields, "duplicate", change.duplicate.as_ref().map(|p| quoted(&p.to_string())));
    push(&mut fields, "reorder", change.reorder.as_ref().map(|p| quoted(&p.to_string())));
    let mut out = vec![("network", table(&fields))];
    push_ends(&mut out, change.from.as_deref(), change.to.as_deref());
    out
}

fn filter(filter: &Filter) -> Vec<Pair> {
    let messages = one_or_array(&filter.messages, |kind: &MessageKind| quoted(&kind.to_string()));
    let mut out = match filter.effect {
        Effect::Drop => vec![("drop", messages)],
        Effect::Delay { by } => vec![("delay", messages), ("by", quoted(&by.to_string()))],
        Effect::Hold => vec![("hold", messages)],
        Effect::Duplicate { times: 1 } => vec![("duplicate", messages)],
        Effect::Duplicate { times } => vec![("duplicate", messages), ("times", times.to_string())],
    };
    push_ends(&mut out, filter.from.as_deref(), filter.to.as_deref());
    if filter.skip > 0 {
        out.push(("skip", filter.skip.to_string()));
    }
    push(&mut out, "count", filter.count.as_ref().map(u64::to_string));
    push_name(&mut out, &filter.name);
    out
}

fn membership(change: &MembershipChange, via: Option<&Target>, insist: Insist) -> Vec<Pair> {
    let mut out = Vec::new();
    match change {
        MembershipChange::Leave => out.push(("change", quoted("leave"))),
        MembershipChange::Members { add, learn, remove, transition } => {
            let fields = [("add", add), ("learn", learn), ("remove", remove)];
            let given = fields.into_iter().filter(|(_, stores)| !stores.is_empty());
            let given: Vec<Pair> = given.map(|(key, stores)| (key, one_or_array(stores, target))).collect();
            out.push(("change", table(&given)));
            if *transition != Transition::Auto {
                out.push(("transition", quoted(&transition.to_string())));
            }
        }
    }
    push(&mut out, "via", via.map(target));
    match insist {
        Insist::Within(within) => push_within(&mut out, within),
        Insist::Refused => out.push(("refused", "true".to_owned())),
    }
    out
}

fn expect(expectation: &Expectation) -> Vec<Pair> {
    let mut out = Vec::new();
    let what = |word: &str| ("expect", quoted(word));
    match expectation {
        Expectation::Leader(leader) => push_leader(&mut out, "expect", leader),
        Expectation::NoLeader => out.push(what("no-leader")),
        Expectation::ReplicasEqual => out.push(what("replicas-equal")),
        Expectation::Acked { client } => {
            out.push(what("acked"));
            push(&mut out, "client", client.as_ref().map(u32::to_string));
        }
        Expectation::Unacked { client } => {
            out.push(what("unacked"));
            push(&mut out, "client", client.as_ref().map(u32::to_string));
        }
        Expectation::Value { key, answer } => {
            out.extend([what("value"), ("key", quoted(key)), answer_pair(answer)]);
        }
        Expectation::Gauge { gauge, on, compares } => {
            out.push(("expect", quoted(&gauge.to_string())));
            push_some(&mut out, "on", on);
            out.push(match compares {
                Compares::Is(n) => ("is", n.to_string()),
                Compares::Reaches(n) => ("reaches", n.to_string()),
                Compares::Below(n) => ("below", n.to_string()),
            });
        }
        Expectation::Role { on, is } => {
            out.extend([what("role"), ("on", one_or_array(on, target)), ("is", quoted(&is.to_string()))]);
        }
        Expectation::Members(which) => push_members(&mut out, "expect", which),
        Expectation::Violation { of } => out.extend([what("violation"), ("of", quoted(&of.to_string()))]),
    }
    out
}

fn push(out: &mut Vec<Pair>, key: &'static str, value: Option<String>) {
    out.extend(value.map(|value| (key, value)));
}

fn push_within(out: &mut Vec<Pair>, within: Duration) {
    if within != DEFAULT_WITHIN {
        out.push(("within", quoted(&within.to_string())));
    }
}

fn push_name(out: &mut Vec<Pair>, name: &Option<String>) {
    push(out, "as", name.as_ref().map(|name| quoted(name)));
}

fn push_ends(out: &mut Vec<Pair>, from: Option<&[Endpoint]>, to: Option<&[Endpoint]>) {
    push(out, "from", from.map(|from| one_or_array(from, endpoint)));
    push(out, "to", to.map(|to| one_or_array(to, endpoint)));
}

/// Targets, unless there are none.
fn push_some(out: &mut Vec<Pair>, key: &'static str, targets: &[Target]) {
    push(out, key, (!targets.is_empty()).then(|| one_or_array(targets, target)));
}

fn push_leader(out: &mut Vec<Pair>, verb: &'static str, leader: &Leader) {
    out.push((verb, quoted("leader")));
    push_some(out, "on", &leader.on);
    push_some(out, "not", &leader.not);
}

fn push_members(out: &mut Vec<Pair>, verb: &'static str, members: &Members) {
    out.push((verb, quoted("members")));
    push_some(out, "on", &members.on);
    push(out, "voters", members.voters.as_ref().map(|voters| one_or_array(voters, target)));
    push(out, "learners", members.learners.as_ref().map(|learners| one_or_array(learners, target)));
    push(out, "joint", members.joint.as_ref().map(bool::to_string));
}

fn answer_pair(answer: &Answer) -> Pair {
    match answer {
        Answer::Is(value) => ("is", quoted(value)),
        Answer::Absent => ("absent", "true".to_owned()),
    }
}

fn link(from: &[Endpoint], to: &[Endpoint]) -> String {
    table(&[("from", one_or_array(from, endpoint)), ("to", one_or_array(to, endpoint))])
}

pub(super) fn array<T>(items: &[T], print: fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(print).collect::<Vec<_>>().join(", "))
}

fn one_or_array<T>(items: &[T], print: fn(&T) -> String) -> String {
    match items {
        [one] => print(one),
        _ => array(items, print),
    }
}

fn keys(keys: &Keys) -> String {
    match keys {
        Keys::One(key) => quoted(key),
        Keys::Numbered { prefix, first, last } => quoted(&format!("{prefix}{first}..{prefix}{last}")),
    }
}

fn target(target: &Target) -> String {
    match target {
        Target::Store(number) => number.to_string(),
        word => quoted(&word.to_string()),
    }
}

fn endpoint(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Stores(stores) => target(stores),
        clients => quoted(&clients.to_string()),
    }
}

fn filter_ref(which: &FilterRef) -> String {
    match which {
        FilterRef::All => quoted("all"),
        FilterRef::Named(name) => quoted(name),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Store(number) => write!(f, "{number}"),
            Target::Leader => f.write_str("leader"),
            Target::LeaderOf(key) => write!(f, "leader of {key}"),
            Target::Follower => f.write_str("follower"),
            Target::Followers => f.write_str("followers"),
            Target::All => f.write_str("all"),
            Target::Others => f.write_str("others"),
            Target::Named(name) => f.write_str(name),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Stores(target) => target.fmt(f),
            Endpoint::Client(number) => write!(f, "client {number}"),
            Endpoint::Clients => f.write_str("clients"),
        }
    }
}

impl fmt::Display for Step {
    /// The step as it stands in a file, without the braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", pin(self), pairs(&action(&self.action)))
    }
}
