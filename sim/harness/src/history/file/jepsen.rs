//! Logs of Jepsen's etcd test: one compare-and-set register, at first nil.
//!
//! A record is `INFO jepsen.util - PROCESS EVENT FUNCTION VALUE`, its parts apart by tabs:
//! `:invoke`, `:ok`, `:fail` and `:info` are the events, `:read`, `:write` and `:cas` the functions, and values
//! are `nil`, a number, or `[a b]` for a compare-and-set from a to b. What other namespaces log is skipped.
//!
//! A `:fail` did not happen. An `:info` may happen at any later time, or never; Jepsen lets its process go on under
//! another number.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::{Events, ParseError};
use crate::linearizability::{Action, CasOutcome, Operation};

const MARK: &str = "jepsen.util - ";

/// Whether a line is a record.
pub(super) fn is_record(line: &str) -> bool {
    line.contains(MARK)
}

/// All operations; the register is the one key.
pub(super) fn parse(text: &str) -> Result<Vec<Operation>, ParseError> {
    let (mut events, mut failed) = (Events::default(), BTreeSet::new());
    for (line, number) in text.lines().zip(1..) {
        if let Some((_, record)) = line.split_once(MARK) {
            take(record, &mut events, &mut failed).map_err(|message| ParseError::new(number, message))?;
        }
    }
    let mut operations = events.operations;
    operations.retain(|operation| !failed.contains(&operation.call));
    Ok(operations)
}

fn take(record: &str, events: &mut Events, failed: &mut BTreeSet<u64>) -> Result<(), String> {
    let mut parts = record.splitn(4, '\t').map(str::trim);
    let mut part = |what: &str| parts.next().ok_or_else(|| format!("there is no {what}"));
    let process = part("process")?;
    let process = process.parse().map_err(|_| format!("`{process}` is no process"))?;
    let (event, function, value) = (part("event")?, part("function")?, part("value")?);
    match event {
        ":invoke" => {
            let action = action(function, value)?;
            let key = Bytes::from_static(b"register");
            events.call(process, Operation { client: process, call: 0, ret: None, key, action, place: None })
        }
        ":ok" => {
            let (operation, ret) = events.ret(process)?;
            if name(&operation.action) != function {
                return Err(format!(
                    "process {process} called {} and returns from {function}",
                    name(&operation.action)
                ));
            }
            operation.ret = Some(ret);
            match &mut operation.action {
                Action::Get { value: seen } => *seen = Some(register(value)?),
                Action::CompareAndSet { outcome, .. } => {
                    *outcome = Some(CasOutcome { succeeded: true, previous: None });
                }
                _ => {}
            }
            Ok(())
        }
        ":fail" => {
            failed.insert(events.ret(process)?.0.call);
            Ok(())
        }
        ":info" => events.ret(process).map(drop),
        _ => Err(format!("`{event}` is no event: expected :invoke, :ok, :fail or :info")),
    }
}

fn action(function: &str, value: &str) -> Result<Action, String> {
    match function {
        ":read" => Ok(Action::Get { value: None }),
        ":write" => Ok(register(value)?.map_or(Action::Delete, |value| Action::Put { value })),
        ":cas" => {
            let pair = value.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')?.split_once(' '));
            let (old, new) = pair.ok_or_else(|| format!("`{value}` is no pair such as [1 2]"))?;
            let value = register(new)?.ok_or("a compare-and-set to nil")?;
            Ok(Action::CompareAndSet { expected: register(old)?, value, outcome: None })
        }
        _ => Err(format!("`{function}` is no function: expected :read, :write or :cas")),
    }
}

fn name(action: &Action) -> &'static str {
    match action {
        Action::Get { .. } => ":read",
        Action::CompareAndSet { .. } => ":cas",
        _ => ":write",
    }
}

/// A value of the register.
fn register(text: &str) -> Result<Option<Bytes>, String> {
    let text = text.trim();
    match text {
        "nil" => Ok(None),
        _ if text.parse::<i64>().is_ok() => Ok(Some(Bytes::copy_from_slice(text.as_bytes()))),
        _ => Err(format!("`{text}` is neither nil nor a number")),
    }
}
