//! What the tool makes of files and arguments that make no sense, and of the commands that only look.

mod common;

use common::{CLEAN, Place, text};

const BROKEN: &str = r#"about = "Two mistakes."
steps = [
  { crahs = 1 },
  { wait = "leader", within = 5 },
]
"#;

#[test]
fn every_error_of_every_file_is_shown_and_nothing_is_run() {
    let place = Place::with(&[("good.toml", CLEAN), ("bad/a.toml", BROKEN), ("bad/b.toml", "steps = []")]);
    for verb in ["run", "check"] {
        let output = place.raftsim(&[verb, "good.toml", "bad"]).code(2).get_output().clone();
        let complaint = text(&output.stderr);
        assert!(complaint.contains("did you mean `crash`?"), "{complaint}");
        assert!(complaint.contains("--> bad/a.toml:3:5"), "{complaint}");
        assert!(complaint.contains("--> bad/a.toml:4:"), "{complaint}");
        let shown =
            complaint.lines().position(|line| line.contains("{ crahs = 1 }")).expect("the line itself");
        assert!(complaint.lines().nth(shown + 1).is_some_and(|line| line.contains("^^^^^")), "{complaint}");
        assert!(complaint.contains("bad/b.toml"), "{complaint}");
        let end =
            if verb == "run" { "2 files with errors, nothing was run\n" } else { "2 files with errors\n" };
        assert!(complaint.ends_with(&format!("\nerror: {end}")), "{complaint}");
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn a_missing_file_is_an_error_with_a_suggestion() {
    let place = Place::with(&[("election.toml", CLEAN)]);
    let complaint = |name: &str| text(&place.raftsim(&["run", name]).code(2).get_output().stderr);
    assert!(complaint("elektion.toml").contains("no file elektion.toml; did you mean election.toml?"));
    assert!(complaint("election").contains("did you mean election.toml?"));
    let stranger = complaint("membership/x.toml");
    assert!(
        stranger.contains("no file membership/x.toml") && !stranger.contains("did you mean"),
        "{stranger}"
    );
}

#[test]
fn a_directory_without_scenarios_is_an_error() {
    let place = Place::with(&[("docs/readme.md", "no scenario"), ("docs/.hidden/a.toml", CLEAN)]);
    let complaint = text(&place.raftsim(&["run", "docs"]).code(2).get_output().stderr);
    assert!(complaint.contains("there is no *.toml below docs"), "{complaint}");
}

#[test]
fn a_file_named_twice_runs_once() {
    let place = Place::with(&[("a/a.toml", CLEAN), ("bad.toml", "steps = []")]);
    for paths in [["a/a.toml", "a"], ["a/a.toml", "./a/a.toml"], ["a", "a/../a/a.toml"]] {
        let out = text(&place.raftsim(&["check", paths[0], paths[1]]).success().get_output().stdout);
        assert_eq!(out, "ok: 1 scenario, 1 step\n", "{paths:?}");
    }
    let complaint = text(&place.raftsim(&["check", "bad.toml", "./bad.toml"]).code(2).get_output().stderr);
    assert!(complaint.ends_with("error: 1 file with errors\n"), "{complaint}");
}

/// Too deep a directory cannot be read by anyone, unlike one without permissions, which root can read.
#[cfg(target_os = "linux")]
#[test]
fn an_inner_directory_that_cannot_be_read_is_named() {
    let place = Place::with(&[("a/a.toml", CLEAN)]);
    // Two halves that can be made by their paths, and one moved into the other.
    let name = "d".repeat(250);
    let half = [name.as_str(); 10].join("/");
    for top in ["a", "b"] {
        std::fs::create_dir_all(place.path().join(top).join(&half)).expect("a directory");
    }
    std::fs::rename(place.path().join("b"), place.path().join("a").join(&half).join("b")).expect("a move");
    let complaint = text(&place.raftsim(&["check", "a"]).code(2).get_output().stderr);
    assert!(complaint.starts_with(&format!("error: cannot read a/{half}/b/{name}/")), "{complaint}");
}

#[test]
fn bytes_that_are_no_text_are_an_error_with_their_place() {
    let place = Place::with(&[]);
    std::fs::write(place.path().join("a.toml"), b"about = \"x\"\n# \xc3\xa9 \xff\xfe\0").expect("a file");
    let complaint = text(&place.raftsim(&["run", "a.toml"]).code(2).get_output().stderr);
    assert!(complaint.contains("error: this is not text in UTF-8\n --> a.toml:2:5\n"), "{complaint}");
    assert!(complaint.contains("found the byte 0xff"), "{complaint}");
}

#[test]
fn of_many_errors_the_first_hundred_are_shown() {
    let steps = "  { crahs = 1 },\n".repeat(2_000);
    let place = Place::with(&[("a.toml", &format!("about = \"x\"\nsteps = [\n{steps}]\n"))]);
    let complaint = text(&place.raftsim(&["check", "a.toml"]).code(2).get_output().stderr);
    assert_eq!(complaint.matches("did you mean `crash`?").count(), 100);
    assert!(complaint.ends_with("\n\nand 1900 more\n\nerror: 1 file with errors\n"), "{complaint}");
}

#[test]
fn bad_usage_is_exit_2() {
    let place = Place::with(&[("a.toml", CLEAN)]);
    for args in [
        &["run"][..],
        &["frobnicate"],
        &["run", "a.toml", "--seeds", "0"],
        &["run", "a.toml", "--jobs", "0"],
        &["run", "a.toml", "--seed", "0xffffffffffffffff"],
        &["run", "a.toml", "--story", "--trace"],
        &["run", "a.toml", "--story", "--format", "json"],
    ] {
        let complaint = text(&place.raftsim(args).code(2).get_output().stderr);
        assert!(!complaint.is_empty(), "{args:?}");
    }
}

#[test]
fn the_schema_is_json_and_completions_are_a_script() {
    let place = Place::with(&[]);
    let schema = text(&place.raftsim(&["schema"]).success().get_output().stdout);
    let schema: serde_json::Value = serde_json::from_str(&schema).expect("JSON");
    assert_eq!(schema, raftsim_harness::scenario::schema());
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = text(&place.raftsim(&["completions", shell]).success().get_output().stdout);
        assert!(script.contains("raftsim") && script.contains("seeds"), "{shell}");
    }
}

#[test]
fn help_has_examples_and_exit_codes() {
    let place = Place::with(&[]);
    let help = text(&place.raftsim(&["run", "--help"]).success().get_output().stdout);
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
    for code in ["0", "1", "2", "3", "70", "141"] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(&format!("{code} "))),
            "{code}: {help}"
        );
    }
}

/// The tool must not panic where its reader stops early; a shell pipe to `head` does that.
#[cfg(unix)]
#[test]
fn a_reader_that_leaves_early_is_no_panic() {
    let place = Place::with(&[("a.toml", CLEAN)]);
    let tool = assert_cmd::cargo::cargo_bin!("raftsim");
    for args in ["run a.toml --trace", "run a.toml --format json --seeds 200", "completions bash", "schema"] {
        // `true` reads nothing; the status of the tool itself is what the script prints.
        let script = format!("{{ '{}' {args}; echo $? >status; }} | true", tool.display());
        let output = assert_cmd::Command::new("sh")
            .args(["-c", &script])
            .current_dir(place.path())
            .output()
            .expect("sh");
        assert_eq!(text(&output.stderr), "", "{args}");
        assert!(["0", "141"].contains(&place.read("status").trim()), "{args}: {}", place.read("status"));
    }
}
