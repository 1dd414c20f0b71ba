//! Runs a campaign: seeds spread over threads, results written as they come.
//!
//! Threads share the seeds and a wish to stop, nothing else. Which seeds are run does not depend on their number: each takes the
//! next one, and one that is taken is finished. Only where a campaign ends early by the clock or by Ctrl-C does the last seed
//! depend on how fast the machine is.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration as WallTime;

use raftsim_harness::run::verify::verify;
use raftsim_harness::run::{Options, run};

use super::campaign::{Campaign, End};
use super::findings::file_text;
use super::interrupt;
use super::line::Line;
use super::plan::Recipe;
use super::progress::Progress;
use crate::error::Error;
use crate::run::Stopwatch;

/// How often time is looked at while no run ends.
const TICK: WallTime = WallTime::from_millis(200);

/// How often the cost so far is noted.
const NOTE_MS: u64 = 10_000;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Begin no run after so much time.
    pub wall_ms: Option<u64>,
    /// Stop at this finding, counted in the order of seeds.
    pub findings: Option<u64>,
    /// So many runs at a time.
    pub jobs: usize,
}

/// What a thread tells.
enum Told {
    /// It begins this place in the order of seeds.
    Began { worker: usize, seed: u64 },
    /// It has finished.
    Ended { worker: usize, place: u64, line: Box<Line> },
}

/// Runs what is not done yet and puts everything in order. Returns why it ended.
///
/// # Errors
/// Results cannot be written. What is written remains.
#[allow(
    clippy::disallowed_methods,
    reason = "whole runs are spread over threads; inside a run there is none"
)]
pub(crate) fn work(
    recipe: &Recipe,
    campaign: &mut Campaign,
    bounds: Bounds,
    progress: &mut Progress,
) -> Result<(End, u64), Error> {
    let watch = Stopwatch::start();
    let mut frontier = Frontier::new(bounds.findings);
    let places = recipe.settings.seeds().zip(0..);
    let mut todo = Vec::new();
    // What is done already counts as if it had been done just now.
    let mut rest = places;
    let mut seen = 0;
    while seen < campaign.lines().len() && frontier.cut.is_none() {
        let Some((seed, place)) = rest.next() else { break };
        match campaign.lines().get(&seed) {
            Some(line) => {
                seen += 1;
                frontier.ended(place, line);
            }
            None => todo.push((seed, place)),
        }
    }
    let queue = Queue::new(todo.into_iter().chain(rest));
    let (stop, mut end) = (Stop::default(), End::Complete);
    if frontier.cut.is_some() {
        stop.set();
        end = End::Enough;
    }
    thread::scope(|scope| {
        let (sender, told) = mpsc::channel();
        let workers: Vec<_> = (0..bounds.jobs)
            .map(|worker| {
                let (sender, queue, stop) = (sender.clone(), &queue, &stop);
                scope.spawn(move || perform(worker, recipe, queue, stop, &sender))
            })
            .collect();
        drop(sender);
        let result = Hearing { recipe, campaign, bounds, progress, watch: &watch, stop: &stop }.listen(
            told,
            &mut frontier,
            &mut end,
        );
        // Where nothing can be written any more, nobody needs the rest.
        stop.set();
        for worker in workers {
            if let Err(panic) = worker.join() {
                std::panic::resume_unwind(panic);
            }
        }
        result
    })?;
    campaign.finish(frontier.cut, |line, path| file_text(recipe, line, path))?;
    Ok((end, watch.millis()))
}

/// The thread that writes and tells how it goes.
struct Hearing<'a> {
    recipe: &'a Recipe,
    campaign: &'a mut Campaign,
    bounds: Bounds,
    progress: &'a mut Progress,
    watch: &'a Stopwatch,
    stop: &'a Stop,
}

