//! From the paths of a command line to scenarios, or to everything that is wrong with them.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raftsim_harness::scenario::{self, Diagnostic, Scenario};

use crate::error::Broken;

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

/// Reads every scenario: files in the order given, directories sorted by name. A file that several paths lead to is
/// read once, by the first of them.
///
/// # Errors
/// The errors of all files, so that they can be mended in one go.
pub(crate) fn load(paths: &[PathBuf]) -> Result<Vec<File>, Broken> {
    let (mut found, mut broken) = (Vec::new(), Broken { files: 0, details: String::new() });
    let mut complain = |text: &str| {
        broken.files += 1;
        let _ = writeln!(broken.details, "{}\n", text.trim_end());
    };
    for path in paths {
        if let Err(message) = find(path, &mut found) {
            complain(&format!("error: {message}"));
        }
    }
    let (mut files, mut seen) = (Vec::new(), BTreeSet::new());
    for path in found {
        // Where the path cannot be resolved, the file cannot be read either.
        if !seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone())) {
            continue;
        }
        match read(&path) {
            Err(complaint) => complain(&complaint),
            Ok(file) => files.push(file),
        }
    }
    if broken.files == 0 { Ok(files) } else { Err(broken) }
}

/// Reads one scenario, or says what is wrong with it.
fn read(path: &Path) -> Result<File, String> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|error| format!("error: cannot read {name}: {error}"))?;
    let source = String::from_utf8(bytes).map_err(|error| {
        let (start, bytes) = (error.utf8_error().valid_up_to(), error.as_bytes());
        // Text up to the bad byte, so it stands at the same offset here, as the character that replaces it.
        let shown = String::from_utf8_lossy(bytes);
        let diagnostic = Diagnostic {
            span: start..start + char::REPLACEMENT_CHARACTER.len_utf8(),
            message: "this is not text in UTF-8".to_owned(),
            label: format!("expected text, found the byte 0x{:02x}", bytes[start]),
            help: None,
        };
        scenario::render(&[diagnostic], &name, &shown, true)
    })?;
    match scenario::parse(&source) {
        Err(diagnostics) => Err(scenario::render(&diagnostics, &name, &source, true)),
        Ok(scenario) => Ok(File { name, source, scenario: Arc::new(scenario) }),
    }
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
            Err(error) => Err(unreadable(path, &error)),
        };
    }
    let before = found.len();
    walk(path, found)?;
    if found.len() == before {
        return Err(format!("there is no *.toml below {}", path.display()));
    }
    Ok(())
}

/// Depth first, in the order of names. What starts with a dot is left out; links to directories are not followed,
/// so that no circle of them keeps us busy.
fn walk(directory: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut entries = entries.map_err(|error| unreadable(directory, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        if entry.file_type().map_err(|error| unreadable(&path, &error))?.is_dir() {
            walk(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("cannot read {}: {error}", path.display())
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
