//! What valid files mean, and that what the parser reads, the printer writes.

mod faults;
mod regions;

use super::*;
use raftsim_kernel::{Drift, Duration, Ppm, Time};

/// Parses a file that must be valid.
#[track_caller]
fn valid(source: &str) -> Scenario {
    parse(source).unwrap_or_else(|errors| panic!("{}", render(&errors, "test.toml", source, false)))
}

/// The action of the one step `step`, in a cluster of five.
#[track_caller]
fn action(step: &str) -> Action {
    action_on(System::Raftstore, step)
}

/// The same on bare Raft.
#[track_caller]
fn raft_action(step: &str) -> Action {
    action_on(System::Raft, step)
}

#[track_caller]
fn action_on(system: System, step: &str) -> Action {
    let top = format!("about = \"x\"\nsystem = \"{system}\"\ncluster = {{ stores = 5 }}");
    let source = format!("{top}\nsteps = [\n  {step},\n]");
    let mut steps = valid(&source).steps;
    assert_eq!(steps.len(), 1);
    steps.remove(0).action
}

/// The messages of the errors in a file that must be invalid.
#[track_caller]
fn errors(source: &str) -> Vec<String> {
    parse(source).expect_err("must be invalid").into_iter().map(|d| d.message).collect()
}

const LAGGING: &str = r#"about   = "A follower that fell behind catches up."
network = { latency = "1ms..5ms", loss = "0.5%" }

steps = [
  { wait = "leader" },
  { isolate = "follower", as = "lagging" },
  { put = "k1..k50", value = "v" },
  { wait = "commit", reaches = 50 },
  { heal = "all" },
  { wait = "applied-index", reaches = 50, on = "lagging", within = "5s" },
  { expect = "replicas-equal" },
]
"#;

const SHRUNK: &str = r#"about = "A store that forgets its vote in a crash lets two leaders win one term."
seed  = 24301

steps = [
  { at = "1.203s", crash = 2, losing = "unsynced" },
  { at = "1.3s",   partition = [[1, 2], [3]] },
  { at = "1.45s",  append = "k", value = "x", client = 1 },
  { at = "2s",     restart = 2 },
  { expect = "violation", of = "election-safety" },
]
"#;

#[test]
fn the_example_of_a_person_is_read() {
    let scenario = valid(LAGGING);
    assert_eq!(scenario.about, "A follower that fell behind catches up.");
    assert_eq!(scenario.cluster, ClusterConfig::of(3));
    assert_eq!(scenario.network.loss, Ppm::new(5_000).expect("below a million"));
    let lines: Vec<u32> = scenario.steps.iter().map(|step| step.line).collect();
    assert_eq!(lines, [5, 6, 7, 8, 9, 10, 11]);
    let isolate =
        Action::Isolate { targets: vec![Target::Follower], clients: false, name: Some("lagging".into()) };
    assert_eq!(scenario.steps[1].action, isolate);
    let keys = Keys::Numbered { prefix: "k".into(), first: 1, last: 50 };
    let put = Operation::Put { keys, value: "v".into() };
    let issuer = Issuer::Scenario { within: DEFAULT_WITHIN };
    assert_eq!(scenario.steps[2].action, Action::Operate(Operate { operation: put, issuer, via: None }));
    let condition = Condition::Reaches {
        gauge: Gauge::AppliedIndex,
        of: None,
        on: vec![Target::Named("lagging".into())],
        value: 50,
    };
    assert_eq!(scenario.steps[5].action, Action::Wait { condition, within: Duration::secs(5) });
}

#[test]
fn the_example_of_the_shrinker_is_read() {
    let scenario = valid(&SHRUNK.replace("24301", "0x5eed"));
    assert_eq!(scenario.seed, 0x5eed);
    assert_eq!(scenario.steps[0].when, When::At(Time(1_203_000_000)));
    let group =
        |stores: &[u64]| stores.iter().map(|n| Endpoint::Stores(Target::Store(*n))).collect::<Vec<_>>();
    let partition = Action::Partition { groups: vec![group(&[1, 2]), group(&[3])], name: None };
    assert_eq!(scenario.steps[1].action, partition);
    assert_eq!(
        scenario.steps[4].action,
        Action::Expect(Expectation::Violation { of: Check::ElectionSafety })
    );
}

#[test]
fn canonical_files_are_printed_as_they_stand() {
    for source in [LAGGING, SHRUNK] {
        assert_eq!(valid(source).to_string(), source);
    }
}

