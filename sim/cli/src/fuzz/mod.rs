//! `raftsim fuzz`, `gen` and `report`: campaigns of scenarios that are drawn from seeds.
//!
//! A campaign is its [`plan::Settings`] and a directory; the settings decide every line of its results. [`worker`] runs what is
//! not done yet, [`campaign`] keeps it so that a kill loses only the runs in flight, and [`summary`] says what it amounts to.

pub(crate) mod args;
mod campaign;
mod environment;
mod findings;
mod github;
mod interrupt;
mod junit;
mod line;
mod plan;
mod progress;
mod reach;
mod report;
mod shard;
mod summary;
mod worker;

use std::fs;
use std::io::Write;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use raftsim_harness::fuzz::{Profile, Profiles};
use raftsim_harness::run::verify::verify;
use raftsim_harness::scenario;

use crate::args::Format;
use crate::error::{Broken, Error, Exit};
use crate::explain::explain;
use crate::files;
use crate::output::Row;
use crate::run::{Outcome, again};
use args::{FuzzArgs, GenArgs, ProfileArgs, Seeds};
use campaign::{Campaign, End, writing};
use findings::{comment, replace};
use line::Line;
use plan::{Recipe, Settings};
use progress::Progress;
pub(crate) use report::report;
use shard::Shard;
use summary::Summary;
use worker::Bounds;

/// How many seeds a campaign has where nobody says.
const SEEDS: u64 = 1_000;

/// Runs a campaign.
///
/// # Errors
/// Bad usage, a directory that holds another campaign, or results that cannot be written.
pub(crate) fn fuzz(args: &FuzzArgs) -> Result<Exit, Error> {
    let recipe = recipe(args)?;
    let directory = args.out.clone().unwrap_or_else(|| Path::new("reports").join(recipe.settings.name()));
    if args.seed.is_some() {
        clear(&directory)?;
    }
    let (mut campaign, notices) = Campaign::open(&directory, &recipe.settings, args.resume)?;
    notices.iter().for_each(|notice| say(notice));
    interrupt::listen()?;
    let wall_ms = args.time.map(|span| span.as_nanos() / 1_000_000);
    let todo = recipe.settings.count().map(|count| count.saturating_sub(campaign.lines().len() as u64));
    let bounds = Bounds { wall_ms, findings: args.stop_after, jobs: jobs(args.jobs, todo) };
    let mut progress = Progress::new(todo, wall_ms, recipe.settings.situations.len());
    let worked = worker::work(&recipe, &mut campaign, bounds, &mut progress);
    progress.finish();
    let (end, wall_ms) = worked?;
    campaign.note(end, wall_ms)?;
    // From here on as `report` does it: what cannot be read back is noticed now.
    let stored = campaign::load(&directory)?;
    let parts = [(directory.clone(), stored)];
    let lines = &parts[0].1.lines;
    let summary = Summary::of(&parts, lines.values(), &recipe.settings);
    let path = directory.join("junit.xml");
    replace(&path, junit::text(&summary).as_bytes()).map_err(writing(&path))?;
    if let (Some(_), Format::Human) = (args.seed, args.format) {
        lines.values().try_for_each(|line| tell_one(&summary, line))?;
    } else {
        conclude(&summary, lines.values(), args.format, Some(&directory))?;
    }
    Ok(if end == End::Interrupted { Exit::Interrupted } else { summary.exit() })
}

/// Prints the scenario of a seed.
///
/// # Errors
/// There is no such profile, or the output is gone.
pub(crate) fn generate(args: &GenArgs) -> Result<Exit, Error> {
    let seeds = Seeds { from: args.seed, to: args.seed.checked_add(1) };
    let recipe = recipe_of(&args.profile, environment::commit(None), seeds, Shard::WHOLE)?;
    let head = format!("raftsim {}: raftsim gen {}", recipe.settings.version, recipe.arguments(args.seed));
    let mut out = std::io::stdout().lock();
    write!(out, "{}\n{}", comment(&head), recipe.scenario(args.seed))?;
    Ok(Exit::Clean)
}

/// What the command line asks for.
fn recipe(args: &FuzzArgs) -> Result<Recipe, Error> {
    let (shard, source) = shard::resolve(args.shard, &environment::var).map_err(Error::Usage)?;
    source.iter().for_each(|source| say(source));
    let by_default = Seeds { from: 0, to: if args.time.is_some() { None } else { Some(SEEDS) } };
    let one = args.seed.map(|seed| Seeds { from: seed, to: seed.checked_add(1) });
    let seeds = one.or(args.seeds).unwrap_or(by_default);
    let mut recipe = recipe_of(&args.profile, environment::commit(args.commit.as_deref()), seeds, shard)?;
    recipe.settings.verify_ppm = args.verify_share.parts();
    recipe.settings.plant = args.plant;
    Ok(recipe)
}

