//! The same for what a store of many regions and its placement driver have.

use super::*;

fn stores(numbers: &[u64]) -> Vec<Target> {
    numbers.iter().map(|number| Target::Store(*number)).collect()
}

fn of(key: &str) -> Option<String> {
    Some(key.to_owned())
}

/// A file with a placement driver and these steps.
fn driven(steps: &str) -> String {
    format!("about = \"x\"\nplacement = {{ mode = \"manual\" }}\nsteps = [{steps}]")
}

const REGIONS: &str = r#"about     = "A region is split, and its right half moves to a new store."
cluster   = { stores = 4, voters = [1, 2, 3] }
raftstore = { reads = "index", log-gc-interval = "1s", snapshot-chunk-size = "1KiB", max-snapshots-sent = 1 }
placement = { mode = "churn", interval = "1s", churn = ["splits", "peers"] }
disk      = { task = "5ms", throughput = "1MiB" }

steps = [
  { wait = "leader" },
  { split = "k5", within = "5s" },
  { split = "k5..k9", within = "1s" },
  { wait = "regions", is = 2 },
  { wait = "region", of = "k7", on = [1, 2], version = 2, start = "k5", end = "" },
  { drop = "snapshot-chunk", of = "k7", to = 4, skip = 1, as = "chunks" },
  { change = { add = 4, remove = "follower of k7" }, of = "k7" },
  { wait = "wrote", of = "k7", on = 4, what = "snapshot-record", count = 2, durable = true },
  { crash = 4, losing = { raft = "random", kv = 3 } },
  { crash = ["leader of k7", "followers of k1"], losing = 2 },
  { expect = "size", of = "k7", below = 100 },
  { transfer = 4, of = "k7" },
  { pause = "leader", as = "old" },
  { resume = "old" },
  { compact = "leader", of = "k7" },
  { wait = "no-replica", of = "k7", on = "old" },
  { expect = "replica", of = "k7", on = [2, 3] },
  { crash = "placement" },
  { cut = { from = "placement", to = 1 } },
  { restart = "placement" },
  { isolate = "placement" },
  { heal = ["placement", "clients"] },
]
"#;

#[test]
fn a_story_of_regions_is_read_and_printed_as_it_stands() {
    let scenario = valid(REGIONS);
    assert_eq!(scenario.to_string(), REGIONS);
    let placement = scenario.placement.expect("a driver");
    assert_eq!(placement.churn, [Churn::Splits, Churn::Peers]);
    assert_eq!((placement.interval, placement.replicas), (Duration::secs(1), 3));
    assert_eq!(scenario.raftstore.reads, ReadPath::Index);
    assert_eq!(scenario.disk.throughput, Bytes::mib(1));
}

#[test]
fn without_a_table_there_is_no_driver() {
    assert_eq!(valid("about = \"x\"\nsteps = []").placement, None);
    let empty = valid("about = \"x\"\nplacement = {}\nsteps = []");
    assert_eq!(empty.placement, Some(PlacementConfig::default()));
    assert_eq!(empty.to_string(), "about     = \"x\"\nplacement = { mode = \"balance\" }\n\nsteps = []\n");
}

#[test]
fn what_concerns_a_region_names_a_key_of_it() {
    let wait = |condition| Action::Wait { condition, within: DEFAULT_WITHIN };
    let leader = Leader { of: of("k7"), on: stores(&[2]), not: Vec::new() };
    assert_eq!(action("{ wait = \"leader\", of = \"k7\", on = 2 }"), wait(Condition::Leader(leader)));
    let compares = Compares::Reaches(3);
    assert_eq!(
        action("{ expect = \"log-length\", reaches = 3, of = \"k7\" }"),
        Action::Expect(Expectation::Gauge {
            gauge: Gauge::LogLength,
            of: of("k7"),
            on: Vec::new(),
            compares
        })
    );
    assert_eq!(
        action("{ campaign = 2, of = \"k7\" }"),
        Action::Campaign { of: of("k7"), target: Target::Store(2), name: None }
    );
    let region = Region { conf_ver: Some(3), end: Some(String::new()), ..Region::default() };
    assert_eq!(action("{ wait = \"region\", conf-ver = 3, end = \"\" }"), wait(Condition::Region(region)));
    assert_eq!(
        action("{ wait = \"wrote\", on = \"leader\", what = \"birth-gone\" }"),
        wait(Condition::Wrote {
            of: None,
            on: Target::Leader,
            what: RecordKind::BirthGone,
            count: 1,
            durable: false
        })
    );
}

