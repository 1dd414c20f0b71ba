//! What holds of both systems, and what bare Raft does without a store around it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsim_harness::record::{Detail, What};
use raftsim_harness::report::{Report, Verdict};
use raftsim_harness::run::verify::verify;
use raftsim_harness::run::{Finished, Options, run};
use raftsim_harness::scenario::{self, Check, Scenario, System};

const SCENARIOS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scenarios");

/// Every scenario file below a directory, in the order of the paths.
fn scenario_files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("a directory of the repository");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("a directory of the repository").path();
        if path.is_dir() {
            files.extend(scenario_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn parse(text: &str) -> Scenario {
    scenario::parse(text)
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, "test.toml", text, false)))
}

/// A scenario of bare Raft.
fn raft(settings: &str, steps: &str) -> Arc<Scenario> {
    let text = format!("about = \"a test\"\nsystem = \"raft\"\n{settings}\nsteps = [\n{steps}\n]");
    Arc::new(parse(&text))
}

/// Runs a scenario with so many seeds, all of which must be clean.
#[track_caller]
fn clean(scenario: &Arc<Scenario>, seeds: u64) -> Vec<Report> {
    let runs = (0..seeds).map(|seed| {
        let report = run(Arc::clone(scenario), seed, Options::default()).report;
        assert_eq!(report.verdict, Verdict::Clean, "seed {seed}");
        report
    });
    runs.collect()
}

#[track_caller]
fn fails(scenario: &Arc<Scenario>, check: Check, words: &str) {
    let report = run(Arc::clone(scenario), 1, Options::default()).report;
    let Verdict::Finding(finding) = &report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(finding.check, check, "{}", finding.message);
    assert!(finding.message.contains(words), "{}", finding.message);
}

/// A scenario of raftstore as one of bare Raft, if it says nothing that only raftstore has.
fn told_of_raft(source: &str) -> Option<Scenario> {
    let mut scenario = parse(source);
    // What is told of a store with settings of its own may need them: when its log is compacted, say.
    if scenario.system == System::Raft || scenario.raftstore != Default::default() {
        return None;
    }
    scenario.system = System::Raft;
    scenario::parse(&scenario.to_string()).ok()
}

#[test]
fn what_is_told_of_raftstore_holds_of_bare_raft() {
    let mut told = 0;
    for path in scenario_files(Path::new(SCENARIOS)) {
        let source = fs::read_to_string(&path).expect("a file of the repository");
        let Some(scenario) = told_of_raft(&source).map(Arc::new) else { continue };
        for seed in 0..20 {
            let report = run(Arc::clone(&scenario), seed, Options::default()).report;
            assert_eq!(report.verdict, Verdict::Clean, "{} with seed {seed}", path.display());
        }
        told += 1;
    }
    assert!(told >= 30, "{told} stories");
}

/// Everything that a network and crashes can do, under load.
const STORM: &str = r#"
    { wait = "leader" },
    { load = "8s", clients = 4, keys = 4, mix = { put = 3, get = 3, append = 2, delete = 1, cas = 1, scan = 1 } },
    { wait = "500ms" },
    { wait = "leader" },
    { isolate = "leader" },
    { after = "900ms", crash = "follower", as = "one" },
    { after = "300ms", heal = "all" },
    { after = "300ms", restart = "one" },
    { wait = "leader" },
    { partition = [["leader", "client 1"], ["others"]] },
    { after = "1500ms", crash = "all" },
    { after = "100ms", restart = "all" },
    { after = "100ms", heal = "all" },
    { wait = "leader" },
    { cut = { from = "leader", to = "followers" } },
    { after = "800ms", heal = "all" },
    { wait = "load", within = "1m" },"#;

const LOSSY: &str = r#"network = { loss = "3%", duplicate = "3%", reorder = "20%" }"#;

#[test]
fn bare_raft_survives_storms() {
    let reports = clean(&raft(LOSSY, STORM), 20);
    assert!(reports.iter().map(|report| report.counters.ops).sum::<u64>() > 2_000);
}

#[test]
fn a_run_of_bare_raft_equals_itself() {
    let settings = r#"
        raft = { pre-vote = true, check-quorum = true }
        bare = { log-limit = 8, reads = "index" }"#;
    let scenario = raft(&format!("{LOSSY}\n{settings}"), STORM);
    for seed in 0..3 {
        let report = verify(&scenario, seed).expect("deterministic");
        assert_eq!(report, run(Arc::clone(&scenario), seed, Options::default()).report);
        assert_eq!(report.verdict, Verdict::Clean);
    }
}

