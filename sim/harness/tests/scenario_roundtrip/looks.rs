//! What steps look at: conditions and expectations.

use super::values::*;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use raftsim_harness::scenario::*;

pub(crate) fn condition(system: System) -> BoxedStrategy<Condition> {
    let every = prop_oneof![
        leader(system).prop_map(Condition::Leader),
        of(system).prop_map(|of| Condition::NoLeader { of }),
        select(vec![Condition::Load, Condition::Applied, Condition::ReplicasEqual]),
        option::of(1..=1_000u32).prop_map(|client| Condition::Acked { client }),
        (word(), of(system), optional_looked_at(), count())
            .prop_map(|(gauge, of, on, value)| Condition::Reaches { gauge, of, on, value }),
        (of(system), looked_at(), word()).prop_map(|(of, on, is)| Condition::Role { of, on, is }),
        count().prop_map(|count| Condition::Acted { filter: "slow".to_owned(), count }),
        members(system).prop_map(Condition::Members),
        looked_at().prop_map(|on| Condition::Stopped { on }),
        (of(system), store()).prop_map(|(of, past)| Condition::LogTruncated { of, past }),
        (of(system), looked_at(), count()).prop_map(|(of, on, count)| Condition::SnapshotApplied {
            of,
            on,
            count
        }),
    ];
    let store = prop_oneof![
        compares().prop_map(|compares| Condition::Regions { compares }),
        region(system).prop_map(Condition::Region),
        (of(system), looked_at(), any::<bool>()).prop_map(|(of, on, present)| Condition::Replica {
            of,
            on,
            present
        }),
        (of(system), store(), word(), count(), any::<bool>())
            .prop_map(|(of, on, what, count, durable)| Condition::Wrote { of, on, what, count, durable }),
    ];
    with(system, every, store, None)
}

pub(crate) fn members(system: System) -> impl Strategy<Value = Members> {
    let parts = (option::of(any_targets()), option::of(any_targets()), any::<Option<bool>>());
    (of(system), optional_looked_at(), parts)
        .prop_map(|(of, on, (voters, learners, joint))| Members { of, on, voters, learners, joint })
        .prop_filter("of what", |which| {
            which.voters.is_some() || which.learners.is_some() || which.joint.is_some()
        })
}

pub(crate) fn region(system: System) -> impl Strategy<Value = Region> {
    let border = || option::of(prop_oneof![1 => Just(String::new()), 3 => key()]);
    let number = || option::of(count());
    (of(system), optional_looked_at(), number(), number(), border(), border())
        .prop_map(|(of, on, conf_ver, version, start, end)| Region { of, on, conf_ver, version, start, end })
        .prop_filter("says what", |region| {
            region.conf_ver.or(region.version).is_some() || region.start.is_some() || region.end.is_some()
        })
        .prop_filter("has a key", |region| match (&region.start, &region.end) {
            (Some(start), Some(end)) => end.is_empty() || start < end,
            _ => true,
        })
}

pub(crate) fn compares() -> impl Strategy<Value = Compares> {
    prop_oneof![
        count().prop_map(Compares::Is),
        count().prop_map(Compares::Reaches),
        count().prop_map(Compares::Below)
    ]
}

pub(crate) fn leader(system: System) -> impl Strategy<Value = Leader> {
    (of(system), optional_looked_at(), optional_looked_at()).prop_map(|(of, on, not)| Leader { of, on, not })
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![text().prop_map(Answer::Is), Just(Answer::Absent)]
}

pub(crate) fn expectation(system: System) -> BoxedStrategy<Expectation> {
    let client = || option::of(1..=1_000u32);
    let every = prop_oneof![
        leader(system).prop_map(Expectation::Leader),
        of(system).prop_map(|of| Expectation::NoLeader { of }),
        Just(Expectation::ReplicasEqual),
        client().prop_map(|client| Expectation::Acked { client }),
        client().prop_map(|client| Expectation::Unacked { client }),
        (key(), answer()).prop_map(|(key, answer)| Expectation::Value { key, answer }),
        (word(), of(system), optional_looked_at(), compares())
            .prop_map(|(gauge, of, on, compares)| Expectation::Gauge { gauge, of, on, compares }),
        (of(system), looked_at(), word()).prop_map(|(of, on, is)| Expectation::Role { of, on, is }),
        members(system).prop_map(Expectation::Members),
        looked_at().prop_map(|on| Expectation::Stopped { on }),
        (word(), compares()).prop_map(|(of, compares)| Expectation::Faults { of, compares }),
    ];
    let store = prop_oneof![
        compares().prop_map(|compares| Expectation::Regions { compares }),
        region(system).prop_map(Expectation::Region),
        (of(system), looked_at(), any::<bool>()).prop_map(|(of, on, present)| Expectation::Replica {
            of,
            on,
            present
        }),
    ];
    with(system, every, store, None)
}
