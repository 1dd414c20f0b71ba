//! `raftsim run`: whole runs spread over threads, their outcomes in the order of files and seeds.
//!
//! A run is one task, so threads share nothing but the number of the next one. Outcomes are put back in order before
//! anything is made of them; that is why no output depends on the number of jobs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};
use raftsim_harness::record::{Detail, Record};
use raftsim_harness::report::{Report, Verdict};
use raftsim_harness::run::verify::{Divergence, verify};
use raftsim_harness::run::{Finished, Options, run as run_scenario};
use raftsim_harness::scenario::MAX_SEED;
use raftsim_harness::transcript;

use crate::args::{Format, RunArgs};
use crate::error::{Error, Exit};
use crate::files::{self, File};
use crate::history;
use crate::output::{Human, Json, Output, Totals, paint};

/// What became of one file with one seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The report; or where two runs that should be one part.
    pub result: Result<Report, Divergence>,
}

/// Runs what the command line asks for.
///
/// # Errors
/// Bad usage, broken scenarios, or output that cannot be written.
pub(crate) fn run(args: &RunArgs) -> Result<Exit, Error> {
    let shows_one = args.story || args.trace.is_some();
    if args.history.is_some() && args.seeds > 1 {
        return Err(Error::Usage("--history keeps that of one run: give no --seeds".to_owned()));
    }
    if shows_one && args.seeds > 1 {
        return Err(Error::Usage("--story and --trace show one run: give no --seeds".to_owned()));
    }
    if args.format == Format::Json && (args.story || args.trace.as_deref() == Some(Path::new("-"))) {
        return Err(Error::Usage(
            "--format json does not go with --story or --trace to the terminal".to_owned(),
        ));
    }
    let files = files::load(&args.paths).map_err(Error::Run)?;
    if shows_one && files.len() > 1 {
        let message = format!("--story and --trace show one run, and here are {} scenarios", files.len());
        return Err(Error::Usage(message));
    }
    if args.history.is_some() && files.len() > 1 {
        let message = format!("--history keeps that of one run, and here are {} scenarios", files.len());
        return Err(Error::Usage(message));
    }
    let plan = Plan { files: &files, args };
    if let (Some(path), Some(file)) = (&args.history, files.first()) {
        history::keep(file, plan.seed(0), path)?;
    }
    if let (true, Some(file)) = (shows_one, files.first()) {
        show(file, plan.seed(0), args)?;
    }
    let mut out = anstream::stdout().lock();
    let mut output: Box<dyn Output + '_> = match args.format {
        Format::Human => Box::new(Human::new(&mut out, &files, args)),
        Format::Json => Box::new(Json::new(&mut out, &files)),
    };
    plan.execute(output.as_mut())
}

/// One scenario with one seed, once more, and what it recorded.
pub(crate) fn again(file: &File, seed: u64, detail: Detail) -> (Report, Option<Record>) {
    let options = Options { record: Some(detail), ..Options::default() };
    let Finished { report, record, .. } = run_scenario(Arc::clone(&file.scenario), seed, options);
    (report, record)
}

/// Prints the story or the trace, or writes it to a file.
fn show(file: &File, seed: u64, args: &RunArgs) -> Result<(), Error> {
    let detail = if args.story { Detail::Story } else { Detail::Everything };
    let Some(record) = again(file, seed, detail).1 else { return Ok(()) };
    let text = if args.story { transcript::story(&record) } else { transcript::trace(&record) };
    match args.trace.as_deref() {
        Some(path) if path != Path::new("-") => {
            fs::write(path, text).map_err(|source| Error::Write { path: path.to_owned(), source })
        }
        _ => {
            let mut out = anstream::stdout().lock();
            paint(&text, "", &mut out)?;
            Ok(writeln!(out)?)
        }
    }
}

/// Everything that is to be run: the tasks are numbered file by file, and seed by seed within a file.
struct Plan<'a> {
    files: &'a [File],
    args: &'a RunArgs,
}

