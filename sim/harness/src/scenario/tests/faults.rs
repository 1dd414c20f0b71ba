//! What the steps of faults mean: of links, disks, clocks and processes.

use super::*;

fn store(number: u64) -> Vec<Target> {
    vec![Target::Store(number)]
}

fn end(number: u64) -> Vec<Endpoint> {
    vec![Endpoint::Stores(Target::Store(number))]
}

/// The errors in a file with these steps, after the line `top`.
#[track_caller]
fn errors_in(top: &str, steps: &str) -> Vec<String> {
    errors(&format!("about = \"x\"\n{top}\nsteps = [{steps}]"))
}

/// What a person writes, and the printer too: a file of every new fault.
const STORY: &str = r#"about   = "Everything that can break does, and a core of three has to go on."
ending  = "freeze"
core    = [1, 2, 4]
budget  = "none"
cluster = { stores = 5 }
network = { latency = "1ms + tail 4ms", corrupt = "0.01%", bandwidth = "1MiB", queue = "64KiB", wire = true }
disk    = { read = "10us", write = "20us", capacity = "1GiB" }
clocks  = { offset = "5s", drift = "0.02%" }
process = { slowness = "1us..5us" }

steps = [
  { clog = [1, "clients"] },
  { unclog = { from = 1, to = 2 } },
  { partition = [[1, 2], [2, 3]] },
  { network = { bandwidth = "unbounded" }, from = 1 },
  { disk = 1, read = "5ms", stalled = true, bad = "1%", write-errors = "2%", sync-errors = "3%" },
  { heal-disk = "all" },
  { fail = 1, what = "sync", db = "kv", count = 2 },
  { rot = 2, what = "data", of = "k5" },
  { clock = 3, drift = "-0.01%", jump = "-300ms" },
  { slow = "leader", by = "1ms..5ms", if-any = true },
  { wipe = 3 },
  { restart = 3, raft = { pre-vote = true }, raftstore = { reads = "index" } },
  { at = "20s", storm = "all", times = 3, up = "1s", down = "10ms..1s", losing = "unsynced" },
  { wait = "stopped", on = 1, within = "5s", if-any = true },
  { expect = "stopped", on = [1, 2] },
  { expect = "faults", of = "sync-failed", reaches = 1 },
]
"#;

#[test]
fn a_story_of_faults_is_read_and_printed_as_it_stands() {
    let scenario = valid(STORY);
    assert_eq!(scenario.to_string(), STORY);
    assert_eq!((scenario.ending, scenario.core), (Ending::Freeze, Some(vec![1, 2, 4])));
    assert_eq!(scenario.budget, Budget::None);
    assert!(scenario.network.wire);
    assert_eq!((scenario.network.bandwidth, scenario.network.queue), (Bytes::mib(1), Bytes::new(64 << 10)));
    let tail = Latency::Tail { min: Duration::millis(1), mean: Duration::millis(4) };
    assert_eq!(scenario.network.latency, tail);
    assert_eq!(scenario.clocks.offset, Duration::secs(5));
    let lenient: Vec<usize> =
        scenario.steps.iter().enumerate().filter(|(_, step)| step.lenient).map(|(at, _)| at).collect();
    assert_eq!(lenient, [9, 13]);
}

#[test]
fn a_healthy_world_is_default_and_is_not_written() {
    let scenario = valid("about = \"x\"\nsteps = []");
    assert_eq!((scenario.budget, &scenario.core), (Budget::Safe, &None));
    assert_eq!((scenario.network.bandwidth, scenario.network.corrupt), (Bytes::UNBOUNDED, Ppm::ZERO));
    assert_eq!(scenario.disk.capacity, Bytes::UNBOUNDED);
    let at_once = Latency::Constant(Duration::ZERO);
    assert_eq!([scenario.disk.read, scenario.disk.write, scenario.process.slowness], [at_once; 3]);
    assert_eq!(scenario.clocks, ClocksConfig { offset: Duration::ZERO, drift: Ppm::ZERO });
    assert_eq!(scenario.to_string(), "about = \"x\"\n\nsteps = []\n");
}

