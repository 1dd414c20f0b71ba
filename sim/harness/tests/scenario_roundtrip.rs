//! Two promises of scenario files, for any scenario and any bytes: `parse(print(s)) == s`, and parsing never panics
//! but explains.

use proptest::collection::{btree_set, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use raftsim_harness::scenario::*;
use raftsim_kernel::{Drift, Duration, Ppm, Time};

/// Stores of every generated cluster: enough for any number that a step names.
const STORES: u64 = 5;

/// Strings with everything that quoting must survive.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z0-9]{1,8}", "[ -~\\t\\n\\r\\u{0}\\u{7f}\\u{85}é€𝄞\"\\\\]{0,12}"]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z]{1,3}[0-9]{0,2}", 1 => "[a-z.\"\\\\é ]{1,6}"]
        .prop_filter("a range", |key| !key.contains(".."))
}

fn keys() -> impl Strategy<Value = Keys> {
    let numbered = ("[a-z_]{0,3}", 0..1_000u64, 0..1_000u64)
        .prop_map(|(prefix, first, more)| Keys::Numbered { prefix, first, last: first + more });
    prop_oneof![key().prop_map(Keys::One), numbered]
}

fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..10_000u64).prop_map(Duration::millis),
        (0..7_200u64).prop_map(Duration::secs),
        any::<u64>().prop_map(Duration)
    ]
}

fn positive() -> impl Strategy<Value = Duration> {
    duration().prop_map(|d| d.max(Duration(1)))
}

fn share() -> impl Strategy<Value = Ppm> {
    (0..=1_000_000u32).prop_map(|parts| Ppm::new(parts).expect("within a million"))
}

fn drift() -> impl Strategy<Value = Drift> {
    (-999_999..=999_999i32).prop_map(|parts| Drift::new(parts).expect("less than a million"))
}

fn latency() -> impl Strategy<Value = Latency> {
    prop_oneof![
        duration().prop_map(Latency::Constant),
        (0..1_000_000u64, 1..1_000_000u64)
            .prop_map(|(min, more)| Latency::Uniform { min: Duration(min), max: Duration(min + more) }),
        (duration(), positive()).prop_map(|(min, mean)| Latency::Exponential { min, mean }),
    ]
}

fn word<K: Keyword>() -> impl Strategy<Value = K> {
    select(K::ALL)
}

