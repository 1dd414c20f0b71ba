//! Scenarios made of seeds: they read back as they are written, depend on nothing but profile and seed, keep to what leases
//! bear, and change in one aspect only where one aspect's profile changes. And profiles: what a file can say, and is told.

mod profiles;
// Thousands of runs: minutes without optimisation.
#[cfg(not(debug_assertions))]
mod reach;

use std::collections::BTreeSet;

use raftsim_harness::fuzz::{self, DEFAULT, Profile, Profiles};
use raftsim_harness::scenario::{self, Action, ReadIndexMode, Scenario, Step, System};
use raftsim_kernel::Ppm;

fn default() -> Profile {
    Profiles::builtin().get(DEFAULT).expect("it is built in").clone()
}

#[test]
fn what_is_written_reads_back() {
    let profiles = Profiles::builtin();
    for name in profiles.names() {
        let profile = profiles.get(name).expect("a name of a profile");
        for seed in 0..400 {
            let made = fuzz::scenario(profile, seed);
            let text = made.to_string();
            let read = scenario::parse(&text).unwrap_or_else(|errors| {
                panic!("{name}, {seed}:\n{}", scenario::render(&errors, "made", &text, false))
            });
            assert_eq!(read, made, "{name}, {seed}:\n{text}");
        }
    }
}

#[test]
fn a_seed_is_one_scenario() {
    let profile = default();
    let texts: BTreeSet<String> = (0..100).map(|seed| fuzz::scenario(&profile, seed).to_string()).collect();
    assert_eq!(texts.len(), 100);
    for seed in [0, 7, u64::MAX] {
        let made = fuzz::scenario(&profile, seed);
        assert_eq!(made, fuzz::scenario(&profile, seed));
        assert_eq!(made.seed, seed & scenario::MAX_SEED);
    }
}

/// All steps but the last, which only waits for what came before it.
fn faults(scenario: &Scenario) -> &[Step] {
    scenario.steps.split_last().map_or(&[], |(_, steps)| steps)
}

#[test]
fn without_one_kind_of_fault_all_others_stay() {
    let all = default();
    let kinds: Vec<&'static str> = all.faults.keys().copied().collect();
    for kind in kinds {
        let mut without = all.clone();
        without.faults.entry(kind).and_modify(|part| part.on = Ppm::ZERO);
        let mut gone = 0;
        for seed in 0..60 {
            let (whole, part) = (fuzz::scenario(&all, seed), fuzz::scenario(&without, seed));
            let mut left = faults(&whole).iter();
            let kept = faults(&part).iter().all(|step| left.any(|other| other.action == step.action));
            assert!(kept, "{kind}, {seed}:\n{whole}\n{part}");
            assert_eq!((&whole.raft, &whole.cluster, whole.ending), (&part.raft, &part.cluster, part.ending));
            gone += faults(&whole).len() - faults(&part).len();
        }
        assert!(gone > 0 || kind == "offset", "{kind} puts no step into 60 scenarios");
    }
}

#[test]
fn another_load_leaves_the_faults_as_they_are() {
    let few = default();
    let mut many = few.clone();
    (many.operations.low, many.operations.high) = (1_000, 1_000);
    let faults = |profile, seed| {
        let made = fuzz::scenario(profile, seed);
        let is_fault = |step: &Step| !matches!(step.action, Action::Load(_) | Action::Restart { .. });
        made.steps.into_iter().filter(is_fault).collect::<Vec<_>>()
    };
    for seed in 0..60 {
        assert_eq!(faults(&few, seed), faults(&many, seed));
    }
}

#[test]
fn clocks_are_off_by_no_more_than_leases_bear() {
    let profile = default();
    let mut leases = 0;
    for seed in 0..1_000 {
        let made = fuzz::scenario(&profile, seed);
        if made.raft.read_index != ReadIndexMode::Lease {
            continue;
        }
        leases += 1;
        let (mut drift, mut jumps) = (made.clocks.drift.parts(), 0);
        for step in &made.steps {
            let Action::Clock { drift: rate, jump, .. } = &step.action else { continue };
            drift = drift.max(rate.map_or(0, |rate| rate.parts().unsigned_abs()));
            jumps += u64::from(jump.is_some());
        }
        // As `raft::ReadMode::Lease` has it, less the ticks that jumps may cost.
        let (whole, margin) = (u64::from(made.raft.election_ticks) - 1, u64::from(made.raft.lease_margin));
        assert!(jumps <= margin, "{seed}");
        let held = (whole + jumps - margin) * (1_000_000 + u64::from(drift));
        assert!(held <= whole * (1_000_000 - u64::from(drift)), "{seed}: {drift} ppm, {jumps} jumps\n{made}");
    }
    assert!(leases > 100, "{leases} of 1,000 have leases");
}

#[test]
fn any_kind_of_fault_may_be_missing_and_any_system_run() {
    let profile = default();
    for (kind, part) in &profile.faults {
        assert!(Ppm::ZERO < part.on && part.on < Ppm::ALWAYS, "{kind}");
    }
    let bare = (0..300).filter(|seed| fuzz::scenario(&profile, *seed).system == System::Raft).count();
    assert!((50..100).contains(&bare), "{bare} of 300");
}
