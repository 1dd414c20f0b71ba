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
    let shares = (option::of(share()), option::of(share()), share(), option::of(share()));
    let room = (option::of(bound()), option::of(bound()));
    (option::of(latency()), shares, room, optional_ends(system)).prop_map(
        |(latency, (loss, duplicate, reorder, corrupt), (bandwidth, queue), (from, to))| {
            // What waits is bounded only where something has to wait.
            let waits = bandwidth.is_some_and(|bandwidth| bandwidth != Bytes::UNBOUNDED);
            let queue = queue.filter(|queue| waits || *queue == Bytes::UNBOUNDED);
            let reorder = Some(reorder);
            Action::Network(NetworkChange {
                latency,
                loss,
                duplicate,
                reorder,
                corrupt,
                bandwidth,
                queue,
                from,
                to,
            })
        },
    )
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

fn links(system: System) -> impl Strategy<Value = Links> {
    let of = endpoints(system).prop_map(|endpoints| match endpoints.as_slice() {
        [Endpoint::Stores(Target::All)] => Links::All,
        _ => Links::Of(endpoints),
    });
    prop_oneof![Just(Links::All), of, ends(system).prop_map(|(from, to)| Links::Between { from, to })]
}

/// What happens to disks and their contents.
fn disks(system: System) -> BoxedStrategy<Action> {
    let latencies = || (option::of(latency()), option::of(latency()));
    let shares = (option::of(share()), option::of(share()), option::of(share()));
    let bounds = (option::of(bound()), option::of(bound()));
    let change = (targets(), latencies(), latencies(), bounds, any::<bool>(), shares).prop_map(
        |(targets, (sync, task), (read, write), (throughput, capacity), stalled, shares)| {
            let (bad, write_errors, sync_errors) = shares;
            Action::Disk(DiskChange {
                targets,
                sync,
                task,
                throughput,
                read,
                write,
                capacity,
                stalled: Some(stalled),
                bad,
                write_errors,
                sync_errors,
            })
        },
    );
    let database = match system {
        System::Raftstore => option::of(word()).boxed(),
        System::Raft => option::of(Just(Database::Raft)).boxed(),
    };
    let record = word().prop_filter("on the disk", move |kind: &RecordKind| {
        let every = [RecordKind::Log, RecordKind::RaftState, RecordKind::ApplyState];
        !kind.is_deletion() && (system == System::Raftstore || every.contains(kind))
    });
    prop_oneof![
        2 => change,
        1 => targets().prop_map(|targets| Action::HealDisk { targets }),
        1 => (targets(), word(), database, count())
            .prop_map(|(targets, what, db, count)| Action::Fail { targets, what, db, count }),
        1 => (targets(), record, of(system)).prop_map(|(targets, what, of)| Action::Rot { targets, what, of }),
    ]
    .boxed()
}

/// What happens to processes and clocks.
fn machines(system: System) -> BoxedStrategy<Action> {
    let storm = (targets(), count(), latency(), latency(), losses(system))
        .prop_map(|(targets, times, up, down, losing)| Storm { targets, times, up, down, losing });
    let clock = (targets(), option::of(drift()), option::of(jump()))
        .prop_filter("changes something", |(_, drift, jump)| drift.is_some() || jump.is_some());
    prop_oneof![
        storm.prop_map(Action::Storm),
        (targets(), latency()).prop_map(|(targets, by)| Action::Slow { targets, by }),
        clock.prop_map(|(targets, drift, jump)| Action::Clock { targets, drift, jump }),
    ]
    .boxed()
}

