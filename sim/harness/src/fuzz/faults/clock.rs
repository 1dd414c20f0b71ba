//! Faults of clocks: off from the start, too fast, too slow, jumping. As far as leases bear it.

use raftsim_kernel::{Drift, Duration, Ppm};

use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::setting::Setting;
use crate::scenario::{Action, SignedDuration};

/// Clocks tell different times from the start. Nobody may care.
pub(super) fn offset(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    draft.scenario.clocks.offset = dice.part(setting.pulse(), 1, 10_000);
}

/// Clocks run faster or slower than time.
pub(super) fn drift(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (targets, span) = (setting.some(dice), setting.dwell(dice));
    let (bound, always) = (draft.clocks.drift, dice.percent(30));
    let mut parts = || dice.share(10, bound.max(10)).parts().min(bound);
    let (parts, from_the_start) = (parts(), parts());
    if always {
        draft.scenario.clocks.drift = Ppm::new(from_the_start).unwrap_or(Ppm::ZERO);
    }
    let parts = i32::try_from(parts).unwrap_or(0);
    let parts = if dice.percent(50) { parts } else { -parts };
    let Some(drift) = Drift::new(parts).filter(|_| parts != 0) else { return };
    let set = |drift| Action::Clock { targets: targets.clone(), drift: Some(drift), jump: None };
    draft.between(span, set(drift), set(Drift::ZERO));
}

/// Clocks jump, as when somebody sets them right.
pub(super) fn jump(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (targets, at) = (setting.some(dice), setting.moment(dice));
    let far = if dice.percent(70) { 300 } else { 10_000 };
    let by = dice.part(setting.pulse(), 1, far).max(Duration::millis(1));
    let forward = dice.percent(50);
    if draft.clocks.jumps > 0 {
        draft.clocks.jumps -= 1;
        let jump = Some(SignedDuration { forward, by });
        draft.at(at, Action::Clock { targets, drift: None, jump });
    }
}