#[test]
fn links_are_clogged_whole_and_one_way() {
    assert_eq!(action("{ clog = \"all\" }"), Action::Clog(Links::All));
    assert_eq!(action("{ clog = 2 }"), Action::Clog(Links::Of(end(2))));
    let both = Links::Between { from: end(1), to: end(2) };
    assert_eq!(action("{ unclog = { from = 1, to = 2 } }"), Action::Unclog(both));
}

#[test]
fn groups_overlap_in_bridges() {
    let group = |numbers: &[u64]| numbers.iter().flat_map(|number| end(*number)).collect::<Vec<_>>();
    let groups = vec![group(&[1, 2]), group(&[2, 3])];
    assert_eq!(action("{ partition = [[1, 2], [2, 3]] }"), Action::Partition { groups, name: None });
}

#[test]
fn disks_fail_by_share_and_by_number() {
    let change = DiskChange {
        targets: store(1),
        capacity: Some(Bytes::new(100)),
        sync_errors: Some(Ppm::percent(1)),
        stalled: Some(false),
        ..DiskChange::default()
    };
    let step = "{ disk = 1, capacity = \"100B\", stalled = false, sync-errors = \"1%\" }";
    assert_eq!(action(step), Action::Disk(change));
    let fail = Action::Fail { targets: store(1), what: DiskOperation::Read, db: None, count: 1 };
    assert_eq!(action("{ fail = 1, what = \"read\" }"), fail);
    let rot = Action::Rot { targets: store(2), what: RecordKind::Log, of: None };
    assert_eq!(raft_action("{ rot = 2, what = \"log\" }"), rot);
}

#[test]
fn every_kind_of_record_that_is_no_deletion_can_rot() {
    for kind in RecordKind::ALL {
        let read = parse(&format!("about = \"x\"\nsteps = [{{ rot = 1, what = \"{kind}\" }}]"));
        assert_eq!(read.is_ok(), !kind.word().ends_with("-gone"), "{kind}");
    }
}

#[test]
fn clocks_jump_both_ways() {
    let jump = |text: &str| match action(&format!("{{ clock = \"all\", jump = \"{text}\" }}")) {
        Action::Clock { drift: None, jump, .. } => jump,
        other => panic!("{other:?}"),
    };
    assert_eq!(jump("2s"), Some(SignedDuration { forward: true, by: Duration::secs(2) }));
    assert_eq!(jump("-300ms"), Some(SignedDuration { forward: false, by: Duration::millis(300) }));
}

#[test]
fn overrides_change_what_they_say_and_the_last_one_counts() {
    let with = |knobs: &str| match action(&format!("{{ restart = 1, {knobs} }}")) {
        Action::Restart { with, .. } => with,
        other => panic!("{other:?}"),
    };
    assert!(matches!(action("{ restart = 1 }"), Action::Restart { with, .. } if with.is_empty()));
    let mut all = with("raft = { pre-vote = true, max-inflight = 1 }");
    all.merge(&with("raft = { max-inflight = 2 }, raftstore = { reads = \"index\" }"));
    let (mut raft, mut raftstore) = (RaftConfig::default(), RaftstoreConfig::default());
    all.apply(&mut raft, &mut raftstore);
    assert_eq!(raft, RaftConfig { pre_vote: true, max_inflight: 2, ..RaftConfig::default() });
    assert_eq!(raftstore, RaftstoreConfig { reads: ReadPath::Index, ..RaftstoreConfig::default() });
    assert!(!all.is_empty());
}

