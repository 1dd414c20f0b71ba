//! Our own format: JSON Lines, a header and then one object a request, in the order of calls.
//!
//! ```json
//! {"raftsim-history":1}
//! {"client":1,"call":0,"ret":3,"time":[1200000,4100000],"place":[2,0],"request":{"put":{"key":"k","value":"v"}},"answer":"done"}
//! {"client":2,"call":1,"ret":4,"request":{"get":{"key":"k"}},"answer":{"value":null}}
//! ```
//!
//! `call` and `ret` are positions in the one order of all calls and returns, `time` is both in nanoseconds, for
//! people. `place` says how many calls and returns there were when the store answered, and its number among the
//! answers. A request without `ret` and `answer` was never answered. Bytes that are no text are `{"hex":"00ff"}`.

use std::io;

use bytes::Bytes;
use raftsim_kernel::Time;
use serde::{Deserialize, Serialize};

use super::ParseError;
use crate::history::{History, Moment, Outcome, Record, Request};
use crate::linearizability::Place;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    #[serde(rename = "raftsim-history")]
    version: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    client: u64,
    call: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ret: Option<u64>,
    #[serde(default)]
    time: (u64, u64),
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<(u64, u64)>,
    request: Asked,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Told>,
}

/// Bytes: as text where they are.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Text(String),
    Hex { hex: String },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Asked {
    Get { key: Text },
    Put { key: Text, value: Text },
    Delete { key: Text },
    Append { key: Text, suffix: Text },
    Cas { key: Text, expected: Option<Text>, value: Text },
    Scan { start: Text, end: Text, limit: u32 },
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
enum Told {
    Value(Option<Text>),
    Done,
    Cas { succeeded: bool, previous: Option<Text> },
    Pairs(Vec<(Text, Text)>),
    Failed,
    Unknown,
}

/// Writes a history.
pub(super) fn write(history: &History, out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = |value: serde_json::Result<String>| writeln!(out, "{}", value?);
    line(serde_json::to_string(&Header { version: VERSION }))?;
    history.records().try_for_each(|record| line(serde_json::to_string(&Line::from(record))))
}

/// Reads what [`write`] wrote.
pub(super) fn parse(text: &str) -> Result<History, ParseError> {
    let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    let (header, number) = lines.next().ok_or_else(|| ParseError::new(1, "the file is empty"))?;
    let header: Header = serde_json::from_str(header)
        .map_err(|_| ParseError::new(number, format!(r#"expected {{"raftsim-history":{VERSION}}}"#)))?;
    if header.version != VERSION {
        return Err(ParseError::new(number, format!("version {} is not known", header.version)));
    }
    let mut history = History::new();
    for (text, number) in lines {
        let line: Line = serde_json::from_str(text).map_err(|error| ParseError::new(number, error))?;
        let record = line.record().map_err(|message| ParseError::new(number, message))?;
        let last = record.ret.as_ref().map_or(record.call.position, |(ret, _)| ret.position);
        history.moments = history.moments.max(last + 1);
        history.records.push_back(record);
    }
    Ok(history)
}

impl Line {
    fn record(self) -> Result<Record, String> {
        let Line { client, call, ret, time, place, request, answer } = self;
        let request = request.request()?;
        let ret = match (ret, answer) {
            (None, None) => None,
            (Some(ret), _) if ret <= call => return Err("it returns before it is called".to_owned()),
            (Some(ret), Some(answer)) => {
                Some((Moment { time: Time(time.1), position: ret }, answer.outcome()?))
            }
            _ => return Err("`ret` and `answer` stand together, or neither does".to_owned()),
        };
        if ret.as_ref().is_some_and(|(_, outcome)| !request.may_have(outcome)) {
            return Err("the answer is to another kind of request".to_owned());
        }
        let call = Moment { time: Time(time.0), position: call };
        let place = place.map(|(after, number)| Place { after, number });
        Ok(Record { client, call, ret, request, place })
    }
}

impl From<&Record> for Line {
    fn from(record: &Record) -> Line {
        let (ret, answer) = match &record.ret {
            Some((moment, outcome)) => (Some(moment), Some(Told::from(outcome))),
            None => (None, None),
        };
        Line {
            client: record.client,
            call: record.call.position,
            ret: ret.map(|moment| moment.position),
            time: (record.call.time.0, ret.map_or(0, |moment| moment.time.0)),
            place: record.place.map(|place| (place.after, place.number)),
            request: Asked::from(&record.request),
            answer,
        }
    }
}

impl Asked {
    fn request(self) -> Result<Request, String> {
        Ok(match self {
            Asked::Get { key } => Request::Get { key: key.bytes()? },
            Asked::Put { key, value } => Request::Put { key: key.bytes()?, value: value.bytes()? },
            Asked::Delete { key } => Request::Delete { key: key.bytes()? },
            Asked::Append { key, suffix } => Request::Append { key: key.bytes()?, suffix: suffix.bytes()? },
            Asked::Cas { key, expected, value } => {
                let expected = expected.map(Text::bytes).transpose()?;
                Request::CompareAndSet { key: key.bytes()?, expected, value: value.bytes()? }
            }
            Asked::Scan { start, end, limit } => {
                Request::Scan { start: start.bytes()?, end: end.bytes()?, limit }
            }
        })
    }
}

impl From<&Request> for Asked {
    fn from(request: &Request) -> Asked {
        let text = Text::from;
        match request {
            Request::Get { key } => Asked::Get { key: text(key) },
            Request::Put { key, value } => Asked::Put { key: text(key), value: text(value) },
            Request::Delete { key } => Asked::Delete { key: text(key) },
            Request::Append { key, suffix } => Asked::Append { key: text(key), suffix: text(suffix) },
            Request::CompareAndSet { key, expected, value } => {
                Asked::Cas { key: text(key), expected: expected.as_ref().map(text), value: text(value) }
            }
            Request::Scan { start, end, limit } => {
                Asked::Scan { start: text(start), end: text(end), limit: *limit }
            }
        }
    }
}

impl Told {
    fn outcome(self) -> Result<Outcome, String> {
        Ok(match self {
            Told::Value(value) => Outcome::Value(value.map(Text::bytes).transpose()?),
            Told::Done => Outcome::Done,
            Told::Cas { succeeded, previous } => {
                Outcome::Cas { succeeded, previous: previous.map(Text::bytes).transpose()? }
            }
            Told::Pairs(pairs) => {
                let pair = |(key, value): (Text, Text)| Ok((key.bytes()?, value.bytes()?));
                Outcome::Pairs(pairs.into_iter().map(pair).collect::<Result<_, String>>()?)
            }
            Told::Failed => Outcome::Failed,
            Told::Unknown => Outcome::Unknown,
        })
    }
}

impl From<&Outcome> for Told {
    fn from(outcome: &Outcome) -> Told {
        let text = Text::from;
        match outcome {
            Outcome::Value(value) => Told::Value(value.as_ref().map(text)),
            Outcome::Done => Told::Done,
            Outcome::Cas { succeeded, previous } => {
                Told::Cas { succeeded: *succeeded, previous: previous.as_ref().map(text) }
            }
            Outcome::Pairs(pairs) => {
                Told::Pairs(pairs.iter().map(|(key, value)| (text(key), text(value))).collect())
            }
            Outcome::Failed => Told::Failed,
            Outcome::Unknown => Told::Unknown,
        }
    }
}

impl Text {
    fn bytes(self) -> Result<Bytes, String> {
        match self {
            Text::Text(text) => Ok(text.into()),
            Text::Hex { hex } => {
                let digits: Option<Vec<u8>> =
                    hex.chars().map(|char| char.to_digit(16).map(|digit| digit as u8)).collect();
                let pairs = digits.filter(|digits| digits.len() % 2 == 0);
                let pairs = pairs.ok_or_else(|| format!("`{hex}` is no hexadecimal number of bytes"))?;
                Ok(pairs.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
            }
        }
    }
}

impl From<&Bytes> for Text {
    fn from(bytes: &Bytes) -> Text {
        match std::str::from_utf8(bytes) {
            Ok(text) => Text::Text(text.to_owned()),
            Err(_) => Text::Hex { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() },
        }
    }
}
