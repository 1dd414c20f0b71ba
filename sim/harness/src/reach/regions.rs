//! Situations of regions and splits.

use smallvec::SmallVec;

use super::{Reach, Step, situations};

situations! { from super::membership::END;
    SPLIT, "split", "a region split";
    SPLIT_WHILE_APPLYING, "split-while-applying", "a region split while another replica of it applied a snapshot";
    SPLIT_IN_JOINT, "split-in-joint", "a region split in a joint configuration";
    SPLIT_WHILE_ONE_WAS_DOWN, "split-while-one-was-down", "a region split while a store with a replica was down";
    BORN_BY_A_MESSAGE, "born-by-a-message", "a replica was made by a message";
    BORN_BY_A_SPLIT, "born-by-a-split", "a replica was made by a split";
    MESSAGE_CAME_BEFORE_THE_SPLIT, "message-before-split", "a replica that a message had made got its data by a split";
    ELECTED_BEFORE_A_SPLIT, "elected-before-a-split", "a leader was elected that had not applied a split which another replica had";
    FOUR_REGIONS, "four-regions", "there were four regions at once";
}

pub(super) fn replica(reach: &mut Reach, step: &Step) {
    let now = &step.now;
    if step.takes_office() {
        let newer = reach.others(step).any(|(_, other)| other.initialized && other.version > now.version);
        reach.met_if(newer, ELECTED_BEFORE_A_SPLIT);
        let led = reach.regions.iter().filter(|(_, region)| region.elections > 0).count();
        reach.met_if(led >= 4, FOUR_REGIONS);
    }
    let Some(before) = step.before else {
        // What a store finds on its disk when it starts is not born then.
        let born = step.predecessor.is_none_or(|earlier| earlier.gone)
            && reach.stores[step.node.0 as usize].started.is_some_and(|started| started < step.time);
        reach.met_if(born && !now.initialized, BORN_BY_A_MESSAGE);
        reach.met_if(born && now.initialized && now.version > 1, BORN_BY_A_SPLIT);
        return;
    };
    let by_itself = !now.applying && !step.filled();
    reach.met_if(!before.initialized && now.initialized && by_itself, MESSAGE_CAME_BEFORE_THE_SPLIT);
    if !before.initialized || !by_itself || before.version >= now.version {
        return;
    }
    reach.met(SPLIT);
    reach.met_if(now.joint, SPLIT_IN_JOINT);
    let others: SmallVec<[_; 8]> = reach.others(step).collect();
    for (place, other) in others {
        let up = reach.stores[place].started.is_some();
        reach.met_if(up && other.applying, SPLIT_WHILE_APPLYING);
        reach.met_if(!up, SPLIT_WHILE_ONE_WAS_DOWN);
    }
}
