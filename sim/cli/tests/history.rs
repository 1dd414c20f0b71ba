//! `raftsim history`: what is kept of a run can be checked again, and histories of others get the right verdict.

mod common;

use common::{Place, text};

/// Clients that write and read a few keys while links lose messages and a store crashes.
const LOAD: &str = r#"about = "Clients go on while a store is away."
cluster = { stores = 3 }
network = { latency = "1ms..10ms", loss = "2%" }
steps = [
  { wait = "leader" },
  { load = "2s", clients = 4, keys = 3, mix = { put = 2, get = 3, append = 1, cas = 1, delete = 1, scan = 1 } },
  { wait = "300ms" },
  { crash = "leader", as = "away" },
  { wait = "500ms" },
  { restart = "away" },
  { wait = "load", within = "10s" },
]
"#;

/// A stale read, as Jepsen logs it.
const STALE: &str = "INFO  jepsen.util - 0\t:invoke\t:write\t1
INFO  jepsen.util - 0\t:ok\t:write\t1
INFO  jepsen.util - 1\t:invoke\t:write\t2
INFO  jepsen.util - 1\t:ok\t:write\t2
INFO  jepsen.util - 0\t:invoke\t:read\tnil
INFO  jepsen.util - 0\t:ok\t:read\t1
";

/// An append that a get sees, in Porcupine's text.
const SEEN: &str = r#"{:process 0, :type :invoke, :f :append, :key "0", :value "x"}
{:process 1, :type :invoke, :f :get, :key "0", :value nil}
{:process 1, :type :ok, :f :get, :key "0", :value "x"}
{:process 0, :type :ok, :f :append, :key "0", :value "x"}
"#;

#[test]
fn a_history_that_was_kept_gets_the_verdict_of_its_run() {
    let place = Place::with(&[("load.toml", LOAD)]);
    place.raftsim(&["run", "load.toml", "--seed", "5", "--history", "kept.jsonl"]).code(0);
    let output = place.raftsim(&["history", "check", "kept.jsonl"]).code(0).get_output().clone();
    let out = text(&output.stdout);
    assert!(out.starts_with("kept.jsonl  linearizable  "), "{out}");
    assert!(out.contains("; 3 keys looked at: 3 by order, 0 by search, 0 unknown"), "{out}");
}

#[test]
fn a_history_without_a_write_of_its_own_is_not_linearizable() {
    let place = Place::with(&[("load.toml", LOAD)]);
    place.raftsim(&["run", "load.toml", "--history", "kept.jsonl"]).code(0);
    let kept = place.read("kept.jsonl");
    // A value that somebody read, or the last one, was written by some request: without that one, by none.
    let read =
        kept.lines().filter_map(|line| line.split_once(r#""answer":{"value":""#)).map(|(_, value)| value);
    let value = read
        .filter_map(|rest| rest.split('"').next())
        .find(|value| kept.contains(&format!(r#"{{"put":{{"key":"k1","value":"{value}"}}}}"#)));
    let value = value.map(|value| format!(r#""value":"{value}"}}}},"#));
    let Some(write) = value else { panic!("nobody read what was put:\n{kept}") };
    let lied: String =
        kept.lines().filter(|line| !line.contains(&write)).map(|line| format!("{line}\n")).collect();
    let place = Place::with(&[("lied.jsonl", &lied)]);
    let out = place.run_fails(&["history", "check", "lied.jsonl"], 1);
    assert!(out.starts_with("lied.jsonl  NOT linearizable  "), "{out}");
    assert!(out.contains("which nothing before its return makes"), "{out}");
}

#[test]
fn histories_of_others_are_checked_each_for_itself() {
    let place = Place::with(&[("stale.log", STALE), ("seen.txt", SEEN)]);
    let out = place.run_fails(&["history", "check", "stale.log", "seen.txt"], 1);
    let expected = r#"stale.log  NOT linearizable  3 operations; 1 key looked at: 0 by order, 1 by search, 0 unknown
  key "register" is not linearizable: no order explains 3 answers
    order  client  call..return  operation  answer  time
        1       0  0..1          put "1"    done    []
        2       1  2..3          put "2"    done      []
        ?       0  4..5          get        "1"         []
  after number 2 in the best order, the value is "2"
  without a place: client 0's get -> "1"
  why: client 0's get (4..5) tells of "1", as client 0's put "1" (0..1) left it; client 1's put "2" (2..3) came in between
seen.txt  linearizable  2 operations; 1 key looked at: 1 by order, 0 by search, 0 unknown
"#;
    assert_eq!(out, expected);
}

#[test]
fn a_file_that_is_no_history_is_bad_usage_and_nothing_is_checked() {
    let place = Place::with(&[("bad.log", "what is this\n"), ("torn.log", &STALE[..30]), ("seen.txt", SEEN)]);
    let output = place.raftsim(&["history", "check", "seen.txt", "bad.log", "torn.log", "none"]).code(2);
    let output = output.get_output();
    assert_eq!(text(&output.stdout), "");
    let complaint = text(&output.stderr);
    assert!(complaint.contains("bad.log: no history that is known here"), "{complaint}");
    assert!(complaint.contains("torn.log: line 1: there is no value"), "{complaint}");
    assert!(complaint.contains("3 files with errors"), "{complaint}");
    let output = place.raftsim(&["history", "check", "seen.txt", "--format", "raftsim"]).code(2);
    assert!(text(&output.get_output().stderr).contains("seen.txt: line 1: expected {\"raftsim-history\":1}"));
}

#[test]
fn one_history_is_kept_of_one_run() {
    let place = Place::with(&[("a.toml", LOAD), ("b.toml", LOAD)]);
    for args in [
        &["run", "a.toml", "b.toml", "--history", "x"][..],
        &["run", "a.toml", "--seeds", "2", "--history", "x"],
    ] {
        let complaint = text(&place.raftsim(args).code(2).get_output().stderr);
        assert!(complaint.contains("--history keeps that of one run"), "{complaint}");
    }
}
