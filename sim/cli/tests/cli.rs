//! The tool as its users see it: exit codes, output and what it promises about both.

mod common;

use common::{CLEAN, EXPECTS_WRONG_TERM, PUT, Place, json_lines, text};

#[test]
fn a_clean_scenario_is_a_row_and_exit_0() {
    let place = Place::with(&[("clean.toml", CLEAN)]);
    let output = place.raftsim(&["run", "clean.toml"]).success().code(0).get_output().clone();
    let out = text(&output.stdout);
    let row = out.lines().find(|line| line.starts_with("clean.toml")).expect("a row");
    assert!(row.contains("  clean  "), "{row}");
    assert!(out.contains("1 scenario, 1 run: all clean; "), "{out}");
    assert_eq!(text(&output.stderr), "", "no progress bar where there is no terminal");
    assert!(!out.contains('\u{1b}'), "no colors where there is no terminal");
}

#[test]
fn a_finding_is_exit_1_and_says_all_there_is_to_know() {
    let place = Place::with(&[("wrong.toml", EXPECTS_WRONG_TERM)]);
    let out = place.run_fails(&["run", "wrong.toml"], 1);
    let find = |start: &str| {
        let line = out.lines().find(|line| line.trim_start().starts_with(start));
        line.unwrap_or_else(|| panic!("no line starts with {start:?}:\n{out}")).trim()
    };
    assert!(find("FAILED").ends_with("wrong.toml  seed 3"));
    assert!(find("check").contains("expectation  An `expect` step"));
    assert!(find("when").contains(", event "));
    assert!(find("step").ends_with(r#"wrong.toml:7  { expect = "term", on = "leader", is = 1 },"#));
    assert!(find("what").len() > "what    ".len());
    assert!(find("store  role").ends_with("term  vote  commit  applied    last"));
    assert_eq!(out.matches("LEADER").count(), 2, "one in the table of stores, one among the events:\n{out}");
    assert_eq!(find("replay"), "replay  raftsim run wrong.toml --seed 3");
    let hint = "\nIn a checkout, `cargo run --release --` stands for `raftsim`.\n\n1 scenario, 1 run: ";
    assert!(out.contains(hint), "the summary follows the hint:\n{out}");
    assert!(out.contains("-- expectation: "), "the events end with the finding:\n{out}");
}

#[test]
fn the_replay_line_repeats_the_finding() {
    let place = Place::with(&[("it's wrong.toml", EXPECTS_WRONG_TERM)]);
    let out = place.run_fails(&["run", "it's wrong.toml", "--seeds", "5"], 1);
    let command =
        out.lines().find_map(|line| line.trim().strip_prefix("replay  raftsim ")).expect("a command");
    assert!(out.contains("the first of 5 that fail of 5 seeds"), "{out}");
    let shell = format!("exec '{}' {command}", assert_cmd::cargo::cargo_bin!("raftsim").display());
    let repeated =
        assert_cmd::Command::new("sh").args(["-c", &shell]).current_dir(place.path()).assert().code(1);
    let repeated = text(&repeated.get_output().stdout);
    let told = |out: &str| {
        let from = out.find("  check ").expect("the finding");
        out[from..out.rfind("\n\n").expect("a summary")].to_owned()
    };
    assert_eq!(told(&repeated), told(&out));
}

#[test]
fn output_does_not_depend_on_jobs() {
    let place = Place::with(&[("a.toml", CLEAN), ("b/wrong.toml", EXPECTS_WRONG_TERM), ("b/c.toml", PUT)]);
    let run = |jobs: &str| {
        let out = place.run_fails(&["run", ".", "--seeds", "6", "--jobs", jobs], 1);
        // The last line tells the wall time.
        out.trim_end().rsplit_once('\n').expect("many lines").0.to_owned()
    };
    let (one, three) = (run("1"), run("3"));
    assert_eq!(one, three);
    let names: Vec<&str> =
        one.lines().skip(1).take(3).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["./a.toml", "./b/c.toml", "./b/wrong.toml"], "in the order of names:\n{one}");
}

#[test]
fn json_lines_have_a_schema_and_a_summary() {
    let place = Place::with(&[("a.toml", CLEAN), ("wrong.toml", EXPECTS_WRONG_TERM)]);
    let out = place.run_fails(&["run", "a.toml", "wrong.toml", "--seeds", "2", "--format", "json"], 1);
    let lines = json_lines(&out);
    assert!(lines.iter().all(|line| line["schema"] == 1), "{out}");
    let (summary, runs) = lines.split_last().expect("lines");
    let told: Vec<_> = runs
        .iter()
        .map(|run| (run["file"].as_str(), run["seed"].as_u64(), run["verdict"].as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Some("a.toml"), Some(0), Some("clean")),
            (Some("a.toml"), Some(1), Some("clean")),
            (Some("wrong.toml"), Some(3), Some("finding")),
            (Some("wrong.toml"), Some(4), Some("finding")),
        ]
    );
    assert_eq!((&runs[2]["check"], &runs[2]["line"]), (&"expectation".into(), &7.into()));
    assert_eq!(runs[2]["replay"], serde_json::json!(["run", "wrong.toml", "--seed", "3"]));
    assert_eq!(runs[0]["check"], serde_json::Value::Null);
    assert_eq!(runs[0]["trace_hash"].as_str().map(str::len), Some(16));
    let number = |name: &str| summary[name].as_u64().expect(name);
    assert_eq!(
        ["scenarios", "runs", "clean", "findings", "unknown", "diverged"].map(number),
        [2, 4, 2, 2, 0, 0]
    );
    let events: u64 = runs.iter().filter_map(|run| run["events"].as_u64()).sum();
    assert_eq!(number("events"), events);
}

