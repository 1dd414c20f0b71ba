use std::collections::BTreeSet;

use super::*;
use crate::check::{HardState, LogTerms, OnDisk, ReplicaState, Role};
use crate::system::{Members, RegionRange};

const MS: u64 = 1_000_000;

fn at(ms: u64) -> Time {
    Time(ms * MS)
}

fn state(role: Role, term: u64, commit: u64, last: u64) -> ReplicaState {
    ReplicaState { term, vote: 1, role, leader: 0, commit, applied: commit, truncated: 0, last }
}

fn view(state: ReplicaState) -> ReplicaView<'static> {
    let members = Members { voters: &[1, 2, 3], ..Members::default() };
    ReplicaView {
        region: 1,
        id: 1,
        state,
        truncated_term: 0,
        members,
        snapshots: 0,
        range: RegionRange::whole(),
    }
}

/// Three stores that started, with a replica each.
fn reach() -> Reach {
    let mut reach = Reach::new(3, 1);
    for node in (0..3).map(NodeId) {
        reach.started(node, at(0));
        reach.replica(at(0), node, &view(state(Role::Follower, 1, 5, 5)));
    }
    reach
}

#[test]
fn words_tell_situations_apart_and_there_are_sixty_or_more() {
    let words: BTreeSet<_> = Situation::all().map(Situation::word).collect();
    assert_eq!(words.len(), COUNT);
    assert!(words.len() >= 60, "{words:?}");
    for situation in Situation::all() {
        assert_eq!(Situation::from_word(situation.word()), Some(situation));
        let fits = situation.word().bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(fits && !situation.what().ends_with('.'), "{situation}: {}", situation.what());
    }
    assert_eq!(elections::LEADER_CHANGED.topic(), "elections");
    assert_eq!(clients::SCANNED.word(), "scanned");
}

#[test]
fn a_set_keeps_what_is_put_into_it() {
    let set: ReachSet = [log::COMPACTED, clients::SCANNED].into_iter().collect();
    assert_eq!(set.iter().collect::<Vec<_>>(), [log::COMPACTED, clients::SCANNED]);
    assert!(set.contains(log::COMPACTED) && !set.contains(snapshots::RESTORED));
    assert_eq!(set.union([snapshots::RESTORED].into_iter().collect()).len(), 3);
}

#[test]
fn a_run_without_trouble_meets_nothing() {
    let mut reach = reach();
    reach.replica(at(1), NodeId(0), &view(state(Role::Leader, 2, 5, 6)));
    for last in 7..30 {
        reach.replica(at(last), NodeId(0), &view(state(Role::Leader, 2, last - 1, last)));
        reach.replica(at(last), NodeId(1), &view(state(Role::Follower, 2, last - 2, last)));
    }
    assert_eq!(reach.set().iter().collect::<Vec<_>>(), []);
}

#[test]
fn elections_are_seen_with_what_surrounds_them() {
    let mut reach = reach();
    reach.replica(at(1), NodeId(0), &view(state(Role::Leader, 2, 5, 9)));
    assert!(reach.set().contains(elections::ELECTED_WITH_AN_OPEN_TAIL));
    assert!(!reach.set().contains(elections::LEADER_CHANGED));
    let applying = RegionRange { applying: true, ..RegionRange::whole() };
    reach.replica(at(2), NodeId(2), &ReplicaView { range: applying, ..view(state(Role::Follower, 2, 7, 7)) });
    reach.replica(at(3), NodeId(1), &view(state(Role::Leader, 3, 5, 6)));
    for situation in [
        elections::LEADER_CHANGED,
        elections::TWO_LEADERS,
        elections::ELECTED_WHILE_SNAPSHOT_APPLIED,
        elections::ELECTED_WITH_AN_OLDER_COMMIT,
        elections::ELECTED_WITH_A_SHORTER_LOG,
    ] {
        assert!(reach.set().contains(situation), "{situation}");
    }
    assert!(!reach.set().contains(elections::LEADER_DEPOSED));
    reach.replica(at(4), NodeId(0), &view(state(Role::Follower, 3, 5, 9)));
    assert!(reach.set().contains(elections::LEADER_DEPOSED));
}

