//! The checker against a brute force that tries every order: random histories, and histories linearizable by
//! construction with and without one wrong answer.

use bytes::Bytes;
use proptest::prelude::*;
use raftsim_harness::linearizability::{
    Action, Budget, CasOutcome, Operation, Place, Verdict, check, judge, order,
};

type Value = Option<Bytes>;

/// The value after an action takes effect on `value`; `None` if its answer is wrong there.
fn take_effect(action: &Action, answered: bool, value: &Value) -> Option<Value> {
    match action {
        Action::Get { value: Some(seen) } if answered => (seen == value).then(|| value.clone()),
        Action::Get { .. } => Some(value.clone()),
        Action::Put { value } => Some(Some(value.clone())),
        Action::Delete => Some(None),
        Action::Append { suffix } => {
            Some(Some([value.as_deref().unwrap_or_default(), &suffix[..]].concat().into()))
        }
        Action::CompareAndSet { expected, value: new, outcome } => {
            let succeeds = expected == value;
            if let Some(CasOutcome { succeeded, previous }) = outcome.as_ref().filter(|_| answered) {
                let right = *succeeded == succeeds && previous.as_ref().is_none_or(|seen| seen == value);
                right.then_some(())?;
            }
            Some(if succeeds { Some(new.clone()) } else { value.clone() })
        }
    }
}

/// Whether some order of the operations in `left` explains all answers among them.
fn some_order(left: &[&Operation], value: &Value) -> bool {
    let Some(first_return) = left.iter().filter_map(|operation| operation.ret).min() else {
        return true;
    };
    (0..left.len()).filter(|&index| left[index].call < first_return).any(|index| {
        let rest: Vec<&Operation> = [&left[..index], &left[index + 1..]].concat();
        take_effect(&left[index].action, left[index].ret.is_some(), value)
            .is_some_and(|value| some_order(&rest, &value))
    })
}

fn brute_force(operations: &[Operation]) -> bool {
    let mut keys: Vec<&Bytes> = operations.iter().map(|operation| &operation.key).collect();
    keys.sort();
    keys.dedup();
    keys.into_iter().all(|key| {
        let history: Vec<&Operation> = operations.iter().filter(|operation| operation.key == key).collect();
        some_order(&history, &None)
    })
}

/// Compares the verdicts of all tiers; of a violation, checks the refutation too.
fn agree(operations: &[Operation]) -> Result<(), TestCaseError> {
    prop_assert!(!order(operations) || brute_force(operations), "accepted wrongly: {operations:#?}");
    prop_assert_eq!(judge(operations, Budget::default()).verdict, check(operations, Budget::default()));
    match check(operations, Budget::default()) {
        Verdict::Linearizable => prop_assert!(brute_force(operations), "passed wrongly: {operations:#?}"),
        Verdict::Unknown { .. } => prop_assert!(false, "out of budget: {operations:#?}"),
        Verdict::Violation(refutation) => {
            prop_assert!(!brute_force(operations), "refuted wrongly: {refutation}");
            prop_assert!(!brute_force(&refutation.operations), "the prefix is right: {refutation}");
            let last = refutation.operations.iter().filter_map(|operation| operation.ret).max();
            let mut shorter = refutation.operations.clone();
            shorter.iter_mut().filter(|operation| operation.ret == last).for_each(|operation| {
                operation.ret = None;
            });
            prop_assert!(brute_force(&shorter), "a shorter prefix fails: {refutation}");
        }
    }
    Ok(())
}

/// Few and short values, so that they meet.
fn content() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["", "a", "b", "ab", "ba", "aa", "aab"])
        .prop_map(|text| Bytes::from_static(text.as_bytes()))
}

fn suffix() -> impl Strategy<Value = Bytes> {
    prop::sample::select(vec!["a", "b", "ab"]).prop_map(|text| Bytes::from_static(text.as_bytes()))
}

fn value() -> impl Strategy<Value = Value> {
    prop::option::weighted(0.75, content())
}

fn outcome() -> impl Strategy<Value = CasOutcome> {
    (any::<bool>(), prop::option::of(value()))
        .prop_map(|(succeeded, previous)| CasOutcome { succeeded, previous })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => prop::option::weighted(0.95, value()).prop_map(|value| Action::Get { value }),
        2 => content().prop_map(|value| Action::Put { value }),
        1 => Just(Action::Delete),
        3 => suffix().prop_map(|suffix| Action::Append { suffix }),
        2 => (value(), content(), prop::option::weighted(0.8, outcome()))
            .prop_map(|(expected, value, outcome)| Action::CompareAndSet { expected, value, outcome }),
    ]
}

