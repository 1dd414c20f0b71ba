//! Situations of snapshots.

use super::{Reach, Step, situations};

situations! { from super::log::END;
    RESTORED, "restored", "a replica was restored from a snapshot";
    RESTORED_TWICE, "restored-twice", "a replica was restored twice in one life of its store";
    RESTORED_A_NEWCOMER, "restored-a-newcomer", "a new replica got its data by a snapshot";
    RESTORED_OVER_AN_OPEN_TAIL, "restored-over-open-tail", "a snapshot took the place of entries that were not committed";
    RESTORED_ACROSS_A_SPLIT, "restored-across-a-split", "a snapshot told a replica of a split that it had missed";
    RESTORED_ACROSS_A_CHANGE, "restored-across-a-change", "a snapshot told a replica of a membership change that it had missed";
    SNAPSHOT_CAME_TOO_LATE, "snapshot-came-too-late", "a snapshot arrived of what its receiver had already";
    RECEIVER_CRASHED, "receiver-crashed", "a store crashed while a snapshot was on its way to it";
    SENDER_CRASHED, "sender-crashed", "a store crashed while it was sending a snapshot";
    CRASHED_WHILE_APPLYING, "crashed-while-applying", "a store crashed while it applied a snapshot";
}

pub(super) fn replica(reach: &mut Reach, step: &Step) {
    if step.restored() || step.now.applying {
        reach.stores[step.node.0 as usize].received(step.region);
    }
    let (Some(before), now) = (step.before, &step.now) else { return };
    if step.restored() {
        reach.met(RESTORED);
        reach.met_if(now.snapshots > 1, RESTORED_TWICE);
        reach.met_if(!before.initialized || before.state.last == 0, RESTORED_A_NEWCOMER);
        reach.met_if(before.state.last > before.state.commit, RESTORED_OVER_AN_OPEN_TAIL);
    }
    if step.filled() && before.initialized {
        reach.met_if(before.version < now.version, RESTORED_ACROSS_A_SPLIT);
        reach.met_if(before.conf_ver < now.conf_ver, RESTORED_ACROSS_A_CHANGE);
    }
}
