use super::*;

/// Replica 1 leads term 6 with entries 6 to 8, durable there alone.
fn leader(size: u64) -> Cluster {
    Cluster::of(size).leads(1, 6).has(1, 6..=8, 6)
}

#[test]
fn a_quorum_holds_it_durably() {
    leader(3).enters(2, 6).has(2, 6..=7, 6).commits(1, 7).holds();
}

#[test]
fn nobody_else_holds_it() {
    leader(3).commits(1, 6).breaks(Check::CommitRule, "durable on 1 of 3");
}

#[test]
fn half_is_no_quorum() {
    leader(4)
        .enters(2, 6)
        .has(2, 6..=8, 6)
        .commits(1, 8)
        .breaks(Check::CommitRule, "durable on 2 of 4 voters; a quorum is 3");
}

#[test]
fn a_follower_has_not_synced_it() {
    let written = leader(3).enters(2, 6).writes(2, 6..=8, 6);
    written.clone().syncs(2).commits(1, 8).holds();
    written.commits(1, 8).breaks(Check::CommitRule, "durable on 1 of 3");
}

#[test]
fn the_leader_counts_itself_too_early() {
    let written = Cluster::of(1).leads(1, 6).writes(1, 6..=6, 6);
    written.clone().syncs(1).commits(1, 6).holds();
    written.commits(1, 6).breaks(Check::CommitRule, "durable on 0 of 1");
}

#[test]
fn followers_suffice_without_the_leader() {
    let cluster = Cluster::of(3).leads(1, 6).writes(1, 6..=6, 6);
    let cluster = cluster.enters(2, 6).has(2, 6..=6, 6).enters(3, 6).has(3, 6..=6, 6);
    cluster.commits(1, 6).holds();
}

#[test]
fn a_follower_holds_an_entry_of_another_term() {
    leader(3).has(2, 6..=6, 5).enters(2, 6).commits(1, 6).breaks(Check::CommitRule, "durable on 1 of 3");
}

/// Figure 3.7 of the thesis: the leader of term 8 has an entry of term 6 on a majority.
#[test]
fn an_entry_of_an_earlier_term_is_not_counted() {
    let majority = leader(3).enters(2, 6).has(2, 6..=8, 6).leads(1, 8);
    majority.clone().commits(1, 8).breaks(Check::CommitRule, "index 8 of term 6 by counting");
    majority.has(1, 9..=9, 8).enters(2, 8).has(2, 9..=9, 8).commits(1, 9).holds();
}

#[test]
fn a_crash_takes_what_a_quorum_needs() {
    let held = leader(3).enters(2, 6).writes(2, 6..=8, 6);
    held.clone().crashes_and_keeps_all(2).boots(2).commits(1, 8).holds();
    held.crashes(2).boots(2).commits(1, 8).breaks(Check::CommitRule, "durable on 1 of 3");
}

#[test]
fn a_voter_cut_it_off_again() {
    let held = leader(3).enters(2, 6).has(2, 6..=8, 6).enters(2, 7).removes(2, 8);
    held.clone().commits(1, 8).holds();
    held.clone().syncs(2).commits(1, 7).holds();
    held.syncs(2).commits(1, 8).breaks(Check::CommitRule, "durable on 1 of 3");
}

#[test]
fn a_store_that_is_down_still_holds_what_it_holds() {
    leader(3).enters(2, 6).has(2, 6..=8, 6).crashes(2).commits(1, 8).holds();
}

#[test]
fn a_follower_may_learn_before_it_syncs() {
    let committed = leader(3).enters(2, 6).has(2, 6..=8, 6).commits(1, 8);
    committed.enters(3, 6).writes(3, 6..=8, 6).commits(3, 8).holds();
}

#[test]
fn a_follower_commits_what_no_leader_did() {
    let replicated = leader(3).enters(2, 6).has(2, 6..=8, 6).commits(1, 7);
    replicated.clone().commits(2, 7).holds();
    replicated.commits(2, 8).breaks(Check::CommitRule, "no leader has committed more than 7");
}

