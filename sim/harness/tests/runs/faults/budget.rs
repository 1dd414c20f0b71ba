//! What a run withholds, and what not.

use raftsim_harness::scenario::Check;

use super::{clean, count, fails, start, story};

const LEADER: &str = r#"{ campaign = 1 }, { wait = "leader", on = 1 }, { put = "k1..k5", value = "v" }, { wait = "applied" },"#;
const NO_END: &str = "ending = \"none\"";

#[test]
fn half_of_the_disks_are_not_taken() {
    for (stores, taken, withheld) in
        [(1, "1", 1), (2, "2", 1), (3, "[3, 2]", 1), (4, "[2, 3]", 1), (5, "[3, 4, 5]", 1)]
    {
        let steps = format!(r#"{LEADER} {{ wipe = {taken} }}"#);
        let report = clean(start(&format!("cluster = {{ stores = {stores} }}\n{NO_END}"), &steps).finish());
        assert_eq!(report.withheld, withheld, "{taken} of {stores}");
        let lost = report.stores.iter().filter(|store| !store.up).count();
        assert_eq!(lost, (stores - 1) / 2, "{taken} of {stores}");
    }
}

#[test]
fn what_is_withheld_is_told() {
    let told = story(NO_END, &format!(r#"{LEADER} {{ wipe = 3 }}, {{ wipe = 2 }}"#));
    assert_eq!(
        count(&told, "withheld: store 2 is not wiped: region 1 would have lost 2 of its voters"),
        1,
        "{told}"
    );
}

#[test]
fn rot_and_wipes_are_one_budget() {
    let steps = format!(
        r#"{LEADER} {{ rot = 3, what = "log" }}, {{ wipe = 2 }}, {{ rot = 3, what = "raft-state" }}"#
    );
    assert_eq!(clean(start(NO_END, &steps).finish()).withheld, 1);
    // What was written again is whole, and another disk may go.
    let steps = format!(
        r#"{LEADER} {{ rot = 3, what = "raft-state" }}, {{ transfer = 2 }}, {{ wait = "leader", on = 2 }},
           {{ put = "k1", value = "w" }}, {{ wait = "applied" }}, {{ wipe = 1 }}, {{ expect = "leader", on = 2 }}"#
    );
    assert_eq!(clean(start(NO_END, &steps).finish()).withheld, 0);
}

#[test]
fn learners_are_free() {
    let steps = format!(r#"{LEADER} {{ wipe = 4 }}, {{ wipe = 3 }}"#);
    let report =
        start(&format!("cluster = {{ stores = 4, voters = [1, 2, 3], learners = [4] }}\n{NO_END}"), &steps);
    assert_eq!(clean({ report }.finish()).withheld, 0);
}

#[test]
fn both_halves_of_a_joint_configuration_count() {
    // Stores 1, 2 and 3 go over to 1, 4 and 5: of each half one may be lost, not two.
    let steps = format!(
        r#"{LEADER} {{ change = {{ add = [4, 5], remove = [2, 3] }}, transition = "explicit" }},
           {{ wait = "members", on = [1, 2, 3, 4, 5], joint = true }}, {{ wipe = 3 }}, {{ wipe = 5 }}, {{ wipe = 4 }}, {{ wipe = 2 }}"#
    );
    let report = start(&format!("cluster = {{ stores = 5, voters = [1, 2, 3] }}\n{NO_END}"), &steps);
    assert_eq!(clean({ report }.finish()).withheld, 2);
}

#[test]
fn a_region_whose_stores_are_all_down_counts() {
    let steps = format!(
        r#"{LEADER} {{ crash = "all" }}, {{ wipe = 3 }}, {{ wipe = 2 }}, {{ wipe = 1 }}, {{ restart = "all" }},
        {{ wait = "leader", within = "10s" }}, {{ get = "k1", is = "v" }}"#
    );
    assert_eq!(clean(start(NO_END, &steps).finish()).withheld, 2);
}

/// Two voters that remain, of which one is lost, are no quorum.
#[test]
fn a_change_that_leaves_no_intact_majority_is_withheld() {
    let steps = format!(
        r#"{LEADER} {{ wipe = 3 }}, {{ restart = 3 }}, {{ change = {{ remove = 2 }}, refused = true }},
        {{ change = {{ remove = 3 }} }}, {{ wait = "members", voters = [1, 2], joint = false }}"#
    );
    assert_eq!(clean(start(NO_END, &steps).finish()).withheld, 1);
}

#[test]
fn a_new_member_on_the_same_store_is_whole() {
    let replaced = r#"{ wipe = 3 }, { restart = 3 }, { change = { remove = 3 } },
        { wait = "members", voters = [1, 2], joint = false }, { change = { add = 3 } },
        { wait = "members", on = 3, voters = [1, 2, 3], joint = false },"#;
    let steps =
        format!(r#"{LEADER} {replaced} {{ wipe = 2 }}, {{ put = "k1", value = "w", within = "5s" }}"#);
    assert_eq!(
        clean(start(&format!("{NO_END}\nraftstore = {{ leader-missing = \"3s\" }}"), &steps).finish())
            .withheld,
        0
    );
}

#[test]
fn without_a_budget_everything_is_done() {
    let steps = format!(
        r#"{LEADER} {{ wipe = [2, 3] }}, {{ restart = [2, 3] }}, {{ wait = "leader", not = [2, 3], within = "1s" }},
        {{ put = "k", value = "v", within = "5s" }}"#
    );
    let report = start(&format!("budget = \"none\"\n{NO_END}"), &steps).finish();
    assert_eq!(report.withheld, 0);
    fails(&report, Check::Wait, "not answered in time");
}
