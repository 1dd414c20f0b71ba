//! Porcupine's key-value text: a Clojure map a line, `{:process 0, :type :invoke, :f :put, :key "k", :value "v"}`.
//!
//! Types are `:invoke` and `:ok`; functions `:get`, `:put` and `:append`; values are strings, or `nil` where a get is
//! called. A key that was never set reads as "", so absence and the empty string are one value here: absence.

use bytes::Bytes;

use super::{Events, ParseError};
use crate::linearizability::{Action, Operation};

/// All operations.
pub(super) fn parse(text: &str) -> Result<Vec<Operation>, ParseError> {
    let mut events = Events::default();
    for (line, number) in text.lines().zip(1..) {
        if !line.trim().is_empty() {
            take(line, &mut events).map_err(|message| ParseError::new(number, message))?;
        }
    }
    Ok(events.operations)
}

fn take(line: &str, events: &mut Events) -> Result<(), String> {
    let record = Record::parse(line)?;
    match record.kind {
        ":invoke" => {
            let value = || record.value.clone().ok_or_else(|| format!("a {} of nil", record.function));
            let action = match record.function {
                ":get" => Action::Get { value: None },
                ":put" => some(value()?).map_or(Action::Delete, |value| Action::Put { value }),
                // Of nothing: no more than a call that nobody heard of.
                ":append" => {
                    some(value()?).map_or(Action::Get { value: None }, |suffix| Action::Append { suffix })
                }
                other => return Err(format!("`{other}` is no function: expected :get, :put or :append")),
            };
            let key = Bytes::from(record.key);
            events.call(record.process, Operation { client: 0, call: 0, ret: None, key, action, place: None })
        }
        ":ok" => {
            let (operation, ret) = events.ret(record.process)?;
            if operation.key != record.key {
                return Err("it returns from another key than it called".to_owned());
            }
            operation.ret = Some(ret);
            if let (Action::Get { value }, ":get") = (&mut operation.action, record.function) {
                *value = Some(some(record.value.ok_or("a get returns nil")?));
            }
            Ok(())
        }
        other => Err(format!("`{other}` is no type: expected :invoke or :ok")),
    }
}

/// A value, or nothing where it is empty.
fn some(value: String) -> Option<Bytes> {
    (!value.is_empty()).then(|| Bytes::from(value))
}

struct Record<'a> {
    process: u64,
    kind: &'a str,
    function: &'a str,
    key: String,
    value: Option<String>,
}

impl<'a> Record<'a> {
    fn parse(line: &'a str) -> Result<Record<'a>, String> {
        let inner = line.trim().strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let mut rest = inner.ok_or("expected a map such as {:process 0, :type :invoke, ..}")?;
        let (mut process, mut kind, mut function, mut key, mut value) = (None, None, None, None, None);
        while !rest.is_empty() {
            let (name, after) = rest.split_once(' ').ok_or_else(|| format!("`{rest}` has no value"))?;
            let (token, after) = token(after)?;
            match name {
                ":process" => process = token.parse().ok(),
                ":type" => kind = Some(token),
                ":f" => function = Some(token),
                ":key" => key = string(token)?,
                ":value" => value = string(token)?,
                other => return Err(format!("`{other}` is not known")),
            }
            rest = after.trim_start_matches([',', ' ']);
        }
        Ok(Record {
            process: process.ok_or("there is no :process, or it is no number")?,
            kind: kind.ok_or("there is no :type")?,
            function: function.ok_or("there is no :f")?,
            key: key.ok_or("there is no :key")?,
            value,
        })
    }
}

/// The first value of a text: up to the comma after it, or to the quote that ends it.
fn token(text: &str) -> Result<(&str, &str), String> {
    if !text.starts_with('"') {
        return Ok(text.split_at(text.find(',').unwrap_or(text.len())));
    }
    let mut escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        match char {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Ok(text.split_at(at + 1)),
            _ => {}
        }
    }
    Err("a string has no end".to_owned())
}

/// A string without its quotes, or nil.
fn string(token: &str) -> Result<Option<String>, String> {
    if token == "nil" {
        return Ok(None);
    }
    // The escapes that logs have are JSON's, too.
    serde_json::from_str(token).map(Some).map_err(|_| format!("`{token}` is neither nil nor a string"))
}
