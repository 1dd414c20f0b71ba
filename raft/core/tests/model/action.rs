//! What can happen to a group of replicas, and how groups and histories are drawn.
//!
//! Actions are small and name replicas and messages by numbers that are taken modulo what there is, so that
//! a history stays meaningful when others of its actions are left out. A failing [`Case`] is printed as Rust, to
//! be pasted into `regressions.rs`.

use proptest::prelude::*;
use raft::eraftpb::ConfChangeTransition;

/// A group and what happens to it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) group: Group,
    pub(crate) actions: Vec<Action>,
}

/// The replicas of a group and their settings. A `Mask` says for which replicas something is switched on.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    /// Replicas, members or not; the others start empty and without knowing of the group.
    pub(crate) replicas: u8,
    /// The first so many are voters.
    pub(crate) voters: u8,
    /// The next so many are learners.
    pub(crate) learners: u8,
    pub(crate) election_ticks: u32,
    pub(crate) heartbeat_ticks: u32,
    /// Lease reads with this margin. Clocks run at the same rate then.
    pub(crate) lease: Option<u32>,
    pub(crate) check_quorum: Mask,
    pub(crate) pre_vote: Mask,
    pub(crate) apply_unpersisted: Mask,
    pub(crate) leads_on_when_removed: Mask,
    pub(crate) refuses_to_forward: Mask,
    /// Those with a priority of 1.
    pub(crate) preferred: Mask,
    pub(crate) sizes: Sizes,
    pub(crate) seed: u64,
}

/// Bit `i` is for replica `i + 1`.
pub(crate) type Mask = u8;

/// How large messages, windows and batches may be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sizes {
    /// One entry a message, one message on its way, one entry a batch.
    Tiny,
    /// A few of each.
    Small,
    Unbounded,
}

/// A replica: below [`LEADER`] that one modulo those there are, otherwise a leader.
pub(crate) type Who = u8;

/// The leader of the highest term.
pub(crate) const LEADER: Who = 100;

/// The leader of the lowest term, which may be deposed and not know it.
pub(crate) const OLD_LEADER: Who = 101;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    // Time.
    Tick {
        who: Who,
        ticks: u64,
        at_once: bool,
    },
    TickAll {
        ticks: u64,
        at_once: bool,
    },
    /// So many rounds of one tick and the delivery of everything that is not cut off.
    Calm {
        rounds: u8,
    },

    // The network.
    /// A message arrives, whatever was sent before it and whether or not its link is cut.
    Deliver {
        message: u8,
    },
    /// So many messages arrive in the order they were sent, but for those on cut links.
    DeliverSome {
        count: u8,
    },
    /// The same of messages to one replica, on cut links too.
    DeliverTo {
        who: Who,
        count: u8,
    },
    Drop {
        message: u8,
    },
    Duplicate {
        message: u8,
    },
    Cut {
        from: Who,
        to: Who,
    },
    /// All links of a replica are cut, and so many calm rounds pass.
    Isolate {
        who: Who,
        rounds: u8,
    },
    Heal,

    // Clients.
    Propose {
        who: Who,
        large: bool,
    },
    /// A `MsgPropose` of so many entries, which a follower passes on. With a change, that comes last.
    Step {
        who: Who,
        entries: u8,
        change: Option<(Edit, u8)>,
    },
    Read {
        who: Who,
    },
    Change {
        who: Who,
        edits: Vec<(Edit, u8)>,
        how: ConfChangeTransition,
    },
    LeaveJoint {
        who: Who,
    },
    Transfer {
        who: Who,
        to: Who,
    },
    Campaign {
        who: Who,
    },
    ForgetLeader {
        who: Who,
    },
    RequestSnapshot {
        who: Who,
    },
    SetPriority {
        who: Who,
        priority: i64,
    },

    // The caller's reports.
    Unreachable {
        who: Who,
        peer: Who,
    },
    /// The transport says what became of a snapshot; without one that it knows of, it makes something up.
    ReportSnapshot {
        who: Who,
        peer: Who,
        finished: bool,
    },
    /// A snapshot that was begun is done, or failed.
    FinishSnapshot {
        who: Who,
        fails: bool,
    },

    // The caller's work. What is lazy waits until it is told to, or until it is not lazy any more.
    Pace {
        who: Who,
        lazy: Lazy,
    },
    TakeReady {
        who: Who,
    },
    Persist {
        who: Who,
        batches: u8,
    },
    Apply {
        who: Who,
        entries: u8,
    },
    /// The applied state becomes durable.
    Checkpoint {
        who: Who,
    },
    /// The log is forgotten but for this many applied entries.
    Compact {
        who: Who,
        keep: u64,
    },
    /// Everything is lost but the disk, which got so many of the batches on their way, and perhaps a commit
    /// that nobody synced. The replica starts again.
    Crash {
        who: Who,
        kept: u8,
        keeps_commit: bool,
    },
}

