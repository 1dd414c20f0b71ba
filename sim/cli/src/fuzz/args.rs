//! The command lines of `fuzz`, `gen` and `report`. Doc comments here are the help texts.

use std::path::PathBuf;

use clap::Args;
use raftsim_harness::scenario::MAX_SEED;
use raftsim_kernel::{Duration, Ppm};

use super::shard::{self, ShardArg};
use crate::args::{Format, seed};

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    every run was clean
  1    a finding: a check did not hold
  2    bad usage, or a directory that holds another campaign; nothing was run
  3    no finding, but a check ran out of its budget, or runs are missing
  70   a run was not deterministic, or raftsim itself failed
  130  stopped by Ctrl-C or SIGTERM; what was done is written, and --resume goes on
";

const FUZZ_EXAMPLES: &str = "\
Examples:
  raftsim fuzz                                    1000 runs of the default profile
  raftsim fuzz --seeds 0..100000 --resume         a campaign, or what a kill left of it
  raftsim fuzz --profile hostile --jobs 8         into reports/hostile-0-1000
  raftsim fuzz --time 10m --stop-after 1          until the first finding
  raftsim fuzz --seed 17                          one run
  raftsim fuzz --seeds 0..100000 --shard auto     this machine's part, by the CI engine

Shards:
  The shard I of N has the seeds with seed mod N = I, so shards need not know of each other.
  `--shard auto` reads I and N from what the engine sets, prints what it took, and refuses
  half a pair. An engine that tells no N gets it as `--shard auto/N`. A GitHub matrix sets
  no variables: --shard ${{ strategy.job-index }}/${{ strategy.job-total }}. Known are
";

const GEN_EXAMPLES: &str = "\
Examples:
  raftsim gen --seed 17 > 17.toml && raftsim run 17.toml    the run of `raftsim fuzz --seed 17`
";

