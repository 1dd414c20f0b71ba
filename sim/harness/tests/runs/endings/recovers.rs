//! A core that must come to rest by itself.

use std::sync::Arc;

use raftsim_harness::run::verify::verify;

use super::{parse, recovers};

const THREE: &str = "cluster = { stores = 3 }";
const LEADER_1: &str = "{ campaign = 1 }, { wait = \"leader\", on = 1 },";

#[test]
fn without_a_dead_follower() {
    recovers(
        THREE,
        r#"{ wait = "leader" }, { put = "k1..k9", value = "v" }, { crash = 3 }, { wait = "5s" },"#,
    );
    recovers(
        "system = \"raft\"\ncluster = { stores = 3 }\nbare = { log-limit = 5 }",
        r#"{ wait = "leader" }, { crash = 3 }, { load = "3s", clients = 2 }, { wait = "load" },"#,
    );
}

#[test]
fn without_its_leader() {
    for top in [THREE, "system = \"raft\"\ncluster = { stores = 3 }"] {
        let steps = format!("{LEADER_1} {{ put = \"k\", value = \"v\" }}, {{ crash = 1 }},");
        recovers(&format!("core = [2, 3]\n{top}"), &steps);
        let steps = format!("{LEADER_1} {{ put = \"k\", value = \"v\" }}, {{ pause = 1 }},");
        recovers(&format!("core = [2, 3]\n{top}"), &steps);
        let steps = format!("{LEADER_1} {{ put = \"k\", value = \"v\" }}, {{ isolate = 1 }},");
        recovers(&format!("core = [2, 3]\n{top}"), &steps);
    }
}

#[test]
fn with_a_healthy_leader_outside() {
    recovers(&format!("core = [2, 3]\n{THREE}"), &format!("{LEADER_1} {{ put = \"k\", value = \"v\" }},"));
}

#[test]
fn when_a_deaf_leader_outside_has_to_step_down() {
    let top = format!("core = [2, 3]\nraft = {{ check-quorum = true }}\n{THREE}");
    recovers(&top, &format!("{LEADER_1} {{ cut = {{ from = [2, 3], to = 1 }} }},"));
}

#[test]
fn though_candidates_outside_hear_nobody() {
    let outside = r#"{ cut = { from = [1, 2, 3], to = [4, 5] } }, { wait = "5s" },"#;
    for knobs in ["", "pre-vote = true", "check-quorum = true", "pre-vote = true, check-quorum = true"] {
        let top = format!("core = [1, 2, 3]\nraft = {{ {knobs} }}\ncluster = {{ stores = 5 }}");
        recovers(&top, &format!("{LEADER_1} {outside}"));
    }
}

#[test]
fn though_a_flaky_outsider_is_rarely_reached() {
    let outside = r#"{ network = { loss = "90%" }, from = [1, 2], to = 3 }, { wait = "5s" },"#;
    for knobs in ["check-quorum = true", "pre-vote = true, check-quorum = true"] {
        let top = format!("core = [1, 2]\nraft = {{ {knobs} }}\n{THREE}");
        recovers(&top, &format!("{LEADER_1} {outside}"));
    }
}

#[test]
fn with_everything_in_the_core_mended() {
    let broken = r#"
        { put = "k1..k9", value = "v" },
        { crash = 3 },
        { drop = "append", from = 1, to = 2 },
        { cut = { from = 2, to = 1 } },
        { clog = { from = 1, to = 2 } },
        { network = { loss = "100%" }, from = 1, to = 2 },
        { cut = { from = "clients", to = "all" } },
        { clock = 1, drift = "-50%" },
        { disk = 2, stalled = true },
        { slow = 1, by = "1s" },
        { put = "k", value = "w", client = 1 },
        { wait = "3s" },
        { pause = 2 },
        { fail = 1, what = "sync" },"#;
    recovers(&format!("core = [1, 2]\n{THREE}"), &format!("{LEADER_1} {broken}"));
}

#[test]
fn with_a_store_that_stops_at_what_was_under_way() {
    let top = format!("core = [1, 2, 3]\n{THREE}");
    let failing = r#"{ fail = [1, 2, 3], what = "sync" }, { put = "k", value = "w", client = 1 },"#;
    recovers(&top, &format!("{LEADER_1} {failing}"));
}

