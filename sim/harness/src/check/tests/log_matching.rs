use super::*;

/// Replica 1 leads term 6 with entry 6, replica 2 has it too.
fn replicated() -> Cluster {
    Cluster::of(3).leads(1, 6).has(1, 6..=6, 6).enters(2, 6).has(2, 6..=6, 6)
}

#[test]
fn replicas_have_the_same_entries() {
    replicated().writes(1, 7..=7, 6).writes(2, 7..=7, 6).holds();
}

#[test]
fn an_entry_says_something_else() {
    replicated().writes(1, 7..=7, 6).writes_something_else(2, 7, 6).breaks(Check::LogMatching, "differs");
}

#[test]
fn an_entry_of_another_term_may_say_something_else() {
    replicated().writes(1, 7..=7, 6).enters(2, 7).writes_something_else(2, 7, 7).holds();
}

#[test]
fn an_entry_follows_another_one() {
    // Replica 3 skips the check of what comes before, and keeps an entry of term 5 at 6.
    let cluster = replicated().has(3, 6..=6, 5).enters(3, 7);
    let cluster = cluster.leads(1, 7).writes(1, 7..=7, 7);
    cluster.writes(3, 7..=7, 7).breaks(Check::LogMatching, "after one of term 5");
}

#[test]
fn the_first_one_is_compacted_away() {
    let cluster = replicated().commits(1, 6).starts_after(1, 6, 6).enters(3, 6);
    cluster.clone().writes(3, 6..=6, 6).holds();
    cluster.writes_something_else(3, 6, 6).breaks(Check::LogMatching, "differs");
}

#[test]
fn an_entry_is_forgotten_in_a_crash_and_comes_back() {
    let forgot = replicated().writes(2, 7..=7, 6).crashes(2).boots(2);
    forgot.clone().writes(2, 7..=7, 6).holds();
    forgot.writes_something_else(2, 7, 6).breaks(Check::LogMatching, "differs");
}
