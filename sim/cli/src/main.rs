//! `raftsim`: runs scenarios of Raft clusters and says what broke.
//!
//! This crate is the edge of the simulator: arguments, files, threads, the terminal. Nothing in it takes part in a
//! run, so a run is the same from here, from a test or from a fuzzer. Threads, wall time and output order stay here:
//! what is printed does not depend on the number of jobs.

mod args;
mod error;
mod explain;
mod files;
mod fuzz;
mod history;
mod numbers;
mod output;
mod run;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command, HistoryCommand};
use error::{Error, Exit};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    install_hooks();
    let exit = std::panic::catch_unwind(|| dispatch(Cli::parse())).unwrap_or(Exit::Internal);
    ExitCode::from(exit as u8)
}

/// A panic here is our own mistake and is told in one line; one of the code under test is a finding, which the
/// harness catches before anything is shown.
fn install_hooks() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let text = info.payload_as_str().unwrap_or("a panic without a message");
        // Nothing can be done where even standard error is gone.
        let _ = writeln!(io::stderr(), "raftsim: internal error{place}: {text}");
    }));
    raftsim_harness::run::install_panic_hook();
}

fn dispatch(cli: Cli) -> Exit {
    let result = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Check(args) => check(&args.paths),
        Command::History(HistoryCommand::Check(args)) => history::check(&args),
        Command::Fuzz(args) => fuzz::fuzz(&args),
        Command::Gen(args) => fuzz::generate(&args),
        Command::Report(args) => fuzz::report(&args),
        Command::Schema => schema(),
        Command::Completions { shell } => completions(shell),
    };
    result.unwrap_or_else(|error| {
        let exit = error.exit();
        if exit != Exit::Pipe {
            // Standard error is all there is to complain to.
            let _ = write!(anstream::stderr(), "{}", error.render());
        }
        exit
    })
}

fn check(paths: &[std::path::PathBuf]) -> Result<Exit, Error> {
    let files = files::load(paths).map_err(Error::Check)?;
    let steps: usize = files.iter().map(|file| file.scenario.steps.len()).sum();
    let mut out = anstream::stdout();
    writeln!(out, "ok: {}, {}", numbers::count(files.len(), "scenario"), numbers::count(steps, "step"))?;
    Ok(Exit::Clean)
}

fn schema() -> Result<Exit, Error> {
    let mut out = io::stdout();
    writeln!(out, "{:#}", raftsim_harness::scenario::schema())?;
    Ok(Exit::Clean)
}

fn completions(shell: clap_complete::Shell) -> Result<Exit, Error> {
    // Into memory first: the generator panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "raftsim", &mut script);
    io::stdout().write_all(&script)?;
    Ok(Exit::Clean)
}
