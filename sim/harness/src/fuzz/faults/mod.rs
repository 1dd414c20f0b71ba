//! What goes wrong: one entry for each kind of fault, one file for each part of the machine.
//!
//! A kind has dice of its own, whose first draw is whether it exists in this run at all. To add one, write a function that puts
//! one such fault into the draft, and add its line to [`FAULTS`] and to the profile `default`.

mod ambush;
mod clock;
mod disk;
mod membership;
mod network;
mod partition;
mod process;

pub(super) use membership::regions;

use super::dice::Dice;
use super::draft::Draft;
use super::profile::Profile;
use super::setting::Setting;
use crate::scenario::System;

/// A kind of fault.
pub(super) struct Fault {
    /// What profiles call it.
    pub(super) word: &'static str,
    /// The system that can have it, where only one can.
    only: Option<System>,
    /// Puts one into a scenario.
    put: fn(&mut Draft, &Setting, &mut Dice),
}

const fn fault(word: &'static str, put: fn(&mut Draft, &Setting, &mut Dice)) -> Fault {
    Fault { word, only: None, put }
}

impl Fault {
    const fn only(self, system: System) -> Fault {
        Fault { only: Some(system), ..self }
    }
}

/// Every kind of fault.
pub(super) static FAULTS: &[Fault] = &[
    fault("latency", network::latency),
    fault("loss", network::loss),
    fault("duplicate", network::duplicate),
    fault("reorder", network::reorder),
    fault("corrupt", network::corrupt),
    fault("bandwidth", network::bandwidth),
    fault("filter", network::filter),
    fault("partition", partition::partition),
    fault("bridge", partition::bridge),
    fault("isolate", partition::isolate),
    fault("cut", partition::cut),
    fault("clog", partition::clog),
    fault("swizzle", partition::swizzle),
    fault("slow-disk", disk::slow),
    fault("stall", disk::stall),
    fault("full-disk", disk::full),
    fault("io-error", disk::error),
    fault("rot", disk::rot),
    fault("offset", clock::offset),
    fault("drift", clock::drift),
    fault("jump", clock::jump),
    fault("crash", process::crash),
    fault("blackout", process::blackout),
    fault("storm", process::storm),
    fault("pause", process::pause),
    fault("slow", process::slow),
    fault("reconfigure", process::reconfigure),
    fault("wipe", process::wipe).only(System::Raftstore),
    fault("driver", process::driver).only(System::Raftstore),
    fault("change", membership::change),
    fault("split", membership::split).only(System::Raftstore),
    fault("transfer", membership::transfer),
    fault("campaign", membership::campaign),
    fault("compact", membership::compact),
    fault("forget-leader", membership::forget_leader).only(System::Raft),
    fault("request-snapshot", membership::request_snapshot).only(System::Raft),
    fault("ambush", ambush::ambush),
];

/// Draws all faults of a run; the words of the kinds that exist in it.
pub(super) fn draw(draft: &mut Draft, setting: &Setting, profile: &Profile, seed: u64) -> Vec<&'static str> {
    let mut on = Vec::new();
    for Fault { word, only, put } in FAULTS {
        let mut dice = Dice::of(seed, word);
        let Some(part) = profile.faults.get(word) else { continue };
        let exists = dice.chance(part.on);
        // Rounded at random, so that a low intensity leaves something.
        let times = dice.count(part.times) * setting.intensity + dice.between(0, 99);
        if !exists || only.is_some_and(|system| system != setting.system) {
            continue;
        }
        on.push(*word);
        for _ in 0..times / 100 {
            put(draft, setting, &mut dice);
        }
    }
    on
}
