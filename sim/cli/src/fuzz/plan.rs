//! What a campaign is: the settings that decide its results, and the seeds that follow from them.
//!
//! Everything here is a function of the settings alone. How many threads there are, how fast they are and how often the campaign
//! was killed decide nothing.

use std::fmt;
use std::path::PathBuf;

use raftsim_harness::fuzz::{self, DEFAULT, Profile};
use raftsim_harness::scenario::{self, Scenario};
use raftsim_kernel::{Ppm, Stream, TraceHasher};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::args::{LAST_SEED, Seeds};
use super::reach;
use super::shard::Shard;
use crate::explain::quoted;

/// The settings: two campaigns with the same ones have the same results. Kept in `campaign.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// Grows when a field here or in the results changes its meaning.
    pub schema: u32,
    /// The version of raftsim.
    pub version: String,
    /// The version of the code under test, or `unknown`.
    pub commit: String,
    /// The name of the profile.
    pub profile: String,
    /// A hash of what it says.
    pub profile_hash: String,
    /// The seeds of all shards.
    pub seeds: Seeds,
    /// Which of them are ours.
    pub shard: Shard,
    /// Of a million runs so many are done twice.
    pub verify_ppm: u32,
    /// Every how many seeds one gets a step that cannot hold.
    pub plant: Option<u64>,
    /// What the places of `reach` in the results stand for.
    pub situations: Vec<String>,
}

pub(crate) const SCHEMA: u32 = 1;

impl Settings {
    /// Those of a campaign with this profile.
    pub(crate) fn new(profile: &Profile, commit: String, seeds: Seeds, shard: Shard) -> Settings {
        let mut hasher = TraceHasher::default();
        hasher.bytes(format!("{profile:?}").as_bytes());
        Settings {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            profile: profile.name.clone(),
            profile_hash: format!("{:016x}", hasher.value()),
            seeds,
            shard,
            verify_ppm: 0,
            plant: None,
            situations: reach::words(),
        }
    }

    /// The first difference, in words: `profile: "quick" there, "default" here`.
    pub(crate) fn difference(&self, there: &Settings) -> Option<String> {
        let [here, there] =
            [self, there].map(|settings| serde_json::to_value(settings).unwrap_or(Value::Null));
        let mut fields = here.as_object()?.iter();
        fields.find_map(|(name, value)| {
            let other = &there[name];
            (other != value).then(|| format!("{}: {other} there, {value} here", name.replace('_', " ")))
        })
    }

    /// The same, but for what shards of one campaign, or one campaign with more seeds, need not share.
    pub(crate) fn difference_but_seeds(&self, there: &Settings) -> Option<String> {
        let Settings { seeds, shard, .. } = *self;
        self.difference(&Settings { seeds, shard, ..there.clone() })
    }

    /// The seeds of this shard, in order.
    pub(crate) fn seeds(&self) -> impl Iterator<Item = u64> + use<> {
        let Settings { seeds: Seeds { from, .. }, shard: Shard { index, of }, .. } = *self;
        let first = from.checked_add((index + of - from % of) % of).filter(|seed| *seed <= self.last());
        let last = self.last();
        std::iter::successors(first, move |seed| seed.checked_add(of).filter(|seed| *seed <= last))
    }

    /// Whether a seed is one of them.
    pub(crate) fn holds(&self, seed: u64) -> bool {
        let Settings { seeds, shard, .. } = self;
        seed >= seeds.from && seed <= self.last() && seed % shard.of == shard.index
    }

    /// How many there are; `None` where that has no bound.
    pub(crate) fn count(&self) -> Option<u64> {
        self.seeds.to?;
        let first = self.seeds().next();
        Some(first.map_or(0, |first| (self.last() - first) / self.shard.of + 1))
    }

    fn last(&self) -> u64 {
        self.seeds.to.map_or(LAST_SEED, |to| to.saturating_sub(1))
    }

    /// Whether the run of this seed is done twice.
    pub(crate) fn verifies(&self, seed: u64) -> bool {
        let share = Ppm::new(self.verify_ppm).unwrap_or(Ppm::ALWAYS);
        Stream::derive(seed, "verify").chance(share)
    }

    /// A name for a directory that tells what is in it.
    pub(crate) fn name(&self) -> String {
        let Settings { profile, seeds: Seeds { from, to }, shard: Shard { index, of }, .. } = self;
        let seeds = match to {
            Some(to) if *to == from + 1 => format!("seed-{from}"),
            Some(to) => format!("{from}-{to}"),
            None => format!("from-{from}"),
        };
        let shard = if *of > 1 { format!("-shard-{index}-of-{of}") } else { String::new() };
        format!("{profile}-{seeds}{shard}")
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { version, commit, profile, .. } = self;
        write!(f, "raftsim {version}, commit {commit}, profile {profile}")
    }
}