#[test]
fn long_forms_of_toml_say_the_same() {
    let short = "about = \"x\"\nraft = { tick = \"50ms\" }\nsteps = [{ wait = \"leader\" }, { crash = [1], at = \"5s\" }]";
    let long = "about = '''x'''\nraft.tick = \"50ms\"\n[[steps]]\nwait = \"leader\"\n[[steps]]\nat = \"5s\"\ncrash = 1";
    let spread = "about = \"x\"\r\nraft = {\r\n  tick = \"50ms\", # fast\r\n}\r\nsteps = [\r\n  {\r\n    wait = \"leader\",\r\n  },\r\n  { crash = 1, at = \"5s\" },\r\n]\r\n";
    assert_eq!(valid(short), valid(long));
    assert_eq!(valid(short), valid(spread));
}

#[test]
fn targets_have_all_their_forms() {
    let step = "{ crash = [1, \"leader\", \"follower\", \"leader of k7\"] }";
    let targets = vec![Target::Store(1), Target::Leader, Target::Follower, Target::LeaderOf("k7".into())];
    assert_eq!(action(step), Action::Crash { targets, losing: Losses::default(), name: None });
    let plural = "{ restart = [\"followers\", \"all\", \"others\"] }";
    assert_eq!(
        action(plural),
        Action::Restart {
            targets: vec![Target::Followers, Target::All, Target::Others],
            with: Overrides::default()
        }
    );
    let ends = "{ cut = { from = [\"client 3\", 2], to = \"clients\" } }";
    let from = vec![Endpoint::Client(3), Endpoint::Stores(Target::Store(2))];
    assert_eq!(action(ends), Action::Cut { from, to: vec![Endpoint::Clients] });
}

#[test]
fn others_at_one_end_are_the_rest_of_the_other() {
    let others = || Endpoint::Stores(Target::Others);
    let from = vec![others(), Endpoint::Client(1)];
    let to = vec![Endpoint::Stores(Target::Store(2)), Endpoint::Clients];
    let cut = "{ cut = { from = [\"others\", \"client 1\"], to = [2, \"clients\"] } }";
    assert_eq!(action(cut), Action::Cut { from: from.clone(), to: to.clone() });
    let heal = "{ heal = { from = [2, \"clients\"], to = [\"others\", \"client 1\"] } }";
    assert_eq!(action(heal), Action::Heal(Links::Between { from: to, to: from }));
    let Action::Filter(filter) = action("{ drop = \"any\", from = \"leader\", to = \"others\" }") else {
        panic!("a filter");
    };
    assert_eq!(filter.to, Some(vec![others()]));
    // Elsewhere they are the rest of what their own list names.
    assert_eq!(action("{ heal = \"others\" }"), Action::Heal(Links::Of(vec![others()])));
}

#[test]
fn heal_takes_back_all_or_some() {
    let all = Action::Heal(Links::All);
    assert_eq!(action("{ heal = \"all\" }"), all);
    assert_eq!(action("{ heal = [\"all\"] }"), all);
    let two = vec![Endpoint::Stores(Target::Store(2))];
    assert_eq!(action("{ heal = 2 }"), Action::Heal(Links::Of(two.clone())));
    let between = Links::Between { from: two.clone(), to: vec![Endpoint::Clients] };
    assert_eq!(action("{ heal = { from = 2, to = \"clients\" } }"), Action::Heal(between));
}

#[test]
fn filters_take_one_message_or_several() {
    let filter = Filter {
        effect: Effect::Delay { by: Duration::millis(5) },
        messages: vec![MessageKind::Append, MessageKind::Heartbeat],
        of: None,
        from: Some(vec![Endpoint::Stores(Target::Leader)]),
        to: None,
        skip: 2,
        count: Some(3),
        name: Some("slow".into()),
    };
    let step = "{ delay = [\"append\", \"heartbeat\"], by = \"5ms\", from = \"leader\", skip = 2, count = 3, as = \"slow\" }";
    assert_eq!(action(step), Action::Filter(filter));
}

#[test]
fn a_given_mix_has_only_the_given_operations() {
    let Action::Load(load) = action("{ load = \"10s\", mix = { cas = 1 }, ops = 100 }") else {
        panic!("a load");
    };
    assert_eq!(load.mix, Mix { cas: 1, ..Mix::ZERO });
    assert_eq!((load.clients, load.keys, load.ops), (4, 16, Some(100)));
}

#[test]
fn the_examples_of_the_language_page_are_valid() {
    let page = include_str!("../mod.rs").lines().filter_map(|line| line.strip_prefix("//!"));
    let page: Vec<&str> = page.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
    let examples: Vec<String> = page
        .split(|line| line.starts_with("```"))
        .skip(1)
        .step_by(2)
        .map(|example| example.join("\n"))
        .collect();
    assert_eq!(examples.len(), 4);
    for example in examples {
        assert!(!valid(&example).steps.is_empty());
    }
}

