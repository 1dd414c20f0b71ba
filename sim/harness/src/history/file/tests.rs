//! Small histories in each format, right and wrong, and what is refused.

use bytes::Bytes;
use raftsim_kernel::Time;

use super::{Format, parse, write};
use crate::history::{History, Outcome, Request};
use crate::linearizability::{Budget, Operation, Place, Verdict, check};

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn is_linearizable(operations: &[Operation]) -> bool {
    match check(operations, Budget::default()) {
        Verdict::Linearizable => true,
        Verdict::Violation(_) => false,
        unknown => panic!("{unknown:?}"),
    }
}

/// Text with spaces for the tabs of a Jepsen log.
fn jepsen(lines: &[&str]) -> String {
    lines
        .iter()
        .map(|line| format!("INFO  jepsen.util - {}\n", line.replace(' ', "\t").replace(',', " ")))
        .collect()
}

fn guessed(text: &str) -> Vec<Operation> {
    parse(text, Format::guess(text).expect("it looks like one")).expect("it is one")
}

fn refused(text: &str, format: Format) -> String {
    parse(text, format).expect_err("it is damaged").to_string()
}

/// Every kind of request and outcome.
fn everything() -> History {
    let mut history = History::new();
    let key = || bytes("k");
    let steps: Vec<(Request, Option<Outcome>)> = vec![
        (Request::Put { key: key(), value: Bytes::from_static(&[0, 255]) }, Some(Outcome::Done)),
        (Request::Get { key: key() }, Some(Outcome::Value(Some(Bytes::from_static(&[0, 255]))))),
        (Request::Delete { key: key() }, Some(Outcome::Done)),
        (Request::Get { key: key() }, Some(Outcome::Value(None))),
        (Request::Append { key: key(), suffix: bytes("\"é\n") }, Some(Outcome::Unknown)),
        (
            Request::CompareAndSet { key: key(), expected: None, value: bytes("v") },
            Some(Outcome::Cas { succeeded: true, previous: None }),
        ),
        (
            Request::CompareAndSet { key: key(), expected: Some(bytes("w")), value: bytes("x") },
            Some(Outcome::Cas { succeeded: false, previous: Some(bytes("v")) }),
        ),
        (Request::Put { key: bytes("j"), value: bytes("never") }, Some(Outcome::Failed)),
        (
            Request::Scan { start: bytes("a"), end: Bytes::new(), limit: 0 },
            Some(Outcome::Pairs(vec![(key(), bytes("v"))])),
        ),
        (Request::Put { key: key(), value: bytes("open") }, None),
    ];
    for (client, (request, outcome)) in (0..).zip(steps) {
        let op = history.call(client, Time(client * 10), request);
        if let Some(outcome) = outcome {
            history.ret(op, Time(client * 10 + 5), outcome);
            history.placed(op, Place { after: history.moments() - 1, number: client });
        }
    }
    history
}

#[test]
fn our_own_format_gives_back_what_was_written() {
    let history = everything();
    let mut file = Vec::new();
    write(&history, &mut file).expect("memory is patient");
    let text = String::from_utf8(file).expect("JSON is text");
    assert_eq!(text.lines().count(), history.len() + 1);
    assert_eq!(Format::guess(&text), Some(Format::Raftsim));
    assert_eq!(parse(&text, Format::Raftsim), Ok(history.operations()));
    let read = super::lines::parse(&text).expect("it was written");
    assert_eq!(read.records().collect::<Vec<_>>(), history.records().collect::<Vec<_>>());
    assert_eq!(read.moments(), history.moments());
}

#[test]
fn a_line_of_our_own_format_reads_like_what_it_is() {
    let mut history = History::new();
    let op = history.call(3, Time(7), Request::Put { key: bytes("k"), value: bytes("v") });
    history.ret(op, Time(9), Outcome::Done);
    history.placed(op, Place { after: 1, number: 4 });
    let mut file = Vec::new();
    write(&history, &mut file).expect("memory is patient");
    let expected = r#"{"raftsim-history":1}
{"client":3,"call":0,"ret":1,"time":[7,9],"place":[1,4],"request":{"put":{"key":"k","value":"v"}},"answer":"done"}
"#;
    assert_eq!(String::from_utf8_lossy(&file), expected);
}