/// Knobs that fit those of the file, and those of any other such restart.
fn overrides(system: System, raft: &RaftConfig, raftstore: &RaftstoreConfig) -> BoxedStrategy<Overrides> {
    let (heartbeats, leases) = (1..raft.election_ticks, raft.read_index == ReadIndexMode::Lease);
    let longest = raft.election_ticks.checked_sub(RaftConfig::LEASE_OVERHEAD);
    // Without a lease in the file, none comes by a restart: its longest margin would have to fit too.
    let margins = if leases { 0..=longest.unwrap_or_default() } else { 0..=u32::MAX };
    let mode = leases.then_some(ReadIndexMode::Lease);
    let mode = option::of(prop_oneof![Just(ReadIndexMode::Safe), Just(mode.unwrap_or(ReadIndexMode::Safe))]);
    let flags = any::<(Option<bool>, Option<bool>, Option<bool>, Option<bool>)>();
    let sizes = (option::of(bound()), option::of(bound()));
    let own = (option::of(heartbeats), option::of(margins), mode, sizes, flags).prop_map(
        move |(heartbeat_ticks, lease_margin, read_index, (max_message_size, max_inflight_size), flags)| {
            let (pre_vote, step_down_on_removal, unpersisted, validate) = flags;
            RaftOverrides {
                heartbeat_ticks,
                lease_margin,
                read_index,
                max_message_size,
                max_inflight_size,
                pre_vote,
                step_down_on_removal,
                apply_unpersisted: unpersisted.filter(|_| system == System::Raft),
                validate_conf_changes: validate.filter(|_| system == System::Raft),
                ..RaftOverrides::default()
            }
        },
    );
    let split = 1..=raftstore.region_split_size.get();
    let stored = (option::of(word()), option::of(positive()), option::of(split), option::of(count()))
        .prop_map(|(reads, kv_sync_interval, split, log_gc_threshold)| RaftstoreOverrides {
            reads,
            kv_sync_interval,
            region_split_size: split.map(Bytes::new),
            log_gc_threshold,
            ..RaftstoreOverrides::default()
        });
    (own, stored)
        .prop_map(move |(raft, raftstore)| match system {
            System::Raftstore => Overrides { raft, raftstore },
            System::Raft => Overrides { raft, ..Overrides::default() },
        })
        .boxed()
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

fn action(system: System, overrides: BoxedStrategy<Overrides>) -> BoxedStrategy<Action> {
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
        (targets(), overrides).prop_map(|(targets, with)| Action::Restart { targets, with }),
        groups(system).prop_map(|groups| Action::Partition { groups, name: None }),
        (targets(), any::<bool>()).prop_map(|(targets, clients)| Action::Isolate {
            targets,
            clients,
            name: None
        }),
        ends(system).prop_map(|(from, to)| Action::Cut { from, to }),
        links(system).prop_map(Action::Heal).boxed(),
        links(system).prop_map(Action::Clog).boxed(),
        links(system).prop_map(Action::Unclog).boxed(),
        disks(system),
        machines(system),
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
        expectation(system).prop_map(Action::Expect),
    ];
    let store_only = prop_oneof![
        2 => (keys(), insist()).prop_map(|(keys, insist)| Action::Split { keys, insist }),
        1 => select(vec![Action::CrashPlacement, Action::RestartPlacement, Action::IsolatePlacement]),
        1 => targets().prop_map(|targets| Action::Wipe { targets }),
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

/// Makes an order of what must be refused, since a placement driver is not asked.
fn order(action: &mut Action) {
    if let Action::Change { insist, via: None, .. } | Action::Split { insist, .. } = action {
        *insist = Insist::Within(DEFAULT_WITHIN);
    }
}

/// What clients do and what is asserted has to come to something, as has what names nobody.
fn can_come_to_nothing(action: &Action) -> bool {
    !matches!(
        action,
        Action::Sleep(_)
            | Action::Operate(_)
            | Action::Load(_)
            | Action::Release(_)
            | Action::Clear(_)
            | Action::Expect(_)
            | Action::CrashPlacement
            | Action::RestartPlacement
            | Action::IsolatePlacement
            | Action::Change { insist: Insist::Refused, .. }
            | Action::Split { insist: Insist::Refused, .. }
    )
}

/// Steps that may follow each other: times rise, names are given once, a violation comes last.
pub(crate) fn steps(
    system: System,
    raft: RaftConfig,
    raftstore: RaftstoreConfig,
) -> impl Strategy<Value = Vec<Step>> {
    let action = action(system, overrides(system, &raft, &raftstore));
    let when = prop_oneof![
        Just(When::Now),
        duration().prop_map(When::After),
        (0..1_000_000_000_000u64).prop_map(|n| When::At(Time(n))),
    ];
    let violation = option::of(word().prop_map(|of| Expectation::Violation { of }));
    (vec((when, action, any::<bool>(), any::<bool>()), 0..8), violation).prop_map(move |(list, violation)| {
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
        for (index, (mut when, mut action, named, lenient)) in list.into_iter().enumerate() {
            if let When::At(time) = &mut when {
                latest = latest.max(*time);
                *time = latest;
            }
            if named || matches!(action, Action::Name { .. }) {
                bind(&mut action, format!("name-{index}"));
            }
            // Every generated scenario of raftstore has a placement driver.
            if system == System::Raftstore {
                order(&mut action);
            }
            let lenient = lenient && can_come_to_nothing(&action);
            steps.push(Step { when, action, lenient, line: 0 });
        }
        steps.extend(violation.map(|expectation| Step::now(Action::Expect(expectation))));
        steps
    })
}
