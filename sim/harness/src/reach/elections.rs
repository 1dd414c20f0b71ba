//! Situations of elections.

use smallvec::SmallVec;

use super::{Reach, Step, situations};
use crate::check::Role;

situations! { from 0;
    LEADER_CHANGED, "leader-changed", "another store became leader of a region";
    LED_AGAIN_AFTER_A_CRASH, "led-again-after-a-crash", "a leader crashed, and became the next leader";
    TWO_LEADERS, "two-leaders", "a leader was elected while a deposed one still took itself for it";
    ELECTED_WHILE_SNAPSHOT_APPLIED, "elected-while-snapshot-applied", "a leader was elected while a snapshot was being applied";
    ELECTED_WHILE_SNAPSHOT_SENT, "elected-while-snapshot-sent", "a leader was elected while a snapshot was on its way";
    ELECTED_IN_A_JOINT_CONFIGURATION, "elected-in-joint", "a leader was elected in a joint configuration";
    ELECTED_WITH_AN_OPEN_TAIL, "elected-with-open-tail", "a leader was elected with entries of earlier terms that it did not know to be committed";
    ELECTED_WITH_A_PENDING_CHANGE, "elected-with-pending-change", "a leader was elected with an uncommitted membership change in its log";
    ELECTED_WITH_AN_OLDER_COMMIT, "elected-with-older-commit", "a leader was elected that knew less to be committed than another replica";
    ELECTED_WITH_A_SHORTER_LOG, "elected-with-shorter-log", "a leader was elected whose log was shorter than another one";
    ELECTED_AFTER_A_SNAPSHOT, "elected-after-snapshot", "a leader was elected that had its log from a snapshot";
    CANDIDATE_STARTED_OVER, "candidate-started-over", "a candidate had no majority in time and started over";
    CANDIDATE_YIELDED, "candidate-yielded", "a candidate found that another one had won";
    PRE_VOTE_FAILED, "pre-vote-failed", "a replica asked for pre-votes and gave up";
    LEADER_DEPOSED, "leader-deposed", "a leader heard of a higher term";
    LEADER_GAVE_UP, "leader-gave-up", "a leader stepped down in its own term";
    TERM_LEAPT, "term-leapt", "a replica's term rose by three or more at once";
}

pub(super) fn replica(reach: &mut Reach, step: &Step) {
    if step.takes_office() {
        elected(reach, step);
    }
    let Some(before) = step.before else { return };
    let (old, new) = (&before.state, &step.now.state);
    let higher = new.term > old.term;
    reach.met_if(new.term >= old.term + 3, TERM_LEAPT);
    match (old.role, new.role) {
        (Role::Candidate, Role::Candidate) if higher => reach.met(CANDIDATE_STARTED_OVER),
        // With pre-vote it asks again first, in the term in which it failed.
        (Role::Candidate, Role::PreCandidate) => reach.met(CANDIDATE_STARTED_OVER),
        (Role::Candidate, Role::Follower) if !higher && new.leader != 0 => reach.met(CANDIDATE_YIELDED),
        (Role::PreCandidate, Role::Follower) if !higher => reach.met(PRE_VOTE_FAILED),
        (Role::Leader, Role::Follower) if higher => reach.met(LEADER_DEPOSED),
        (Role::Leader, Role::Follower) => reach.met(LEADER_GAVE_UP),
        _ => {}
    }
}

fn elected(reach: &mut Reach, step: &Step) {
    let (now, state) = (&step.now, &step.now.state);
    let store = &reach.stores[step.node.0 as usize];
    let office = (step.node, store.lives);
    let region = reach.region(step.region);
    region.elections += 1;
    region.leaders |= 1u64.checked_shl(step.node.0).unwrap_or(0);
    let last = region.leader.replace(office);
    reach.met_if(last.is_some_and(|(node, _)| node != step.node), LEADER_CHANGED);
    reach.met_if(
        last.is_some_and(|(node, life)| node == step.node && life != office.1),
        LED_AGAIN_AFTER_A_CRASH,
    );
    reach.met_if(now.joint, ELECTED_IN_A_JOINT_CONFIGURATION);
    // A new leader's own empty entry is none of an earlier term.
    reach.met_if(state.last > state.commit + 1, ELECTED_WITH_AN_OPEN_TAIL);
    reach.met_if(now.change > state.commit, ELECTED_WITH_A_PENDING_CHANGE);
    reach.met_if(now.snapshots > 0, ELECTED_AFTER_A_SNAPSHOT);
    let mut receiving = reach.stores.iter().filter_map(|store| store.receiving(step.time));
    let receives = receiving.any(|(region, _)| region == step.region);
    reach.met_if(receives, ELECTED_WHILE_SNAPSHOT_SENT);
    let others: SmallVec<[_; 8]> = reach.others(step).collect();
    for (place, other) in others {
        let up = reach.stores[place].started.is_some();
        reach.met_if(up && other.leads(), TWO_LEADERS);
        reach.met_if(up && other.applying, ELECTED_WHILE_SNAPSHOT_APPLIED);
        reach.met_if(other.state.commit > state.commit, ELECTED_WITH_AN_OLDER_COMMIT);
        reach.met_if(other.state.last > state.last, ELECTED_WITH_A_SHORTER_LOG);
    }
}
