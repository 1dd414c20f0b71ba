//! Profiles: what kinds of scenario a seed is turned into, and how a file says so.
//!
//! A profile is a table of a TOML file; what it leaves out it takes from the profile that its `like` names, or else from
//! `default`. The file of those built in, `profiles.toml`, explains every field.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use raftsim_kernel::{Duration, Ppm};
use serde::Deserialize;

use super::faults::FAULTS;
use crate::scenario::{Diagnostic, Ending, Keyword, MAX_STORES, PlacementMode, System};

/// The profiles that come with the program.
const BUILTIN: &str = include_str!("profiles.toml");

/// The profile that the others are variations of.
pub const DEFAULT: &str = "default";

/// Numbers or spans from one to another, both included. Written `"1..6"`, or `"6"` for one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String", bound = "T: FromStr + PartialOrd + Copy")]
pub struct Range<T: FromStr + PartialOrd + Copy> {
    /// The least.
    pub low: T,
    /// The greatest.
    pub high: T,
}

impl<T: FromStr + PartialOrd + Copy> TryFrom<String> for Range<T> {
    type Error = String;

    fn try_from(text: String) -> Result<Range<T>, String> {
        let (low, high) = text.split_once("..").unwrap_or((&text, &text));
        match (low.trim().parse::<T>(), high.trim().parse::<T>()) {
            (Ok(low), Ok(high)) if low <= high => Ok(Range { low, high }),
            (Ok(_), Ok(_)) => Err(format!("expected a range from low to high, found {text:?}")),
            _ => Err(format!("expected a range such as \"1..6\" or \"5s..20s\", found {text:?}")),
        }
    }
}

/// Choices with how likely each is among them. Written as a table: `{ raftstore = 3, raft = 1 }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, u32>", bound = "T: Choice")]
pub struct Weights<T: Choice>(Vec<(u32, T)>);

/// What [`Weights`] can be over.
pub trait Choice: Sized {
    /// The choice that a profile spells so.
    fn from_word(word: &str) -> Option<Self>;
    /// All spellings, for a message.
    fn words() -> String;
}

impl<T: Choice> Weights<T> {
    /// Each with its weight; at least one is above zero.
    #[must_use]
    pub fn as_slice(&self) -> &[(u32, T)] {
        &self.0
    }
}

impl<T: Choice> TryFrom<BTreeMap<String, u32>> for Weights<T> {
    type Error = String;

    fn try_from(table: BTreeMap<String, u32>) -> Result<Weights<T>, String> {
        let known = |(word, weight): (&String, &u32)| match T::from_word(word) {
            Some(choice) => Ok((*weight, choice)),
            None => Err(format!("{word:?} is no choice here; expected {}", T::words())),
        };
        let list = table.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        if list.iter().all(|(weight, _)| *weight == 0) {
            return Err("expected at least one weight above zero".to_owned());
        }
        Ok(Weights(list))
    }
}

/// A number of stores.
impl Choice for u64 {
    fn from_word(word: &str) -> Option<u64> {
        word.parse().ok().filter(|stores| (1..=MAX_STORES).contains(stores))
    }

    fn words() -> String {
        format!("a number of stores from 1 to {MAX_STORES}")
    }
}

macro_rules! keyword_choices {
    ($($type:ty)+) => { $(
        impl Choice for $type {
            fn from_word(word: &str) -> Option<$type> {
                <$type as Keyword>::from_word(word)
            }

            fn words() -> String {
                <$type as Keyword>::ALL.iter().map(|value| value.word()).collect::<Vec<_>>().join(", ")
            }
        }
    )+ };
}

keyword_choices! { System Ending }

/// A mode of the placement driver; `None`, written `none`: there is no driver.
impl Choice for Option<PlacementMode> {
    fn from_word(word: &str) -> Option<Option<PlacementMode>> {
        if word == "none" { Some(None) } else { PlacementMode::from_word(word).map(Some) }
    }

    fn words() -> String {
        let modes: Vec<&str> = PlacementMode::ALL.iter().map(|mode| mode.word()).collect();
        format!("none, {}", modes.join(", "))
    }
}

