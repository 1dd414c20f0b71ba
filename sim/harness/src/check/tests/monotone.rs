use super::*;

fn cluster() -> Cluster {
    Cluster::of(1).leads(1, 6).has(1, 6..=9, 6).commits(1, 8)
}

#[test]
fn numbers_rise() {
    cluster().commits(1, 9).votes(1, 7, 0).votes(1, 7, 1).holds();
}

#[test]
fn the_term_falls() {
    cluster().state(1, |state| (state.term, state.vote) = (5, 0)).breaks(Check::Monotone, "the term");
}

#[test]
fn commit_falls() {
    let ahead = cluster().state(1, |state| state.commit = 9);
    ahead.state(1, |state| state.commit = 8).breaks(Check::Monotone, "the commit");
}

#[test]
fn applied_falls() {
    cluster().state(1, |state| state.applied = 7).breaks(Check::Monotone, "the applied index");
}

#[test]
fn the_vote_changes() {
    cluster()
        .state(1, |state| state.vote = 2)
        .breaks(Check::Monotone, "changed its vote in term 6 from 1 to 2");
}

#[test]
fn a_crash_may_set_back_what_was_not_durable() {
    // Neither the term, nor the entries, nor that they were applied.
    let cluster = cluster().commits(1, 9).remembers(1, 7, 1);
    cluster.crashes(1).boots(1).holds();
}

#[test]
fn a_restart_forgets_the_term_on_its_disk() {
    let cluster = cluster().crashes(1);
    cluster.clone().boots(1).holds();
    cluster.state(1, |state| (state.term, state.vote) = (5, 0)).breaks(Check::Monotone, "holds term 6");
}

#[test]
fn a_restart_forgets_what_its_disk_has_applied() {
    let cluster = cluster().crashes_and_keeps_all(1);
    cluster.clone().boots(1).holds();
    cluster.state(1, |state| state.applied = 7).breaks(Check::Monotone, "the effects of 8");
}

#[test]
fn applied_jumps_to_a_snapshot_and_falls_back_with_it() {
    let cluster = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6).enters(2, 6).has(2, 6..=9, 6).commits(1, 9);
    let restored = cluster.enters(3, 6).has(3, 6..=7, 6).starts_after(3, 9, 6);
    restored.clone().crashes(3).boots(3).holds();
    let durable = restored.syncs(3).crashes(3);
    durable.clone().boots(3).holds();
    durable.state(3, |state| state.applied = 7).breaks(Check::LogOrder, "9, 7, 9, 9");
}
