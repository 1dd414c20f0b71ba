//! The command line. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use raftsim_harness::scenario::MAX_SEED;

use crate::fuzz::args::{FuzzArgs, GenArgs, ReportArgs};

const EXIT_CODES: &str = "\
Exit codes:
  0    every run was clean
  1    a finding: a check did not hold
  2    bad usage, or a scenario file with errors; nothing was run
  3    no finding, but a check ran out of its budget
  70   a run was not deterministic, or raftsim itself failed
  130  `fuzz` was stopped by Ctrl-C
  141  whoever read the output stopped before its end, as after `| head`
";

const RUN_EXAMPLES: &str = "\
Examples:
  raftsim run scenarios                            every scenario below a directory
  raftsim run scenarios --seeds 1000               1000 seeds of each
  raftsim run scenarios/election/a.toml --story    who led, what was committed, what broke, by store
  raftsim run a.toml --seed 17 --trace=a.txt       every event of one run, into a file
  raftsim run scenarios --verify                   each run twice, compared event by event

";

/// Deterministic simulation testing for Raft.
///
/// A scenario file describes a cluster and what happens to it. A scenario and a seed decide everything in a run,
/// so whatever is found once can be replayed as often as it takes.
#[derive(Debug, Parser)]
#[command(name = "raftsim", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run scenarios and report what breaks.
    Run(RunArgs),
    /// Check that scenario files make sense, without running them.
    Check(CheckArgs),
    /// Check histories of clients, recorded here or elsewhere.
    #[command(subcommand)]
    History(HistoryCommand),
    /// Draw scenarios from seeds, run them, and keep what breaks.
    Fuzz(FuzzArgs),
    /// Print the scenario that `fuzz` draws from a seed.
    Gen(GenArgs),
    /// Print the summary of a campaign, or of all its shards together.
    Report(ReportArgs),
    /// Print the JSON schema of scenario files, for editors.
    Schema,
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Arguments of `raftsim run`.
#[derive(Debug, Args)]
#[command(after_help = format!("{RUN_EXAMPLES}{EXIT_CODES}"))]
pub(crate) struct RunArgs {
    /// Scenario files, and directories in which every *.toml is one.
    #[arg(value_name = "FILE|DIR", required = true)]
    pub paths: Vec<PathBuf>,

    /// Run each scenario with N seeds: its own (or that of --seed), and the N-1 that follow it.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub seeds: u64,

    /// The seed to use instead of the one in the file; decimal, or hexadecimal with 0x.
    #[arg(long, value_name = "S", value_parser = seed)]
    pub seed: Option<u64>,

    /// Runs at a time; by default one per core. Results do not depend on it.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// Do each run twice, side by side, and compare them event by event.
    #[arg(long)]
    pub verify: bool,

    /// Show what happened in a run, a column per store: roles, commits, crashes, steps. Needs one file, one seed.
    #[arg(long, conflicts_with = "trace")]
    pub story: bool,

    /// Show every event of a run, or write them to a file. Needs one file, one seed.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "-")]
    pub trace: Option<PathBuf>,

    /// Write what clients called and were told to a file, for `raftsim history`. Needs one file, one seed.
    #[arg(long, value_name = "FILE")]
    pub history: Option<PathBuf>,

    /// How to print results.
    #[arg(long, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
}

/// What to do with histories.
#[derive(Debug, Subcommand)]
pub(crate) enum HistoryCommand {
    /// Say whether histories are linearizable, and if not, why.
    Check(HistoryCheckArgs),
}

const HISTORY_EXIT_CODES: &str = "\
Exit codes:
  0    every history is linearizable
  1    one is not
  2    bad usage, or a file that cannot be read
  3    none is known not to be, but for one the search ran out of its budget
";

/// Arguments of `raftsim history check`.
#[derive(Debug, Args)]
#[command(after_help = HISTORY_EXIT_CODES)]
pub(crate) struct HistoryCheckArgs {
    /// Files with one history each.
    #[arg(value_name = "FILE", required = true)]
    pub paths: Vec<PathBuf>,

    /// What the files are written in; by default, each file's first line tells.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<HistoryFormat>,
}

/// Formats of histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HistoryFormat {
    /// JSON Lines, as `raftsim run --history` writes them.
    Raftsim,
    /// A log of Jepsen's etcd test: one register.
    Jepsen,
    /// Porcupine's key-value text.
    Porcupine,
}

/// Arguments of `raftsim check`.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Scenario files, and directories in which every *.toml is one.
    #[arg(value_name = "FILE|DIR", required = true)]
    pub paths: Vec<PathBuf>,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people: what there is to know about each failure, and a summary.
    Human,
    /// JSON Lines: an object for each run, and a summary.
    Json,
}

/// A number of 63 bits.
pub(crate) fn seed(text: &str) -> Result<u64, String> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    };
    match number {
        Ok(seed) if seed <= MAX_SEED => Ok(seed),
        Ok(_) => Err(format!("seeds have 63 bits, so {MAX_SEED} is the largest")),
        Err(_) => Err("expected a number such as 17 or 0x5eed".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn seeds_are_decimal_or_hexadecimal_and_have_63_bits() {
        assert_eq!(seed("17"), Ok(17));
        assert_eq!(seed("0x5eed"), Ok(0x5eed));
        assert_eq!(seed(&MAX_SEED.to_string()), Ok(MAX_SEED));
        assert!(seed(&u64::MAX.to_string()).expect_err("64 bits").contains("63 bits"));
        assert!(seed("-1").is_err() && seed("").is_err() && seed("0x").is_err());
    }
}
