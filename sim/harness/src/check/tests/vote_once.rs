use super::*;

#[test]
fn one_vote_a_term() {
    Cluster::of(3).votes(1, 6, 0).votes(1, 6, 2).votes(1, 7, 3).votes(1, 8, 0).holds();
}

/// Writes and syncs a hard state that the running replica does not show.
fn writes_hard_state(mut cluster: Cluster, term: u64, vote: u64) -> Cluster {
    cluster.machine(1).visible.hard = HardState { term, vote };
    cluster.event(1, &[DiskWrite::Hard(HardState { term, vote })]).syncs(1)
}

#[test]
fn another_vote_in_the_same_term() {
    writes_hard_state(Cluster::of(3).votes(1, 6, 2), 6, 3).breaks(Check::VoteOnce, "voted for 2 in term 6");
}

#[test]
fn the_vote_is_taken_back() {
    writes_hard_state(Cluster::of(3).votes(1, 6, 2), 6, 0).breaks(Check::VoteOnce, "made 0 durable");
}

#[test]
fn the_durable_term_falls() {
    writes_hard_state(Cluster::of(3).votes(1, 7, 2), 6, 0).breaks(Check::VoteOnce, "fell from 7 to 6");
}

#[test]
fn a_vote_is_remembered_across_a_crash() {
    let voted = Cluster::of(3).votes(1, 6, 2).crashes(1).boots(1);
    voted.clone().votes(1, 6, 2).votes(1, 7, 3).holds();
    writes_hard_state(voted, 6, 3).breaks(Check::VoteOnce, "voted for 2 in term 6");
}

#[test]
fn a_vote_that_survived_unsynced_binds() {
    let voted = Cluster::of(3).remembers(1, 6, 2).crashes_and_keeps_all(1).boots(1);
    writes_hard_state(voted, 6, 3).breaks(Check::VoteOnce, "voted for 2 in term 6");
}

#[test]
fn a_vote_that_was_lost_does_not() {
    Cluster::of(3).remembers(1, 6, 2).crashes(1).boots(1).votes(1, 6, 3).holds();
}
