//! Scenario files in a directory of their own, and the tool run there.

#![allow(dead_code, reason = "each test crate uses a part")]

use std::fs;
use std::path::Path;

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use tempfile::TempDir;

/// Does nothing much, well.
pub(crate) const CLEAN: &str = r#"about = "A leader is elected."
cluster = { stores = 3 }
steps = [{ wait = "leader" }]
"#;

/// A write, on a network where chance decides a lot.
pub(crate) const PUT: &str = r#"about = "A write is answered."
cluster = { stores = 3 }
network = { latency = "1ms..10ms", loss = "1%" }
steps = [{ wait = "leader" }, { put = "k", value = "v" }]
"#;

/// Fails with any seed: clusters start in a later term.
pub(crate) const EXPECTS_WRONG_TERM: &str = r#"about = "A leader has term 1, which no leader ever has."
seed    = 3
cluster = { stores = 3 }

steps = [
  { wait = "leader" },
  { expect = "term", on = "leader", is = 1 },
]
"#;

/// A directory that is gone when the test is over.
pub(crate) struct Place(TempDir);

impl Place {
    /// A directory with these files.
    pub(crate) fn with(files: &[(&str, &str)]) -> Place {
        let place = Place(TempDir::new().expect("a directory"));
        for (name, content) in files {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(path, content).expect("a file");
        }
        place
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path().join(name)).expect("a file")
    }

    /// Runs the tool in the directory.
    pub(crate) fn raftsim(&self, args: &[&str]) -> Assert {
        Command::new(assert_cmd::cargo::cargo_bin!("raftsim")).args(args).current_dir(self.path()).assert()
    }

    /// Its standard output, where it ends with this exit code.
    pub(crate) fn run_fails(&self, args: &[&str], code: i32) -> String {
        text(&self.raftsim(args).code(code).get_output().stdout)
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

pub(crate) fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}
