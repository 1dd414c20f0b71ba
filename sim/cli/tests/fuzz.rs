//! Campaigns as their users see them: what is written, what survives a kill, what two machines share.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use common::{Place, json_lines, text};
use serde_json::Value;

/// The files that depend on the settings alone.
fn canonical(directory: &Path) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for name in ["campaign.json", "results.jsonl", "junit.xml"] {
        files.insert(name.to_owned(), fs::read_to_string(directory.join(name)).expect(name));
    }
    for entry in fs::read_dir(directory.join("findings")).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        // The header names the path.
        let content = fs::read_to_string(&path).expect("a file");
        files.insert(path.file_name().expect("a name").to_string_lossy().into_owned(), content);
    }
    files
}

fn lines(place: &Place, directory: &str) -> Vec<Value> {
    json_lines(&place.read(&format!("{directory}/results.jsonl")))
}

fn seeds(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|line| line["seed"].as_u64().expect("a seed")).collect()
}

#[test]
fn a_clean_campaign_is_exit_0_and_leaves_a_line_a_run() {
    let place = Place::with(&[]);
    let output =
        place.raftsim(&["fuzz", "--seeds", "0..12", "--profile", "quick"]).success().get_output().clone();
    let out = text(&output.stdout);
    assert!(out.contains("12 runs: all clean"), "{out}");
    assert!(out.contains("profile quick, seeds 0..12"), "{out}");
    assert_eq!(text(&output.stderr), "", "no progress in less than a minute where there is no terminal");
    let lines = lines(&place, "reports/quick-0-12");
    assert_eq!(seeds(&lines), (0..12).collect::<Vec<_>>());
    assert!(lines.iter().all(|line| line["verdict"] == "clean" && line["events"].as_u64() > Some(0)));
    let junit = place.read("reports/quick-0-12/junit.xml");
    assert!(
        junit.contains("testcase name=\"linearizability\"") && junit.contains("failures=\"0\""),
        "{junit}"
    );
    assert!(!place.path().join("reports/quick-0-12/findings").exists());
}

#[test]
fn gen_prints_the_scenario_that_fuzz_runs() {
    let place = Place::with(&[]);
    for (seed, profile) in [("0", "quick"), ("17", "quick"), ("5", "default")] {
        let args = ["gen", "--seed", seed, "--profile", profile];
        let scenario = text(&place.raftsim(&args).success().get_output().stdout);
        assert!(scenario.starts_with("# raftsim 0."), "{scenario}");
        assert!(
            scenario.lines().next().is_some_and(|line| line.contains(&format!("raftsim gen --seed {seed}")))
        );
        fs::write(place.path().join("a.toml"), &scenario).expect("a file");
        let run = place.raftsim(&["run", "a.toml", "--format", "json"]).success();
        let hash = json_lines(&text(&run.get_output().stdout))[0]["trace_hash"].clone();
        let fuzz = text(
            &place.raftsim(&["fuzz", "--seed", seed, "--profile", profile]).success().get_output().stdout,
        );
        assert!(fuzz.contains(&format!("trace hash {}", hash.as_str().expect("a hash"))), "{fuzz}");
    }
}

