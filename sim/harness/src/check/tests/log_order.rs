use super::*;

#[test]
fn a_log_grows_and_is_cut() {
    Cluster::of(1).leads(1, 6).writes(1, 6..=9, 6).enters(1, 7).removes(1, 8).writes(1, 8..=8, 7).holds();
}

#[test]
fn a_gap() {
    let mut cluster = Cluster::of(1).leads(1, 6);
    cluster.machine(1).state.last = 7;
    let entry = LogEntry { index: 7, term: 6, digest: 0, conf_change: false };
    cluster.event(1, &[DiskWrite::Entry(entry)]).breaks(Check::LogOrder, "index 7");
}

#[test]
fn an_entry_before_the_start_of_the_log() {
    let cluster = Cluster::of(1).leads(1, 6);
    let entry = LogEntry { index: 5, term: 6, digest: 0, conf_change: false };
    cluster.event(1, &[DiskWrite::Entry(entry)]).breaks(Check::LogOrder, "index 5");
}

#[test]
fn terms_fall_along_a_log() {
    let cluster = Cluster::of(1).leads(1, 7).writes(1, 6..=6, 7);
    cluster.clone().writes(1, 7..=7, 7).holds();
    cluster.writes(1, 7..=7, 6).breaks(Check::LogOrder, "after an entry of term 7");
}

#[test]
fn an_entry_of_a_term_to_come() {
    Cluster::of(1).leads(1, 6).writes(1, 6..=6, 7).breaks(Check::LogOrder, "is in term 6");
}

#[test]
fn a_replica_claims_what_it_did_not_write() {
    let cluster = Cluster::of(1).leads(1, 6).writes(1, 6..=6, 6);
    cluster.clone().state(1, |state| state.last = 7).breaks(Check::LogOrder, "ends at 7");
    cluster.state(1, |state| state.last = 5).breaks(Check::LogOrder, "ends at 5");
}

#[test]
fn truncated_applied_commit_last() {
    let cluster = Cluster::of(1).leads(1, 6).has(1, 6..=9, 6).commits(1, 8);
    let breaks = |change: fn(&mut ReplicaState)| {
        cluster.clone().state(1, change).breaks(Check::LogOrder, "truncated <= applied <= commit <= last");
    };
    breaks(|state| state.commit = 10);
    breaks(|state| state.applied = 9);
    breaks(|state| (state.applied, state.truncated) = (6, 7));
    cluster.state(1, |state| (state.applied, state.commit) = (9, 9)).holds();
}

#[test]
fn a_restart_is_judged_too() {
    let cluster = Cluster::of(1).leads(1, 6).has(1, 6..=9, 6).crashes(1);
    cluster.clone().boots(1).holds();
    cluster.state(1, |state| state.last = 8).breaks(Check::LogOrder, "ends at 8");
}

#[test]
fn a_log_starts_after_a_snapshot() {
    let leader = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6).enters(2, 6).has(2, 6..=9, 6).commits(1, 9);
    // One that has nothing of it, and one with a tail of its own that the snapshot replaces.
    let far_behind = leader.clone().enters(3, 6).starts_after(3, 9, 6).writes(3, 10..=10, 6);
    let diverged = leader.enters(3, 6).has(3, 6..=12, 5).starts_after(3, 9, 6);
    far_behind.holds();
    diverged.writes(3, 10..=10, 6).syncs(3).crashes(3).boots(3).holds();
}

#[test]
fn what_is_applied_need_not_be_durable_here_but_must_be_there() {
    let leader = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6).enters(2, 6).has(2, 6..=9, 6).commits(1, 9);
    let ahead = leader.enters(3, 6).writes(3, 6..=8, 6).commits(3, 8);
    ahead.clone().holds();
    // A crash takes entries and effects together.
    ahead.clone().crashes(3).boots(3).writes(3, 6..=9, 6).commits(3, 9).holds();
    ahead.state(3, |state| (state.commit, state.applied) = (9, 9)).breaks(Check::LogOrder, "5, 9, 9, 8");
}

#[test]
fn a_snapshot_is_ahead_of_its_data() {
    let leader = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6).enters(2, 6).has(2, 6..=9, 6).commits(1, 9);
    let restoring = |applied: u64, restoring| {
        let mut cluster = leader.clone().enters(3, 6);
        let machine = cluster.machine(3);
        machine.visible.log.start_after(9, 6);
        machine.restoring = restoring;
        let state = &mut machine.state;
        (state.truncated, state.commit, state.last, state.applied) = (9, 9, 9, applied);
        cluster.event(3, &[DiskWrite::Start { index: 9, term: 6, restored: true }])
    };
    let mut done = restoring(5, true);
    done.machine(3).restoring = false;
    done.clone().commits(3, 9).holds();
    done.event(3, &[]).breaks(Check::LogOrder, "9, 5, 9, 9");
    restoring(5, false).breaks(Check::LogOrder, "9, 5, 9, 9");
    restoring(10, true).breaks(Check::LogOrder, "9, 10, 9, 9");
}
