//! A core that need not come to rest, and why.

use raftsim_harness::report::Verdict;

use super::{freeze, parse, recovers, stalls};

const THREE: &str = "cluster = { stores = 3 }";
const LEADER_1: &str = "{ campaign = 1 }, { wait = \"leader\", on = 1 }, { put = \"k\", value = \"v\" },";

fn three(core: &str) -> String {
    format!("core = [{core}]\n{THREE}")
}

// A leader outside.

#[test]
fn a_deaf_leader_is_heard_and_nothing_makes_it_step_down() {
    let steps = format!("{LEADER_1} {{ cut = {{ from = [2, 3], to = 1 }} }},");
    let why = "region 1: store 1 outside leads it, and not all of the core reaches that";
    stalls(&three("2, 3"), &steps, why);
    // One that is not heard either is no excuse.
    recovers(&three("2, 3"), &format!("{steps} {{ cut = {{ from = 1, to = [2, 3] }} }},"));
}

#[test]
fn a_leader_whom_clients_do_not_reach() {
    let steps = format!("{LEADER_1} {{ cut = {{ from = \"clients\", to = 1 }} }},");
    let why = "region 1: store 1 outside leads it, and not all of the core reaches that";
    stalls(&three("2, 3"), &steps, why);
    recovers(&three("1, 2"), &steps);
}

#[test]
fn a_leader_whom_half_of_the_core_does_not_hear() {
    // Store 2 stays loyal to it, and store 3 cannot win without store 2.
    let top = format!("{}\nraft = {{ pre-vote = true, check-quorum = true }}", three("2, 3"));
    let cut = r#"{ cut = { from = 1, to = 3 } }, { cut = { from = 3, to = 1 } },"#;
    let why = "region 1: store 1 outside leads it, and not all of the core reaches that";
    stalls(&top, &format!("{LEADER_1} {cut}"), why);
    recovers(&top, &format!("{LEADER_1} {cut} {{ cut = {{ from = 1, to = 2 }} }},"));
}

// What is missing is outside.

#[test]
fn a_core_that_is_too_small() {
    let steps = format!("{LEADER_1} {{ wait = \"applied\" }}, {{ wait = \"50ms\" }}, {{ crash = [1, 2] }},");
    stalls(&three("3"), &steps, "region 1: the configuration in force on store 3 needs votes of stores 1, 2");
    recovers(&three("2, 3"), &steps);
}

#[test]
fn one_half_of_a_joint_configuration() {
    let top = |core: &str| {
        format!("core = [{core}]\nsystem = \"raft\"\ncluster = {{ stores = 5, voters = [1, 2, 3] }}")
    };
    let steps = format!(
        r#"{LEADER_1}
        {{ change = {{ add = [4, 5], remove = [2, 3] }}, transition = "explicit" }},
        {{ wait = "members", on = "all", voters = [1, 4, 5], joint = true }},
        {{ crash = [1, 2, 3] }},"#
    );
    stalls(
        &top("4, 5"),
        &steps,
        "region 1: the configuration in force on store 4 needs votes of stores 1, 2, 3",
    );
    recovers(&top("2, 3, 4, 5"), &steps);
}

/// Stores 2 and 3 are a majority once store 4 is removed, and do not know yet that it is.
#[test]
fn a_configuration_that_nobody_inside_knows_to_be_committed() {
    let top =
        |core: &str| format!("core = [{core}]\nraft = {{ election-ticks = 30 }}\ncluster = {{ stores = 4 }}");
    let steps = |told: &str| {
        format!(
            r#"{LEADER_1}
        {{ wait = "applied" }}, {{ wait = "100ms" }},
        {{ isolate = 4 }},
        {{ drop = "append", from = 1, to = 2, skip = 1 }},
        {{ drop = "append", from = 1, to = 3, skip = 1 }},
        {{ drop = "heartbeat", from = 1 }},
        {{ change = {{ remove = 4 }} }},
        {{ wait = "members", on = 1, voters = [1, 2, 3] }},
        {{ expect = "members", on = 2, voters = [1, 2, 3, 4] }},
        {told}
        {{ crash = [1, 4] }},"#
        )
    };
    let why = "region 1: the configuration in force on store 2 needs votes of stores 1, 4";
    stalls(&top("2, 3"), &steps(""), why);
    recovers(&top("2, 3, 4"), &steps(""));
    let told = r#"{ clear = "all" }, { wait = "members", on = 2, voters = [1, 2, 3] },"#;
    recovers(&top("2, 3"), &steps(told));
}

