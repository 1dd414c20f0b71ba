//! What holds for all checks: which fact goes where, and what a clone shares.

use super::*;

#[test]
fn a_violation_says_where_and_ends_the_judging() {
    let mut cluster = Cluster::of(3).leads(1, 6).leads(2, 6);
    let first = cluster.checks.violation().cloned().expect("two leaders");
    assert_eq!((first.time, first.store, first.region), (Time(1), Some(2), Some(1)));
    let state = ReplicaState { role: Role::Leader, ..cluster.machine(3).state };
    let voters = Voters { incoming: &[1, 2, 3], outgoing: &[] };
    cluster.facts(3).state(&ReplicaState { term: 6, ..state }, voters, false);
    assert_eq!(cluster.checks.violation(), Some(&first));
}

#[test]
fn regions_are_judged_apart() {
    let mut cluster = Cluster::of(3).leads(1, 6);
    let state = ReplicaState { term: 6, vote: 2, role: Role::Leader, ..cluster.machine(2).state };
    let mut site = Site { time: Time(1), node: NodeId(1), region: 2, replica: 2 };
    for region in [2, 3, 2] {
        site.region = region;
        let mut facts = cluster.checks.at(site);
        facts.wrote(1, DiskWrite::Start { index: START.0, term: START.1, restored: false }, &state);
        facts.state(&state, Voters { incoming: &[2], outgoing: &[] }, false);
        assert_eq!(facts.last_state(), Some(&state));
    }
    assert_eq!(cluster.checks.violation(), None);
    // Back to the first region, which remembers its leader.
    assert_eq!((cluster.checks.committed(1), cluster.checks.committed(3)), (5, 5));
    cluster.leads(3, 6).breaks(Check::ElectionSafety, "replicas 1 and 3");
}

#[test]
fn a_clone_has_a_future_of_its_own() {
    let cluster = Cluster::of(3).leads(1, 6);
    cluster.clone().leads(2, 6).breaks(Check::ElectionSafety, "term 6");
    cluster.leads(2, 7).holds();
}

#[test]
fn a_check_that_is_left_out_says_nothing_and_hides_nothing() {
    let checks = || Checks::default().without(Check::ElectionSafety);
    let both = Cluster::judged_by(checks(), 3).leads(1, 6).leads(2, 6);
    both.clone().holds();
    both.state(2, |state| state.last = 9).breaks(Check::LogOrder, "ends at 9");
}

#[test]
fn the_highest_commit_is_known() {
    let cluster = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6).enters(2, 6).has(2, 6..=9, 6);
    let cluster = cluster.commits(1, 8).crashes(1).boots(1);
    assert_eq!(cluster.checks.committed(1), 8);
    assert_eq!(cluster.checks.committed(2), 0);
}

/// A long history of terms, compared at every index in the end.
#[test]
fn the_committed_log_is_remembered_whole() {
    let mut cluster = Cluster::of(1);
    let mut terms = Vec::new();
    for term in 6..60 {
        let last = START.0 + terms.len() as u64;
        cluster = cluster.leads(1, term).has(1, last + 1..=last + term % 4 + 1, term);
        terms.extend(std::iter::repeat_n(term, (term % 4 + 1) as usize));
        cluster = cluster.commits(1, START.0 + terms.len() as u64);
    }
    let committed = &cluster.checks.region(1).expect("judged").ledger.committed;
    for (index, term) in (START.0 + 1..).zip(&terms) {
        assert_eq!(committed.term_at(index), Some(*term));
    }
    assert_eq!(committed.term_at(START.0), Some(START.1));
    assert_eq!(committed.term_at(START.0 + terms.len() as u64 + 1), None);
    for term in 7..60 {
        let last = START.0 + terms.partition_point(|of| *of < term) as u64;
        assert_eq!(committed.before_term(term), Some((last, term - 1)));
    }
}

/// Store by store a region that has grown old changes its replicas; a look-up of each finds the right one.
#[test]
fn replicas_that_are_gone_for_good_are_forgotten_unless_somebody_counts_on_them() {
    let checks = Checks::default().without(Check::ConfChange);
    let mut cluster = Cluster::with_voters(checks, 5, vec![1, 2, 3]).leads(1, 6);
    for id in [3, 4] {
        cluster.facts(id).destroyed(0);
        cluster.facts(id).gone();
    }
    let mut site = Site { time: Time(1), node: NodeId(8), region: 1, replica: 9 };
    let known = |cluster: &Cluster| -> Vec<u64> {
        (1..12).filter(|id| cluster.checks.last_index(1, *id).is_some()).collect()
    };
    let _ = cluster.checks.at(site);
    assert_eq!(known(&cluster), [1, 2, 3, 5, 9], "3 is a voter still");
    let mut cluster = cluster.has(1, 6..=6, 6).enters(2, 6).has(2, 6..=6, 6);
    cluster = cluster.applies_voters(1, &[1, 2], 6).applies_voters(2, &[1, 2], 6).crashes(5);
    site.replica = 7;
    let _ = cluster.checks.at(site);
    assert_eq!(known(&cluster), [1, 2, 5, 7, 9]);
}

/// A replica that a message made lives without data; then the split that its group comes from is applied here first.
#[test]
fn a_group_may_begin_in_a_replica_that_waited_for_it() {
    let mut checks = Checks::default();
    let site = Site { time: Time(1), node: NodeId(0), region: 2, replica: 7 };
    let waiting = ReplicaState {
        term: 6,
        vote: 0,
        role: Role::Follower,
        leader: 0,
        commit: 0,
        applied: 0,
        truncated: 0,
        last: 0,
    };
    checks.at(site).state(&waiting, Voters::default(), false);
    let (index, term) = START;
    let born = ReplicaState { commit: index, applied: index, truncated: index, last: index, ..waiting };
    let mut facts = checks.at(site);
    facts.wrote(1, DiskWrite::Start { index, term, restored: true }, &born);
    facts.state(&born, Voters { incoming: &[7, 8, 9], outgoing: &[] }, false);
    assert_eq!(checks.violation(), None);
    // The next one that waits learns of no more than the first has.
    let site = Site { node: NodeId(1), replica: 8, ..site };
    checks.at(site).state(&waiting, Voters::default(), false);
    let ahead = ReplicaState { commit: 9, applied: 9, truncated: 9, last: 9, ..waiting };
    let mut facts = checks.at(site);
    facts.wrote(1, DiskWrite::Start { index: 9, term: 6, restored: true }, &ahead);
    facts.state(&ahead, Voters { incoming: &[7, 8, 9], outgoing: &[] }, false);
    assert_eq!(checks.violation().map(|violation| violation.check), Some(Check::CommitRule));
}
