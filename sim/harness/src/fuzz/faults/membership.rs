//! What operators do at the wrong time: members change, regions split, leaders hand over, logs are cut.

use raftsim_kernel::Time;

use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::profile::Profile;
use crate::fuzz::setting::Setting;
use crate::scenario::{Action, Insist, Keys, MembershipChange, System, Target, Transition};

/// The regions that there are soon after the start.
pub(in crate::fuzz) fn regions(draft: &mut Draft, setting: &Setting, profile: &Profile, dice: &mut Dice) {
    let wanted = dice.count(profile.regions);
    let keys: Vec<u64> = (2..=setting.keys).collect();
    let within = setting.pulse() * 2;
    if setting.system == System::Raftstore {
        for key in dice.some(&keys, wanted - 1) {
            let keys = Keys::One(format!("k{key}"));
            draft.at(Time::ZERO, Action::Split { keys, insist: Insist::Within(within) });
        }
    }
}

/// Members change: one or several are added, become learners, or go.
pub(super) fn change(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, of, patience) = (setting.moment(dice), setting.of(dice), setting.patience(dice));
    let count = if dice.percent(60) { 1 } else { dice.between(1, 3) };
    let (mut add, mut learn, mut remove) = (Vec::new(), Vec::new(), Vec::new());
    for store in dice.some(&setting.all(), count) {
        let list = match dice.between(0, 9) {
            0..=4 => &mut add,
            5 | 6 => &mut learn,
            _ => &mut remove,
        };
        list.push(Target::Store(store));
    }
    // Who leads is the most interesting one to go.
    if remove.is_empty() && dice.percent(15) {
        remove.push(Target::Leader);
    }
    let explicit = dice.percent(25);
    let transition = match dice.between(0, 3) {
        _ if explicit => Transition::Explicit,
        0 => Transition::Implicit,
        _ => Transition::Auto,
    };
    let ask = |change| Action::Change { of: of.clone(), change, via: None, insist: Insist::Within(patience) };
    draft.at(at, ask(MembershipChange::Members { add, learn, remove, transition }));
    // Should nobody hear of this, the configuration stays joint to the end.
    let later = at + dice.part(setting.pulse(), 10, 300);
    if explicit {
        draft.at(later, ask(MembershipChange::Leave));
    }
}

/// A region splits.
pub(super) fn split(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, within, key) = (setting.moment(dice), setting.patience(dice), setting.key(dice));
    draft.at(at, Action::Split { keys: Keys::One(key), insist: Insist::Within(within) });
}

/// An operator wants another leader, and asks the one there is, or one who may have been.
pub(super) fn transfer(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, of) = (setting.moment(dice), setting.of(dice));
    let (target, via) = (Target::Store(dice.between(1, setting.stores)), setting.store(dice));
    let via = Some(via).filter(|_| dice.percent(20));
    draft.at(at, Action::Transfer { of, target, via, name: None });
}

/// Stores stand for election out of turn.
pub(super) fn campaign(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, of) = (setting.moment(dice), setting.of(dice));
    let several = if dice.percent(70) { 1 } else { 2 };
    for store in dice.some(&setting.all(), several) {
        let of = of.clone();
        draft.at(at, Action::Campaign { of, target: Target::Store(store), name: None });
    }
}

/// Logs are cut short.
pub(super) fn compact(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, of, targets) = (setting.moment(dice), setting.of(dice), setting.some(dice));
    let targets = match setting.system {
        System::Raft => targets,
        System::Raftstore => vec![Target::Leader],
    };
    draft.at(at, Action::Compact { of, targets });
}

/// Followers forget whom they follow.
pub(super) fn forget_leader(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, targets) = (setting.moment(dice), setting.some(dice));
    draft.at(at, Action::ForgetLeader { targets });
}

/// A store asks for a snapshot that its log does not need.
pub(super) fn request_snapshot(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (at, target) = (setting.moment(dice), Target::Store(dice.between(1, setting.stores)));
    draft.at(at, Action::RequestSnapshot { target });
}