#[test]
fn results_depend_neither_on_jobs_nor_on_what_is_verified_beside() {
    let place = Place::with(&[]);
    let run = |out: &str, jobs: &str| {
        let args =
            ["fuzz", "--seeds", "0..12", "--profile", "quick", "--plant", "6", "--jobs", jobs, "--out", out];
        place.raftsim(&args).code(1);
        same(&place, out)
    };
    assert_eq!(run("c1", "1"), run("c3", "3"));
    let verified =
        ["fuzz", "--seeds", "0..6", "--profile", "quick", "--verify-share", "100%", "--out", "all"];
    let out = text(&place.raftsim(&verified).success().get_output().stdout);
    assert!(out.contains("6 of them twice, each the same"), "{out}");
    let hashes = |directory: &str| {
        lines(&place, directory).iter().take(6).map(|line| line["trace_hash"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        hashes("all")[1..],
        hashes("c1")[1..],
        "verifying changes nothing; seed 0 has the planted step"
    );
}

#[test]
fn findings_are_grouped_and_their_files_repeat_them() {
    let place = Place::with(&[]);
    let args = [
        "fuzz",
        "--seeds",
        "0..18",
        "--profile",
        "quick",
        "--plant",
        "2",
        "--out",
        "c",
        "--commit",
        "c0ffee",
    ];
    let out = place.run_fails(&args, 1);
    assert!(out.contains("18 runs: 9 clean, 9 failed"), "{out}");
    assert_eq!(out.matches("FAILED").count(), 1, "one cause, one group:\n{out}");
    let files: Vec<_> = fs::read_dir(place.path().join("c/findings")).expect("a directory").collect();
    assert_eq!(files.len(), 5, "of a group the fastest are kept");
    let replay =
        out.lines().find_map(|line| line.trim().strip_prefix("replay  raftsim run ")).expect("a command");
    let path = replay.split("  ").next().expect("a path");
    let text = place.read(path);
    for told in ["commit c0ffee", "profile quick", "--plant 2", &format!("raftsim run {path}")] {
        assert!(text.contains(told), "{told} is not in\n{text}");
    }
    let again = place.run_fails(&["run", path, "--format", "json"], 1);
    let again = &json_lines(&again)[0];
    let line = lines(&place, "c").into_iter().find(|line| line["seed"] == again["seed"]).expect("the run");
    for field in ["check", "message", "trace_hash", "events"] {
        assert_eq!(line[field], again[field], "{field}");
    }
    let junit = place.read("c/junit.xml");
    assert!(junit.contains("failures=\"1\"") && junit.contains("expectation"), "{junit}");
}

#[test]
fn one_seed_is_told_in_full_as_often_as_one_likes() {
    let place = Place::with(&[]);
    for _ in 0..2 {
        let out = place.run_fails(&["fuzz", "--seed", "4", "--profile", "quick", "--plant", "1"], 1);
        assert!(
            out.contains("store  role") && out.contains("the last "),
            "as `raftsim run` tells it:\n{out}"
        );
        assert!(out.contains("seed 4, "), "{out}");
    }
}

#[test]
fn a_campaign_stops_at_the_kth_finding_in_the_order_of_seeds() {
    let place = Place::with(&[]);
    for jobs in ["1", "3"] {
        let args = [
            "fuzz",
            "--profile",
            "quick",
            "--plant",
            "4",
            "--stop-after",
            "2",
            "--jobs",
            jobs,
            "--out",
            jobs,
        ];
        place.raftsim(&args).code(1);
        // Seeds 0 and 4 are the first two.
        assert_eq!(seeds(&lines(&place, jobs)), [0, 1, 2, 3, 4]);
    }
    let more = ["fuzz", "--profile", "quick", "--plant", "4", "--stop-after", "3", "--resume", "--out", "3"];
    place.raftsim(&more).code(1);
    assert_eq!(seeds(&lines(&place, "3")).last(), Some(&8), "it goes on to the next one");
}

/// A campaign in a process of its own.
fn begin(place: &Place, out: &str) -> Child {
    Command::new(assert_cmd::cargo::cargo_bin!("raftsim"))
        .args(CAMPAIGN)
        .args(["--jobs", "2", "--out", out])
        .current_dir(place.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the tool")
}

const CAMPAIGN: [&str; 7] = ["fuzz", "--seeds", "0..120", "--profile", "quick", "--plant", "20"];

/// Waits until so many runs are written.
#[allow(clippy::disallowed_methods, reason = "another process is waited for")]
fn wait_for_lines(place: &Place, out: &str, count: usize) {
    let path = place.path().join(out).join("results.jsonl");
    while fs::read_to_string(&path).map_or(0, |text| text.lines().count()) < count {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

#[test]
fn a_killed_campaign_that_is_resumed_has_the_results_of_an_undisturbed_one() {
    let place = Place::with(&[]);
    place.raftsim(&[&CAMPAIGN[..], &["--out", "whole"]].concat()).code(1);
    for runs in [1, 15] {
        let mut child = begin(&place, "killed");
        wait_for_lines(&place, "killed", runs);
        child.kill().expect("SIGKILL");
        child.wait().expect("dead");
        let path = place.path().join("killed/results.jsonl");
        let mut text = fs::read_to_string(&path).expect("results");
        let done = text.lines().count();
        assert!(done < 120, "it was over before it could be killed");
        // As if it had died in the middle of a line.
        text.push_str("{\"seed\":119,\"verd");
        fs::write(&path, text).expect("a file");
        let report = text_of(&place, &["report", "killed"], 1);
        assert!(
            report.0.contains("MISSING: ") && report.1.contains("torn last line of 17 bytes"),
            "{report:?}"
        );
        let resume = [&CAMPAIGN[..], &["--out", "killed", "--resume"]].concat();
        let (_, notices) = text_of(&place, &resume, 1);
        assert!(notices.contains("torn last line"), "{notices}");
        assert!(notices.contains("resumed after "), "{notices}");
        assert_eq!(same(&place, "killed"), same(&place, "whole"));
        fs::remove_dir_all(place.path().join("killed")).expect("a directory");
    }
}

/// What must be the same, whatever the directory is called.
fn same(place: &Place, out: &str) -> BTreeMap<String, String> {
    let files = canonical(&place.path().join(out)).into_iter();
    files.map(|(name, text)| (name, text.replace(&format!("{out}/"), "DIR/"))).collect()
}

fn text_of(place: &Place, args: &[&str], code: i32) -> (String, String) {
    let output = place.raftsim(args).code(code).get_output().clone();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn ctrl_c_finishes_what_runs_and_is_exit_130() {
    let place = Place::with(&[]);
    let mut child = begin(&place, "c");
    wait_for_lines(&place, "c", 3);
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill");
    assert!(kill.success());
    assert_eq!(child.wait().expect("an end").code(), Some(130));
    let done = lines(&place, "c");
    assert_eq!(seeds(&done), (0..done.len() as u64).collect::<Vec<_>>(), "no run in flight is lost");
    assert!(done.len() < 120 && place.path().join("c/junit.xml").exists());
    assert!(place.read("c/state.json").contains("interrupted"));
}

#[test]
fn a_directory_belongs_to_one_campaign() {
    let place = Place::with(&[]);
    let first = ["fuzz", "--seeds", "0..3", "--profile", "quick", "--out", "c"];
    place.raftsim(&[&first[..], &["--resume"]].concat()).success();
    let complaint = text_of(&place, &first, 2).1;
    assert!(complaint.contains("c holds a campaign with 3 runs: --resume goes on with it"), "{complaint}");
    let before = same(&place, "c");
    for (args, difference) in [
        (&["--seeds", "0..4", "--profile", "quick"][..], "seeds: "),
        (&["--seeds", "0..3", "--profile", "default"], "profile: \"quick\" there, \"default\" here"),
        (&["--seeds", "0..3", "--profile", "quick", "--shard", "0/2"], "shard: "),
        (&["--seeds", "0..3", "--profile", "quick", "--commit", "beef"], "commit: "),
        (
            &["--seeds", "0..3", "--profile", "quick", "--verify-share", "1%"],
            "verify ppm: 50000 there, 10000 here",
        ),
    ] {
        let complaint = text_of(&place, &[&["fuzz", "--out", "c", "--resume"], args].concat(), 2).1;
        assert!(complaint.contains(difference), "{difference}: {complaint}");
    }
    assert_eq!(same(&place, "c"), before);
    let (out, _) = text_of(&place, &[&first[..], &["--resume"]].concat(), 0);
    assert!(out.contains("3 runs: all clean"), "nothing is left to do: {out}");
}

#[test]
fn a_damaged_line_in_the_middle_is_no_torn_line() {
    let place = Place::with(&[]);
    let args = ["fuzz", "--seeds", "0..3", "--profile", "quick", "--out", "c", "--resume"];
    place.raftsim(&args).success();
    let results = place.read("c/results.jsonl");
    fs::write(place.path().join("c/results.jsonl"), results.replacen("\"seed\":1", "\"sead\":1", 1))
        .expect("a file");
    let complaint = text_of(&place, &args, 2).1;
    assert!(complaint.contains("c/results.jsonl:2: no result"), "{complaint}");
}

#[test]
fn a_bound_of_time_ends_a_campaign_without_an_end() {
    let place = Place::with(&[]);
    let out = text_of(&place, &["fuzz", "--time", "300ms", "--profile", "quick", "--out", "c"], 0).0;
    assert!(out.contains("profile quick, seeds 0..\n"), "{out}");
    let done = seeds(&lines(&place, "c"));
    assert_eq!(done, (0..done.len() as u64).collect::<Vec<_>>());
    assert!(!done.is_empty() && !out.contains("MISSING"), "{out}");
}

#[test]
fn bad_usage_is_exit_2_and_says_what_is_meant() {
    let place = Place::with(&[]);
    for (args, told) in [
        (&["fuzz", "--profile", "quik"][..], "did you mean quick?"),
        (&["fuzz", "--seeds", "9..3"], "there is no seed in 9..3"),
        (&["fuzz", "--shard", "4/4"], "expected I/N"),
        (&["fuzz", "--shard", "auto"], "no variable of an engine"),
        (&["fuzz", "--seed", "1", "--resume"], "cannot be used with"),
        (&["fuzz", "--profiles", "none.toml"], "cannot read none.toml"),
        (&["gen", "--seed", "x"], "number such as 17"),
        (&["report", "nowhere"], "there is no campaign in nowhere"),
    ] {
        let complaint = text_of(&place, args, 2).1;
        assert!(complaint.contains(told), "{args:?}: {complaint}");
    }
    assert_eq!(fs::read_dir(place.path()).expect("a directory").count(), 0, "nothing was begun");
}
