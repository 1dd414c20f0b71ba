//! `raftsim history`: histories of clients that runs have kept, or that were recorded elsewhere.

use std::fmt::Write as _;
use std::fs::{self, File as Sink};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use raftsim_harness::history::file::{self, Format};
use raftsim_harness::linearizability::{Budget, Decided, Judged, Operation, Verdict, judge};
use raftsim_harness::run::{Options, run};

use crate::args::{HistoryCheckArgs, HistoryFormat};
use crate::error::{Broken, Error, Exit};
use crate::files::File;
use crate::numbers::{count, grouped};
use crate::output::{BAD, BOLD, DIM, DOUBT, GOOD};

/// Runs a scenario with a seed and writes down what its clients called and were told.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn keep(scenario: &File, seed: u64, path: &Path) -> Result<(), Error> {
    let history = run(Arc::clone(&scenario.scenario), seed, Options::default()).history;
    let write = || {
        let mut out = BufWriter::new(Sink::create(path)?);
        file::write(&history, &mut out)?;
        out.flush()
    };
    write().map_err(|source: io::Error| Error::Write { path: path.to_owned(), source })
}

/// Checks histories, and prints a line for each, and why it is not linearizable.
///
/// # Errors
/// Files that cannot be read: then nothing is checked.
pub(crate) fn check(args: &HistoryCheckArgs) -> Result<Exit, Error> {
    let (mut histories, mut broken) = (Vec::new(), Broken { files: 0, details: String::new() });
    for path in &args.paths {
        match read(path, args.format) {
            Ok(operations) => histories.push((path, operations)),
            Err(message) => {
                broken.files += 1;
                let _ = writeln!(broken.details, "error: {}: {message}\n", path.display());
            }
        }
    }
    if broken.files > 0 {
        return Err(Error::Check(broken));
    }
    let mut out = anstream::stdout().lock();
    let (mut violated, mut unknown) = (false, false);
    for (path, operations) in histories {
        let judged = judge(&operations, Budget::default());
        tell(&mut out, path, operations.len(), &judged)?;
        violated |= matches!(judged.verdict, Verdict::Violation(_));
        unknown |= matches!(judged.verdict, Verdict::Unknown { .. });
    }
    Ok(match (violated, unknown) {
        (true, _) => Exit::Finding,
        (false, true) => Exit::Unknown,
        (false, false) => Exit::Clean,
    })
}

fn read(path: &Path, format: Option<HistoryFormat>) -> Result<Vec<Operation>, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let format = match format {
        Some(HistoryFormat::Raftsim) => Format::Raftsim,
        Some(HistoryFormat::Jepsen) => Format::Jepsen,
        Some(HistoryFormat::Porcupine) => Format::Porcupine,
        None => Format::guess(&text).ok_or("no history that is known here: --format says what it is")?,
    };
    file::parse(&text, format).map_err(|error| error.to_string())
}

fn tell(out: &mut dyn Write, path: &Path, operations: usize, judged: &Judged) -> io::Result<()> {
    let verdict = match &judged.verdict {
        Verdict::Linearizable => format!("{GOOD}linearizable{GOOD:#}"),
        Verdict::Violation(_) => format!("{BAD}NOT linearizable{BAD:#}"),
        Verdict::Unknown { .. } => format!("{DOUBT}unknown{DOUBT:#}"),
    };
    let Decided { by_order, by_search, unknown } = judged.decided;
    let keys = usize::try_from(by_order + by_search + unknown).unwrap_or(usize::MAX);
    let name = path.display();
    let size = count(operations, "operation");
    writeln!(
        out,
        "{BOLD}{name}{BOLD:#}  {verdict}  {DIM}{size}; {} looked at: {by_order} by order, {by_search} by search, {unknown} \
         unknown{DIM:#}",
        count(keys, "key")
    )?;
    match &judged.verdict {
        Verdict::Linearizable => Ok(()),
        Verdict::Unknown { key, explored } => {
            let steps = grouped(*explored);
            writeln!(out, "  key \"{}\" is undecided after {steps} search steps", key.escape_ascii())
        }
        Verdict::Violation(refutation) => {
            refutation.to_string().lines().try_for_each(|line| writeln!(out, "  {line}"))?;
            refutation.why().iter().try_for_each(|line| writeln!(out, "  why: {line}"))
        }
    }
}
