//! Steps, alone and one after the other.

use super::looks::{answer, condition, expectation};
use super::values::*;
use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use raftsim_harness::scenario::*;
use raftsim_kernel::Time;

/// Each store in one part only: a set cut in three.
fn membership() -> impl Strategy<Value = MembershipChange> {
    let members = (btree_set(target(), 1..6), 0..6usize, 0..6usize, word()).prop_map(
        |(all, first, second, transition)| {
            let mut add: Vec<Target> = all.into_iter().collect();
            let mut learn = add.split_off(first.min(add.len()));
            let remove = learn.split_off(second.min(learn.len()));
            MembershipChange::Members { add, learn, remove, transition }
        },
    );
    prop_oneof![1 => Just(MembershipChange::Leave), 4 => members]
}

fn insist() -> impl Strategy<Value = Insist> {
    prop_oneof![
        duration().prop_map(Insist::Within),
        Just(Insist::Within(DEFAULT_WITHIN)),
        Just(Insist::Refused)
    ]
}

fn operate() -> impl Strategy<Value = Action> {
    let operation = prop_oneof![
        (keys(), text()).prop_map(|(keys, value)| Operation::Put { keys, value }),
        (keys(), text()).prop_map(|(keys, value)| Operation::Append { keys, value }),
        keys().prop_map(|keys| Operation::Delete { keys }),
        (key(), option::of(answer())).prop_map(|(key, answer)| Operation::Get { key, answer }),
        (key(), option::of(text()), text(), any::<Option<bool>>())
            .prop_map(|(key, from, to, succeeds)| { Operation::Cas { key, from, to, succeeds } }),
        (scan_range(), option::of(count())).prop_map(|(range, limit)| Operation::Scan { range, limit }),
    ];
    let issuer = prop_oneof![
        duration().prop_map(|within| Issuer::Scenario { within }),
        Just(Issuer::Scenario { within: DEFAULT_WITHIN }),
        (1..=1_000u32).prop_map(Issuer::Client),
    ];
    (operation, issuer, option::of(store())).prop_map(|(mut operation, issuer, via)| {
        // Only the scenario's own operations can assert their answer.
        if let Issuer::Client(_) = issuer {
            match &mut operation {
                Operation::Get { answer, .. } => *answer = None,
                Operation::Cas { succeeds, .. } => *succeeds = None,
                _ => {}
            }
        }
        Action::Operate(Operate { operation, issuer, via })
    })
}

fn scan_range() -> impl Strategy<Value = ScanRange> {
    let range = ("[a-m]{1,3}", "[n-z]{1,3}").prop_map(|(start, end)| ScanRange::Range { start, end });
    prop_oneof![Just(ScanRange::All), range]
}

fn load() -> impl Strategy<Value = Action> {
    let mix = prop_oneof![
        Just(Mix::default()),
        (0..9u32, 0..9u32, 1..9u32).prop_map(|(put, scan, cas)| Mix { put, scan, cas, ..Mix::ZERO })
    ];
    let size = (0..(1u64 << 24)).prop_map(Bytes::new);
    (positive(), 1..=1_000u32, 1..=1_000_000u64, mix, size, option::of(count())).prop_map(
        |(duration, clients, keys, mix, value_size, ops)| {
            Action::Load(Load { duration, clients, keys, mix, value_size, ops })
        },
    )
}

fn network(system: System) -> impl Strategy<Value = Action> {
    (option::of(latency()), option::of(share()), option::of(share()), share(), optional_ends(system))
        .prop_map(|(latency, loss, duplicate, reorder, (from, to))| {
            Action::Network(NetworkChange { latency, loss, duplicate, reorder: Some(reorder), from, to })
        })
}

fn filter(system: System) -> impl Strategy<Value = Action> {
    let effect = prop_oneof![
        Just(Effect::Drop),
        positive().prop_map(|by| Effect::Delay { by }),
        Just(Effect::Hold),
        (1..=100u32).prop_map(|times| Effect::Duplicate { times }),
    ];
    let kind = word().prop_filter("of the system", move |kind| {
        use MessageKind::{Placement, SnapshotAck, SnapshotChunk, Tombstone};
        system == System::Raftstore || !matches!(kind, Placement | SnapshotAck | SnapshotChunk | Tombstone)
    });
    (effect, vec(kind, 1..4), of(system), optional_ends(system), 0..5u64, option::of(count())).prop_map(
        |(effect, messages, of, (from, to), skip, count)| {
            Action::Filter(Filter { effect, messages, of, from, to, skip, count, name: None })
        },
    )
}

fn heal(system: System) -> impl Strategy<Value = Heal> {
    let of = endpoints(system).prop_map(|endpoints| match endpoints.as_slice() {
        [Endpoint::Stores(Target::All)] => Heal::All,
        _ => Heal::Of(endpoints),
    });
    prop_oneof![Just(Heal::All), of, ends(system).prop_map(|(from, to)| Heal::Between { from, to })]
}

fn filters() -> impl Strategy<Value = FilterRef> {
    select(vec![FilterRef::All, FilterRef::Named("slow".to_owned())])
}