impl Hearing<'_> {
    fn listen(&mut self, told: Receiver<Told>, frontier: &mut Frontier, end: &mut End) -> Result<(), Error> {
        let mut noted = 0;
        self.campaign.note(End::Open, 0)?;
        loop {
            let now = self.watch.millis();
            if !self.stop.is_set() {
                let late = self.bounds.wall_ms.is_some_and(|bound| now >= bound);
                let reason = [
                    (interrupt::requested(), End::Interrupted),
                    (frontier.cut.is_some(), End::Enough),
                    (late, End::Time),
                ];
                if let Some((_, reason)) = reason.into_iter().find(|(holds, _)| *holds) {
                    *end = reason;
                    self.stop.set();
                    self.progress.stopping(reason);
                }
            }
            if now >= noted + NOTE_MS {
                noted = now;
                self.campaign.note(End::Open, now)?;
            }
            self.progress.tick(now, self.campaign.groups());
            match told.recv_timeout(TICK) {
                Ok(Told::Began { worker, seed }) => self.progress.began(worker, seed, now),
                Ok(Told::Ended { worker, place, line }) => {
                    self.progress.ended(worker, &line);
                    frontier.ended(place, &line);
                    self.campaign
                        .add(*line, |line: &Line, path: &Path| file_text(self.recipe, line, path))?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        // Ctrl-C during the last runs changes nothing in the results, but whoever asked should hear of it.
        if frontier.cut.is_some() && *end != End::Interrupted {
            *end = End::Enough;
        }
        Ok(())
    }
}

/// The life of a thread.
fn perform<I: Iterator<Item = (u64, u64)>>(
    worker: usize,
    recipe: &Recipe,
    queue: &Queue<I>,
    stop: &Stop,
    told: &Sender<Told>,
) {
    while !stop.is_set() {
        let Some((seed, place)) = queue.take() else { return };
        // Nobody listens any more where nothing can be written.
        if told.send(Told::Began { worker, seed }).is_err() {
            return;
        }
        let line = Box::new(perform_one(recipe, seed));
        if told.send(Told::Ended { worker, place, line }).is_err() {
            return;
        }
    }
}

/// One run. Whatever happens in it, this returns.
pub(crate) fn perform_one(recipe: &Recipe, seed: u64) -> Line {
    let verified = recipe.settings.verifies(seed);
    let attempt = || {
        let scenario = Arc::new(recipe.scenario(seed));
        if verified {
            match verify(&scenario, seed) {
                Ok(report) => Line::of_report(&report),
                Err(divergence) => Line::of_divergence(seed, &divergence),
            }
        } else {
            Line::of_report(&run(scenario, seed, Options::default()).report)
        }
    };
    // Panics within a run are caught there and are findings of their own.
    let line = catch_unwind(AssertUnwindSafe(attempt)).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        Line::of_panic(seed, text.unwrap_or("a panic without a message"))
    });
    Line { verified, ..line }
}

/// How far the runs are done without a gap, in the order of seeds, and how many findings there are up to there.
///
/// A campaign that is to stop at the Kth finding stops at the Kth in this order, so that it does not matter which of several
/// threads was faster.
#[derive(Debug)]
struct Frontier {
    due: u64,
    /// What ended before its turn: its seed, and whether it is a finding.
    early: BTreeMap<u64, (u64, bool)>,
    findings: u64,
    bound: Option<u64>,
    /// The seed of the last finding that was asked for.
    cut: Option<u64>,
}

impl Frontier {
    fn new(bound: Option<u64>) -> Frontier {
        Frontier { due: 0, early: BTreeMap::new(), findings: 0, bound, cut: None }
    }

    fn ended(&mut self, place: u64, line: &Line) {
        // Only for this are places kept, so a campaign without a bound need not.
        let Some(bound) = self.bound else { return };
        self.early.insert(place, (line.seed, line.is_finding()));
        while let (None, Some((seed, finding))) = (self.cut, self.early.remove(&self.due)) {
            self.due += 1;
            self.findings += u64::from(finding);
            self.cut = (self.findings >= bound).then_some(seed);
        }
    }
}

/// What is left to do.
struct Queue<I>(
    #[allow(clippy::disallowed_types, reason = "it says who does a run, which changes nothing in the run")]
    std::sync::Mutex<I>,
);

impl<I: Iterator<Item = (u64, u64)>> Queue<I> {
    #[allow(clippy::disallowed_types, reason = "as above")]
    fn new(rest: I) -> Queue<I> {
        Queue(std::sync::Mutex::new(rest))
    }

    fn take(&self) -> Option<(u64, u64)> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next()
    }
}

/// Whether no more runs are to begin.
#[derive(Default)]
struct Stop(
    #[allow(
        clippy::disallowed_types,
        reason = "it decides which runs there are, and changes nothing in one"
    )]
    std::sync::atomic::AtomicBool,
);

impl Stop {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_counts_findings_in_the_order_of_seeds() {
        let clean = |seed| Line { check: None, ..line(seed, false) };
        let mut frontier = Frontier::new(Some(2));
        // Places 0 to 4 are the seeds 10 to 14; 11, 12 and 14 are findings, and the later ones end first.
        for (place, line) in [(4, line(14, true)), (2, line(12, true)), (0, clean(10))] {
            frontier.ended(place, &line);
        }
        assert_eq!(frontier.cut, None, "what is found after a gap may be too late");
        frontier.ended(1, &line(11, true));
        assert_eq!(frontier.cut, Some(12));
        frontier.ended(3, &clean(13));
        assert_eq!(frontier.cut, Some(12));
    }

    fn line(seed: u64, finding: bool) -> Line {
        let panic = Line::of_panic(seed, "boom");
        if finding { panic } else { Line { verdict: super::super::line::Word::Clean, ..panic } }
    }
}
