//! Faults of disks: slow, stalled and full ones, I/O errors, bit rot.

use raftsim_kernel::{Duration, Latency};

use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::setting::Setting;
use crate::scenario::{
    Action, Bytes, Database, DiskChange, DiskOperation, Overrides, RecordKind, System, Target,
};

/// The disks of some stores change for a while.
fn change(draft: &mut Draft, setting: &Setting, dice: &mut Dice, fault: DiskChange) {
    let (targets, span) = (setting.some(dice), setting.dwell(dice));
    let fault = Action::Disk(DiskChange { targets: targets.clone(), ..fault });
    draft.between(span, fault, Action::HealDisk { targets });
}

/// Syncs, reads, writes and background work take long.
pub(super) fn slow(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let pulse = setting.pulse();
    let mut latency = |low, high| {
        let (is_slow, spread) = (dice.percent(60), dice.percent(50));
        let mean = dice.part(pulse, low, high).max(Duration::micros(100));
        let latency = if spread {
            Latency::Exponential { min: Duration::ZERO, mean }
        } else {
            Latency::Uniform { min: Duration::ZERO, max: mean * 2 }
        };
        is_slow.then_some(latency)
    };
    let (sync, task) = (latency(5, 150), latency(5, 150));
    // These keep the process busy, so they must be shorter by far.
    let (read, write) = (latency(0, 4), latency(0, 4));
    let sync =
        sync.or_else(|| Some(Latency::Constant(pulse)).filter(|_| (task, read, write) == (None, None, None)));
    change(draft, setting, dice, DiskChange { sync, task, read, write, ..DiskChange::default() });
}

/// Nothing that is asked of a disk is done until it comes to itself.
pub(super) fn stall(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    change(draft, setting, dice, DiskChange { stalled: Some(true), ..DiskChange::default() });
}

/// Disks are full, and stores stop. Once there is room they are started again.
pub(super) fn full(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let capacity = Some(Bytes::new(dice.pick(&[500, 2_000, 5_000, 20_000])));
    stopping(draft, setting, dice, |targets| {
        Action::Disk(DiskChange { targets, capacity, ..DiskChange::default() })
    });
}

/// Operations of disks fail: some in a row, or a share of them. Stores stop, and are started again on healthy disks.
pub(super) fn error(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (share, count) = (dice.share(500, 100_000), dice.between(1, 3));
    let what =
        dice.pick(&[DiskOperation::Sync, DiskOperation::Sync, DiskOperation::Write, DiskOperation::Read]);
    let databases: &[Database] = match setting.system {
        System::Raftstore => &[Database::Raft, Database::Kv, Database::Snapshots],
        System::Raft => &[Database::Raft],
    };
    let db = Some(dice.pick(databases)).filter(|_| dice.percent(60));
    let in_a_row = dice.percent(60);
    stopping(draft, setting, dice, |targets| match what {
        _ if in_a_row => Action::Fail { targets, what, db, count },
        DiskOperation::Sync => {
            Action::Disk(DiskChange { targets, sync_errors: Some(share), ..DiskChange::default() })
        }
        DiskOperation::Write => {
            Action::Disk(DiskChange { targets, write_errors: Some(share), ..DiskChange::default() })
        }
        DiskOperation::Read => {
            Action::Disk(DiskChange { targets, bad: Some(share), ..DiskChange::default() })
        }
    });
}

/// A fault that makes stores stop, so that its end is a healthy disk and a restart.
fn stopping(draft: &mut Draft, setting: &Setting, dice: &mut Dice, fault: impl Fn(Vec<Target>) -> Action) {
    let (targets, (begin, end)) = (setting.some(dice), setting.dwell(dice));
    draft.at(begin, fault(targets.clone()));
    if let Some(end) = end {
        let restart = Action::Restart { targets: targets.clone(), with: Overrides::default() };
        draft.series(end, [(Duration::ZERO, Action::HealDisk { targets }), (Duration::ZERO, restart)]);
    }
}

/// A record rots on a disk. The store finds out when it reads that, perhaps as it starts.
pub(super) fn rot(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    use RecordKind::{ApplyState, Chunk, Data, Log, RaftState, Region, SnapshotRecord, Tombstone};
    let kinds: &[RecordKind] = match setting.system {
        System::Raftstore => {
            &[Log, RaftState, ApplyState, Region, Data, Data, Chunk, SnapshotRecord, Tombstone]
        }
        System::Raft => &[Log, RaftState, ApplyState],
    };
    let (what, at, of) = (dice.pick(kinds), setting.moment(dice), setting.of(dice));
    let target = Target::Store(dice.between(1, setting.stores));
    let (restarts, later) = (dice.percent(60), dice.part(setting.pulse(), 0, 100));
    let mut series = vec![(Duration::ZERO, Action::Rot { targets: vec![target.clone()], what, of })];
    if restarts {
        series.push((later, Action::Restart { targets: vec![target], with: Overrides::default() }));
    }
    draft.series(at, series);
}