/// Two restarts that are fine alone, in either order.
#[test]
fn overrides_have_to_fit_each_other() {
    let raft = "raft = { check-quorum = true }";
    let margin = "{ restart = 1, raft = { lease-margin = 9 } }";
    let lease = "{ restart = 1, raft = { read-index = \"lease\" } }";
    for (first, second) in [(margin, lease), (lease, margin)] {
        assert_eq!(errors_in(raft, &format!("{first}, {second}")), ["no time is left for a lease"]);
        assert!(parse(&format!("about = \"x\"\n{raft}\nsteps = [{first}]")).is_ok());
    }
    // What another store has, this one may come to have: a later, smaller margin does not take back the first.
    let smaller = "{ restart = 2, raft = { lease-margin = 1 } }";
    assert_eq!(errors_in(raft, &format!("{margin}, {smaller}, {lease}")), ["no time is left for a lease"]);
    let back = "{ restart = 2, raft = { read-index = \"safe\" } }";
    assert_eq!(errors_in(raft, &format!("{lease}, {back}, {margin}")), ["no time is left for a lease"]);
    let sizes = |first: &str, second: &str, third: &str| {
        let restart = |knob: &str| format!("{{ restart = 1, raftstore = {{ {knob} }} }}");
        errors_in("", &[restart(first), restart(second), restart(third)].join(", "))
    };
    let unfit = ["`region-split-size` must be less than `region-max-size`"];
    let (large, small) = ("region-split-size = \"130MiB\"", "region-split-size = \"1MiB\"");
    assert_eq!(sizes(large, small, "region-max-size = \"120MiB\""), unfit);
    assert_eq!(sizes("region-max-size = \"120MiB\"", "region-max-size = \"1GiB\"", large), unfit);
    // What was wrong before is not held against what comes after.
    let wrong =
        "{ restart = 1, raft = { heartbeat-ticks = 10 } }, { restart = 1, raft = { pre-vote = true } }";
    assert_eq!(errors_in("", wrong), ["`heartbeat-ticks` must be less than `election-ticks`"]);
}

#[test]
fn a_core_has_most_of_those_that_vote() {
    let top = |core: &str| {
        format!("ending = \"freeze\"\ncore = {core}\ncluster = {{ stores = 5, voters = [1, 2, 3, 4] }}")
    };
    assert_eq!(errors_in(&top("[1, 2, 5]"), ""), ["the core is no majority"]);
    assert_eq!(errors_in(&top("[1, 2, 9]"), ""), ["there is no store 9"]);
    let source = format!("about = \"x\"\n{}\nsteps = []", top("[5, 3, 2, 1]"));
    assert_eq!(valid(&source).core, Some(vec![5, 3, 2, 1]));
    // Drawn by the run.
    assert_eq!(valid("about = \"x\"\nending = \"freeze\"\nsteps = []").core, None);
}

#[test]
fn a_queue_needs_something_that_waits() {
    let queue = "{ network = { queue = \"1KiB\" } }";
    assert_eq!(errors_in("", queue), ["`queue` needs `bandwidth`"]);
    for top in ["network = { bandwidth = \"1MiB\" }", ""] {
        let before = "{ network = { bandwidth = \"1MiB\" }, from = 1 }, ";
        let before = if top.is_empty() { before } else { "" };
        assert!(parse(&format!("about = \"x\"\n{top}\nsteps = [{before}{queue}]")).is_ok(), "{top}");
    }
}

#[test]
fn a_driver_refuses_nothing_that_a_step_could_wait_for() {
    let driver = "placement = { mode = \"manual\" }";
    let refused = "`refused` needs a cluster without a placement driver";
    for step in ["{ change = { add = 3 }, refused = true }", "{ split = \"k5\", refused = true }"] {
        assert_eq!(errors_in(driver, step), [refused]);
        assert!(parse(&format!("about = \"x\"\nsteps = [{step}]")).is_ok());
    }
    let past = "{ change = { add = 3 }, via = 1, refused = true }";
    assert!(parse(&format!("about = \"x\"\n{driver}\nsteps = [{past}]")).is_ok());
}

#[test]
fn a_filter_is_waited_for_as_often_as_it_acts() {
    let steps = |count: u64| {
        format!(
            "{{ drop = \"any\", count = 2, as = \"f\" }}, {{ wait = \"dropped\", filter = \"f\", count = {count} }}"
        )
    };
    assert_eq!(errors_in("", &steps(3)), ["the filter never acts on so many messages"]);
    assert!(parse(&format!("about = \"x\"\nsteps = [{}]", steps(2))).is_ok());
}
