//! What steps and endings do, each told by a scenario of a few lines.

use std::sync::Arc;

use raftsim_harness::report::{Report, Verdict};
use raftsim_harness::run::{Options, Run};
use raftsim_harness::scenario::{self, Check};
use raftsim_harness::system::raftstore::Raftstore;

/// A run of a scenario with these steps, in a cluster of three.
fn start(settings: &str, steps: &str) -> Run<Raftstore> {
    let text = format!("about = \"a test\"\n{settings}\nsteps = [\n{steps}\n]");
    let scenario = scenario::parse(&text).unwrap_or_else(|errors| {
        panic!("{}", scenario::render(&errors, "test.toml", &text, false));
    });
    Run::new(Arc::new(scenario), 1, Options::default())
}

fn run(steps: &str) -> Report {
    start("", steps).finish()
}

#[track_caller]
fn clean(report: Report) -> Report {
    assert_eq!(report.verdict, Verdict::Clean);
    report
}

#[track_caller]
fn fails(report: &Report, check: Check, words: &str) {
    let Verdict::Finding(finding) = &report.verdict else { panic!("{:?}", report.verdict) };
    assert_eq!(finding.check, check, "{}", finding.message);
    assert!(finding.message.contains(words), "{}", finding.message);
}

#[test]
fn a_clone_has_the_same_future() {
    let mut run = start(
        "network = { loss = \"5%\", reorder = \"50%\" }",
        r#"{ wait = "leader" }, { load = "3s", clients = 3 }, { after = "1s", crash = "leader" }, { wait = "load" }"#,
    );
    for _ in 0..200 {
        assert!(run.advance(), "over too soon");
    }
    let mut other = run.clone();
    assert_eq!(clean(run.finish()), clean(other.finish()));
}

#[test]
fn a_wait_for_a_target_that_does_not_exist_yet_waits() {
    clean(run(
        r#"{ wait = "commit", on = "leader", reaches = 6 }, { wait = "commit", on = "followers", reaches = 6 }"#,
    ));
}

