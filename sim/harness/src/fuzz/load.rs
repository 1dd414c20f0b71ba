//! What clients do: bursts of operations over few keys, so that they meet.

use raftsim_kernel::Duration;

use super::dice::Dice;
use super::draft::Draft;
use super::setting::Setting;
use crate::scenario::{Action, Bytes, Load, Mix};

/// Draws the loads of a run.
pub(super) fn draw(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (operations, mix) = (setting.operations, mix(dice));
    // Clients that ask one after the other are done in no time; bursts see every part of a run.
    let bursts = operations.div_ceil(20).clamp(1, 12);
    for burst in 0..bursts {
        let at = if burst == 0 { setting.start } else { dice.time(setting.start, setting.end) };
        let duration = Duration(setting.end.since(at).0.max(setting.pulse().0));
        draft.at(
            at,
            Action::Load(Load {
                duration,
                clients: setting.clients,
                keys: setting.keys,
                mix: mix.clone(),
                value_size: Bytes::new(setting.value_size),
                ops: Some((operations / bursts).max(1)),
            }),
        );
    }
}

/// Which operations there are: those of a kind with weight 0 are missing in this run altogether.
fn mix(dice: &mut Dice) -> Mix {
    let mut weight = |of: u32| if dice.percent(60) { dice.small(1, of) } else { 0 };
    let mix = Mix {
        put: weight(6),
        get: weight(6),
        append: weight(6),
        delete: weight(2),
        cas: weight(4),
        scan: weight(1),
    };
    // Reads that nothing is written for see nothing.
    if mix.put + mix.append + mix.cas == 0 || mix.get + mix.scan + mix.append == 0 {
        return Mix::default();
    }
    mix
}
