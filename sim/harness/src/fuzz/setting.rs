//! The scene: how many stores and clients there are, who is a member, how time is measured, and when things happen.

use raftsim_kernel::{Duration, Time};

use super::dice::Dice;
use super::profile::Profile;
use crate::scenario::{PlacementMode, System, Target};

/// What all aspects of a scenario must know of it.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) system: System,
    /// How many stores.
    pub(super) stores: u64,
    /// Those that vote at the start.
    pub(super) voters: Vec<u64>,
    /// Those that learn.
    pub(super) learners: Vec<u64>,
    /// What the placement driver does, where there is one.
    pub(super) placement: Option<PlacementMode>,
    pub(super) clients: u32,
    pub(super) keys: u64,
    /// All operations of all clients together.
    pub(super) operations: u64,
    /// How long values are.
    pub(super) value_size: u64,
    /// A tick.
    pub(super) tick: Duration,
    /// The ticks of an election timeout.
    pub(super) election_ticks: u32,
    /// When faults begin.
    pub(super) start: Time,
    /// When they end.
    pub(super) end: Time,
    /// Moments at which faults gather.
    moments: Vec<Time>,
    /// In percent, how much happens.
    pub(super) intensity: u64,
    /// Whether knobs may be hostile.
    pub(super) hostile: bool,
}

impl Setting {
    pub(super) fn draw(profile: &Profile, seed: u64) -> Setting {
        let mut dice = Dice::of(seed, "shape");
        let system = dice.choose(&profile.systems);
        let stores = dice.choose(&profile.stores);
        let (voters, learners) = members(stores, &mut dice);
        let placement = dice.choose(&profile.placement).filter(|_| system == System::Raftstore);
        let intensity = dice.count(profile.intensity);
        let hostile = dice.percent(50);
        let mut dice = Dice::of(seed, "work");
        let clients = u32::try_from(dice.count(profile.clients)).unwrap_or(u32::MAX);
        let keys = dice.count(profile.keys);
        let value_size = dice.weighted(&[(4, 16), (2, 40), (1, 200), (1, 1_000)]);
        let operations = dice.count(profile.operations);
        let (tick, election_ticks) = time_base(&mut Dice::of(seed, "time"));
        let pulse = tick * u64::from(election_ticks);
        let mut dice = Dice::of(seed, "moments");
        // As the profile says where an election timeout is a second.
        let length = Duration(dice.span(profile.length).0 / 1_000 * (pulse.0 / 1_000_000));
        // Some faults fall into the first election.
        let start = Time(dice.part(pulse, 0, 400).0);
        let end = start + length;
        // So early that what begins then has time to matter.
        let last = start + Duration(length.0 / 100 * 85);
        let moments = (0..dice.between(1, 4)).map(|_| dice.time(start, last)).collect();
        Setting {
            system,
            stores,
            voters,
            learners,
            placement,
            clients,
            keys,
            operations,
            value_size,
            tick,
            election_ticks,
            start,
            end,
            moments,
            intensity,
            hostile,
        }
    }

    /// The span in which faults are measured: the shortest election timeout.
    pub(super) fn pulse(&self) -> Duration {
        self.tick * u64::from(self.election_ticks)
    }

    /// About as many bytes of data as there will be.
    pub(super) fn bulk(&self) -> u64 {
        self.operations * self.value_size / 2
    }

    /// When something happens: at any time, or together with other things.
    pub(super) fn moment(&self, dice: &mut Dice) -> Time {
        if dice.percent(40) {
            dice.pick(&self.moments) + dice.part(self.pulse(), 0, 60)
        } else {
            dice.time(self.start, self.end)
        }
    }

    /// From when to when something lasts: mostly around an election timeout, sometimes far longer, and now and then until
    /// the run's ending, as does what would end after the others.
    pub(super) fn dwell(&self, dice: &mut Dice) -> (Time, Option<Time>) {
        let begin = self.moment(dice);
        let span = match dice.between(0, 19) {
            0..=5 => dice.part(self.pulse(), 5, 80),
            6..=14 => dice.part(self.pulse(), 80, 300),
            15..=18 => dice.part(self.pulse(), 300, 800),
            _ => Duration(u64::MAX),
        };
        (begin, Some(begin + span).filter(|end| *end < self.end))
    }

    /// A short wait, for something that may well not come.
    pub(super) fn patience(&self, dice: &mut Dice) -> Duration {
        dice.part(self.pulse(), 30, 250)
    }

    /// Every store's number.
    pub(super) fn all(&self) -> Vec<u64> {
        (1..=self.stores).collect()
    }

    /// The key of this number; those that clients use are numbered from 1.
    pub(super) fn key(&self, dice: &mut Dice) -> String {
        format!("k{}", dice.between(1, self.keys))
    }

    /// A region, for a step that is about one: the first, or that of a key.
    pub(super) fn of(&self, dice: &mut Dice) -> Option<String> {
        let (some, key) = (dice.percent(50), self.key(dice));
        (some && self.system == System::Raftstore).then_some(key)
    }

    /// One store: a number, or a word of which the run makes a store when it gets there.
    pub(super) fn store(&self, dice: &mut Dice) -> Target {
        let (store, of) = (dice.between(1, self.stores), self.of(dice));
        match (dice.between(0, 9), of) {
            (0..=2, None) => Target::Leader,
            (0..=2, Some(key)) => Target::LeaderOf(key),
            (3, None) => Target::Follower,
            (3, Some(key)) => Target::FollowerOf(key),
            _ => Target::Store(store),
        }
    }

    /// Some stores by number, mostly few of them.
    pub(super) fn some(&self, dice: &mut Dice) -> Vec<Target> {
        let most = self.stores.div_ceil(2);
        let count = if dice.percent(60) { 1 } else { dice.between(1, most) };
        dice.some(&self.all(), count).into_iter().map(Target::Store).collect()
    }
}

/// Who votes and who learns at the start; the rest is spare.
fn members(stores: u64, dice: &mut Dice) -> (Vec<u64>, Vec<u64>) {
    let all: Vec<u64> = (1..=stores).collect();
    if stores < 2 || dice.percent(45) {
        return (all, Vec::new());
    }
    // The usual thing: three or five members, and stores that are to take up more.
    let voters = dice.weighted(&[(6, 3), (2, 5), (1, 1), (1, 2), (1, 4)]).min(stores);
    let mut voters = dice.some(&all, voters);
    voters.sort_unstable();
    let rest: Vec<u64> = all.into_iter().filter(|store| !voters.contains(store)).collect();
    let learners = if dice.percent(30) { dice.between(1, rest.len() as u64) } else { 0 };
    let mut learners = dice.some(&rest, learners);
    learners.sort_unstable();
    (voters, learners)
}

/// The length of a tick, and the ticks of an election timeout.
fn time_base(dice: &mut Dice) -> (Duration, u32) {
    let tick = dice.weighted(&[(6, 100), (3, 50), (2, 20), (1, 10)]);
    let ticks = dice.weighted(&[(8, 10), (2, 5), (2, 20), (1, 3), (1, 15)]);
    (Duration::millis(tick), ticks)
}
