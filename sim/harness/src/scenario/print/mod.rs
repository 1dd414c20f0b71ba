//! From [`Scenario`] to text: the canonical file.
//!
//! `parse(print(s)) == s`. What is default is left out, keys are aligned, a step is a line: its time first, then
//! its verb, then its options in the order of the grammar.

mod looks;
mod operations;

use super::ast::{
    Action, Answer, DEFAULT_WITHIN, Effect, Ending, Endpoint, Filter, FilterRef, Heal, Insist, Keys, Losing,
    Losses, Lost, MembershipChange, MessageKind, NetworkChange, PlacementConfig, Scenario, Step, System,
    Target, Transition, When,
};
use super::config::Section;
use looks::{expect, wait};
use operations::{background, operation};
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
        if let Some(placement) = &self.placement {
            push_driver(&mut top, placement);
        }
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

/// The placement driver: its mode is said, so that the table is never empty.
fn push_driver(top: &mut Vec<Pair>, placement: &PlacementConfig) {
    let default = PlacementConfig::default().written();
    let said = |field: &Pair| field.0 == "mode" || !default.contains(field);
    top.push((
        PlacementConfig::KEY,
        table(&placement.written().into_iter().filter(said).collect::<Vec<_>>()),
    ));
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
            if *losing != Losses::default() {
                out.push(("losing", losses(losing)));
            }
            push_name(&mut out, name);
            out
        }
        Action::CrashPlacement => vec![("crash", quoted("placement"))],
        Action::RestartPlacement => vec![("restart", quoted("placement"))],
        Action::IsolatePlacement => vec![("isolate", quoted("placement"))],
        Action::Pause { targets, name } => {
            let mut out = vec![("pause", one_or_array(targets, target))];
            push_name(&mut out, name);
            out
        }
        Action::Resume { targets } => vec![("resume", one_or_array(targets, target))],
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
        Action::Campaign { of, target: store, name } => {
            let mut out = vec![("campaign", target(store))];
            push_of(&mut out, of);
            push_name(&mut out, name);
            out
        }
        Action::Transfer { of, target: store, via, name } => {
            let mut out = vec![("transfer", target(store))];
            push_of(&mut out, of);
            push(&mut out, "via", via.as_ref().map(target));
            push_name(&mut out, name);
            out
        }
        Action::Change { of, change, via, insist } => membership(change, of, via.as_ref(), *insist),
        Action::Split { keys: at, insist } => {
            let mut out = vec![("split", keys(at))];
            push_insist(&mut out, *insist);
            out
        }
        Action::ForgetLeader { targets } => vec![("forget-leader", one_or_array(targets, target))],
        Action::RequestSnapshot { target: store } => vec![("request-snapshot", target(store))],
        Action::Compact { of, targets } => {
            let mut out = vec![("compact", one_or_array(targets, target))];
            push_of(&mut out, of);
            out
        }
        Action::Clock { targets, drift } => {
            vec![("clock", one_or_array(targets, target)), ("drift", quoted(&drift.to_string()))]
        }
        Action::Name { target: store, name } => vec![("name", target(store)), ("as", quoted(name))],
        Action::Expect(expectation) => expect(expectation),
    }
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
    push_of(&mut out, &filter.of);
    push_ends(&mut out, filter.from.as_deref(), filter.to.as_deref());
    if filter.skip > 0 {
        out.push(("skip", filter.skip.to_string()));
    }
    push(&mut out, "count", filter.count.as_ref().map(u64::to_string));
    push_name(&mut out, &filter.name);
    out
}

fn losses(losses: &Losses) -> String {
    let Losses { raft, kv, snapshots } = losses;
    if raft == kv && kv == snapshots {
        return lost(raft);
    }
    let each = [("raft", raft), ("kv", kv), ("snapshots", snapshots)];
    let some = each.into_iter().filter(|(_, loss)| **loss != Lost::Word(Losing::Nothing));
    table(&some.map(|(database, loss)| (database, lost(loss))).collect::<Vec<_>>())
}

fn lost(lost: &Lost) -> String {
    match lost {
        Lost::Word(word) => quoted(&word.to_string()),
        Lost::Newest(n) => n.to_string(),
    }
}

fn membership(
    change: &MembershipChange,
    of: &Option<String>,
    via: Option<&Target>,
    insist: Insist,
) -> Vec<Pair> {
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
    push_of(&mut out, of);
    push(&mut out, "via", via.map(target));
    push_insist(&mut out, insist);
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

fn push_insist(out: &mut Vec<Pair>, insist: Insist) {
    match insist {
        Insist::Within(within) => push_within(out, within),
        Insist::Refused => out.push(("refused", "true".to_owned())),
    }
}

/// The key of the region that is meant.
fn push_of(out: &mut Vec<Pair>, of: &Option<String>) {
    push(out, "of", of.as_ref().map(|key| quoted(key)));
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
            Target::FollowerOf(key) => write!(f, "follower of {key}"),
            Target::Followers => f.write_str("followers"),
            Target::FollowersOf(key) => write!(f, "followers of {key}"),
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
            Endpoint::Placement => f.write_str("placement"),
        }
    }
}

impl fmt::Display for Step {
    /// The step as it stands in a file, without the braces.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", pin(self), pairs(&action(&self.action)))
    }
}
