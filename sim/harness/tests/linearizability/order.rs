//! The first tier: what it accepts, what it leaves to the search, and what is counted where.

use bytes::Bytes;
use raftsim_harness::linearizability::{Action, Budget, Decided, Operation, Place, Verdict, judge, order};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn get(value: &str) -> Action {
    Action::Get { value: Some((!value.is_empty()).then(|| bytes(value))) }
}

fn put(value: &str) -> Action {
    Action::Put { value: bytes(value) }
}

fn append(suffix: &str) -> Action {
    Action::Append { suffix: bytes(suffix) }
}

/// Operations on one key, one a line: `[` is its call, `]` its return, `*` in between where a store answered.
fn history(lines: &[(&str, Action)]) -> Vec<Operation> {
    let column = |line: &str, mark| line.find(mark).map(|column| column as u64);
    let operation = |(client, (line, action)): (u64, &(&str, Action))| Operation {
        client,
        call: column(line, '[').expect("a line has a call"),
        ret: column(line, ']'),
        key: bytes("k"),
        action: action.clone(),
        place: column(line, '*').map(|after| Place { after, number: after }),
    };
    (0..).zip(lines).map(operation).collect()
}

fn accepted(lines: &[(&str, Action)]) -> bool {
    let operations = history(lines);
    let judged = judge(&operations, Budget::default());
    assert!(!order(&operations) || judged.verdict == Verdict::Linearizable);
    assert_eq!(judged.decided.by_order == 1, order(&operations));
    order(&operations)
}

/// Writes at once whose order only the places tell; the reads make it certain.
fn three_at_once(places: [&'static str; 3]) -> Vec<(&'static str, Action)> {
    let writes = ["a", "b", "c"].map(append);
    let mut lines: Vec<_> = places.into_iter().zip(writes).collect();
    lines.push(("            [*]", get("bca")));
    lines
}

#[test]
fn concurrent_writes_are_taken_in_the_order_of_their_answers() {
    assert!(accepted(&three_at_once(["[        *]", " [  *    ]", "  [    *   ]"])));
}

#[test]
fn a_wrong_order_is_left_to_the_search_which_finds_the_right_one() {
    let lines = three_at_once(["[   *     ]", " [        * ]", "  [     * ]"]);
    assert!(!accepted(&lines));
    let judged = judge(&history(&lines), Budget::default());
    assert_eq!(judged.verdict, Verdict::Linearizable);
    assert_eq!(judged.decided, Decided { by_order: 0, by_search: 1, unknown: 0 });
}

#[test]
fn an_order_against_real_time_is_not_accepted() {
    // By the places, the read comes first; it was called after the write had returned.
    assert!(!accepted(&[("[  ] *", put("a")), ("     [*]", get(""))]));
    assert!(accepted(&[("[  *]", put("a")), (" [*]", get(""))]));
    assert!(!accepted(&[("[]", put("a")), ("  []", put("b")), ("    [*]", get("a"))]));
}

#[test]
fn reads_find_their_own_place() {
    // Served by a replica that lags behind: answered after the second write, with the value of the first.
    assert!(accepted(&[
        ("[*]", put("a")),
        ("   [ *]", put("b")),
        ("    [  *]", get("a")),
        ("     [ *]", get("b"))
    ]));
    // Once somebody saw the second, nobody may see the first.
    assert!(!accepted(&[
        ("[*]", put("a")),
        ("   [      *]", put("b")),
        ("    [*]", get("b")),
        ("       [*]", get("a"))
    ]));
}

#[test]
fn calls_without_an_answer_are_used_where_an_answer_needs_them() {
    assert!(accepted(&[("[", put("a")), (" [*]", get("")), ("    [*]", get("a"))]));
    assert!(accepted(&[("[*]", put("a")), ("   [", Action::Delete), ("    [*]", get(""))]));
    let chain = [("[*]", put("x")), (" [", append("a")), ("  [", append("b"))];
    assert!(accepted(&[&chain[..], &[("     [*]", get("xba"))]].concat()));
    assert!(accepted(&[&chain[..], &[("     [*]", append("c")), ("        [*]", get("xac"))]].concat()));
    assert!(!accepted(&[("  [", put("a")), ("[]", get("a"))]), "it is called after the read returned");
    assert!(!accepted(&[("[", append("a")), (" [*]", get("a")), ("    [*]", get("aa"))]), "it is used once");
}

#[test]
fn a_history_without_places_is_tried_in_the_order_of_returns() {
    assert!(accepted(&[("[  ]", put("a")), (" [   ]", put("b")), ("       []", get("b"))]));
}

#[test]
fn keys_are_counted_by_who_decided() {
    let mut operations = history(&[("[*]", put("a")), ("   [*]", get("a"))]);
    let other = |operation: &Operation| Operation { key: bytes("l"), ..operation.clone() };
    operations
        .extend(history(&three_at_once(["[   *     ]", " [        * ]", "  [     * ]"])).iter().map(other));
    let decided = |budget| judge(&operations, budget).decided;
    assert_eq!(decided(Budget::default()), Decided { by_order: 1, by_search: 1, unknown: 0 });
    let judged = judge(&operations, Budget { total: 1, per_key: 1 });
    assert_eq!(judged.decided, Decided { by_order: 1, by_search: 0, unknown: 1 });
    assert!(matches!(judged.verdict, Verdict::Unknown { key, .. } if key == "l"));
}
