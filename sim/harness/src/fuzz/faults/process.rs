//! Faults of processes and whole machines: crashes that lose what was not synced, power losses, storms of restarts, pauses,
//! slowness, lost disks, rolling changes of configuration, and a placement driver that goes away.

use raftsim_kernel::{Duration, Latency};

use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::setting::Setting;
use crate::scenario::{
    Action, Bytes, Endpoint, Insist, Links, Losing, Losses, Lost, MembershipChange, Overrides, RaftOverrides,
    RaftstoreOverrides, ReadIndexMode, ReadPath, Storm, System, Target, Transition,
};

/// What a crash takes. Where databases are synced apart, each may lose something else.
pub(super) fn losses(setting: &Setting, dice: &mut Dice) -> Losses {
    let mut lost = || {
        let newest = dice.between(1, 6);
        match dice.between(0, 4) {
            0 => Lost::Word(Losing::Nothing),
            1 => Lost::Newest(newest),
            2 => Lost::Word(Losing::Random),
            _ => Lost::Word(Losing::Unsynced),
        }
    };
    let (raft, kv, snapshots) = (lost(), lost(), lost());
    match setting.system {
        _ if dice.percent(50) => Losses::default(),
        System::Raftstore => Losses { raft, kv, snapshots },
        System::Raft => Losses::all(raft),
    }
}

fn restart(targets: Vec<Target>) -> Action {
    Action::Restart { targets, with: Overrides::default() }
}

/// Stores crash and come back later, or at once.
pub(super) fn crash(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (one, several) = (setting.store(dice), setting.some(dice));
    let targets = if dice.percent(50) { vec![one] } else { several };
    let (losing, (begin, end)) = (losses(setting, dice), setting.dwell(dice));
    let soon = begin + dice.part(setting.pulse(), 0, 10);
    let end = if dice.percent(30) { Some(soon) } else { end };
    let (name, again) = match targets.as_slice() {
        [target] => {
            let (name, again) = draft.again("crashed", target);
            (name, vec![again])
        }
        _ => (None, targets.clone()),
    };
    draft.between((begin, end), Action::Crash { targets, losing, name }, restart(again));
}

/// All stores lose power at once.
pub(super) fn blackout(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (begin, losing) = (setting.moment(dice), losses(setting, dice));
    let end = begin + dice.part(setting.pulse(), 0, 50);
    let crash = Action::Crash { targets: vec![Target::All], losing, name: None };
    draft.between((begin, Some(end)), crash, restart(vec![Target::All]));
}

/// Stores crash again and again, some before they have come to themselves.
pub(super) fn storm(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (begin, targets, losing) = (setting.moment(dice), setting.some(dice), losses(setting, dice));
    let mut span = |low, high| {
        let max = dice.part(setting.pulse(), low, high);
        Latency::Uniform { min: Duration::ZERO, max: max.max(Duration::millis(1)) }
    };
    let (up, down) = (span(2, 80), span(1, 30));
    draft.at(begin, Action::Storm(Storm { targets, times: dice.between(2, 5), up, down, losing }));
}

/// Processes stand still while time goes on.
pub(super) fn pause(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (target, span) = (setting.store(dice), setting.dwell(dice));
    let (name, again) = draft.again("paused", &target);
    draft.between(
        span,
        Action::Pause { targets: vec![target], name },
        Action::Resume { targets: vec![again] },
    );
}

/// Processes take long for everything.
pub(super) fn slow(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (targets, span) = (setting.some(dice), setting.dwell(dice));
    let mean = dice.part(setting.pulse(), 1, 8);
    let by = if dice.percent(50) {
        Latency::Constant(mean)
    } else {
        Latency::Exponential { min: Duration::ZERO, mean }
    };
    let cure = Action::Slow { targets: targets.clone(), by: Latency::Constant(Duration::ZERO) };
    draft.between(span, Action::Slow { targets, by }, cure);
}

