//! Small histories whose verdict a person can see. Each is drawn with one letter a moment, as in the reports.

use bytes::Bytes;
use raftsim_harness::linearizability::{Action, Budget, CasOutcome, Operation, Refutation, Verdict, check};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn get(value: &str) -> Action {
    Action::Get { value: Some(Some(bytes(value))) }
}

fn get_absent() -> Action {
    Action::Get { value: Some(None) }
}

fn put(value: &str) -> Action {
    Action::Put { value: bytes(value) }
}

fn append(suffix: &str) -> Action {
    Action::Append { suffix: bytes(suffix) }
}

fn cas(expected: Option<&str>, value: &str, outcome: Option<CasOutcome>) -> Action {
    Action::CompareAndSet { expected: expected.map(bytes), value: bytes(value), outcome }
}

fn swapped(expected: Option<&str>, value: &str) -> Action {
    let previous = Some(expected.map(bytes));
    cas(expected, value, Some(CasOutcome { succeeded: true, previous }))
}

fn refused(expected: Option<&str>, previous: Option<&str>) -> Action {
    cas(expected, "never", Some(CasOutcome { succeeded: false, previous: Some(previous.map(bytes)) }))
}

/// Operations on one key, one a line: `[` is its call and `]` its return, in columns of one common time;
/// without a `]` it is open. The client is the line's number.
fn history(lines: &[(&str, Action)]) -> Vec<Operation> {
    let column = |line: &str, mark| line.find(mark).map(|column| column as u64);
    let operation = |(client, (line, action)): (usize, &(&str, Action))| Operation {
        client: client as u64,
        call: column(line, '[').expect("a line has a call"),
        ret: column(line, ']'),
        key: bytes("k"),
        action: action.clone(),
        place: None,
    };
    lines.iter().enumerate().map(operation).collect()
}

fn accepts(lines: &[(&str, Action)]) {
    let verdict = check(&history(lines), Budget::default());
    assert_eq!(verdict, Verdict::Linearizable);
}

