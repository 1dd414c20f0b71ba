use super::*;

/// Replica 1 of three leads term 6, and its first entry is committed. Replica 4 is not a voter.
fn leader() -> Cluster {
    let cluster = Cluster::with_voters(Checks::default(), 4, vec![1, 2, 3]);
    replicated(cluster.leads(1, 6), 6..=6, 6)
}

/// Replica 1 writes entries, and replica 2 too, and all is committed and applied there.
fn replicated(cluster: Cluster, indices: RangeInclusive<u64>, term: u64) -> Cluster {
    let last = *indices.end();
    let cluster = cluster.has(1, indices.clone(), term).enters(2, term).has(2, indices, term);
    cluster.commits(1, last).commits(2, last)
}

/// Replica 1 writes a change at index 7, and replica 2 too.
fn proposed() -> Cluster {
    leader().writes_change(1, 7, 6).syncs(1).writes_change(2, 7, 6).syncs(2)
}

#[test]
fn changes_come_one_after_the_other() {
    let four = proposed().applies_voters(1, &[1, 2, 3, 4], 7).applies_voters(2, &[1, 2, 3, 4], 7);
    let three = four.writes_change(1, 8, 6).syncs(1).writes_change(2, 8, 6).syncs(2).enters(3, 6);
    let three = three.writes(3, 6..=6, 6).writes_change(3, 7, 6).writes_change(3, 8, 6).syncs(3);
    three.applies_voters(1, &[1, 2, 4], 8).applies_voters(3, &[1, 2, 4], 8).holds();
}

#[test]
fn two_changes_at_once() {
    proposed().writes_change(1, 8, 6).breaks(Check::ConfChange, "the one at index 7 is not committed");
    let with_others = proposed().writes(1, 8..=9, 6);
    with_others.writes_change(1, 10, 6).breaks(Check::ConfChange, "the one at index 7 is not committed");
}

#[test]
fn a_change_may_follow_one_that_is_committed_in_the_same_event() {
    // As a leader does that leaves a joint configuration by itself.
    let mut cluster = proposed();
    let machine = cluster.machine(1);
    (machine.voters, machine.outgoing) = (vec![1, 2, 4], vec![1, 2, 3]);
    (machine.state.commit, machine.state.applied) = (7, 7);
    cluster.writes_change(1, 8, 6).holds();
}

#[test]
fn followers_hold_as_many_changes_as_leaders_left_there() {
    // Of two leaders, each with one.
    let follower = proposed().enters(3, 6).writes(3, 6..=6, 6).writes_change(3, 7, 6).writes_change(3, 8, 6);
    follower.holds();
}

#[test]
fn a_new_leader_waits_for_the_change_of_an_earlier_one() {
    let elected = proposed().leads(2, 7).has(2, 8..=8, 7);
    elected.clone().writes_change(2, 9, 7).breaks(Check::ConfChange, "the one at index 7 is not committed");
    let committed = elected.enters(1, 7).has(1, 8..=8, 7).applies_voters(2, &[1, 2, 3, 4], 8);
    committed.writes_change(2, 9, 7).holds();
}

#[test]
fn a_change_that_was_cut_off_is_gone() {
    let elected = leader().writes_change(1, 7, 6).syncs(1).leads(2, 7).has(2, 7..=7, 7);
    let deposed = elected.enters(1, 7).removes(1, 7).has(1, 7..=7, 7).commits(2, 7);
    deposed.clone().writes_change(2, 8, 7).holds();
    deposed
        .commits(1, 7)
        .leads(1, 8)
        .has(1, 8..=8, 8)
        .enters(2, 8)
        .has(2, 8..=8, 8)
        .commits(1, 8)
        .writes_change(1, 9, 8)
        .holds();
}

/// Ongaro's counterexample of 2015 begins like this.
#[test]
fn a_leader_that_has_committed_nothing_of_its_term() {
    let elected = leader().leads(2, 7);
    elected.clone().writes_change(2, 7, 7).breaks(Check::ConfChange, "no entry of its own term is committed");
    let appended = elected.has(2, 7..=7, 7);
    appended
        .clone()
        .writes_change(2, 8, 7)
        .breaks(Check::ConfChange, "no entry of its own term is committed");
    appended.enters(3, 7).has(3, 6..=6, 6).has(3, 7..=7, 7).commits(2, 7).writes_change(2, 8, 7).holds();
}

#[test]
fn a_leader_that_compacted_all_of_its_term_has_committed_of_it() {
    leader().starts_after(1, 6, 6).writes_change(1, 7, 6).holds();
}

#[test]
fn voters_come_and_go_one_by_one() {
    proposed().applies_voters(1, &[1, 2], 7).holds();
    proposed().applies_voters(1, &[1, 2, 3, 4], 7).holds();
    proposed().applies_voters(1, &[1, 2, 4], 7).breaks(Check::ConfChange, "from voters 1 2 3 to 1 2 4");
    proposed().applies_voters(1, &[1], 7).breaks(Check::ConfChange, "need not share a quorum");
}

#[test]
fn a_joint_configuration_comes_from_one_and_leads_to_another() {
    let joint = proposed().applies_joint(1, &[1, 4], &[1, 2, 3], 7);
    let leaving = joint.writes_change(1, 8, 6).syncs(1).writes_change(2, 8, 6).syncs(2);
    let leaving =
        leaving.enters(4, 6).has(4, 6..=6, 6).writes_change(4, 7, 6).writes_change(4, 8, 6).syncs(4);
    leaving.clone().applies_voters(1, &[1, 4], 8).holds();
    leaving.clone().applies_voters(1, &[1, 2, 3], 8).breaks(Check::ConfChange, "1 2 3 -> 1 4 to 1 2 3 with");
    leaving.applies_joint(1, &[1, 2, 4], &[1, 4], 8).breaks(Check::ConfChange, "to 1 4 -> 1 2 4");
    proposed().applies_joint(1, &[1, 4], &[1, 2], 7).breaks(Check::ConfChange, "to 1 2 -> 1 4");
}