/// The settings, and what it takes to make scenarios by them.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    /// The settings.
    pub settings: Settings,
    /// The profile of that name.
    pub profile: Profile,
    /// The file that it is in, if it is not built in.
    pub file: Option<PathBuf>,
}

impl Recipe {
    /// The scenario of a seed.
    pub(crate) fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = fuzz::scenario(&self.profile, seed);
        if self.settings.plant.is_some_and(|every| seed.is_multiple_of(every)) {
            plant(&mut scenario, seed);
        }
        scenario
    }

    /// The arguments that make this scenario of this seed.
    pub(crate) fn arguments(&self, seed: u64) -> String {
        let Settings { profile, plant, .. } = &self.settings;
        let mut arguments = format!("--seed {seed}");
        if profile != DEFAULT {
            arguments.push_str(&format!(" --profile {}", quoted(profile)));
        }
        if let Some(file) = &self.file {
            arguments.push_str(&format!(" --profiles {}", quoted(&file.display().to_string())));
        }
        if let Some(every) = plant {
            arguments.push_str(&format!(" --plant {every}"));
        }
        arguments
    }
}

/// Begins the scenario with a step that cannot hold, since clusters start in a later term.
fn plant(scenario: &mut Scenario, seed: u64) {
    let text = format!(
        "about = \"x\"\nsteps = [{{ wait = \"{}ms\" }}, {{ expect = \"term\", on = 1, is = 1 }}]",
        1 + seed % 5
    );
    let planted = scenario::parse(&text).expect("the text above is a scenario");
    scenario.steps.splice(..0, planted.steps);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(from: u64, to: Option<u64>, index: u64, of: u64) -> Settings {
        let profiles = fuzz::Profiles::builtin();
        let profile = profiles.get("default").expect("there is one");
        Settings::new(profile, "c0ffee".to_owned(), Seeds { from, to }, Shard { index, of })
    }

    #[test]
    fn shards_divide_the_seeds_by_their_remainder() {
        let seeds = |index| settings(5, Some(20), index, 4).seeds().collect::<Vec<_>>();
        assert_eq!([seeds(0), seeds(1)], [vec![8, 12, 16], vec![5, 9, 13, 17]]);
        let mut all: Vec<u64> = (0..4).flat_map(seeds).collect();
        all.sort_unstable();
        assert_eq!(all, (5..20).collect::<Vec<_>>());
        for index in 0..4 {
            let settings = settings(5, Some(20), index, 4);
            assert_eq!(settings.count(), Some(settings.seeds().count() as u64));
            assert!((0..30).all(|seed| settings.holds(seed) == settings.seeds().any(|held| held == seed)));
        }
        assert_eq!(settings(0, Some(2), 3, 4).count(), Some(0), "more shards than seeds");
    }

    #[test]
    fn seeds_end_with_the_last_of_63_bits() {
        let seeds: Vec<u64> = settings(LAST_SEED - 1, None, 0, 1).seeds().collect();
        assert_eq!(seeds, [LAST_SEED - 1, LAST_SEED]);
        assert_eq!(settings(0, None, 0, 1).count(), None);
    }

    #[test]
    fn a_difference_is_named() {
        let here = settings(0, Some(9), 0, 1);
        assert_eq!(here.difference(&here), None);
        let there = Settings { commit: "beef".to_owned(), ..here.clone() };
        assert_eq!(here.difference(&there).as_deref(), Some(r#"commit: "beef" there, "c0ffee" here"#));
        assert!(here.difference(&settings(0, Some(9), 1, 2)).expect("another shard").starts_with("shard: "));
        assert_eq!(here.difference_but_seeds(&settings(9, None, 1, 2)), None);
        assert!(here.difference_but_seeds(&there).is_some());
    }

    #[test]
    fn the_share_that_is_verified_depends_on_the_seed_alone() {
        let settings = Settings { verify_ppm: 50_000, ..settings(0, None, 0, 1) };
        let verified = (0..10_000).filter(|seed| settings.verifies(*seed)).count();
        assert!((400..600).contains(&verified), "{verified}");
        assert!(Settings { verify_ppm: 1_000_000, ..settings }.verifies(7));
    }

    #[test]
    fn names_tell_what_is_in_a_directory() {
        let name = |from, to, index, of| settings(from, to, index, of).name();
        assert_eq!(name(0, Some(100), 0, 1), "default-0-100");
        assert_eq!(name(0, Some(100), 2, 8), "default-0-100-shard-2-of-8");
        assert_eq!(
            (name(7, Some(8), 0, 1), name(7, None, 0, 1)),
            ("default-seed-7".into(), "default-from-7".into())
        );
    }
}
