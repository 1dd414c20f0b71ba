//! Findings by their cause, and the files that repeat them.
//!
//! A hundred runs that fail for one reason are one group. Of each group the files of those runs are kept that are the fastest to
//! repeat; how fast is counted in events, so that which ones these are depends on no machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::line::{DETERMINISM, Line};
use super::plan::{Recipe, Settings};
use crate::explain::quoted;

/// So many files are kept of a group.
const FILES: usize = 5;

/// Findings that are taken to have one cause, the fastest to repeat first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// The check that did not hold.
    pub check: String,
    /// What they share.
    pub fingerprint: String,
    /// The runs; never empty.
    pub lines: Vec<Line>,
}

impl Group {
    /// The run to look at.
    pub(crate) fn first(&self) -> &Line {
        &self.lines[0]
    }

    /// Those that have files.
    pub(crate) fn kept(&self) -> &[Line] {
        &self.lines[..self.lines.len().min(FILES)]
    }
}

/// The findings of a campaign.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups(BTreeMap<(String, String), Vec<Line>>);

impl Groups {
    /// Adds a run, if it is a finding.
    pub(crate) fn add(&mut self, line: &Line) {
        if !line.is_finding() {
            return;
        }
        let key = (line.check().to_owned(), line.fingerprint.clone().unwrap_or_default());
        let lines = self.0.entry(key).or_default();
        let cost = |line: &Line| (line.events, line.seed);
        let place = lines.partition_point(|other| cost(other) < cost(line));
        lines.insert(place, line.clone());
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The groups, the one that is the fastest to repeat first.
    pub(crate) fn sorted(&self) -> Vec<Group> {
        let groups = self.0.iter().map(|((check, fingerprint), lines)| Group {
            check: check.clone(),
            fingerprint: fingerprint.clone(),
            lines: lines.clone(),
        });
        let mut groups: Vec<Group> = groups.collect();
        groups.sort_by_key(|group| (group.first().events, group.first().seed));
        groups
    }

    fn kept(&self) -> impl Iterator<Item = &Line> {
        self.0.values().flat_map(|lines| lines.iter().take(FILES))
    }

    /// Makes the directory hold the files of these findings and no others. A file that is there is left as it is.
    ///
    /// # Errors
    /// The path that cannot be written, and why.
    pub(crate) fn write_files(
        &self,
        directory: &Path,
        text: impl Fn(&Line, &Path) -> Option<String>,
    ) -> Result<(), (PathBuf, io::Error)> {
        let directory = directory.join("findings");
        let wanted: BTreeMap<PathBuf, &Line> =
            self.kept().map(|line| (directory.join(file_name(line)), line)).collect();
        if wanted.is_empty() && !directory.exists() {
            return Ok(());
        }
        let at = |path: &Path| {
            let path = path.to_owned();
            move |error| (path, error)
        };
        fs::create_dir_all(&directory).map_err(at(&directory))?;
        let there: BTreeSet<PathBuf> = fs::read_dir(&directory)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(at(&directory))?;
        for path in there.iter().filter(|path| !wanted.contains_key(*path)) {
            // What people put there stays.
            if path.extension().is_some_and(|extension| extension == "toml") && is_ours(path) {
                fs::remove_file(path).map_err(at(path))?;
            }
        }
        for (path, line) in wanted.iter().filter(|(path, _)| !there.contains(*path)) {
            if let Some(text) = text(line, path) {
                replace(path, text.as_bytes()).map_err(at(path))?;
            }
        }
        Ok(())
    }
}

/// `election-safety-17.toml`
pub(crate) fn file_name(line: &Line) -> String {
    format!("{}-{}.toml", line.check(), line.seed)
}

/// The words with which our files begin their second line.
const FOUND: &str = "# Found by raftsim ";

fn is_ours(path: &Path) -> bool {
    fs::read_to_string(path).is_ok_and(|text| text.contains(FOUND))
}

/// Writes a whole file or none.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    fs::write(&part, content)?;
    fs::rename(&part, path)
}