/// A store loses its disk and comes back as a new one. Where no driver sees to it, an operator takes the old member out of
/// the group and the new one in.
pub(super) fn wipe(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (store, of) = (Target::Store(dice.between(1, setting.stores)), setting.of(dice));
    let (begin, gap) = (setting.moment(dice), dice.part(setting.pulse(), 0, 100));
    let (replaced, patience) = (dice.percent(70), setting.patience(dice));
    let mut series = vec![
        (Duration::ZERO, Action::Wipe { targets: vec![store.clone()] }),
        (gap, restart(vec![store.clone()])),
    ];
    if replaced {
        let change = |add: Vec<Target>, remove: Vec<Target>| Action::Change {
            of: of.clone(),
            change: MembershipChange::Members {
                add,
                learn: Vec::new(),
                remove,
                transition: Transition::Auto,
            },
            via: None,
            insist: Insist::Within(patience),
        };
        series.push((gap, change(Vec::new(), vec![store.clone()])));
        series.push((gap, change(vec![store], Vec::new())));
    }
    draft.series(begin, series);
}

/// Stores restart one after the other with other settings, as in a rolling change.
pub(super) fn reconfigure(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let with = overrides(draft, setting, dice);
    let everywhere = if dice.percent(50) { setting.stores } else { 1 };
    let stores = dice.some(&setting.all(), everywhere);
    let mut at = setting.moment(dice);
    for store in stores {
        draft.at(at, Action::Restart { targets: vec![Target::Store(store)], with: with.clone() });
        at += dice.part(setting.pulse(), 10, 200);
    }
}

/// Some other knobs. What leases rest on stays alike on all.
fn overrides(draft: &Draft, setting: &Setting, dice: &mut Dice) -> Overrides {
    let leases = draft.scenario.raft.read_index == ReadIndexMode::Lease;
    let mut some = || dice.percent(30);
    let chosen: [bool; 8] = std::array::from_fn(|_| some());
    let [beat, inflight, message, committed, reads, gc, chunk, early] = chosen;
    let size = |list: &[u64], dice: &mut Dice| Bytes::new(dice.pick(list));
    let raft = RaftOverrides {
        heartbeat_ticks: Some(dice.small(1, (setting.election_ticks / 2).max(1))).filter(|_| beat),
        max_inflight: Some(dice.pick(&[1, 2, 256])).filter(|_| inflight),
        max_message_size: Some(size(&[1, 100, 1 << 20], dice)).filter(|_| message),
        max_committed_size: Some(size(&[1, 100, 1 << 20], dice)).filter(|_| committed),
        apply_unpersisted: Some(dice.percent(50)).filter(|_| early && setting.system == System::Raft),
        ..RaftOverrides::default()
    };
    let paths = [ReadPath::Log, ReadPath::Index];
    let raftstore = RaftstoreOverrides {
        reads: Some(dice.pick(&paths)).filter(|_| reads && !leases),
        log_gc_count_limit: Some(dice.pick(&[1, 10, 1_000])).filter(|_| gc),
        log_gc_threshold: Some(dice.pick(&[1, 10])).filter(|_| gc),
        snapshot_chunk_size: Some(Bytes::new(setting.bulk() / dice.pick(&[1, 20, 80]) + 1)).filter(|_| chunk),
        snapshot_window: Some(dice.pick(&[1, 3])).filter(|_| chunk),
        ..RaftstoreOverrides::default()
    };
    match setting.system {
        System::Raftstore => Overrides { raft, raftstore },
        System::Raft => Overrides { raft, ..Overrides::default() },
    }
}

/// The placement driver crashes, or is cut off.
pub(super) fn driver(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (crashes, span) = (dice.percent(60), setting.dwell(dice));
    if setting.placement.is_none() {
        return;
    }
    if crashes {
        draft.between(span, Action::CrashPlacement, Action::RestartPlacement);
    } else {
        let cure = Action::Heal(Links::Of(vec![Endpoint::Placement]));
        draft.between(span, Action::IsolatePlacement, cure);
    }
}