/// Which parts of a replica's work are held back.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lazy {
    pub(crate) ready: bool,
    pub(crate) disk: bool,
    pub(crate) apply: bool,
    pub(crate) snapshots: bool,
}

/// The role a membership change wants for a replica.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Edit {
    Voter,
    Learner,
    Remove,
}

pub(crate) fn case(steps: std::ops::Range<usize>) -> impl Strategy<Value = Case> {
    let steps = prop::collection::vec(step(), steps).prop_map(|steps| steps.concat());
    (group(), steps).prop_map(|(group, actions)| Case { group, actions })
}

/// Mostly single actions; sometimes several that together are rare but interesting.
fn step() -> impl Strategy<Value = Vec<Action>> {
    prop_oneof![
        60 => action().prop_map(|action| vec![action]),
        1 => usurpation(),
        1 => late_answers(),
    ]
}

/// Two replicas forget their leader, or what they promised to it, and one of them stands for election, while
/// the leader may hold a lease and knows nothing.
fn usurpation() -> impl Strategy<Value = Vec<Action>> {
    use Action::*;
    let numbers = (any_who(), 1u8..4, 4u8..10, 4u8..16, 0u8..3);
    (numbers, 0u8..4, 0u8..4).prop_map(|((first, before, wait, count, after), one, other)| {
        let second = first + 1;
        let mut actions = vec![Calm { rounds: before }];
        for (who, how) in [(first, one), (second, other)] {
            match how {
                0 => actions.push(ForgetLeader { who }),
                1 => actions.push(Crash { who, kept: 3, keeps_commit: true }),
                2 => actions.extend([Cut { from: LEADER, to: who }, Calm { rounds: wait }]),
                _ => {}
            }
        }
        actions.extend([Isolate { who: LEADER, rounds: 0 }, Campaign { who: first }, DeliverSome { count }]);
        actions.extend([
            Calm { rounds: after },
            Propose { who: LEADER, large: false },
            DeliverSome { count: 8 },
        ]);
        actions.push(Read { who: OLD_LEADER });
        actions
    })
}

/// A leader is cut off, hears late what it was answered before, and is asked for a read while the others elect
/// somebody else.
fn late_answers() -> impl Strategy<Value = Vec<Action>> {
    use Action::*;
    (2u8..5, 1u64..8, 1u8..12, 0u8..8).prop_map(|(before, wait, count, rounds)| {
        vec![
            Calm { rounds: before },
            TickAll { ticks: 1, at_once: false },
            // The heartbeats arrive, and not their answers.
            DeliverSome { count: 2 },
            Isolate { who: LEADER, rounds: 0 },
            TickAll { ticks: wait, at_once: false },
            DeliverTo { who: LEADER, count },
            Calm { rounds },
            Propose { who: LEADER, large: false },
            DeliverSome { count: 8 },
            Read { who: OLD_LEADER },
        ]
    })
}

fn group() -> impl Strategy<Value = Group> {
    let members =
        (prop_oneof![1 => Just(1u8), 2 => Just(2), 5 => Just(3), 3 => Just(4), 2 => Just(5)], 0u8..2, 0u8..3);
    let members = members
        .prop_map(|(voters, learners, others)| (voters, learners, (voters + learners + others).min(7)));
    let lease = prop_oneof![3 => Just(None), 1 => (0u32..3).prop_map(Some)];
    let times = (4u32..8, 1u32..3, lease);
    let mask = || prop_oneof![2 => Just(0), 2 => Just(u8::MAX), 1 => any::<u8>()];
    let rarely = || prop_oneof![4 => Just(0), 1 => Just(u8::MAX), 1 => any::<u8>()];
    let masks = (mask(), mask(), rarely(), rarely(), rarely(), mask());
    let sizes = prop_oneof![1 => Just(Sizes::Tiny), 1 => Just(Sizes::Small), 2 => Just(Sizes::Unbounded)];
    (members, times, masks, sizes, 0u64..1000).prop_map(|(members, times, masks, sizes, seed)| {
        let (voters, learners, replicas) = members;
        let (election_ticks, heartbeat_ticks, lease) = times;
        let (check_quorum, pre_vote, apply_unpersisted, leads_on_when_removed, refuses_to_forward, preferred) = masks;
        Group {
            replicas,
            voters,
            learners,
            election_ticks,
            heartbeat_ticks,
            // At least one tick of lease must be left.
            lease: lease.map(|margin| margin.min(election_ticks - 3)),
            check_quorum,
            pre_vote,
            apply_unpersisted,
            leads_on_when_removed,
            refuses_to_forward,
            preferred,
            sizes,
            seed,
        }
    })
}

