use super::*;

/// Entries 6 and 7 of term 6, on replicas 1 and 2, committed.
fn committed() -> Cluster {
    Cluster::of(3).leads(1, 6).has(1, 6..=7, 6).enters(2, 6).has(2, 6..=7, 6).commits(1, 7)
}

#[test]
fn a_later_leader_has_it() {
    committed().leads(2, 7).holds();
}

#[test]
fn a_later_leader_lacks_it() {
    committed().leads(3, 7).breaks(Check::LeaderCompleteness, "its log ends at 5");
}

#[test]
fn a_later_leader_has_something_else_there() {
    committed().has(3, 6..=7, 5).leads(3, 7).breaks(Check::LeaderCompleteness, "holds one of term 5");
}

#[test]
fn a_later_leader_lacks_the_last_one() {
    committed().enters(3, 6).has(3, 6..=6, 6).leads(3, 7).breaks(Check::LeaderCompleteness, "index 7");
}

#[test]
fn all_who_know_are_gone() {
    committed().crashes(1).crashes(2).leads(3, 7).breaks(Check::LeaderCompleteness, "its log ends at 5");
}

#[test]
fn a_later_leader_need_not_know_that_it_is_committed() {
    let cluster = committed().leads(2, 7).has(2, 8..=8, 7);
    cluster.enters(3, 7).has(3, 6..=7, 6).has(3, 8..=8, 7).commits(2, 8).leads(3, 8).holds();
}

#[test]
fn a_later_leader_has_compacted_it() {
    committed().commits(2, 7).starts_after(2, 7, 6).leads(2, 7).holds();
}

#[test]
fn an_old_leader_commits_late() {
    // The answers were on their way while replica 3 was elected, by voters that should have known better.
    let replicated = Cluster::of(3).leads(1, 6).has(1, 6..=7, 6).enters(2, 6).has(2, 6..=7, 6);
    replicated.clone().leads(2, 7).commits(1, 7).holds();
    replicated.leads(3, 7).commits(1, 7).breaks(Check::LeaderCompleteness, "replica 3 leads term 7 without");
}

/// Figure 3.7 of the thesis, and the votes of term 7 on the way all the time: replicas 3 and 4 gave them to
/// replica 5 before they voted in term 8 and took entry 6 of term 6 from replica 1.
#[test]
fn an_earlier_leader_may_be_elected_late() {
    let cluster = Cluster::of(5).leads(1, 6).has(1, 6..=6, 6).votes(5, 7, 5);
    let cluster = cluster.votes(3, 7, 5).votes(4, 7, 5).leads(1, 8).has(1, 7..=7, 8);
    let cluster = cluster.votes(3, 8, 1).has(3, 6..=6, 6).has(3, 7..=7, 8);
    let cluster = cluster.votes(4, 8, 1).has(4, 6..=6, 6).has(4, 7..=7, 8).commits(1, 7);
    cluster.clone().leads(5, 7).holds();
    cluster
        .leads(5, 9)
        .breaks(Check::LeaderCompleteness, "replica 5 leads term 9 without the entry of index 7");
}

#[test]
fn each_term_has_its_own_last_committed_entry() {
    let cluster =
        committed().leads(2, 8).has(2, 8..=9, 8).enters(3, 8).has(3, 6..=7, 6).has(3, 8..=9, 8).commits(2, 9);
    // The votes of term 7 come late: its leader must have 7, and not 9.
    let late = cluster.clone().leads(1, 7);
    late.holds();
    let incomplete = cluster.crashes_with(1, Cluster::of(1).machine(1).durable.clone());
    incomplete.boots(1).leads(1, 7).breaks(Check::LeaderCompleteness, "the entry of index 7 and term 6");
}
