//! From the paths of a command line to scenarios, or to everything that is wrong with them.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsim_harness::scenario::{self, Scenario};

use crate::error::Error;

/// A scenario and the file it came from.
#[derive(Debug)]
pub(crate) struct File {
    /// The path as people wrote it, with what directories add to it.
    pub name: String,
    /// The text.
    pub source: String,
    /// What it says.
    pub scenario: Arc<Scenario>,
}

impl File {
    /// A line of the text, from 1, without the spaces around it.
    pub(crate) fn line(&self, number: u32) -> Option<&str> {
        let index = usize::try_from(number).ok()?.checked_sub(1)?;
        self.source.lines().nth(index).map(str::trim)
    }
}

/// Reads every scenario: files in the order given, directories sorted by name, a file named twice once.
///
/// # Errors
/// All errors of all files, so that they can be mended in one go.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<File>, Error> {
    let (mut found, mut details, mut broken) = (Vec::new(), String::new(), 0);
    let mut complain = |text: &str| {
        broken += 1;
        let _ = writeln!(details, "{}\n", text.trim_end());
    };
    for path in paths {
        if let Err(message) = find(path, &mut found) {
            complain(&format!("error: {message}"));
        }
    }
    let mut files: Vec<File> = Vec::new();
    for path in found {
        let name = path.display().to_string();
        if files.iter().any(|file| file.name == name) {
            continue;
        }
        match fs::read_to_string(&path) {
            Err(error) => complain(&format!("error: cannot read {name}: {error}")),
            Ok(source) => match scenario::parse(&source) {
                Err(diagnostics) => complain(&scenario::render(&diagnostics, &name, &source, true)),
                Ok(scenario) => files.push(File { name, source, scenario: Arc::new(scenario) }),
            },
        }
    }
    if broken == 0 { Ok(files) } else { Err(Error::Scenarios { broken, details }) }
}

/// Adds the file, or all scenario files below the directory.
fn find(path: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    if !path.is_dir() {
        return match path.try_exists() {
            Ok(true) => {
                found.push(path.to_owned());
                Ok(())
            }
            Ok(false) => Err(missing(path)),
            Err(error) => Err(format!("cannot read {}: {error}", path.display())),
        };
    }
    let before = found.len();
    walk(path, found).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    if found.len() == before {
        return Err(format!("there is no *.toml below {}", path.display()));
    }
    Ok(())
}

/// Depth first, in the order of names. What starts with a dot is left out; links to directories are not followed,
/// so that no circle of them keeps us busy.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut entries = fs::read_dir(directory)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type()?.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn missing(path: &Path) -> String {
    let meant =
        nearest(path).map_or_else(String::new, |meant| format!("; did you mean {}?", meant.display()));
    format!("there is no file {}{meant}", path.display())
}

/// The entry beside the missing one whose name is most like it.
fn nearest(path: &Path) -> Option<PathBuf> {
    let wanted = path.file_name()?.to_str()?;
    let parent = path.parent().unwrap_or(Path::new(""));
    let directory = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let mut names: Vec<String> = fs::read_dir(directory)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .collect();
    names.sort();
    let distance = |name: &str| {
        // The ending is easily forgotten.
        let stem = name.strip_suffix(".toml").unwrap_or(name);
        strsim::damerau_levenshtein(wanted, name).min(strsim::damerau_levenshtein(wanted, stem))
    };
    let allowed = wanted.chars().count() / 3;
    let best = names.iter().map(|name| (distance(name), name)).min()?;
    (best.0 <= allowed).then(|| parent.join(best.1))
}
