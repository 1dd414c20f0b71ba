//! From a seed to a scenario: the adversary's imagination.
//!
//! [`scenario`] turns a profile and a seed into a [`Scenario`] with explicit steps at explicit times, so that a run of what it
//! prints is the run itself, and a scenario that found something can be cut down by hand.
//!
//! - **Swarm testing** (Groce et al., ISSTA 2012). Which kinds of fault exist in a run at all is drawn first, each
//!   being off about half of the time: a run that has some of everything seldom gets deep into anything. The same goes for
//!   knobs: half of the runs have sane ones, in the others each may be hostile.
//! - **Bias.** Faults gather at a few moments of a run and overlap there; delays are measured in election timeouts and are
//!   often longer than one; ambushes wait for a write, a snapshot or a leader, and strike right then.
//! - **One stream an aspect.** Each kind of fault, each table of knobs, the load and the ending have dice of their own, so that a
//!   change in one leaves all others of a seed as they are.
//! - **Valid by construction.** What is drawn stays within what Raft and its implementation promise to bear (see
//!   `knobs`); a step that cannot be executed when its time comes is skipped (`if-any`), and waits run out without a word.
//!   So every finding is one.
//!
//! Parts: `profile` says what runs are like, `setting` draws the cluster, `knobs` its configuration, `faults` what goes
//! wrong in it, and `draft` puts all that in order.

mod dice;
mod draft;
mod faults;
mod knobs;
mod load;
mod profile;
mod setting;

pub use profile::{Choice, DEFAULT, Part, Profile, Profiles, Range, Weights};

use crate::scenario::Scenario;
use dice::Dice;
use draft::Draft;
use setting::Setting;

/// The scenario that a seed stands for. It has the seed as its own, so that running it needs nothing else.
///
/// Pure: the same profile and seed give the same scenario wherever and whenever. Seeds that TOML cannot hold lose their
/// highest bit.
#[must_use]
pub fn scenario(profile: &Profile, seed: u64) -> Scenario {
    let seed = seed & crate::scenario::MAX_SEED;
    let setting = Setting::draw(profile, seed);
    let mut draft = Draft::new();
    knobs::draw(&mut draft, &setting, profile, seed);
    load::draw(&mut draft, &setting, &mut Dice::of(seed, "load"));
    faults::regions(&mut draft, &setting, profile, &mut Dice::of(seed, "regions"));
    let on = faults::draw(&mut draft, &setting, profile, seed);
    draft.scenario.ending = Dice::of(seed, "ending").choose(&profile.endings);
    draft.finish(&setting, profile, seed, &on)
}