#[test]
fn the_members_at_the_start_are_all_or_those_given() {
    let members = |cluster: &str| {
        let source = format!("about = \"x\"\nsystem = \"raft\"\ncluster = {cluster}\nsteps = []");
        let cluster = valid(&source).cluster;
        (cluster.initial_voters(), cluster.initial_learners())
    };
    assert_eq!(members("{ stores = 3 }"), (vec![1, 2, 3], vec![]));
    assert_eq!(members("{ stores = 4, learners = [2] }"), (vec![1, 3, 4], vec![2]));
    assert_eq!(members("{ stores = 4, voters = [3, 1] }"), (vec![1, 3], vec![]));
    assert_eq!(members("{ stores = 4, voters = [3], learners = [4, 2] }"), (vec![3], vec![2, 4]));
}

#[test]
fn a_change_of_members_has_all_its_forms() {
    let within = Insist::Within(DEFAULT_WITHIN);
    let leave = MembershipChange::Leave;
    assert_eq!(
        raft_action("{ change = \"leave\", via = 2, refused = true }"),
        Action::Change { of: None, change: leave, via: Some(Target::Store(2)), insist: Insist::Refused }
    );
    let add = MembershipChange::Members {
        add: vec![Target::Store(4)],
        learn: Vec::new(),
        remove: Vec::new(),
        transition: Transition::Auto,
    };
    assert_eq!(
        raft_action("{ change = { add = 4 } }"),
        Action::Change { of: None, change: add, via: None, insist: within }
    );
    let change = MembershipChange::Members {
        add: vec![Target::Store(4), Target::Store(5)],
        learn: vec![Target::Leader],
        remove: vec![Target::Store(1)],
        transition: Transition::Explicit,
    };
    let step = "{ change = { remove = 1, add = [4, 5], learn = \"leader\" }, transition = \"explicit\", within = \"1s\" }";
    let insist = Insist::Within(Duration::secs(1));
    assert_eq!(raft_action(step), Action::Change { of: None, change, via: None, insist });
}

#[test]
fn configurations_are_waited_for_by_any_part() {
    let members = |which: &str| match raft_action(&format!("{{ wait = \"members\", {which} }}")) {
        Action::Wait { condition: Condition::Members(members), .. } => members,
        other => panic!("{other:?}"),
    };
    let none = Members::default();
    assert_eq!(members("joint = false"), Members { joint: Some(false), ..none.clone() });
    assert_eq!(members("learners = []"), Members { learners: Some(Vec::new()), ..none.clone() });
    let voters = Some(vec![Target::Store(1), Target::Leader]);
    assert_eq!(
        members("voters = [1, \"leader\"], on = \"all\""),
        Members { on: vec![Target::All], voters, ..none }
    );
}

#[test]
fn conditions_look_at_one_store_or_several() {
    let stores = |numbers: &[u64]| numbers.iter().map(|n| Target::Store(*n)).collect::<Vec<_>>();
    let leader = |on, not| Action::Expect(Expectation::Leader(Leader { of: None, on, not }));
    assert_eq!(action("{ expect = \"leader\" }"), leader(Vec::new(), Vec::new()));
    assert_eq!(
        action("{ expect = \"leader\", on = [2, 3], not = 1 }"),
        leader(stores(&[2, 3]), stores(&[1]))
    );
    let rest = "{ expect = \"leader\", on = \"others\", not = [1, 2] }";
    assert_eq!(action(rest), leader(vec![Target::Others], stores(&[1, 2])));
    let restored = Condition::SnapshotApplied { of: None, on: stores(&[4, 5]), count: 1 };
    assert_eq!(
        raft_action("{ wait = \"snapshot-applied\", on = [4, 5] }"),
        Action::Wait { condition: restored, within: DEFAULT_WITHIN }
    );
    // One in brackets is one, and is printed without.
    let role = action("{ expect = \"role\", on = [2], is = \"leader\" }");
    assert_eq!(Step::now(role).to_string(), "expect = \"role\", on = 2, is = \"leader\"");
}

#[test]
fn clocks_drift_both_ways() {
    let drift = |text: &str| match action(&format!("{{ clock = \"all\", drift = \"{text}\" }}")) {
        Action::Clock { drift, jump: None, .. } => drift,
        other => panic!("{other:?}"),
    };
    assert_eq!(drift("5%"), Drift::new(50_000));
    assert_eq!(drift("-300ppm"), Drift::new(-300));
    assert_eq!(drift("0%"), Some(Drift::ZERO));
}

#[test]
fn what_bounds_nothing_is_said_in_a_word() {
    let source = "about = \"x\"\nraft  = { max-message-size = \"unbounded\", max-inflight-size = \"64KiB\" }\n\nsteps = []\n";
    let scenario = valid(source);
    assert_eq!(scenario.raft.max_message_size, Bytes::UNBOUNDED);
    assert_eq!(scenario.raft.max_inflight_size, Bytes::new(64 << 10));
    assert_eq!(scenario.raft.max_uncommitted_size, Bytes::UNBOUNDED);
    assert_eq!(scenario.to_string(), source);
}