#[test]
fn bare_raft_has_one_region() {
    let file = |step: &str| format!("about = \"x\"\nsystem = \"raft\"\nsteps = [{step}]");
    let needs = |what: &str| [format!("`{what}` needs `system = \"raftstore\"`")];
    for step in [
        "{ wait = \"leader\", of = \"k\" }",
        "{ change = \"leave\", of = \"k\" }",
        "{ compact = 1, of = \"k\" }",
        "{ drop = \"any\", of = \"k\" }",
        "{ expect = \"term\", is = 1, of = \"k\" }",
    ] {
        assert_eq!(errors(&file(step)), needs("of"), "{step}");
    }
    assert_eq!(errors(&file("{ split = \"k\" }")), needs("split"));
    assert_eq!(errors(&file("{ wait = \"regions\", is = 2 }")), needs("wait = \"regions\""));
    assert_eq!(errors(&file("{ drop = \"tombstone\" }")), needs("tombstone"));
    assert_eq!(errors(&file("{ crash = \"placement\" }")), needs("crash = \"placement\""));
    assert_eq!(errors(&file("{ crash = 1, losing = { kv = 1 } }")), needs("kv"));
    // What a violation is `of` is no region.
    assert_eq!(valid(&file("{ expect = \"violation\", of = \"progress\" }")).steps.len(), 1);
    for step in ["{ compact = 1 }", "{ pause = \"all\" }", "{ crash = 1, losing = { raft = 2 } }"] {
        assert_eq!(valid(&file(step)).steps.len(), 1, "{step}");
    }
}

#[test]
fn databases_lose_alike_or_each_its_own() {
    let losing = |losing: &str| match action(&format!("{{ crash = 1, losing = {losing} }}")) {
        Action::Crash { losing, .. } => losing,
        other => panic!("{other:?}"),
    };
    let (nothing, unsynced) = (Lost::Word(Losing::Nothing), Lost::Word(Losing::Unsynced));
    assert_eq!(losing("\"unsynced\""), Losses::all(unsynced));
    assert_eq!(losing("7"), Losses::all(Lost::Newest(7)));
    let some = losing("{ kv = \"unsynced\", snapshots = 1 }");
    assert_eq!(some, Losses { raft: nothing, kv: unsynced, snapshots: Lost::Newest(1) });
    assert_eq!(
        ["raft", "kv", "snapshots", "data"].map(|database| some.of(database)),
        [nothing, unsynced, Lost::Newest(1), nothing]
    );
    // All three alike are one word.
    assert_eq!(losing("{ raft = 7, kv = 7, snapshots = 7 }"), Losses::all(Lost::Newest(7)));
}

#[test]
fn words_of_the_driver_need_one() {
    let steps = [
        "{ crash = \"placement\" }",
        "{ restart = \"placement\" }",
        "{ isolate = \"placement\" }",
        "{ heal = \"placement\" }",
        "{ partition = [[1, \"placement\"], [2]] }",
        "{ drop = \"any\", to = \"placement\" }",
        "{ network = { loss = \"1%\" }, from = \"placement\" }",
        "{ delay = [\"append\", \"placement\"], by = \"1s\" }",
    ];
    for step in steps {
        assert_eq!(valid(&driven(step)).steps.len(), 1);
        let without =
            errors(&driven(step).replace("placement = {", "client = {").replace("mode = \"manual\"", ""));
        assert_eq!(without.len(), 1, "{step}: {without:?}");
        assert!(without[0].ends_with("` needs a placement driver"), "{step}: {without:?}");
        // Where nobody knows whether there is one, nothing is said about it.
        let misspelled = errors(&driven(step).replace("placement = {", "placment = {"));
        assert_eq!(misspelled, ["unknown key `placment`"], "{step}");
    }
    assert_eq!(errors(&driven("{ crash = [1, \"placement\"] }")), ["wrong value for `crash`"]);
    assert_eq!(errors(&driven("{ name = 1, as = \"placement\" }")), ["wrong value for `as`"]);
}

#[test]
fn a_lease_has_the_same_rules_in_every_system() {
    let file = |raft: &str| format!("about = \"x\"\nraft = {{ {raft} }}\nsteps = []");
    let lease = "check-quorum = true, read-index = \"lease\", lease-margin = 5";
    assert_eq!(valid(&file(lease)).raft.lease_margin, 5);
    assert_eq!(
        errors(&file("read-index = \"lease\"")),
        ["`read-index = \"lease\"` needs `check-quorum = true`"]
    );
    assert_eq!(errors(&file("apply-unpersisted = true")), ["`apply-unpersisted` needs `system = \"raft\"`"]);
}
