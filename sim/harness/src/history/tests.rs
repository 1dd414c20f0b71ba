//! What a history keeps, and what becomes of scans.

use super::*;

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn put(key: &'static str, value: &'static str) -> Request {
    Request::Put { key: bytes(key), value: bytes(value) }
}

fn scan(start: &'static str, end: &'static str, limit: u32) -> Request {
    Request::Scan { start: bytes(start), end: bytes(end), limit }
}

/// The reads that a history's only answered scan becomes, in order of keys.
fn reads(history: &History) -> Vec<(Bytes, Option<Bytes>)> {
    let mut reads: Vec<_> = history
        .operations()
        .into_iter()
        .filter_map(|operation| match operation.action {
            Action::Get { value } => Some((operation.key, value.expect("scans are answered here"))),
            _ => None,
        })
        .collect();
    reads.sort();
    reads
}

fn three_keys_and_a_scan(request: Request, pairs: &[(&'static str, &'static str)]) -> History {
    let mut history = History::new();
    for key in ["a", "b", "c"] {
        let op = history.call(1, Time(1), put(key, "v"));
        history.ret(op, Time(2), Outcome::Done);
    }
    let op = history.call(2, Time(3), request);
    let pairs = pairs.iter().map(|&(key, value)| (bytes(key), bytes(value))).collect();
    history.ret(op, Time(4), Outcome::Pairs(pairs));
    history
}

#[test]
fn failed_requests_vanish_and_unknown_ones_stay_open() {
    let mut history = History::new();
    let failed = history.call(1, Time(5), put("k", "a"));
    let unknown = history.call(2, Time(5), put("k", "b"));
    history.ret(failed, Time(6), Outcome::Failed);
    history.ret(unknown, Time(7), Outcome::Unknown);
    history.call(3, Time(8), Request::Delete { key: bytes("k") });
    let read = history.call(4, Time(9), Request::Get { key: bytes("k") });
    history.ret(read, Time(9), Outcome::Unknown);
    let operations = history.operations();
    let expected = [
        Operation {
            client: 2,
            call: 1,
            ret: None,
            key: bytes("k"),
            action: Action::Put { value: bytes("b") },
            place: None,
        },
        Operation { client: 3, call: 4, ret: None, key: bytes("k"), action: Action::Delete, place: None },
    ];
    assert_eq!(operations, expected);
}

#[test]
fn calls_and_returns_share_one_order() {
    let mut history = History::new();
    let (a, b) = (history.call(1, Time(5), put("k", "a")), history.call(2, Time(5), put("k", "b")));
    history.ret(b, Time(5), Outcome::Done);
    history.ret(a, Time(6), Outcome::Done);
    let spans: Vec<_> = history.operations().iter().map(|op| (op.call, op.ret)).collect();
    assert_eq!(spans, [(0, Some(3)), (1, Some(2))]);
    assert_eq!(history.get(a).and_then(|record| record.ret.as_ref()).map(|ret| ret.0.time), Some(Time(6)));
}

#[test]
fn a_scan_reads_every_known_key_of_its_range() {
    let history = three_keys_and_a_scan(scan("a", "c", 10), &[("a", "v")]);
    assert_eq!(reads(&history), [(bytes("a"), Some(bytes("v"))), (bytes("b"), None)]);
    let history = three_keys_and_a_scan(scan("b", "", 10), &[("d", "x")]);
    let expected = [(bytes("b"), None), (bytes("c"), None), (bytes("d"), Some(bytes("x")))];
    assert_eq!(reads(&history), expected);
}

#[test]
fn a_scan_cut_by_its_limit_says_nothing_about_later_keys() {
    let history = three_keys_and_a_scan(scan("a", "", 1), &[("b", "v")]);
    assert_eq!(reads(&history), [(bytes("a"), None), (bytes("b"), Some(bytes("v")))]);
    let history = three_keys_and_a_scan(scan("a", "", 2), &[("b", "v")]);
    assert_eq!(reads(&history).len(), 3, "one pair does not fill a limit of two");
}

#[test]
fn a_scan_without_a_limit_reads_to_the_end() {
    let history = three_keys_and_a_scan(scan("a", "", 0), &[("b", "v")]);
    let expected = [(bytes("a"), None), (bytes("b"), Some(bytes("v"))), (bytes("c"), None)];
    assert_eq!(reads(&history), expected);
}

#[test]
fn a_clone_keeps_its_own_records() {
    let mut history = History::new();
    let op = history.call(1, Time(1), put("k", "a"));
    let before = history.clone();
    history.ret(op, Time(2), Outcome::Done);
    assert_eq!(before.get(op).map(|record| record.ret.is_some()), Some(false));
    assert_eq!(before.operations()[0].ret, None);
}

#[test]
#[should_panic(expected = "returns twice")]
fn nothing_returns_twice() {
    let mut history = History::new();
    let op = history.call(1, Time(1), put("k", "a"));
    history.ret(op, Time(2), Outcome::Done);
    history.ret(op, Time(3), Outcome::Unknown);
}

#[test]
#[should_panic(expected = "cannot have the outcome")]
fn a_put_is_not_answered_by_a_value() {
    let mut history = History::new();
    let op = history.call(1, Time(1), put("k", "a"));
    history.ret(op, Time(2), Outcome::Value(None));
}