#[test]
fn each_system_has_what_is_its_own() {
    let file = |rest: &str| format!("about = \"x\"\n{rest}\n");
    let bare = "bare = { log-limit = 5 }\nsteps = [{ forget-leader = 1 }]";
    assert_eq!(valid(&file(&format!("system = \"raft\"\n{bare}"))).bare.log_limit, 5);
    let needs = ["`bare` needs `system = \"raft\"`", "`forget-leader` needs `system = \"raft\"`"];
    assert_eq!(errors(&file(bare)), needs);
    assert_eq!(errors(&file(&format!("system = \"raftstore\"\n{bare}"))), needs);
    let store = "raftstore = { kv-sync-interval = \"2s\" }\nsteps = []";
    assert_eq!(valid(&file(store)).raftstore.kv_sync_interval, Duration::secs(2));
    assert_eq!(
        errors(&file(&format!("system = \"raft\"\n{store}"))),
        ["`raftstore` needs `system = \"raftstore\"`"]
    );
}

#[test]
fn a_lease_leaves_time_for_itself() {
    let file = |margin: u32, ticks: u32| {
        let raft = format!(
            "check-quorum = true, read-index = \"lease\", lease-margin = {margin}, election-ticks = {ticks}"
        );
        format!("about = \"x\"\nsystem = \"raft\"\nraft = {{ {raft} }}\nsteps = []")
    };
    assert_eq!(valid(&file(7, 10)).raft.lease_margin, 7);
    assert_eq!(valid(&file(0, 3)).raft.lease_margin, 0);
    for wrong in [file(8, 10), file(u32::MAX, u32::MAX)] {
        assert_eq!(errors(&wrong), ["no time is left for a lease"]);
    }
    // Without a lease its margin does not matter.
    let safe = file(8, 10).replace("lease\"", "safe\"");
    assert_eq!(valid(&safe).raft.lease_margin, 8);
}

#[test]
fn numbered_keys_expand_in_order() {
    let keys = Keys::Numbered { prefix: "k".into(), first: 9, last: 11 };
    assert_eq!(keys.iter().collect::<Vec<_>>(), ["k9", "k10", "k11"]);
    assert_eq!(Keys::One("a".into()).iter().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn every_error_of_a_file_is_reported_in_order() {
    let source = "about = \"\"\nsede = 5\nraft = { tick = 5, ticks = 2 }\nsteps = [\n  { crahs = 9 },\n  { crash = 9, loosing = \"all\", at = \"x\" },\n]";
    assert_eq!(
        errors(source),
        [
            "wrong value for `about`",
            "unknown key `sede`",
            "wrong value for `tick`",
            "`raft` has no key `ticks`",
            "unknown verb `crahs`",
            "there is no store 9",
            "`crash` has no option `loosing`",
            "wrong value for `at`",
        ]
    );
}

#[test]
fn what_stands_before_a_syntax_error_is_still_checked() {
    let source =
        "about = \"x\"\nseed = -1\nsteps = [\n  { crahs = 1 },\n  { wait = \"leader },\n  { boom = 1 },\n]";
    assert_eq!(
        errors(source),
        ["wrong value for `seed`", "unknown verb `crahs`", "this string does not end"]
    );
}

#[test]
fn a_name_is_known_from_the_next_step_on() {
    let file = |steps: &str| format!("about = \"x\"\nsteps = [{steps}]");
    let known = "{ name = 1, as = \"a\" }, { crash = \"a\" }";
    assert_eq!(valid(&file(known)).steps.len(), 2);
    let late = "{ crash = \"a\" }, { name = 1, as = \"a\" }";
    assert_eq!(errors(&file(late)), ["the name `a` is not known yet"]);
    let own = "{ campaign = \"a\", as = \"a\" }";
    assert_eq!(errors(&file(own)), ["the name `a` is not known yet"]);
    let kind = "{ hold = \"vote\", as = \"a\" }, { crash = \"a\" }";
    assert_eq!(errors(&file(kind)), ["`a` names a filter, not a store"]);
}

#[test]
fn a_cluster_that_cannot_be_read_hides_no_store() {
    let source = "about = \"x\"\ncluster = { stores = \"5\" }\nsteps = [{ crash = 5 }]";
    assert_eq!(errors(source), ["wrong value for `stores`"]);
}

#[test]
fn the_words_of_the_grammar_are_those_of_the_types() {
    for gauge in Gauge::ALL {
        for verb in ["wait", "expect"] {
            let known = grammar::forms_of(verb)
                .any(|form| matches!(form.value, grammar::Shape::Literal(word) if word == gauge.word()));
            assert!(known, "`{verb}` does not know {gauge}");
        }
    }
    for check in Check::ALL {
        assert_eq!(Check::from_word(check.word()), Some(*check));
        assert!(!check.doc().is_empty());
    }
}