#[test]
fn a_restart_commits_what_no_leader_did() {
    let replicated = leader(3).enters(2, 6).has(2, 6..=8, 6).commits(1, 7).commits(2, 7).crashes(2);
    replicated.clone().commits(2, 7).holds();
    replicated.commits(2, 8).breaks(Check::CommitRule, "no leader has committed more than 7");
}

/// Of a replica that counts other voters these tests do not ask how it came to do so.
fn leader_of_changing_voters(size: u64) -> Cluster {
    Cluster::judged_by(Checks::default().without(Check::ConfChange), size).leads(1, 6).has(1, 6..=8, 6)
}

#[test]
fn a_configuration_counts_from_when_it_is_applied() {
    let four = leader_of_changing_voters(4);
    let three = four.enters(2, 6).has(2, 6..=8, 6).applies_voters(1, &[1, 2, 3], 5);
    // Entry 7 adds replica 4. Its commit is by the voters before it, what follows by those after it.
    let four = three.state(1, |state| state.commit = 6).applies_voters(1, &[1, 2, 3, 4], 7);
    four.clone().enters(4, 6).has(4, 6..=8, 6).commits(1, 8).holds();
    four.commits(1, 8).breaks(Check::CommitRule, "durable on 2 of 4");
}

#[test]
fn a_smaller_configuration_may_commit_more_in_the_same_event() {
    let five = leader_of_changing_voters(5);
    let five = five.enters(2, 6).has(2, 6..=8, 6).enters(3, 6).has(3, 6..=7, 6);
    five.clone().applies_voters(1, &[1, 2], 8).holds();
    five.applies_voters(1, &[1, 2, 3, 4], 8).breaks(Check::CommitRule, "durable on 2 of 4");
}

#[test]
fn a_voter_that_compacted_or_installed_it_holds_it() {
    let committed = leader(3).enters(2, 6).has(2, 6..=8, 6).commits(1, 8).commits(2, 8);
    let compacted = committed.clone().starts_after(2, 8, 6).syncs(2).has(1, 9..=9, 6).has(2, 9..=9, 6);
    compacted.commits(1, 9).holds();
    let installed = committed.enters(3, 6).starts_after(3, 8, 6).has(1, 9..=9, 6).writes(3, 9..=9, 6);
    installed.clone().syncs(3).commits(1, 9).holds();
    installed.commits(1, 9).breaks(Check::CommitRule, "durable on 1 of 3");
}

#[test]
fn a_joint_configuration_needs_both_halves() {
    let joint = leader_of_changing_voters(5).applies_joint(1, &[1, 4, 5], &[1, 2, 3], 5);
    let outgoing = joint.clone().enters(2, 6).has(2, 6..=8, 6);
    outgoing
        .clone()
        .commits(1, 8)
        .breaks(Check::CommitRule, "durable on 1 of 3 voters of one half of 1 2 3 -> 1 4 5");
    outgoing.enters(4, 6).has(4, 6..=8, 6).commits(1, 8).holds();
    let incoming = joint.enters(4, 6).has(4, 6..=8, 6).enters(5, 6).has(5, 6..=8, 6);
    incoming.commits(1, 8).breaks(Check::CommitRule, "durable on 1 of 3 voters of one half");
}

#[test]
fn a_joint_configuration_may_be_entered_and_left_in_the_event_that_commits() {
    let held = leader_of_changing_voters(5).enters(2, 6).has(2, 6..=8, 6);
    held.clone()
        .applies_joint(1, &[1, 4, 5], &[1, 2, 3], 7)
        .breaks(Check::CommitRule, "on 1 of 3 voters of one half");
    let three = held.applies_voters(1, &[1, 2, 3], 5);
    // By the voters before it.
    three.clone().applies_joint(1, &[1, 4, 5], &[1, 2, 3], 7).holds();
    // By the voters after it, of which one half was missing.
    let joint = three.applies_joint(1, &[1, 4, 5], &[1, 2, 3], 5).enters(4, 6).has(4, 6..=8, 6);
    joint.enters(5, 6).has(5, 6..=8, 6).applies_voters(1, &[1, 4, 5], 8).holds();
}

