use super::*;

fn leader() -> Cluster {
    Cluster::of(3).leads(1, 6).writes(1, 6..=8, 6)
}

#[test]
fn a_leader_appends() {
    leader().writes(1, 9..=10, 6).holds();
}

#[test]
fn a_leader_rewrites_its_log() {
    leader().writes(1, 8..=8, 6).breaks(Check::LeaderAppendOnly, "index 8");
}

#[test]
fn a_leader_removes_from_its_log() {
    leader().removes(1, 7).breaks(Check::LeaderAppendOnly, "index 7");
}

#[test]
fn a_deposed_leader_may() {
    leader().enters(1, 7).removes(1, 7).writes(1, 7..=7, 7).holds();
}

#[test]
fn a_leader_may_be_deposed_and_rewrite_in_one_event() {
    let mut cluster = leader();
    cluster.machine(1).state.role = Role::Follower;
    cluster.machine(1).state.term = 7;
    cluster.writes(1, 7..=7, 7).holds();
}

#[test]
fn a_leader_compacts() {
    let committed = leader().syncs(1).enters(2, 6).has(2, 6..=8, 6).commits(1, 8);
    committed.starts_after(1, 7, 6).writes(1, 9..=9, 6).holds();
}

#[test]
fn a_leader_takes_up_a_snapshot() {
    let committed = leader().syncs(1).enters(2, 6).has(2, 6..=8, 6).commits(1, 8);
    committed.clone().starts_after(1, 9, 6).breaks(Check::LeaderAppendOnly, "by a snapshot up to index 9");
    let later =
        committed.leads(2, 7).has(2, 9..=9, 7).enters(1, 7).enters(3, 7).has(3, 6..=8, 6).has(3, 9..=9, 7);
    later.commits(2, 9).starts_after(1, 9, 7).holds();
}
