//! The directory of a campaign, and what survives of it.
//!
//! - `campaign.json`: the [`Settings`]. Written once; another campaign in the same directory is refused.
//! - `results.jsonl`: a [`Line`] for each run, appended and handed to the system as soon as the run is over, so that a kill loses
//!   the runs in flight and nothing else. When a campaign ends its lines are put in the order of seeds; then the file depends on
//!   the settings alone.
//! - `findings/`: see [`Groups`]. `junit.xml`: for CI engines.
//! - `state.json`: how the campaign ended and what it cost; the only place for what differs from machine to machine.
//! - `.lock`: held while a process is at work.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::findings::{Groups, replace};
use super::line::Line;
use super::plan::{SCHEMA, Settings};
use crate::error::Error;
use crate::numbers;

const SETTINGS: &str = "campaign.json";
const RESULTS: &str = "results.jsonl";
const STATE: &str = "state.json";
const LOCK: &str = ".lock";

/// Why a campaign ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum End {
    /// It did not: it runs, or was killed.
    #[default]
    Open,
    /// There is no seed left.
    Complete,
    /// There are as many findings as were asked for.
    Enough,
    /// Its time was up.
    Time,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}

/// What differs from machine to machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    /// Why it ended.
    pub end: End,
    /// How long it worked, resumptions included.
    pub wall_ms: u64,
}

/// What a directory holds.
#[derive(Debug)]
pub(crate) struct Stored {
    /// The settings.
    pub settings: Settings,
    /// The runs by seed.
    pub lines: BTreeMap<u64, Line>,
    /// The state.
    pub state: State,
    /// Bytes at the end of the results that are no line.
    torn: usize,
    /// Bytes of whole lines.
    whole: u64,
}

impl Stored {
    /// What somebody should know about the directory.
    pub(crate) fn notice(&self, directory: &Path) -> Option<String> {
        let bytes = numbers::count(self.torn, "byte");
        let path = directory.join(RESULTS);
        (self.torn > 0).then(|| format!("{}: dropped a torn last line of {bytes}", path.display()))
    }
}

/// Reads a campaign, and changes nothing.
///
/// # Errors
/// There is none, or it cannot be read.
pub(crate) fn load(directory: &Path) -> Result<Stored, Error> {
    let path = directory.join(SETTINGS);
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::Usage(format!("there is no campaign in {}", directory.display())),
        _ => Error::Usage(format!("cannot read {}: {error}", path.display())),
    })?;
    let broken = |error: serde_json::Error| Error::Usage(format!("cannot read {}: {error}", path.display()));
    // The schema first: the other fields of another one may be others.
    let value: serde_json::Value = serde_json::from_str(&text).map_err(broken)?;
    if value["schema"] != SCHEMA {
        let message =
            format!("{}: schema {} is not the {SCHEMA} of this raftsim", path.display(), value["schema"]);
        return Err(Error::Usage(message));
    }
    let settings: Settings = serde_json::from_value(value).map_err(broken)?;
    let (lines, whole, torn) = read_lines(&directory.join(RESULTS))?;
    if let Some(seed) = lines.keys().find(|seed| !settings.holds(**seed)) {
        let message = format!("{}: seed {seed} is none of this campaign", directory.join(RESULTS).display());
        return Err(Error::Usage(message));
    }
    let state = fs::read_to_string(directory.join(STATE)).ok();
    let state = state.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    Ok(Stored { settings, lines, state, torn, whole })
}

/// The lines; how many bytes they take, and how many follow that are none.
fn read_lines(path: &Path) -> Result<(BTreeMap<u64, Line>, u64, usize), Error> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        result => result.map_err(|error| Error::Usage(format!("cannot read {}: {error}", path.display())))?,
    };
    let (mut lines, mut whole, mut rest) = (BTreeMap::new(), 0, bytes.as_slice());
    let mut number = 0;
    while let Some(length) = rest.iter().position(|byte| *byte == b'\n') {
        number += 1;
        let place = || format!("{}:{number}", path.display());
        match serde_json::from_slice::<Line>(&rest[..length]) {
            // Half a line can end in what looks like the line's end after a power failure.
            Err(_) if length + 1 == rest.len() => break,
            Err(error) => return Err(Error::Usage(format!("{}: no result: {error}", place()))),
            Ok(line) => {
                let seed = line.seed;
                if lines.insert(seed, line).is_some() {
                    return Err(Error::Usage(format!("{}: seed {seed} for the second time", place())));
                }
            }
        }
        rest = &rest[length + 1..];
        whole += length as u64 + 1;
    }
    Ok((lines, whole, rest.len()))
}

/// A campaign that this process works at.
pub(crate) struct Campaign {
    directory: PathBuf,
    results: File,
    lines: BTreeMap<u64, Line>,
    groups: Groups,
    /// How long others worked before.
    before_ms: u64,
    _lock: Option<File>,
}

