//! What can go wrong with the tool, and with which exit code it ends.

use std::io;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};

/// Exit codes, as the help states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All is well.
    Clean = 0,
    /// A check did not hold.
    Finding = 1,
    /// The command line or a scenario makes no sense.
    Usage = 2,
    /// A check ran out of its budget.
    Unknown = 3,
    /// Our own mistake; `EX_SOFTWARE` of sysexits.h.
    Internal = 70,
    /// Somebody stopped a campaign: what a shell reports for `SIGINT`.
    Interrupted = 130,
    /// The reader of our output has left: what a shell reports for `SIGPIPE`, since it is unknown what the reader
    /// missed.
    Pipe = 141,
}

/// Why the tool gave up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The arguments do not go together.
    #[error("{0}")]
    Usage(String),
    /// Scenarios that were only to be checked.
    #[error("{0}")]
    Check(Broken),
    /// Scenarios that were to be run.
    #[error("{0}, nothing was run")]
    Run(Broken),
    /// One seed, two results.
    #[error("seed {seed} has another result in {}: two machines, two runs", path.display())]
    Contradiction {
        /// The seed.
        seed: u64,
        /// Where the second one is.
        path: PathBuf,
    },
    /// A file cannot be written: that of a trace, or of a campaign.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Standard output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

/// Files that cannot be read or parsed.
#[derive(Debug, thiserror::Error)]
#[error("{} with errors", crate::numbers::count(*files, "file"))]
pub(crate) struct Broken {
    /// How many there are.
    pub files: usize,
    /// What is wrong with them, rendered.
    pub details: String,
}

impl Error {
    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Error::Usage(_) | Error::Check(_) | Error::Run(_) | Error::Write { .. } => Exit::Usage,
            Error::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Pipe,
            Error::Output(_) | Error::Contradiction { .. } => Exit::Internal,
        }
    }

    /// The message for the terminal, with styles.
    pub(crate) fn render(&self) -> String {
        let details = match self {
            Error::Check(broken) | Error::Run(broken) => broken.details.as_str(),
            _ => "",
        };
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        format!("{details}{red}error{red:#}: {self}\n")
    }
}
