use super::*;

/// Two appends, or eight bytes.
fn window() -> Config {
    Config { max_inflight_messages: 2, max_inflight_bytes: 8, ..Config::new(1) }
}

fn probing(next: u64) -> Progress {
    Progress::new(next)
}

fn replicating(matched: u64) -> Progress {
    let mut progress = Progress::new(matched + 1);
    assert!(progress.on_accepted(matched, 1));
    progress
}

fn inflight(progress: &Progress) -> usize {
    match progress.state() {
        ProgressState::Replicate(inflights) => inflights.len(),
        _ => panic!("{progress:?} is probing"),
    }
}

#[test]
fn a_probe_waits_for_its_answer_or_a_heartbeat_s() {
    let mut progress = probing(5);
    assert!(!progress.is_paused(&window()));
    progress.on_sent(3, 3, 0);
    assert_eq!((progress.is_paused(&window()), progress.next()), (true, 5));
    progress.on_heartbeat_response(0);
    assert!(!progress.is_paused(&window()));
}

#[test]
fn an_accepted_probe_starts_replication_after_what_matched() {
    let mut progress = probing(5);
    progress.on_sent(3, 3, 0);
    assert!(progress.on_accepted(7, 1));
    assert!(progress.is_replicating() && !progress.is_paused(&window()));
    assert_eq!((progress.matched(), progress.next()), (7, 8));
}

#[test]
fn replication_runs_ahead_up_to_the_window() {
    let mut progress = replicating(3);
    progress.on_sent(2, 2, 0);
    assert_eq!((progress.matched(), progress.next()), (3, 6));
    // An empty append takes no place.
    progress.on_sent(0, 0, 0);
    assert_eq!((inflight(&progress), progress.is_paused(&window())), (1, false));
    progress.on_sent(1, 1, 0);
    assert_eq!((progress.next(), progress.is_paused(&window())), (7, true));
}

#[test]
fn an_answer_frees_all_places_up_to_its_index() {
    let mut progress = replicating(3);
    for _ in 0..3 {
        progress.on_sent(2, 2, 0);
    }
    assert!(progress.on_accepted(7, 1));
    assert_eq!((progress.matched(), progress.next(), inflight(&progress)), (7, 10, 1));
    // The older answer, coming later.
    assert!(!progress.on_accepted(5, 1));
    assert_eq!((progress.matched(), inflight(&progress)), (7, 1));
    assert!(progress.on_accepted(9, 1));
    assert_eq!(inflight(&progress), 0);
}

#[test]
fn a_rejection_while_replicating_probes_after_what_matched() {
    let mut progress = replicating(3);
    progress.on_sent(4, 4, 0);
    assert!(progress.on_rejected(7, 3));
    assert_eq!(progress.state(), &ProgressState::Probe { paused: false });
    assert_eq!((progress.matched(), progress.next()), (3, 4));
}

#[test]
fn an_old_rejection_changes_nothing() {
    let mut progress = replicating(3);
    progress.on_sent(1, 1, 0);
    let before = progress.clone();
    assert!(!progress.on_rejected(3, 0));
    assert_eq!(progress, before);

    let mut progress = probing(5);
    progress.on_sent(1, 1, 0);
    let before = progress.clone();
    assert!(!progress.on_rejected(3, 0));
    assert_eq!(progress, before);
}

#[test]
fn a_rejected_probe_goes_on_after_the_hint_but_never_back_behind_what_matched() {
    for (hint, next) in [(0, 4), (5, 6), (8, 9), (20, 9)] {
        let mut progress = replicating(3);
        assert!(progress.on_rejected(9, 0));
        // As if an answer had moved the probe to 10.
        progress.next = 10;
        progress.on_sent(1, 1, 0);
        assert!(progress.on_rejected(9, hint));
        assert_eq!((progress.next(), progress.is_paused(&window())), (next, false), "hint {hint}");
    }
}

#[test]
fn an_old_acceptance_does_not_end_a_probe() {
    let mut progress = replicating(5);
    progress.on_sent(3, 3, 0);
    assert!(progress.on_rejected(8, 5));
    progress.on_sent(1, 1, 0);
    assert!(!progress.on_accepted(4, 1));
    assert_eq!(progress.state(), &ProgressState::Probe { paused: true });
    assert!(progress.on_accepted(6, 1));
    assert_eq!((progress.matched(), progress.next()), (6, 7));
}

#[test]
fn a_window_is_full_of_appends_or_of_bytes() {
    let mut progress = replicating(3);
    progress.on_sent(1, 7, 0);
    assert!(!progress.is_paused(&window()));
    progress.on_sent(1, 1, 0);
    assert!(progress.is_paused(&window()), "of appends");
    assert!(progress.on_accepted(4, 1));
    assert!(!progress.is_paused(&window()));
    // One place is free, and 7 bytes; what crosses the bound is sent nevertheless.
    progress.on_sent(1, 100, 0);
    let ProgressState::Replicate(inflights) = progress.state() else { panic!("{progress:?}") };
    assert_eq!((inflights.len(), inflights.bytes(), inflights.is_empty()), (2, 101, false));
    assert!(progress.on_accepted(5, 1));
    assert!(progress.is_paused(&window()), "of bytes");
    assert!(progress.on_accepted(6, 1));
    assert!(!progress.is_paused(&window()));
    assert_eq!(inflight(&progress), 0);
}