/// The scenario of a finding, with all there is to know of it at its top.
pub(crate) fn file_text(recipe: &Recipe, line: &Line, path: &Path) -> String {
    let Settings { version, commit, profile, .. } = &recipe.settings;
    let (check, seed) = (line.check(), line.seed);
    let verify = if check == DETERMINISM { " --verify" } else { "" };
    let message = line.message().lines().next().unwrap_or_default();
    let head = format!(
        "{check}: {message}\n\
         Found by raftsim {version}, commit {commit}, profile {profile}, seed {seed}.\n  \
         raftsim run {path}{verify}\n  \
         raftsim fuzz {arguments}\n\
         Fingerprint {fingerprint}, trace hash {hash}.",
        path = quoted(&path.display().to_string()),
        arguments = recipe.arguments(seed),
        fingerprint = line.fingerprint.as_deref().unwrap_or("unknown"),
        hash = if line.trace_hash.is_empty() { "unknown" } else { &line.trace_hash },
    );
    // What fails may be the making of it.
    let scenario = catch_unwind(AssertUnwindSafe(|| recipe.scenario(seed).to_string()));
    let scenario = scenario.unwrap_or_else(|_| comment("There is no scenario: to make it panics."));
    format!("{}\n{scenario}", comment(&head))
}

/// Lines as comments of a scenario file. A message of a panic can hold anything, and a comment cannot.
pub(crate) fn comment(text: &str) -> String {
    let line = |line: &str| {
        let plain: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        format!("# {plain}\n")
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn panic(seed: u64, events: u64, message: &str) -> Line {
        Line { events, ..Line::of_panic(seed, message) }
    }

    fn groups(lines: &[Line]) -> Groups {
        let mut groups = Groups::default();
        lines.iter().for_each(|line| groups.add(line));
        groups
    }

    #[test]
    fn findings_of_one_cause_are_one_group_and_the_fastest_comes_first() {
        let lines = [
            panic(1, 900, "index 5"),
            panic(2, 30, "index 7"),
            panic(3, 500, "other"),
            panic(4, 30, "index 7"),
        ];
        let sorted = groups(&lines).sorted();
        let seeds: Vec<Vec<u64>> =
            sorted.iter().map(|group| group.lines.iter().map(|line| line.seed).collect()).collect();
        assert_eq!(seeds, [vec![2, 4, 1], vec![3]]);
    }

    #[test]
    fn the_files_of_a_group_are_those_of_the_fastest_in_whatever_order_they_are_found() {
        let directory = tempfile::tempdir().expect("a directory");
        let names = || {
            let entries = fs::read_dir(directory.path().join("findings")).expect("a directory");
            let mut names: Vec<String> = entries
                .map(|entry| entry.expect("an entry").file_name().into_string().expect("text"))
                .collect();
            names.sort();
            names
        };
        let (mut groups, text) = (Groups::default(), |_: &Line, _: &Path| Some(format!("# x\n{FOUND}1.\n")));
        for seed in 0..8 {
            groups.add(&panic(seed, 100 - seed, "boom"));
            groups.write_files(directory.path(), text).expect("files");
        }
        assert_eq!(names(), ["panic-3.toml", "panic-4.toml", "panic-5.toml", "panic-6.toml", "panic-7.toml"]);
        fs::write(directory.path().join("findings/mine.toml"), "# of a person\n").expect("a file");
        super::tests::groups(&[panic(0, 1, "boom")]).write_files(directory.path(), text).expect("files");
        assert_eq!(names(), ["mine.toml", "panic-0.toml"], "what people put there stays");
    }

    #[test]
    fn comments_are_comments_whatever_they_say() {
        assert_eq!(comment("a\u{1b}[1m\u{0}\nb"), "# a [1m \n# b\n");
    }
}