#[test]
fn a_change_is_overwritten_only_while_it_is_not_committed() {
    use crate::check::LogEntry;
    let entry = |index, conf_change| DiskWrite::Entry(LogEntry { index, term: 2, digest: 0, conf_change });
    let mut reach = reach();
    reach.wrote(NodeId(0), 1, &entry(6, true));
    reach.replica(at(1), NodeId(0), &view(state(Role::Follower, 2, 5, 6)));
    reach.wrote(NodeId(0), 1, &entry(7, false));
    reach.replica(at(1), NodeId(0), &view(state(Role::Follower, 2, 5, 7)));
    assert!(reach.set().is_empty());
    let mut other = reach.clone();
    reach.wrote(NodeId(0), 1, &entry(7, false));
    assert!(reach.set().contains(log::ENTRY_OVERWRITTEN) && !reach.set().contains(log::CHANGE_OVERWRITTEN));
    other.wrote(NodeId(0), 1, &DiskWrite::Remove(6));
    assert!(other.set().contains(log::CHANGE_OVERWRITTEN));
}

#[test]
fn a_crash_tells_what_it_took() {
    let left = |term, vote, last| OnDisk {
        hard: HardState { term, vote },
        log: LogTerms::starting_after(last, term),
        applied: 5,
    };
    let mut whole = reach();
    let mut reach = whole.clone();
    whole.crashed(NodeId(0), at(2_000), |_| left(1, 1, 5));
    assert!(whole.set().is_empty(), "{:?}", whole.set().iter().collect::<Vec<_>>());
    reach.crashed(NodeId(0), at(2_000), |_| left(1, 0, 4));
    assert!(reach.set().contains(durability::VOTE_LOST) && reach.set().contains(durability::ENTRIES_LOST));
    assert!(!reach.set().contains(durability::TERM_LOST) && !reach.set().contains(durability::MAJORITY_DOWN));
    reach.crashed(NodeId(1), at(2_000), |_| left(1, 1, 5));
    assert!(reach.set().contains(durability::MAJORITY_DOWN) && !reach.set().contains(durability::ALL_DOWN));
}

#[test]
fn what_befalls_a_follower_is_no_situation_of_leaders() {
    let mut reach = reach();
    reach.replica(at(1), NodeId(0), &view(state(Role::Leader, 2, 5, 6)));
    reach.befell([NodeId(1)].into_iter(), faults::LEADER_PAUSED);
    assert!(!reach.set().contains(faults::LEADER_PAUSED));
    reach.befell([NodeId(1), NodeId(0)].into_iter(), faults::LEADER_PAUSED);
    assert!(reach.set().contains(faults::LEADER_PAUSED));
}

/// What raftstore shows: the log is the snapshot's at once, and the range when the data is there.
#[test]
fn a_snapshot_tells_of_splits_and_changes_when_its_data_is_there() {
    let told = [
        (0, 0, None),
        (1, 0, Some(snapshots::RESTORED_ACROSS_A_SPLIT)),
        (0, 1, Some(snapshots::RESTORED_ACROSS_A_CHANGE)),
    ];
    for (splits, changes, situation) in told {
        let mut reach = reach();
        let old = RegionRange::whole();
        let new = RegionRange { version: old.version + splits, conf_ver: old.conf_ver + changes, ..old };
        let seen = |range| ReplicaView { range, snapshots: 1, ..view(state(Role::Follower, 1, 9, 9)) };
        reach.replica(at(1), NodeId(2), &seen(RegionRange { applying: true, ..old }));
        assert_eq!(reach.set().iter().collect::<Vec<_>>(), [snapshots::RESTORED]);
        reach.replica(at(2), NodeId(2), &seen(new));
        let met: Vec<_> = reach.set().iter().collect();
        assert_eq!(met, [snapshots::RESTORED].into_iter().chain(situation).collect::<Vec<_>>());
    }
}

/// A small state machine is there at once.
#[test]
fn a_snapshot_that_is_taken_up_at_once_is_no_split() {
    let (old, mut reach) = (RegionRange::whole(), reach());
    let range = RegionRange { version: old.version + 1, ..old };
    let seen = |snapshots| ReplicaView { range, snapshots, ..view(state(Role::Follower, 1, 9, 9)) };
    let mut split = reach.clone();
    reach.replica(at(1), NodeId(2), &seen(1));
    let both = [snapshots::RESTORED, snapshots::RESTORED_ACROSS_A_SPLIT];
    assert_eq!(reach.set().iter().collect::<Vec<_>>(), both);
    split.replica(at(1), NodeId(2), &seen(0));
    assert_eq!(split.set().iter().collect::<Vec<_>>(), [regions::SPLIT]);
}
