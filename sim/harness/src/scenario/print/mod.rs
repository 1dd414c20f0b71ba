//! From [`Scenario`] to text: the canonical file.
//!
//! `parse(print(s)) == s`. What is default is left out, keys are aligned, a step is a line: its time first, then
//! its verb, then its options in the order of the grammar.

mod faults;
mod looks;
mod operations;

use super::ast::{
    Action, Answer, Budget, DEFAULT_WITHIN, Ending, Endpoint, FilterRef, Insist, Keys, MembershipChange,
    PlacementConfig, Scenario, Step, System, Target, Transition, When,
};
use super::config::Section;
use faults::fault;
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
        push(&mut top, "core", self.core.as_ref().map(|core| array(core, u64::to_string)));
        if self.budget != Budget::Safe {
            top.push(("budget", quoted(&self.budget.to_string())));
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
        push_section(&mut top, &self.clocks);
        push_section(&mut top, &self.process);
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
            writeln!(f, "  {{ {pin:width$}{} }},", body(step))?;
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

/// A step but for its time: its verb and the options.
fn body(step: &Step) -> String {
    let mut out = action(&step.action);
    if step.lenient {
        out.push(("if-any", "true".to_owned()));
    }
    pairs(&out)
}

/// The verb and its options.
fn action(action: &Action) -> Vec<Pair> {
    match action {
        Action::Sleep(duration) => vec![("wait", quoted(&duration.to_string()))],
        Action::Wait { condition, within } => wait(condition, *within),
        Action::Operate(operate) => operation(operate),
        Action::Load(load) => background(load),
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
        Action::Name { target: store, name } => vec![("name", target(store)), ("as", quoted(name))],
        Action::Expect(expectation) => expect(expectation),
        // Everything that goes wrong, and what takes it back.
        action => fault(action),
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
        write!(f, "{}{}", pin(self), body(self))
    }
}
