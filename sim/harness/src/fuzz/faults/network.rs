//! Faults of links that carry messages: late, lost, doubled, overtaken, damaged, too many; and single messages that go astray.

use raftsim_kernel::{Duration, Latency};

use super::partition::ends;
use crate::fuzz::dice::Dice;
use crate::fuzz::draft::Draft;
use crate::fuzz::setting::Setting;
use crate::scenario::{
    Action, Bytes, Effect, Endpoint, Filter, FilterRef, MessageKind, NetworkChange, System, Target,
};

/// Links that change: all of them, those from or to some stores, or those between one store and the others.
fn links(setting: &Setting, dice: &mut Dice) -> NetworkChange {
    let (some, one) = (ends(&setting.some(dice)), ends(&[setting.store(dice)]));
    let (from, to) = match dice.between(0, 5) {
        2 => (Some(some), None),
        3 => (None, Some(some)),
        4 | 5 if setting.stores > 1 => (Some(one), Some(vec![Endpoint::Stores(Target::Others)])),
        _ => (None, None),
    };
    NetworkChange { from, to, ..NetworkChange::default() }
}

/// Links change for a while. Those of a store that a word names may be those of another in the end; then all are mended.
fn change(
    draft: &mut Draft,
    setting: &Setting,
    dice: &mut Dice,
    fault: impl Fn(NetworkChange) -> NetworkChange,
    usual: impl Fn(NetworkChange) -> NetworkChange,
) {
    let (span, links) = (setting.dwell(dice), links(setting, dice));
    let named = |end: &Endpoint| matches!(end, Endpoint::Stores(target) if !matches!(target, Target::Store(_) | Target::Others));
    let mended = match &links.from {
        Some(from) if from.iter().any(named) => NetworkChange::default(),
        _ => links.clone(),
    };
    draft.between(span, Action::Network(fault(links)), Action::Network(usual(mended)));
}

/// Links are slow: seldom by little, often by more than an election timeout.
pub(super) fn latency(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let pulse = setting.pulse();
    let min = dice.part(pulse, 1, 20);
    let slow = match dice.between(0, 4) {
        0 => Latency::Constant(dice.part(pulse, 20, 150)),
        1 => Latency::Uniform { min, max: min + dice.part(pulse, 20, 300) },
        2 => Latency::Tail { min, mean: dice.part(pulse, 1, 5) },
        _ => Latency::Exponential { min, mean: dice.part(pulse, 10, 100) },
    };
    let usual = draft.scenario.network.latency;
    let set = |latency| move |links| NetworkChange { latency: Some(latency), ..links };
    change(draft, setting, dice, set(slow), set(usual));
}

macro_rules! share {
    ($(#[doc = $doc:literal])+ $name:ident: $low:literal to $high:literal, always $base_low:literal to $base_high:literal) => {
        $(#[doc = $doc])+
        pub(super) fn $name(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
            let (share, always) = (dice.share($low, $high), dice.share($base_low, $base_high));
            // What there is from the start, the first of its kind decides.
            if dice.percent(20) {
                draft.scenario.network.$name = always;
            }
            let usual = draft.scenario.network.$name;
            let set = |share| move |links| NetworkChange { $name: Some(share), ..links };
            change(draft, setting, dice, set(share), set(usual));
        }
    };
}

share! {
    /// Messages are lost.
    loss: 2_000 to 500_000, always 1_000 to 50_000
}
share! {
    /// Messages arrive twice.
    duplicate: 5_000 to 500_000, always 1_000 to 50_000
}
share! {
    /// Messages overtake each other.
    reorder: 10_000 to 1_000_000, always 5_000 to 200_000
}
share! {
    /// Messages are damaged on their way.
    corrupt: 2_000 to 300_000, always 1_000 to 30_000
}

/// Links carry little, and what does not fit into their queues is lost. The queues hold a few election timeouts' worth at
/// most: what waits in them goes on waiting when the link is fast again.
pub(super) fn bandwidth(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    // An idle group needs about a kilobyte in an election timeout.
    let in_a_pulse = dice.pick(&[1_000, 2_000, 5_000, 20_000, 100_000]);
    let per_second = in_a_pulse * 1_000_000 / (setting.pulse().0 / 1_000);
    let queue = in_a_pulse * dice.between(1, 30) / 10;
    let set = |bandwidth, queue| {
        move |links| NetworkChange { bandwidth: Some(bandwidth), queue: Some(queue), ..links }
    };
    let fault = set(Bytes::new(per_second), Bytes::new(queue));
    change(draft, setting, dice, fault, set(Bytes::UNBOUNDED, Bytes::UNBOUNDED));
}

/// The kinds of message that are worth picking, those that matter most more than once.
fn kinds(setting: &Setting) -> Vec<MessageKind> {
    use MessageKind::{
        Append, AppendResponse, Heartbeat, HeartbeatResponse, PreVoteResponse, ReadIndexResponse, Reply,
        Request, Snapshot, SnapshotAck, SnapshotChunk, TimeoutNow, Tombstone, Vote, VoteResponse,
    };
    let mut kinds = vec![Append, Append, AppendResponse, Vote, VoteResponse, PreVoteResponse, Heartbeat];
    kinds.extend([HeartbeatResponse, Snapshot, TimeoutNow, ReadIndexResponse, Request, Reply]);
    if setting.system == System::Raftstore {
        kinds.extend([SnapshotChunk, SnapshotChunk, SnapshotAck, Tombstone]);
    }
    if setting.placement.is_some() {
        kinds.push(MessageKind::Placement);
    }
    kinds
}

/// Messages of a kind are lost, late, held back or doubled.
pub(super) fn filter(draft: &mut Draft, setting: &Setting, dice: &mut Dice) {
    let count = if dice.percent(70) { 1 } else { 2 };
    let mut messages = dice.some(&kinds(setting), count);
    messages.sort_unstable();
    messages.dedup();
    // What travels on a stream is neither doubled nor overtaken.
    let stream = [MessageKind::Request, MessageKind::Reply, MessageKind::Placement];
    let by = dice.part(setting.pulse(), 5, 250).max(Duration::micros(1));
    let (times, some) = (dice.small(1, 3), ends(&setting.some(dice)));
    let effect = match dice.between(0, 3) {
        0 => Effect::Drop,
        1 => Effect::Delay { by },
        2 if !messages.iter().any(|kind| stream.contains(kind)) => Effect::Duplicate { times },
        _ => Effect::Hold,
    };
    let (from, to) = match dice.between(0, 3) {
        0 => (Some(some), None),
        1 => (None, Some(some)),
        _ => (None, None),
    };
    let (few, most) = (dice.percent(50), dice.between(1, 8));
    let (later, skip) = (dice.percent(40), dice.between(1, 6));
    let name = draft.name("filter");
    let filter = Filter {
        effect,
        messages,
        of: setting.of(dice),
        from,
        to,
        skip: if later { skip } else { 0 },
        count: few.then_some(most),
        name: Some(name.clone()),
    };
    let span = setting.dwell(dice);
    draft.between(span, Action::Filter(filter), Action::Clear(FilterRef::Named(name)));
}