#[test]
fn who_applied_the_same_counts_the_same() {
    let applied = proposed().applies_voters(1, &[1, 2, 3, 4], 7);
    applied.clone().applies_voters(2, &[1, 2, 3, 4], 7).holds();
    applied
        .clone()
        .applies_voters(2, &[1, 2], 7)
        .breaks(Check::ConfChange, "after the membership change at index 7");
    // It forgot to.
    applied.clone().commits(2, 7).breaks(Check::ConfChange, "counts voters 1 2 3");
    // It was too quick.
    applied
        .applies_voters(2, &[1, 2, 3, 4], 6)
        .breaks(Check::ConfChange, "before any membership change they are 1 2 3");
}

#[test]
fn a_change_to_the_same_voters_is_one() {
    proposed().commits(1, 7).commits(2, 7).holds();
    proposed()
        .commits(1, 7)
        .applies_voters(2, &[1, 2, 3, 4], 7)
        .breaks(Check::ConfChange, "index 7 they are 1 2 3");
}

#[test]
fn several_changes_in_one_event_end_where_the_others_did() {
    let applied = proposed().applies_voters(1, &[1, 2, 3, 4], 7);
    let both = applied.writes_change(1, 8, 6).syncs(1).writes_change(2, 8, 6).syncs(2).enters(3, 6);
    let both = both.has(3, 6..=6, 6).writes_change(3, 7, 6).writes_change(3, 8, 6).syncs(3);
    let both = both.applies_voters(1, &[1, 2, 4], 8);
    both.clone().applies_voters(2, &[1, 2, 4], 8).holds();
    both.applies_voters(2, &[1, 2, 3, 4], 8)
        .breaks(Check::ConfChange, "after the membership change at index 8");
}

#[test]
fn a_snapshot_and_a_boot_bring_the_voters_of_their_index() {
    let applied = proposed().applies_voters(1, &[1, 2, 3, 4], 7);
    let two = applied.writes_change(1, 8, 6).syncs(1).writes_change(2, 8, 6).syncs(2).enters(3, 6);
    let two = two.has(3, 6..=6, 6).writes_change(3, 7, 6).writes_change(3, 8, 6).syncs(3);
    let two = two.applies_voters(1, &[1, 2, 4], 8).enters(4, 6);
    let restored = |voters: &[u64]| {
        let mut cluster = two.clone();
        cluster.machine(4).voters = voters.to_vec();
        cluster.starts_after(4, 8, 6)
    };
    restored(&[1, 2, 3, 4]).breaks(Check::ConfChange, "counts voters 1 2 3 4");
    restored(&[1, 2, 4]).holds();
    let mut crashed = restored(&[1, 2, 4]).syncs(4).crashes(4);
    crashed.clone().boots(4).holds();
    crashed.machine(4).voters = vec![1, 2, 3];
    crashed.boots(4).breaks(Check::ConfChange, "counts voters 1 2 3");
}

#[test]
fn one_that_knows_no_group_yet_is_told_of_one() {
    let mut cluster = leader();
    cluster.machine(4).voters = Vec::new();
    let mut cluster = cluster.crashes(4).boots(4).enters(4, 6);
    cluster.machine(4).voters = vec![1, 2, 3];
    cluster.starts_after(4, 6, 6).holds();
}

#[test]
fn whoever_judges_changes_when_they_are_applied_leaves_it_out() {
    let cluster = Cluster::judged_by(Checks::default().without(Check::ConfChange), 3).leads(1, 6);
    cluster.writes_change(1, 6, 6).writes_change(1, 7, 6).holds();
}

#[test]
fn the_membership_of_a_snapshot_counts_once_its_data_is_there() {
    // Two changes ahead of replica 4, which has its data in a later event than the snapshot.
    let five = Cluster::with_voters(Checks::default(), 5, vec![1, 2, 3]);
    let leader = replicated(five.leads(1, 6), 6..=6, 6);
    let leader = leader.writes_change(1, 7, 6).syncs(1).writes_change(2, 7, 6).syncs(2);
    let leader = leader.applies_voters(1, &[1, 2, 3, 4], 7).applies_voters(2, &[1, 2, 3, 4], 7);
    let leader = leader.enters(3, 6).writes(3, 6..=6, 6).writes_change(3, 7, 6).syncs(3);
    let leader = leader.writes_change(1, 8, 6).syncs(1).writes_change(2, 8, 6).syncs(2);
    let leader = leader.writes_change(3, 8, 6).syncs(3).applies_voters(1, &[1, 2, 3, 4, 5], 8);
    let mut begun = leader.enters(4, 6);
    begun.machine(4).restoring = true;
    let begun = begun.starts_after(4, 8, 6).syncs(4);
    let ends_with = |voters: &[u64]| {
        let mut cluster = begun.clone();
        cluster.machine(4).restoring = false;
        cluster.applies_voters(4, voters, 8)
    };
    ends_with(&[1, 2, 3, 4, 5]).holds();
    ends_with(&[1, 2, 3]).breaks(Check::ConfChange, "after the membership change at index 8");
}
