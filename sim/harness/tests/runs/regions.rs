//! Steps, conditions and endings over several regions: what they do, and that they fail where they should.

use std::sync::Arc;

use raftsim_harness::record::{Detail, Record, What};
use raftsim_harness::report::{Finding, Report, Verdict};
use raftsim_harness::run::{Options, run};
use raftsim_harness::scenario::{self, Check};

/// Runs steps on four stores, of which the first three have replicas at the start.
fn run_steps(steps: &str) -> (Report, Record) {
    run_with("", steps)
}

fn run_with(knobs: &str, steps: &str) -> (Report, Record) {
    let source = format!(
        "about = \"x\"\ncluster = {{ stores = 4, voters = [1, 2, 3] }}\n{knobs}\nsteps = [\n{{ wait = \"leader\" }},\n{steps}\n]"
    );
    let scenario = scenario::parse(&source)
        .unwrap_or_else(|errors| panic!("{}", scenario::render(&errors, "steps", &source, false)));
    let options = Options { record: Some(Detail::Story), ..Options::default() };
    let finished = run(Arc::new(scenario), 7, options);
    (finished.report, finished.record.expect("a record was asked for"))
}

fn clean(steps: &str) -> Record {
    let (report, record) = run_steps(steps);
    assert_eq!(report.verdict, Verdict::Clean, "{}", raftsim_harness::transcript::story(&record));
    record
}

/// The finding of a run that must have one.
fn fails(steps: &str) -> Finding {
    match run_steps(steps).0.verdict {
        Verdict::Finding(finding) => finding,
        other => panic!("{other:?}"),
    }
}

#[test]
fn splits_make_regions_that_steps_can_name() {
    let (report, record) = run_steps(
        r#"
        { put = "k1..k9", value = "v" },
        { split = "k5" },
        { split = "k7" },
        { wait = "regions", is = 3 },
        { expect = "region", end = "k5", version = 2 },
        { expect = "region", of = "k6", start = "k5", end = "k7", version = 3 },
        { expect = "region", of = "k8", start = "k7", end = "", on = "leader" },
        { transfer = "follower", of = "k8", as = "chosen" },
        { wait = "leader", of = "k8", on = "chosen" },
        { expect = "leader", of = "k8", on = "leader of k8" },
        { put = "k1..k9", value = "w" },
        { expect = "value", key = "k8", is = "w" },
        { wait = "applied" },
        { expect = "replicas-equal" }"#,
    );
    assert_eq!(report.verdict, Verdict::Clean);
    assert_eq!((report.regions, report.region), (3, 1));
    assert!(record.has_regions());
    let splits = record.lines().iter().filter(|line| matches!(line.what, What::Split(_)));
    assert_eq!(splits.count(), 6, "each of three stores applies both");
}

