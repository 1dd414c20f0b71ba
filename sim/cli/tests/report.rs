//! Shards, on their own and together, and what CI engines are told.

mod common;

use std::fs;

use assert_cmd::Command;
use common::{Place, json_lines, text};

const CAMPAIGN: [&str; 7] = ["fuzz", "--seeds", "0..40", "--profile", "quick", "--plant", "7"];

/// The tool with these variables of an engine and no others.
fn with_vars(place: &Place, args: &[&str], vars: &[(&str, &str)]) -> (i32, String, String) {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("raftsim"));
    for (name, value) in vars {
        command.env(name, value);
    }
    let output = command.args(args).current_dir(place.path()).output().expect("the tool");
    (output.status.code().expect("a code"), text(&output.stdout), text(&output.stderr))
}

fn shards(place: &Place) {
    for shard in ["0/3", "1/3", "2/3"] {
        let out = format!("shard-{}", &shard[..1]);
        place.raftsim(&[&CAMPAIGN[..], &["--shard", shard, "--out", &out]].concat()).code(1);
    }
}

#[test]
fn merged_shards_equal_a_campaign_of_one() {
    let place = Place::with(&[]);
    place.raftsim(&[&CAMPAIGN[..], &["--out", "whole"]].concat()).code(1);
    shards(&place);
    let out = place.run_fails(&["report", "shard-0", "shard-1", "shard-2", "--out", "merged"], 1);
    assert!(out.contains("40 runs: 34 clean, 6 failed") && out.contains("seeds 0..40, 3 shards"), "{out}");
    for file in ["results.jsonl", "campaign.json"] {
        assert_eq!(place.read(&format!("merged/{file}")), place.read(&format!("whole/{file}")), "{file}");
    }
    let names = |directory: &str| {
        let entries = fs::read_dir(place.path().join(directory).join("findings")).expect("a directory");
        let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names("merged"), names("whole"));
    let told = |directory: &str| {
        let out = place.run_fails(&["report", directory], 1);
        // The last lines tell the wall time and the directory.
        let end = out.find(" of virtual time").expect("the cost");
        out[..end].replace(&format!("{directory}/"), "DIR/")
    };
    assert_eq!(told("merged"), told("whole"));
    let replay = format!("merged/findings/{}", names("merged")[0].to_string_lossy());
    place.raftsim(&["run", &replay]).code(1);
}

#[test]
fn report_says_what_fuzz_has_said() {
    let place = Place::with(&[]);
    let said = place.run_fails(&[&CAMPAIGN[..], &["--out", "c"]].concat(), 1);
    assert_eq!(
        place.run_fails(&["report", "c"], 1),
        said.trim_end().rsplit_once('\n').expect("lines").0.to_owned() + "\n"
    );
    let json = json_lines(&place.run_fails(&["report", "c", "--format", "json"], 1));
    let (summary, runs) = json.split_last().expect("lines");
    assert_eq!((runs.len(), &summary["runs"], &summary["findings"]), (40, &40.into(), &6.into()));
    assert_eq!(summary["groups"][0]["check"], "expectation");
}

#[test]
fn a_shard_that_is_missing_is_told_and_no_pass() {
    let place = Place::with(&[]);
    for shard in ["0", "1", "3"] {
        let args = [
            "fuzz",
            "--seeds",
            "0..8",
            "--profile",
            "quick",
            "--shard",
            &format!("{shard}/4"),
            "--out",
            shard,
        ];
        place.raftsim(&args).success();
    }
    let output = place.raftsim(&["report", "0", "1", "3"]).code(3).get_output().clone();
    assert!(text(&output.stdout).contains("MISSING: shard 2 of 4"), "{}", text(&output.stdout));
}

#[test]
fn what_is_not_of_one_campaign_is_not_merged() {
    let place = Place::with(&[]);
    for (out, commit) in [("a", "c0ffee"), ("b", "beef")] {
        let args = ["fuzz", "--seeds", "0..2", "--profile", "quick", "--commit", commit, "--out", out];
        place.raftsim(&args).success();
    }
    let complaint = text(&place.raftsim(&["report", "a", "b"]).code(2).get_output().stderr);
    assert!(complaint.contains(r#"commit: "beef" in the second, "c0ffee" in the first"#), "{complaint}");
}

#[test]
fn a_seed_with_two_results_is_no_pass() {
    let place = Place::with(&[]);
    for out in ["a", "b"] {
        place.raftsim(&["fuzz", "--seeds", "0..3", "--profile", "quick", "--out", out]).success();
    }
    place.raftsim(&["report", "a", "b"]).success();
    let results = place.read("b/results.jsonl");
    let hash = json_lines(&results)[1]["trace_hash"].as_str().expect("a hash").to_owned();
    fs::write(place.path().join("b/results.jsonl"), results.replace(&hash, "0123456789abcdef"))
        .expect("a file");
    let complaint = text(&place.raftsim(&["report", "a", "b"]).code(70).get_output().stderr);
    assert!(complaint.contains("seed 1 has another result in b"), "{complaint}");
}

#[test]
fn the_shard_of_an_engine_is_taken_and_told() {
    let place = Place::with(&[]);
    let vars = [("SLURM_ARRAY_TASK_ID", "3"), ("SLURM_ARRAY_TASK_MIN", "1"), ("SLURM_ARRAY_TASK_COUNT", "4")];
    let args = ["fuzz", "--seeds", "0..12", "--profile", "quick", "--shard", "auto"];
    let (code, _, notices) = with_vars(&place, &args, &vars);
    assert_eq!(code, 0, "{notices}");
    assert!(notices.contains("shard 2/4, from Slurm array: task 3 of 4"), "{notices}");
    let lines = json_lines(&place.read("reports/quick-0-12-shard-2-of-4/results.jsonl"));
    assert_eq!(
        lines.iter().map(|line| line["seed"].as_u64()).collect::<Vec<_>>(),
        [Some(2), Some(6), Some(10)]
    );

    let (code, _, complaint) = with_vars(&place, &args, &[("JOB_COMPLETION_INDEX", "1")]);
    assert!(code == 2 && complaint.contains("auto/N"), "{complaint}");
}

#[test]
fn github_gets_annotations_and_a_page() {
    let place = Place::with(&[("page.md", "before\n")]);
    let page = place.path().join("page.md");
    let vars = [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_STEP_SUMMARY", page.to_str().expect("text")),
        ("GITHUB_SHA", "c0ffee"),
    ];
    let (code, _, stderr) = with_vars(&place, &[&CAMPAIGN[..], &["--out", "c"]].concat(), &vars);
    assert_eq!(code, 1);
    let annotations: Vec<&str> = stderr.lines().filter(|line| line.starts_with("::error ")).collect();
    assert_eq!(annotations.len(), 1, "one for the group:\n{stderr}");
    assert!(annotations[0].starts_with("::error title=expectation in 6 runs::"), "{stderr}");
    assert!(annotations[0].contains("%0A") && annotations[0].contains("raftsim run c/findings/"), "{stderr}");
    let page = place.read("page.md");
    assert!(page.starts_with("before\n### raftsim: 40 runs: 34 clean, 6 failed"), "{page}");
    assert!(page.contains("commit c0ffee") && page.contains("| expectation | 6 |"), "{page}");
}
