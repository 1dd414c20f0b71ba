//! What happens to disks, and what stores make of it.

use raftsim_harness::scenario::Check;
use raftsim_kernel::Duration;

use super::{clean, count, fails, start, start_bare, story};

const LEADER: &str = r#"{ campaign = 1 }, { wait = "leader", on = 1 }, { put = "k1..k5", value = "v" }, { wait = "applied" },"#;

/// A disk that fails is no error of the store, and what the store does about it is to be seen.
#[test]
fn a_store_stops_when_its_disk_fails_it() {
    for (what, db, fault) in [
        ("sync", ", db = \"raft\"", "sync-failed"),
        ("sync", ", db = \"kv\"", "sync-failed"),
        ("write", ", db = \"raft\"", "io-error"),
        ("write", ", db = \"kv\"", "io-error"),
        ("write", "", "io-error"),
    ] {
        let told = story(
            "raftstore = { kv-sync-interval = \"100ms\" }",
            &format!(
                r#"{LEADER} {{ fail = 2, what = "{what}"{db} }}, {{ put = "k1..k5", value = "w" }},
                   {{ wait = "stopped", on = 2, within = "2s" }}, {{ expect = "faults", of = "{fault}", is = 1 }},
                   {{ expect = "leader", on = 1 }}, {{ restart = 2 }}, {{ wait = "applied", within = "5s" }}"#
            ),
        );
        assert_eq!(count(&told, "STOPPED: "), 1, "{told}");
        assert_eq!(count(&told, "  sync of"), usize::from(what == "sync"), "{told}");
    }
}

#[test]
fn bare_raft_stops_too() {
    for what in ["sync", "write"] {
        let steps = format!(
            r#"{LEADER} {{ fail = 2, what = "{what}" }}, {{ put = "k1..k5", value = "w" }},
               {{ wait = "stopped", on = 2, within = "2s" }}, {{ restart = 2 }}, {{ wait = "applied" }}"#
        );
        clean(start_bare("", &steps).finish());
    }
}

/// What a failed sync covered is gone after a restart, though a process that is told to stop loses nothing else.
#[test]
fn a_failed_sync_loses_what_it_covered() {
    let lost = |losing: &str| {
        let steps = format!(
            r#"{LEADER} {{ fail = 3, what = "sync", db = "raft" }}, {{ put = "k1", value = "w" }},
               {{ wait = "stopped", on = 3, within = "2s" }}, {{ isolate = 3 }},
               {{ crash = 3, losing = "{losing}" }}, {{ restart = 3 }}, {{ expect = "last-index", on = 3, is = 11 }}"#
        );
        clean(start("ending = \"none\"", &steps).finish());
    };
    // An empty entry and five writes follow the start of the log at 5; the last write is the twelfth.
    lost("nothing");
    lost("unsynced");
}

#[test]
fn failures_that_did_not_come_are_forgotten_with_healing() {
    let steps = format!(
        r#"{LEADER} {{ fail = [2, 3], what = "write", count = 1000 }}, {{ disk = 3, sync-errors = "100%" }},
           {{ disk = 2, stalled = true }}, {{ heal-disk = "all" }}, {{ put = "k1..k9", value = "w", within = "2s" }},
           {{ expect = "faults", of = "io-error", is = 0 }}, {{ expect = "faults", of = "sync-failed", is = 0 }}"#
    );
    clean(start("", &steps).finish());
}

#[test]
fn shares_of_errors_come_in_time() {
    for (errors, fault) in [("write-errors", "io-error"), ("sync-errors", "sync-failed")] {
        let steps = format!(
            r#"{LEADER} {{ disk = 3, {errors} = "5%" }}, {{ load = "5s", keys = 5 }},
               {{ wait = "stopped", on = 3, within = "5s" }}, {{ expect = "faults", of = "{fault}", reaches = 1 }},
               {{ heal-disk = 3 }}, {{ restart = 3 }}, {{ wait = "load" }}"#
        );
        clean(start("", &steps).finish());
    }
}