#[test]
fn a_wait_that_is_not_met_says_what_is_there_instead() {
    let report = run(r#"{ wait = "term", reaches = 1000, within = "3s" }"#);
    fails(&report, Check::Wait, "store 1 is");
}

#[test]
fn nothing_holds_of_stores_that_are_all_down() {
    let down = r#"{ wait = "leader" }, { crash = "all" },"#;
    for step in [r#"{ wait = "applied", within = "1s" }"#, r#"{ wait = "replicas-equal", within = "1s" }"#] {
        fails(&run(&format!("{down} {step}")), Check::Wait, "did not come to hold");
    }
    for step in [r#"{ expect = "replicas-equal" }"#, r#"{ expect = "value", key = "k", absent = true }"#] {
        fails(&run(&format!("{down} {step}")), Check::Expectation, "no store runs");
    }
    fails(&run(&format!("{down} {{ campaign = 1 }}")), Check::Expectation, "is down");
}

#[test]
fn an_expected_violation_that_does_not_come_is_a_finding() {
    let report = run(r#"{ wait = "leader" }, { expect = "violation", of = "election-safety" }"#);
    fails(&report, Check::Expectation, "there was none");
}

#[test]
fn the_finding_that_a_scenario_expects_is_its_success() {
    clean(run(r#"{ expect = "value", key = "k", is = "v" }, { expect = "violation", of = "expectation" }"#));
}

#[test]
fn a_cluster_with_much_to_do_is_not_one_that_gets_nowhere() {
    let settings = "network = { latency = \"60ms\" }";
    clean(start(settings, r#"{ put = "k1..k1000", value = "v", client = 1 }"#).finish());
}

#[test]
fn loads_of_one_client_follow_each_other() {
    let one = r#"{ load = "1m", clients = 1, mix = { put = 1 }, ops = 30 }, "#;
    let report = clean(run(&format!("{one} {one} {{ wait = \"load\" }}")));
    assert_eq!(report.counters.ops, 60);
}

#[test]
fn every_message_may_be_doubled() {
    let settings = "network = { duplicate = \"100%\" }";
    let steps = r#"{ load = "2s", clients = 2, mix = { append = 1, get = 1 } }, { wait = "load" }"#;
    clean(start(settings, steps).finish());
}

#[test]
fn a_partition_says_all_about_who_reaches_whom() {
    clean(run(r#"
        { wait = "leader" },
        { partition = [["leader", "client 1"], ["others"]] },
        { partition = [["leader"], ["others"]] },
        { wait = "leader", not = "leader" , within = "1ms" },
        { expect = "violation", of = "wait" }"#));
    // Client 1 is in no group of the second partition, so it finds the majority.
    clean(run(r#"
        { wait = "leader" },
        { name = "leader", as = "old" },
        { partition = [["old", "client 1"], ["others"]] },
        { partition = [["old"], ["others"]] },
        { put = "k", value = "v", client = 1 },
        { wait = "acked" }"#));
}

#[test]
fn others_at_one_end_are_those_that_the_other_end_does_not_name() {
    // Nobody hears the leader, so another one comes.
    clean(run(r#"
        { wait = "leader" },
        { name = "leader", as = "mute" },
        { drop = "any", from = "mute", to = "others", as = "silence" },
        { wait = "leader", not = "mute" },
        { wait = "dropped", filter = "silence", count = 3 }"#));
}

#[test]
fn one_of_several_leads_and_each_of_several_is_looked_at() {
    let led = r#"{ wait = "leader" }, { campaign = 2 }, { wait = "leader", on = [1, 2], not = [1, 3] },
        { put = "k", value = "v" }, { wait = "applied" },"#;
    clean(run(&format!(
        r#"{led}
        {{ expect = "leader", on = 2, not = "others" }},
        {{ expect = "leader", on = "others", not = [1, 3] }},
        {{ expect = "role", on = [1, 3], is = "follower" }},
        {{ wait = "last-index", on = [1, 2, 3], reaches = 7 }},
        {{ expect = "last-index", on = ["leader", 3], reaches = 7 }},"#
    )));
    for (step, words) in [
        (r#"{ expect = "leader", on = [1, 3] }"#, "store 2 leads"),
        (r#"{ expect = "leader", not = [1, 2] }"#, "store 2 leads"),
        (r#"{ expect = "leader", on = "others", not = [1, 2] }"#, "store 2 leads"),
        (r#"{ expect = "role", on = [1, 2], is = "follower" }"#, "store 2 is leader"),
        (r#"{ expect = "last-index", on = [3, 1], below = 7 }"#, "last-index of store 3 is"),
    ] {
        fails(&run(&format!("{led} {step}")), Check::Expectation, words);
    }
}

#[test]
fn timers_do_not_multiply() {
    // A client that is sent away again and again wakes early and often; its events grow with time, not with its square.
    let asks_a_follower = |seconds| {
        let steps = format!(
            r#"{{ wait = "leader" }}, {{ put = "k", value = "v", via = "follower", client = 1 }}, {{ wait = "{seconds}s" }}"#
        );
        clean(run(&steps)).events
    };
    let (once, twice) = (asks_a_follower(20), asks_a_follower(40));
    assert!(twice < once * 5 / 2, "{once} events in 20 s, {twice} in 40 s");

    // Elections move a store's deadline about; the quiet after them costs what any quiet costs.
    let campaigns = r#"{ campaign = 1 }, { wait = "1s" }, { campaign = 2 }, { wait = "1s" },"#.repeat(20);
    let quiet = clean(run(r#"{ wait = "640s" }"#)).events;
    let after_elections = clean(run(&format!("{campaigns} {{ wait = \"600s\" }}"))).events;
    assert!(after_elections < quiet * 3 / 2, "{quiet} events without elections, {after_elections} after 40");
}

#[test]
fn a_run_without_an_ending_stops_where_its_steps_end() {
    let mut run = start("ending = \"none\"", r#"{ wait = "leader" }, { crash = "all" }"#);
    let report = clean(run.finish());
    assert!(report.stores.iter().all(|store| store.state.is_none()));
}

#[test]
fn limits_are_findings() {
    let report = start("limits = { events = 1000 }", r#"{ wait = "1h" }"#).finish();
    fails(&report, Check::Limit, "more than 1000 events");
    let report = start("limits = { time = \"1m\" }", r#"{ wait = "1h" }"#).finish();
    fails(&report, Check::Limit, "of virtual time");
}