#[test]
fn logs_that_are_compacted_all_the_time_survive_storms() {
    clean(&raft(&format!("{LOSSY}\nbare = {{ log-limit = 5 }}"), STORM), 20);
}

#[test]
fn what_is_applied_before_it_is_durable_survives_storms() {
    let settings = r#"
        raft = { apply-unpersisted = true }
        bare = { log-limit = 7 }
        disk = { sync = "1ms..30ms" }"#;
    clean(&raft(&format!("{LOSSY}\n{settings}"), STORM), 20);
}

#[test]
fn reads_past_the_log_are_linearizable_on_every_replica() {
    let read = r#"
        { wait = "leader" },
        { load = "6s", clients = 4, keys = 2, mix = { put = 1, get = 3, append = 1, scan = 1 } },
        { get = "k1", via = "follower", client = 5 },
        { after = "500ms", isolate = "leader" },
        { get = "k1", via = "leader", client = 6 },
        { after = "2s", heal = "all" },
        { after = "500ms", partition = [["follower", "client 1", "client 2"], ["others"]] },
        { after = "2s", heal = "all" },
        { after = "100ms", crash = "leader", as = "old" },
        { after = "1s", restart = "old" },
        { wait = "load", within = "1m" },"#;
    for reads in ["safe", "lease"] {
        let settings = format!(
            r#"raft = {{ check-quorum = true, pre-vote = true, read-index = "{reads}" }}
            bare = {{ reads = "index", log-limit = 20 }}"#
        );
        clean(&raft(&settings, read), 15);
    }
}