#[test]
fn a_full_disk_stops_a_store_and_a_larger_one_lets_it_go_on() {
    let steps = format!(
        r#"{LEADER} {{ disk = 3, capacity = "4KiB" }}, {{ load = "2s", keys = 50, value-size = "200B" }},
           {{ wait = "stopped", on = 3, within = "5s" }}, {{ expect = "faults", of = "disk-full", reaches = 1 }},
           {{ disk = 3, capacity = "unbounded" }}, {{ restart = 3 }}, {{ wait = "load" }}, {{ wait = "applied" }}"#
    );
    clean(start("", &steps).finish());
}

/// A follower with bad sectors everywhere cannot open.
#[test]
fn bad_sectors_keep_a_store_from_opening() {
    let steps = format!(
        r#"{LEADER} {{ crash = 3 }}, {{ disk = 3, bad = "100%" }}, {{ restart = 3 }}, {{ expect = "stopped", on = 3 }},
           {{ heal-disk = 3 }}, {{ restart = 3 }}, {{ wait = "applied", within = "5s" }}"#
    );
    clean(start("", &steps).finish());
}

#[test]
fn a_stalled_disk_completes_nothing_until_it_goes_on() {
    let steps = format!(
        r#"{LEADER} {{ disk = [2, 3], stalled = true }}, {{ put = "k1", value = "w", client = 1 }},
           {{ wait = "3s" }}, {{ expect = "unacked", client = 1 }}, {{ disk = 2, stalled = false }},
           {{ wait = "acked", client = 1, within = "1s" }}"#
    );
    clean(start("client = { timeout = \"1m\" }", &steps).finish());
}

#[test]
fn a_slow_disk_slows_its_store() {
    let time = |change: &str| {
        let steps = format!(r#"{LEADER} {change} {{ put = "k1..k9", value = "w" }}"#);
        clean(start("ending = \"none\"\nnetwork = { latency = \"1ms\" }", &steps).finish()).time
    };
    let quick = time("");
    let slow = time(r#"{ disk = "all", sync = "100ms" },"#);
    let busy = time(r#"{ disk = "all", write = "20ms" },"#);
    assert!(slow > quick + Duration::millis(800), "{slow} with slow syncs, {quick} without");
    assert!(busy > quick + Duration::millis(100), "{busy} with slow writes, {quick} without");
}

#[test]
fn rot_is_found_when_a_store_opens() {
    for what in ["raft-state", "log", "region", "apply-state"] {
        let steps = format!(
            r#"{LEADER} {{ rot = 3, what = "{what}" }}, {{ crash = 3, losing = "nothing" }}, {{ restart = 3 }},
               {{ expect = "stopped", on = 3 }}, {{ expect = "faults", of = "rotten-read", reaches = 1 }},
               {{ restart = 3 }}, {{ expect = "stopped", on = 3 }}, {{ put = "k1..k9", value = "w" }}"#
        );
        clean(start("ending = \"none\"", &steps).finish());
    }
}

/// The next term is written over the rotten one.
#[test]
fn what_is_written_again_is_whole() {
    let steps = format!(
        r#"{LEADER} {{ rot = 3, what = "raft-state" }}, {{ transfer = 2 }}, {{ wait = "leader", on = 2 }},
           {{ put = "k1", value = "w" }}, {{ wait = "applied" }}, {{ crash = 3, losing = "nothing" }}, {{ restart = 3 }},
           {{ wait = "applied", within = "5s" }}, {{ expect = "faults", of = "rotten-read", is = 0 }}"#
    );
    clean(start("", &steps).finish());
}

#[test]
fn what_is_not_there_cannot_rot() {
    fails(
        &start("", &format!(r#"{LEADER} {{ rot = 3, what = "chunk" }}"#)).finish(),
        Check::Expectation,
        "store 3 has no chunk of region 1",
    );
    clean(start("", &format!(r#"{LEADER} {{ rot = 3, what = "chunk", if-any = true }}"#)).finish());
}
