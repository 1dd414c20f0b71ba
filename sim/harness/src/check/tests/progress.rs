use super::*;

/// Replica 1 leads term 6 with entries 6 to 9, of which replica 2 has durably two and replica 3 none.
fn leader() -> Cluster {
    let cluster = Cluster::of(3).leads(1, 6).has(1, 6..=9, 6);
    cluster.enters(2, 6).has(2, 6..=7, 6).enters(3, 6)
}

#[test]
fn what_a_leader_hears_is_what_it_believes() {
    let leader = leader().believes(1, &[(1, 5, 10), (2, 0, 10), (3, 0, 10)]);
    let heard = leader.believes(1, &[(1, 9, 10), (2, 7, 8), (3, 5, 6)]);
    heard.commits(1, 7).has(2, 8..=9, 6).believes(1, &[(1, 9, 10), (2, 9, 10), (3, 5, 6)]).holds();
}

#[test]
fn what_is_known_to_be_there_is_not_sent() {
    leader().believes(1, &[(1, 9, 10), (2, 7, 7), (3, 0, 6)]).breaks(Check::Progress, "replica 2");
    // Also where nothing but `next` changed.
    let fine = leader().believes(1, &[(1, 9, 10), (2, 7, 8), (3, 0, 6)]);
    fine.believes(1, &[(1, 9, 10), (2, 7, 6), (3, 0, 6)]).breaks(Check::Progress, "sends 6 next");
}

#[test]
fn more_than_the_leader_has() {
    let longer = leader().has(2, 8..=12, 6);
    longer.believes(1, &[(1, 9, 10), (2, 10, 11)]).breaks(Check::Progress, "its own log ends at 9");
}

#[test]
fn more_than_is_durable_at_the_peer() {
    let written = leader().writes(2, 8..=9, 6);
    written.clone().believes(1, &[(2, 9, 10)]).breaks(Check::Progress, "its durable log ends at 7");
    written.syncs(2).believes(1, &[(2, 9, 10)]).holds();
    // Of itself too.
    let own = leader().writes(1, 10..=10, 6);
    own.believes(1, &[(1, 10, 11)]).breaks(Check::Progress, "its durable log ends at 9");
}

#[test]
fn what_the_leader_believes_does_not_fall() {
    let heard = || leader().believes(1, &[(1, 9, 10), (2, 7, 8)]);
    heard().believes(1, &[(1, 9, 10), (2, 6, 7)]).breaks(Check::Progress, "before it was 7");
    heard().believes(1, &[(1, 9, 10), (2, 0, 7)]).breaks(Check::Progress, "before it was 7");
    // In another leadership it starts anew.
    let again = heard().enters(1, 7).leads(1, 8).has(1, 10..=10, 8);
    again.believes(1, &[(1, 10, 11), (2, 0, 11)]).holds();
}

#[test]
fn one_that_was_removed_and_added_again_starts_anew() {
    let heard = || leader().believes(1, &[(1, 9, 10), (2, 7, 8), (3, 5, 6)]);
    heard().believes(1, &[(1, 9, 10), (3, 5, 6)]).believes(1, &[(1, 9, 10), (2, 0, 10), (3, 5, 6)]).holds();
    // By two changes that are applied in one event; one alone cannot do it.
    let anew = [(1, 9, 10), (2, 0, 10), (3, 5, 6)];
    heard().commits(1, 7).believes(1, &anew).holds();
    heard().commits(1, 6).believes(1, &anew).breaks(Check::Progress, "before it was 7");
}

#[test]
fn a_crash_takes_nothing_of_it() {
    let crashed = leader().writes(2, 8..=9, 6).believes(1, &[(2, 7, 8)]).crashes(2);
    crashed.clone().believes(1, &[(2, 7, 8), (3, 0, 6)]).boots(2).believes(1, &[(2, 7, 8)]).holds();
    crashed.believes(1, &[(2, 9, 10)]).breaks(Check::Progress, "its durable log ends at 7");
}

#[test]
fn a_snapshot_takes_the_place_of_entries() {
    let sent = leader().has(2, 8..=9, 6).commits(1, 9).starts_after(3, 9, 6);
    sent.clone().believes(1, &[(3, 9, 10)]).breaks(Check::Progress, "its durable log ends at 5");
    sent.syncs(3).believes(1, &[(3, 9, 10)]).crashes(3).boots(3).believes(1, &[(3, 9, 11)]).holds();
}

#[test]
fn a_later_leader_may_replace_what_was_not_committed() {
    // Replica 3 makes 2 forget what it acknowledged to 1, and 1 hears of the acknowledgement late.
    let replaced = leader().leads(3, 7).enters(2, 7).removes(2, 6).syncs(2);
    replaced.clone().believes(1, &[(2, 7, 8)]).holds();
    // Who forgets it in the leader's own term lied.
    leader().removes(2, 6).syncs(2).believes(1, &[(2, 7, 8)]).breaks(Check::Progress, "ends at 5");
}

#[test]
fn of_a_destroyed_peer_counts_what_it_had() {
    let mut cluster = leader();
    cluster.facts(2).destroyed(0);
    cluster.facts(2).gone();
    cluster.clone().believes(1, &[(2, 7, 8)]).holds();
    cluster.believes(1, &[(2, 8, 9)]).breaks(Check::Progress, "ends at 7");
}
