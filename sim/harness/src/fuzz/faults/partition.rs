//! Links that carry nothing: partitions of every shape, one-way cuts, clogs.

use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::setting::Setting;
use crate::scenario::{Action, Endpoint, Links, Target};

/// Stores as ends of links.
pub(super) fn ends(targets: &[Target]) -> Vec<Endpoint> {
    targets.iter().cloned().map(Endpoint::Stores).collect()
}

/// Puts an end into one of the groups.
fn join(groups: &mut [Vec<Endpoint>], end: Endpoint, dice: &mut Dice) {
    let group = dice.between(1, groups.len() as u64);
    if let Some(group) = usize::try_from(group).ok().and_then(|group| groups.get_mut(group - 1)) {
        group.push(end);
    }
}

/// All stores in so many groups, and perhaps clients and the placement driver.
fn groups(setting: &Setting, parts: u64, dice: &mut Dice) -> Vec<Vec<Endpoint>> {
    let order = dice.some(&setting.all(), setting.stores);
    let mut stores = order.into_iter().map(|store| Endpoint::Stores(Target::Store(store)));
    // Each group has one, the rest is anywhere.
    let mut groups: Vec<Vec<Endpoint>> =
        (0..parts).filter_map(|_| stores.next()).map(|end| vec![end]).collect();
    for store in stores {
        join(&mut groups, store, dice);
    }
    for client in 1..=setting.clients.min(6) {
        if dice.percent(30) {
            join(&mut groups, Endpoint::Client(client), dice);
        }
    }
    if setting.placement.is_some() && dice.percent(40) {
        join(&mut groups, Endpoint::Placement, dice);
    }
    groups
}

/// Stores are divided into two or more groups.
pub(super) fn partition(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let parts = if dice.percent(75) { 2 } else { dice.between(2, setting.stores) };
    let (groups, span) = (groups(setting, parts, dice), setting.dwell(dice));
    if setting.stores >= 2 {
        draft.between(span, Action::Partition { groups, name: None }, Action::Heal(Links::All));
    }
}

/// Two groups, and stores that belong to both: a partial partition, in which some reach each other only by a third.
pub(super) fn bridge(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (mut groups, span) = (groups(setting, 2, dice), setting.dwell(dice));
    let shared = setting.store(dice);
    if setting.stores < 3 {
        return;
    }
    for group in &mut groups {
        let end = Endpoint::Stores(shared.clone());
        if !group.contains(&end) {
            group.push(end);
        }
    }
    draft.between(span, Action::Partition { groups, name: None }, Action::Heal(Links::All));
}

/// A store is cut off from all others.
pub(super) fn isolate(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let (target, clients, span) = (setting.store(dice), dice.percent(30), setting.dwell(dice));
    let (name, again) = draft.again("isolated", &target);
    let cure = Action::Heal(Links::Of(ends(&[again])));
    draft.between(span, Action::Isolate { targets: vec![target], clients, name }, cure);
}

/// Both ends of a direction: some stores and the others, clients or the driver.
fn direction(setting: &Setting, dice: &mut Dice) -> (Vec<Endpoint>, Vec<Endpoint>) {
    let targets = setting.some(dice);
    let rest = match dice.between(0, 5) {
        0 => Endpoint::Clients,
        1 if setting.placement.is_some() => Endpoint::Placement,
        _ if (targets.len() as u64) < setting.stores => Endpoint::Stores(Target::Others),
        _ => Endpoint::Clients,
    };
    let (some, rest) = (ends(&targets), vec![rest]);
    if dice.percent(50) { (some, rest) } else { (rest, some) }
}

/// Nothing passes in one direction.
pub(super) fn cut(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let ((from, to), span) = (direction(setting, dice), setting.dwell(dice));
    let cure = Action::Heal(Links::Between { from: from.clone(), to: to.clone() });
    draft.between(span, Action::Cut { from, to }, cure);
}

/// Messages wait on their way, and arrive all at once.
pub(super) fn clog(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let ((from, to), span) = (direction(setting, dice), setting.dwell(dice));
    let links = match dice.between(0, 5) {
        0 => Links::All,
        1 | 2 => Links::Of(ends(&setting.some(dice))),
        _ => Links::Between { from, to },
    };
    draft.between(span, Action::Clog(links.clone()), Action::Unclog(links));
}

/// About half of the stores are clogged one after the other, and released in another order: the shape of fault that
/// FoundationDB calls swizzle-clogging, and praises for the bugs it finds.
pub(super) fn swizzle(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let begin = setting.moment(dice);
    let clogged = dice.some(&setting.all(), setting.stores.div_ceil(2));
    let released = dice.some(&clogged, clogged.len() as u64);
    let links = |store: u64| Links::Of(ends(&[Target::Store(store)]));
    let mut at = begin;
    for store in clogged {
        draft.at(at, Action::Clog(links(store)));
        at += dice.part(setting.pulse(), 0, 80);
    }
    for store in released {
        at += dice.part(setting.pulse(), 0, 80);
        draft.at(at, Action::Unclog(links(store)));
    }
}
