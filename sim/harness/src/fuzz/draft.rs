//! A scenario in the making: steps with their times, put in order at the end.

use std::collections::BTreeMap;

use raftsim_kernel::{Duration, Time};

use super::knobs::Tolerance;
use super::profile::Profile;
use super::setting::Setting;
use crate::scenario::{Action, Endpoint, Links, Scenario, Step, Target, When};

/// Steps that belong together: the first at a time, the others right after it.
#[derive(Clone, Debug)]
struct Cue {
    at: Time,
    steps: Vec<Step>,
}

/// A scenario in the making.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    pub(super) scenario: Scenario,
    cues: Vec<Cue>,
    /// How many names there are of each kind.
    names: BTreeMap<&'static str, u64>,
    /// How far clocks may be off, and how many jumps they may make.
    pub(super) clocks: Tolerance,
}

impl Draft {
    pub(super) fn new() -> Draft {
        Draft {
            scenario: Scenario::new(""),
            cues: Vec::new(),
            names: BTreeMap::new(),
            clocks: Tolerance::default(),
        }
    }

    /// Something happens at a time. If it cannot be done then, nothing does.
    pub(super) fn at(&mut self, time: Time, action: Action) {
        self.cues.push(Cue { at: time, steps: vec![step(Duration::ZERO, action)] });
    }

    /// Something happens, and is taken back, unless it lasts until the ending.
    pub(super) fn between(&mut self, (begin, end): (Time, Option<Time>), fault: Action, cure: Action) {
        self.at(begin, fault);
        if let Some(end) = end {
            self.at(end, cure);
        }
    }

    /// Things happen one after the other, each so long after the one before.
    pub(super) fn series(&mut self, time: Time, series: impl IntoIterator<Item = (Duration, Action)>) {
        let steps = series.into_iter().map(|(after, action)| step(after, action)).collect();
        self.cues.push(Cue { at: time, steps });
    }

    /// A name that no other step gives.
    pub(super) fn name(&mut self, kind: &'static str) -> String {
        let number = self.names.entry(kind).or_default();
        *number += 1;
        format!("{kind}-{number}")
    }

    /// The store of a step that is to be found again: a number stays what it is, for a word there is a name.
    pub(super) fn again(&mut self, kind: &'static str, target: &Target) -> (Option<String>, Target) {
        match target {
            Target::Store(_) => (None, target.clone()),
            _ => {
                let name = self.name(kind);
                (Some(name.clone()), Target::Named(name))
            }
        }
    }

    /// All steps in order; the story in a sentence.
    pub(super) fn finish(mut self, setting: &Setting, profile: &Profile, seed: u64, on: &[&str]) -> Scenario {
        // Stable: of things that happen at one time, what was drawn first happens first.
        self.cues.sort_by_key(|cue| cue.at);
        let last = self.cues.last().map_or(setting.end, |cue| cue.at.max(setting.end));
        for Cue { at, mut steps } in self.cues {
            if let Some(first) = steps.first_mut() {
                first.when = When::At(at);
            }
            self.scenario.steps.append(&mut steps);
        }
        self.scenario.steps.push(Step::at(last, Action::Sleep(setting.tick)));
        let with = if on.is_empty() { "no fault at all".to_owned() } else { on.join(", ") };
        self.scenario.about = format!("Seed {seed} of the profile {}: {with}.", profile.name);
        self.scenario.seed = seed;
        self.scenario
    }
}

/// A step so long after the one before; where its time may come and it cannot be executed, it is skipped then.
fn step(after: Duration, action: Action) -> Step {
    let when = if after == Duration::ZERO { When::Now } else { When::After(after) };
    let step = Step { when, ..Step::now(action) };
    if may_fail(&step.action) { step.if_any() } else { step }
}

/// Whether a step can find nobody, be refused, or wait in vain. What names stores by number cannot.
fn may_fail(action: &Action) -> bool {
    match action {
        Action::Crash { targets, .. }
        | Action::Restart { targets, .. }
        | Action::Pause { targets, .. }
        | Action::Resume { targets }
        | Action::Slow { targets, .. }
        | Action::Clock { targets, .. }
        | Action::HealDisk { targets }
        | Action::Isolate { targets, .. } => targets.iter().any(is_word),
        Action::Cut { from, to } | Action::Heal(Links::Between { from, to }) => {
            from.iter().chain(to).any(ends)
        }
        Action::Partition { groups, .. } => groups.iter().flatten().any(ends),
        Action::Network(change) => change.from.iter().chain(&change.to).flatten().any(ends),
        Action::Heal(Links::Of(list)) => list.iter().any(ends),
        Action::Filter(filter) => {
            filter.of.is_some() || filter.from.iter().chain(&filter.to).flatten().any(ends)
        }
        Action::Load(_)
        | Action::Clear(_)
        | Action::CrashPlacement
        | Action::RestartPlacement
        | Action::IsolatePlacement
        | Action::Clog(_)
        | Action::Unclog(_)
        | Action::Heal(Links::All)
        | Action::Sleep(_) => false,
        _ => true,
    }
}

/// Whether the run finds out who it is.
fn is_word(target: &Target) -> bool {
    !matches!(target, Target::Store(_) | Target::All | Target::Others)
}

fn ends(end: &Endpoint) -> bool {
    matches!(end, Endpoint::Stores(target) if is_word(target))
}