#[test]
fn one_region_is_not_named() {
    let record = clean(r#"{ put = "k", value = "v" }"#);
    assert!(!record.has_regions());
    let created = |what: &What| matches!(what, What::Created(_) | What::Destroyed | What::Split(_));
    assert!(!record.lines().iter().any(|line| created(&line.what)));
}

#[test]
fn a_split_at_the_start_of_a_region_is_refused() {
    clean(r#"{ split = "k5" }, { split = "k5", refused = true }, { split = "k5" }"#);
    let finding = fails(r#"{ split = "k5", refused = true }"#);
    assert_eq!((finding.check, &*finding.message), (Check::Expectation, "the split was accepted"));
}

#[test]
fn a_split_that_cannot_be_carried_out_is_a_finding() {
    let finding = fails(r#"{ crash = "followers" }, { split = "k5", within = "2s" }"#);
    assert_eq!(finding.check, Check::Wait, "{finding:?}");
    assert!(finding.message.starts_with("the split was not carried out in time"), "{finding:?}");
}

#[test]
fn a_replica_moves_to_another_store() {
    let record = clean(
        r#"
        { put = "k1..k9", value = "v" },
        { split = "k5" },
        { expect = "no-replica", of = "k7", on = 4 },
        { transfer = 3, of = "k7" },
        { wait = "leader", of = "k7", on = 3 },
        { change = { add = 4 }, of = "k7" },
        { wait = "replica", of = "k7", on = 4 },
        { wait = "snapshot-applied", of = "k7", on = 4 },
        { change = { remove = 1 }, of = "k7" },
        { wait = "members", of = "k7", voters = [2, 3, 4] },
        { wait = "no-replica", of = "k7", on = 1 },
        { expect = "replica", on = 1 },
        { put = "k1..k9", value = "w" },
        { crash = 2 },
        { put = "k1..k9", value = "x" }"#,
    );
    let is = |what: fn(&What) -> bool| record.lines().iter().any(|line| what(&line.what));
    assert!(is(|what| *what == What::Sends(4)) && is(|what| matches!(what, What::Ingested)));
    assert!(is(|what| *what == What::Created(String::new())) && is(|what| *what == What::Destroyed));
}

#[test]
fn a_step_after_a_record_finds_the_store_as_that_left_it() {
    let losing = |what: &str, durable: bool| {
        let durable = if durable { "durable = true, " } else { "" };
        format!(
            r#"
            {{ wait = "wrote", on = "leader", what = "{what}", {durable}within = "5s" }},
            {{ crash = "leader", losing = "unsynced", as = "old" }},
            {{ wait = "leader", not = "old" }},
            {{ restart = "old" }}"#
        )
    };
    let puts = r#"{ client = 1, put = "k1..k9", value = "v" },"#;
    for (what, durable) in [("log", false), ("log", true), ("data", false), ("apply-state", true)] {
        clean(&format!("{puts}{}", losing(what, durable)));
    }
    let finding = fails(&losing("tombstone", false));
    assert_eq!(finding.check, Check::Wait, "{finding:?}");
}

#[test]
fn a_paused_store_goes_on_where_it_was() {
    clean(
        r#"
        { pause = "leader", as = "frozen" },
        { put = "k", value = "v" },
        { wait = "leader", not = "frozen" },
        { resume = "frozen" },
        { wait = "role", on = "frozen", is = "follower" }"#,
    );
    // The ending resumes what a scenario leaves paused.
    clean(r#"{ put = "k", value = "v" }, { pause = "all" }"#);
    let finding = fails(r#"{ pause = "leader", as = "frozen" }, { compact = "frozen" }"#);
    assert_eq!(&*finding.message, "store 1 is paused and cannot compact its log");
}

#[test]
fn expectations_of_regions_fail_with_what_is_there() {
    let message = |steps: &str| fails(steps).message;
    assert_eq!(message(r#"{ expect = "regions", is = 2 }"#), "1 region has a leader");
    assert_eq!(message(r#"{ expect = "replica", on = 4 }"#), "store 4 has no initialised replica");
    assert_eq!(message(r#"{ expect = "no-replica", on = [4, 2] }"#), "store 2 has a replica");
    assert_eq!(
        message(r#"{ split = "k5" }, { expect = "region", of = "k7", start = "k6" }"#),
        "store 1 has k5.., conf-ver 1, version 2"
    );
}

#[test]
fn a_replica_that_missed_its_removal_is_gone_in_the_end() {
    let record = clean(
        r#"
        { split = "k5" },
        { transfer = 3, of = "k7" },
        { wait = "leader", of = "k7", on = 3 },
        { isolate = 1 },
        { change = { remove = 1 }, of = "k7" },
        { wait = "members", of = "k7", voters = [2, 3] },
        { expect = "replica", of = "k7", on = 1 },
        { expect = "members", on = 1, of = "k7", voters = [1, 2, 3] }"#,
    );
    let step = |what: &What| matches!(what, What::Step(text) if text == "all faults end");
    let ended = record.lines().iter().position(|line| step(&line.what)).expect("the ending");
    let destroyed = record.lines().iter().position(|line| line.what == What::Destroyed);
    assert!(destroyed > Some(ended), "{destroyed:?}");
}

#[test]
fn the_ending_is_for_every_region() {
    let (report, _) = run_with(
        "placement = { mode = \"manual\" }",
        r#"
        { put = "k1..k9", value = "v" },
        { split = "k2..k8" },
        { wait = "regions", is = 8 },
        { change = { add = 4 }, of = "k5" },
        { wait = "members", of = "k5", voters = [1, 2, 3, 4] },
        { change = { remove = 1 }, of = "k5" },
        { crash = "placement" },
        { crash = 2, losing = { raft = "unsynced", kv = "nothing" } },
        { put = "k1..k9", value = "w" }"#,
    );
    assert_eq!(report.verdict, Verdict::Clean);
    assert_eq!(report.regions, 8);
}