const REPORT_EXAMPLES: &str = "\
Examples:
  raftsim report reports/default-0-100000                the summary of a campaign, whole or not
  raftsim report shards/* --out reports/night            of all shards, merged into one directory
";

/// The help that follows the options of `raftsim fuzz`.
fn fuzz_help() -> String {
    let engines: String = shard::engines().map(|line| format!("    {line}\n")).collect();
    format!("{FUZZ_EXAMPLES}{engines}\n{EXIT_CODES}")
}

/// Arguments of `raftsim fuzz`.
#[derive(Debug, Args)]
#[command(after_help = fuzz_help())]
pub(crate) struct FuzzArgs {
    /// The seeds A to B-1, or A and all that follow; decimal, or hexadecimal with 0x. By default 0..1000, and 0.. with
    /// --time.
    #[arg(long, value_name = "A..B", value_parser = seeds, conflicts_with = "seed")]
    pub seeds: Option<Seeds>,

    /// One seed: tells everything about its run, and replaces what an earlier run of it has written.
    #[arg(long, value_name = "S", value_parser = seed, conflicts_with_all = ["time", "shard", "stop_after", "resume"])]
    pub seed: Option<u64>,

    /// Begin no run after so much time, such as 90s, 10m or 8h.
    #[arg(long, value_name = "SPAN", value_parser = span)]
    pub time: Option<Duration>,

    /// Runs at a time; by default one per core. Results do not depend on it.
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub jobs: Option<u16>,

    /// What is drawn from the seeds.
    #[command(flatten)]
    pub profile: ProfileArgs,

    /// Only the seeds with seed mod N = I: `I/N`, `auto` or `auto/N`.
    #[arg(long, value_name = "I/N", value_parser = shard::parse)]
    pub shard: Option<ShardArg>,

    /// Stop at the Kth finding in the order of seeds, whichever is found first.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u64).range(1..))]
    pub stop_after: Option<u64>,

    /// The directory of the campaign; by default reports/ and a name that tells profile, seeds and shard.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// Go on with what is in the directory; start anew where there is nothing. Refuses another campaign.
    #[arg(long)]
    pub resume: bool,

    /// Share of the runs that are done twice, side by side, and compared event by event.
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share)]
    pub verify_share: Ppm,

    /// The version of the code under test, for reports; by default what the CI engine says.
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,

    /// Give every Nth seed a step that cannot hold: shows what a finding looks like, and that CI turns red.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub plant: Option<u64>,

    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
}

/// Which profile.
#[derive(Debug, Args)]
pub(crate) struct ProfileArgs {
    /// How scenarios are drawn from seeds: how large, with which faults, how hard.
    #[arg(long = "profile", value_name = "NAME", default_value = "default")]
    pub name: String,

    /// A file with profiles, beside those that are built in.
    #[arg(long = "profiles", value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Arguments of `raftsim gen`.
#[derive(Debug, Args)]
#[command(after_help = GEN_EXAMPLES)]
pub(crate) struct GenArgs {
    /// The seed; decimal, or hexadecimal with 0x.
    #[arg(long, value_name = "S", value_parser = seed)]
    pub seed: u64,

    /// What is drawn from it.
    #[command(flatten)]
    pub profile: ProfileArgs,
}

/// Arguments of `raftsim report`.
#[derive(Debug, Args)]
#[command(after_help = format!("{REPORT_EXAMPLES}\n{EXIT_CODES}"))]
pub(crate) struct ReportArgs {
    /// Directories of campaigns: the shards of one, or the same with other seeds.
    #[arg(value_name = "DIR", required = true)]
    pub directories: Vec<PathBuf>,

    /// Write everything, merged, into this new directory.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,

    /// How to print the results.
    #[arg(long, value_enum, default_value_t = Format::Human, value_name = "FORMAT")]
    pub format: Format,
}

/// Seeds in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Seeds {
    /// The first.
    pub from: u64,
    /// The one after the last; `None`: all that there are.
    pub to: Option<u64>,
}

fn seeds(text: &str) -> Result<Seeds, String> {
    let expected = || "expected two seeds such as 0..1000, or 1000.. for all from there".to_owned();
    let (from, to) = text.split_once("..").ok_or_else(expected)?;
    let bound = |text: &str| seed(text).map_err(|why| if why.contains("63") { why } else { expected() });
    let from = bound(from)?;
    if to.is_empty() {
        return Ok(Seeds { from, to: None });
    }
    let to = bound(to)?;
    if to <= from {
        return Err(format!("there is no seed in {text}: the second is the one after the last"));
    }
    Ok(Seeds { from, to: Some(to) })
}

/// The last seed of all.
pub(crate) const LAST_SEED: u64 = MAX_SEED;

fn span(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(Duration::ZERO) => Err("a campaign of no time has no runs".to_owned()),
        Ok(span) => Ok(span),
        Err(error) => Err(format!("{error}")),
    }
}

fn share(text: &str) -> Result<Ppm, String> {
    text.parse().map_err(|error| format!("{error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_a_range_that_holds_some() {
        assert_eq!(seeds("0..1000"), Ok(Seeds { from: 0, to: Some(1000) }));
        assert_eq!(seeds("0x10.."), Ok(Seeds { from: 16, to: None }));
        for wrong in ["", "5", "5..5", "7..5", "..5", "a..b", "1...3", "-1..4"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
        assert!(seeds("0..99999999999999999999").expect_err("too large").contains("expected"));
        assert!(seeds("0..0xffffffffffffffff").expect_err("64 bits").contains("63 bits"));
    }

    #[test]
    fn spans_and_shares_have_units() {
        assert_eq!(span("10m"), Ok(Duration::secs(600)));
        assert!(span("10").is_err() && span("0s").is_err());
        assert_eq!(share("5%"), Ok(Ppm::percent(5)));
        assert!(share("200%").is_err() && share("5").is_err());
    }
}