/// How a kind of fault takes part in runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// The chance that it exists in a run at all.
    pub on: Ppm,
    /// How many times it then happens, at an intensity of 100.
    pub times: Range<u64>,
}

/// The same as a file has it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartialPart {
    on: Option<Share>,
    times: Option<Range<u64>>,
}

/// A probability as a file has it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String")]
struct Share(Ppm);

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Share, String> {
        text.parse::<Ppm>().map(Share).map_err(|error| error.to_string())
    }
}

macro_rules! profile {
    ($( $(#[doc = $doc:literal])+ $field:ident: $type:ty as $raw:ty = |$value:ident| $read:expr; )+) => {
        /// What the scenarios of a campaign are like: weights and ranges.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Profile {
            /// What it is called.
            pub name: String,
            $( $(#[doc = $doc])+ pub $field: $type, )+
            /// How each kind of fault takes part: one entry for every kind there is.
            pub faults: BTreeMap<&'static str, Part>,
        }

        /// A profile as a file has it.
        #[derive(Clone, Debug, Deserialize)]
        #[serde(rename_all = "kebab-case", deny_unknown_fields)]
        struct Partial {
            like: Option<String>,
            /// The chance of every kind of fault that this table does not name.
            others: Option<Share>,
            #[serde(default)]
            faults: BTreeMap<String, PartialPart>,
            $( $field: Option<$raw>, )+
        }

        impl Partial {
            /// The profile that this makes of the one it is like; of nothing, if it has all fields.
            fn onto(self, name: &str, like: Option<&Profile>) -> Result<Profile, String> {
                $( let $field = match (self.$field, like) {
                    (Some($value), _) => $read,
                    (None, Some(like)) => like.$field.clone(),
                    (None, None) => return Err(format!("expected `{}`", stringify!($field).replace('_', "-"))),
                }; )+
                let faults = parts(&self.faults, self.others, like)?;
                Ok(Profile { name: name.to_owned(), $($field,)+ faults })
            }
        }
    };
}

profile! {
    /// What it is for, in a sentence.
    about: String as String = |text| text;
    /// What the stores run.
    systems: Weights<System> as Weights<System> = |weights| weights;
    /// How many stores there are.
    stores: Weights<u64> as Weights<u64> = |weights| weights;
    /// How a run ends.
    endings: Weights<Ending> as Weights<Ending> = |weights| weights;
    /// What the placement driver does, if there is one.
    placement: Weights<Option<PlacementMode>> as Weights<Option<PlacementMode>> = |weights| weights;
    /// How long faults go on, where an election timeout is a second; shorter or longer as that is.
    length: Range<Duration> as Range<Duration> = |range| range;
    /// How many clients there are.
    clients: Range<u64> as Range<u64> = |range| range;
    /// Over how many keys.
    keys: Range<u64> as Range<u64> = |range| range;
    /// How many operations they do in all.
    operations: Range<u64> as Range<u64> = |range| range;
    /// How many regions there are soon after the start.
    regions: Range<u64> as Range<u64> = |range| range;
    /// The chance of each knob to have a hostile value, in the half of the runs in which any may.
    hostile: Ppm as Share = |share| share.0;
    /// The chance of reads by leases, where the other knobs allow them.
    leases: Ppm as Share = |share| share.0;
    /// In percent, by how much the numbers of `times` are multiplied; drawn for each run.
    intensity: Range<u64> as Range<u64> = |range| range;
}

/// Sees to it that there is something to run.
fn sensible(profile: Profile) -> Result<Profile, String> {
    let zero = [
        ("clients", profile.clients.low),
        ("keys", profile.keys.low),
        ("operations", profile.operations.low),
        ("regions", profile.regions.low),
        ("length", profile.length.low.0),
    ];
    match zero.iter().find(|(_, least)| *least == 0) {
        Some((field, _)) => Err(format!("expected `{field}` to be at least one, found a range from zero")),
        None => Ok(profile),
    }
}

/// How each kind of fault takes part.
fn parts(
    given: &BTreeMap<String, PartialPart>,
    others: Option<Share>,
    like: Option<&Profile>,
) -> Result<BTreeMap<&'static str, Part>, String> {
    if let Some(unknown) = given.keys().find(|word| !FAULTS.iter().any(|fault| fault.word == *word)) {
        let known: Vec<&str> = FAULTS.iter().map(|fault| fault.word).collect();
        return Err(format!("there is no kind of fault {unknown:?}; there are {}", known.join(", ")));
    }
    let part = |word: &'static str| {
        let (given, like) = (given.get(word), like.and_then(|like| like.faults.get(word)));
        let others = others.filter(|_| given.is_none());
        let on = given.and_then(|part| part.on).or(others).map(|share| share.0).or(like.map(|part| part.on));
        let times = given.and_then(|part| part.times).or(like.map(|part| part.times));
        match (on, times) {
            (Some(on), Some(times)) => Ok((word, Part { on, times })),
            _ => Err(format!("expected `on` and `times` of the fault {word:?}")),
        }
    };
    FAULTS.iter().map(|fault| part(fault.word)).collect()
}

/// Profiles by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles(BTreeMap<String, Profile>);

impl Profiles {
    /// Those that come with the program.
    #[must_use]
    pub fn builtin() -> Profiles {
        Profiles(BTreeMap::new()).with(BUILTIN).expect("a test reads the profiles that are built in")
    }

    /// Those that come with the program, and those of a file; of two of one name that of the file.
    ///
    /// # Errors
    /// What is wrong with the file.
    pub fn parse(text: &str) -> Result<Profiles, Vec<Diagnostic>> {
        Profiles::builtin().with(text)
    }

    fn with(self, text: &str) -> Result<Profiles, Vec<Diagnostic>> {
        let mut rest: BTreeMap<String, toml::Spanned<Partial>> = toml::from_str(text).map_err(|error| {
            let span = error.span().unwrap_or(0..0);
            vec![Diagnostic {
                span,
                message: error.message().to_owned(),
                label: "here".to_owned(),
                help: None,
            }]
        })?;
        let Profiles(mut profiles) = self;
        let first = profiles.is_empty();
        let like = |name: &str, partial: &Partial| match &partial.like {
            Some(like) => Some(like.clone()),
            None if first && name == DEFAULT => None,
            None => Some(DEFAULT.to_owned()),
        };
        let mut errors = Vec::new();
        // Those that nothing in the rest is missing for; what is left in the end is like itself, or like nothing.
        while !rest.is_empty() {
            let ready = rest.iter().find(|(name, partial)| {
                let like = like(name, partial.get_ref());
                like.is_none_or(|like| like == **name || !rest.contains_key(&like))
            });
            let Some(name) = ready.map(|(name, _)| name.clone()) else { break };
            let Some(partial) = rest.remove(&name) else { break };
            let span = partial.span();
            let basis = like(&name, partial.get_ref());
            let wrong = |message| Diagnostic {
                span: span.clone(),
                message,
                label: "this profile".to_owned(),
                help: None,
            };
            let basis = match &basis {
                None => None,
                Some(like) => match profiles.get(like) {
                    Some(profile) => Some(profile.clone()),
                    None => {
                        errors.push(wrong(format!("there is no profile {like:?} for {name:?} to be like")));
                        continue;
                    }
                },
            };
            match partial.into_inner().onto(&name, basis.as_ref()).and_then(sensible) {
                Ok(profile) => drop(profiles.insert(name, profile)),
                Err(message) => errors.push(wrong(format!("profile {name:?}: {message}"))),
            }
        }
        errors.extend(rest.iter().map(|(name, partial)| Diagnostic {
            span: partial.span(),
            message: format!("profile {name:?} is like itself"),
            label: "by way of its `like`".to_owned(),
            help: None,
        }));
        if errors.is_empty() { Ok(Profiles(profiles)) } else { Err(errors) }
    }

    /// The profile of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.about)
    }
}