#[test]
fn a_replicating_peer_needs_to_be_told_a_commit_once() {
    let mut progress = replicating(3);
    assert!(!progress.needs_empty_append(0) && progress.needs_empty_append(2));
    progress.on_sent(0, 0, 2);
    assert!(!progress.needs_empty_append(2) && progress.needs_empty_append(3));
    // An older append may leave later; it takes nothing back.
    progress.on_sent(1, 1, 1);
    assert!(!progress.needs_empty_append(2));
    // What was said before a loss may be lost.
    progress.on_unreachable();
    assert!(progress.on_accepted(3, 1));
    assert!(progress.needs_empty_append(2));
    assert!(progress.on_rejected(9, 3) && progress.on_accepted(3, 1));
    assert!(progress.needs_empty_append(2));
}

#[test]
fn a_probe_that_may_be_sent_is_worth_sending_empty() {
    let mut progress = probing(5);
    assert!(progress.needs_empty_append(0));
    progress.on_sent(0, 0, 9);
    assert!(!progress.needs_empty_append(9));
}

#[test]
fn an_unreachable_peer_is_probed_after_what_matched() {
    let mut progress = replicating(3);
    progress.on_sent(4, 4, 0);
    progress.on_unreachable();
    assert_eq!(progress.state(), &ProgressState::Probe { paused: false });
    assert_eq!(progress.next(), 4);
    // For the others it is no news.
    for mut progress in [paused_probe(), receiving(10)] {
        let before = progress.clone();
        progress.on_unreachable();
        assert_eq!(progress, before);
    }
}

fn paused_probe() -> Progress {
    let mut progress = probing(5);
    progress.on_sent(1, 1, 0);
    progress
}

/// A snapshot at this index is on its way to a peer that matches up to 3.
fn receiving(pending: u64) -> Progress {
    let mut progress = replicating(3);
    progress.on_snapshot_sent(pending);
    progress
}

#[test]
fn a_snapshot_on_its_way_stops_everything() {
    let mut progress = receiving(10);
    assert_eq!((progress.state(), progress.next()), (&ProgressState::Snapshot { pending: 10 }, 11));
    assert!(progress.is_paused(&window()) && progress.is_receiving_snapshot());
    assert!(!progress.needs_empty_append(99));
    let before = progress.clone();
    assert!(!progress.on_rejected(10, 0) && !progress.on_rejected(5, 0));
    progress.on_heartbeat_response(0);
    assert_eq!(progress, before);
}

#[test]
fn a_snapshot_ends_with_an_acknowledgement_that_the_log_continues() {
    // (acknowledged, the leader's first index, whether that ends it)
    for (index, first, ends) in [
        (10, 11, true),
        (12, 11, true),
        (9, 11, false),
        (9, 10, true),
        (5, 6, true),
        (5, 7, false),
        (2, 9, false),
    ] {
        let mut progress = receiving(10);
        assert_eq!(progress.on_accepted(index, first), ends || index > 3, "{index} of {first}");
        assert_eq!(progress.is_replicating(), ends, "{index} of {first}");
        assert_eq!(progress.matched(), index.max(3));
        assert_eq!(progress.next(), if ends { index + 1 } else { 11 });
    }
}

#[test]
fn a_reported_snapshot_is_followed_by_a_paused_probe() {
    for (finished, next) in [(true, 11), (false, 4)] {
        let mut progress = receiving(10);
        progress.on_snapshot_reported(finished);
        assert_eq!((progress.state(), progress.next()), (&ProgressState::Probe { paused: true }, next));
        progress.on_heartbeat_response(0);
        assert!(!progress.is_paused(&window()));
    }
    // One that brought less than the peer has.
    let mut progress = receiving(2);
    progress.on_snapshot_reported(true);
    assert_eq!((progress.matched(), progress.next()), (3, 4));
    for mut progress in [paused_probe(), replicating(3)] {
        let before = progress.clone();
        progress.on_snapshot_reported(true);
        progress.on_snapshot_reported(false);
        assert_eq!(progress, before);
    }
}

#[test]
fn a_requested_snapshot_is_remembered_until_one_is_sent() {
    let mut progress = replicating(3);
    assert!(progress.on_snapshot_requested(3));
    assert!(progress.on_rejected(9, 3));
    assert!(progress.on_accepted(3, 1));
    assert_eq!(progress.requested_snapshot(), Some(3));
    progress.on_snapshot_sent(5);
    assert_eq!(progress.requested_snapshot(), None);
    // The one on its way is good for what it reaches.
    assert!(!progress.on_snapshot_requested(5));
    assert_eq!(progress.requested_snapshot(), None);
    assert!(progress.on_snapshot_requested(6));
    assert_eq!(progress.requested_snapshot(), Some(6));
}

#[test]
fn the_newest_answered_round_counts() {
    let mut progress = probing(1);
    for (round, newest) in [(4, 4), (2, 4), (0, 4), (5, 5)] {
        progress.on_heartbeat_response(round);
        assert_eq!(progress.acked_round(), newest);
    }
}

#[test]
fn activity_is_asked_for_once() {
    let mut progress = probing(1);
    assert!(!progress.is_active());
    progress.set_active();
    assert!(progress.is_active() && progress.take_active());
    assert!(!progress.is_active() && !progress.take_active());
}

#[test]
fn after_a_snapshot_nothing_is_known_of_the_commit() {
    let mut progress = replicating(3);
    progress.on_sent(0, 0, 3);
    assert!(!progress.needs_empty_append(3));
    progress.on_snapshot_sent(10);
    assert!(progress.on_accepted(10, 1));
    assert!(progress.needs_empty_append(3));
}