fn any_who() -> impl Strategy<Value = Who> {
    0u8..7
}

/// Mostly the leader.
fn leader() -> impl Strategy<Value = Who> {
    prop_oneof![4 => Just(LEADER), 1 => any_who()]
}

fn who() -> impl Strategy<Value = Who> {
    prop_oneof![1 => Just(LEADER), 3 => any_who()]
}

fn reader() -> impl Strategy<Value = Who> {
    prop_oneof![1 => Just(LEADER), 2 => Just(OLD_LEADER), 2 => any_who()]
}

fn edit() -> impl Strategy<Value = (Edit, u8)> {
    (prop::sample::select(&[Edit::Voter, Edit::Voter, Edit::Learner, Edit::Remove][..]), 0u8..7)
}

fn change() -> impl Strategy<Value = Action> {
    use ConfChangeTransition::{Auto, Explicit, Implicit};
    let edits = prop_oneof![
        2 => prop::collection::vec(edit(), 1..2),
        1 => prop::collection::vec(edit(), 2..4),
    ];
    (leader(), edits, prop::sample::select(&[Auto, Auto, Auto, Implicit, Explicit][..]))
        .prop_map(|(who, edits, how)| Action::Change { who, edits, how })
}

fn lazy() -> impl Strategy<Value = Lazy> {
    let seldom = || prop::bool::weighted(0.25);
    (seldom(), prop::bool::weighted(0.5), seldom(), seldom())
        .prop_map(|(ready, disk, apply, snapshots)| Lazy { ready, disk, apply, snapshots })
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        30 => time_and_network(),
        10 => clients(),
        3 => reports(),
        12 => work(),
    ]
}

fn time_and_network() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        4 => (any_who(), 1u64..12, any::<bool>()).prop_map(|(who, ticks, at_once)| Tick { who, ticks, at_once }),
        4 => (1u64..6, any::<bool>()).prop_map(|(ticks, at_once)| TickAll { ticks, at_once }),
        3 => (1u8..8).prop_map(|rounds| Calm { rounds }),
        10 => any::<u8>().prop_map(|message| Deliver { message }),
        8 => (1u8..8).prop_map(|count| DeliverSome { count }),
        3 => (reader(), 1u8..8).prop_map(|(who, count)| DeliverTo { who, count }),
        2 => any::<u8>().prop_map(|message| Drop { message }),
        2 => any::<u8>().prop_map(|message| Duplicate { message }),
        1 => (who(), who()).prop_map(|(from, to)| Cut { from, to }),
        2 => (leader(), 0u8..16).prop_map(|(who, rounds)| Isolate { who, rounds }),
        1 => Just(Heal),
    ]
}

fn clients() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        10 => (leader(), prop::bool::weighted(0.2)).prop_map(|(who, large)| Propose { who, large }),
        2 => (any_who(), 1u8..4, prop::option::weighted(0.3, edit())).prop_map(|(who, entries, change)| Step { who, entries, change }),
        7 => reader().prop_map(|who| Read { who }),
        6 => change(),
        1 => leader().prop_map(|who| LeaveJoint { who }),
        3 => (leader(), any_who()).prop_map(|(who, to)| Transfer { who, to }),
        4 => any_who().prop_map(|who| Campaign { who }),
        1 => any_who().prop_map(|who| ForgetLeader { who }),
        2 => any_who().prop_map(|who| RequestSnapshot { who }),
        1 => (any_who(), 0i64..3).prop_map(|(who, priority)| SetPriority { who, priority }),
    ]
}

fn reports() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        1 => (leader(), any_who()).prop_map(|(who, peer)| Unreachable { who, peer }),
        2 => (leader(), any_who(), any::<bool>()).prop_map(|(who, peer, finished)| ReportSnapshot { who, peer, finished }),
        2 => (leader(), prop::bool::weighted(0.25)).prop_map(|(who, fails)| FinishSnapshot { who, fails }),
    ]
}

fn work() -> impl Strategy<Value = Action> {
    use Action::*;
    prop_oneof![
        3 => (who(), lazy()).prop_map(|(who, lazy)| Pace { who, lazy }),
        2 => who().prop_map(|who| Pace { who, lazy: Lazy::default() }),
        3 => who().prop_map(|who| TakeReady { who }),
        4 => (who(), 1u8..4).prop_map(|(who, batches)| Persist { who, batches }),
        2 => (who(), 1u8..4).prop_map(|(who, entries)| Apply { who, entries }),
        1 => who().prop_map(|who| Checkpoint { who }),
        4 => (who(), 0u64..4).prop_map(|(who, keep)| Compact { who, keep }),
        3 => (who(), 0u8..4, any::<bool>()).prop_map(|(who, kept, keeps_commit)| Crash { who, kept, keeps_commit }),
    ]
}