#[test]
fn damaged_lines_of_our_own_format_are_refused() {
    let with = |line: &str| refused(&format!("{{\"raftsim-history\":1}}\n{line}\n"), Format::Raftsim);
    assert_eq!(refused("", Format::Raftsim), "line 1: the file is empty");
    assert_eq!(refused("{\"raftsim-history\":9}", Format::Raftsim), "line 1: version 9 is not known");
    assert!(refused("{}", Format::Raftsim).starts_with("line 1: expected {\"raftsim-history\":1}"));
    let get =
        |rest: &str| with(&format!(r#"{{"client":1,"call":5,"request":{{"get":{{"key":"k"}}}}{rest}}}"#));
    assert!(get(r#","ret":5,"answer":{"value":null}"#).contains("returns before it is called"));
    assert!(get(r#","ret":6"#).contains("stand together"));
    assert!(get(r#","ret":6,"answer":"done""#).contains("another kind of request"));
    assert!(get(r#","retort":6"#).contains("retort"));
    assert!(with(r#"{"client":1,"call":5,"request":{"get":{"key":{"hex":"0"}}}}"#).contains("hexadecimal"));
    assert!(with(r#"{"client":1,"call":5,"req"#).starts_with("line 2: "));
}

#[test]
fn a_jepsen_log_is_one_register() {
    let stale = ["0 :invoke :write 1", "0 :ok :write 1", "1 :invoke :read nil", "1 :ok :read nil"];
    assert!(!is_linearizable(&guessed(&jepsen(&stale))));
    let fresh = ["0 :invoke :write 1", "1 :invoke :read nil", "0 :ok :write 1", "1 :ok :read nil"];
    assert!(is_linearizable(&guessed(&jepsen(&fresh))));
    let swap = ["0 :invoke :cas [1,2]", "0 :ok :cas [1,2]"];
    assert!(!is_linearizable(&guessed(&jepsen(&swap))), "nil is not 1");
    assert!(is_linearizable(&guessed(&jepsen(&[&stale[..2], &swap].concat()))));
}

#[test]
fn a_failure_in_a_jepsen_log_never_happens_and_an_info_may_at_any_time() {
    let start = |end| ["0 :invoke :write 1", end];
    let read = ["1 :invoke :read nil", "1 :ok :read nil", "1 :invoke :read nil", "1 :ok :read 1"];
    assert!(is_linearizable(&guessed(&jepsen(&[&start("0 :info :write :timed-out"), &read[..]].concat()))));
    assert!(!is_linearizable(&guessed(&jepsen(&[&start("0 :fail :write 1"), &read[..]].concat()))));
}

#[test]
fn damaged_jepsen_logs_are_refused() {
    let with = |line: &str| refused(&jepsen(&["0 :invoke :write 1", line]), Format::Jepsen);
    assert_eq!(with("0 :invoke :read nil"), "line 2: process 0 calls while a call of its is open");
    assert_eq!(with("1 :ok :read nil"), "line 2: process 1 returns and has not called");
    assert_eq!(with("0 :ok :read nil"), "line 2: process 0 called :write and returns from :read");
    assert_eq!(with("x :ok :read nil"), "line 2: `x` is no process");
    assert_eq!(with("1 :invoke :write two"), "line 2: `two` is neither nil nor a number");
    assert_eq!(with("1 :invoke :cas 2"), "line 2: `2` is no pair such as [1 2]");
    assert_eq!(
        with("1 :maybe :read nil"),
        "line 2: `:maybe` is no event: expected :invoke, :ok, :fail or :info"
    );
    assert_eq!(with("1 :ok"), "line 2: there is no function");
}

/// A call and its return in Porcupine's text.
fn pair(process: u64, function: &str, value: &str, answer: &str) -> String {
    let line = |kind, value| {
        format!("{{:process {process}, :type :{kind}, :f :{function}, :key \"k, 1\", :value {value}}}\n")
    };
    line("invoke", value) + &line("ok", answer)
}

#[test]
fn porcupines_text_has_strings_that_are_empty_at_first() {
    let append = |suffix: &str| pair(0, "append", suffix, suffix);
    let get = |value: &str| pair(1, "get", "nil", value);
    let put = |value: &str| pair(2, "put", value, value);
    let text = get("\"\"") + &append("\"a \\\"b\\\", \"") + &append("\"c\"") + &get("\"a \\\"b\\\", c\"");
    assert!(is_linearizable(&guessed(&text)));
    assert_eq!(guessed(&text)[0].key, bytes("k, 1"));
    assert!(!is_linearizable(&guessed(&(text.clone() + &get("\"c\"")))));
    assert!(is_linearizable(&guessed(
        &(text + &put("\"\"") + &get("\"\"") + &append("\"\"") + &get("\"\""))
    )));
}

#[test]
fn damaged_porcupine_text_is_refused() {
    let no_end = r#"{:process 0, :type :invoke, :f :put, :key "k, :value "}"#;
    assert_eq!(
        refused("{:process 0", Format::Porcupine),
        "line 1: expected a map such as {:process 0, :type :invoke, ..}"
    );
    assert!(refused(no_end, Format::Porcupine).starts_with("line 1: "));
    assert_eq!(
        refused(&pair(0, "swap", "\"a\"", "nil"), Format::Porcupine),
        "line 1: `:swap` is no function: expected :get, :put or :append"
    );
    assert_eq!(refused(&pair(0, "get", "nil", "nil"), Format::Porcupine), "line 2: a get returns nil");
    assert_eq!(refused(&pair(0, "put", "nil", "nil"), Format::Porcupine), "line 1: a :put of nil");
}

#[test]
fn what_is_no_history_is_not_guessed_at() {
    assert_eq!(Format::guess("about = \"a scenario\""), None);
    assert_eq!(Format::guess(" \n"), None);
}
