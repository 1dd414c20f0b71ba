use super::*;

#[test]
fn one_leader_a_term() {
    Cluster::of(3).leads(1, 6).leads(2, 7).leads(1, 8).holds();
}

#[test]
fn two_leaders_of_one_term() {
    Cluster::of(3).leads(1, 6).leads(2, 6).breaks(Check::ElectionSafety, "replicas 1 and 2");
}

#[test]
fn the_first_one_is_long_gone() {
    Cluster::of(3)
        .leads(1, 6)
        .leads(2, 7)
        .crashes(1)
        .leads(3, 6)
        .breaks(Check::ElectionSafety, "replicas 1 and 3");
}

#[test]
fn a_replica_comes_up_as_leader_of_a_term_that_had_one() {
    let mut cluster = Cluster::of(3).leads(1, 6).votes(2, 6, 1).crashes(2);
    cluster.machine(2).state.role = Role::Leader;
    cluster.boots(2).breaks(Check::ElectionSafety, "replicas 1 and 2");
}

#[test]
fn losing_and_winning_again_takes_another_term() {
    let led_twice = Cluster::of(3).leads(1, 6).state(1, |state| state.role = Role::Follower);
    led_twice.clone().leads(1, 7).holds();
    led_twice.leads(2, 6).breaks(Check::ElectionSafety, "term 6");
}