impl Plan<'_> {
    fn tasks(&self) -> usize {
        self.files.len().saturating_mul(self.seeds())
    }

    fn seeds(&self) -> usize {
        usize::try_from(self.args.seeds).unwrap_or(usize::MAX)
    }

    fn file(&self, task: usize) -> usize {
        task / self.seeds()
    }

    fn seed(&self, task: usize) -> u64 {
        let first = self.args.seed.unwrap_or(self.files[self.file(task)].scenario.seed);
        // After the largest seed comes the smallest.
        first.wrapping_add((task % self.seeds()) as u64) & MAX_SEED
    }

    fn perform(&self, task: usize) -> Outcome {
        let (scenario, seed) = (&self.files[self.file(task)].scenario, self.seed(task));
        let result = if self.args.verify {
            verify(scenario, seed)
        } else {
            Ok(run_scenario(Arc::clone(scenario), seed, Options::default()).report)
        };
        Outcome { seed, result }
    }

    fn jobs(&self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        self.args.jobs.map_or_else(cores, usize::from).min(self.tasks())
    }

    /// Runs everything and tells `output` in order.
    #[allow(
        clippy::disallowed_methods,
        reason = "whole runs are spread over threads; inside a run there is none"
    )]
    fn execute(&self, output: &mut dyn Output) -> Result<Exit, Error> {
        let watch = Stopwatch::start();
        let progress = progress(self.tasks());
        output.begin()?;
        let next = NextTask::default();
        let mut totals = Totals::default();
        thread::scope(|scope| {
            let (sender, outcomes) = mpsc::channel();
            let workers: Vec<_> = (0..self.jobs())
                .map(|_| {
                    let (sender, next) = (sender.clone(), &next);
                    scope.spawn(move || self.work(next, &sender))
                })
                .collect();
            drop(sender);
            let told = self.tell(&outcomes, &progress, &mut totals, output);
            // Where the output is gone the workers stop at their next task, since nobody listens.
            drop(outcomes);
            for worker in workers {
                if let Err(panic) = worker.join() {
                    std::panic::resume_unwind(panic);
                }
            }
            told
        })?;
        progress.finish_and_clear();
        totals.wall_ms = watch.millis();
        output.finish(&totals)?;
        Ok(totals.exit())
    }

    fn work(&self, next: &NextTask, outcomes: &mpsc::Sender<(usize, Outcome)>) {
        loop {
            let task = next.take();
            if task >= self.tasks() || outcomes.send((task, self.perform(task))).is_err() {
                return;
            }
        }
    }

    /// Puts outcomes in order and passes them on.
    fn tell(
        &self,
        outcomes: &mpsc::Receiver<(usize, Outcome)>,
        progress: &ProgressBar,
        totals: &mut Totals,
        output: &mut dyn Output,
    ) -> io::Result<()> {
        let (mut early, mut due) = (BTreeMap::new(), 0);
        for (task, outcome) in outcomes {
            progress.inc(1);
            early.insert(task, outcome);
            while let Some(outcome) = early.remove(&due) {
                totals.add(&outcome);
                let last = (due + 1) % self.seeds() == 0;
                if last {
                    totals.scenarios += 1;
                }
                if last || output.prints_each_run() {
                    // A line above the bar, not through it.
                    progress.suspend(|| output.outcome(self.file(due), outcome, last))?;
                } else {
                    output.outcome(self.file(due), outcome, last)?;
                }
                due += 1;
            }
        }
        Ok(())
    }
}

/// The number of the next task: all that workers share.
#[derive(Default)]
struct NextTask(
    #[allow(clippy::disallowed_types, reason = "it says who does a task, which changes nothing in the task")]
    std::sync::atomic::AtomicUsize,
);

impl NextTask {
    fn take(&self) -> usize {
        self.0.fetch_add(1, Ordering::Relaxed)
    }
}

/// A bar on standard error; nothing where that is no terminal, or where there is one run.
fn progress(tasks: usize) -> ProgressBar {
    if tasks < 2 {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:32} {human_pos}/{human_len} runs, {eta} left");
    ProgressBar::new(tasks as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Wall time, for summaries and bounds of campaigns and nothing else.
pub(crate) struct Stopwatch(
    #[allow(clippy::disallowed_types, reason = "how long the tool took is the one use of wall time")]
    std::time::Instant,
);

impl Stopwatch {
    #[allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "as above")]
    pub(crate) fn start() -> Stopwatch {
        Stopwatch(std::time::Instant::now())
    }

    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Totals {
    /// Mistakes of ours count more than findings, and these more than what is unknown.
    pub(crate) fn exit(&self) -> Exit {
        if self.diverged > 0 {
            Exit::Internal
        } else if self.findings > 0 {
            Exit::Finding
        } else if self.unknown > 0 {
            Exit::Unknown
        } else {
            Exit::Clean
        }
    }

    /// Counts one run.
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        self.runs += 1;
        let Ok(report) = &outcome.result else {
            self.diverged += 1;
            return;
        };
        match report.verdict {
            Verdict::Clean => {}
            Verdict::Finding(_) => self.findings += 1,
            Verdict::Unknown(_) => self.unknown += 1,
        }
        self.time_ns = self.time_ns.saturating_add(report.time.as_nanos());
        self.events += report.events;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_of_all_runs_decides_the_exit_code() {
        let exit =
            |diverged, findings, unknown| Totals { diverged, findings, unknown, ..Totals::default() }.exit();
        assert_eq!(exit(0, 0, 0), Exit::Clean);
        assert_eq!(exit(0, 0, 1), Exit::Unknown);
        assert_eq!(exit(0, 1, 1), Exit::Finding);
        assert_eq!(exit(1, 1, 1), Exit::Internal);
    }
}