#[test]
fn a_committed_entry_that_is_elsewhere() {
    let steps = format!(
        r#"{LEADER_1} {{ wait = "applied" }}, {{ isolate = 3 }}, {{ append = "k", value = "w" }}, {{ crash = [1, 2] }},"#
    );
    let report = freeze(&parse(&three("3"), &steps), 1);
    let why = report.stalled.expect("one of three elects nobody");
    assert_eq!((why.why.word(), report.verdict), ("entry", Verdict::Clean), "{why}");
    recovers(&three("1, 3"), &steps);
}

#[test]
fn data_that_is_elsewhere() {
    let top = |core: &str| format!("core = [{core}]\ncluster = {{ stores = 2, voters = [1] }}");
    let steps = format!(
        r#"{LEADER_1}
        {{ drop = ["snapshot", "snapshot-chunk"], to = 2 }},
        {{ change = {{ add = 2 }} }},
        {{ wait = "members", on = 1, voters = [1, 2] }},
        {{ wait = "1s" }},
        {{ crash = 1 }},"#
    );
    stalls(&top("2"), &steps, "region 1: its data is on store 1, and on no disk of the core");
    recovers(&top("1, 2"), &steps);
}

// What is missing is nowhere.

#[test]
fn a_voter_whose_disk_was_wiped() {
    let steps =
        format!("{LEADER_1} {{ wait = \"applied\" }}, {{ crash = 1 }}, {{ wipe = 3 }}, {{ restart = 3 }},");
    stalls(&three("2, 3"), &steps, "region 1: voters on store 3 lost their disks");
    recovers(&three("1, 2"), &steps);
}

#[test]
fn a_voter_whose_disk_has_rotted() {
    let rot = r#"{ rot = 3, what = "raft-state" }, { crash = [1, 3] },"#;
    let steps = format!("{LEADER_1} {{ wait = \"applied\" }}, {{ wait = \"50ms\" }}, {rot}");
    stalls(&three("2, 3"), &steps, "region 1: voters on store 3 lost their disks");
    recovers(&three("1, 2"), &steps);
    recovers(&three("1, 2, 3"), &steps);
}

#[test]
fn a_quorum_that_is_lost_for_good_heals_no_more() {
    let steps = format!(
        "{LEADER_1} {{ wait = \"applied\" }}, {{ wipe = [2, 3] }}, {{ restart = [2, 3] }},\n\
        {{ put = \"k\", value = \"w\", client = 1 }},"
    );
    let mut scenario = parse(&format!("budget = \"none\"\n{THREE}"), &steps);
    scenario.ending = raftsim_harness::scenario::ast::Ending::Heal;
    let report = freeze(&scenario, 1);
    let stall = report.stalled.map(|stall| stall.to_string());
    assert_eq!(stall.as_deref(), Some("region 1: voters on stores 2, 3 lost their disks"));
    assert_eq!(report.verdict, Verdict::Clean);
}

// Another region is in the way.

/// Store 3 still has all keys, for a region that has moved to store 4. Its half of what was split off waits for them.
#[test]
fn a_replica_that_nobody_inside_can_send_away() {
    let top = |core: &str| format!("core = [{core}]\ncluster = {{ stores = 5, voters = [1, 2, 3] }}");
    let steps = format!(
        r#"{LEADER_1}
        {{ put = "k1..k9", value = "v" }},
        {{ wait = "applied" }},
        {{ isolate = 3 }},
        {{ split = "k5" }},
        {{ change = {{ add = 4, remove = 3 }} }},
        {{ wait = "members", voters = [1, 2, 4], joint = false }},
        {{ change = {{ remove = 2 }} }},
        {{ wait = "members", voters = [1, 4], joint = false }},
        {{ wait = "members", on = 4, voters = [1, 4] }}, {{ wait = "1s" }},
        {{ transfer = 4 }}, {{ wait = "leader", on = 4 }},
        {{ change = {{ remove = 1 }} }},
        {{ wait = "members", voters = 4, joint = false }},
        {{ change = {{ add = 4, remove = 1 }}, of = "k5" }},
        {{ wait = "members", of = "k5", voters = [2, 3, 4], joint = false }},
        {{ wait = "members", of = "k5", on = 4, voters = [2, 3, 4] }}, {{ wait = "1s" }},
        {{ transfer = 4, of = "k5" }}, {{ wait = "leader", on = 4, of = "k5" }},
        {{ change = {{ add = 5, remove = 2 }}, of = "k5" }},
        {{ wait = "members", of = "k5", voters = [3, 4, 5], joint = false, within = "10s" }},
        {{ wait = "2s" }},
        {{ crash = [1, 2] }},"#
    );
    let scenario = parse(&top("3, 4, 5"), &steps);
    let report = freeze(&scenario, 1);
    let why = report.stalled.expect("store 3 is not told");
    assert_eq!((why.why.word(), report.verdict), ("blocked", Verdict::Clean), "{why}");
    // Store 1 remembers that the region left it, and so did store 3.
    recovers(&top("1, 3, 4, 5"), &steps);
}
