//! Situations of membership.

use raftsim_kernel::NodeId;

use super::{Reach, Step, situations};
use crate::system::ReplicaView;

situations! { from super::snapshots::END;
    JOINT, "joint", "a joint configuration was in force";
    LEADER_LOST_IN_JOINT, "leader-lost-in-joint", "a joint configuration lost its leader";
    LEADER_LEFT_OUT, "leader-left-out", "a leader applied its own removal";
    LEARNER_PROMOTED, "learner-promoted", "a learner became a voter";
    VOTER_DEMOTED, "voter-demoted", "a voter became a learner";
    ONE_VOTER_LEFT, "one-voter-left", "a region was left with one voter";
    REPLICA_REMOVED, "replica-removed", "a replica was removed and its data with it";
    REPLICA_RETURNED, "replica-returned", "a store from which a replica was removed got one again";
    REMOVED_REPLICA_ASKED, "removed-replica-asked", "a store whose replica had been removed was asked for that replica's vote";
}

pub(super) fn replica(reach: &mut Reach, step: &Step, view: &ReplicaView<'_>) {
    let (now, members) = (&step.now, &view.members);
    reach.met_if(now.joint, JOINT);
    reach.met_if(
        step.predecessor.is_some_and(|earlier| earlier.gone && earlier.id != now.id),
        REPLICA_RETURNED,
    );
    let Some(before) = step.before else { return };
    reach.met_if(before.leads() && before.joint && !now.leads(), LEADER_LOST_IN_JOINT);
    let changed = before.conf_ver != now.conf_ver || before.joint != now.joint || before.learns != now.learns;
    if !changed {
        return;
    }
    let votes = members.voters.contains(&now.id);
    reach.met_if(before.learns && votes, LEARNER_PROMOTED);
    reach.met_if(!before.learns && before.initialized && now.learns, VOTER_DEMOTED);
    reach.met_if(before.leads() && !members.contains(now.id), LEADER_LEFT_OUT);
    reach.met_if(members.voters.len() == 1 && !now.joint, ONE_VOTER_LEFT);
}

pub(super) fn destroyed(reach: &mut Reach, node: NodeId, region: u64) {
    let Some(seen) = reach.stores[node.0 as usize].replica_mut(region) else { return };
    seen.gone = true;
    let led = seen.leads();
    reach.met(REPLICA_REMOVED);
    reach.met_if(led, LEADER_LEFT_OUT);
}