fn rejects(lines: &[(&str, Action)]) -> Refutation {
    match check(&history(lines), Budget::default()) {
        Verdict::Violation(refutation) => refutation,
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn nothing_is_linearizable() {
    assert_eq!(check(&[], Budget { total: 0, per_key: 0 }), Verdict::Linearizable);
}

#[test]
fn a_key_starts_absent() {
    accepts(&[("[]", get_absent())]);
    rejects(&[("[]", get(""))]);
}

#[test]
fn a_stale_read() {
    rejects(&[("[]", put("a")), ("  []", put("b")), ("    []", get("a"))]);
    accepts(&[("[]", put("a")), ("  [  ]", put("b")), ("   []", get("a"))]);
}

#[test]
fn a_read_of_a_value_never_written() {
    rejects(&[("[]", put("a")), ("  []", get("b"))]);
}

#[test]
fn a_read_from_the_future() {
    rejects(&[("[]", get("a")), ("  []", put("a"))]);
}

#[test]
fn a_lost_update() {
    rejects(&[("[ ]", append("a")), (" [ ]", append("b")), ("    []", get("a"))]);
    accepts(&[("[ ]", append("a")), (" [ ]", append("b")), ("    []", get("ba"))]);
}

#[test]
fn an_append_applied_twice() {
    rejects(&[("[]", append("a")), ("  []", get("aa"))]);
    rejects(&[("[", append("a")), (" []", get("aa"))]);
    accepts(&[("[", append("a")), (" []", append("a")), ("   []", get("aa"))]);
}

#[test]
fn an_append_to_an_absent_key_creates_it() {
    accepts(&[("[]", put("x")), ("  []", Action::Delete), ("    []", append("a")), ("      []", get("a"))]);
    rejects(&[("[]", put("x")), ("  []", Action::Delete), ("    []", append("a")), ("      []", get("xa"))]);
}

#[test]
fn two_reads_cannot_disagree_on_an_order() {
    let writes = [("[    ]", put("a")), ("[    ]", put("b"))];
    let ab = [("      []", get("a")), ("        []", get("b"))];
    rejects(&[&writes[..], &ab[..]].concat());
    let during = [(" []", get("a")), ("   []", get("b"))];
    accepts(&[&writes[..], &during[..]].concat());
}

#[test]
fn only_one_of_two_equal_swaps_can_succeed() {
    rejects(&[("[ ]", swapped(None, "a")), (" [ ]", swapped(None, "b"))]);
    accepts(&[("[ ]", swapped(None, "a")), (" [ ]", refused(None, Some("a")))]);
}

#[test]
fn a_refused_swap_tells_the_value() {
    rejects(&[("[]", put("a")), ("  []", refused(Some("a"), Some("b")))]);
    rejects(&[("[]", put("a")), ("  []", refused(Some("a"), Some("a")))]);
    accepts(&[("[]", put("a")), ("  []", refused(None, Some("a")))]);
}

#[test]
fn a_refused_swap_that_tells_nothing_still_saw_another_value() {
    let silent = |expected| cas(expected, "b", Some(CasOutcome { succeeded: false, previous: None }));
    rejects(&[("[]", put("a")), ("  []", silent(Some("a")))]);
    accepts(&[("[]", put("a")), ("  []", silent(None))]);
    // Nobody reads the open put's value, and yet it is what refuses the swap.
    let around = [("[]", put("a")), ("   []", silent(Some("a"))), ("     []", put("c"))];
    rejects(&around);
    accepts(&[&around[..], &[("  [", put("b"))][..]].concat());
}

#[test]
fn a_swap_that_contradicts_itself() {
    let previous = Some(Some(bytes("b")));
    let lie = cas(Some("a"), "c", Some(CasOutcome { succeeded: true, previous }));
    rejects(&[("[ ]", put("a")), (" [ ]", put("b")), ("[    ]", lie)]);
}

#[test]
fn a_swap_with_an_answer_that_does_not_tell_how_it_went() {
    let maybe = cas(Some("a"), "b", None);
    let start = [("[]", put("a")), ("  []", maybe)];
    accepts(&[&start[..], &[("    []", get("b"))][..]].concat());
    rejects(&[&start[..], &[("    []", get("a"))][..]].concat());
}

#[test]
fn an_open_write_may_be_seen_later() {
    accepts(&[("[", put("a")), (" []", get_absent()), ("   []", get("a"))]);
    accepts(&[("[", cas(None, "a", None)), (" []", get_absent()), ("   []", get("a"))]);
}

#[test]
fn an_open_write_may_never_be_seen() {
    accepts(&[("[", put("a")), (" []", get_absent())]);
    accepts(&[("[", append("a")), (" []", append("b")), ("   []", get("b"))]);
}

#[test]
fn an_open_write_seen_cannot_be_unseen() {
    rejects(&[("[", put("a")), (" []", get("a")), ("   []", get_absent())]);
    rejects(&[("[", append("a")), (" []", get("a")), ("   []", append("b")), ("     []", get("b"))]);
}

#[test]
fn an_open_write_is_not_seen_before_its_call() {
    rejects(&[("[]", get("a")), ("  [", put("a"))]);
}

#[test]
fn an_open_delete_explains_an_absence() {
    let read = [("[]", put("a")), ("   []", get_absent())];
    rejects(&read);
    accepts(&[&read[..], &[("  [", Action::Delete)][..]].concat());
}

#[test]
fn open_writes_build_on_each_other() {
    let chain = [("[", append("a")), ("[", append("b")), ("[", cas(Some("ab"), "c", None))];
    accepts(&[&chain[..], &[("  []", get("c"))][..]].concat());
    accepts(&[&chain[..], &[("  []", get("ba"))][..]].concat());
    rejects(&[&chain[1..], &[("  []", get("c"))][..]].concat());
}

#[test]
fn reads_without_an_answer_are_no_matter() {
    accepts(&[("[", get("never")), (" []", Action::Get { value: None })]);
}

#[test]
fn keys_are_independent_and_a_violation_beats_an_unknown() {
    // Key "a" is hard: concurrent puts whose order only the last read tells. Key "z" is plainly wrong.
    let mut operations: Vec<Operation> = (0..12)
        .map(|n| Operation {
            client: n,
            call: n,
            ret: Some(100 + n),
            key: bytes("a"),
            action: append("x"),
            place: None,
        })
        .collect();
    let read =
        Operation { client: 0, call: 200, ret: Some(201), key: bytes("a"), action: get("y"), place: None };
    operations.push(read.clone());
    let small = Budget { total: 1_000, per_key: 8 };
    assert!(
        matches!(check(&operations, small), Verdict::Unknown { key, explored } if key == "a" && explored >= 8)
    );
    operations.push(Operation { key: bytes("z"), action: get("y"), ..read });
    match check(&operations, small) {
        Verdict::Violation(refutation) => assert_eq!(refutation.key, "z"),
        verdict => panic!("{verdict:?}"),
    }
}

#[test]
fn a_spent_budget_is_never_a_pass() {
    let lines = [("[]", put("a")), ("  []", get("a"))];
    for total in 0..2 {
        let verdict = check(&history(&lines), Budget { total, per_key: u64::MAX });
        assert!(matches!(verdict, Verdict::Unknown { .. }), "{total}: {verdict:?}");
    }
}

#[test]
#[should_panic(expected = "returns before it is called")]
fn a_return_before_the_call_is_refused() {
    check(&history(&[("][", put("a"))]), Budget::default());
}

#[test]
fn a_refutation_is_the_shortest_failing_prefix() {
    let refutation = rejects(&[
        ("[]", put("a")),
        ("  [   ]", put("b")),
        ("    []", get("a")),
        ("     [  ]", append("c")),
        ("        []", get("a")),
        ("          []", get("z")),
        ("           []", put("d")),
    ]);
    let calls: Vec<u64> = refutation.operations.iter().map(|operation| operation.call).collect();
    assert_eq!(calls, [0, 2, 4, 5, 8], "what is called after the failing return is not part of it");
    assert_eq!(refutation.unplaced, [4]);
    assert_eq!(refutation.order.len(), 4);
    let kept = refutation.operations.clone();
    let again = check(&kept, Budget::default());
    assert_eq!(again, Verdict::Violation(refutation), "a prefix refutes itself");
    let shorter: Vec<Operation> = kept.into_iter().filter(|operation| operation.call != 8).collect();
    assert_eq!(check(&shorter, Budget::default()), Verdict::Linearizable);
}

#[test]
fn a_refutation_cuts_answers_that_came_later() {
    let refutation = rejects(&[("[     ]", swapped(None, "a")), (" []", get("b")), ("  [    ]", get("a"))]);
    assert_eq!(refutation.operations.len(), 2, "the second read had no answer when the first one failed");
    assert_eq!(refutation.operations[0].ret, None);
    assert_eq!(refutation.operations[0].action, cas(None, "a", None));
}

#[test]
fn a_refutation_reads_as_a_table() {
    let refutation = rejects(&[
        ("[ ]", append("a")),
        (" [  ]", append("b")),
        ("   [", put("c")),
        ("     [  ]", get("ab")),
        ("       [  ]", swapped(Some("a"), "d")),
        ("           [  ]", get("a")),
    ]);
    let expected = r#"
key "k" is not linearizable: no order explains 4 answers (1 more call was never answered, or later)
  order  client  call..return  operation                answer  time
      1       0  0..2          append "a"               done    [-]
      2       1  1..4          append "b"               done     [--]
      -       2  3..           put "c"                  none       [----->
      3       3  5..8          get                      "ab"         [-]
      ?       4  7..10         compare "a" and set "d"  set           [-]
after number 3 in the best order, the value is "ab"
without a place: client 4's compare "a" and set "d" -> set"#;
    assert_eq!(refutation.to_string(), expected.trim_start());
}

#[test]
fn a_refutation_says_what_speaks_against_each_answer() {
    let why = |lines: &[(&str, Action)]| rejects(lines).why().join("\n");
    let never_made = why(&[("[]", put("a")), ("  []", get("b"))]);
    assert_eq!(never_made, r#"client 1's get (2..3) tells of "b", which nothing before its return makes"#);
    let stale = why(&[("[]", put("a")), ("  []", put("b")), ("    []", get("a"))]);
    let expected = r#"client 2's get (4..5) tells of "a", as client 0's put "a" (0..1) left it; client 1's put "b" (2..3) came in between"#;
    assert_eq!(stale, expected);
    let lost = why(&[("[]", put("a")), ("  []", get_absent())]);
    let expected = r#"client 1's get (2..3) tells of an absent key, as the start left it; client 0's put "a" (0..1) came in between"#;
    assert_eq!(lost, expected);
    let torn =
        why(&[("[    ]", put("a")), ("[    ]", put("b")), ("      []", get("a")), ("        []", get("b"))]);
    let expected = r#"client 3's get (8..9) tells of "b", as client 1's put "b" (0..5) may have left it; with the other answers, never at that time"#;
    assert_eq!(torn, expected);
}

/// One register by many clients at once, in waves: in each, all write and one of them reads what nobody can order.
fn tangled(waves: u64, clients: u64) -> Vec<Operation> {
    let wave = |wave: u64| {
        let at = wave * 1_000;
        let write = move |client: u64| Operation {
            client,
            call: at + client,
            ret: Some(at + 500 + client),
            key: bytes("k"),
            action: append(&format!("{client},")),
            place: None,
        };
        (0..clients).map(write)
    };
    let mut operations: Vec<Operation> = (0..waves).flat_map(wave).collect();
    let end = waves * 1_000;
    let action = get("nothing of that");
    operations.push(Operation {
        client: 0,
        call: end,
        ret: Some(end + 1),
        key: bytes("k"),
        action,
        place: None,
    });
    operations
}

#[test]
fn a_refutation_costs_no_more_than_the_budget_of_a_key() {
    // The last read is refuted at once; that it is the last one that fails takes a search of each prefix.
    let operations = tangled(50, 40);
    let Verdict::Violation(refutation) = check(&operations, Budget { total: 200_000, per_key: 200_000 })
    else {
        panic!("the read of what nobody wrote is found at once");
    };
    assert_eq!(
        refutation.unplaced.last().map(|&last| &refutation.operations[last].action),
        Some(&get("nothing of that"))
    );
    assert!(refutation.to_string().lines().count() < 50, "it is told in a few lines");
    assert!(refutation.why().len() <= 20);
}
