//! The values that steps and tables hold: keys, times, targets, ends of links.

use proptest::collection::btree_set;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use raftsim_harness::scenario::*;
use raftsim_kernel::{Drift, Duration, Ppm};

/// Stores of every generated cluster: enough for any number that a step names.
pub(crate) const STORES: u64 = 5;

/// Strings with everything that quoting must survive.
pub(crate) fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z0-9]{1,8}", "[ -~\\t\\n\\r\\u{0}\\u{7f}\\u{85}é€𝄞\"\\\\]{0,12}"]
}

pub(crate) fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z]{1,3}[0-9]{0,2}", 1 => "[a-z.\"\\\\é ]{1,6}"]
        .prop_filter("a range", |key| !key.contains(".."))
}

pub(crate) fn keys() -> impl Strategy<Value = Keys> {
    let numbered = ("[a-z_]{0,3}", 0..1_000u64, 0..1_000u64)
        .prop_map(|(prefix, first, more)| Keys::Numbered { prefix, first, last: first + more });
    prop_oneof![key().prop_map(Keys::One), numbered]
}

pub(crate) fn duration() -> impl Strategy<Value = Duration> {
    prop_oneof![
        (0..10_000u64).prop_map(Duration::millis),
        (0..7_200u64).prop_map(Duration::secs),
        any::<u64>().prop_map(Duration)
    ]
}

pub(crate) fn positive() -> impl Strategy<Value = Duration> {
    duration().prop_map(|d| d.max(Duration(1)))
}

pub(crate) fn share() -> impl Strategy<Value = Ppm> {
    (0..=1_000_000u32).prop_map(|parts| Ppm::new(parts).expect("within a million"))
}

pub(crate) fn drift() -> impl Strategy<Value = Drift> {
    (-999_999..=999_999i32).prop_map(|parts| Drift::new(parts).expect("less than a million"))
}

pub(crate) fn latency() -> impl Strategy<Value = Latency> {
    prop_oneof![
        duration().prop_map(Latency::Constant),
        (0..1_000_000u64, 1..1_000_000u64)
            .prop_map(|(min, more)| Latency::Uniform { min: Duration(min), max: Duration(min + more) }),
        (duration(), positive()).prop_map(|(min, mean)| Latency::Exponential { min, mean }),
        (duration(), positive()).prop_map(|(min, mean)| Latency::Tail { min, mean }),
    ]
}

pub(crate) fn jump() -> impl Strategy<Value = SignedDuration> {
    (any::<bool>(), positive()).prop_map(|(forward, by)| SignedDuration { forward, by })
}

/// Sizes in bytes, or without a bound.
pub(crate) fn bound() -> impl Strategy<Value = Bytes> {
    prop_oneof![3 => (1..=u64::MAX).prop_map(Bytes::new), 1 => Just(Bytes::UNBOUNDED)]
}

pub(crate) fn word<K: Keyword>() -> impl Strategy<Value = K> {
    select(K::ALL)
}

/// A target that is one store.
pub(crate) fn store() -> impl Strategy<Value = Target> {
    prop_oneof![
        3 => (1..=STORES).prop_map(Target::Store),
        1 => Just(Target::Leader),
        1 => Just(Target::Follower),
        1 => key().prop_map(Target::LeaderOf),
        1 => key().prop_map(Target::FollowerOf),
        // Every generated scenario starts with a step that gives this name.
        1 => Just(Target::Named("known".to_owned())),
    ]
}

pub(crate) fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        8 => store(),
        2 => select(vec![Target::Followers, Target::All, Target::Others]),
        1 => key().prop_map(Target::FollowersOf),
    ]
}

pub(crate) fn targets() -> impl Strategy<Value = Vec<Target>> {
    btree_set(target(), 1..4).prop_map(|set| set.into_iter().collect())
}

/// What a condition looks at: "others" only alone.
pub(crate) fn looked_at() -> impl Strategy<Value = Vec<Target>> {
    targets()
        .prop_filter("others of some", |targets| targets.len() == 1 || !targets.contains(&Target::Others))
}

/// The same where it may be missing.
pub(crate) fn optional_looked_at() -> impl Strategy<Value = Vec<Target>> {
    prop_oneof![1 => Just(Vec::new()), 2 => looked_at()]
}

/// Every generated scenario of raftstore has a placement driver.
pub(crate) fn endpoints(system: System) -> impl Strategy<Value = Vec<Endpoint>> {
    let every = prop_oneof![
        4 => target().prop_map(Endpoint::Stores),
        1 => (1..=1_000u32).prop_map(Endpoint::Client),
        1 => Just(Endpoint::Clients),
    ];
    let endpoint = with(system, every, Just(Endpoint::Placement), None);
    btree_set(endpoint, 1..4).prop_map(|set| set.into_iter().collect())
}

/// Any number of targets, none too.
pub(crate) fn any_targets() -> impl Strategy<Value = Vec<Target>> {
    prop_oneof![3 => targets(), 1 => Just(Vec::new())]
}

pub(crate) type Ends = Option<Vec<Endpoint>>;

/// Both ends of a link.
pub(crate) fn ends(system: System) -> impl Strategy<Value = (Vec<Endpoint>, Vec<Endpoint>)> {
    (endpoints(system), endpoints(system))
        .prop_filter("others of nobody", |(from, to)| are_ends(Some(from), Some(to)))
}

/// The same where each may be missing.
pub(crate) fn optional_ends(system: System) -> impl Strategy<Value = (Ends, Ends)> {
    (option::of(endpoints(system)), option::of(endpoints(system)))
        .prop_filter("others of nobody", |(from, to)| are_ends(from.as_deref(), to.as_deref()))
}

/// Whether "others" at an end of a link is the rest of some stores at the other.
pub(crate) fn are_ends(from: Option<&[Endpoint]>, to: Option<&[Endpoint]>) -> bool {
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

/// Different groups, which may overlap.
pub(crate) fn groups(system: System) -> impl Strategy<Value = Vec<Vec<Endpoint>>> {
    btree_set(endpoints(system), 1..4).prop_map(|set| set.into_iter().collect())
}

pub(crate) fn count() -> impl Strategy<Value = u64> {
    prop_oneof![1..100u64, 1..=i64::MAX as u64]
}

/// A key of a region, where there are several.
pub(crate) fn of(system: System) -> BoxedStrategy<Option<String>> {
    match system {
        System::Raftstore => option::of(key()).boxed(),
        System::Raft => Just(None).boxed(),
    }
}

/// What there is in every system, or also what only this one has. Boxed, since strategies are nested by value and the
/// deepest ones would not fit a test's stack.
pub(crate) fn with<T: std::fmt::Debug + 'static>(
    system: System,
    every: impl Strategy<Value = T> + 'static,
    store: impl Strategy<Value = T> + 'static,
    bare: Option<BoxedStrategy<T>>,
) -> BoxedStrategy<T> {
    match (system, bare) {
        (System::Raftstore, _) => prop_oneof![2 => every.boxed(), 1 => store.boxed()].boxed(),
        (System::Raft, Some(bare)) => prop_oneof![2 => every.boxed(), 1 => bare].boxed(),
        (System::Raft, None) => every.boxed(),
    }
}
