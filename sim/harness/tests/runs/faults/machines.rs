//! What happens to machines, their clocks and their settings.

use raftsim_harness::node::node_of;
use raftsim_harness::run::{Options, Run};
use raftsim_harness::system::raftstore::Raftstore;
use raftsim_kernel::{Duration, Time};

use super::{clean, count, scenario, start, story, until_done};

const LEADER: &str = r#"{ campaign = 1 }, { wait = "leader", on = 1 }, { put = "k1..k5", value = "v" }, { wait = "applied" },"#;

#[test]
fn a_storm_crashes_each_store_so_many_times() {
    let told = story(
        "",
        &format!(r#"{LEADER} {{ storm = [2, 3], times = 4, up = "300ms..500ms", down = "100ms..200ms" }}"#),
    );
    assert_eq!((count(&told, "down ("), count(&told, "up in t")), (8, 8), "{told}");
}

#[test]
fn a_storm_ends_with_its_stores_up() {
    let steps = format!(
        r#"{LEADER} {{ storm = "all", times = 3, up = "1s", down = "10ms..50ms", losing = "unsynced" }},
           {{ wait = "leader", within = "5s" }}"#
    );
    let report = clean(start("", &steps).finish());
    assert!(report.time >= Duration::secs(3), "three spans of a second: {}", report.time);
}

#[test]
fn a_slow_store_is_late() {
    let time = |slow: &str| {
        let steps = format!(r#"{LEADER} {slow} {{ put = "k1..k5", value = "w" }}"#);
        clean(start("ending = \"none\"\nnetwork = { latency = \"1ms\" }", &steps).finish()).time
    };
    let (quick, slow) = (time(""), time(r#"{ slow = 1, by = "20ms" },"#));
    assert!(slow > quick + Duration::millis(100), "{slow} and {quick}");
    let healed = time(r#"{ slow = 1, by = "20ms" }, { slow = 1, by = "0s" },"#);
    assert!(healed < quick + Duration::millis(50), "{healed} and {quick}");
}

#[test]
fn clocks_jump_and_timers_do_not() {
    let mut run = start(
        "ending = \"none\"",
        r#"{ wait = "leader" }, { clock = 1, jump = "1h" }, { clock = 2, jump = "-100ms" },
           { clock = 3, drift = "1%", jump = "2s" }, { wait = "5s" }, { put = "k", value = "v", within = "1s" }"#,
    );
    until_done(&mut run);
    clean(run.report());
    let now = run.world().now();
    let shows = |store| run.world().clock(node_of(store)).at(now);
    assert_eq!(shows(1), now + Duration::secs(3_600));
    assert_eq!(shows(2) + Duration::millis(100), now);
    assert!(shows(3) > now + Duration::secs(2));
}

/// Jumps of every size, again and again: nobody stops ticking.
#[test]
fn a_cluster_lives_with_clocks_that_jump() {
    for system in ["raftstore", "raft"] {
        let jumps: Vec<String> = ["3s", "-3s", "10m", "-1ms", "-9m", "50ms", "-40ms", "1h", "-30m"]
            .iter()
            .enumerate()
            .flat_map(|(n, jump)| {
                [
                    format!(r#"{{ clock = "all", jump = "{jump}" }}"#),
                    r#"{ put = "k", value = "v", within = "4s" }"#.to_owned(),
                    format!(r#"{{ crash = "leader", as = "old{n}" }}"#),
                    format!(r#"{{ wait = "leader", not = "old{n}", within = "4s" }}"#),
                    format!(r#"{{ restart = "old{n}" }}"#),
                ]
            })
            .collect();
        let steps = format!(r#"{{ wait = "leader" }}, {}"#, jumps.join(", "));
        let settings = format!("system = \"{system}\"");
        let report = raftsim_harness::run::run(scenario(&settings, &steps), 5, Options::default()).report;
        clean(report);
    }
}

#[test]
fn clocks_are_off_from_the_start_within_their_bounds() {
    let clocks = |seed| {
        let scenario = scenario(
            "clocks = { offset = \"5s\", drift = \"500ppm\" }\nending = \"none\"",
            r#"{ wait = "1s" }"#,
        );
        let mut run = Run::<Raftstore>::new(scenario, seed, Options::default());
        until_done(&mut run);
        let clock = |store| *run.world().clock(node_of(store));
        [1, 2, 3].map(|store| (clock(store).at(Time(1_000_000_000)), clock(store).drift().parts()))
    };
    let (one, two) = (clocks(1), clocks(2));
    for (shown, drift) in one.iter().chain(&two) {
        assert!(
            shown.0 >= 999_000_000 && shown.0 <= 6_001_000_000 && drift.abs() <= 500,
            "{shown:?} {drift}"
        );
    }
    assert!(one[0] != one[1] && one[0] != two[0], "each its own: {one:?} {two:?}");
}

#[test]
fn a_restart_with_other_settings_is_remembered() {
    let steps = |with: &str, then: &str| {
        format!(
            r#"{LEADER} {{ restart = 1{with} }}, {{ crash = 1 }}, {{ restart = 1 }},
               {{ wait = "leader" }}, {{ transfer = 1 }}, {{ wait = "leader", on = 1 }},
               {{ put = "k1..k20", value = "w" }}, {{ wait = "3s" }}, {{ expect = "truncated", on = 1, {then} }}"#
        )
    };
    let with = r#", raftstore = { log-gc-interval = "200ms", log-gc-threshold = 2, log-gc-count-limit = 5 }"#;
    clean(start("", &steps(with, "reaches = 10")).finish());
    clean(start("", &steps("", "below = 10")).finish());
}

#[test]
fn a_wiped_store_holds_nothing_and_takes_up_nothing_old() {
    let told = story(
        "raftstore = { leader-missing = \"3s\" }\nending = \"none\"",
        &format!(
            r#"{LEADER} {{ wipe = 3 }}, {{ wait = "1s" }}, {{ restart = 3 }}, {{ wait = "5s" }},
               {{ expect = "no-replica", on = 3 }}, {{ crash = 3 }}, {{ restart = 3 }}, {{ wait = "2s" }},
               {{ expect = "no-replica", on = 3 }}, {{ change = {{ remove = 3 }} }},
               {{ wait = "members", voters = [1, 2], joint = false }}, {{ change = {{ add = 3 }} }},
               {{ wait = "replica", on = 3, within = "5s" }}, {{ crash = 2 }},
               {{ put = "k1..k5", value = "w", within = "5s" }}"#
        ),
    );
    assert_eq!(count(&told, "disk lost"), 1, "{told}");
}

/// Where nothing comes of a step, that is a finding unless the step says otherwise.
#[test]
fn nothing_may_come_of_a_lenient_step() {
    let none = r#"{ wait = "leader" }, { crash = [1, 2] }, { wait = "no-leader" },"#;
    for step in [
        r#"crash = "leader""#,
        r#"pause = "leader""#,
        r#"campaign = 1"#,
        r#"transfer = 3"#,
        r#"wait = "leader", within = "1s""#,
        r#"wait = "wrote", on = 3, what = "chunk", within = "1s""#,
        r#"clog = "leader""#,
        r#"drop = "append", to = "leader""#,
        r#"change = { add = 3 }, within = "1s""#,
    ] {
        let plain = start("", &format!("{none} {{ {step} }}")).finish();
        assert!(matches!(plain.verdict, raftsim_harness::report::Verdict::Finding(_)), "{step}: {plain:?}");
        clean(start("", &format!("{none} {{ {step}, if-any = true }}, {{ restart = [1, 2] }}")).finish());
    }
}