fn recipe_of(profile: &ProfileArgs, commit: String, seeds: Seeds, shard: Shard) -> Result<Recipe, Error> {
    let file = profile.file.clone();
    let profile = read_profile(profile)?;
    Ok(Recipe { settings: Settings::new(&profile, commit, seeds, shard), profile, file })
}

fn read_profile(args: &ProfileArgs) -> Result<Profile, Error> {
    let profiles = match &args.file {
        None => Profiles::builtin(),
        Some(path) => {
            let name = path.display().to_string();
            let text = fs::read_to_string(path);
            let text = text.map_err(|error| Error::Usage(format!("cannot read {name}: {error}")))?;
            Profiles::parse(&text).map_err(|diagnostics| {
                Error::Run(Broken {
                    files: 1,
                    details: scenario::render(&diagnostics, &name, &text, true) + "\n\n",
                })
            })?
        }
    };
    profiles.get(&args.name).cloned().ok_or_else(|| {
        let names: Vec<String> = profiles.names().map(|name| name.to_string()).collect();
        let near = names.iter().filter(|name| strsim::damerau_levenshtein(name, &args.name) <= 2);
        let meant = near.map(|name| format!("; did you mean {name}?")).next().unwrap_or_default();
        Error::Usage(format!("there is no profile {}{meant} (there are {})", args.name, names.join(", ")))
    })
}

fn jobs(asked: Option<u16>, todo: Option<u64>) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZero::get);
    let todo = todo.and_then(|todo| usize::try_from(todo).ok()).unwrap_or(usize::MAX);
    asked.map_or_else(cores, usize::from).min(todo)
}

/// Removes what an earlier run of one seed has left. Only what is a campaign of one seed is removed.
fn clear(directory: &Path) -> Result<(), Error> {
    if !directory.join("campaign.json").exists() {
        return Ok(());
    }
    // One that cannot be read, of another version say, is in the way like any other.
    let stored = campaign::load(directory).ok();
    let is_one = stored.is_none_or(|stored| stored.settings.count() == Some(1));
    if !is_one {
        let message = format!("{} holds a campaign: --out takes another directory", directory.display());
        return Err(Error::Usage(message));
    }
    fs::remove_dir_all(directory).map_err(writing(directory))
}

/// Tells people, programs and GitHub what came out.
fn conclude<'a>(
    summary: &Summary,
    lines: impl Iterator<Item = &'a Line>,
    format: Format,
    directory: Option<&Path>,
) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    match format {
        Format::Human => {
            summary.print(&mut out)?;
            if let Some(directory) = directory {
                writeln!(out, "{}", directory.display())?;
            }
        }
        Format::Json => {
            for line in lines {
                writeln!(out, "{}", line.to_json())?;
            }
            writeln!(out, "{}", summary.to_json())?;
        }
    }
    drop(out);
    github::tell(summary)
}

/// All there is to know of a run: as `raftsim run` tells it, of the scenario as it is written.
fn tell_one(summary: &Summary, line: &Line) -> Result<(), Error> {
    let mut out = anstream::stdout().lock();
    let path: PathBuf = summary.file(line);
    if line.is_finding() && path.exists() {
        // A scenario whose making panics is none.
        for file in &files::load(std::slice::from_ref(&path)).unwrap_or_default() {
            let result = match line.verdict {
                line::Word::Diverged => verify(&file.scenario, line.seed),
                _ => Ok(again(file, line.seed, raftsim_harness::record::Detail::Last(1)).0),
            };
            let outcome = Outcome { seed: line.seed, result };
            let mut row = Row::default();
            row.totals.add(&outcome);
            explain(&mut out, file, &outcome, &row)?;
            writeln!(out)?;
        }
    }
    let hash = if line.trace_hash.is_empty() { "none" } else { &line.trace_hash };
    writeln!(out, "seed {}, {} events, trace hash {hash}", line.seed, crate::numbers::grouped(line.events))?;
    writeln!(out, "{}", summary.verdict())?;
    drop(out);
    github::tell(summary)
}

/// A line on standard error for whoever watches.
fn say(text: &str) {
    // Nothing can be done where even standard error is gone.
    let _ = writeln!(std::io::stderr(), "{text}");
}
