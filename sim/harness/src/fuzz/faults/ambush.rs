//! Faults that lie in wait: something is about to happen, or has just begun, and right then a store fails.
//!
//! What one crash in a thousand hits by chance, these hit every time: between two writes that belong together, in the middle
//! of a snapshot, inside a joint configuration, right after an election.

use raftsim_kernel::Duration;

use super::partition::ends;
use super::process::losses;
use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::setting::Setting;
use crate::scenario::{
    Action, Condition, Gauge, Leader, Links, Members, Overrides, RecordKind, Role, System, Target,
};

/// Waits for a moment, and lets a store fail.
pub(super) fn ambush(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, within) = (setting.moment(dice), setting.patience(dice));
    let store = Target::Store(dice.between(1, setting.stores));
    let (condition, victim) = situation(setting, store, dice);
    let (fault, cure) = blow(draft, setting, victim, dice);
    // Right then, or a few messages later.
    let (at_once, beat) = (dice.percent(60), dice.part(setting.pulse(), 0, 10));
    let after = if at_once { Duration::ZERO } else { beat };
    let rest = dice.part(setting.pulse(), 5, 150);
    draft.series(at, [(Duration::ZERO, Action::Wait { condition, within }), (after, fault), (rest, cure)]);
}

/// What to wait for, and who is to fail then.
fn situation(setting: &Setting, store: Target, dice: &mut Dice) -> (Condition, Target) {
    let of = setting.of(dice);
    let leader = match &of {
        Some(key) => Target::LeaderOf(key.clone()),
        None => Target::Leader,
    };
    match dice.between(0, 9) {
        0 => (Condition::Leader(Leader { of, ..Leader::default() }), leader),
        1 => (Condition::NoLeader { of }, store),
        2 => (Condition::Members(Members { of, joint: Some(true), ..Members::default() }), leader),
        3 => (Condition::Role { of, on: vec![store.clone()], is: Role::Candidate }, store),
        4 => (Condition::LogTruncated { of, past: store.clone() }, store),
        5 => (reaches(Gauge::Term, of, &store, dice.between(2, 12)), store),
        _ if setting.system == System::Raft => {
            let gauge = dice.pick(&[Gauge::Commit, Gauge::LastIndex, Gauge::AppliedIndex, Gauge::Truncated]);
            (reaches(gauge, of, &store, dice.between(2, 60)), store)
        }
        _ => {
            let (what, count, durable) = (record(dice), dice.between(1, 3), dice.percent(30));
            (Condition::Wrote { of: None, on: store.clone(), what, count, durable }, store)
        }
    }
}

fn reaches(gauge: Gauge, of: Option<String>, store: &Target, value: u64) -> Condition {
    Condition::Reaches { gauge, of, on: vec![store.clone()], value }
}

/// A write that something else has to follow.
fn record(dice: &mut Dice) -> RecordKind {
    use RecordKind::{
        ApplyState, Applying, Birth, BirthGone, Chunk, ChunkGone, Data, DataGone, Log, LogGone, RaftState,
        RaftStateGone, Region, SnapshotRecord, SnapshotRecordGone, Tombstone, Truncated,
    };
    let log = [Log, LogGone, RaftState, RaftStateGone, ApplyState, Truncated];
    let region = [Region, Applying, Tombstone, Birth, BirthGone, Data, DataGone];
    let snapshot = [SnapshotRecord, SnapshotRecordGone, Chunk, ChunkGone];
    match dice.between(0, 2) {
        0 => dice.pick(&log),
        1 => dice.pick(&region),
        _ => dice.pick(&snapshot),
    }
}

/// How a store fails, and what makes it good.
fn blow(draft: &mut Draft, setting: &Setting, victim: Target, dice: &mut Dice) -> (Action, Action) {
    let losing = losses(setting, dice);
    let (name, again) = draft.again("ambushed", &victim);
    let targets = vec![victim];
    match dice.between(0, 9) {
        0 => (Action::Pause { targets, name }, Action::Resume { targets: vec![again] }),
        1 | 2 => {
            let cure = Action::Heal(Links::Of(ends(&[again])));
            (Action::Isolate { targets, clients: false, name }, cure)
        }
        _ => {
            let cure = Action::Restart { targets: vec![again], with: Overrides::default() };
            (Action::Crash { targets, losing, name }, cure)
        }
    }
}