#[test]
fn a_seed_decides_everything() {
    let place = Place::with(&[("a.toml", PUT)]);
    let hash = |args: &[&str]| {
        let args = [&["run", "a.toml", "--format", "json"], args].concat();
        let out = text(&place.raftsim(&args).success().get_output().stdout);
        json_lines(&out)[0]["trace_hash"].as_str().expect("a hash").to_owned()
    };
    assert_eq!(hash(&["--seed", "0x11"]), hash(&["--seed", "17"]));
    assert_ne!(hash(&["--seed", "17"]), hash(&["--seed", "18"]));
    assert_eq!(hash(&["--seed", "17"]), hash(&["--seed", "17", "--verify"]), "verifying changes nothing");
}

#[test]
fn seeds_count_on_from_the_first_and_wrap_at_63_bits() {
    let place = Place::with(&[("a.toml", CLEAN)]);
    let largest = i64::MAX.to_string();
    let args = ["run", "a.toml", "--format", "json", "--seed", &largest, "--seeds", "2"];
    let lines = json_lines(&text(&place.raftsim(&args).success().get_output().stdout));
    assert_eq!((lines[0]["seed"].as_u64(), lines[1]["seed"].as_u64()), (Some(i64::MAX as u64), Some(0)));
}

#[test]
fn a_story_and_a_trace_show_one_run() {
    let place = Place::with(&[("a.toml", PUT), ("b.toml", CLEAN)]);
    let story = text(&place.raftsim(&["run", "a.toml", "--story"]).success().get_output().stdout);
    assert!(story.contains("-- put = \"k\"") && story.contains("LEADER t"), "{story}");
    assert!(!story.contains("heartbeat"), "a story has no single messages:\n{story}");
    let trace = text(&place.raftsim(&["run", "a.toml", "--trace"]).success().get_output().stdout);
    assert!(trace.contains("<c0 #") && trace.contains("append t"), "{trace}");
    for wrong in [&["run", ".", "--story"][..], &["run", "a.toml", "--trace", "--seeds", "2"]] {
        let complaint = text(&place.raftsim(wrong).code(2).get_output().stderr);
        assert!(complaint.contains("show one run"), "{complaint}");
    }
}

#[test]
fn a_trace_goes_to_a_file() {
    let place = Place::with(&[("a.toml", PUT)]);
    let shown = text(&place.raftsim(&["run", "a.toml", "--trace"]).success().get_output().stdout);
    let out = text(&place.raftsim(&["run", "a.toml", "--trace=a.txt"]).success().get_output().stdout);
    assert!(!out.contains("append t"), "only the table is printed:\n{out}");
    let written = place.read("a.txt");
    assert!(shown.starts_with(&written), "the file holds what the terminal shows");
    assert!(written.lines().count() > 30, "{written}");
    let complaint =
        text(&place.raftsim(&["run", "a.toml", "--trace=no/such/a.txt"]).code(2).get_output().stderr);
    assert!(complaint.contains("cannot write no/such/a.txt"), "{complaint}");
}