/// What bare Raft has is one database.
fn losses(system: System) -> impl Strategy<Value = Losses> {
    let lost = || prop_oneof![word().prop_map(Lost::Word), count().prop_map(Lost::Newest)];
    let nothing = Lost::Word(Losing::Nothing);
    prop_oneof![
        2 => Just(Losses::default()),
        1 => lost().prop_map(Losses::all),
        2 => (lost(), lost(), lost()).prop_map(move |(raft, kv, snapshots)| match system {
            System::Raftstore => Losses { raft, kv, snapshots },
            System::Raft => Losses { raft, kv: nothing, snapshots: nothing },
        }),
    ]
}

fn action(system: System) -> BoxedStrategy<Action> {
    let every = prop_oneof![
        duration().prop_map(Action::Sleep),
        (condition(system), duration()).prop_map(|(condition, within)| Action::Wait { condition, within }),
        operate().boxed(),
        load().boxed(),
        (targets(), losses(system)).prop_map(|(targets, losing)| Action::Crash {
            targets,
            losing,
            name: None
        }),
        targets().prop_map(|targets| Action::Pause { targets, name: None }),
        targets().prop_map(|targets| Action::Resume { targets }),
        targets().prop_map(|targets| Action::Restart { targets }),
        groups(system).prop_map(|groups| Action::Partition { groups, name: None }),
        (targets(), any::<bool>()).prop_map(|(targets, clients)| Action::Isolate {
            targets,
            clients,
            name: None
        }),
        ends(system).prop_map(|(from, to)| Action::Cut { from, to }),
        heal(system).prop_map(Action::Heal).boxed(),
        network(system).boxed(),
        filter(system).boxed(),
        filters().prop_map(Action::Release),
        filters().prop_map(Action::Clear),
        (of(system), store()).prop_map(|(of, target)| Action::Campaign { of, target, name: None }),
        store().prop_map(|target| Action::Name { target, name: String::new() }),
        (of(system), store(), option::of(store())).prop_map(|(of, target, via)| Action::Transfer {
            of,
            target,
            via,
            name: None
        }),
        (membership().boxed(), of(system), option::of(store()), insist())
            .prop_map(|(change, of, via, insist)| Action::Change { of, change, via, insist }),
        (of(system), targets()).prop_map(|(of, targets)| Action::Compact { of, targets }),
        (targets(), drift()).prop_map(|(targets, drift)| Action::Clock { targets, drift }),
        expectation(system).prop_map(Action::Expect),
    ];
    let store_only = prop_oneof![
        2 => (keys(), insist()).prop_map(|(keys, insist)| Action::Split { keys, insist }),
        1 => select(vec![Action::CrashPlacement, Action::RestartPlacement, Action::IsolatePlacement]),
    ];
    let bare = prop_oneof![
        targets().prop_map(|targets| Action::ForgetLeader { targets }),
        store().prop_map(|target| Action::RequestSnapshot { target }),
    ];
    with(system, every, store_only, Some(bare.boxed()))
}

/// Gives the action a name where it can have one.
fn bind(action: &mut Action, fresh: String) {
    let one = |targets: &[Target]| matches!(targets, [target] if !target.is_plural());
    match action {
        Action::Name { name, .. } => *name = fresh,
        Action::Crash { targets, name, .. }
        | Action::Pause { targets, name }
        | Action::Isolate { targets, name, .. }
            if one(targets) =>
        {
            *name = Some(fresh);
        }
        Action::Campaign { name, .. }
        | Action::Transfer { name, .. }
        | Action::Filter(Filter { name, .. }) => *name = Some(fresh),
        Action::Partition { groups, name } => {
            let stores = groups
                .iter()
                .flatten()
                .filter_map(|e| if let Endpoint::Stores(t) = e { Some(t.clone()) } else { None });
            if one(&stores.collect::<Vec<_>>()) {
                *name = Some(fresh);
            }
        }
        _ => {}
    }
}

/// Steps that may follow each other: times rise, names are given once, a violation comes last.
pub(crate) fn steps(system: System) -> impl Strategy<Value = Vec<Step>> {
    let when = prop_oneof![
        Just(When::Now),
        duration().prop_map(When::After),
        (0..1_000_000_000_000u64).prop_map(|n| When::At(Time(n))),
    ];
    let violation = option::of(word().prop_map(|of| Expectation::Violation { of }));
    (vec((when, action(system), any::<bool>()), 0..8), violation).prop_map(|(list, violation)| {
        let mut steps = vec![
            Step::now(Action::Name { target: Target::Leader, name: "known".to_owned() }),
            Step::now(Action::Filter(Filter {
                effect: Effect::Hold,
                messages: vec![MessageKind::Vote],
                of: None,
                from: None,
                to: None,
                skip: 0,
                count: None,
                name: Some("slow".to_owned()),
            })),
        ];
        let mut latest = Time::ZERO;
        for (index, (mut when, mut action, named)) in list.into_iter().enumerate() {
            if let When::At(time) = &mut when {
                latest = latest.max(*time);
                *time = latest;
            }
            if named || matches!(action, Action::Name { .. }) {
                bind(&mut action, format!("name-{index}"));
            }
            steps.push(Step { when, action, line: 0 });
        }
        steps.extend(violation.map(|expectation| Step::now(Action::Expect(expectation))));
        steps
    })
}