#[test]
fn reads_past_the_log_write_nothing() {
    let steps = r#"
        { wait = "leader" },
        { put = "k", value = "v" },
        { wait = "replicas-equal" },
        { get = "k", via = 1, is = "v" },
        { get = "k", via = 2, is = "v" },
        { get = "k", via = 3, is = "v" },
        { expect = "applied-index", on = "all", "#;
    // Index 5 is where logs start, 6 is the leader's first entry, 7 the put.
    clean(&raft(r#"bare = { reads = "index" }"#, &format!("{steps} is = 7 }},")), 5);
    let log = steps.replace("via = 1, ", "").replace("via = 2, ", "").replace("via = 3, ", "");
    clean(
        &raft(
            "",
            &format!(
                "{{ wait = \"leader\" }}, {} reaches = 7 }}, {{ wait = \"commit\", reaches = 10 }},",
                log.replace("{ wait = \"leader\" },", "")
            ),
        ),
        5,
    );
}

#[test]
fn a_store_that_was_cut_off_is_helped_by_a_snapshot() {
    let steps = r#"
        { wait = "leader" },
        { isolate = "follower", as = "lagging" },
        { put = "k1..k30", value = "v" },
        { wait = "log-truncated", past = "lagging", within = "1s" },
        { wait = "truncated", on = "leader", reaches = 20 },
        { heal = "all" },
        { wait = "snapshot-applied", on = "lagging", within = "10s" },
        { wait = "replicas-equal", within = "10s" },
        { expect = "value", key = "k30", is = "v" },"#;
    clean(&raft("bare = { log-limit = 10 }", steps), 20);
    // Without compaction there is nothing to be helped with.
    fails(&raft("", steps), Check::Wait, "log-truncated");
}

#[test]
fn a_snapshot_that_gets_lost_is_sent_again() {
    let steps = r#"
        { wait = "leader" },
        { isolate = "follower", as = "lagging" },
        { put = "k1..k30", value = "v" },
        { drop = "snapshot", count = 2, as = "lost" },
        { heal = "all" },
        { wait = "dropped", filter = "lost", count = 2, within = "30s" },
        { wait = "snapshot-applied", on = "lagging", within = "30s" },"#;
    clean(&raft("bare = { log-limit = 10 }", steps), 20);
}

#[test]
fn a_crash_in_the_middle_of_compaction_loses_nothing() {
    let round = r#"
        { append = "k", value = "x" },
        { compact = "all" },
        { crash = "all", losing = "unsynced" },
        { restart = "all" },
        { wait = "leader" },
        { append = "k", value = "y" },
        { compact = "all" },
        { append = "k", value = "z", client = 1 },
        { after = "3ms", crash = "all", losing = "random" },
        { restart = "all" },
        { wait = "acked" },"#;
    let steps = format!("{{ wait = \"leader\" }}, {}", round.repeat(4));
    clean(&raft("", &steps), 20);
}

#[test]
fn a_store_that_is_added_is_told_of_its_group_by_a_snapshot() {
    let steps = r#"
        { wait = "leader" },
        { put = "k1..k5", value = "v" },
        { change = { learn = [4] } },
        { wait = "snapshot-applied", on = 4, within = "10s" },
        { wait = "members", voters = [1, 2, 3], learners = [4], joint = false, on = "all" },
        { change = { add = [4], remove = [1] } },
        { wait = "members", voters = [2, 3, 4], joint = false },
        { put = "k6", value = "v" },
        { crash = "all" },
        { restart = "all" },
        { wait = "leader" },
        { wait = "members", voters = [2, 3, 4], learners = [], joint = false },
        { expect = "value", key = "k1", is = "v" },"#;
    let settings = r#"
        cluster = { stores = 4, voters = [1, 2, 3] }
        raft = { check-quorum = true, pre-vote = true }"#;
    clean(&raft(settings, steps), 15);
    clean(&raft(&format!("{settings}\nbare = {{ log-limit = 3 }}"), steps), 15);
}

#[test]
fn members_change_under_load_and_faults() {
    let steps = r#"
        { wait = "leader" },
        { load = "15s", clients = 4, keys = 4 },
        { change = { add = [4, 5], remove = [1, 2] } },
        { wait = "200ms" },
        { wait = "leader" },
        { crash = "leader", as = "old" },
        { after = "200ms", restart = "old" },
        { change = { add = [1], remove = ["leader"] }, within = "60s" },
        { wait = "300ms" },
        { wait = "leader" },
        { isolate = "leader" },
        { after = "1500ms", heal = "all" },
        { wait = "members", joint = false, within = "30s" },
        { change = { learn = [2] }, within = "60s" },
        { wait = "load", within = "2m" },"#;
    let settings = r#"
        cluster = { stores = 5, voters = [1, 2, 3] }
        raft = { check-quorum = true, pre-vote = true }
        network = { loss = "1%" }
        bare = { log-limit = 50 }"#;
    clean(&raft(settings, steps), 20);
}

#[test]
fn a_change_that_may_not_be_is_refused() {
    let settings = "cluster = { stores = 4, voters = [1, 2, 3] }";
    clean(
        &raft(
            settings,
            r#"
        { wait = "leader" },
        { change = { add = [4] }, transition = "explicit" },
        { wait = "members", joint = true },
        { change = { remove = [1] }, refused = true },
        { change = "leave" },
        { wait = "members", voters = [1, 2, 3, 4], joint = false },"#,
        ),
        5,
    );
    let accepted =
        r#"{ wait = "leader" }, { put = "k", value = "v" }, { change = { add = [4] }, refused = true },"#;
    fails(&raft(settings, accepted), Check::Expectation, "accepted");
    let too_late = r#"{ wait = "leader" }, { isolate = "leader" }, { change = "leave", within = "3s" },"#;
    fails(&raft(settings, too_late), Check::Wait, "not accepted in time");
}

#[test]
fn the_record_says_why_a_change_was_refused() {
    let steps = r#"
        { wait = "leader" },
        { change = { add = [4] } },
        { change = { remove = [1] }, refused = true },"#;
    let options = Options { record: Some(Detail::Story), ..Options::default() };
    let Finished { report, record, .. } =
        run(raft("cluster = { stores = 4, voters = [1, 2, 3] }", steps), 1, options);
    assert_eq!(report.verdict, Verdict::Clean);
    let record = record.expect("a record was asked for");
    let told = record.lines().iter().filter_map(|line| match &line.what {
        What::Step(text) => text.strip_prefix("refused: "),
        _ => None,
    });
    let told: Vec<&str> = told.collect();
    assert!(matches!(told[..], [why] if why.contains("may not be applied yet")), "{told:?}");
}

#[test]
fn leadership_is_handed_over_on_both_systems() {
    let steps = r#"
        { wait = "leader" },
        { name = "leader", as = "old" },
        { load = "3s", clients = 3 },
        { after = "500ms", transfer = "follower", as = "new" },
        { wait = "leader", on = "new", within = "900ms" },
        { wait = "role", on = "old", is = "follower" },
        { wait = "load" },"#;
    clean(&raft("", steps), 20);
    let raftstore = format!("about = \"a test\"\nsteps = [{steps}]");
    clean(&Arc::new(parse(&raftstore)), 20);
}

#[test]
fn damaged_state_machines_ask_for_a_snapshot() {
    let steps = r#"
        { wait = "leader" },
        { put = "k", value = "v" },
        { wait = "applied" },
        { name = "follower", as = "damaged" },
        { request-snapshot = "damaged" },
        { wait = "snapshot-applied", on = "damaged", within = "5s" },
        { put = "k", value = "w" },"#;
    clean(&raft("", steps), 20);
}

#[test]
fn clocks_may_drift_as_far_as_leases_allow() {
    let steps = r#"
        { clock = 1, drift = "10%" },
        { clock = 2, drift = "-10%" },
        { wait = "leader" },
        { load = "20s", clients = 4, keys = 2, mix = { put = 1, get = 3 } },
        { after = "1s", isolate = "leader" },
        { after = "4s", heal = "all" },
        { after = "1s", isolate = "leader" },
        { after = "4s", heal = "all" },
        { wait = "load", within = "2m" },"#;
    let settings = r#"
        raft = { check-quorum = true, pre-vote = true, read-index = "lease" }
        bare = { reads = "index" }"#;
    clean(&raft(settings, steps), 20);

    // Beyond that, a leader that is cut off and whose clock is slow serves what is old.
    let scenario = raft(
        &settings.replace("\"lease\"", "\"lease\", lease-margin = 0"),
        r#"
        { campaign = 2 },
        { wait = "leader", on = 2 },
        { clock = 2, drift = "-60%" },
        { clock = [1, 3], drift = "60%" },
        { load = "5s", clients = 6, keys = 1, mix = { put = 1, get = 9 } },
        { after = "500ms", isolate = 2 },
        { wait = "load", within = "1m" },"#,
    );
    let stale = (0..60).any(|seed| {
        let report = run(Arc::clone(&scenario), seed, Options::default()).report;
        matches!(report.verdict, Verdict::Finding(finding) if finding.check == Check::Linearizability)
    });
    assert!(stale, "no read was stale");
}

#[test]
fn a_client_finds_the_leader_past_stores_that_left() {
    // Store 3 was a learner and never hears that it is no member any more: it takes store 2 for the leader for ever.
    // Store 2 was removed too, and what it knows of a leader ends with that.
    let steps = r#"
        { campaign = 2 },
        { wait = "leader", on = 2 },
        { put = "k", value = "v" },
        { change = { learn = 3 } },
        { wait = "members", on = 3, learners = 3 },
        { change = { remove = 3 } },
        { wait = "members", on = "leader", voters = [1, 2, 4, 5], learners = [] },
        { change = { remove = 2 } },
        { wait = "members", on = 4, voters = [1, 4, 5] },
        { wait = "leader", not = 2 },
        { put = "k", value = "w", within = "20s" },"#;
    clean(&raft("cluster = { stores = 5 }", steps), 40);
}

#[test]
fn followers_are_members_that_run_or_not() {
    let steps = r#"
        { campaign = 1 },
        { wait = "leader", on = 1 },
        { change = { remove = 3 } },
        { change = { learn = 4 } },
        { wait = "snapshot-applied", on = 4 },
        { crash = "followers" },
        { wait = "100ms" },
        { expect = "role", on = [1, 3], is = "leader" },"#;
    let settings = "cluster = { stores = 5, voters = [1, 2, 3] }\nraft = { election-ticks = 100 }";
    // Stores 2 and 4 crashed; 3 and 5, which are no members, did not.
    fails(&raft(settings, steps), Check::Expectation, "store 3 is follower");
    fails(&raft(settings, &steps.replace("[1, 3]", "2")), Check::Expectation, "store 2 is down");
    fails(&raft(settings, &steps.replace("[1, 3]", "4")), Check::Expectation, "store 4 is down");
    fails(&raft(settings, &steps.replace("[1, 3]", "5")), Check::Expectation, "store 5 is follower");
}

#[test]
fn what_a_crash_left_of_a_log_is_known_with_and_without_checks() {
    let steps = r#"
        { campaign = 1 },
        { wait = "leader", on = 1 },
        { put = "k1..k10", value = "v" },
        { wait = "applied" },
        { crash = 3, losing = "nothing" },
        { put = "k11..k20", value = "v" },
        { compact = 1 },
        { wait = "log-truncated", past = 3, within = "1s" },"#;
    let reaching = raft("", steps);
    clean(&reaching, 10);
    let unchecked = Options { checks: false, ..Options::default() };
    assert_eq!(run(reaching, 1, unchecked).report.verdict, Verdict::Clean);
    // Compacted no further than what store 3 has.
    let short =
        steps.replace("{ put = \"k11..k20\", value = \"v\" },\n        { compact = 1 },", "{ compact = 1 },");
    assert_ne!(short, steps);
    fails(&raft("", &short), Check::Wait, "log-truncated");
    let report = run(raft("", &short), 1, unchecked).report;
    assert!(matches!(report.verdict, Verdict::Finding(finding) if finding.check == Check::Wait));
}