impl Campaign {
    /// Begins a campaign in a directory, or goes on with the one that is there; with what somebody should know about that.
    ///
    /// # Errors
    /// Another campaign is there, or this one without `resume`; or nothing can be written.
    pub(crate) fn open(
        directory: &Path,
        settings: &Settings,
        resume: bool,
    ) -> Result<(Campaign, Vec<String>), Error> {
        fs::create_dir_all(directory).map_err(writing(directory))?;
        let lock = lock(directory)?;
        let mut notices = Vec::new();
        let stored = if directory.join(SETTINGS).exists() {
            let stored = load(directory)?;
            if !resume {
                return Err(Error::Usage(format!(
                    "{} holds a campaign with {}: --resume goes on with it, --out takes another directory",
                    directory.display(),
                    numbers::count(stored.lines.len(), "run")
                )));
            }
            if let Some(difference) = settings.difference(&stored.settings) {
                return Err(Error::Usage(format!(
                    "{} holds another campaign: {difference}; --out takes another directory",
                    directory.display()
                )));
            }
            notices.extend(stored.notice(directory));
            notices.push(format!(
                "{}: resumed after {}",
                directory.display(),
                numbers::count(stored.lines.len(), "run")
            ));
            Some(stored)
        } else {
            if directory.join(RESULTS).exists() {
                let message = format!(
                    "{} has results and no {SETTINGS}: --out takes another directory",
                    directory.display()
                );
                return Err(Error::Usage(message));
            }
            write_settings(directory, settings)?;
            None
        };
        let path = directory.join(RESULTS);
        let results = OpenOptions::new().create(true).append(true).open(&path).map_err(writing(&path))?;
        let whole = stored.as_ref().map_or(0, |stored| stored.whole);
        results.set_len(whole).map_err(writing(&path))?;
        let (lines, before_ms) =
            stored.map_or_else(Default::default, |stored| (stored.lines, stored.state.wall_ms));
        let mut groups = Groups::default();
        lines.values().for_each(|line| groups.add(line));
        let directory = directory.to_owned();
        Ok((Campaign { directory, results, lines, groups, before_ms, _lock: lock }, notices))
    }

    /// The runs by seed.
    pub(crate) fn lines(&self) -> &BTreeMap<u64, Line> {
        &self.lines
    }

    /// The findings.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Keeps the result of a run; and, of a finding, the scenario.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn add(&mut self, line: Line, text: impl Fn(&Line, &Path) -> String) -> Result<(), Error> {
        let whole = format!("{}\n", line.to_json());
        // In one piece, and not into a buffer of ours: that would be lost with us.
        self.results.write_all(whole.as_bytes()).map_err(writing(&self.directory.join(RESULTS)))?;
        if line.is_finding() {
            self.groups.add(&line);
            self.write_findings(text)?;
        }
        self.lines.insert(line.seed, line);
        Ok(())
    }

    /// Notes how the campaign goes.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn note(&self, end: End, wall_ms: u64) -> Result<(), Error> {
        let state = State { end, wall_ms: self.before_ms + wall_ms };
        write_state(&self.directory, &state)
    }

    /// Puts the results in order, without those after `cut`, and leaves the files of exactly these findings.
    ///
    /// # Errors
    /// Something cannot be written.
    pub(crate) fn finish(
        &mut self,
        cut: Option<u64>,
        text: impl Fn(&Line, &Path) -> String,
    ) -> Result<(), Error> {
        if let Some(cut) = cut {
            self.lines.retain(|seed, _| *seed <= cut);
            self.groups = Groups::default();
            self.lines.values().for_each(|line| self.groups.add(line));
        }
        write_results(&self.directory, self.lines.values())?;
        self.write_findings(text)
    }

    fn write_findings(&self, text: impl Fn(&Line, &Path) -> String) -> Result<(), Error> {
        self.groups
            .write_files(&self.directory, |line, path| Some(text(line, path)))
            .map_err(|(path, source)| writing(&path)(source))
    }
}

/// Writes the settings.
///
/// # Errors
/// They cannot be written.
pub(crate) fn write_settings(directory: &Path, settings: &Settings) -> Result<(), Error> {
    let path = directory.join(SETTINGS);
    let text = serde_json::to_string_pretty(settings).expect("words and numbers are JSON");
    replace(&path, format!("{text}\n").as_bytes()).map_err(writing(&path))
}

/// Writes how a campaign ended.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_state(directory: &Path, state: &State) -> Result<(), Error> {
    let path = directory.join(STATE);
    let text = serde_json::to_string_pretty(state).expect("words and numbers are JSON");
    replace(&path, format!("{text}\n").as_bytes()).map_err(writing(&path))
}

/// Writes these results in place of what is there.
///
/// # Errors
/// They cannot be written.
pub(crate) fn write_results<'a>(
    directory: &Path,
    lines: impl Iterator<Item = &'a Line>,
) -> Result<(), Error> {
    let path = directory.join(RESULTS);
    let text: String = lines.map(|line| line.to_json() + "\n").collect();
    replace(&path, text.as_bytes()).map_err(writing(&path))
}

/// Sees to it that one process works at a directory: a job that is started again may overtake the one that it replaces.
fn lock(directory: &Path) -> Result<Option<File>, Error> {
    let path = directory.join(LOCK);
    let file = File::create(&path).map_err(writing(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => {
            Err(Error::Usage(format!("another process works in {}", directory.display())))
        }
        // Some network file systems have no locks.
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// What to say where a path cannot be written.
pub(crate) fn writing(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.to_owned();
    move |source| Error::Write { path, source }
}