#[test]
fn with_a_disk_that_was_full() {
    let top = format!("core = [1, 2]\ndisk = {{ capacity = \"20KiB\", sync = \"2s\" }}\n{THREE}");
    recovers(&top, r#"{ load = "20s", clients = 2, value-size = "1KiB" }, { wait = "20s" },"#);
}

#[test]
fn with_filters_that_pick_only_what_leaves_it() {
    let top = format!("core = [1, 2]\nraft = {{ pre-vote = true, check-quorum = true }}\n{THREE}");
    recovers(
        &top,
        &format!("{LEADER_1} {{ drop = \"append\", from = 1 }}, {{ hold = \"heartbeat\", from = 1 }},"),
    );
}

/// Store 3 needs a snapshot, and the one who was about to send it is gone.
#[test]
fn with_a_snapshot_between_two_of_its_stores() {
    let steps = r#"
        { put = "k1..k20", value = "v" },
        { isolate = 3 },
        { append = "k1..k20", value = "w" },
        { wait = "2s" },
        { compact = 1 },
        { wait = "log-truncated", past = 3 },
        { crash = 1 },"#;
    recovers(&format!("core = [2, 3]\n{THREE}"), &format!("{LEADER_1} {steps}"));
}

/// A log that nobody shortens for the sake of a follower that is dead.
#[test]
fn with_a_log_that_grew_for_an_outsider() {
    let knobs = "raftstore = { log-gc-count-limit = 20, log-gc-threshold = 5, log-gc-interval = \"2s\" }";
    let steps = r#"{ crash = 3 }, { put = "k1..k99", value = "v" },"#;
    recovers(&format!("core = [1, 2]\n{knobs}\n{THREE}"), &format!("{LEADER_1} {steps}"));
}

/// The leader cuts logs, by its own limits: those of a follower say nothing.
#[test]
fn with_a_follower_that_would_keep_less() {
    let knobs = "raftstore = { log-gc-count-limit = 50, log-gc-threshold = 50, log-gc-interval = \"2s\" }";
    let steps = r#"
        { put = "k1..k20", value = "v" },
        { restart = 2, raftstore = { log-gc-count-limit = 1, log-gc-threshold = 1 } },
        { wait = "1s" },"#;
    recovers(&format!("core = [1, 2, 3]\n{knobs}\n{THREE}"), &format!("{LEADER_1} {steps}"));
}

#[test]
fn with_regions_that_are_at_home_on_different_stores() {
    let steps = r#"
        { put = "k1..k9", value = "v" },
        { split = "k4" }, { split = "k7" },
        { change = { add = 4, remove = 1 }, of = "k5" },
        { wait = "members", of = "k5", voters = [2, 3, 4], joint = false },
        { change = { add = [4, 5], remove = [1, 2] }, of = "k8" },
        { wait = "members", of = "k8", voters = [3, 4, 5], joint = false, within = "10s" },
        { partition = [[1, 3], [2, 4], [5]] },
        { wait = "3s" },"#;
    recovers("cluster = { stores = 5, voters = [1, 2, 3] }", &format!("{LEADER_1} {steps}"));
}

#[test]
fn with_both_halves_of_a_joint_configuration() {
    let top = "system = \"raft\"\ncluster = { stores = 5, voters = [1, 2, 3] }";
    let steps = r#"
        { change = { add = [4, 5], remove = [2, 3] }, transition = "explicit" },
        { wait = "members", on = "all", voters = [1, 4, 5], joint = true },
        { crash = "all" },"#;
    recovers(top, &format!("{LEADER_1} {steps}"));
}

#[test]
fn with_a_placement_driver_that_had_much_in_mind() {
    let top = r#"cluster = { stores = 5, voters = [1, 2, 3] }
        raft = { pre-vote = true, check-quorum = true }
        raftstore = { leader-missing = "5s" }
        placement = { mode = "churn" }"#;
    let steps = r#"
        { wait = "leader" },
        { load = "8s", clients = 2 },
        { wait = "6s" },
        { crash = 5 },
        { isolate = "placement" },
        { wait = "2s" },"#;
    recovers(top, steps);
}

#[test]
fn without_a_wiped_minority() {
    let steps = r#"{ put = "k1..k9", value = "v" }, { wipe = 3 }, { restart = 3 }, { wait = "1s" },"#;
    recovers(&format!("core = [1, 2, 3]\n{THREE}"), &format!("{LEADER_1} {steps}"));
    recovers(&format!("core = [1, 2]\n{THREE}"), &format!("{LEADER_1} {steps} {{ crash = 3 }},"));
}

#[test]
fn twice_the_same() {
    let steps =
        r#"{ wait = "leader" }, { load = "3s", clients = 2 }, { wait = "2s" }, { crash = "leader" },"#;
    let scenario = parse("cluster = { stores = 5 }", steps);
    verify(&Arc::new(scenario), 5).expect("the core is drawn from the seed, and nothing else");
}