/// A target that is one store.
fn store() -> impl Strategy<Value = Target> {
    prop_oneof![
        3 => (1..=STORES).prop_map(Target::Store),
        1 => Just(Target::Leader),
        1 => Just(Target::Follower),
        1 => key().prop_map(Target::LeaderOf),
        // Every generated scenario starts with a step that gives this name.
        1 => Just(Target::Named("known".to_owned())),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![4 => store(), 1 => select(vec![Target::Followers, Target::All, Target::Others])]
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    btree_set(target(), 1..4).prop_map(|set| set.into_iter().collect())
}

/// What a condition looks at: "others" only alone.
fn looked_at() -> impl Strategy<Value = Vec<Target>> {
    targets()
        .prop_filter("others of some", |targets| targets.len() == 1 || !targets.contains(&Target::Others))
}

/// The same where it may be missing.
fn optional_looked_at() -> impl Strategy<Value = Vec<Target>> {
    prop_oneof![1 => Just(Vec::new()), 2 => looked_at()]
}

fn endpoints() -> impl Strategy<Value = Vec<Endpoint>> {
    let endpoint = prop_oneof![
        4 => target().prop_map(Endpoint::Stores),
        1 => (1..=1_000u32).prop_map(Endpoint::Client),
        1 => Just(Endpoint::Clients),
    ];
    btree_set(endpoint, 1..4).prop_map(|set| set.into_iter().collect())
}

/// Any number of targets, none too.
fn any_targets() -> impl Strategy<Value = Vec<Target>> {
    prop_oneof![3 => targets(), 1 => Just(Vec::new())]
}

type Ends = Option<Vec<Endpoint>>;

/// Both ends of a link.
fn ends() -> impl Strategy<Value = (Vec<Endpoint>, Vec<Endpoint>)> {
    (endpoints(), endpoints()).prop_filter("others of nobody", |(from, to)| are_ends(Some(from), Some(to)))
}

/// The same where each may be missing.
fn optional_ends() -> impl Strategy<Value = (Ends, Ends)> {
    (option::of(endpoints()), option::of(endpoints()))
        .prop_filter("others of nobody", |(from, to)| are_ends(from.as_deref(), to.as_deref()))
}

/// Whether "others" at an end of a link is the rest of some stores at the other.
fn are_ends(from: Option<&[Endpoint]>, to: Option<&[Endpoint]>) -> bool {
    let (all, others) = (Endpoint::Stores(Target::All), Endpoint::Stores(Target::Others));
    let is_rest = |end: Option<&[Endpoint]>| end.is_some_and(|end| end.contains(&others));
    let names_some = |end: Option<&[Endpoint]>| {
        end.is_some_and(|end| {
            !end.contains(&all)
                && !end.contains(&others)
                && end.iter().any(|endpoint| matches!(endpoint, Endpoint::Stores(_)))
        })
    };
    (!is_rest(from) || names_some(to)) && (!is_rest(to) || names_some(from))
}

/// Disjoint groups: a set cut into pieces.
fn groups() -> impl Strategy<Value = Vec<Vec<Endpoint>>> {
    (endpoints(), 1..3usize).prop_map(|(all, size)| all.chunks(size).map(<[Endpoint]>::to_vec).collect())
}

fn count() -> impl Strategy<Value = u64> {
    prop_oneof![1..100u64, 1..=i64::MAX as u64]
}

/// What there is in every system, or also what only bare Raft has.
fn with<T: std::fmt::Debug + 'static>(
    system: System,
    every: impl Strategy<Value = T> + 'static,
    bare: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<T> {
    match system {
        System::Raftstore => every.boxed(),
        System::Raft => prop_oneof![2 => every, 1 => bare].boxed(),
    }
}

fn condition(system: System) -> BoxedStrategy<Condition> {
    let every = prop_oneof![
        leader().prop_map(Condition::Leader),
        select(vec![Condition::NoLeader, Condition::Load, Condition::Applied, Condition::ReplicasEqual]),
        option::of(1..=1_000u32).prop_map(|client| Condition::Acked { client }),
        (word(), optional_looked_at(), count()).prop_map(|(gauge, on, value)| Condition::Reaches {
            gauge,
            on,
            value
        }),
        (looked_at(), word()).prop_map(|(on, is)| Condition::Role { on, is }),
        count().prop_map(|count| Condition::Acted { filter: "slow".to_owned(), count }),
    ];
    let bare = prop_oneof![
        members().prop_map(Condition::Members),
        store().prop_map(|past| Condition::LogTruncated { past }),
        (looked_at(), count()).prop_map(|(on, count)| Condition::SnapshotApplied { on, count }),
    ];
    with(system, every, bare)
}

fn members() -> impl Strategy<Value = Members> {
    let parts = (option::of(any_targets()), option::of(any_targets()), any::<Option<bool>>());
    (optional_looked_at(), parts)
        .prop_map(|(on, (voters, learners, joint))| Members { on, voters, learners, joint })
        .prop_filter("of what", |which| {
            which.voters.is_some() || which.learners.is_some() || which.joint.is_some()
        })
}

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

fn leader() -> impl Strategy<Value = Leader> {
    (optional_looked_at(), optional_looked_at()).prop_map(|(on, not)| Leader { on, not })
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![text().prop_map(Answer::Is), Just(Answer::Absent)]
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

fn network() -> impl Strategy<Value = Action> {
    (option::of(latency()), option::of(share()), option::of(share()), share(), optional_ends()).prop_map(
        |(latency, loss, duplicate, reorder, (from, to))| {
            Action::Network(NetworkChange { latency, loss, duplicate, reorder: Some(reorder), from, to })
        },
    )
}

fn filter() -> impl Strategy<Value = Action> {
    let effect = prop_oneof![
        Just(Effect::Drop),
        positive().prop_map(|by| Effect::Delay { by }),
        Just(Effect::Hold),
        (1..=100u32).prop_map(|times| Effect::Duplicate { times }),
    ];
    (effect, vec(word(), 1..4), optional_ends(), 0..5u64, option::of(count())).prop_map(
        |(effect, messages, (from, to), skip, count)| {
            Action::Filter(Filter { effect, messages, from, to, skip, count, name: None })
        },
    )
}

fn heal() -> impl Strategy<Value = Heal> {
    let of = endpoints().prop_map(|endpoints| match endpoints.as_slice() {
        [Endpoint::Stores(Target::All)] => Heal::All,
        _ => Heal::Of(endpoints),
    });
    prop_oneof![Just(Heal::All), of, ends().prop_map(|(from, to)| Heal::Between { from, to })]
}

fn filters() -> impl Strategy<Value = FilterRef> {
    select(vec![FilterRef::All, FilterRef::Named("slow".to_owned())])
}

fn expectation(system: System) -> BoxedStrategy<Expectation> {
    let client = || option::of(1..=1_000u32);
    let compares = prop_oneof![
        count().prop_map(Compares::Is),
        count().prop_map(Compares::Reaches),
        count().prop_map(Compares::Below)
    ];
    let every = prop_oneof![
        leader().prop_map(Expectation::Leader),
        select(vec![Expectation::NoLeader, Expectation::ReplicasEqual]),
        client().prop_map(|client| Expectation::Acked { client }),
        client().prop_map(|client| Expectation::Unacked { client }),
        (key(), answer()).prop_map(|(key, answer)| Expectation::Value { key, answer }),
        (word(), optional_looked_at(), compares).prop_map(|(gauge, on, compares)| Expectation::Gauge {
            gauge,
            on,
            compares
        }),
        (looked_at(), word()).prop_map(|(on, is)| Expectation::Role { on, is }),
    ];
    with(system, every, members().prop_map(Expectation::Members))
}

fn action(system: System) -> BoxedStrategy<Action> {
    let every = prop_oneof![
        duration().prop_map(Action::Sleep),
        (condition(system), duration()).prop_map(|(condition, within)| Action::Wait { condition, within }),
        operate(),
        load(),
        (targets(), word()).prop_map(|(targets, losing)| Action::Crash { targets, losing, name: None }),
        targets().prop_map(|targets| Action::Restart { targets }),
        groups().prop_map(|groups| Action::Partition { groups, name: None }),
        (targets(), any::<bool>()).prop_map(|(targets, clients)| Action::Isolate {
            targets,
            clients,
            name: None
        }),
        ends().prop_map(|(from, to)| Action::Cut { from, to }),
        heal().prop_map(Action::Heal),
        network(),
        filter(),
        filters().prop_map(Action::Release),
        filters().prop_map(Action::Clear),
        store().prop_map(|target| Action::Campaign { target, name: None }),
        store().prop_map(|target| Action::Name { target, name: String::new() }),
        (store(), option::of(store())).prop_map(|(target, via)| Action::Transfer { target, via, name: None }),
        (targets(), drift()).prop_map(|(targets, drift)| Action::Clock { targets, drift }),
        expectation(system).prop_map(Action::Expect),
    ];
    let bare = prop_oneof![
        3 => (membership(), option::of(store()), insist())
            .prop_map(|(change, via, insist)| Action::Change { change, via, insist }),
        1 => targets().prop_map(|targets| Action::ForgetLeader { targets }),
        1 => store().prop_map(|target| Action::RequestSnapshot { target }),
        1 => targets().prop_map(|targets| Action::Compact { targets }),
    ];
    with(system, every, bare)
}

/// Gives the action a name where it can have one.
fn bind(action: &mut Action, fresh: String) {
    let one = |targets: &[Target]| matches!(targets, [target] if !target.is_plural());
    match action {
        Action::Name { name, .. } => *name = fresh,
        Action::Crash { targets, name, .. } | Action::Isolate { targets, name, .. } if one(targets) => {
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
fn steps(system: System) -> impl Strategy<Value = Vec<Step>> {
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

/// The sizes of the `raft` table: in bytes, or without a bound.
fn bound() -> impl Strategy<Value = Bytes> {
    prop_oneof![3 => (1..=u64::MAX).prop_map(Bytes::new), 1 => Just(Bytes::UNBOUNDED)]
}

fn raft(system: System) -> BoxedStrategy<RaftConfig> {
    let numbers = (positive(), 2..u32::MAX, 1..u32::MAX, bound(), bound(), bound(), bound());
    let flags = any::<[bool; 5]>();
    let priorities = prop_oneof![Just(Vec::new()), vec(any::<i64>(), MAX_STORES as usize)];
    let lease = (any::<bool>(), any::<u32>());
    let changed =
        (numbers, flags, priorities, lease).prop_map(move |(numbers, flags, priorities, (lease, margin))| {
            let (tick, election_ticks, max_inflight, message, inflight, committed, uncommitted) = numbers;
            let [pre_vote, check_quorum, step_down, unpersisted, validate] = flags;
            let common = RaftConfig {
                tick,
                election_ticks,
                heartbeat_ticks: election_ticks - 1,
                max_inflight,
                max_message_size: message,
                max_inflight_size: inflight,
                max_committed_size: committed,
                max_uncommitted_size: uncommitted,
                pre_vote,
                check_quorum,
                step_down_on_removal: step_down,
                priorities,
                ..RaftConfig::default()
            };
            // The longest margin that leaves time for a lease.
            let longest = election_ticks.checked_sub(RaftConfig::LEASE_OVERHEAD);
            match (system, longest.filter(|_| lease)) {
                (System::Raftstore, _) => common,
                (System::Raft, Some(longest)) => RaftConfig {
                    read_index: ReadIndexMode::Lease,
                    check_quorum: true,
                    lease_margin: margin.min(longest),
                    ..common
                },
                (System::Raft, None) => RaftConfig {
                    lease_margin: margin,
                    apply_unpersisted: unpersisted,
                    validate_conf_changes: validate,
                    ..common
                },
            }
        });
    prop_oneof![Just(RaftConfig::default()), changed].boxed()
}

/// So many stores; on bare Raft each is a voter, a learner or neither, in any order.
fn cluster(system: System) -> BoxedStrategy<ClusterConfig> {
    let all = (STORES..=MAX_STORES).prop_map(ClusterConfig::of).boxed();
    if system == System::Raftstore {
        return all;
    }
    let shuffled =
        (STORES..=MAX_STORES).prop_flat_map(|n| Just((1..=n).collect::<Vec<u64>>()).prop_shuffle());
    let some = (shuffled, 1..=STORES as usize, 0..MAX_STORES as usize, any::<bool>()).prop_map(
        |(mut voters, number, learn, said)| {
            let stores = voters.len() as u64;
            let mut learners = voters.split_off(number);
            learners.truncate(learn);
            ClusterConfig { stores, voters: said.then_some(voters), learners }
        },
    );
    prop_oneof![all, some].boxed()
}

fn scenario() -> impl Strategy<Value = Scenario> {
    word().prop_flat_map(scenario_of)
}

fn scenario_of(system: System) -> impl Strategy<Value = Scenario> {
    let about = text().prop_filter("empty", |about| !about.trim().is_empty());
    let network = (latency(), share(), share(), share())
        .prop_map(|(latency, loss, duplicate, reorder)| NetworkConfig { latency, loss, duplicate, reorder });
    let network = prop_oneof![Just(NetworkConfig::default()), network];
    let bare = (word(), count()).prop_map(|(reads, log_limit)| BareConfig { reads, log_limit });
    let rest = (positive(), latency(), positive(), duration(), count());
    let top = (about, 0..=MAX_SEED, word(), cluster(system), raft(system), network);
    (top, bare, rest, positive(), steps(system)).prop_map(
        move |((about, seed, ending, cluster, mut raft, network), bare, rest, span, steps)| {
            // As many as stores, or none.
            raft.priorities.truncate(cluster.stores as usize);
            let (kv_sync_interval, sync, timeout, backoff, events) = rest;
            let scenario = Scenario {
                seed,
                ending,
                system,
                cluster,
                raft,
                network,
                disk: DiskConfig { sync },
                client: ClientConfig { timeout, backoff },
                limits: Limits { events, time: span },
                steps,
                ..Scenario::new(about)
            };
            match system {
                System::Raftstore => Scenario { raftstore: RaftstoreConfig { kv_sync_interval }, ..scenario },
                System::Raft => Scenario { bare, ..scenario },
            }
        },
    )
}

/// Parses and, where that fails, renders: neither may panic, and a failure says why.
fn explain(source: &str) -> Result<Scenario, TestCaseError> {
    parse(source).map_err(|errors| {
        assert!(!errors.is_empty(), "a failure without an error");
        let text = render(&errors, "generated.toml", source, false);
        assert!(
            text.contains("error: ") && render(&errors, "generated.toml", source, true).len() >= text.len()
        );
        TestCaseError::fail(text)
    })
}

/// Fragments that get a random file past the first bytes.
const FRAGMENTS: [&str; 16] = [
    "about = \"x\"\n",
    "steps = [",
    "]",
    "{ ",
    " }",
    "crash = ",
    "wait = ",
    "\"leader\"",
    ", ",
    "at = \"1s\"",
    "as = \"n\"",
    "\"1s..\"",
    "[[steps]]\n",
    "= ",
    "\n",
    "'''",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_printed_parses_to_the_same(scenario in scenario()) {
        let printed = scenario.to_string();
        let parsed = explain(&printed)?;
        prop_assert_eq!(&parsed, &scenario, "printed as\n{}", printed);
        prop_assert_eq!(parsed.to_string(), printed);
    }

    #[test]
    fn any_text_is_read_or_explained(bytes in vec(any::<u8>(), 0..200)) {
        let _ = explain(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_words_are_read_or_explained(words in vec(select(FRAGMENTS.to_vec()), 0..40)) {
        let _ = explain(&words.concat());
    }

    #[test]
    fn any_edit_of_a_valid_file_is_read_or_explained(
        scenario in scenario(),
        edits in vec((any::<prop::sample::Index>(), 0..3u8, any::<char>()), 1..4),
    ) {
        let mut chars: Vec<char> = scenario.to_string().chars().collect();
        for (at, kind, c) in edits {
            // One place past the end is a place too, and the only one of an empty file.
            let at = at.index(chars.len() + 1);
            match kind {
                0 if at < chars.len() => { chars.remove(at); }
                1 => chars.insert(at, c),
                _ => chars.truncate(at),
            }
        }
        let _ = explain(&chars.into_iter().collect::<String>());
    }
}