#[test]
fn voters_may_change_in_an_event_that_changes_nothing_else() {
    let held = leader_of_changing_voters(3).enters(2, 6).has(2, 6..=8, 6);
    held.applies_voters(1, &[1, 3], 5).commits(1, 8).breaks(Check::CommitRule, "durable on 1 of 2");
}

#[test]
fn a_leader_commits_its_own_removal_and_steps_down_in_one_event() {
    let step_down = |cluster: Cluster| {
        let mut cluster = cluster;
        cluster.machine(1).state.role = Role::Follower;
        cluster.applies_voters(1, &[2, 3], 8)
    };
    let leader = leader_of_changing_voters(3);
    step_down(leader.clone().enters(2, 6).has(2, 6..=8, 6)).holds();
    step_down(leader).breaks(Check::CommitRule, "durable on 0 of 2");
}

#[test]
fn a_snapshot_of_what_no_leader_committed() {
    let replicated = leader(3).enters(2, 6).has(2, 6..=8, 6).commits(1, 7).enters(3, 6);
    replicated.clone().starts_after(3, 7, 6).holds();
    replicated.starts_after(3, 8, 6).breaks(Check::CommitRule, "no leader has committed more than 7");
}

#[test]
fn a_snapshot_is_held_when_it_is_durable() {
    // Entry 9 goes to a replica whose snapshot waits for its sync, and then with it.
    let restored = leader(3).enters(2, 6).has(2, 6..=8, 6).commits(1, 8).enters(3, 6).starts_after(3, 8, 6);
    let appended = restored.has(1, 9..=9, 6).writes(3, 9..=9, 6);
    appended.clone().syncs_up_to(3, 2).commits(1, 9).breaks(Check::CommitRule, "durable on 1 of 3");
    appended.syncs(3).commits(1, 9).holds();
}

#[test]
fn a_leader_commits_its_own_removal_and_is_gone() {
    // What it said of its commit in its last messages is all that is known of that.
    let replicated = || Cluster::of(3).leads(1, 6).has(1, 6..=8, 6).enters(2, 6).has(2, 6..=7, 6);
    let goes = |commit| {
        let mut cluster = replicated();
        cluster.act(1);
        cluster.facts(1).destroyed(commit);
        cluster
    };
    goes(7).commits(2, 7).holds();
    goes(6).commits(2, 7).breaks(Check::CommitRule, "no leader has committed more than 6");
    goes(8).breaks(Check::CommitRule, "which is durable on 1 of 3 voters");
}

/// A leader that stood still counts late answers, when a later leader has committed the entry and the others dropped it.
#[test]
fn others_committed_it_in_a_later_term_and_compacted_it() {
    let both = leader(3).enters(2, 6).has(2, 6..=8, 6).enters(3, 7).has(3, 6..=8, 6).leads(2, 7);
    let later = both.has(2, 9..=9, 7).has(3, 9..=9, 7).commits(2, 9).commits(3, 9);
    let compacted = later.starts_after(2, 9, 7).syncs(2).starts_after(3, 9, 7).syncs(3);
    compacted.commits(1, 8).holds();
}

/// They may have done so in the event in which they learned of the commit.
#[test]
fn others_committed_and_compacted_it_at_once() {
    let both = leader(3).enters(2, 6).has(2, 6..=8, 6).enters(3, 7).has(3, 6..=8, 6).leads(2, 7);
    let later = both.has(2, 9..=9, 7).has(3, 9..=9, 7);
    let compacted = later.starts_after(2, 9, 7).syncs(2).starts_after(3, 9, 7).syncs(3);
    compacted.commits(1, 8).holds();
}
