//! Churn: regions change for no good reason, so that runs see what changes of members, leaders and ranges do to each other.
//!
//! One operator at a time is drawn, for a region in which nothing is under way. It may be any that a careful driver could
//! give: as many voters as wanted keep up after each change, and no store has two replicas of a region. Within that, odd
//! ways are taken on purpose: voters are added without having been learners, a leader is asked to remove itself, two
//! voters swap their parts at once through a joint configuration.

use raftsim_kernel::{Ppm, Stream};

use super::View;
use super::cluster::Known;
use super::operator::{Change, Operator, Step, learn, remove, vote};
use crate::scenario::Churn;

/// More voters than wanted, at most.
const EXTRA_VOTERS: usize = 2;
/// Learners of a region, at most.
const LEARNERS: usize = 2;
/// Regions, at most: beyond, none is split.
const REGIONS: usize = 24;
/// How often a leader is asked to remove itself, where a change removes it.
const DIRECT: Ppm = Ppm::percent(25);

/// The next operator and its region, if what is drawn is possible.
pub(super) fn next(view: &View<'_>, kinds: &[Churn], random: &mut Stream) -> Option<(u64, Operator)> {
    let idle: Vec<&Known> = view.idle().collect();
    let known = *pick(&idle, random)?;
    let options = match pick(kinds, random)? {
        Churn::Peers => member_changes(view, known),
        Churn::Leaders => transfers(view, known),
        Churn::Splits => splits(view, known),
    };
    let steps = pick(&options, random)?.clone();
    let direct = random.chance(DIRECT);
    let steps = steps.into_iter().map(|step| match step {
        Step::Change(change) if direct => Step::Change(change.directly()),
        step => step,
    });
    Some((known.id(), Operator::own(steps)))
}

/// One of several, all alike; nothing is drawn where there is no choice.
fn pick<'a, T>(options: &'a [T], random: &mut Stream) -> Option<&'a T> {
    let last = (options.len() as u64).checked_sub(1)?;
    options.get(usize::try_from(random.between(0, last)).ok()?)
}

/// Leadership goes to another voter that keeps up.
fn transfers(view: &View<'_>, known: &Known) -> Vec<Vec<Step>> {
    let others = known.voters().filter(|peer| peer.id != known.leader.id);
    let heirs = others.filter(|peer| known.keeps_up(peer.id) && !view.is_dead(peer.store_id));
    heirs.map(|peer| vec![Step::Transfer { to: peer.store_id }]).collect()
}

/// The region is split in the middle, unless it is empty.
fn splits(view: &View<'_>, known: &Known) -> Vec<Vec<Step>> {
    if known.size == 0 || view.region_count() >= REGIONS {
        return Vec::new();
    }
    vec![vec![Step::Split { key: Default::default(), version: known.epoch.version }]]
}

/// All changes of members that can be begun. Whether they may be carried out is looked at again before each is ordered.
fn member_changes(view: &View<'_>, known: &Known) -> Vec<Vec<Step>> {
    let step = |changes| Step::Change(Change::careful(changes, view.replicas()));
    let voters = known.voters().count();
    let kept = known.voters().filter(|peer| known.keeps_up(peer.id)).count();
    let learners = known.learners().count();
    let room_to_vote = voters < view.replicas() + EXTRA_VOTERS;
    let mut options = Vec::new();

    for store in view.live_stores().filter(|store| known.peer_on(*store).is_none()) {
        if room_to_vote {
            options.push(vec![step(vec![vote(0, store)])]);
        }
        if learners < LEARNERS {
            options.push(vec![step(vec![learn(0, store)])]);
            // In place of a voter, as soon as it keeps up.
            for gone in known.voters() {
                options.push(vec![step(vec![learn(0, store)]), step(vec![vote(0, store), remove(gone)])]);
            }
        }
    }
    for learner in known.learners() {
        options.push(vec![step(vec![remove(learner)])]);
        if !known.keeps_up(learner.id) {
            continue;
        }
        if room_to_vote {
            options.push(vec![step(vec![vote(learner.id, learner.store_id)])]);
        }
        for voter in known.voters() {
            let demoted = learn(voter.id, voter.store_id);
            options.push(vec![step(vec![vote(learner.id, learner.store_id), demoted])]);
        }
    }
    for voter in known.voters() {
        // One that does not keep up is no loss.
        if kept - usize::from(known.keeps_up(voter.id)) < view.replicas() {
            continue;
        }
        options.push(vec![step(vec![remove(voter)])]);
        if learners < LEARNERS {
            options.push(vec![step(vec![learn(voter.id, voter.store_id)])]);
        }
    }
    options
}
