//! Histories in files: our own, which [`write()`] makes, and two that others record.
//!
//! | format | what it is |
//! | --- | --- |
//! | `raftsim` | JSON Lines: a header, then an object for each request (`file/lines.rs`) |
//! | `jepsen` | a log of Jepsen's etcd test: one register with read, write and cas (`file/jepsen.rs`) |
//! | `porcupine` | Porcupine's key-value text: get, put and append in Clojure maps (`file/porcupine.rs`) |
//!
//! A file that is damaged is refused with the line that is wrong: a history that lacks a write is another history.

mod jepsen;
mod lines;
mod porcupine;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;

use super::History;
use crate::linearizability::Operation;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own.
    Raftsim,
    /// A Jepsen log.
    Jepsen,
    /// Porcupine's key-value text.
    Porcupine,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub message: String,
}

impl ParseError {
    fn new(line: usize, message: impl fmt::Display) -> ParseError {
        ParseError { line, message: message.to_string() }
    }
}

impl Format {
    /// The format of a text, by its first line that is not empty; `None` if it looks like none of them.
    #[must_use]
    pub fn guess(text: &str) -> Option<Format> {
        let first = text.lines().map(str::trim).find(|line| !line.is_empty())?;
        if first.starts_with("{:") {
            Some(Format::Porcupine)
        } else if first.starts_with('{') {
            Some(Format::Raftsim)
        } else if jepsen::is_record(first) || first.starts_with("INFO") {
            Some(Format::Jepsen)
        } else {
            None
        }
    }
}

/// The operations that a text in this format records.
///
/// # Errors
/// The first line that makes no sense.
pub fn parse(text: &str, format: Format) -> Result<Vec<Operation>, ParseError> {
    match format {
        Format::Raftsim => lines::parse(text).map(|history| history.operations()),
        Format::Jepsen => jepsen::parse(text),
        Format::Porcupine => porcupine::parse(text),
    }
}

/// Writes a history in our own format. [`parse`] gives back its operations.
///
/// # Errors
/// Those of `out`.
pub fn write(history: &History, out: &mut dyn io::Write) -> io::Result<()> {
    lines::write(history, out)
}

/// Calls and returns as a log tells of them: who called, and at which position.
#[derive(Debug, Default)]
struct Events {
    operations: Vec<Operation>,
    /// What each process has called and not heard of.
    pending: std::collections::BTreeMap<u64, usize>,
    position: u64,
}

impl Events {
    /// A process calls.
    fn call(&mut self, process: u64, operation: Operation) -> Result<(), String> {
        let call = self.next();
        self.operations.push(Operation { client: process, call, ..operation });
        match self.pending.insert(process, self.operations.len() - 1) {
            None => Ok(()),
            Some(_) => Err(format!("process {process} calls while a call of its is open")),
        }
    }

    /// A process returns: its operation, to be completed, with the position of the return.
    fn ret(&mut self, process: u64) -> Result<(&mut Operation, u64), String> {
        let ret = self.next();
        let open = self.pending.remove(&process);
        let open = open.ok_or_else(|| format!("process {process} returns and has not called"))?;
        Ok((&mut self.operations[open], ret))
    }

    fn next(&mut self) -> u64 {
        self.position += 1;
        self.position - 1
    }
}