/// Operations with random spans: `spans` are the moments, two an operation, in the order that they are dealt.
fn with_spans(spans: Vec<usize>, actions: Vec<(Action, bool, bool)>) -> Vec<Operation> {
    let operation = |(index, (action, open, second)): (usize, (Action, bool, bool))| {
        let (a, b) = (spans[2 * index] as u64, spans[2 * index + 1] as u64);
        Operation {
            client: index as u64,
            call: a.min(b),
            ret: (!open).then_some(a.max(b)),
            key: Bytes::from_static(if second { b"y" } else { b"x" }),
            action,
            place: None,
        }
    };
    actions.into_iter().enumerate().map(operation).collect()
}

fn random_history() -> impl Strategy<Value = Vec<Operation>> {
    let one = || (action(), prop::bool::weighted(0.25), prop::bool::weighted(0.15));
    prop::collection::vec(one(), 1..=7).prop_flat_map(|actions| {
        let moments: Vec<usize> = (0..actions.len() * 2).collect();
        (Just(moments).prop_shuffle(), Just(actions)).prop_map(|(spans, actions)| with_spans(spans, actions))
    })
}

/// A choice of the interleaving: which client moves, and what it does if it starts something.
type Move = (usize, Action, bool);

/// Clients that call, take effect and return against one map, in steps that the moves choose: linearizable.
fn recorded(moves: Vec<Move>, clients: usize) -> Vec<Operation> {
    enum Phase {
        Idle,
        Called(usize),
        Effective(usize),
    }
    let mut operations: Vec<Operation> = Vec::new();
    let mut phases: Vec<Phase> = (0..clients).map(|_| Phase::Idle).collect();
    let mut value: Value = None;
    for (at, (client, action, gives_up)) in (0..).zip(moves) {
        let client = client % clients;
        phases[client] = match phases[client] {
            Phase::Idle => {
                let key = Bytes::from_static(b"x");
                let client = client as u64;
                operations.push(Operation { client, call: at, ret: None, key, action, place: None });
                Phase::Called(operations.len() - 1)
            }
            Phase::Called(_) if gives_up => Phase::Idle,
            Phase::Called(index) => {
                answer_truly(&mut operations[index].action, &mut value);
                operations[index].place = Some(Place { after: at, number: at });
                Phase::Effective(index)
            }
            Phase::Effective(_) if gives_up => Phase::Idle,
            Phase::Effective(index) => {
                operations[index].ret = Some(at);
                Phase::Idle
            }
        };
    }
    operations
}

fn answer_truly(action: &mut Action, value: &mut Value) {
    match action {
        Action::Get { value: seen } => *seen = Some(value.clone()),
        Action::CompareAndSet { expected, outcome, .. } => {
            let silent = outcome.as_ref().is_some_and(|outcome| outcome.previous.is_none());
            let previous = (!silent).then(|| value.clone());
            *outcome = Some(CasOutcome { succeeded: expected == value, previous });
        }
        Action::Put { .. } | Action::Delete | Action::Append { .. } => {}
    }
    *value = take_effect(action, true, value).expect("a true answer is right");
}

/// The same with other places: a guess is a guess.
fn shuffled(mut operations: Vec<Operation>, places: &[u64]) -> Vec<Operation> {
    for (operation, place) in operations.iter_mut().zip(places) {
        operation.place = Some(Place { after: place % 16, number: *place });
    }
    operations
}

fn moves(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Move>> {
    prop::collection::vec((0..8usize, action(), prop::bool::weighted(0.1)), count)
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn random_histories(operations in random_history(), places in prop::collection::vec(any::<u64>(), 7)) {
        agree(&operations)?;
        agree(&shuffled(operations, &places))?;
    }

    #[test]
    fn recorded_histories_with_one_wrong_read(
        moves in moves(6..24),
        clients in 2..5usize,
        which in any::<prop::sample::Index>(),
        wrong in value(),
    ) {
        let mut operations = recorded(moves, clients);
        operations.truncate(8);
        // Cutting a history after a call keeps it linearizable only if no effect of what was cut was seen.
        agree(&operations)?;
        let mut reads: Vec<&mut Option<Value>> = operations
            .iter_mut()
            .filter_map(|operation| match &mut operation.action {
                Action::Get { value } => Some(value),
                _ => None,
            })
            .collect();
        if !reads.is_empty() {
            let index = which.index(reads.len());
            *reads[index] = Some(wrong);
        }
        agree(&operations)?;
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn recorded_histories_are_linearizable(moves in moves(1..600), clients in 1..9usize) {
        let operations = recorded(moves, clients);
        prop_assert_eq!(check(&operations, Budget::default()), Verdict::Linearizable);
    }

    #[test]
    fn the_order_of_execution_is_accepted(moves in moves(1..600), clients in 1..9usize) {
        // Where every call is answered, nothing is left to guess.
        let moves: Vec<Move> = moves.into_iter().map(|(client, action, _)| (client, action, false)).collect();
        let mut operations = recorded(moves, clients);
        operations.retain(|operation| operation.place.is_some() || operation.ret.is_some());
        operations.iter_mut().filter(|operation| operation.ret.is_none()).for_each(|operation| {
            operation.ret = Some(1_000);
        });
        prop_assert!(order(&operations), "{operations:#?}");
    }
}
