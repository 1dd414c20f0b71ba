use super::*;

/// Entries 6 to 8 of term 6 are committed by replicas 1 and 2; replica 3 has something else.
fn committed() -> Cluster {
    let cluster = Cluster::of(3).has(3, 6..=6, 5).leads(1, 6).has(1, 6..=8, 6);
    cluster.enters(2, 6).has(2, 6..=8, 6).commits(1, 8).commits(2, 7)
}

#[test]
fn all_commit_the_same() {
    committed().commits(2, 8).enters(3, 6).writes(3, 6..=8, 6).commits(3, 7).commits(3, 8).holds();
}

#[test]
fn a_follower_commits_a_tail_of_its_own() {
    // By a heartbeat that names a commit, without a check that the logs agree.
    committed()
        .enters(3, 6)
        .commits(3, 6)
        .breaks(Check::StateMachineSafety, "index 6 with the entry of term 5");
}

#[test]
fn the_first_difference_is_named() {
    let cluster = Cluster::of(3).has(3, 6..=8, 5).leads(1, 6).has(1, 6..=8, 6);
    let cluster = cluster.enters(2, 6).has(2, 6..=8, 6).commits(1, 8);
    cluster.enters(3, 6).commits(3, 8).breaks(Check::StateMachineSafety, "commits index 6");
}

#[test]
fn a_restart_commits_something_else() {
    let crashed = committed().crashes(3);
    crashed.clone().boots(3).holds();
    crashed.commits(3, 6).breaks(Check::StateMachineSafety, "the entry of term 6 is committed there");
}

#[test]
fn a_follower_writes_over_what_it_committed() {
    // An append of a deposed leader, taken for one of the present leader's.
    let behind = committed().enters(2, 7);
    behind.clone().removes(2, 8).writes(2, 8..=8, 7).holds();
    behind.clone().writes(2, 7..=7, 7).breaks(Check::StateMachineSafety, "has committed index 7 and writes");
    behind.clone().removes(2, 7).breaks(Check::StateMachineSafety, "has committed index 7 and removes it");
    behind.writes(2, 7..=7, 6).holds();
}

#[test]
fn a_snapshot_of_what_nobody_committed() {
    let cluster = committed().enters(3, 6);
    cluster.clone().starts_after(3, 8, 6).holds();
    cluster.starts_after(3, 8, 5).breaks(Check::StateMachineSafety, "index 8 with the entry of term 5");
}

#[test]
fn what_is_committed_outlives_all_who_know_it() {
    let crashed = committed().crashes(1).crashes(2).boots(1).boots(2);
    crashed.enters(3, 7).has(3, 7..=8, 5).commits(3, 8).breaks(Check::StateMachineSafety, "commits index 6");
}

#[test]
fn a_snapshot_may_reach_what_is_committed_here_and_not_less() {
    // It is damaged here, and asked for a snapshot up to the end of its log.
    let committed = committed().has(1, 9..=9, 6).has(2, 9..=9, 6).commits(1, 9).commits(2, 8);
    committed.clone().starts_after(2, 9, 6).syncs(2).crashes(2).boots(2).holds();
    let mut cluster = committed;
    cluster.machine(2).visible.log = LogTerms::starting_after(7, 5);
    let state = &mut cluster.machine(2).state;
    (state.truncated, state.last) = (7, 7);
    cluster
        .event(2, &[DiskWrite::Start { index: 7, term: 5, restored: true }])
        .breaks(Check::StateMachineSafety, "replaced its log by a snapshot up to 7");
}
