//! `raftsim report`: the summary of campaigns that are over, or under way, or were killed; and of shards, together.
//!
//! It reads what is there and changes nothing. A seed that two shards have run must have come out the same on both: this is how a
//! machine that computes something else is found.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::args::ReportArgs;
use super::campaign::{self, State, Stored, writing};
use super::findings::{file_name, replace};
use super::line::Line;
use super::plan::Settings;
use super::shard::Shard;
use super::summary::Summary;
use super::{conclude, say};
use crate::error::{Error, Exit};

/// Does what the command line asks for.
///
/// # Errors
/// Directories without campaigns, or with campaigns that do not go together; or what cannot be written.
pub(crate) fn report(args: &ReportArgs) -> Result<Exit, Error> {
    let mut parts = Vec::new();
    for directory in &args.directories {
        let stored = campaign::load(directory)?;
        stored.notice(directory).into_iter().for_each(|notice| say(&notice));
        parts.push((directory.clone(), stored));
    }
    let settings = together(&parts)?;
    let lines = merged(&parts)?;
    let mut summary = Summary::of(&parts, lines.values().copied(), &settings);
    if let Some(out) = &args.out {
        write(out, &summary, &lines)?;
        summary.directories.insert(0, out.clone());
    }
    conclude(&summary, lines.values().copied(), args.format, args.out.as_deref())?;
    Ok(summary.exit())
}

/// The settings that they share.
fn together(parts: &[(PathBuf, Stored)]) -> Result<Settings, Error> {
    let Some(((first, stored), others)) = parts.split_first() else {
        return Err(Error::Usage("there is nothing to report on".to_owned()));
    };
    for (other, theirs) in others {
        if let Some(difference) = stored.settings.difference_but_seeds(&theirs.settings) {
            return Err(Error::Usage(format!(
                "{} and {} are not of one campaign: {}",
                first.display(),
                other.display(),
                difference.replace(" there,", " in the second,").replace(" here", " in the first")
            )));
        }
    }
    let mut settings = stored.settings.clone();
    if !others.is_empty() {
        let seeds = parts.iter().map(|(_, stored)| stored.settings.seeds);
        settings.seeds.from = seeds.clone().map(|seeds| seeds.from).min().unwrap_or(0);
        settings.seeds.to = seeds.map(|seeds| seeds.to).reduce(|a, b| Some(a?.max(b?))).flatten();
        settings.shard = Shard::WHOLE;
    }
    Ok(settings)
}

/// All lines in the order of seeds.
fn merged(parts: &[(PathBuf, Stored)]) -> Result<BTreeMap<u64, &Line>, Error> {
    let mut lines: BTreeMap<u64, &Line> = BTreeMap::new();
    for (path, stored) in parts {
        for (seed, line) in &stored.lines {
            match lines.insert(*seed, line) {
                Some(other) if other != line => {
                    return Err(Error::Contradiction { seed: *seed, path: path.clone() });
                }
                _ => {}
            }
        }
    }
    Ok(lines)
}

/// Writes a directory as one process would have that had run everything.
fn write(out: &Path, summary: &Summary, lines: &BTreeMap<u64, &Line>) -> Result<(), Error> {
    if out.join("campaign.json").exists() {
        return Err(Error::Usage(format!("{} holds a campaign already", out.display())));
    }
    fs::create_dir_all(out).map_err(writing(out))?;
    campaign::write_settings(out, &summary.settings)?;
    campaign::write_results(out, lines.values().copied())?;
    let end = if summary.missing.is_empty() { campaign::End::Complete } else { campaign::End::Open };
    campaign::write_state(out, &State { end, wall_ms: summary.wall_ms })?;
    let copy = |line: &Line, _: &Path| {
        let there =
            summary.directories.iter().map(|directory| directory.join("findings").join(file_name(line)));
        there.into_iter().find_map(|path| fs::read_to_string(path).ok())
    };
    summary.groups.write_files(out, copy).map_err(|(path, source)| writing(&path)(source))?;
    let junit = out.join("junit.xml");
    replace(&junit, super::junit::text(summary).as_bytes()).map_err(writing(&junit))
}
